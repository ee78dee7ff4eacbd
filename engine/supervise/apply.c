/* engine/supervise/apply.c: doing what a plan says.
 *
 * An apply is a list of actions with needs.  apply_pump() starts every action
 * whose needs are done; those that take time (start, stop, wait) stay ACTIVE
 * until a container changes and apply_poke() finds them done.  One apply of a
 * project runs at a time, the others queue behind it.
 *
 * After a failure a plan that builds up starts nothing more; one that takes
 * down goes on with whatever does not need the failed part, and reports the
 * first error at the end.
 */
#include "engine/supervise/apply_internal.h"

#include <assert.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/path.h"

/* ---- talking to the client ------------------------------------------------------- */
static void say(struct apply *a, const char *id, const char *status, const char *text,
		const char *details)
{
	json *o;

	if (!a->conn)
		return;
	o = json_new_object();
	json_put_str(o, "type", "progress");
	json_put_str(o, "id", id);
	json_put_str(o, "status", status);
	json_put_str(o, "text", text);
	json_put_str(o, "details", details);
	control_reply(a->conn, o, NULL, 0);
}

void apply_say(struct apply *a, const struct action *act, const char *status, const char *text,
	       const char *details)
{
	_cleanup_(free_p) char *id = action_subject(act);

	if (!act->quiet)
		say(a, id, status, text, details);
}

void apply_note(struct supervisor *sv, const char *id, const char *status, const char *text,
		const char *details)
{
	if (sv->applies && sv->applies->begun)
		say(sv->applies, id, status, text, details);
}

/* ---- the end of an action and of an apply ----------------------------------------- */
void apply_step_done(struct apply *a, size_t i)
{
	a->steps[i] = STEP_DONE;
	source_clear(&a->deadlines[i]);
	source_clear(&a->settling[i]);
}

void apply_step_failed(struct apply *a, size_t i, const struct err *e)
{
	const struct action *act = &a->actions.items[i];

	source_clear(&a->deadlines[i]);
	source_clear(&a->settling[i]);
	if (act->optional) {
		apply_say(a, act, "warning", e->msg, NULL);
		a->steps[i] = STEP_DONE;
		return;
	}
	a->steps[i] = STEP_FAILED;
	apply_say(a, act, "error", "Error", e->msg);
	if (!a->err.code)
		a->err = *e;
	a->stopped |= !a->keep_going;
}

static void apply_free(struct apply *a)
{
	for (size_t i = 0; i < a->actions.n; i++) {
		source_free(a->deadlines[i]);
		source_free(a->settling[i]);
	}
	free(a->deadlines);
	free(a->settling);
	free(a->settled_at);
	free(a->launched);
	free(a->steps);
	action_list_done(&a->actions);
	json_unref(a->message);
	free(a->command);
	free(a);
}

static void apply_begin(struct apply *a);

static void reply_end(struct apply *a, bool leaving)
{
	json *o, *error;

	if (!a->conn)
		return;
	o = json_new_object();
	error = control_err_to_json(&a->err);
	json_put_str(o, "type", "end");
	if (error)
		json_put(o, "error", error);
	json_put_bool(o, "leaving", leaving);
	control_reply(a->conn, o, NULL, 0);
	if (!a->conn)
		return;
	control_conn_set_data(a->conn, NULL);
	if (leaving)
		control_finish(a->conn);
}

/* Odd from the beginning of an apply to its end, so that one which a crash cut
 * short is seen as well. */
static void next_generation(struct supervisor *sv)
{
	/* What counts is the file, which the commands read as well: should it not
	 * be written for once, nobody is at odds with it. */
	uint64_t n = record_generation(sv->dirs, sv->project);
	char text[32];
	struct err e = ERR_INIT;

	/* Begins with the time: a project that was away meanwhile never repeats one. */
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(n ? n + 1 : now_real_ns() | 1));
	if (file_write_atomic(sv->run_fd, RECORD_GENERATION_NAME, text, strlen(text), 0600, false,
			      &e) < 0)
		supervisor_log(sv, "%s", e.msg);
}

void apply_adopt_generation(struct supervisor *sv)
{
	if (record_generation(sv->dirs, sv->project) & 1)
		next_generation(sv); /* the one that was at it is no more */
}

static bool is_overtaken(const struct apply *a)
{
	int64_t planned = json_get_int(a->message, "generation", -1);

	return planned >= 0 && (uint64_t)planned != record_generation(a->sv->dirs, a->sv->project);
}

