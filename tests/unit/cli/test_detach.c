/* tests/unit/cli/test_detach.c: keys that leave, and what goes through around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/detach.h"

static void test_parse(void **state)
{
	static const char *const bad[] = {
		"ctrl-", "ctrl-1", "ab", "a,,b", "ctrl-p,", "", "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"
	};
	struct detach_keys d;

	assert_int_equal(detach_keys_parse(DETACH_KEYS_DEFAULT, &d, NULL), 0);
	assert_int_equal(d.n, 2);
	assert_memory_equal(d.keys, "\x10\x11", 2);
	assert_int_equal(detach_keys_parse("x,ctrl-[,ctrl-@,ctrl-z", &d, NULL), 0);
	assert_memory_equal(d.keys, "x\x1b\0\x1a", 4);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (detach_keys_parse(bad[i], &d, NULL) == 0)
			fail_msg("\"%s\" was accepted", bad[i]);
}

/* @in arrives in pieces of @piece; what came through, and "!" when it detached. */
static void type(const char *keys, const char *in, size_t piece, const char *want)
{
	char all[256] = "", out[64 + DETACH_KEYS_MAX];
	struct detach_keys d;
	bool detached = false;
	size_t n = strlen(in);

	assert_int_equal(detach_keys_parse(keys, &d, NULL), 0);
	for (size_t i = 0; i < n && !detached; i += piece) {
		size_t len = detach_filter(&d, in + i, MIN(piece, n - i), out, &detached);

		assert_true(len <= piece + DETACH_KEYS_MAX);
		strncat(all, out, len);
	}
	if (detached)
		strcat(all, "!");
	assert_string_equal(all, want);
}

static void test_filter(void **state)
{
	for (size_t piece = 1; piece < 10; piece++) {
		type("ctrl-p,ctrl-q", "ab\x10\x11rest", piece, "ab!");
		type("ctrl-p,ctrl-q", "a\x10x\x10\x10\x11", piece, "a\x10x\x10!");
		type("ctrl-p,ctrl-q", "\x11\x11", piece, "\x11\x11");
		type("a,a,b", "aaab", piece, "a!");
		type("a,b,a,c", "ababac", piece, "ab!");
		type("a,b,a,c", "abab", piece, "ab"); /* "ab" is held back: it may go on */
		type("x", "x", piece, "!");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
