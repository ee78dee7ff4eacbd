/* cli/command.h: what a command is, and what it gets to work with.
 *
 * One cmd_NAME.c per command (or family): parse, call, render.  It defines a
 * `const struct command cmd_NAME` and is listed in cli/commands.c; help, flag
 * parsing and did-you-mean come from the table.
 *
 *	static int run_stop(struct context *ctx, struct invocation *in, struct err *e)
 *	{
 *		const struct stop_options *o = in->options;
 *		...
 *		return 0;
 *	}
 *	const struct command cmd_stop = {
 *		.name = "stop", .args = "[OPTIONS] [SERVICE...]", .summary = "Stop services",
 *		.options = stop_flags, .options_size = sizeof(struct stop_options),
 *		.max_args = ARGS_ANY, .run = run_stop,
 *	};
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/context.h"
#include "cli/options.h"

#define ARGS_ANY (-1)

struct invocation {
	const struct command *command;
	char *path;    /* "comp image ls", for usage lines */
	void *options; /* the command's struct, filled */
	int argc;      /* positionals only */
	char **argv;   /* NULL-terminated */
};

struct command {
	const char *name;
	const char *alias;                 /* one other name, not shown; may be NULL */
	const char *args;                  /* "[OPTIONS] [SERVICE...]" */
	const char *summary;               /* one line, no full stop */
	const struct option_spec *options; /* NULL: none */
	size_t options_size;
	int min_args, max_args; /* positionals; max_args ARGS_ANY: no limit */
	/* Returns the exit code (0…255), or -errno with @e filled: main() then
	 * shows the error and exits 1. */
	int (*run)(struct context *ctx, struct invocation *in, struct err *e);
	const struct command *const *subs; /* `image ls`: NULL-terminated; run is not used */
	bool hidden;                       /* not in the list of commands */
	bool stop_at_first_positional;     /* exec, run: later flags belong to the container */
};

/* cli/commands.c: every command, in the order of the help; NULL at the end. */
extern const struct command *const commands[];

/* Run argv (without the program's name, global flags taken off) by @table.
 * @path: what stands before it, "comp" or "docker compose".  Returns the exit
 * code; errors were shown. */
int command_dispatch(struct context *ctx, const struct command *const *table, const char *path,
		     int argc, char **argv);

/* Help for one command, and for all of them. */
void command_help(FILE *out, const struct command *c, const char *path);
void command_list_help(FILE *out, const struct command *const *table, const char *path,
		       const struct option_spec *global);

#endif