/* What containers and networks leave behind.  Most of it is waiting for the kernel, to
 * delete links and rules, and for programs to end: all at the same time. */
static int clear_up(struct apply *a, struct err *e)
{
	struct supervisor *sv = a->sv;
	struct err e2 = ERR_INIT;
	struct firewall_job rules;
	struct sweep sweep;
	bool begun;
	int r = 0;

	container_sweep_start(sv, &sweep);
	networks_forget_foreign(sv);
	begun = connect_firewall_begin(sv, &rules);
	if (!a->next && !map_len(&sv->containers) && !map_len(&sv->networks) && !sv->sessions)
		nethelper_quit(sv->nethelper); /* supervisor_sweep() sees it go */
	err_keep_first(&r, e, networks_flush(sv, &e2), &e2);
	if (begun)
		err_keep_first(&r, e, connect_firewall_end(sv, &rules, &e2), &e2);
	else if (r == 0)
		err_keep_first(&r, e, connect_firewall(sv, &e2), &e2);
	err_keep_first(&r, e, container_sweep_finish(sv, &sweep, &e2), &e2);
	return r;
}

static void apply_end(struct apply *a)
{
	struct supervisor *sv = a->sv;
	struct err e = ERR_INIT;
	bool leaving;

	assert(sv->applies == a);
	connect_drop_held(sv);
	if (clear_up(a, &e) < 0 && !a->err.code)
		a->err = e;
	sv->collect_links = false;
	if (record_generation(sv->dirs, sv->project) & 1)
		next_generation(sv);
	sv->applies = a->next;
	leaving = !sv->applies && supervisor_sweep(sv);
	if (supervisor_settle(sv, &e) < 0 && !a->err.code)
		a->err = e;
	reply_end(a, leaving);
	if (leaving && !a->conn)
		loop_quit(sv->loop, 0); /* nobody there whose going would end us */
	apply_free(a);
	if (sv->applies)
		apply_begin(sv->applies);
	else
		supervisor_check_idle(sv);
}

/* ---- the pump ------------------------------------------------------------------------------ */
static bool is_ready(struct apply *a, size_t i)
{
	const struct action *act = &a->actions.items[i];

	if (a->steps[i] != STEP_PENDING)
		return false;
	for (size_t k = 0; k < act->n_needs; k++) {
		enum step need = a->steps[act->needs[k]];

		if (need == STEP_FAILED || need == STEP_SKIPPED) {
			a->steps[i] = STEP_SKIPPED;
			return false;
		}
		if (need != STEP_DONE)
			return false;
	}
	return true;
}

/* Starts come last in a round, so that the rule set for all that was created
 * is in force, once, before the first of them runs. */
static bool round_of(struct apply *a, bool starts)
{
	bool progress = false;

	for (size_t i = 0; i < a->actions.n && !a->stopped; i++) {
		if ((a->actions.items[i].kind == ACTION_START) != starts || !is_ready(a, i))
			continue;
		if (starts) {
			struct err e = ERR_INIT;

			if (connect_firewall(a->sv, &e) < 0) {
				apply_step_failed(a, i, &e);
				continue;
			}
		}
		apply_run_step(a, i);
		progress = true;
	}
	return progress;
}

static bool has_active(const struct apply *a)
{
	for (size_t i = 0; i < a->actions.n; i++)
		if (a->steps[i] == STEP_ACTIVE)
			return true;
	return false;
}

void apply_pump(struct apply *a)
{
	if (a->pumping)
		return; /* a container changed while a step ran; the loop below sees it */
	a->pumping = true;
	while (round_of(a, false) || round_of(a, true))
		;
	a->pumping = false;
	if (!has_active(a))
		apply_end(a);
}

