/* cli/bring_back.h: what ran when the machine went down, running again.
 *
 * From the state on disk alone, no compose file is read.  `comp boot` does it for
 * all projects at once, `comp systemd run` for one.
 */
#ifndef CLI_BRING_BACK_H
#define CLI_BRING_BACK_H

#include "cli/context.h"

struct bring_back_options {
	bool all;             /* whatever the restart policy says */
	bool wait;            /* until they are running, and healthy where they have a check */
	int64_t wait_timeout; /* ns; 0: none */
};

/* Bring back every project of @names that needs it; those go on side by side, and
 * past failures.  Each project that could not be brought back whole is told of on
 * ctx->err.  Returns how many those were; -ECANCELED after SIGINT or SIGTERM, when
 * no further container is started; another -errno when nothing could be tried. */
int bring_back(struct context *ctx, char *const *names, const struct bring_back_options *o,
	       struct err *e);

#endif
