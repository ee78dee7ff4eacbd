/* engine/supervise/container.c: one container's record, creation and removal.  Its life:
 *
 *	created ── start ──> starting ── execve ──> running ── exit ──> exited
 *	                        │                     │  ^              │   ^
 *	                        └─ error ─> exited    │  └── restarting <┘   │
 *	                                     stopping <┘ (stop) ── exit ─────┘
 *
 * Every change is saved before anybody is told of it.
 */
#include "engine/supervise/internal.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/image/store.h"
#include "engine/state/names.h"
#include "volumes/volume.h"

#define SAVE_AGAIN NSEC_PER_SEC

struct container *container_find(struct supervisor *sv, const char *name)
{
	return map_get(&sv->containers, name);
}

bool container_is_active(const struct container *c)
{
	return record_is_active(c->rec);
}

static void on_save_timer(struct source *s, void *data)
{
	struct container *c = data;

	source_clear(&c->save_timer);
	container_save(c, false);
}

/* Others believe the file, so a state that could not be written is tried again. */
void container_save(struct container *c, bool durable)
{
	bool again = c->unsaved;
	struct err e = ERR_INIT;
	int r = record_save(c->rec, c->sv->dirs, durable, &e);

	supervisor_settle_soon(c->sv);
	c->unsaved = r < 0 && r != -ENOENT; /* without its directory it is as good as gone */
	if (r < 0 && !again)
		supervisor_log(c->sv, "%s: %s", c->rec->name, e.msg);
	if (!c->unsaved)
		source_clear(&c->save_timer);
	else if (!c->save_timer)
		c->save_timer = loop_add_timer(c->sv->loop, again ? SAVE_AGAIN : 0, on_save_timer,
					       c);
}

void container_changed(struct container *c, const char *event)
{
	supervisor_event(c->sv, c, event);
	follow_poke(c->sv);
	apply_poke(c->sv, c);
}

void container_set_timer(struct container *c, uint64_t delay, loop_timer_fn fn)
{
	source_clear(&c->timer);
	c->timer = loop_add_timer(c->sv->loop, delay, fn, c);
}

/* ---- creation and removal ---------------------------------------------------------- */
static struct container *new_container(struct supervisor *sv, struct record *rec,
				       struct container_spec *spec)
{
	struct container *c = new0(struct container);

	c->sv = sv;
	c->rec = rec;
	c->spec = spec;
	c->dir = dirs_container(sv->dirs, sv->project, rec->id);
	c->dir_fd = c->netns_fd = -EBADF;
	c->m = MONITOR_NOT_STARTED;
	c->left = SALVAGE_INIT;
	health_init(&c->health, &spec->health);
	return c;
}

void container_drop_run(struct container *c)
{
	source_clear(&c->sock_source);
	source_clear(&c->error_source);
	source_clear(&c->monitor_source);
	source_clear(&c->pid_source);
	monitor_started_done(&c->m);
	c->m = MONITOR_NOT_STARTED;
}

void container_free(struct container *c)
{
	if (!c)
		return;
	checks_stop(c);
	hooks_cancel(c);
	container_drop_run(c);
	salvage_done(&c->left);
	source_clear(&c->timer);
	source_clear(&c->save_timer);
	for (size_t i = 0; i < c->n_held; i++)
		publish_result_done(&c->held[i]);
	free(c->held);
	health_done(&c->health);
	cgroup_free(c->cgroup);
	fd_close(c->netns_fd);
	fd_close(c->dir_fd);
	record_free(c->rec);
	spec_free(c->spec);
	free(c->dir);
	free(c);
}

static int open_dir(struct container *c, struct err *e)
{
	c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return c->dir_fd < 0 ? err_errno(e, errno, "open %s", c->dir) : 0;
}

static struct record *record_of(const struct supervisor *sv, const struct container_spec *spec)
{
	struct record *rec = record_new();

	rec->id = xstrdup(spec->id);
	rec->name = xstrdup(spec->name);
	rec->project = xstrdup(sv->project);
	rec->service = xstrdup_null(spec->service);
	rec->image = xstrdup_null(spec->image);
	rec->image_id = xstrdup_null(spec->image_id);
	rec->config_hash = xstrdup_null(spec->config_hash);
	rec->command = strv_join(spec->argv, " ");
	rec->number = spec->number;
	rec->oneoff = spec->oneoff;
	rec->pre_start = spec->pre_start;
	rec->created = now_real_ns();
	rec->status = CONTAINER_CREATED;
	return rec;
}

