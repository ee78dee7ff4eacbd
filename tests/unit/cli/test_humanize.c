/* Durations, sizes and points in time in Docker's words. */
#include "tests/unit/cli/capture.h"

#include <time.h>

#include "cli/humanize.h"

static void test_duration(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} rows[] = {
		{ 0, "Less than a second" }, { 1, "1 second" },          { 45, "45 seconds" },
		{ 60, "About a minute" },    { 119, "About a minute" },  { 120, "2 minutes" },
		{ 3599, "59 minutes" },      { 3600, "About an hour" },  { 5400, "2 hours" },
		{ 47 * 3600, "47 hours" },   { 48 * 3600, "2 days" },    { 13 * 86400, "13 days" },
		{ 14 * 86400, "2 weeks" },   { 60 * 86400, "2 months" }, { 730 * 86400, "2 years" },
	};
	char buf[HUMAN_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(human_duration(rows[i].seconds * NSEC_PER_SEC, buf),
				    rows[i].text);
	assert_string_equal(human_ago(0, buf), "N/A");
	assert_string_equal(human_ago(now_real_ns() + NSEC_PER_SEC, buf), "Less than a second ago");
}

static void test_size(void **state)
{
	char buf[HUMAN_MAX];

	assert_string_equal(human_size(0, buf), "0B");
	assert_string_equal(human_size(999, buf), "999B");
	assert_string_equal(human_size(7660, buf), "7.66kB");
	assert_string_equal(human_size(1094000000, buf), "1.094GB");
	assert_string_equal(human_size(UINT64_MAX, buf), "18.45EB");
}

static void test_duration_parse(void **state)
{
	static const char *const bad[] = { "", "-", "x", "1x", "1h2", "0x1s", "1e400s", "inf" };
	int64_t ns;

	assert_int_equal(duration_parse("90", &ns), 0);
	assert_int_equal(ns, 90 * (int64_t)NSEC_PER_SEC);
	assert_int_equal(duration_parse("1h2m3.5s", &ns), 0);
	assert_int_equal(ns, INT64_C(3723500000000));
	assert_int_equal(duration_parse("-150ms", &ns), 0);
	assert_int_equal(ns, -INT64_C(150000000));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(duration_parse(bad[i], &ns) < 0);
}

static void test_time_point(void **state)
{
	uint64_t now = UINT64_C(1700000000) * NSEC_PER_SEC, t;
	struct err e = ERR_INIT;

	assert_int_equal(time_point_parse("42m", now, &t, &e), 0);
	assert_int_equal(t, now - 2520 * NSEC_PER_SEC);
	assert_int_equal(time_point_parse("2013-01-02T13:23:37Z", now, &t, &e), 0);
	assert_int_equal(t, UINT64_C(1357133017) * NSEC_PER_SEC);
	assert_int_equal(time_point_parse("1136073845.5", now, &t, &e), 0);
	assert_int_equal(t, UINT64_C(1136073845500000000));
	setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(time_point_parse("2013-01-02", now, &t, &e), 0);
	assert_int_equal(t, UINT64_C(1357084800) * NSEC_PER_SEC);
	assert_int_equal(time_point_parse("2013-01-02T13:23", now, &t, &e), 0);
	assert_true(time_point_parse("yesterday", now, &t, &e) < 0);
	assert_string_equal(e.msg, "failed to parse value as time or duration: \"yesterday\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_duration_parse),
		cmocka_unit_test(test_time_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
