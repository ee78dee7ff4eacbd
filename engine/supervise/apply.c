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
#include "engine/supervise/internal.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "volumes/volume.h"

#define SETTLE_NS (500 * NSEC_PER_MSEC)

enum step { STEP_PENDING, STEP_ACTIVE, STEP_DONE, STEP_FAILED, STEP_SKIPPED };

struct apply {
	struct supervisor *sv;
	struct control_conn *conn; /* NULL: the client went away, we go on */
	char *command;
	json *message;
	struct action_list actions;
	enum step *steps;
	struct source **deadlines; /* of waits that have one */
	struct source **settling;  /* of waits for what has only just started */
	uint64_t *settled_at;      /* CLOCK_MONOTONIC; 0: not asked yet */
	bool *launched;            /* of starts: begun, not only waiting for a stop to end */
	bool begun, takes_down, keep_going, stopped, pumping;
	struct err err; /* the first */
	struct apply *next;
};

static void apply_pump(struct apply *a);

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

static void say_action(struct apply *a, const struct action *act, const char *status,
		       const char *text, const char *details)
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
static void step_done(struct apply *a, size_t i)
{
	a->steps[i] = STEP_DONE;
	source_clear(&a->deadlines[i]);
	source_clear(&a->settling[i]);
}

static void step_failed(struct apply *a, size_t i, const struct err *e)
{
	const struct action *act = &a->actions.items[i];

	source_clear(&a->deadlines[i]);
	source_clear(&a->settling[i]);
	if (act->optional) {
		say_action(a, act, "warning", e->msg, NULL);
		a->steps[i] = STEP_DONE;
		return;
	}
	a->steps[i] = STEP_FAILED;
	say_action(a, act, "error", "Error", e->msg);
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

static void apply_end(struct apply *a)
{
	struct supervisor *sv = a->sv;
	struct err e = ERR_INIT;
	struct sweep sweep;
	bool leaving;

	container_sweep_start(sv, &sweep);
	assert(sv->applies == a);
	connect_drop_held(sv);
	networks_forget_foreign(sv);
	if ((networks_flush(sv, &e) < 0 || connect_firewall(sv, &e) < 0) && !a->err.code)
		a->err = e;
	if (container_sweep_finish(sv, &sweep, &e) < 0 && !a->err.code)
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

/* ---- waits ---------------------------------------------------------------------------- */
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

static void check_wait(struct apply *a, size_t i, struct container *c);

static void on_settled(struct source *s, void *data)
{
	struct apply *a = data;

	for (size_t i = 0; i < a->actions.n; i++) {
		struct container *c;

		if (a->settling[i] != s || a->steps[i] != STEP_ACTIVE)
			continue;
		c = container_find(a->sv, a->actions.items[i].object);
		if (c)
			check_wait(a, i, c);
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

static void check_wait(struct apply *a, size_t i, struct container *c)
{
	struct action *act = &a->actions.items[i];
	struct err e = ERR_INIT;

	switch (judge_settled(a, i, c, &e)) {
	case YES:
		say_action(a, act, "done",
			   c->rec->status == CONTAINER_EXITED ? "Exited"
			   : c->rec->health == HEALTH_HEALTHY ? "Healthy"
							      : action_done(act),
			   NULL);
		step_done(a, i);
		break;
	case NO:
		step_failed(a, i, &e);
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
		step_failed(a, i, &e);
	}
	apply_pump(a);
}

/* ---- actions ---------------------------------------------------------------------------- */
static int make_network(struct apply *a, const struct action *act, struct err *e)
{
	struct network *n;
	bool existed;
	int r;

	if (networks_get(a->sv, act->object, &n, NULL) == 0) {
		r = mend_network(a->sv, n, e);
		if (r > 0) {
			_cleanup_(free_p) char *id = action_subject(act);

			say(a, id, "done", "Repaired", NULL);
		}
		return MIN(r, 0);
	}
	say_action(a, act, "working", action_doing(act), NULL);
	if (networks_create(a->sv, act->object, act->config, &existed, e) < 0)
		return -e->code;
	if (!existed)
		return 1;
	say_action(a, act, "done", "Exists", NULL); /* another project was faster */
	return 0;
}

static struct volume *volume_of(const struct action *act)
{
	struct volume *v = volume_new(act->object);
	const char *driver = json_get_str(act->config, "driver");

	if (driver)
		str_set(&v->driver, driver);
	v->options = json_get_strv(act->config, "options");
	v->labels = json_get_strv(act->config, "labels");
	v->project = xstrdup_null(json_get_str(act->config, "project"));
	return v;
}

static int make_volume(struct apply *a, const struct action *act, struct err *e)
{
	_cleanup_(free_p) char *root = dirs_volumes(a->sv->dirs);
	_cleanup_(volume_freep) struct volume *v = volume_of(act);
	struct err damage = ERR_INIT;
	int r = volume_load(root, act->object, NULL, &damage);

	if (r == 0)
		return 0;
	if (volume_is_damage(r))
		say_action(a, act, "warning", "Record put aside and made anew", damage.msg);
	say_action(a, act, "working", action_doing(act), NULL);
	return volume_ensure(root, v, NULL, e);
}

/* Does any container of any project mount the volume? Names it in @e. */
static bool volume_in_use(const struct supervisor *sv, const char *volume, struct err *e)
{
	_cleanup_(strv_freep) char **projects = dirs_list_projects(sv->dirs);

	for (size_t p = 0; projects[p]; p++) {
		struct record_list list;
		bool found = false;

		if (record_list_load(sv->dirs, projects[p], &list, NULL) < 0)
			continue;
		for (size_t i = 0; i < list.n && !found; i++) {
			_cleanup_(free_p) char *dir = dirs_container(sv->dirs, projects[p],
								     list.items[i]->id);
			_cleanup_(free_p) char *path = path_join(dir, "spec.json");
			_cleanup_(json_unrefp) json *j = NULL;
			_cleanup_(spec_freep) struct container_spec *spec = NULL;

			if (json_read_file(AT_FDCWD, path, CONTROL_REQUEST_MAX, &j, NULL) < 0 ||
			    spec_from_json(j, &spec, NULL) < 0)
				continue;
			for (size_t m = 0; m < spec->n_mounts && !found; m++)
				found = streq_null(spec->mounts[m].volume, volume);
			if (found)
				err_set(e, EBUSY, "volume %s is in use by container %s", volume,
					spec->name);
		}
		record_list_done(&list);
		if (found)
			return true;
	}
	return false;
}

static int remove_volume(struct apply *a, const struct action *act, struct err *e)
{
	_cleanup_(free_p) char *root = dirs_volumes(a->sv->dirs);
	struct err busy = ERR_INIT;
	int r;

	if (volume_load(root, act->object, NULL, NULL) == -ENOENT)
		return 0;
	if (volume_in_use(a->sv, act->object, &busy)) {
		say_action(a, act, "warning", "Resource is still in use", busy.msg);
		return 0;
	}
	say_action(a, act, "working", action_doing(act), NULL);
	r = volume_remove(root, act->object, e);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int remove_network(struct apply *a, const struct action *act, struct err *e)
{
	struct network *n;
	int r = networks_get(a->sv, act->object, &n, e);

	if (r == -ENOENT)
		return 0;
	say_action(a, act, "working", action_doing(act), NULL);
	r = networks_remove(a->sv, act->object, e);
	if (r == 1) {
		say_action(a, act, "warning", "Resource is still in use", NULL);
		return 0;
	}
	return r < 0 ? r : 1;
}

static int make_container(struct apply *a, const struct action *act, struct err *e)
{
	int r;

	say_action(a, act, "working", action_doing(act), NULL);
	r = container_create(a->sv, act->spec, e);
	if (r == 0)
		r = connect_hold_ports(container_find(a->sv, act->object), e);
	return r < 0 ? r : 1;
}

static void launch(struct apply *a, size_t i, struct container *c)
{
	const struct action *act = &a->actions.items[i];

	a->launched[i] = true;
	say_action(a, act, "working", action_doing(act), NULL);
	container_start(c);
}

/* Actions on a container that is there.  0: done without a word, 1: done, 2: takes time. */
static int on_container(struct apply *a, size_t i, struct container *c, struct err *e)
{
	struct action *act = &a->actions.items[i];
	int r;

	switch (act->kind) {
	case ACTION_START:
		if (c->rec->status == CONTAINER_STOPPING)
			return 2; /* a stop that a crash cut short: check_active() starts it after
				   */
		if (container_is_active(c) && c->rec->status != CONTAINER_RESTARTING)
			return 0;
		launch(a, i, c);
		return 2;
	case ACTION_STOP:
		if (!container_is_active(c)) {
			bool lost = act->by_user && c->rec->lost;

			container_stop(c, act->timeout, act->by_user);
			return lost ? 1 : 0;
		}
		say_action(a, act, "working", action_doing(act), NULL);
		if (act->for_boot)
			container_stop_for_boot(c, act->timeout);
		else
			container_stop(c, act->timeout, act->by_user);
		return 2; /* done already, perhaps: check_active() knows */
	case ACTION_KILL:
		say_action(a, act, "working", action_doing(act), NULL);
		r = container_signal(c, act->signal ? act->signal : SIGKILL, act->by_user, e);
		if (r < 0)
			return r;
		/* Nothing survives that one: until it is gone, a `start` would find it running. */
		return c->rec->user_stopped && (!act->signal || act->signal == SIGKILL) ? 2 : 1;
	case ACTION_PAUSE:
	case ACTION_UNPAUSE:
		say_action(a, act, "working", action_doing(act), NULL);
		r = container_pause(c, act->kind == ACTION_PAUSE, e);
		return r < 0 ? r : 1;
	case ACTION_REMOVE:
		say_action(a, act, "working", action_doing(act), NULL);
		r = container_remove(c, act->with_volumes, e);
		return r < 0 ? r : 1;
	default: /* ACTION_WAIT */
		if (judge_settled(a, i, c, NULL) == NOT_YET)
			say_action(a, act, "working", action_doing(act), NULL);
		if (act->timeout > 0)
			a->deadlines[i] = loop_add_timer(a->sv->loop, (uint64_t)act->timeout,
							 on_deadline, a);
		return 2;
	}
}

static int perform(struct apply *a, size_t i, struct err *e)
{
	const struct action *act = &a->actions.items[i];
	struct container *c;

	switch (act->kind) {
	case ACTION_NETWORK_CREATE:
		return make_network(a, act, e);
	case ACTION_VOLUME_CREATE:
		return make_volume(a, act, e);
	case ACTION_CREATE:
		return make_container(a, act, e);
	case ACTION_NETWORK_REMOVE:
		return remove_network(a, act, e);
	case ACTION_VOLUME_REMOVE:
		return remove_volume(a, act, e);
	default:
		c = container_find(a->sv, act->object);
		if (c)
			return on_container(a, i, c, e);
		if (act->kind == ACTION_REMOVE || act->kind == ACTION_STOP)
			return 0; /* gone already, which is what was wanted */
		return err_set(e, ENOENT, "no such container: %s", act->object);
	}
}

static void check_active(struct apply *a, size_t i, struct container *c)
{
	struct action *act = &a->actions.items[i];

	switch (act->kind) {
	case ACTION_START:
		if (!a->launched[i] && c->rec->status == CONTAINER_STOPPING)
			break;
		if (!a->launched[i])
			launch(a, i, c);
		if (c->start_error.code) {
			struct err e = c->start_error;

			err_wrap(&e, -e.code, "container %s", c->rec->name);
			step_failed(a, i, &e);
		} else if (c->hook_error.code) {
			step_failed(a, i, &c->hook_error);
		} else if (c->rec->status != CONTAINER_STARTING && !c->hook) {
			say_action(a, act, "done", action_done(act), NULL);
			step_done(a, i);
		}
		break;
	case ACTION_KILL:
	case ACTION_STOP:
		if (act->kind == ACTION_STOP && c->hook_error.code) {
			step_failed(a, i, &c->hook_error);
		} else if (!container_is_active(c)) {
			say_action(a, act, "done", action_done(act), NULL);
			step_done(a, i);
		}
		break;
	default:
		check_wait(a, i, c);
	}
}

static void run_step(struct apply *a, size_t i)
{
	struct action *act = &a->actions.items[i];
	struct container *c;
	struct err e = ERR_INIT;
	int r;

	a->steps[i] = STEP_ACTIVE;
	r = perform(a, i, &e);
	if (r < 0) {
		step_failed(a, i, &e);
	} else if (r < 2) {
		if (r == 1)
			say_action(a, act, "done", action_done(act), NULL);
		step_done(a, i);
	} else {
		c = container_find(a->sv, act->object);
		if (c && a->steps[i] == STEP_ACTIVE)
			check_active(a, i, c);
	}
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
				step_failed(a, i, &e);
				continue;
			}
		}
		run_step(a, i);
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

static void apply_pump(struct apply *a)
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
			check_active(a, i, object);
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
		int r = perform(a, i, &e);

		if (r >= 0) {
			say_action(a, act, "done", action_done(act), NULL);
			continue;
		}
		if (r == -ESRCH)
			continue; /* gone meanwhile, which is what was wanted */
		say_action(a, act, "error", "Error", e.msg);
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
