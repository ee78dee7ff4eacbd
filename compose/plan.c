/* compose/plan.c: from wanted and existing to actions.
 *
 * The services are gone through in dependency order.  For each, `struct state`
 * keeps the positions of the actions that others may have to wait for: what
 * made it run (or stop).  Because an action may only need earlier ones, the
 * order of the walk is the order of the needs: dependencies first when
 * starting, dependents first when stopping.
 */
#include "compose/plan.h"

#include <signal.h>

#include "base/strv.h"
#include "compose/graph.h"

/* Positions of actions that belong together: the starts of a service's replicas. */
struct positions {
	size_t *items;
	size_t n;
};

static void positions_add(struct positions *p, size_t i)
{
	p->items = xreallocarray(p->items, p->n + 1, sizeof(*p->items));
	p->items[p->n++] = i;
}

static void positions_add_new(struct positions *to, const struct positions *from)
{
	for (size_t k = 0; k < from->n; k++) {
		bool known = false;

		for (size_t i = 0; i < to->n && !known; i++)
			known = to->items[i] == from->items[k];
		if (!known)
			positions_add(to, from->items[k]);
	}
}

static void need_all(struct action_list *l, size_t i, const struct positions *p)
{
	for (size_t k = 0; k < p->n; k++)
		action_need(l, i, p->items[k]);
}

/* ---- services and their edges, from the project or from what the last `up` left ---- */
struct dep {
	size_t to;
	enum wait_condition condition;
	bool restart, required, shares_namespace;
};

struct service {
	const char *name;
	bool named, selected; /* @named: not only needed by one that is */
	struct dep *deps;
	size_t n_deps;
	struct positions starts; /* of its replicas */
	struct positions stops;
	struct positions waits[WAIT_CONDITION_MAX][2]; /* by condition and dep.required */
	char **live;        /* replicas that will run when the plan is done */
	size_t *live_start; /* for each, its start or ACTION_NO_NEED */
	bool recreated;     /* a replica is made anew */
	bool started;       /* a replica that ran before is started again */
};

struct services {
	struct service *items; /* dependencies come before those that need them */
	size_t n;
};

static void services_done(struct services *s)
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

static struct service *find_service(struct services *s, const char *name)
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
						 .shares_namespace = !streq(edge->via,
									    "depends_on") &&
								     !streq(edge->via, "links") };

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
				struct service *to = find_service(out, it.key);
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

static int load_services(const struct project *p, const struct record_list *records,
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
		out->items[i].named = out->items[i].selected =
			all || strv_has(o->services, out->items[i].name);
	return 0;
}

static void select_needed(struct services *s)
{
	for (size_t i = s->n; i-- > 0;)
		for (size_t k = 0; s->items[i].selected && k < s->items[i].n_deps; k++)
			s->items[s->items[i].deps[k].to].selected = true;
}

/* ---- records ------------------------------------------------------------------------ */
static bool is_running(const struct record *r)
{
	return r->status == CONTAINER_RUNNING || r->status == CONTAINER_STARTING ||
	       r->status == CONTAINER_RESTARTING || r->status == CONTAINER_PAUSED ||
	       r->status == CONTAINER_STOPPING;
}

/* Has a process, or may have one by the time the plan is carried out. */
static bool may_run(const struct record *r)
{
	return is_running(r) || r->corrected;
}

static bool belongs(const struct record *r, const char *service)
{
	return !r->oneoff && streq_null(r->service, service);
}

static const struct record *replica(const struct record_list *records, const char *service,
				    int number)
{
	for (size_t i = 0; i < records->n; i++)
		if (belongs(records->items[i], service) && records->items[i]->number == number)
			return records->items[i];
	return NULL;
}

static struct action *add(struct plan *plan, enum action_kind kind, const struct record *r,
			  size_t *position)
{
	struct action *a;

	*position = action_add(&plan->actions, kind, r->name);
	a = &plan->actions.items[*position];
	a->service = xstrdup_null(r->service);
	return a;
}

static size_t add_stop(struct plan *plan, const struct record *r, int64_t timeout, bool by_user)
{
	size_t i;
	struct action *a = add(plan, ACTION_STOP, r, &i);

	a->timeout = timeout;
	a->by_user = by_user;
	return i;
}