static int make_anonymous_volumes(const struct container *c, struct err *e)
{
	_cleanup_(free_p) char *root = dirs_volumes(c->sv->dirs);

	for (size_t i = 0; i < c->spec->n_mounts; i++) {
		const struct mount_spec *m = &c->spec->mounts[i];
		_cleanup_(volume_freep) struct volume *v = NULL;
		int r;

		if (m->type != MOUNT_VOLUME || !m->anonymous)
			continue;
		v = volume_new(m->volume);
		v->anonymous = true;
		v->project = xstrdup(c->sv->project);
		r = volume_ensure(root, v, NULL, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_spec(struct container *c, struct err *e)
{
	_cleanup_(json_unrefp) json *j = spec_to_json(c->spec);
	const char *text = json_text(j);

	return file_write_atomic(c->dir_fd, "spec.json", text, strlen(text), 0600, false, e);
}

int container_create(struct supervisor *sv, const struct container_spec *spec, struct err *e)
{
	_cleanup_(fd_closep) int hold = -EBADF;
	struct container *c;
	int r;

	if (strlen(spec->id) != CONTAINER_ID_LEN || !name_is_valid(spec->name, 255))
		return err_set(e, EINVAL, "\"%s\" is not a container name", spec->name);
	c = container_find(sv, spec->name);
	if (c && (c->rec->status == CONTAINER_REMOVING || c->rec->status == CONTAINER_DEAD)) {
		r = container_remove(c, false, e); /* went wrong the first time */
		if (r < 0)
			return r;
		c = NULL;
	}
	if (c)
		return err_set(e, EEXIST, "container name \"%s\" is already in use", spec->name);
	/* From here until the record is written no image can be found to be unused. */
	if (spec->image_id && digest_is_valid(spec->image_id)) {
		_cleanup_(free_p) char *images = dirs_images(sv->dirs);

		hold = store_hold(images, spec->image_id, e);
		if (hold < 0)
			return err_wrap(e, hold, "container %s", spec->name);
	}
	c = new_container(sv, record_of(sv, spec), spec_copy(spec));
	r = mkdir_p(AT_FDCWD, c->dir, 0700, e);
	if (r == 0)
		r = open_dir(c, e);
	if (r == 0)
		r = write_spec(c, e);
	if (r == 0)
		r = record_save(c->rec, sv->dirs, false, e);
	if (r == 0)
		r = names_claim(sv->dirs, c->rec->name, sv->project, c->rec->id, e);
	if (r == 0)
		r = make_anonymous_volumes(c, e);
	if (r < 0) {
		names_release(sv->dirs, c->rec->name, sv->project, c->rec->id);
		(void)rm_rf(AT_FDCWD, c->dir, NULL); /* the failure itself is reported */
		container_free(c);
		return r;
	}
	map_put(&sv->containers, c->rec->name, c);
	container_changed(c, "create");
	return 0;
}

int container_load(struct supervisor *sv, struct record *rec, struct container **out, struct err *e)
{
	_cleanup_(free_p) char *dir = dirs_container(sv->dirs, sv->project, rec->id);
	_cleanup_(free_p) char *path = path_join(dir, "spec.json");
	_cleanup_(json_unrefp) json *j = NULL;
	struct container_spec *spec;
	int r = json_read_file(AT_FDCWD, path, CONTROL_REQUEST_MAX, &j, e);

	if (r == 0)
		r = spec_from_json(j, &spec, e);
	if (r < 0)
		return r;
	*out = new_container(sv, rec, spec);
	r = open_dir(*out, e);
	if (r < 0) {
		(*out)->rec = NULL; /* stays the caller's */
		container_free(*out);
		return r;
	}
	map_put(&sv->containers, rec->name, *out);
	return 0;
}

static void remove_anonymous_volumes(const struct container *c, int *r, struct err *e)
{
	_cleanup_(free_p) char *root = dirs_volumes(c->sv->dirs);

	for (size_t i = 0; i < c->spec->n_mounts; i++) {
		const struct mount_spec *m = &c->spec->mounts[i];
		struct err e2 = ERR_INIT;
		int r2;

		if (m->type != MOUNT_VOLUME || !m->anonymous)
			continue;
		r2 = volume_remove(root, m->volume, &e2);
		err_keep_first(r, e, r2 == -ENOENT ? 0 : r2, &e2);
	}
}

int container_drop_cgroup(struct container *c, struct err *e)
{
	int r;

	if (!c->cgroup && cgroup_open(c->sv->cgroups, c->sv->project, c->rec->id,
				      c->spec->cgroup_parent, &c->cgroup, NULL) < 0)
		return 0; /* has none */
	r = cgroup_destroy(c->sv->cgroups, c->cgroup, e);
	if (r < 0)
		return r;
	cgroup_free(c->cgroup);
	c->cgroup = NULL;
	return 0;
}

/* The directory leaves its place by one rename, so that a crash in the middle of
 * the removal leaves something adopt.c knows to be rubbish. */
static int remove_dir(struct container *c, struct err *e)
{
	_cleanup_(free_p) char *parent = dirs_containers(c->sv->dirs, c->sv->project);
	_cleanup_(free_p) char *doomed = xasprintf("%s/" DIRS_DOOMED "%s", parent, c->rec->id);

	if (rename(c->dir, doomed) < 0 && errno != ENOENT)
		return err_errno(e, errno, "remove %s", c->dir);
	if (!c->sv->collect_links)
		return rm_rf(AT_FDCWD, doomed, e);
	strv_add(&c->sv->doomed_dirs, doomed);
	return 0;
}

static _Noreturn void remove_share(char *const *dirs, size_t first)
{
	size_t n = strv_len(dirs);

	/* Above all the lock and the clients, should the supervisor end before us. */
	(void)syscall(SYS_close_range, 3, ~0U, 0);
	for (size_t i = first; i < n; i += SWEEPERS)
		(void)rm_rf(AT_FDCWD, dirs[i], NULL); /* the supervisor looks again */
	_exit(0);
}

/* Most of it is waiting: ext4 gives blocks back one by one, with a discard for each
 * where the mount asks for that, so several at once take hardly longer than one. */
void container_sweep_start(struct supervisor *sv, struct sweep *s)
{
	size_t n = MIN(strv_len(sv->doomed_dirs), (size_t)SWEEPERS);

	s->n = 0;
	for (size_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			remove_share(sv->doomed_dirs, i);
		if (pid > 0)
			s->pids[s->n++] = pid;
	}
}

int container_sweep_finish(struct supervisor *sv, struct sweep *s, struct err *e)
{
	int r = 0;

	while (s->n > 0)
		(void)spawn_wait(s->pids[--s->n]); /* whatever it says, we look ourselves */
	STRV_FOREACH (dir, sv->doomed_dirs) {
		struct err e2 = ERR_INIT;

		err_keep_first(&r, e, rm_rf(AT_FDCWD, *dir, &e2), &e2);
	}
	strv_free(sv->doomed_dirs);
	sv->doomed_dirs = NULL;
	return r;
}

int container_remove(struct container *c, bool with_volumes, struct err *e)
{
	struct err e2 = ERR_INIT;
	int r;

	if (container_is_active(c))
		return err_set(e, EBUSY, "container %s is running", c->rec->name);
	c->rec->status = CONTAINER_REMOVING;
	container_save(c, false);
	r = connect_remove(c, e);
	err_keep_first(&r, e, container_drop_cgroup(c, &e2), &e2);
	if (with_volumes)
		remove_anonymous_volumes(c, &r, e);
	names_release(c->sv->dirs, c->rec->name, c->sv->project, c->rec->id);
	err_keep_first(&r, e, remove_dir(c, &e2), &e2);
	if (r < 0) {
		c->rec->status = CONTAINER_DEAD;
		container_save(c, false);
		return err_wrap(e, r, "remove container %s", c->rec->name);
	}
	exits_release(c->sv->exits, c->rec->id);
	monitor_record_remove(c->sv->run_fd, c->rec->id);
	supervisor_event(c->sv, c, "destroy");
	map_remove(&c->sv->containers, c->rec->name);
	container_free(c);
	return 0;
}
