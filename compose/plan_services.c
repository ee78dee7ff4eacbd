/* compose/plan_services.c: services in dependency order, and the actions that
 * make their replicas run; see plan_services.h.
 */
#include "compose/plan_services.h"

#include "base/strv.h"
#include "compose/graph.h"

void positions_add(struct positions *p, size_t i)
{
	p->items = xreallocarray(p->items, p->n + 1, sizeof(*p->items));
	p->items[p->n++] = i;
}

void positions_add_new(struct positions *to, const struct positions *from)
{
	for (size_t k = 0; k < from->n; k++) {
		bool known = false;

		for (size_t i = 0; i < to->n && !known; i++)
			known = to->items[i] == from->items[k];
		if (!known)
			positions_add(to, from->items[k]);
	}
}

void positions_need(struct action_list *l, size_t i, const struct positions *p)
{
	for (size_t k = 0; k < p->n; k++)
		action_need(l, i, p->items[k]);
}
void services_done(struct services *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].deps);
		free(s->items[i].starts.items);
		free(s->items[i].stops.items);
		strv_free(s->items[i].live);
		free(s->items[i].live_start);
		for (size_t k = 0; k < WAIT_CONDITION_MAX; k++)
			for (int required = 0; required < 2; required++)
				free(s->items[i].waits[k][required].items);
	}
	free(s->items);
	*s = (struct services){ 0 };
}

struct service *services_find(struct services *s, const char *name)
{
	for (size_t i = 0; name && i < s->n; i++)
		if (streq(s->items[i].name, name))
			return &s->items[i];
	return NULL;
}

static void add_dep(struct service *s, const struct dep *d)
{
	s->deps = xreallocarray(s->deps, s->n_deps + 1, sizeof(*s->deps));
	s->deps[s->n_deps++] = *d;
}

static struct service *add_service(struct services *s, const char *name)
{
	s->items = xreallocarray(s->items, s->n + 1, sizeof(*s->items));
	s->items[s->n] = (struct service){ .name = name };
	return &s->items[s->n++];
}

static enum wait_condition condition_of(const char *text)
{
	int c = text ? wait_condition_parse(text) : WAIT_STARTED;

	return c < 0 ? WAIT_STARTED : (enum wait_condition)c;
}

static int from_graph(const struct project *p, struct services *out, struct diag *diag)
{
	_cleanup_(graph_freep) struct graph *g = NULL;
	_cleanup_(free_p) size_t *place = NULL;
	int r = graph_new(p, &g, diag);

	if (r < 0)
		return r;
	place = xcalloc(g->n, sizeof(*place));
	for (size_t wave = 0; wave < g->n_waves; wave++) {
		for (size_t i = 0; i < g->n; i++) {
			const struct graph_node *node = &g->nodes[i];
			struct service *s;

			if (node->wave != wave)
				continue;
			place[i] = out->n;
			s = add_service(out, node->name);
			for (size_t k = 0; k < node->n_edges; k++) {
				const struct graph_edge *edge = &node->edges[k];
				struct dep d = { .to = place[edge->to],
						 .condition = condition_of(edge->condition),
						 .restart = edge->restart,
						 .required = edge->required,
						 .shares = edge->shares };

				add_dep(s, &d);
			}
		}
	}
	return 0;
}

/* Names out of the records, ordered by the dependencies on file: a service is
 * placed once all it needs is; whatever is left over (a cycle cannot have been
 * up) comes last. */
