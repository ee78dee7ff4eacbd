/* engine/supervise/action.c: action lists to JSON and back. */
#include "engine/supervise/action.h"

#include <assert.h>

#include "base/cleanup.h"

static const char *const kind_names[] = {
	[ACTION_NETWORK_CREATE] = "network_create",
	[ACTION_VOLUME_CREATE] = "volume_create",
	[ACTION_CREATE] = "create",
	[ACTION_START] = "start",
	[ACTION_WAIT] = "wait",
	[ACTION_STOP] = "stop",
	[ACTION_KILL] = "kill",
	[ACTION_PAUSE] = "pause",
	[ACTION_UNPAUSE] = "unpause",
	[ACTION_REMOVE] = "remove",
	[ACTION_NETWORK_REMOVE] = "network_remove",
	[ACTION_VOLUME_REMOVE] = "volume_remove",
};
static_assert(ARRAY_SIZE(kind_names) == ACTION_KIND_MAX, "one name per kind");

static const char *const condition_names[] = {
	[WAIT_STARTED] = "service_started",
	[WAIT_HEALTHY] = "service_healthy",
	[WAIT_COMPLETED] = "service_completed_successfully",
	[WAIT_RUNNING] = "running_or_healthy",
	[WAIT_STOPPED] = "stopped",
};
static_assert(ARRAY_SIZE(condition_names) == WAIT_CONDITION_MAX, "one name per condition");

const char *action_kind_name(enum action_kind k)
{
	return kind_names[k];
}

const char *wait_condition_name(enum wait_condition c)
{
	return condition_names[c];
}

static const struct {
	const char *object, *doing, *done;
} verbs[] = {
	[ACTION_NETWORK_CREATE] = { "Network", "Creating", "Created" },
	[ACTION_VOLUME_CREATE] = { "Volume", "Creating", "Created" },
	[ACTION_CREATE] = { "Container", "Creating", "Created" },
	[ACTION_START] = { "Container", "Starting", "Started" },
	[ACTION_WAIT] = { "Container", "Waiting", "Healthy" },
	[ACTION_STOP] = { "Container", "Stopping", "Stopped" },
	[ACTION_KILL] = { "Container", "Killing", "Killed" },
	[ACTION_PAUSE] = { "Container", "Pausing", "Paused" },
	[ACTION_UNPAUSE] = { "Container", "Unpausing", "Unpaused" },
	[ACTION_REMOVE] = { "Container", "Removing", "Removed" },
	[ACTION_NETWORK_REMOVE] = { "Network", "Removing", "Removed" },
	[ACTION_VOLUME_REMOVE] = { "Volume", "Removing", "Removed" },
};
static_assert(ARRAY_SIZE(verbs) == ACTION_KIND_MAX, "verbs for every kind");

char *action_subject(const struct action *a)
{
	return xasprintf("%s %s", verbs[a->kind].object, a->object);
}

const char *action_doing(const struct action *a)
{
	return a->kind == ACTION_CREATE && a->recreate ? "Recreate" : verbs[a->kind].doing;
}

const char *action_done(const struct action *a)
{
	if (a->kind == ACTION_CREATE && a->recreate)
		return "Recreated";
	if (a->kind == ACTION_WAIT && a->condition == WAIT_COMPLETED)
		return "Exited";
	return verbs[a->kind].done;
}

static int find(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; name && i < n; i++)
		if (streq(names[i], name))
			return (int)i;
	return -EINVAL;
}

int wait_condition_parse(const char *name)
{
	return find(condition_names, WAIT_CONDITION_MAX, name);
}

size_t action_add(struct action_list *l, enum action_kind kind, const char *object)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->items = xreallocarray(l->items, l->cap, sizeof(*l->items));
	}
	l->items[l->n] = (struct action){ .kind = kind,
					  .object = xstrdup(object),
					  .timeout = ACTION_DEFAULT_TIMEOUT };
	return l->n++;
}

void action_need(struct action_list *l, size_t i, size_t need)
{
	struct action *a = &l->items[i];

	if (need == ACTION_NO_NEED)
		return;
	assert(need < i);
	for (size_t k = 0; k < a->n_needs; k++)
		if (a->needs[k] == need)
			return;
	a->needs = xreallocarray(a->needs, a->n_needs + 1, sizeof(*a->needs));
	a->needs[a->n_needs++] = need;
}

