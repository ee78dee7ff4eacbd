/* engine/supervise/follow.c: dependants follow a dependency that crashed.
 *
 * `depends_on: {db: {restart: true}}` says that a service does not survive a
 * restart of its dependency.  The plan of a command sees to that when it is the
 * command that restarts db; here it is when db's own restart policy does.
 *
 * Two halves, joined by a mark in the dependant's record, so that no crash of
 * ours loses it: follow_mark() when db's run ends and another one will follow;
 * and, after any change, a look at all that are marked: those whose dependencies
 * are back, as the condition of the edge wants them, are restarted.  That
 * restart is itself one that others may follow.
 *
 * The look is taken from a timer of the loop, never from within a change: a
 * restart is a change too.
 */
#include "engine/supervise/internal.h"

#include "base/cleanup.h"

enum back { NOT_YET, BACK, GONE };

static json *edges_of(const struct supervisor *sv, const char *service)
{
	json *services = json_get(sv->model, "services");

	return service ? json_get(json_get(services, service), "depends_on") : NULL;
}

static bool is_replica(const struct container *c)
{
	return c->rec->service && !c->rec->oneoff;
}

/* Does this edge ask for a restart after a crash?  What `links` and network_mode:
 * service:x imply is for what a command makes anew: addresses and the pinned
 * network namespace outlive a crash.  A pid or ipc namespace does not. */
static bool wants_restart(json *edge)
{
	const char *via = json_get_str(edge, "via");

	return json_get_bool(edge, "restart", false) &&
	       (!via || streq(via, "pid") || streq(via, "ipc"));
}

static bool will_follow(const struct container *c, const char *service)
{
	json *edge = json_get(edges_of(c->sv, c->rec->service), service);

	return wants_restart(edge) && container_is_active(c) &&
	       c->rec->status != CONTAINER_STOPPING && !c->rec->user_stopped;
}

void follow_mark(struct container *c)
{
	if (!is_replica(c))
		return;
	MAP_FOREACH (entry, &c->sv->containers) {
		struct container *other = entry->value;

		if (!is_replica(other) || other->rec->follows ||
		    !will_follow(other, c->rec->service))
			continue;
		other->rec->follows = true;
		container_save(other, false);
	}
}

/* One container of a dependency: will it still become what the edge waits for? */
static enum back container_back(const struct container *c, int condition)
{
	const struct record *rec = c->rec;

	if (rec->follows || rec->again || c->hook)
		return NOT_YET;
	if (condition == WAIT_COMPLETED)
		return container_is_active(c) ? NOT_YET : rec->exit_code == 0 ? BACK : GONE;
	switch (rec->status) {
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
		if (condition != WAIT_HEALTHY || rec->health == HEALTH_NONE)
			return BACK;
		return rec->health == HEALTH_HEALTHY ? BACK : NOT_YET;
	default:
		return container_is_active(c) ? NOT_YET : GONE;
	}
}

/* All replicas of @service: waits for every one that comes, goes on without those
 * that do not. */
static enum back service_back(const struct supervisor *sv, const char *service, int condition)
{
	enum back all = GONE;

	MAP_FOREACH (entry, &sv->containers) {
		const struct container *c = entry->value;
		enum back b;

		if (!is_replica(c) || !streq(c->rec->service, service))
			continue;
		b = container_back(c, condition);
		if (b == NOT_YET)
			return NOT_YET;
		if (b == BACK)
			all = BACK;
	}
	return all;
}

/* What @c was marked for: back when one of its dependencies is and none is on
 * its way.  All of them gone: there is nothing to follow. */
static enum back dependencies_back(const struct container *c)
{
	json *edges = edges_of(c->sv, c->rec->service);
	struct json_iter it = { 0 };
	enum back all = GONE;

	while (json_each(edges, &it)) {
		const char *text = json_get_str(it.value, "condition");
		enum back b;

		if (!wants_restart(it.value))
			continue;
		b = service_back(c->sv, it.key, text ? wait_condition_parse(text) : WAIT_STARTED);
		if (b == NOT_YET)
			return NOT_YET;
		if (b == BACK)
			all = BACK;
	}
	return all;
}

static void follow(struct container *c, enum back back)
{
	c->rec->follows = false;
	if (back == GONE || !container_is_active(c)) {
		container_save(c, false);
		return;
	}
	supervisor_log(c->sv, "%s: restarting, for what it depends on was", c->rec->name);
	container_restart(c, AGAIN_FOLLOW);
}

/* The first that is due; restarting it may change the map. */
static struct container *next_due(struct supervisor *sv, enum back *back)
{
	MAP_FOREACH (entry, &sv->containers) {
		struct container *c = entry->value;

		if (!c->rec->follows)
			continue;
		*back = container_is_active(c) ? dependencies_back(c) : GONE;
		if (*back != NOT_YET)
			return c;
	}
	return NULL;
}

static void on_look(struct source *s, void *data)
{
	struct supervisor *sv = data;
	struct container *c;
	enum back back;

	while (!sv->leaving && (c = next_due(sv, &back)))
		follow(c, back);
}

void follow_poke(struct supervisor *sv)
{
	if (sv->leaving)
		return;
	MAP_FOREACH (entry, &sv->containers) {
		const struct container *c = entry->value;

		if (!c->rec->follows)
			continue;
		if (!sv->follow_timer)
			sv->follow_timer = loop_add_timer(sv->loop, 0, on_look, sv);
		else
			source_set_timer(sv->follow_timer, 0);
		return;
	}
}

/* ---- the model on disk ------------------------------------------------------------ */
static char *model_path(const struct supervisor *sv)
{
	_cleanup_(free_p) char *dir = dirs_project(sv->dirs, sv->project);

	return xasprintf("%s/project.json", dir);
}

void follow_load_model(struct supervisor *sv)
{
	_cleanup_(free_p) char *path = model_path(sv);
	struct err e = ERR_INIT;
	json *model = NULL;
	int r = json_read_file(AT_FDCWD, path, CONTROL_REQUEST_MAX, &model, &e);

	if (r == 0 && json_get_int(model, "version", 0) == MODEL_VERSION) {
		json_unref(sv->model);
		sv->model = model;
		return;
	}
	if (r == 0)
		supervisor_log(sv, "%s: not a version we know; left alone", path);
	else if (r != -ENOENT)
		supervisor_log(sv, "%s", e.msg);
	json_unref(model);
}
