/* engine/supervise/apply_steps.c: what each action does.
 *
 * An action is done at once or it is begun, and apply_check_step() tells from the
 * container's state when it is over: nothing here waits.  What is so already, by an
 * earlier attempt or another command, counts as done.
 */
#include "engine/supervise/apply_internal.h"

#include <signal.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "volumes/volume.h"

static int make_network(struct apply *a, const struct action *act, struct err *e)
{
	struct network *n;
	bool existed;
	int r;

	if (networks_get(a->sv, act->object, &n, NULL) == 0) {
		r = mend_network(a->sv, n, e);
		if (r > 0) {
			_cleanup_(free_p) char *id = action_subject(act);

			apply_note(a->sv, id, "done", "Repaired", NULL);
		}
		return MIN(r, 0);
	}
	apply_say(a, act, "working", action_doing(act), NULL);
	if (networks_create(a->sv, act->object, act->config, &existed, e) < 0)
		return -e->code;
	if (!existed)
		return 1;
	apply_say(a, act, "done", "Exists", NULL); /* another project was faster */
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
		apply_say(a, act, "warning", "Record put aside and made anew", damage.msg);
	apply_say(a, act, "working", action_doing(act), NULL);
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
		apply_say(a, act, "warning", "Resource is still in use", busy.msg);
		return 0;
	}
	apply_say(a, act, "working", action_doing(act), NULL);
	r = volume_remove(root, act->object, e);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int remove_network(struct apply *a, const struct action *act, struct err *e)
{
	struct network *n;
	int r = networks_get(a->sv, act->object, &n, e);

	if (r == -ENOENT)
		return 0;
	apply_say(a, act, "working", action_doing(act), NULL);
	r = networks_remove(a->sv, act->object, e);
	if (r == 1) {
		apply_say(a, act, "warning", "Resource is still in use", NULL);
		return 0;
	}
	return r < 0 ? r : 1;
}

static int make_container(struct apply *a, const struct action *act, struct err *e)
{
	int r;

	apply_say(a, act, "working", action_doing(act), NULL);
	r = container_create(a->sv, act->spec, e);
	if (r == 0)
		r = connect_hold_ports(container_find(a->sv, act->object), e);
	return r < 0 ? r : 1;
}

static void launch(struct apply *a, size_t i, struct container *c)
{
	const struct action *act = &a->actions.items[i];

	a->launched[i] = true;
	apply_say(a, act, "working", action_doing(act), NULL);
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
			return 2; /* a stop cut short by a crash; apply_check_step() starts it */
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
		apply_say(a, act, "working", action_doing(act), NULL);
		if (act->for_boot)
			container_stop_for_boot(c, act->timeout);
		else
			container_stop(c, act->timeout, act->by_user);
		return 2; /* done already, perhaps: apply_check_step() knows */
	case ACTION_KILL:
		apply_say(a, act, "working", action_doing(act), NULL);
		r = container_signal(c, act->signal ? act->signal : SIGKILL, act->by_user, e);
		if (r < 0)
			return r;
		/* Nothing survives that one: until it is gone, a `start` would find it running. */
		return c->rec->user_stopped && (!act->signal || act->signal == SIGKILL) ? 2 : 1;
	case ACTION_PAUSE:
	case ACTION_UNPAUSE:
		apply_say(a, act, "working", action_doing(act), NULL);
		r = container_pause(c, act->kind == ACTION_PAUSE, e);
		return r < 0 ? r : 1;
	case ACTION_REMOVE:
		apply_say(a, act, "working", action_doing(act), NULL);
		r = container_remove(c, act->with_volumes, e);
		return r < 0 ? r : 1;
	default: /* ACTION_WAIT */
		apply_begin_wait(a, i, c);
		return 2;
	}
}

int apply_perform(struct apply *a, size_t i, struct err *e)
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

void apply_check_step(struct apply *a, size_t i, struct container *c)
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
			apply_step_failed(a, i, &e);
		} else if (c->hook_error.code) {
			apply_step_failed(a, i, &c->hook_error);
		} else if (c->rec->status != CONTAINER_STARTING && !c->hook) {
			apply_say(a, act, "done", action_done(act), NULL);
			apply_step_done(a, i);
		}
		break;
	case ACTION_KILL:
	case ACTION_STOP:
		if (act->kind == ACTION_STOP && c->hook_error.code) {
			apply_step_failed(a, i, &c->hook_error);
		} else if (!container_is_active(c)) {
			apply_say(a, act, "done", action_done(act), NULL);
			apply_step_done(a, i);
		}
		break;
	default:
		apply_check_wait(a, i, c);
	}
}

void apply_run_step(struct apply *a, size_t i)
{
	struct action *act = &a->actions.items[i];
	struct container *c;
	struct err e = ERR_INIT;
	int r;

	a->steps[i] = STEP_ACTIVE;
	r = apply_perform(a, i, &e);
	if (r < 0) {
		apply_step_failed(a, i, &e);
	} else if (r < 2) {
		if (r == 1)
			apply_say(a, act, "done", action_done(act), NULL);
		apply_step_done(a, i);
	} else {
		c = container_find(a->sv, act->object);
		if (c && a->steps[i] == STEP_ACTIVE)
			apply_check_step(a, i, c);
	}
}
