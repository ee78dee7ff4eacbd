/* cli/pick.h: one container of a service, for commands that need just one. */
#ifndef CLI_PICK_H
#define CLI_PICK_H

#include "cli/context.h"

/* The replica numbered @index, or with 0 the first that runs.  Loads project and
 * records; *out is in @l, which the caller owns. */
int pick_container(struct context *ctx, const char *service, int64_t index, struct record_list *l,
		   const struct record **out, struct err *e);

#endif
