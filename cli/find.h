/* cli/find.h: a container by what users call it. */
#ifndef CLI_FIND_H
#define CLI_FIND_H

#include "cli/machine.h"

/* @name: a service of the project at hand (then its replica @index, or with 0 one that runs,
 * or else any), a container's name, or the first digits of its id, whatever the project.
 * *out is in @m. */
int find_container(struct context *ctx, const struct machine *m, const char *name, int64_t index,
		   const struct machine_container **out, struct err *e);

#endif
