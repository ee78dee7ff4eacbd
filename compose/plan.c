/* compose/plan.c: stopping, starting, removing what exists.
 *
 * Dependencies come first when starting, dependents first when stopping; an
 * action may only need earlier ones, so the order of the walk over the services
 * is the order of the needs.
 */
#include <signal.h>

#include "base/strv.h"
#include "compose/plan_services.h"

/* ---- stopping: dependents first ------------------------------------------------------------ */

/* What must be stopped before a replica of service @i is. */
static struct positions stops_of_dependents(const struct services *all, size_t i)
{
	struct positions stops = { 0 };

	for (size_t d = i + 1; d < all->n; d++)
		for (size_t e = 0; e < all->items[d].n_deps; e++)
			if (all->items[d].deps[e].to == i)
				positions_add_new(&stops, &all->items[d].stops);
	return stops;
}

/* Stops of every selected service's running containers; each waits for the
 * stops of the services that need it, also through one that does not run. */
static void stop_services(struct services *all, const struct record_list *records,
			  const struct plan_options *o, bool by_user, struct plan *plan)
{
	for (size_t i = all->n; i-- > 0;) {
		struct service *s = &all->items[i];
		struct positions before = stops_of_dependents(all, i);

		for (size_t k = 0; s->selected && k < records->n; k++) {
			const struct record *r = records->items[k];
			size_t stop;

			if ((!replica_belongs(r, s->name) && !hook_belongs(r, s->name)) ||
			    !replica_may_run(r))
				continue;
			stop = plan_add_stop(plan, r, o->timeout_ns, by_user);
			plan->actions.items[stop].for_boot = o->for_boot;
			positions_add(&s->stops, stop);
			positions_need(&plan->actions, stop, &before);
		}
		if (!s->stops.n)
			s->stops = before;
		else
			free(before.items);
	}
}

static size_t stop_of(const struct plan *plan, const struct record *r)
{
	for (size_t i = 0; i < plan->actions.n; i++)
		if (plan->actions.items[i].kind == ACTION_STOP &&
		    streq(plan->actions.items[i].object, r->name))
			return i;
	return ACTION_NO_NEED;
}

int plan_down(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	struct positions removed = { 0 };
	bool everything = !o->services || !o->services[0];
	int r = services_load(p, records, o, &all, diag);

	if (r < 0) {
		services_done(&all);
		return r;
	}
	stop_services(&all, records, o, true, out);
	for (size_t i = 0; i < records->n; i++) {
		const struct record *rec = records->items[i];
		struct service *s = services_find(&all, rec->service);
		size_t stop;

		/* One-off containers go with the project. */
		if (s ? !s->selected : !(everything && (!p || rec->oneoff)))
			continue;
		stop = stop_of(out, rec);
		if (stop == ACTION_NO_NEED && replica_may_run(rec))
			stop = plan_add_stop(out, rec, o->timeout_ns, true);
		positions_add(&removed, plan_add_remove(out, rec, o->volumes, stop));
	}
	if (p && everything)
		plan_orphans(p, records, o, out);
	for (size_t i = 0; i < out->actions.n && o->remove_orphans; i++)
		if (out->actions.items[i].kind == ACTION_REMOVE)
			positions_add(&removed, i);
	STRV_FOREACH (name, everything ? o->networks : NULL)
		positions_need(&out->actions,
			       action_add(&out->actions, ACTION_NETWORK_REMOVE, *name), &removed);
	STRV_FOREACH (name, everything && o->volumes ? o->volume_names : NULL)
		positions_need(&out->actions,
			       action_add(&out->actions, ACTION_VOLUME_REMOVE, *name), &removed);
	free(removed.items);
	services_done(&all);
	return 0;
}

/* What runs no more since the machine went down would be brought back by `boot`: that
 * the user wants it stopped has to be put on record, too. */
static void stop_lost(struct services *all, const struct record_list *records,
		      const struct plan_options *o, struct plan *plan)
{
	for (size_t i = 0; i < records->n; i++) {
		const struct record *r = records->items[i];
		const struct service *s = services_find(all, r->service);

		if (s && s->selected && r->lost && !r->oneoff && !replica_may_run(r))
			(void)plan_add_stop(plan, r, o->timeout_ns, true); /* nothing waits for it */
	}
}

int plan_stop(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	int r = services_load(p, records, o, &all, diag);

	if (r == 0)
		stop_services(&all, records, o, !o->for_boot, out);
	if (r == 0 && !o->for_boot)
		stop_lost(&all, records, o, out);
	services_done(&all);
	return r;
}

/* ---- starting what exists ---------------------------------------------------------------------
 */

/* pre_start hooks that are there still have to succeed: `create` made them, or they
 * failed.  Returns what replicas that are to be started wait for. */
static size_t run_left_hooks(struct services *all, struct service *s,
			     const struct record_list *records, const struct plan_options *o,
			     struct plan *plan)
{
	size_t after = ACTION_NO_NEED;

