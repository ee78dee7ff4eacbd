/* compose/plan_up.c: make what is wanted exist and run.
 *
 * The services are gone through in dependency order.  For each, struct service
 * keeps the positions of the actions that others may have to wait for: what
 * made it run.  Because an action may only need earlier ones, the order of the
 * walk is the order of the needs.
 */
#include "base/strv.h"
#include "compose/plan_services.h"
#include "compose/volumes_from.h"

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

/* ---- volumes_from ---------------------------------------------------------------- */
/* The action that makes @service's first container; ACTION_NO_NEED: there is none. */
static size_t creation_of(const struct up *u, const char *service)
{
	_cleanup_(free_p) char *name = translation_container_name(u->t, service, 1);

	for (size_t i = 0; i < u->plan->actions.n; i++) {
		const struct action *a = &u->plan->actions.items[i];

		if (a->kind == ACTION_CREATE && streq(a->spec->name, name))
			return i;
	}
	return ACTION_NO_NEED;
}

/* The mounts of the first container of each service that is named: as this plan makes it,
 * which @create then waits for, or as it is there. */
static void take_volumes(struct up *u, const struct service *s, size_t create)
{
	const struct node *list = node_get(project_service(u->p, s->name), "volumes_from");

	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->n; i++) {
		_cleanup_(volumes_from_done) struct volumes_from v = { 0 };
		_cleanup_(spec_freep) struct container_spec *there = NULL;
		struct container_spec *spec = u->plan->actions.items[create].spec;
		const struct record *r;
		size_t made;

		volumes_from_parse(list->items[i]->text, &v);
		if (v.is_container)
			continue; /* translate_mounts() had it */
		made = creation_of(u, v.name);
		r = replica_find(u->records, v.name, 1);
		if (made == ACTION_NO_NEED && r)
			there = translation_load(u->t, r);
		if (made != ACTION_NO_NEED)
			volumes_from_take(spec, u->plan->actions.items[made].spec, v.read_only);
		else if (there)
			volumes_from_take(spec, there, v.read_only);
		action_need(&u->plan->actions, create, made);
	}
}

/* ---- pre_start hooks ------------------------------------------------------------- */
static const char *recreate_reason(struct up *u, const struct service *s, const struct record *r);
static int64_t scale_of(const struct up *u, const struct service *s);

/* They ran for this definition when a replica of it was ever started: neither a
 * restart nor a larger scale runs them again. */
static bool hooks_are_through(struct up *u, const struct service *s)
{
	int64_t scale = scale_of(u, s);

	for (int number = 1; number <= scale; number++) {
		const struct record *r = replica_find(u->records, s->name, number);

		if (r && r->started_at && !recreate_reason(u, s, r))
			return true;
	}
	return false;
}

/* Of an earlier run: failed and kept, or never started. */
static size_t remove_hook(struct up *u, const char *name)
{
	size_t gone, stop = ACTION_NO_NEED;

	for (size_t i = 0; i < u->records->n; i++) {
		const struct record *r = u->records->items[i];

		if (!streq(r->name, name))
			continue;
		if (replica_may_run(r)) {
			stop = plan_add_stop(u->plan, r, u->o->timeout_ns, false);
			u->plan->actions.items[stop].quiet = true;
		}
		gone = plan_add_remove(u->plan, r, true, stop);
		u->plan->actions.items[gone].quiet = true;
		return gone;
	}
	return ACTION_NO_NEED;
}

static size_t run_hook(struct up *u, struct service *s, size_t i,
		       const struct container_spec *replica, size_t after)
{
	struct container_spec *spec = translation_pre_start(u->t, s->name, i, replica);
	size_t gone = remove_hook(u, spec->name);
	size_t made = action_add(&u->plan->actions, ACTION_CREATE, spec->name);
	struct action *a = &u->plan->actions.items[made];

	a->service = xstrdup(s->name);
	a->spec = spec;
	take_volumes(u, s, made);
	positions_need(&u->plan->actions, made, &u->resources);
	action_need(&u->plan->actions, made, gone);
	action_need(&u->plan->actions, made, after);
	return u->o->no_start
		       ? after
		       : plan_run_hook(u->plan, &u->services, s, spec->name, made, u->o->no_deps);
}

/* The hooks that have to be through before this replica starts; returns what its
 * start waits for.  @after: it is there. */
static size_t run_hooks(struct up *u, struct service *s, const struct container_spec *replica,
			size_t after)
{
	const struct pre_start_list *hooks = map_get(&u->t->hooks, s->name);

	for (size_t i = 0; hooks && replica && i < hooks->n; i++)
		if (hooks->per_replica[i] || (!s->hooks_ran && !hooks_are_through(u, s)))
			after = run_hook(u, s, i, replica, after);
	if (hooks && !s->hooks_ran) {
		s->hooks_ran = true;
		s->hooks_end = after;
	}
	return after;
}

