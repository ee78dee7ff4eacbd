/* Flags as Docker's command line takes them. */
#include "tests/unit/cli/capture.h"

#include <errno.h>

#include "base/strv.h"
#include "cli/options.h"

struct values {
	bool detach, quiet, deps, dry_run;
	const char *signal;
	char **files;
	int64_t timeout, wait;
};
#define V struct values

static const struct option_spec specs[] = {
	OPTION_BOOL("detach", 'd', V, detach, "Detached mode: Run containers in the background"),
	OPTION_BOOL("quiet", 'q', V, quiet, "Say nothing"),
	OPTION_BOOL_TRUE("deps", 0, V, deps, "With dependencies"),
	OPTION_STRING("signal", 's', V, signal, "SIGKILL", "Signal to send"),
	OPTION_STRINGS("file", 'f', V, files, "Files"),
	OPTION_INT("timeout", 't', V, timeout, "-1", "Seconds"),
	OPTION_DURATION("wait", 0, V, wait, NULL, "How long"),
	OPTION_END,
};

static const struct option_spec shared[] = {
	OPTION_BOOL("dry-run", 0, V, dry_run, "Do nothing"),
	OPTION_END,
};

static const struct option_spec elsewhere[] = {
	OPTION_STRING("project-name", 'p', V, signal, NULL, "Name"),
	OPTION_END,
};

struct parsed {
	V v;
	struct err e;
	int n;
	bool help;
	char *argv[16];
};

static void parse(struct parsed *p, bool stop_at_first, const char *const *words)
{
	struct option_parser op = { .own = specs,
				    .values = &p->v,
				    .shared = shared,
				    .shared_values = &p->v,
				    .elsewhere = elsewhere,
				    .stop_at_first = stop_at_first };
	int argc = 0;

	*p = (struct parsed){ 0 };
	for (; words[argc]; argc++)
		p->argv[argc] = (char *)words[argc];
	options_init(specs, &p->v);
	p->n = options_parse(&op, argc, p->argv, &p->e);
	p->help = op.help;
}
#define PARSE(p, ...) parse(p, false, (const char *const[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	struct parsed p;

	parse(&p, false, (const char *const[]){ NULL });
	assert_int_equal(p.n, 0);
	assert_true(p.v.deps);
	assert_false(p.v.detach);
	assert_string_equal(p.v.signal, "SIGKILL");
	assert_int_equal(p.v.timeout, -1);
	assert_null(p.v.files);
}

static void test_forms(void **state)
{
	struct parsed p;

	PARSE(&p, "web", "--detach", "-s", "TERM", "db", "--timeout=5");
	assert_int_equal(p.n, 2);
	assert_string_equal(p.argv[0], "web");
	assert_string_equal(p.argv[1], "db");
	assert_null(p.argv[2]);
	assert_true(p.v.detach);
	assert_string_equal(p.v.signal, "TERM");
	assert_int_equal(p.v.timeout, 5);

	PARSE(&p, "-dqt3", "-f", "a", "-fb", "-f=c", "--file", "d", "--deps=false", "--wait",
	      "1m30s");
	assert_true(p.v.detach && p.v.quiet && !p.v.deps);
	assert_int_equal(p.v.timeout, 3);
	assert_int_equal(strv_len(p.v.files), 4);
	assert_string_equal(p.v.files[2], "c");
	assert_int_equal(p.v.wait, 90 * (int64_t)NSEC_PER_SEC);
	options_done(specs, &p.v);
	assert_null(p.v.files);

	PARSE(&p, "--dry-run", "-");
	assert_true(p.v.dry_run);
	assert_int_equal(p.n, 1);
}

static void test_ends(void **state)
{
	struct parsed p;

	PARSE(&p, "-d", "--", "-q", "x");
	assert_int_equal(p.n, 2);
	assert_string_equal(p.argv[0], "-q");
	assert_false(p.v.quiet);

	parse(&p, true, (const char *const[]){ "-d", "web", "ls", "-q", NULL });
	assert_int_equal(p.n, 3);
	assert_string_equal(p.argv[2], "-q");
	assert_true(p.v.detach);
	assert_false(p.v.quiet);

	PARSE(&p, "--help");
	assert_true(p.help);
	PARSE(&p, "-dh");
	assert_true(p.help);
}

static void test_errors(void **state)
{
	static const struct {
		const char *words[3], *msg, *hint;
	} rows[] = {
		{ { "--detatch" }, "unknown flag: --detatch", "did you mean --detach?" },
		{ { "--xyzzy=1" }, "unknown flag: --xyzzy", "" },
		{ { "-dx" }, "unknown shorthand flag: 'x' in -dx", "" },
		{ { "-p", "x" },
		  "unknown shorthand flag: 'p' in -p",
		  "-p goes before the command's name" },
		{ { "--project-name=x" },
		  "unknown flag: --project-name",
		  "--project-name goes before the command's name" },
		{ { "--signal" }, "flag needs an argument: --signal", "" },
		{ { "-dt" }, "flag needs an argument: 't' in -dt", "" },
		{ { "-t", "abc" },
		  "invalid argument \"abc\" for \"-t, --timeout\" flag: strconv.ParseInt: parsing "
		  "\"abc\": invalid syntax",
		  "" },
		{ { "--detach=maybe" },
		  "invalid argument \"maybe\" for \"-d, --detach\" flag: strconv.ParseBool: "
		  "parsing "
		  "\"maybe\": invalid syntax",
		  "" },
		{ { "--wait=soon" },
		  "invalid argument \"soon\" for \"--wait\" flag: time: invalid duration \"soon\"",
		  "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parsed p;

		parse(&p, false, rows[i].words);
		assert_int_equal(p.n, -EINVAL);
		assert_string_equal(p.e.msg, rows[i].msg);
		assert_string_equal(p.e.hint, rows[i].hint);
	}
}

static void test_help(void **state)
{
	static const struct option_spec two[] = {
		OPTION_BOOL("detach", 'd', V, detach,
			    "Detached mode: Run containers in the background, which is what most "
			    "people want"),
		OPTION_HIDDEN_BOOL("quiet", 'q', V, quiet),
		OPTION_INT("timeout", 0, V, timeout, "-1", "Seconds"),
		OPTION_END,
	};
	struct capture c;

	options_help(capture_open(&c), two);
	capture_expect(
		&c,
		"\nOptions:\n"
		"  -d, --detach        Detached mode: Run containers in the background, which is\n"
		"                      what most people want\n"
		"      --timeout int   Seconds\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_forms),
		cmocka_unit_test(test_ends),     cmocka_unit_test(test_errors),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
