/* cli/commands.c: every command comp has, in the order of the help. */
#include "cli/command.h"

/* clang-format off */
#define COMMANDS(X)                                                            \
	X(attach) X(boot) X(build) X(builder)                                  \
	X(commit) X(config) X(create)                                          \
	X(down) X(events) X(exec) X(explain) X(export)                         \
	X(image) X(images) X(kill)                                             \
	X(load) X(login) X(logout) X(logs) X(ls)                               \
	X(network) X(pause) X(port) X(ps) X(pull) X(push)                      \
	X(restart) X(rm) X(save) X(scale) X(start) X(stats) X(stop)             \
	X(system) X(systemd) X(tag) X(top)                                     \
	X(unpause) X(up) X(version) X(volume) X(volumes) X(wait)               \
	X(supervise)

#define DECLARE(name) extern const struct command cmd_##name;
COMMANDS(DECLARE)

#define LIST(name) &cmd_##name,
const struct command *const commands[] = { COMMANDS(LIST) NULL };