/* Others than the first wait for the hooks that ran for it, too. */
static void start_replica(struct up *u, struct service *s, const char *name, size_t after)
{
	size_t start = plan_add_start(u->plan, &u->services, s, name, after, u->o->no_deps);

	if (s->hooks_ran)
		action_need(&u->plan->actions, start, s->hooks_end);
	service_add_live(s, name, start);
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
	take_volumes(u, s, i);
	positions_need(&u->plan->actions, i, &u->resources);
	action_need(&u->plan->actions, i, after);
	after = run_hooks(u, s, spec, i);
	if (!u->o->no_start)
		start_replica(u, s, spec->name, after);
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
		if (s->deps[k].shares && u->services.items[s->deps[k].to].recreated)
			return "the container whose namespace or volumes it shares is made anew";
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

	if (replica_may_run(r)) {
		stop = plan_add_stop(u->plan, r, u->o->timeout_ns, false);
		u->plan->actions.items[stop].quiet = true;
	}
	gone = plan_add_remove(u->plan, r, u->o->renew_volumes, stop);
	u->plan->actions.items[gone].quiet = true;
	s->recreated = true;
	create_replica(u, s, r->number, r, gone, reason);
}

static void start_existing(struct up *u, struct service *s, const struct record *r)
{
	_cleanup_(spec_freep) struct container_spec *spec = NULL;
	size_t after = ACTION_NO_NEED;

	if (!r->started_at && map_has(&u->t->hooks, s->name)) {
		spec = translation_load(u->t, r);
		after = run_hooks(u, s, spec, ACTION_NO_NEED);
	}
	start_replica(u, s, r->name, after);
}

static void keep_replica(struct up *u, struct service *s, const struct record *r)
{
	if (record_is_active(r) && follows_restart(u, s)) {
		size_t stop = plan_add_stop(u->plan, r, u->o->timeout_ns, false);

		s->started = true;
		plan_start_replica(u->plan, &u->services, s, r->name, stop, u->o->no_deps);
	} else if (record_is_active(r) && r->status != CONTAINER_STOPPING) {
		strv_add(&u->plan->kept, r->name);
		service_add_live(s, r->name, ACTION_NO_NEED);
	} else if (!u->o->no_start) {
		start_existing(u, s, r);
		positions_need(&u->plan->actions, u->plan->actions.n - 1, &u->resources);
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
		const struct record *r = replica_find(u->records, s->name, number);
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

		if (replica_belongs(r, s->name) && r->number > scale)
			plan_add_remove(u->plan, r, true,
					replica_may_run(r)
						? plan_add_stop(u->plan, r, u->o->timeout_ns, true)
						: ACTION_NO_NEED);
	}
}

static void wait_for_all(struct up *u)
{
	for (size_t i = 0; i < u->services.n; i++) {
		struct service *s = &u->services.items[i];

		for (size_t k = 0; s->selected && s->live && s->live[k]; k++) {
			size_t w = plan_add_wait(u->plan, s, k, WAIT_RUNNING);

			u->plan->actions.items[w].timeout = u->o->wait_timeout ? u->o->wait_timeout
									       : -1;
		}
	}
}

static bool is_connected_to(const struct record_list *records, const char *network)
{
	for (size_t i = 0; i < records->n; i++)
		for (size_t k = 0; k < records->items[i]->n_networks; k++)
			if (streq(records->items[i]->networks[k].network, network))
				return true;
	return false;
}

/* Nothing is to be changed, but somebody may have deleted, or set down, what those that
 * run are connected by: the supervisor looks, and says so only where that is so. */
static void look_after_networks(struct up *u)
{
	MAP_FOREACH (entry, &u->t->networks) {
		struct action_list *l = &u->plan->actions;
		size_t i;

		if (!u->plan->kept || !is_connected_to(u->records, entry->key))
			continue;
		i = action_add(l, ACTION_NETWORK_CREATE, entry->key);
		l->items[i].config = json_ref(entry->value);
		l->items[i].quiet = true;
	}
}

static bool will_exist(struct up *u, const char *service)
{
	const struct service *s = services_find(&u->services, service);

	return s && s->selected ? scale_of(u, s) > 0 : replica_find(u->records, service, 1) != NULL;
}

static int check_volumes_from(struct up *u, const struct service *s, struct diag *diag)
{
	const struct node *list = node_get(project_service(u->p, s->name), "volumes_from");

	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->n; i++) {
		_cleanup_(volumes_from_done) struct volumes_from v = { 0 };

		volumes_from_parse(list->items[i]->text, &v);
		if (!v.is_container && !will_exist(u, v.name))
			return diag_err(diag, list->items[i], ENOENT,
					"services.%s.volumes_from: service \"%s\" has no container",
					s->name, v.name);
	}
	return 0;
}

int plan_up(const struct project *p, const struct translation *t, const struct record_list *records,
	    const struct plan_options *o, struct plan *out, struct diag *diag)
{
	struct up u = { .p = p, .t = t, .records = records, .o = o, .plan = out };
	int r = services_load(p, records, o, &u.services, diag);

	if (r < 0) {
		services_done(&u.services);
		return r;
	}
	if (!o->no_deps)
		services_select_needed(&u.services);
	for (size_t i = 0; r == 0 && i < u.services.n; i++)
		if (u.services.items[i].selected)
			r = check_volumes_from(&u, &u.services.items[i], diag);
	if (r < 0) {
		services_done(&u.services);
		return r;
	}
	make_resources(&u);
	plan_orphans(p, records, o, out);
	for (size_t i = 0; i < u.services.n; i++)
		if (u.services.items[i].selected && map_has(&t->specs, u.services.items[i].name))
			up_service(&u, &u.services.items[i]);
	if (o->wait)
		wait_for_all(&u);
	if (out->actions.n == u.resources.n) {
		action_list_done(&out->actions); /* nothing but networks and volumes nobody
						    new uses */
		look_after_networks(&u);
	}
	free(u.resources.items);
	services_done(&u.services);
	return 0;
}
