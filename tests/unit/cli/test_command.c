/* Finding and calling a command. */
#include "tests/unit/cli/capture.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"

static struct {
	int calls, argc;
	bool flag, dry_run;
	char first[32];
} seen;

struct values {
	bool flag;
};

static int run_it(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct values *v = in->options;

	seen.calls++;
	seen.argc = in->argc;
	seen.flag = v->flag;
	seen.dry_run = ctx->global.dry_run;
	snprintf(seen.first, sizeof(seen.first), "%s", in->argc ? in->argv[0] : "");
	if (streq(seen.first, "fail"))
		return err_set(e, EIO, "it failed");
	if (streq(seen.first, "cancel"))
		return err_set(e, ECANCELED, "canceled");
	return streq(seen.first, "seven") ? 7 : 0;
}

static const struct option_spec flags[] = {
	OPTION_BOOL("flag", 'f', struct values, flag, "A flag"),
	OPTION_END,
};

static const struct command cmd_do = {
	.name = "do",
	.alias = "perform",
	.args = "[OPTIONS] [THING]",
	.summary = "Do it",
	.options = flags,
	.options_size = sizeof(struct values),
	.max_args = 1,
	.run = run_it,
};
static const struct command cmd_in = {
	.name = "in",
	.args = "THING COMMAND",
	.summary = "Do it inside",
	.options = flags,
	.options_size = sizeof(struct values),
	.min_args = 2,
	.max_args = ARGS_ANY,
	.stop_at_first_positional = true,
	.run = run_it,
};
static const struct command *const sub_table[] = { &cmd_do, NULL };
static const struct command cmd_group = { .name = "group", .summary = "More", .subs = sub_table };
static const struct command cmd_secret = {
	.name = "secret", .summary = "Hidden", .run = run_it, .hidden = true, .options_size = 8
};
static const struct command *const table[] = { &cmd_do, &cmd_group, &cmd_in, &cmd_secret, NULL };

struct result {
	int code;
	struct capture out, err;
};

static void call(struct result *r, const char *const *words)
{
	struct context ctx;
	char *argv[8] = { NULL };
	int argc = 0;

	for (; words[argc]; argc++)
		argv[argc] = (char *)words[argc];
	memset(&seen, 0, sizeof(seen));
	context_init(&ctx, "comp");
	ctx.out = capture_open(&r->out);
	ctx.err = capture_open(&r->err);
	ctx.err_color = false;
	r->code = command_dispatch(&ctx, table, "comp", argc, argv);
	context_done(&ctx);
	fclose(r->out.f);
	fclose(r->err.f);
}
#define CALL(r, ...) call(r, (const char *const[]){ __VA_ARGS__, NULL })

static void result_done(struct result *r)
{
	free(r->out.text);
	free(r->err.text);
}

static void test_calls(void **state)
{
	struct result r;

	CALL(&r, "do", "-f", "seven", "--dry-run");
	assert_int_equal(r.code, 7);
	assert_true(seen.flag && seen.dry_run);
	assert_int_equal(seen.argc, 1);
	result_done(&r);

	CALL(&r, "group", "perform", "x");
	assert_int_equal(r.code, 0);
	assert_string_equal(seen.first, "x");
	result_done(&r);

	CALL(&r, "in", "web", "ls", "-f");
	assert_int_equal(seen.argc, 3);
	assert_false(seen.flag);
	result_done(&r);
}

static void test_failures(void **state)
{
	static const struct {
		const char *words[5];
		int code;
		const char *err;
	} rows[] = {
		{ { "do", "fail" }, 1, "comp: it failed\n" },
		{ { "do", "cancel" }, 130, "comp: canceled\n" },
		{ { "do", "a", "b" },
		  1,
		  "comp: 'comp do' accepts at most 1 argument\nhint: see 'comp do --help'\n" },
		{ { "in", "a" },
		  1,
		  "comp: 'comp in' requires at least 2 arguments\nhint: see 'comp in --help'\n" },
		{ { "do", "--flog" },
		  1,
		  "comp: unknown flag: --flog\nhint: did you mean --flag?\n" },
		{ { "do", "--project-name", "x" },
		  1,
		  "comp: unknown flag: --project-name\n"
		  "hint: --project-name goes before the command's name\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result r;

		call(&r, rows[i].words);
		assert_int_equal(r.code, rows[i].code);
		assert_string_equal(r.err.text, rows[i].err);
		result_done(&r);
	}
}

static void test_unknown(void **state)
{
	struct result r;

	CALL(&r, "groop");
	assert_int_equal(r.code, 1);
	assert_int_equal(seen.calls, 0);
	assert_non_null(strstr(r.err.text, "Usage:  comp COMMAND"));
	assert_non_null(strstr(r.err.text, "unknown docker command: \"compose groop\"\n"
					   "hint: did you mean \"group\"?\n"));
	assert_null(strstr(r.err.text, "secret"));
	result_done(&r);
	CALL(&r, "group", "nope");
	assert_int_equal(r.code, 1);
	assert_non_null(strstr(r.err.text, "\"compose group nope\""));
	result_done(&r);
}

static void test_help(void **state)
{
	struct result r;

	call(&r, (const char *const[]){ NULL });
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out.text, "  do     Do it\n"));
	result_done(&r);
	CALL(&r, "do", "--help");
	assert_int_equal(r.code, 0);
	assert_int_equal(seen.calls, 0);
	assert_string_equal(r.out.text, "Usage:  comp do [OPTIONS] [THING]\n\nDo it\n\nOptions:\n"
					"  -f, --flag   A flag\n");
	result_done(&r);
	CALL(&r, "help", "in");
	assert_non_null(strstr(r.out.text, "Usage:  comp in THING COMMAND\n"));
	result_done(&r);
}

/* No line of any help is wider than a terminal. */
static void test_width(void **state)
{
	for (size_t i = 0; commands[i]; i++) {
		struct capture c;

		command_help(capture_open(&c), commands[i], "comp x");
		fclose(c.f);
		for (const char *line = c.text; *line; line += strcspn(line, "\n") + 1)
			assert_true(strcspn(line, "\n") <= 80);
		free(c.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),   cmocka_unit_test(test_failures),
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_help),
		cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
