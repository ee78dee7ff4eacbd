/* pull_policy: which words there are, and what each says about an image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/util.h"
#include "compose/pull_policy.h"

#define HOUR (3600 * NSEC_PER_SEC)

static const struct {
	const char *text;
	bool missing, fresh, hours_25, days_8; /* pull it when it is so? */
} rows[] = {
	{ NULL, true, false, false, false },
	{ "missing", true, false, false, false },
	{ "if_not_present", true, false, false, false },
	{ "always", true, true, true, true },
	{ "never", false, false, false, false },
	{ "build", false, false, false, false },
	{ "daily", true, false, true, true },
	{ "weekly", true, false, false, true },
	{ "every_12h", true, false, true, true },
	{ "every_1d12h", true, false, false, true },
	{ "every_1w", true, false, false, true },
	{ "every_2w", true, false, false, false },
	{ "every_0s", true, true, true, true },
	{ "refresh", true, true, true, true },
};

static bool wants(const char *text, bool present, uint64_t age)
{
	const uint64_t now = UINT64_C(1000000) * HOUR;
	const struct pull_state state = { present, now - age, now };
	struct pull_policy p;

	assert_int_equal(pull_policy_parse(text, &p, NULL), 0);
	return pull_policy_wants(&p, &state);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(wants(rows[i].text, false, 0), rows[i].missing);
		assert_int_equal(wants(rows[i].text, true, HOUR / 60), rows[i].fresh);
		assert_int_equal(wants(rows[i].text, true, 25 * HOUR), rows[i].hours_25);
		assert_int_equal(wants(rows[i].text, true, 8 * 24 * HOUR), rows[i].days_8);
	}
}

static void test_clock_set_back(void **state)
{
	const struct pull_state state_ahead = { true, 2 * HOUR, HOUR };
	struct pull_policy p;

	assert_int_equal(pull_policy_parse("weekly", &p, NULL), 0);
	assert_true(pull_policy_wants(&p, &state_ahead));
}

static void test_bad(void **state)
{
	static const char *const bad[] = { "sometimes", "every_", "every_x", "every_-1h",
					   "Always" };
	struct pull_policy p;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(pull_policy_parse(bad[i], &p, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_clock_set_back),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