void apply_poke(struct supervisor *sv, struct container *c)
{
	struct apply *a = sv->applies;

	if (!a || !a->begun)
		return;
	for (size_t i = 0; i < a->actions.n; i++) {
		struct container *object;

		if (a->steps[i] != STEP_ACTIVE)
			continue;
		object = container_find(sv, a->actions.items[i].object);
		if (object && (!c || object == c))
			apply_check_step(a, i, object);
	}
	apply_pump(a);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The port is one of a container that this plan removes or stops first. */
static bool freed_by_plan(const struct apply *a, const struct port_spec *p)
{
	for (size_t i = 0; i < a->actions.n; i++) {
		const struct action *act = &a->actions.items[i];
		struct container *c = container_find(a->sv, act->object);

		if (!c || (act->kind != ACTION_REMOVE && act->kind != ACTION_STOP))
			continue;
		for (size_t k = 0; k < c->rec->n_ports; k++)
			if (c->rec->ports[k].host_port >= p->host_first &&
			    c->rec->ports[k].host_port <= p->host_last)
				return true;
	}
	return false;
}

/* What is started is not the container of that name that is there now. */
static bool is_made_anew(const struct apply *a, const char *name)
{
	for (size_t i = 0; i < a->actions.n; i++)
		if (a->actions.items[i].kind == ACTION_CREATE &&
		    streq(a->actions.items[i].object, name))
			return true;
	return false;
}

/* Refuse a busy port before anything is made or stopped. */
static int check_ports(struct apply *a, struct err *e)
{
	struct publish_request *q = NULL;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < a->actions.n; i++) {
		const struct action *act = &a->actions.items[i];
		const struct container_spec *spec = act->spec;
		bool starts = act->kind == ACTION_START && !is_made_anew(a, act->object);
		struct container *c = starts ? container_find(a->sv, act->object) : NULL;

		if (c && !container_is_active(c) && !c->rec->n_ports && !c->n_held)
			spec = c->spec;
		if (!spec || spec->net.mode != NAMESPACE_PRIVATE)
			continue;
		for (size_t k = 0; k < spec->n_ports; k++) {
			const struct port_spec *p = &spec->ports[k];

			if (!p->host_first || freed_by_plan(a, p))
				continue;
			q = xreallocarray(q, n + 1, sizeof(*q));
			q[n++] = (struct publish_request){ .host_ip = p->host_ip,
							   .first = p->host_first,
							   .last = p->host_last,
							   .protocol = p->protocol,
							   .container_port = p->container_port };
		}
	}
	if (n)
		connect_settle_ports(a->sv);
	r = n ? publish_check(q, n, connect_port_owner, a->sv, NULL, e) : 0;
	for (int tries = 0; r == -EADDRINUSE && connect_await_starts(a->sv, tries); tries++) {
		*e = ERR_INIT;
		r = publish_check(q, n, connect_port_owner, a->sv, NULL, e);
	}
	free(q);
	return r;
}

static void save_model(struct apply *a)
{
	_cleanup_(free_p) char *dir = dirs_project(a->sv->dirs, a->sv->project);
	_cleanup_(free_p) char *path = path_join(dir, "project.json");
	json *project = json_get(a->message, "project"),
	     *services = json_get(a->message, "services");
	_cleanup_(json_unrefp) json *o = NULL;
	struct err e = ERR_INIT;
	const char *text;

	if (!project)
		return;
	o = json_new_object();
	json_put_int(o, "version", MODEL_VERSION);
	json_put(o, "project", json_ref(project));
	if (services)
		json_put(o, "services", json_ref(services));
	json_unref(a->sv->model);
	a->sv->model = json_ref(o);
	text = json_text(o);
	if (mkdir_p(AT_FDCWD, dir, 0700, &e) < 0 ||
	    file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, true, &e) < 0)
		supervisor_log(a->sv, "project.json: %s", e.msg);
}

static void apply_begin(struct apply *a)
{
	a->begun = true;
	a->sv->collect_links = a->takes_down;
	source_clear(&a->sv->idle);
	resolv_done(&a->sv->host_resolv);
	(void)resolv_read_host(&a->sv->host_resolv,
			       NULL); /* none: containers resolve local names */
	if (is_overtaken(a))
		err_set(&a->err, ESTALE, "another command changed the project meanwhile");
	/* Who is to go on after a failure finds a busy port when its container starts. */
	if (a->err.code || ((a->takes_down || !a->keep_going) && check_ports(a, &a->err) < 0)) {
		apply_end(a);
		return;
	}
	next_generation(a->sv);
	save_model(a);
	apply_pump(a);
}

static bool takes_down(const struct action_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].kind == ACTION_CREATE || l->items[i].kind == ACTION_START)
			return false;
	return true;
}

static bool only_kills(const struct action_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].kind != ACTION_KILL)
			return false;
	return l->n > 0;
}

/* A kill does not queue: what it would wait for may be the very stop, or the
 * wait for health, that the user has lost patience with. */
