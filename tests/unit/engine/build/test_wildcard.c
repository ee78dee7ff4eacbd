/* Go's filepath.Match, and ** on top of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/build/wildcard.h"

static const struct {
	const char *pattern, *name;
	bool matches;
} plain[] = {
	{ "abc", "abc", true },
	{ "*", "abc", true },
	{ "*c", "abc", true },
	{ "a*", "a", true },
	{ "a*", "abc", true },
	{ "a*", "ab/c", false },
	{ "a*/b", "abc/b", true },
	{ "a*/b", "a/c/b", false },
	{ "a*b*c*d*e*/f", "axbxcxdxe/f", true },
	{ "a*b*c*d*e*/f", "axbxcxdxexxx/f", true },
	{ "a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false },
	{ "a*b?c*x", "abxbbxdbxebxczzx", true },
	{ "a*b?c*x", "abxbbxdbxebxczzy", false },
	{ "ab[c]", "abc", true },
	{ "ab[b-d]", "abc", true },
	{ "ab[e-g]", "abc", false },
	{ "ab[^c]", "abc", false },
	{ "ab[^b-d]", "abc", false },
	{ "ab[^e-g]", "abc", true },
	{ "a\\*b", "a*b", true },
	{ "a\\*b", "ab", false },
	{ "a?b",
	  "a\xe2\x98\xba"
	  "b",
	  true }, /* one character of three bytes */
	{ "a[^a]b",
	  "a\xe2\x98\xba"
	  "b",
	  true },
	{ "a???b",
	  "a\xe2\x98\xba"
	  "b",
	  false },
	{ "[a-\xce\xb6]*", "\xce\xb1", true },
	{ "*[a-\xce\xb6]", "A", false },
	{ "a?b", "a/b", false },
	{ "a*b", "a/b", false },
	{ "a?", "a\xff", true }, /* not UTF-8: one byte, one character */
	{ "[\\]a]", "]", true },
	{ "[\\-]", "-", true },
	{ "[x\\-]", "x", true },
	{ "[x\\-]", "-", true },
	{ "[x\\-]", "z", false },
	{ "[\\-x]", "a", false },
	{ "*x", "xxx", true },
	{ "", "", true },
	{ "", "a", false },
	{ "**", "a/b", false }, /* twice * */
	{ "**", "ab", true },
};

static const struct {
	const char *pattern, *name;
	bool matches;
} deep[] = {
	{ "**", "file", true },
	{ "**", "dir/file", true },
	{ "**/", "dir/file", true },
	{ "**/**", "dir/file", true },
	{ "dir/**", "dir/file", true },
	{ "dir/**", "dir/dir2/file", true },
	{ "dir/**", "dir", false },
	{ "**/dir2/*", "dir/dir2/file", true },
	{ "**/dir2/**", "dir/dir2/dir2/file", true },
	{ "**file", "file", true },
	{ "**file", "dir/file", true },
	{ "**/file", "dir/dir/file", true },
	{ "**/file*", "dir/dir/file.txt", true },
	{ "**/file*txt", "dir/dir/file.txt", true },
	{ "**/file*.txt*", "dir/dir/file.txt", true },
	{ "**/**/*.txt", "dir/dir/file.txt", true },
	{ "**/**/*.txt2", "dir/dir/file.txt", false },
	{ "**/*.txt", "file.txt", true },
	{ "a**/*.txt", "a/file.txt", true },
	{ "a**/*.txt", "a/dir/file.txt", true },
	{ "a/*.txt", "a/dir/file.txt", false },
	{ "a/*.txt**", "a/file.txt", true },
	{ "a/b/**/c", "a/b/c", true },
	{ "a/b/**/c", "a/b/x/y/c", true },
	{ "a/b/**/c", "a/bc", false },
	{ "**/x**/y", "x/xy", true },
	{ "**/.foo", ".foo", true },
	{ "**/.foo", "bar.foo", false },
	{ "**bar", "foobar", true },
	{ "a.c", "abc", false },
	{ "a(b)", "a(b)", true },
	{ "a+", "aaa", false },
	{ "abc.def", "abcZdef", false },
	{ "?(bar)", "x(bar)", true },
};

static void test_matches(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (wildcard_match(plain[i].pattern, plain[i].name) != plain[i].matches)
			fail_msg("%s on %s", plain[i].pattern, plain[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(deep); i++)
		if (wildcard_match_deep(deep[i].pattern, deep[i].name) != deep[i].matches)
			fail_msg("%s on %s", deep[i].pattern, deep[i].name);
}

static void test_bad(void **state)
{
	static const char *const bad[] = { "[",  "[]",   "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]",
					   "[^", "[^bc", "a[",   "a\\", "[a",   "[a-",  "[\\" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;

		if (wildcard_check(bad[i], &e) != -EINVAL || !strstr(e.msg, "bad pattern"))
			fail_msg("%s is not refused: %s", bad[i], e.msg);
		assert_false(wildcard_match(bad[i], "a"));
	}
}

/* Exponential matchers would sit here until the sun burns out. */
static void test_hostile(void **state)
{
	char pattern[200] = "", name[400];

	for (int i = 0; i < 40; i++)
		strcat(pattern, "a*");
	strcat(pattern, "b");
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_false(wildcard_match(pattern, name));
	assert_false(wildcard_match_deep("**/**/a/**/a/**/a/**/b", name));
}

static void test_text(void **state)
{
	static const char *const fixed[][2] = {
		{ "a/b/*.c", "a/b" },      { "*.c", "" },     { "a*/b", "" }, { "a/b", "a/b" },
		{ "/srv/[ab]/c", "/srv" }, { "a/**/b", "a" }, { "", "" },
	};
	char *quoted = wildcard_quote("a*[b]?\\c");

	assert_string_equal(quoted, "a\\*\\[b]\\?\\\\c");
	assert_true(wildcard_match(quoted, "a*[b]?\\c"));
	free(quoted);
	assert_true(wildcard_is_pattern("a[b"));
	assert_false(wildcard_is_pattern("a/b.c"));
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		char *got = wildcard_fixed_part(fixed[i][0]);

		assert_string_equal(got, fixed[i][1]);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
