/* cli/readiness.c: see readiness.h. */
#include "cli/readiness.h"

#include "base/cleanup.h"
#include "base/strv.h"

#define NAMED_MAX 5 /* a status line has room for so many */

static char *running_fault(const struct record *r)
{
	if (r->health == HEALTH_STARTING)
		return xstrdup("waits for its health check");
	if (r->health == HEALTH_UNHEALTHY)
		return xstrdup("is unhealthy");
	return r->post_start_due ? xstrdup("runs its post_start hooks") : NULL;
}

/* What is wrong with it; NULL: nothing. */
static char *fault(const struct record *r)
{
	switch (r->status) {
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
		return running_fault(r);
	case CONTAINER_EXITED:
		if (r->error)
			return xasprintf("could not be started (%s)", r->error);
		if (r->lost)
			return xstrdup("is not back yet");
		return r->exit_code ? xasprintf("exited (%d)", r->exit_code) : NULL;
	case CONTAINER_RESTARTING:
		return xasprintf("is restarting (exit %d)", r->exit_code);
	case CONTAINER_STOPPING:
		return xstrdup("is stopping");
	case CONTAINER_STARTING:
		return xstrdup("is starting");
	default:
		return xstrdup(container_status_name(r->status));
	}
}

static bool is_meant_to_run(const struct record *r)
{
	if (r->oneoff || r->status == CONTAINER_CREATED)
		return false;
	return record_is_active(r) || !r->user_stopped;
}

struct readiness readiness_of(const struct record_list *l, char **why)
{
	_cleanup_(strv_freep) char **faults = NULL;
	struct readiness out = { 0 };

	for (size_t i = 0; i < l->n; i++) {
		const struct record *r = l->items[i];
		_cleanup_(free_p) char *what = NULL;

		out.active |= record_is_active(r);
		if (!is_meant_to_run(r))
			continue;
		out.lost |= r->lost && !record_is_active(r);
		out.wanted++;
		what = fault(r);
		out.ready += !what;
		if (what && strv_len(faults) < NAMED_MAX)
			strv_addf(&faults, "%s %s", r->name, what);
	}
	if (why)
		*why = faults ? strv_join(faults, ", ") : xstrdup("");
	return out;
}