void action_list_done(struct action_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct action *a = &l->items[i];

		free(a->object);
		free(a->service);
		free(a->reason);
		free(a->needs);
		spec_free(a->spec);
		json_unref(a->config);
	}
	free(l->items);
	*l = (struct action_list){ 0 };
}

static json *action_to_json(const struct action *a)
{
	json *o = json_new_object(), *needs = json_new_array();

	json_put_str(o, "kind", kind_names[a->kind]);
	json_put_str(o, "object", a->object);
	json_put_str(o, "service", a->service);
	json_put_str(o, "reason", a->reason);
	for (size_t i = 0; i < a->n_needs; i++)
		json_push(needs, json_new_int((int64_t)a->needs[i]));
	json_put(o, "needs", needs);
	if (a->spec)
		json_put(o, "spec", spec_to_json(a->spec));
	if (a->config)
		json_put(o, "config", json_ref(a->config));
	json_put_str(o, "condition", condition_names[a->condition]);
	json_put_bool(o, "recreate", a->recreate);
	json_put_bool(o, "quiet", a->quiet);
	json_put_bool(o, "optional", a->optional);
	json_put_int(o, "timeout", a->timeout);
	json_put_int(o, "signal", a->signal);
	json_put_bool(o, "with_volumes", a->with_volumes);
	json_put_bool(o, "by_user", a->by_user);
	if (a->for_boot)
		json_put_bool(o, "for_boot", true);
	return o;
}

json *action_list_to_json(const struct action_list *l)
{
	json *array = json_new_array();

	for (size_t i = 0; i < l->n; i++)
		json_push(array, action_to_json(&l->items[i]));
	return array;
}

static int read_needs(json *o, struct action_list *l, size_t i, struct err *e)
{
	json *needs = json_get(o, "needs");

	for (size_t k = 0; k < json_len(needs); k++) {
		json *position = json_at(needs, k);
		int64_t need = json_kind(position) == JSON_INT ? json_int(position) : -1;

		if (need < 0 || (uint64_t)need >= i)
			return err_set(e, EBADMSG, "action %zu needs action %.20s", i,
				       json_text(position));
		action_need(l, i, (size_t)need);
	}
	return 0;
}

static int read_spec(json *spec, struct action *a, struct err *e)
{
	int r = spec ? spec_from_json(spec, &a->spec, e) : 0;

	if (r < 0 || a->kind != ACTION_CREATE)
		return r;
	if (!a->spec || !a->spec->id || !a->spec->name || !a->spec->project)
		return err_set(e, EBADMSG, "create %s: no spec, or one without id, name or project",
			       a->object);
	return 0;
}

static int action_from_json(json *o, struct action_list *l, struct err *e)
{
	int kind = find(kind_names, ACTION_KIND_MAX, json_get_str(o, "kind"));
	int condition = find(condition_names, WAIT_CONDITION_MAX, json_get_str(o, "condition"));
	const char *object = json_get_str(o, "object");
	json *config = json_get(o, "config");
	struct action *a;
	size_t i;
	int r;

	if (kind < 0 || !object || (condition < 0 && json_has(o, "condition")))
		return err_set(e, EBADMSG, "not an action: %.200s", json_text(o));
	i = action_add(l, (enum action_kind)kind, object);
	r = read_needs(o, l, i, e);
	if (r < 0)
		return r;
	a = &l->items[i];
	a->service = xstrdup_null(json_get_str(o, "service"));
	a->reason = xstrdup_null(json_get_str(o, "reason"));
	a->config = config ? json_ref(config) : NULL;
	a->condition = condition < 0 ? WAIT_STARTED : (enum wait_condition)condition;
	a->recreate = json_get_bool(o, "recreate", false);
	a->quiet = json_get_bool(o, "quiet", false);
	a->optional = json_get_bool(o, "optional", false);
	a->timeout = json_get_int(o, "timeout", ACTION_DEFAULT_TIMEOUT);
	a->signal = (int)json_get_int(o, "signal", 0);
	a->with_volumes = json_get_bool(o, "with_volumes", false);
	a->by_user = json_get_bool(o, "by_user", false);
	a->for_boot = json_get_bool(o, "for_boot", false);
	return read_spec(json_get(o, "spec"), a, e);
}

int action_list_from_json(json *j, struct action_list *out, struct err *e)
{
	*out = (struct action_list){ 0 };
	for (size_t i = 0; i < json_len(j); i++) {
		int r = action_from_json(json_at(j, i), out, e);

		if (r < 0) {
			action_list_done(out);
			return r;
		}
	}
	return 0;
}
