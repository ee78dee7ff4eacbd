/* Numbers, times, words: what reads and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/util.h"

static void test_parse_u64(void **state)
{
	static const char *const bad[] = { "",        " 1",  "+1",  "-1",
					   "1 ",      "0x1", "1e3", "18446744073709551616",
					   "\xd9\xa1" };
	uint64_t v = 5;

	assert_true(parse_u64("0", &v));
	assert_int_equal(v, 0);
	assert_true(parse_u64("007", &v));
	assert_int_equal(v, 7);
	assert_true(parse_u64("18446744073709551615", &v));
	assert_true(v == UINT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(parse_u64(bad[i], &v));
	assert_true(v == UINT64_MAX); /* untouched by failures */
}

static void test_parse_i64(void **state)
{
	static const char *const bad[] = {
		"", "-", "--1", "- 1", "9223372036854775808", "-9223372036854775809"
	};
	int64_t v = 0;

	assert_true(parse_i64("-9223372036854775808", &v));
	assert_true(v == INT64_MIN);
	assert_true(parse_i64("9223372036854775807", &v));
	assert_true(v == INT64_MAX);
	assert_true(parse_i64("-0", &v));
	assert_int_equal(v, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(parse_i64(bad[i], &v));
}

static void test_time(void **state)
{
	static const char *const bad[] = {
		"",
		"2026-11-20",
		"2026-11-20T12:00:00+0100",
		"2026-11-20T12:00:00Zz",
		"2026-11-20T12:00:00+1:00",
		"2026-13-20T12:00:00Z",
		"1969-12-31T23:59:59Z",
		"2600-01-01T00:00:00Z", /* beyond 64 bits of nanoseconds */
		"9999-12-31T23:59:59Z",
	};
	char text[TIME_TEXT_MAX];
	uint64_t t;

	assert_int_equal(time_parse("2026-11-20T12:00:00.123456789Z", &t), 0);
	assert_string_equal(time_format(t, text), "2026-11-20T12:00:00.123456789Z");
	assert_int_equal(time_parse("2026-11-20T12:00:00.5+01:30", &t), 0);
	assert_string_equal(time_format(t, text), "2026-11-20T10:30:00.500000000Z");
	assert_int_equal(time_parse("2026-11-20T12:00:00-00:30", &t), 0);
	assert_string_equal(time_format(t, text), "2026-11-20T12:30:00.000000000Z");
	assert_int_equal(time_parse("1970-01-01T00:00:00.0000000019Z", &t), 0);
	assert_int_equal(t, 1);
	assert_int_equal(time_parse("2553-01-01T00:00:00Z", &t), 0);
	assert_string_equal(time_format(t, text), "2553-01-01T00:00:00.000000000Z");
	assert_string_equal(time_format(UINT64_MAX, text), "2554-07-21T23:34:33.709551615Z");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(time_parse(bad[i], &t), -22);
}

static void test_strings(void **state)
{
	char *s = NULL;

	str_set(&s, "abcdef");
	str_set(&s, s + 3); /* a part of itself */
	assert_string_equal(s, "def");
	str_set(&s, NULL);
	assert_null(s);
	assert_true(streq_null(NULL, NULL));
	assert_false(streq_null("", NULL));
	assert_true(has_suffix("abc", "bc"));
	assert_false(has_suffix("c", "bc"));
	assert_string_equal(skip_prefix("abc", "ab"), "c");
	assert_null(skip_prefix("a", "ab"));
	s = xstrndup("abc", 99);
	assert_string_equal(s, "abc");
	free(s);
	s = xmemdup("", 0);
	assert_non_null(s);
	free(s);
}

static void test_nearest(void **state)
{
	static const char *const words[] = { "environment", "entrypoint", "ports", "port", "x" };

	assert_int_equal(edit_distance("", "abc"), 3);
	assert_int_equal(edit_distance("ab", "ba"), 1);
	assert_int_equal(edit_distance("kitten", "sitting"), 3);
	assert_string_equal(nearest_word("enviroment", words, 5), "environment");
	assert_string_equal(nearest_word("prot", words, 5), "port");
	assert_null(nearest_word("zzz", words, 5));
	assert_null(nearest_word("y", words, 5)); /* one letter for another is no suggestion */
	assert_null(nearest_word("", words, 5));
	assert_null(nearest_word("a word that is longer than sixty-four characters, as some are",
				 words, 5));
}

static void test_random(void **state)
{
	char a[65], b[65];

	random_hex(a, 32);
	random_hex(b, 32);
	assert_int_equal(strspn(a, "0123456789abcdef"), 64);
	assert_int_equal(strlen(a), 64);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_u64), cmocka_unit_test(test_parse_i64),
		cmocka_unit_test(test_time),      cmocka_unit_test(test_strings),
		cmocka_unit_test(test_nearest),   cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