static void kill_beside(struct apply *a)
{
	for (size_t i = 0; i < a->actions.n; i++) {
		const struct action *act = &a->actions.items[i];
		struct err e = ERR_INIT;
		int r = apply_perform(a, i, &e);

		if (r >= 0) {
			apply_say(a, act, "done", action_done(act), NULL);
			continue;
		}
		if (r == -ESRCH)
			continue; /* gone meanwhile, which is what was wanted */
		apply_say(a, act, "error", "Error", e.msg);
		if (!a->err.code)
			a->err = e;
	}
	reply_end(a, false);
	apply_free(a);
}

/* Nothing that only takes time is waited for any longer: nobody does, and it would
 * hold up the queue. */
static void abandon_step(struct apply *a, size_t i)
{
	struct container *c = container_find(a->sv, a->actions.items[i].object);

	switch (a->actions.items[i].kind) {
	case ACTION_WAIT:
		a->steps[i] = STEP_SKIPPED;
		break;
	case ACTION_KILL:
		a->steps[i] = STEP_SKIPPED;
		break;
	case ACTION_START:
	case ACTION_STOP: /* the processes go on, or end, by themselves; hooks may hang */
		if (!c || !c->hook)
			break;
		container_give_up_hooks(c);
		a->steps[i] = STEP_SKIPPED;
		break;
	default:
		break;
	}
}

static void abandon(struct apply *a)
{
	a->stopped = true;
	if (!a->err.code)
		err_set(&a->err, ECANCELED, "canceled");
	for (size_t i = 0; i < a->actions.n; i++)
		if (a->steps[i] == STEP_ACTIVE)
			abandon_step(a, i);
	if (a->begun)
		apply_pump(a);
}

/* An apply whose client went away goes on, unless another one waits for it. */
static void abandon_orphan(struct supervisor *sv)
{
	if (sv->applies && !sv->applies->conn && sv->applies->next && !sv->applies->stopped)
		abandon(sv->applies);
}

static void say_waiting(struct supervisor *sv, struct control_conn *conn)
{
	const struct apply *first = sv->applies;
	json *o = json_new_object();

	json_put_str(o, "type", "waiting");
	json_put_str(o, "holder", first->command);
	if (first->conn)
		json_put_int(o, "pid", control_conn_pid(first->conn));
	control_reply(conn, o, NULL, 0);
}

void apply_request(struct supervisor *sv, struct control_conn *conn, json *message)
{
	struct apply *a = new0(struct apply), **end = &sv->applies;
	const char *command = json_get_str(message, "command");

	a->sv = sv;
	a->conn = conn;
	a->message = json_ref(message);
	a->command = xstrdup(command ? command : "apply");
	if (conn)
		control_conn_set_data(conn, a);
	if (action_list_from_json(json_get(message, "actions"), &a->actions, &a->err) < 0)
		a->stopped = true;
	a->steps = xcalloc(a->actions.n, sizeof(*a->steps));
	a->deadlines = xcalloc(a->actions.n, sizeof(*a->deadlines));
	a->settling = xcalloc(a->actions.n, sizeof(*a->settling));
	a->settled_at = xcalloc(a->actions.n, sizeof(*a->settled_at));
	a->launched = xcalloc(a->actions.n, sizeof(*a->launched));
	a->takes_down = takes_down(&a->actions);
	a->keep_going = a->takes_down || json_get_bool(message, "keep_going", false);
	if (sv->applies && only_kills(&a->actions)) {
		kill_beside(a);
		return;
	}
	while (*end)
		end = &(*end)->next;
	*end = a;
	if (sv->applies == a) {
		apply_begin(a);
		return;
	}
	if (conn && sv->applies->conn)
		say_waiting(sv, conn);
	abandon_orphan(sv);
}

void apply_cancel(struct supervisor *sv, struct control_conn *conn)
{
	for (struct apply *a = sv->applies; a; a = a->next) {
		if (a->conn == conn) {
			abandon(a);
			return;
		}
	}
}

void apply_conn_closed(struct supervisor *sv, struct control_conn *conn)
{
	for (struct apply *a = sv->applies; a; a = a->next)
		if (a->conn == conn)
			a->conn = NULL;
	abandon_orphan(sv);
}

void apply_free_all(struct supervisor *sv)
{
	while (sv->applies) {
		struct apply *a = sv->applies;

		sv->applies = a->next;
		apply_free(a);
	}
}
