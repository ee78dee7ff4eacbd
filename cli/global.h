/* cli/global.h: the flags that stand before the command. */
#ifndef CLI_GLOBAL_H
#define CLI_GLOBAL_H

#include "cli/context.h"
#include "cli/options.h"

extern const struct option_spec global_options[]; /* fill a struct global_options */
extern const struct option_spec shared_options[]; /* those that every command takes too */

/* Fill what the flags left open from COMPOSE_* and check the values; sets the
 * colours of @ctx. */
int global_finish(struct context *ctx, struct err *e);

/* What comp was called as decides which words stand before the command:
 * "docker-compose up" and "docker compose up" are "comp up".  Skips them in
 * *argc and *argv and returns how to call ourselves. */
const char *global_personality(int *argc, char ***argv);

#endif
