/* dotenv files.  The rows are what Docker Compose 2.40 makes of the same text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/fd.h"
#include "compose/dotenv.h"

static int setup(void **state)
{
	*state = arena_new();
	return 0;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static struct interp_value lookup(const char *name, void *data)
{
	(void)data;
	if (streq(name, "ENVV"))
		return (struct interp_value){ "fromenv", "environment" };
	return (struct interp_value){ 0 };
}

static void warn(const char *name, const struct node *at, void *data)
{
	(void)at;
	buf_printf(data, "%s ", name);
}

/* Parse and write down "K=V|K=V", "K?" for bare keys without a value, or the error. */
static const char *parse_format(struct arena *a, const char *text, size_t n,
				enum dotenv_format format, struct buf *warned)
{
	const struct interp_vars vars = { lookup, warned ? warn : NULL, warned };
	struct dotenv d = { 0 };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	const char *out;

	if (dotenv_parse(a, "e", text, n, format, &vars, &d, &e) < 0)
		return arena_printf(a, "%d:%d: %s", e.line, e.col, e.msg);
	for (size_t i = 0; i < d.n; i++)
		buf_printf(&b, "%s%s%s%s", i ? "|" : "", d.entries[i].key,
			   d.entries[i].value ? "=" : "?",
			   d.entries[i].value ? d.entries[i].value : "");
	out = arena_strdup(a, buf_str(&b));
	buf_done(&b);
	return out;
}

struct row {
	const char *text, *expected;
};

static void check_rows(struct arena *a, const struct row *rows, size_t n, enum dotenv_format format)
{
	for (size_t i = 0; i < n; i++) {
		const char *got = parse_format(a, rows[i].text, strlen(rows[i].text), format, NULL);

		if (!streq(got, rows[i].expected))
			print_error("input: %s\n", rows[i].text);
		assert_string_equal(got, rows[i].expected);
	}
}

static void test_grammar(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		{ "# only\n\n", "" },
		{ "A=1\nB: 2\nexport C=3\nENVV\nNOPE\nD=\n", "A=1|B=2|C=3|ENVV=fromenv|NOPE?|D=" },
		{ "A=1 # c\nB=1#c\nC=\"x\" # c\nD='y' z\nE=2", "A=1|B=1#c|C=x|D=y|z?|E=2" },
		{ "A=\"x\" B=2\nC=3", "A=x|B=2|C=3" },
		{ "A='x'y=2\nC=3", "A=x|y=2|C=3" },
		{ "A=$ENVV\nB=${A}-x\nC=\"${B}\"\nD='$A'\n",
		  "A=fromenv|B=fromenv-x|C=fromenv-x|D=$A" },
		{ "ENVV=local\nB=$ENVV\n", "ENVV=local|B=fromenv" },
		{ "A=1\nA=2\nB=$A\n", "A=1|A=2|B=2" },
		{ "A=\"a\\nb\\tc\\\"d\\$ENVV \\\\ \\0101 \\x41 \\q \\e\"\n",
		  "A=a\nb\tc\"d$ENVV \\ A \\x41 \\q \\e" },
		{ "A=\"\\0301\\0400\\012\"", "A=\xc3\x81\\0400\\012" },
		{ "A='it\\'s'\n", "A=it's" },
		{ "A='a\\nb'\n", "A=a\\nb" },
		{ "A=\"multi\nline\"\nB=2\n", "A=multi\nline|B=2" },
		{ "A=a=b=c\nB=x:y\n", "A=a=b=c|B=x:y" },
		{ "A = 1\nB =2\nC= 3\n", "A=1|B=2|C=3" },
		{ "  A=1\n\tB=2\n", "A=1|B=2" },
		{ "\xc3\xa9=1\nA.b-c[0]=2\n", "\xc3\xa9=1|A.b-c[0]=2" },
		{ "\xef\xbb\xbf"
		  "A=1\n",
		  "A=1" },
		{ "A=1\r\nB=2\r\n", "A=1|B=2" },
		{ "A=\"1\"\r\nB=\"2\"\r\nC\r\nD=4\r\n", "A=1|B=2|C?|D=4" },
		{ "1A=x\n", "1A=x" },
		{ "exportA=1\nexport  B=2\nexport\tC=3\nexport D\nexport=5\n",
		  "exportA=1|B=2|C=3|D?|export=5" },
		{ "A=${U:-d}\nB=$U\n", "A=d|B=" },
		{ "NOPE", "NOPE?" },
		{ "ENVV", "ENVV=fromenv" },
		{ "A=1\nA", "A=1|A=1" },
		{ "A=\" x \"\nB=  y  \n", "A= x |B=y" },
		{ "A=`x`\nB=$(ls)\n", "A=`x`|B=$(ls)" },
		{ "A=#x\nB= #x\nC=a #\n", "A=#x|B=#x|C=a" },
		{ "A=\"\\\\n\"\n", "A=\\n" },
		{ "A: \"q\"\nB:\n", "A=q|B=" },
		{ "A\xc2\xa0=1\xc2\xa0\n", "A=1" },
		{ "A=$$B\n", "A=$B" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), DOTENV_COMPOSE);
}