	for (size_t k = 0; s->selected && k < records->n; k++)
		if (hook_belongs(records->items[k], s->name))
			after = plan_run_hook(plan, all, s, records->items[k]->name, after,
					      o->no_deps);
	return after;
}

static void start_services(struct services *all, const struct record_list *records,
			   const struct plan_options *o, bool running_too, struct plan *plan)
{
	for (size_t i = 0; i < all->n; i++) {
		struct service *s = &all->items[i];
		size_t hooks = run_left_hooks(all, s, records, o, plan);

		for (size_t k = 0; s->selected && k < records->n; k++) {
			const struct record *r = records->items[k];

			if (!replica_belongs(r, s->name))
				continue;
			if (record_is_active(r) && r->status != CONTAINER_STOPPING &&
			    !running_too) {
				service_add_live(s, r->name, ACTION_NO_NEED);
				continue;
			}
			plan_start_replica(plan, all, s, r->name, stop_of(plan, r), o->no_deps);
			action_need(&plan->actions, plan->actions.n - 1, hooks);
		}
	}
	for (size_t i = 0; o->wait && i < all->n; i++)
		for (size_t k = 0; all->items[i].live && all->items[i].live[k]; k++) {
			size_t w = plan_add_wait(plan, &all->items[i], k, WAIT_RUNNING);

			plan->actions.items[w].timeout = o->wait_timeout ? o->wait_timeout : -1;
		}
}

int plan_start(const struct project *p, const struct record_list *records,
	       const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	int r = services_load(p, records, o, &all, diag);

	if (r == 0 && !o->no_deps)
		services_select_needed(&all);
	if (r == 0)
		start_services(&all, records, o, false, out);
	services_done(&all);
	return r;
}

/* Mark those that depend, with `restart: true`, on a service that is restarted. */
static void select_followers(struct services *all)
{
	for (size_t i = 0; i < all->n; i++)
		for (size_t k = 0; k < all->items[i].n_deps; k++)
			if (all->items[i].deps[k].restart &&
			    all->items[all->items[i].deps[k].to].selected)
				all->items[i].selected = true;
}

int plan_restart(const struct project *p, const struct record_list *records,
		 const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	int r = services_load(p, records, o, &all, diag);

	if (r == 0 && !o->no_deps)
		select_followers(&all);
	if (r == 0) {
		stop_services(&all, records, o, false, out);
		start_services(&all, records, o, true, out);
	}
	services_done(&all);
	return r;
}

/* ---- one action per container
 * -------------------------------------------------------------------- */
static int each(const struct project *p, const struct record_list *records,
		const struct plan_options *o, enum action_kind kind,
		bool (*wanted)(const struct record *), struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	int r = services_load(p, records, o, &all, diag);

	for (size_t i = 0; r == 0 && i < records->n; i++) {
		const struct record *rec = records->items[i];
		const struct service *s = services_find(&all, rec->service);
		size_t position;
		struct action *a;

		if (!s || !s->selected || rec->oneoff || !wanted(rec))
			continue;
		a = plan_add(out, kind, rec, &position);
		a->signal = o->signal ? o->signal : SIGKILL;
		a->by_user = true;
	}
	services_done(&all);
	return r;
}

static bool can_be_signalled(const struct record *r)
{
	return r->status == CONTAINER_RUNNING || r->status == CONTAINER_PAUSED ||
	       r->status == CONTAINER_STOPPING;
}

static bool can_be_paused(const struct record *r)
{
	return r->status == CONTAINER_RUNNING;
}

static bool can_be_unpaused(const struct record *r)
{
	return r->status == CONTAINER_PAUSED;
}

int plan_kill(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag)
{
	return each(p, records, o, ACTION_KILL, can_be_signalled, out, diag);
}

int plan_pause(const struct project *p, const struct record_list *records, bool pause,
	       const struct plan_options *o, struct plan *out, struct diag *diag)
{
	return each(p, records, o, pause ? ACTION_PAUSE : ACTION_UNPAUSE,
		    pause ? can_be_paused : can_be_unpaused, out, diag);
}

int plan_rm(const struct project *p, const struct record_list *records,
	    const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	int r = services_load(p, records, o, &all, diag);

	if (r == 0 && o->stop)
		stop_services(&all, records, o, true, out);
	for (size_t i = 0; r == 0 && i < records->n; i++) {
		const struct record *rec = records->items[i];
		const struct service *s = services_find(&all, rec->service);

		if (s && s->selected && (!rec->oneoff || rec->pre_start) &&
		    (o->stop || !record_is_active(rec)))
			plan_add_remove(out, rec, o->volumes, stop_of(out, rec));
	}
	services_done(&all);
	return r;
}

void plan_done(struct plan *plan)
{
	action_list_done(&plan->actions);
	strv_free(plan->kept);
	strv_free(plan->warnings);
	*plan = (struct plan){ 0 };
}
