/* tests/unit/engine/supervise/test_health.c: the health machine on a made-up clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "engine/supervise/health.h"

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

static char *check[] = { "CMD", "true", NULL };
static char *none[] = { "NONE", NULL };

/* Wait for the next probe, run it for @took, end it with @code.  Returns when it ended. */
static uint64_t probe(struct health *h, uint64_t took, int code)
{
	uint64_t at = health_next(h);

	assert_int_not_equal(at, HEALTH_NEVER);
	health_probe_started(h, at, at);
	assert_int_equal(health_next(h), at + h->timeout);
	(void)health_probe_ended(h, code, "out", 3, at + took, at + took);
	return at + took;
}

static void test_none(void **state)
{
	struct health_spec specs[] = { { 0 }, { .test = none } };

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		struct health h;

		health_init(&h, specs + i);
		health_run_started(&h, 5);
		assert_int_equal(h.status, HEALTH_NONE);
		assert_int_equal(health_next(&h), HEALTH_NEVER);
		health_adopted(&h, HEALTH_HEALTHY, 5, 6);
		assert_int_equal(h.status, HEALTH_NONE);
		health_done(&h);
	}
}

static void test_defaults(void **state)
{
	struct health_spec spec = { .test = check };
	struct health h;

	health_init(&h, &spec);
	assert_int_equal(h.interval, 30 * S);
	assert_int_equal(h.timeout, 30 * S);
	assert_int_equal(h.start_interval, 5 * S);
	assert_int_equal(h.retries, 3);
	spec.interval = 2 * S;
	health_init(&h, &spec);
	assert_int_equal(h.start_interval, 2 * S); /* never slower than interval */
}

static void test_fast_until_ready(void **state)
{
	struct health_spec spec = { .test = check };
	static const uint64_t pauses[] = { 200 * MS,  400 * MS, 800 * MS, 1600 * MS,
					   3200 * MS, 5 * S,    5 * S };
	struct health h;
	uint64_t now;

	health_init(&h, &spec);
	health_run_started(&h, 0);
	assert_int_equal(health_next(&h), 100 * MS);
	for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
		now = probe(&h, 10 * MS, 1);
		assert_int_equal(health_next(&h), now + pauses[i]);
		assert_int_equal(h.status, HEALTH_STARTING);
		assert_int_equal(h.failing_streak, 0);
	}
	now = probe(&h, 10 * MS, 0);
	assert_int_equal(h.status, HEALTH_HEALTHY);
	assert_true(h.ready_once);
	assert_int_equal(health_next(&h), now + 30 * S);
	health_done(&h);
}

/* Fast probes do not make it unhealthy any earlier than slow ones would. */
static void test_unhealthy_not_early(void **state)
{
	struct health_spec spec = { .test = check, .interval = 10 * S, .start_period = 60 * S };
	struct health h;
	uint64_t now = 0;

	health_init(&h, &spec);
	health_run_started(&h, 0);
	while (h.status == HEALTH_STARTING)
		now = probe(&h, MS, 1);
	assert_int_equal(h.status, HEALTH_UNHEALTHY);
	assert_int_equal(h.failing_streak, 3);
	assert_true(now >= 60 * S + 20 * S && now < 60 * S + 36 * S);
	assert_false(h.ready_once);
	assert_int_equal(health_next(&h), now + 10 * S);
	health_done(&h);
}

static void test_healthy_unhealthy_healthy(void **state)
{
	struct health_spec spec = { .test = check, .interval = S, .timeout = 2 * S, .retries = 2 };
	struct health h;

	health_init(&h, &spec);
	health_run_started(&h, 0);
	probe(&h, MS, 0);
	probe(&h, MS, 1);
	assert_int_equal(h.status, HEALTH_HEALTHY);
	probe(&h, MS, 0); /* in a row, it must be */
	probe(&h, MS, HEALTH_EXIT_TIMEOUT);
	assert_int_equal(h.status, HEALTH_HEALTHY);
	assert_int_equal(h.failing_streak, 1);
	probe(&h, MS, 2);
	assert_int_equal(h.status, HEALTH_UNHEALTHY);
	probe(&h, MS, 0);
	assert_int_equal(h.status, HEALTH_HEALTHY);
	assert_int_equal(h.failing_streak, 0);
	assert_int_equal(h.n_log, 5);
	health_done(&h);
}

static void test_changes_are_told(void **state)
{
	struct health_spec spec = { .test = check, .interval = S, .retries = 1 };
	static const struct {
		int code;
		bool changed;
	} steps[] = { { 0, true }, { 0, false }, { 1, true }, { 1, false }, { 0, true } };
	struct health h;

	health_init(&h, &spec);
	health_run_started(&h, 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		uint64_t at = health_next(&h);

		health_probe_started(&h, at, at);
		assert_int_equal(health_probe_ended(&h, steps[i].code, NULL, 0, at, at),
				 steps[i].changed);
	}
	health_done(&h);
}

static void test_log_is_bounded(void **state)
{
	struct health_spec spec = { .test = check };
	static char big[10000];
	struct health h;

	memset(big, 'x', sizeof(big));
	health_init(&h, &spec);
	health_run_started(&h, 0);
	for (int i = 0; i < 9; i++) {
		health_probe_started(&h, (uint64_t)i, 100 + (uint64_t)i);
		health_probe_ended(&h, i, big, sizeof(big), (uint64_t)i, 200 + (uint64_t)i);
	}
	assert_int_equal(h.n_log, HEALTH_LOG_MAX);
	for (int i = 0; i < HEALTH_LOG_MAX; i++) {
		assert_int_equal(h.log[i].exit_code, i + 4);
		assert_int_equal(h.log[i].start, 104 + i);
		assert_int_equal(h.log[i].n_output, HEALTH_OUTPUT_MAX);
		assert_int_equal(strlen(h.log[i].output), HEALTH_OUTPUT_MAX);
	}
	health_done(&h);
}

static void test_runs(void **state)
{
	struct health_spec spec = { .test = check };
	struct health h;

	health_init(&h, &spec);
	health_run_started(&h, 0);
	probe(&h, MS, 0);
	health_probe_started(&h, 40 * S, 0);
	health_run_ended(&h);
	assert_int_equal(health_next(&h), HEALTH_NEVER);
	/* The result of a probe into the run that is over. */
	assert_false(health_probe_ended(&h, 1, NULL, 0, 41 * S, 0));
	health_run_started(&h, 50 * S);
	assert_int_equal(h.status, HEALTH_STARTING);
	assert_int_equal(h.n_log, 0);
	assert_false(h.ready_once);
	assert_int_equal(health_next(&h), 50 * S + 100 * MS);
	health_adopted(&h, HEALTH_HEALTHY, 50 * S, 90 * S);
	assert_int_equal(h.status, HEALTH_HEALTHY);
	assert_true(h.ready_once);
	assert_int_equal(health_next(&h), 90 * S);
	health_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_fast_until_ready),
		cmocka_unit_test(test_unhealthy_not_early),
		cmocka_unit_test(test_healthy_unhealthy_healthy),
		cmocka_unit_test(test_changes_are_told),
		cmocka_unit_test(test_log_is_bounded),
		cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