static void from_records(const struct record_list *records, json *deps, struct services *out)
{
	_cleanup_(free_p) const char **names = xcalloc(records->n + 1, sizeof(*names));
	size_t n = 0, placed = 0;

	for (size_t i = 0; i < records->n; i++) {
		const char *name = records->items[i]->service;
		bool known = !name;

		for (size_t k = 0; k < n && !known; k++)
			known = streq(names[k], name);
		if (!known)
			names[n++] = name;
	}
	for (size_t round = 0; round <= n && placed < n; round++) {
		for (size_t i = 0; i < n; i++) {
			json *needs = names[i] ? json_get(json_get(deps, names[i]), "depends_on")
					       : NULL;
			struct json_iter it = { 0 };
			struct service *s;
			bool ready = true;

			if (!names[i])
				continue;
			while (json_each(needs, &it))
				for (size_t k = 0; k < n; k++)
					ready &= !names[k] || k == i || !streq(names[k], it.key);
			if (!ready && round < n)
				continue;
			s = add_service(out, names[i]);
			it = (struct json_iter){ 0 };
			while (json_each(needs, &it)) {
				struct service *to = services_find(out, it.key);
				struct dep d = {
					.condition = condition_of(
						json_get_str(it.value, "condition")),
					.restart = json_get_bool(it.value, "restart", false),
					.required = json_get_bool(it.value, "required", true)
				};

				if (!to || to == s)
					continue;
				d.to = (size_t)(to - out->items);
				add_dep(s, &d);
			}
			names[i] = NULL;
			placed++;
		}
	}
}

int services_load(const struct project *p, const struct record_list *records,
		  const struct plan_options *o, struct services *out, struct diag *diag)
{
	bool all = !o->services || !o->services[0];

	if (p) {
		int r = from_graph(p, out, diag);

		if (r < 0)
			return r;
	} else {
		from_records(records, o->dependencies, out);
	}
	for (size_t i = 0; i < out->n; i++)
		out->items[i].named = out->items[i].selected = all || strv_has(o->services,
									       out->items[i].name);
	return 0;
}

void services_select_needed(struct services *s)
{
	for (size_t i = s->n; i-- > 0;)
		for (size_t k = 0; s->items[i].selected && k < s->items[i].n_deps; k++)
			s->items[s->items[i].deps[k].to].selected = true;
}

/* ---- records ------------------------------------------------------------------------ */

/* Has a process, or may have one by the time the plan is carried out. */
bool replica_may_run(const struct record *r)
{
	return record_is_active(r) || r->corrected;
}

bool replica_belongs(const struct record *r, const char *service)
{
	return !r->oneoff && streq_null(r->service, service);
}

bool hook_belongs(const struct record *r, const char *service)
{
	return r->pre_start && streq_null(r->service, service);
}

const struct record *replica_find(const struct record_list *records, const char *service,
				  int number)
{
	for (size_t i = 0; i < records->n; i++)
		if (replica_belongs(records->items[i], service) &&
		    records->items[i]->number == number)
			return records->items[i];
	return NULL;
}

struct action *plan_add(struct plan *plan, enum action_kind kind, const struct record *r,
			size_t *position)
{
	struct action *a;

	*position = action_add(&plan->actions, kind, r->name);
	a = &plan->actions.items[*position];
	a->service = xstrdup_null(r->service);
	return a;
}

size_t plan_add_stop(struct plan *plan, const struct record *r, int64_t timeout, bool by_user)
{
	size_t i;
	struct action *a = plan_add(plan, ACTION_STOP, r, &i);

	a->timeout = timeout;
	a->by_user = by_user;
	return i;
}

size_t plan_add_remove(struct plan *plan, const struct record *r, bool volumes, size_t after)
{
	size_t i;

	plan_add(plan, ACTION_REMOVE, r, &i)->with_volumes = volumes;
	action_need(&plan->actions, i, after);
	return i;
}

/* ---- replicas that will run ------------------------------------------------------ */

/* @name will run, once the action @start (or ACTION_NO_NEED) is done. */
void service_add_live(struct service *s, const char *name, size_t start)
{
	size_t n = strv_len(s->live);

	strv_add(&s->live, name);
	s->live_start = xreallocarray(s->live_start, n + 1, sizeof(*s->live_start));
	s->live_start[n] = start;
	if (start != ACTION_NO_NEED)
		positions_add(&s->starts, start);
}

size_t plan_add_wait(struct plan *plan, const struct service *s, size_t replica,
		     enum wait_condition condition)
{
	size_t i = action_add(&plan->actions, ACTION_WAIT, s->live[replica]);
	struct action *a = &plan->actions.items[i];