static void test_errors(void **state)
{
	static const struct row rows[] = {
		{ "A B=1\n", "1:1: failed to read e: line 1: key cannot contain a space" },
		{ "A=x\nNOPE B\nC=2\n",
		  "2:1: failed to read e: line 2: key cannot contain a space" },
		{ "A!=1\n", "1:2: failed to read e: line 1: unexpected character \"!\" in variable "
			    "name \"A!=1\"" },
		{ "A=1\n\nB$=1\r\n", "3:2: failed to read e: line 3: unexpected character \"$\" in "
				     "variable name \"B$=1\"" },
		{ "=1\n", "1:1: failed to read e: line 1: unexpected character \"=\" in variable "
			  "name \"=1\"" },
		{ "# c\nA=\"x\nB=2\n",
		  "2:3: failed to read e: line 2: unterminated quoted value \"x" },
		{ "A='x", "1:3: failed to read e: line 1: unterminated quoted value 'x" },
		{ "A=\"x\\", "1:3: failed to read e: line 1: unterminated quoted value \"x\\" },
		{ "A=\"a\n\nb\"\nB!=1", "4:2: failed to read e: line 4: unexpected character \"!\" "
					"in variable name \"B!=1\"" },
		{ "A=1\nB=${U?no}\n",
		  "2:3: failed to read e: required variable U is missing a value: no" },
		{ "A=${\n", "1:3: failed to read e: Invalid template: \"${\"" },
		{ "A=\"${\"\n", "1:3: failed to read e: Invalid template: \"${\"" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), DOTENV_COMPOSE);
	assert_string_equal(parse_format(*state, "A=1\nB=\0", 7, DOTENV_COMPOSE, NULL),
			    "2:3: failed to read e: line 2: NUL byte");
}

static void test_raw(void **state)
{
	static const struct row rows[] = {
		{ "A=\"x\" # c\nB=$A\nENVV\nNOPE\n# c\n  C=1\nD= x \n",
		  "A=\"x\" # c|B=$A|ENVV=fromenv|NOPE?|C=1|D= x " },
		{ "A=1\r\n\r\nB", "A=1|B?" },
		{ "\xef\xbb\xbf"
		  "A=1\n",
		  "A=1" },
		{ "A==\nB=\n", "A==|B=" },
		{ "A B=1\n",
		  "1:1: failed to parse env_file e: variable 'A B' contains whitespaces" },
		{ "X=1\n =1\n", "2:2: failed to parse env_file e: no variable name on line '=1'" },
		{ "A =1\n", "1:1: failed to parse env_file e: variable 'A ' contains whitespaces" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), DOTENV_RAW);
}

static void test_warnings(void **state)
{
	static const char text[] = "A=$U\nB=${V:-x}\nC='$W'\n";
	_cleanup_(buf_done) struct buf warned = BUF_INIT;

	parse_format(*state, text, strlen(text), DOTENV_COMPOSE, &warned);
	assert_string_equal(buf_str(&warned), "U ");
}

static void test_files_one_after_another(void **state)
{
	struct arena *a = *state;
	struct dotenv d = { 0 };

	assert_int_equal(dotenv_parse(a, "1", "A=1\n", 4, DOTENV_COMPOSE, NULL, &d, NULL), 0);
	assert_int_equal(dotenv_parse(a, "2", "\nA=2$A\n", 7, DOTENV_COMPOSE, NULL, &d, NULL), 0);
	assert_string_equal(dotenv_get(&d, "A")->value, "21");
	assert_int_equal(dotenv_get(&d, "A")->line, 2);
	assert_int_equal(dotenv_get(&d, "A")->col, 1);
	assert_null(dotenv_get(&d, "B"));
}

static void test_doubling_is_refused(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	buf_adds(&b, "A=xxxxxxxxxxxxxxxx\n");
	for (int i = 0; i < 64; i++)
		buf_adds(&b, "A=$A$A\n");
	assert_string_equal(parse_format(*state, buf_str(&b), b.len, DOTENV_COMPOSE, NULL),
			    "18:3: failed to read e: value grows beyond 1 MiB");
}

static void test_read(void **state)
{
	char path[] = "/tmp/test_dotenv.XXXXXX";
	struct arena *a = *state;
	struct dotenv d = { 0 };
	struct err e = ERR_INIT;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, "A=1\n", 4), 0);
	close(fd);
	assert_int_equal(dotenv_read(a, AT_FDCWD, path, DOTENV_COMPOSE, NULL, &d, &e), 0);
	assert_string_equal(dotenv_get(&d, "A")->value, "1");
	unlink(path);
	assert_int_equal(dotenv_read(a, AT_FDCWD, path, DOTENV_COMPOSE, NULL, &d, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "couldn't find env file: /tmp/test_dotenv."));
	assert_int_equal(dotenv_read(a, AT_FDCWD, "/tmp", DOTENV_COMPOSE, NULL, &d, &e), -EISDIR);
	assert_string_equal(e.msg, "/tmp is a directory");
	assert_int_equal(dotenv_read(a, AT_FDCWD, "/dev/null", DOTENV_COMPOSE, NULL, &d, &e), 0);
}

static void test_format_names(void **state)
{
	enum dotenv_format format;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(dotenv_format_parse("raw", &format, &e), 0);
	assert_int_equal(format, DOTENV_RAW);
	assert_int_equal(dotenv_format_parse("", &format, &e), 0);
	assert_int_equal(format, DOTENV_COMPOSE);
	assert_int_equal(dotenv_format_parse("foo", &format, &e), -EINVAL);
	assert_string_equal(e.msg, "unsupported env_file format \"foo\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grammar, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_raw, setup, teardown),
		cmocka_unit_test_setup_teardown(test_warnings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_one_after_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doubling_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test(test_format_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
