/* cli/prune.h: removing what nothing uses: containers, networks, volumes, images. */
#ifndef CLI_PRUNE_H
#define CLI_PRUNE_H

#include "cli/context.h"

struct prune_request {
	bool containers; /* stopped ones, of any project */
	bool networks;   /* no container has them */
	bool images, all_images;
	bool cache; /* of build steps */
	bool volumes, all_volumes; /* anonymous ones; named ones too */
	bool force;                /* do not ask */
	bool summary;              /* the list of kinds before the question: system prune */
};

/* Say what would be removed and what that frees, ask, and do it.  @filters as in
 * machine.h.  Under --dry-run it ends with the list. */
int prune_run(struct context *ctx, const struct prune_request *q, char *const *filters,
	      struct err *e);

#endif