static size_t add_remove(struct plan *plan, const struct record *r, bool volumes, size_t after)
{
	size_t i;

	add(plan, ACTION_REMOVE, r, &i)->with_volumes = volumes;
	action_need(&plan->actions, i, after);
	return i;
}

/* ---- up --------------------------------------------------------------------------------- */
struct up {
	const struct project *p;
	const struct translation *t;
	const struct record_list *records;
	const struct plan_options *o;
	struct services services;
	struct plan *plan;
	struct positions resources; /* networks and volumes */
};

static void make_resources(struct up *u)
{
	struct action_list *l = &u->plan->actions;

	MAP_FOREACH (entry, &u->t->networks) {
		size_t i = action_add(l, ACTION_NETWORK_CREATE, entry->key);

		l->items[i].config = json_ref(entry->value);
		positions_add(&u->resources, i);
	}
	MAP_FOREACH (entry, &u->t->volumes) {
		size_t i = action_add(l, ACTION_VOLUME_CREATE, entry->key);

		l->items[i].config = json_ref(entry->value);
		positions_add(&u->resources, i);
	}
}

/* @name will run, once the action @start (or ACTION_NO_NEED) is done. */
static void add_live(struct service *s, const char *name, size_t start)
{
	size_t n = strv_len(s->live);

	strv_add(&s->live, name);
	s->live_start = xreallocarray(s->live_start, n + 1, sizeof(*s->live_start));
	s->live_start[n] = start;
	if (start != ACTION_NO_NEED)
		positions_add(&s->starts, start);
}

