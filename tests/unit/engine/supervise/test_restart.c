/* tests/unit/engine/supervise/test_restart.c: the restart rules as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/supervise/restart.h"

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

static void test_modes(void **state)
{
	static const struct {
		enum restart_mode mode;
		int code;
		bool stopped, restart;
	} rows[] = {
		{ RESTART_NO, 0, false, false },
		{ RESTART_NO, 1, false, false },
		{ RESTART_NO, 137, true, false },
		{ RESTART_ALWAYS, 0, false, true },
		{ RESTART_ALWAYS, 1, false, true },
		{ RESTART_ALWAYS, 143, false, true },
		{ RESTART_ALWAYS, 0, true, false },
		{ RESTART_ALWAYS, 137, true, false },
		{ RESTART_ON_FAILURE, 0, false, false },
		{ RESTART_ON_FAILURE, 1, false, true },
		{ RESTART_ON_FAILURE, 137, false, true },
		{ RESTART_ON_FAILURE, 143, true, false },
		{ RESTART_UNLESS_STOPPED, 0, false, true },
		{ RESTART_UNLESS_STOPPED, 1, false, true },
		{ RESTART_UNLESS_STOPPED, 1, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct restart_spec p = { .mode = rows[i].mode };
		struct restart_history h = { .exit_code = rows[i].code,
					     .run_ns = 20 * S,
					     .user_stopped = rows[i].stopped };
		struct restart_decision d = restart_decide(&p, &h);

		assert_int_equal(d.restart, rows[i].restart);
		assert_non_null(d.why);
		assert_int_equal(d.attempts, rows[i].restart ? 1 : 0);
	}
}

/* A crash loop of runs of @run each: the delays one after the other. */
static void expect_delays(const struct restart_spec *p, uint64_t run, bool healthy,
			  const uint64_t *delays, size_t n)
{
	struct restart_history h = { .exit_code = 1, .run_ns = run, .was_healthy = healthy };

	for (size_t i = 0; i < n; i++) {
		struct restart_decision d = restart_decide(p, &h);

		assert_true(d.restart);
		assert_int_equal(d.delay_ns, delays[i]);
		assert_int_equal(d.attempts, i + 1);
		h.attempts = d.attempts;
		h.failures = d.failures;
	}
}

static void test_delays(void **state)
{
	struct restart_spec always = { .mode = RESTART_ALWAYS };
	struct restart_spec delayed = { .mode = RESTART_ALWAYS, .delay = 7 * S };
	static const uint64_t loop[] = { 100 * MS,  200 * MS,  400 * MS,   800 * MS,   1600 * MS,
					 3200 * MS, 6400 * MS, 12800 * MS, 25600 * MS, 51200 * MS,
					 60 * S,    60 * S,    60 * S };
	static const uint64_t healthy[] = { 0, 100 * MS, 200 * MS, 400 * MS };
	static const uint64_t none[] = { 0, 0, 0 };
	static const uint64_t fixed[] = { 7 * S, 7 * S, 7 * S };

	expect_delays(&always, 0, false, loop, ARRAY_SIZE(loop));
	expect_delays(&always, 10 * S - 1, false, loop, ARRAY_SIZE(loop));
	expect_delays(&always, 10 * S, false, none, ARRAY_SIZE(none));
	expect_delays(&always, S, true, healthy, ARRAY_SIZE(healthy));
	expect_delays(&delayed, 0, false, fixed, ARRAY_SIZE(fixed));
	expect_delays(&delayed, 100 * S, false, fixed, ARRAY_SIZE(fixed));
}

static void test_long_run_resets(void **state)
{
	struct restart_spec p = { .mode = RESTART_ALWAYS };
	struct restart_history h = { .exit_code = 1, .run_ns = 11 * S, .failures = 9 };
	struct restart_decision d = restart_decide(&p, &h);

	assert_int_equal(d.delay_ns, 0);
	assert_int_equal(d.failures, 0);
	h.failures = INT32_MAX;
	h.run_ns = 0;
	d = restart_decide(&p, &h);
	assert_int_equal(d.failures, INT32_MAX);
	assert_int_equal(d.delay_ns, RESTART_DELAY_MAX);
}

static void test_attempts(void **state)
{
	struct restart_spec p = { .mode = RESTART_ON_FAILURE, .max_attempts = 3 };
	struct restart_history h = { .exit_code = 1 };
	struct restart_decision d;
	int n = 0;

	while (n < 10) {
		d = restart_decide(&p, &h);
		h.attempts = d.attempts;
		h.failures = d.failures;
		if (!d.restart)
			break;
		n++;
	}
	assert_int_equal(n, 3);
	/* Without a window a long run changes nothing, as in Docker. */
	h.run_ns = 3600 * S;
	assert_false(restart_decide(&p, &h).restart);
	/* With one, a run of that length is a success. */
	p.window = 60 * S;
	d = restart_decide(&p, &h);
	assert_true(d.restart);
	assert_int_equal(d.attempts, 1);
	h.run_ns = 59 * S;
	assert_false(restart_decide(&p, &h).restart);
}

static void test_boot(void **state)
{
	for (enum restart_mode m = RESTART_NO; m <= RESTART_UNLESS_STOPPED; m++) {
		struct restart_spec p = { .mode = m };
		bool back = m == RESTART_ALWAYS || m == RESTART_UNLESS_STOPPED;

		assert_int_equal(restart_at_boot(&p, true), back);
		assert_false(restart_at_boot(&p, false));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),    cmocka_unit_test(test_delays),
		cmocka_unit_test(test_attempts), cmocka_unit_test(test_long_run_resets),
		cmocka_unit_test(test_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
