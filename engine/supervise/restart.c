/* engine/supervise/restart.c: see restart.h. */
#include "engine/supervise/restart.h"

static bool policy_allows(const struct restart_spec *p, const struct restart_history *h,
			  const char **why)
{
	if (h->user_stopped) {
		*why = "stopped by the user";
		return false;
	}
	switch (p->mode) {
	case RESTART_ALWAYS:
	case RESTART_UNLESS_STOPPED:
		*why = "it exited";
		return true;
	case RESTART_ON_FAILURE:
		*why = h->exit_code ? "it failed" : "it succeeded";
		return h->exit_code != 0;
	case RESTART_NO:
		break;
	}
	*why = "restart policy is no";
	return false;
}

/* 100 ms, 200 ms, … for step 0, 1, … */
static uint64_t back_off(int step)
{
	return step < 10 ? MIN(RESTART_DELAY_MIN << step, RESTART_DELAY_MAX) : RESTART_DELAY_MAX;
}

/* How long to wait after the @failures-th short run in a row (0: it was long). */
static uint64_t pause_after(int failures, bool was_healthy)
{
	if (failures == 0 || (failures == 1 && was_healthy))
		return 0;
	return back_off(was_healthy ? failures - 2 : failures - 1);
}

struct restart_decision restart_decide(const struct restart_spec *policy,
				       const struct restart_history *h)
{
	bool succeeded = policy->window && h->run_ns >= policy->window;
	struct restart_decision d = { .attempts = succeeded ? 0 : h->attempts };

	if (h->run_ns < RESTART_LONG_RUN)
		d.failures = h->failures < INT32_MAX ? h->failures + 1 : h->failures;
	if (!policy_allows(policy, h, &d.why))
		return d;
	if (policy->max_attempts > 0 && d.attempts >= (uint64_t)policy->max_attempts) {
		d.why = "it was restarted as often as the policy allows";
		return d;
	}
	d.restart = true;
	d.attempts++;
	d.delay_ns = policy->delay ? policy->delay : pause_after(d.failures, h->was_healthy);
	return d;
}

bool restart_at_boot(const struct restart_spec *policy, bool was_running)
{
	return was_running &&
	       (policy->mode == RESTART_ALWAYS || policy->mode == RESTART_UNLESS_STOPPED);
}
