/* Scalars as Go writes them, order of keys, numbers, paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "compose/emit.h"
#include "compose/number.h"
#include "compose/paths.h"

static void check_yaml(const char *text, const char *want)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	struct arena *a = arena_new();
	struct node *map = node_map(a);

	node_put(a, map, "k", node_str(a, text));
	emit_yaml(map, &out);
	assert_true(out.len > 3);
	out.data[out.len - 1] = '\0';
	assert_string_equal(out.data + 3, want);
	arena_free(a);
}

static void test_quoting(void **state)
{
	check_yaml("plain", "plain");
	check_yaml("", "\"\"");
	check_yaml("true", "\"true\"");
	check_yaml("8080", "\"8080\"");
	check_yaml("yes", "\"yes\"");
	check_yaml("12:30", "\"12:30\"");
	check_yaml("2001-01-01", "\"2001-01-01\"");
	check_yaml("2001-01-01T10:20:30Z", "\"2001-01-01T10:20:30Z\"");
	check_yaml("2001-x", "2001-x");
	check_yaml("a: b", "'a: b'");
	check_yaml("it's: x", "'it''s: x'");
	check_yaml(" a", "' a'");
	check_yaml("a #b", "'a #b'");
	check_yaml("a#b", "a#b");
	check_yaml("- a", "'- a'");
	check_yaml("-a", "-a");
	check_yaml("<<", "\"<<\"");
	check_yaml("a\tb", "\"a\\tb\"");
	check_yaml("\x07", "\"\\a\"");
	check_yaml("\xf0\x9f\x98\x80", "\"\\U0001F600\"");
	check_yaml("\xc3\xbc", "\xc3\xbc");
	check_yaml("a\nb", "|-\n  a\n  b");
	check_yaml("a\n\nb\n", "|\n  a\n\n  b");
	check_yaml("\na\n", "|2\n\n  a");
	check_yaml("a \nb", "\"a \\nb\"");
}

static void test_json_strings(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	emit_json_string("a\"\\\n\t<&>\x01\xc3\xbc\xff", &out);
	assert_string_equal(buf_str(&out),
			    "\"a\\\"\\\\\\n\\t\\u003c\\u0026\\u003e\\u0001\xc3\xbc\\ufffd\"");
}

static void test_order_of_keys(void **state)
{
	static const char *const sorted[] = { "a", "a-b", "a.b", "a1", "a2", "a10", "ab", "b" };

	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			int r = emit_compare_keys(sorted[i], sorted[j]);

			assert_true(i < j ? r < 0 : i > j ? r > 0 : r == 0);
		}
}

static void test_numbers(void **state)
{
	char buf[NUMBER_TEXT_MAX];

	assert_string_equal(number_text(0.5, false, buf), "0.5");
	assert_string_equal(number_text(100000, false, buf), "100000");
	assert_string_equal(number_text(1234567, false, buf), "1.234567e+06");
	assert_string_equal(number_text(0.00001, false, buf), "1e-05");
	assert_string_equal(number_text(-0.25, false, buf), "-0.25");
	assert_string_equal(number_text(0.1f, true, buf), "0.1");
	assert_string_equal(number_text(INFINITY, false, buf), "+Inf");
	assert_string_equal(number_text(0, false, buf), "0");
	assert_string_equal(number_json(1234567, false, buf), "1234567");
	assert_string_equal(number_json(1e21, false, buf), "1e+21");
	assert_string_equal(number_json(1e-9, false, buf), "1e-9");
	assert_string_equal(number_json(1e-10, false, buf), "1e-10");
}

static void check_relative(const char *base, const char *path, const char *want)
{
	_cleanup_(free_p) char *rel = paths_relative(base, path);

	assert_string_equal(rel, want);
}

static void test_relative_paths(void **state)
{
	check_relative("/a/b", "/a/b", ".");
	check_relative("/a/b", "/a/b/c/d", "c/d");
	check_relative("/a/b", "/a/c", "../c");
	check_relative("/a/b", "/", "../..");
	check_relative("/", "/x", "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quoting),        cmocka_unit_test(test_json_strings),
		cmocka_unit_test(test_order_of_keys),  cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_relative_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