	a->service = xstrdup(s->name);
	a->condition = condition;
	action_need(&plan->actions, i, s->live_start[replica]);
	return i;
}

/* What a dependent of @s has to wait for; the waits are made when first asked for. */
static const struct positions *ready(struct plan *plan, struct service *s, const struct dep *d)
{
	struct positions *p = &s->waits[d->condition][d->required];

	if (d->condition == WAIT_STARTED)
		return &s->starts;
	if (p->n)
		return p;
	for (size_t k = 0; s->live && s->live[k]; k++) {
		size_t i = plan_add_wait(plan, s, k, d->condition);

		plan->actions.items[i].optional = !d->required;
		positions_add(p, i);
	}
	return p;
}

/* Everything that must be done before a replica of @s may start.  Asked for
 * before its start is added: the waits must stand in front of it. */
static struct positions before_start(struct plan *plan, struct services *all, struct service *s,
				     bool no_deps)
{
	struct positions needs = { 0 };

	for (size_t k = 0; k < s->n_deps && !no_deps; k++) {
		const struct positions *p = ready(plan, &all->items[s->deps[k].to], &s->deps[k]);

		for (size_t i = 0; i < p->n; i++)
			positions_add(&needs, p->items[i]);
	}
	return needs;
}

size_t plan_add_start(struct plan *plan, struct services *all, struct service *s, const char *name,
		      size_t after, bool no_deps)
{
	struct positions needs = before_start(plan, all, s, no_deps);
	size_t i = action_add(&plan->actions, ACTION_START, name);

	plan->actions.items[i].service = xstrdup(s->name);
	action_need(&plan->actions, i, after);
	positions_need(&plan->actions, i, &needs);
	free(needs.items);
	return i;
}

void plan_start_replica(struct plan *plan, struct services *all, struct service *s,
			const char *name, size_t after, bool no_deps)
{
	service_add_live(s, name, plan_add_start(plan, all, s, name, after, no_deps));
}

size_t plan_run_hook(struct plan *plan, struct services *all, struct service *s, const char *name,
		     size_t after, bool no_deps)
{
	size_t start = plan_add_start(plan, all, s, name, after, no_deps);
	size_t end = action_add(&plan->actions, ACTION_WAIT, name), gone;

	plan->actions.items[end].service = xstrdup(s->name);
	plan->actions.items[end].condition = WAIT_COMPLETED;
	action_need(&plan->actions, end, start);
	gone = action_add(&plan->actions, ACTION_REMOVE, name);
	plan->actions.items[gone].service = xstrdup(s->name);
	plan->actions.items[gone].with_volumes = true;
	action_need(&plan->actions, gone, end);
	return end;
}

/* ---- orphans ------------------------------------------------------------------- */
static bool is_orphan(const struct project *p, const struct record *r)
{
	return !r->oneoff && r->service && !project_service(p, r->service) &&
	       !node_get(p->disabled, r->service);
}

void plan_orphans(const struct project *p, const struct record_list *records,
		  const struct plan_options *o, struct plan *plan)
{
	_cleanup_(strv_freep) char **names = NULL;
	_cleanup_(free_p) char *text = NULL;

	for (size_t i = 0; i < records->n; i++) {
		const struct record *r = records->items[i];

		if (!is_orphan(p, r))
			continue;
		if (!o->remove_orphans) {
			strv_add(&names, r->name);
			continue;
		}
		plan_add_remove(plan, r, false,
				replica_may_run(r) ? plan_add_stop(plan, r, o->timeout_ns, true)
						   : ACTION_NO_NEED);
	}
	if (!names)
		return;
	text = strv_join(names, " ");
	strv_addf(
		&plan->warnings,
		"Found orphan containers ([%s]) for this project. If you removed or renamed this "
		"service in your compose file, you can run this command with the --remove-orphans "
		"flag to clean it up.",
		text);
}
