/* cli/commands.c: every command comp has, in the order of the help. */
#include "cli/command.h"

/* clang-format off */
#define COMMANDS(X)

#define DECLARE(name) extern const struct command cmd_##name;
COMMANDS(DECLARE)

#define LIST(name) &cmd_##name,
const struct command *const commands[] = { COMMANDS(LIST) NULL };
