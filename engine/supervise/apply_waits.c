/* engine/supervise/apply_waits.c: what `wait` actions wait for, and for how long. */
#include "engine/supervise/apply_internal.h"

#define SETTLE_NS (500 * NSEC_PER_MSEC)

enum verdict { NOT_YET, YES, NO };

static enum verdict exited_verdict(const struct container *c, bool zero_is_fine, struct err *e)
{
	if (container_is_active(c))
		return NOT_YET;
	if (zero_is_fine && c->rec->exit_code == 0)
		return YES;
	err_set(e, ECHILD, "container %s exited (%d)", c->rec->name, c->rec->exit_code);
	return NO;
}

static enum verdict healthy_verdict(const struct container *c, struct err *e)
{
	if (c->rec->status != CONTAINER_RUNNING && c->rec->status != CONTAINER_PAUSED)
		return exited_verdict(c, false, e);
	if (c->rec->health == HEALTH_HEALTHY)
		return YES;
	if (c->rec->health == HEALTH_STARTING)
		return NOT_YET;
	if (c->rec->health == HEALTH_NONE)
		err_set(e, EINVAL, "container %s has no healthcheck configured", c->rec->name);
	else
		err_set(e, ECHILD, "container %s is unhealthy", c->rec->name);
	return NO;
}

static enum verdict running_verdict(const struct container *c, struct err *e)
{
	bool one_shot = c->spec->restart.mode == RESTART_NO ||
			c->spec->restart.mode == RESTART_ON_FAILURE;

	if (c->rec->status != CONTAINER_RUNNING)
		return exited_verdict(c, one_shot, e);
	return c->rec->health == HEALTH_NONE ? YES : healthy_verdict(c, e);
}

static enum verdict judge(const struct action *act, const struct container *c, struct err *e)
{
	enum verdict v;

	switch (act->condition) {
	case WAIT_STARTED:
		return c->rec->started_at && c->rec->status != CONTAINER_STARTING ? YES : NOT_YET;
	case WAIT_HEALTHY:
		v = healthy_verdict(c, e);
		if (v == NO)
			err_wrap(e, -e->code, "dependency failed to start");
		return v;
	case WAIT_COMPLETED:
		v = exited_verdict(c, true, e);
		if (v == NO && c->rec->pre_start)
			err_set(e, ECHILD,
				"service \"%s\" pre_start[%d]: hook exited with status %d "
				"(container %s is kept for inspection)",
				c->rec->service, c->rec->pre_start - 1, c->rec->exit_code,
				c->rec->name);
		else if (v == NO)
			err_set(e, ECHILD, "service \"%s\" didn't complete successfully: exit %d",
				c->rec->service ? c->rec->service : c->rec->name,
				c->rec->exit_code);
		return v;
	case WAIT_RUNNING:
		return running_verdict(c, e);
	case WAIT_STOPPED:
		return container_is_active(c) ? NOT_YET : YES;
	default:
		return YES;
	}
}

static void on_settled(struct source *s, void *data)
{
	struct apply *a = data;

	for (size_t i = 0; i < a->actions.n; i++) {
		struct container *c;

		if (a->settling[i] != s || a->steps[i] != STEP_ACTIVE)
			continue;
		c = container_find(a->sv, a->actions.items[i].object);
		if (c)
			apply_check_wait(a, i, c);
		break;
	}
	apply_pump(a);
}

/* Running says little of what was started a moment ago and has no health check: it
 * gets as long to fail as Docker Compose, which first looks after 500 ms, gives it.
 * That is counted once, so what comes and goes by its restart policy passes too. */
static bool is_settled(struct apply *a, size_t i, const struct container *c)
{
	if (a->actions.items[i].condition != WAIT_RUNNING || c->rec->status != CONTAINER_RUNNING ||
	    c->rec->health != HEALTH_NONE)
		return true;
	if (a->settled_at[i])
		return now_mono_ns() >= a->settled_at[i];
	if (now_real_ns() - c->rec->started_at >= SETTLE_NS)
		return true;
	a->settled_at[i] = now_mono_ns() + SETTLE_NS;
	a->settling[i] = loop_add_timer(a->sv->loop, SETTLE_NS, on_settled, a);
	return false;
}

static enum verdict judge_settled(struct apply *a, size_t i, const struct container *c,
				  struct err *e)
{
	enum verdict v = judge(&a->actions.items[i], c, e);

	return v == YES && !is_settled(a, i, c) ? NOT_YET : v;
}

void apply_check_wait(struct apply *a, size_t i, struct container *c)
{
	struct action *act = &a->actions.items[i];
	struct err e = ERR_INIT;

	switch (judge_settled(a, i, c, &e)) {
	case YES:
		apply_say(a, act, "done",
			  c->rec->status == CONTAINER_EXITED ? "Exited"
			  : c->rec->health == HEALTH_HEALTHY ? "Healthy"
							     : action_done(act),
			  NULL);
		apply_step_done(a, i);
		break;
	case NO:
		apply_step_failed(a, i, &e);
		break;
	case NOT_YET:
		break;
	}
}

static void on_deadline(struct source *s, void *data)
{
	struct apply *a = data;

	for (size_t i = 0; i < a->actions.n; i++) {
		struct err e = ERR_INIT;

		if (a->deadlines[i] != s || a->steps[i] != STEP_ACTIVE)
			continue;
		err_set(&e, ETIMEDOUT, "application not healthy after %llds",
			(long long)(a->actions.items[i].timeout / (int64_t)NSEC_PER_SEC));
		apply_step_failed(a, i, &e);
	}
	apply_pump(a);
}

void apply_begin_wait(struct apply *a, size_t i, struct container *c)
{
	const struct action *act = &a->actions.items[i];

	if (judge_settled(a, i, c, NULL) == NOT_YET)
		apply_say(a, act, "working", action_doing(act), NULL);
	if (act->timeout > 0)
		a->deadlines[i] = loop_add_timer(a->sv->loop, (uint64_t)act->timeout, on_deadline,
						 a);
}
