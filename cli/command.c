/* cli/command.c: from words to a command's run(), and help from the same table. */
#include "cli/command.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/global.h"
#include "cli/message.h"

static void show_error(struct context *ctx, const struct err *e)
{
	struct message_style style = ctx_message_style(ctx);

	fflush(ctx->out);
	message_error(ctx->err, &style, e);
}

static bool is_called(const struct command *c, const char *word)
{
	return streq(c->name, word) || streq_null(c->alias, word);
}

static const struct command *find_command(const struct command *const *table, const char *word)
{
	for (; *table; table++)
		if (is_called(*table, word))
			return *table;
	return NULL;
}

static const char *near_command(const struct command *const *table, const char *word)
{
	const char *names[128];
	size_t n = 0;

	for (; *table && n < ARRAY_SIZE(names); table++)
		if (!(*table)->hidden)
			names[n++] = (*table)->name;
	return nearest_word(word, names, n);
}

static int check_count(const struct command *c, const char *path, int n, struct err *e)
{
	if (n < c->min_args)
		err_set(e, EINVAL, "'%s' requires at least %d argument%s", path, c->min_args,
			c->min_args == 1 ? "" : "s");
	else if (c->max_args != ARGS_ANY && n > c->max_args)
		err_set(e, EINVAL,
			c->max_args ? "'%s' accepts at most %d argument%s"
				    : "'%s' accepts no arguments",
			path, c->max_args, c->max_args == 1 ? "" : "s");
	else
		return 0;
	return err_hint(e, "see '%s --help'", path);
}

static int invoke(struct context *ctx, const struct command *c, const char *path, int argc,
		  char **argv, struct err *e)
{
	_cleanup_(free_p) void *values = xcalloc(1, c->options_size + 1);
	struct option_parser p = {
		.own = c->options,
		.values = values,
		.shared = shared_options,
		.shared_values = &ctx->global,
		.elsewhere = global_options,
		.stop_at_first = c->stop_at_first_positional,
	};
	struct invocation in = { .command = c, .path = (char *)path, .options = values };
	int r;

	options_init(c->options, values);
	r = options_parse(&p, argc, argv, e);
	if (r >= 0 && p.help) {
		command_help(ctx->out, c, path);
		r = 0;
	} else if (r >= 0) {
		in.argc = r;
		in.argv = argv;
		r = check_count(c, path, r, e);
		if (r == 0)
			r = c->run(ctx, &in, e);
	}
	options_done(c->options, values);
	return r;
}

static int unknown_command(struct context *ctx, const struct command *const *table,
			   const char *path, const char *word)
{
	struct err e = ERR_INIT;
	const char *near = near_command(table, word);
	const char *above = strchr(path, ' ');

	command_list_help(ctx->err, table, path, NULL);
	fputc('\n', ctx->err);
	err_set(&e, EINVAL, "unknown docker command: \"compose%s %s\"",
		above && table != commands ? above : "", word);
	if (near)
		(void)err_hint(&e, "did you mean \"%s\"?", near);
	show_error(ctx, &e);
	return 1;
}

static bool asks_help(const char *word)
{
	return streq(word, "-h") || streq(word, "--help") || streq(word, "help");
}

int command_dispatch(struct context *ctx, const struct command *const *table, const char *path,
		     int argc, char **argv)
{
	const struct option_spec *global = table == commands ? global_options : NULL;
	_cleanup_(free_p) char *full = NULL;
	const struct command *c;
	struct err e = ERR_INIT;
	int r;

	if (argc == 0 || (asks_help(argv[0]) && argc == 1)) {
		command_list_help(ctx->out, table, path, global);
		return 0;
	}
	if (streq(argv[0], "help")) { /* help up = up --help */
		argv[0] = argv[1];
		argv[1] = (char *)"--help";
		argc = 2;
	}
	c = find_command(table, argv[0]);
	if (!c)
		return unknown_command(ctx, table, path, argv[0]);
	full = xasprintf("%s %s", path, c->name);
	if (c->subs)
		return command_dispatch(ctx, c->subs, full, argc - 1, argv + 1);
	r = invoke(ctx, c, full, argc - 1, argv + 1, &e);
	if (r >= 0)
		return r;
	if (r == -ECANCELED) {
		if (e.msg[0])
			show_error(ctx, &e);
		return 130;
	}
	show_error(ctx, &e);
	return 1;
}

void command_help(FILE *out, const struct command *c, const char *path)
{
	fprintf(out, "Usage:  %s%s%s\n\n%s\n", path, c->args ? " " : "", c->args ? c->args : "",
		c->summary);
	options_help(out, c->options);
}

void command_list_help(FILE *out, const struct command *const *table, const char *path,
		       const struct option_spec *global)
{
	size_t column = 0;

	fprintf(out, "Usage:  %s%s COMMAND\n", path, global ? " [OPTIONS]" : "");
	if (global)
		fprintf(out, "\nRun Compose projects, without a daemon\n");
	options_help(out, global);
	for (size_t i = 0; table[i]; i++)
		if (!table[i]->hidden)
			column = MAX(column, strlen(table[i]->name) + 4);
	fprintf(out, "\nCommands:\n");
	for (size_t i = 0; table[i]; i++) {
		if (table[i]->hidden)
			continue;
		fprintf(out, "  %s", table[i]->name);
		help_wrap(out, table[i]->summary, 2 + strlen(table[i]->name), column);
	}
	fprintf(out, "\nRun '%s COMMAND --help' for more information on a command.\n", path);
}