static size_t add_wait(struct plan *plan, const struct service *s, size_t replica,
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
		size_t i = add_wait(plan, s, k, d->condition);

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

static void start_replica(struct plan *plan, struct services *all, struct service *s,
			  const char *name, size_t after, bool no_deps)
{
	struct positions needs = before_start(plan, all, s, no_deps);
	size_t i = action_add(&plan->actions, ACTION_START, name);

	plan->actions.items[i].service = xstrdup(s->name);
	action_need(&plan->actions, i, after);
	need_all(&plan->actions, i, &needs);
	free(needs.items);
	add_live(s, name, i);
}

static void create_replica(struct up *u, struct service *s, int number, const struct record *old,
			   size_t after, const char *reason)
{
	struct container_spec *spec = translation_spec(u->t, s->name, number, old,
						       u->o->renew_volumes);
	size_t i = action_add(&u->plan->actions, ACTION_CREATE, spec->name);
	struct action *a = &u->plan->actions.items[i];

	a->service = xstrdup(s->name);
	a->spec = spec;
	a->recreate = old != NULL;
	a->reason = xstrdup_null(reason);
	need_all(&u->plan->actions, i, &u->resources);
	action_need(&u->plan->actions, i, after);
	if (!u->o->no_start)
		start_replica(u->plan, &u->services, s, spec->name, i, u->o->no_deps);
}

/* Why the container has to be made anew; NULL: it need not. */
static const char *recreate_reason(struct up *u, const struct service *s, const struct record *r)
{
	const struct container_spec *spec = map_get(&u->t->specs, s->name);

	if (u->o->no_recreate)
		return NULL;
	if (s->named ? u->o->force_recreate : u->o->always_recreate_deps)
		return s->named ? "--force-recreate" : "--always-recreate-deps";
	if (r->status == CONTAINER_REMOVING || r->status == CONTAINER_DEAD)
		return "its removal was not finished";
	if (!streq_null(r->config_hash, spec->config_hash))
		return "its configuration changed";
	if (!streq_null(r->image_id, spec->image_id))
		return "its image changed";
	for (size_t k = 0; k < s->n_deps; k++)
		if (s->deps[k].shares_namespace && u->services.items[s->deps[k].to].recreated)
			return "the container whose namespace it shares is made anew";
	return NULL;
}

/* A dependency with `restart: true` is made anew or restarted. */
static bool follows_restart(struct up *u, const struct service *s)
{
	for (size_t k = 0; k < s->n_deps; k++) {
		const struct service *to = &u->services.items[s->deps[k].to];

		if (s->deps[k].restart && (to->recreated || to->started))
			return true;
	}
	return false;
}

static void recreate_replica(struct up *u, struct service *s, const struct record *r,
			     const char *reason)
{
	size_t gone, stop = ACTION_NO_NEED;

	if (may_run(r)) {
		stop = add_stop(u->plan, r, u->o->timeout_ns, false);
		u->plan->actions.items[stop].quiet = true;
	}
	gone = add_remove(u->plan, r, u->o->renew_volumes, stop);
	u->plan->actions.items[gone].quiet = true;
	s->recreated = true;
	create_replica(u, s, r->number, r, gone, reason);
}

static void keep_replica(struct up *u, struct service *s, const struct record *r)
{
	if (is_running(r) && follows_restart(u, s)) {
		size_t stop = add_stop(u->plan, r, u->o->timeout_ns, false);

		s->started = true;
		start_replica(u->plan, &u->services, s, r->name, stop, u->o->no_deps);
	} else if (is_running(r) && r->status != CONTAINER_STOPPING) {
		strv_add(&u->plan->kept, r->name);
		add_live(s, r->name, ACTION_NO_NEED);
	} else if (!u->o->no_start) {
		start_replica(u->plan, &u->services, s, r->name, ACTION_NO_NEED, u->o->no_deps);
		need_all(&u->plan->actions, u->plan->actions.n - 1, &u->resources);
	}
}

static int64_t scale_of(const struct up *u, const struct service *s)
{
	size_t n = strlen(s->name);
	int64_t scale = service_scale(project_service(u->p, s->name));

	STRV_FOREACH (text, u->o->scale)
		if (strncmp(*text, s->name, n) == 0 && (*text)[n] == '=')
			(void)parse_i64(*text + n + 1, &scale); /* the command line checked it */
	return scale;
}

static void up_service(struct up *u, struct service *s)
{
	int64_t scale = scale_of(u, s);

	for (int number = 1; number <= scale; number++) {
		const struct record *r = replica(u->records, s->name, number);
		const char *reason = r ? recreate_reason(u, s, r) : NULL;

		if (!r)
			create_replica(u, s, number, NULL, ACTION_NO_NEED, NULL);
		else if (reason)
			recreate_replica(u, s, r, reason);
		else
			keep_replica(u, s, r);
	}
	for (size_t i = 0; i < u->records->n; i++) {
		const struct record *r = u->records->items[i];

		if (belongs(r, s->name) && r->number > scale)
			add_remove(u->plan, r, true,
				   may_run(r) ? add_stop(u->plan, r, u->o->timeout_ns, true)
						 : ACTION_NO_NEED);
	}
}

static bool is_orphan(const struct project *p, const struct record *r)
{
	return !r->oneoff && r->service && !project_service(p, r->service) &&
	       !node_get(p->disabled, r->service);
}

static void orphans(const struct project *p, const struct record_list *records,
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
		add_remove(plan, r, false,
			   may_run(r) ? add_stop(plan, r, o->timeout_ns, true) : ACTION_NO_NEED);
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

static void wait_for_all(struct up *u)
{
	for (size_t i = 0; i < u->services.n; i++) {
		struct service *s = &u->services.items[i];

		for (size_t k = 0; s->selected && s->live && s->live[k]; k++) {
			size_t w = add_wait(u->plan, s, k, WAIT_RUNNING);

			u->plan->actions.items[w].timeout = u->o->wait_timeout ? u->o->wait_timeout
									       : -1;
		}
	}
}

int plan_up(const struct project *p, const struct translation *t, const struct record_list *records,
	    const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct up u = { .p = p, .t = t, .records = records, .o = o, .plan = out };
	int r = load_services(p, records, o, &u.services, diag);

	if (r < 0) {
		services_done(&u.services);
		return r;
	}
	if (!o->no_deps)
		select_needed(&u.services);
	make_resources(&u);
	orphans(p, records, o, out);
	for (size_t i = 0; i < u.services.n; i++)
		if (u.services.items[i].selected && map_has(&t->specs, u.services.items[i].name))
			up_service(&u, &u.services.items[i]);
	if (o->wait)
		wait_for_all(&u);
	if (out->actions.n == u.resources.n)
		action_list_done(
			&out->actions); /* nothing but networks and volumes nobody new uses */
	free(u.resources.items);
	services_done(&u.services);
	return 0;
}

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

			if (!belongs(r, s->name) || !may_run(r))
				continue;
			stop = add_stop(plan, r, o->timeout_ns, by_user);
			positions_add(&s->stops, stop);
			need_all(&plan->actions, stop, &before);
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
	int r = load_services(p, records, o, &all, diag);

	if (r < 0) {
		services_done(&all);
		return r;
	}
	stop_services(&all, records, o, true, out);
	for (size_t i = 0; i < records->n; i++) {
		const struct record *rec = records->items[i];
		struct service *s = find_service(&all, rec->service);
		size_t stop;

		/* One-off containers go with the project. */
		if (s ? !s->selected : !(everything && (!p || rec->oneoff)))
			continue;
		stop = stop_of(out, rec);
		if (stop == ACTION_NO_NEED && may_run(rec))
			stop = add_stop(out, rec, o->timeout_ns, true);
		positions_add(&removed, add_remove(out, rec, o->volumes, stop));
	}
	if (p && everything)
		orphans(p, records, o, out);
	for (size_t i = 0; i < out->actions.n && o->remove_orphans; i++)
		if (out->actions.items[i].kind == ACTION_REMOVE)
			positions_add(&removed, i);
	STRV_FOREACH (name, everything ? o->networks : NULL)
		need_all(&out->actions, action_add(&out->actions, ACTION_NETWORK_REMOVE, *name),
			 &removed);
	STRV_FOREACH (name, everything && o->volumes ? o->volume_names : NULL)
		need_all(&out->actions, action_add(&out->actions, ACTION_VOLUME_REMOVE, *name),
			 &removed);
	free(removed.items);
	services_done(&all);
	return 0;
}

int plan_stop(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	int r = load_services(p, records, o, &all, diag);

	if (r == 0)
		stop_services(&all, records, o, true, out);
	services_done(&all);
	return r;
}

/* ---- starting what exists ---------------------------------------------------------------------
 */
static void start_services(struct services *all, const struct record_list *records,
			   const struct plan_options *o, bool running_too, struct plan *plan)
{
	for (size_t i = 0; i < all->n; i++) {
		struct service *s = &all->items[i];

		for (size_t k = 0; s->selected && k < records->n; k++) {
			const struct record *r = records->items[k];

			if (!belongs(r, s->name))
				continue;
			if (is_running(r) && r->status != CONTAINER_STOPPING && !running_too)
				add_live(s, r->name, ACTION_NO_NEED);
			else
				start_replica(plan, all, s, r->name, stop_of(plan, r), o->no_deps);
		}
	}
	for (size_t i = 0; o->wait && i < all->n; i++)
		for (size_t k = 0; all->items[i].live && all->items[i].live[k]; k++) {
			size_t w = add_wait(plan, &all->items[i], k, WAIT_RUNNING);

			plan->actions.items[w].timeout = o->wait_timeout ? o->wait_timeout : -1;
		}
}

int plan_start(const struct project *p, const struct record_list *records,
	       const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct services all = { 0 };
	int r = load_services(p, records, o, &all, diag);

	if (r == 0 && !o->no_deps)
		select_needed(&all);
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
	int r = load_services(p, records, o, &all, diag);

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
	int r = load_services(p, records, o, &all, diag);

	for (size_t i = 0; r == 0 && i < records->n; i++) {
		const struct record *rec = records->items[i];
		const struct service *s = find_service(&all, rec->service);
		size_t position;
		struct action *a;

		if (!s || !s->selected || rec->oneoff || !wanted(rec))
			continue;
		a = add(out, kind, rec, &position);
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
	int r = load_services(p, records, o, &all, diag);

	if (r == 0 && o->stop)
		stop_services(&all, records, o, true, out);
	for (size_t i = 0; r == 0 && i < records->n; i++) {
		const struct record *rec = records->items[i];
		const struct service *s = find_service(&all, rec->service);

		if (s && s->selected && !rec->oneoff && (o->stop || !is_running(rec)))
			add_remove(out, rec, o->volumes, stop_of(out, rec));
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
