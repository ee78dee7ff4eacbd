/* compose/plan_boot.c: bring back what ran when the machine went down.
 *
 * What is wanted is the state of then, so a service that was down then is not
 * started because others depend on it: they ran without it.  Beyond that
 * depends_on holds: a start waits for the starts of what it needs, for health
 * where that is the condition, and for the success of one-shots, which those that
 * completed before have had.  The plan goes on past failures.
 */
#include "base/strv.h"
#include "compose/plan_services.h"

static bool is_back(const struct record *r, const struct plan_options *o)
{
	return record_is_active(r) || strv_has(o->lost, r->name);
}

/* Was any container of @s running, then or now? */
static bool was_running(const struct service *s, const struct record_list *records)
{
	for (size_t i = 0; i < records->n; i++)
		if (replica_belongs(records->items[i], s->name) &&
		    (record_is_active(records->items[i]) || records->items[i]->lost))
			return true;
	return false;
}

static bool comes_back(const struct service *s, const struct record_list *records,
		       const struct plan_options *o)
{
	for (size_t i = 0; i < records->n; i++)
		if (replica_belongs(records->items[i], s->name) && is_back(records->items[i], o))
			return true;
	return false;
}

/* What @s needs and will not get. */
static void check_deps(const struct services *all, struct service *s,
		       const struct record_list *records, const struct plan_options *o,
		       struct plan *plan)
{
	for (size_t k = 0; k < s->n_deps; k++) {
		struct dep *d = &s->deps[k];
		const struct service *to = &all->items[d->to];

		if (comes_back(to, records, o) || d->condition == WAIT_COMPLETED)
			continue;
		if (!was_running(to, records))
			d->condition = WAIT_STARTED; /* nobody to start: nothing is waited for */
		else if (d->condition == WAIT_STARTED)
			strv_addf(&plan->warnings,
				  "%s comes back without %s, which ran too but has no restart "
				  "policy that brings it back",
				  s->name, to->name);
	}
}

static void bring_back(struct services *all, struct service *s, const struct record_list *records,
		       const struct plan_options *o, struct plan *plan)
{
	bool checked = false, any_back = comes_back(s, records, o);

	for (size_t k = 0; k < records->n; k++) {
		const struct record *r = records->items[k];

		if (!replica_belongs(r, s->name))
			continue;
		if (!strv_has(o->lost, r->name)) {
			/* To be judged as it is, by those that wait for it. */
			if (record_is_active(r) || !any_back)
				service_add_live(s, r->name, ACTION_NO_NEED);
			continue;
		}
		if (!checked)
			check_deps(all, s, records, o, plan);
		checked = true;
		plan_start_replica(plan, all, s, r->name, ACTION_NO_NEED, false);
	}
}

int plan_boot(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	int r = services_load(NULL, records, o, &all, diag);

	out->keep_going = true;
	for (size_t i = 0; r == 0 && i < all.n; i++)
		bring_back(&all, &all.items[i], records, o, out);
	services_done(&all);
	return r;
}
