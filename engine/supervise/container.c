/* engine/supervise/container.c: one container's life.
 *
 *	created ── start ──> starting ── execve ──> running ── exit ──> exited
 *	                        │                     │  ^              │   ^
 *	                        └─ error ─> exited    │  └── restarting <┘   │
 *	                                     stopping <┘ (stop) ── exit ─────┘
 *
 * A run is over when its *monitor* is: then its exit record says how it ended.  A
 * monitor that was killed left none; the container cannot go on without one, so
 * its cgroup is killed and the run counts as exited with 137.
 *
 * Every change is saved before anybody is told of it.
 */
#include "engine/supervise/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/signals.h"
#include "engine/image/store.h"
#include "engine/state/names.h"
#include "engine/supervise/restart.h"
#include "volumes/volume.h"

#define STOP_GRACE_DEFAULT (10 * NSEC_PER_SEC)
#define STOP_FIRST_LOOK    (100 * NSEC_PER_MSEC)
#define HANGS_AFTER (8 * NSEC_PER_SEC) /* SIGKILL, that is */
#define ORPHAN_WAIT        (2 * NSEC_PER_SEC)
#define SAVE_AGAIN         NSEC_PER_SEC
#define EXIT_KILLED        (128 + SIGKILL)

static const struct monitor_started no_run = { .monitor_pidfd = -EBADF,
					       .sock = -EBADF,
					       .error_fd = -EBADF,
					       .stdin_fd = -EBADF,
					       .pidfd = -EBADF };

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
	c->m = no_run;
	c->left = SALVAGE_INIT;
	health_init(&c->health, &spec->health);
	return c;
}

static void drop_run(struct container *c)
{
	source_clear(&c->sock_source);
	source_clear(&c->error_source);
	source_clear(&c->monitor_source);
	source_clear(&c->pid_source);
	monitor_started_done(&c->m);
	c->m = no_run;
}

void container_free(struct container *c)
{
	if (!c)
		return;
	checks_stop(c);
	hooks_cancel(c);
	drop_run(c);
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

static int drop_cgroup(struct container *c, struct err *e)
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
	s->n = 0;
	if (strv_len(sv->doomed_dirs) < 2 * SWEEPERS)
		return;
	for (size_t i = 0; i < SWEEPERS; i++) {
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
	err_keep_first(&r, e, drop_cgroup(c, &e2), &e2);
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

/* ---- the end of a run ------------------------------------------------------------------ */
static void on_restart_timer(struct source *s, void *data)
{
	container_start(data);
}

static void set_timer(struct container *c, uint64_t delay, loop_timer_fn fn)
{
	source_clear(&c->timer);
	c->timer = loop_add_timer(c->sv->loop, delay, fn, c);
}

void container_await_restart(struct container *c, uint64_t delay_ns)
{
	set_timer(c, delay_ns, on_restart_timer);
}

static struct restart_decision decide(const struct container *c, uint64_t run_ns)
{
	struct restart_history h = {
		.exit_code = c->rec->exit_code,
		.run_ns = run_ns,
		.attempts = c->rec->restart_count,
		.failures = c->rec->failures,
		.was_healthy = c->health.ready_once,
		/* A stop for a restart or a recreation is no end for good, but whoever
		 * asked for it starts it again, not the policy. */
		.user_stopped = c->rec->user_stopped || c->rec->status == CONTAINER_STOPPING,
	};

	struct restart_spec policy = c->spec->restart;
	struct restart_decision d;

	switch (c->rec->again) {
	case AGAIN_FOLLOW: /* no fault of its own: nothing is counted */
		return (struct restart_decision){ .restart = true,
						  .attempts = c->rec->restart_count,
						  .failures = c->rec->failures };
	case AGAIN_UNHEALTHY:
		policy.mode = RESTART_ALWAYS;
		h.user_stopped = c->rec->user_stopped;
		if (!c->health.ready_once)
			h.run_ns = 0; /* it never worked, however long it took to tell */
		break;
	case AGAIN_BOOT:
	case AGAIN_NO:
		break;
	}
	d = restart_decide(&policy, &h);
	/* Who could not be started is told so; trying again would change nothing.
	 * Only a container that ran before is worth further attempts. */
	if (c->start_error.code && !c->by_policy)
		d.restart = false;
	return d;
}

static void note_oom(struct container *c)
{
	uint64_t n = 0;

	if (c->cgroup && cgroup_oom_kills(c->cgroup, &n, NULL) == 0)
		c->rec->oom_killed = n > 0;
}

/* Before the container is killed. */
static void open_pipes(struct container *c)
{
	_cleanup_(fd_closep) int process = -EBADF;
	struct monitor_record m;

	if (monitor_record_load(c->sv->run_fd, c->rec->id, &m, NULL) < 0 ||
	    m.started_at != c->rec->started_at)
		return;
	process = procref_open(&m.process, NULL);
	if (!c->cgroup)
		(void)cgroup_open(c->sv->cgroups, c->sv->project, c->rec->id,
				  c->spec->cgroup_parent, &c->cgroup, NULL);
	salvage_open(&c->left, process >= 0 ? m.process.pid : 0, c->cgroup, m.pipes);
}

static void empty_pipes(struct container *c)
{
	size_t n = salvage_finish(&c->left, c->dir_fd, c->sv->run_fd, &c->spec->log);

	if (n)
		supervisor_log(c->sv, "%s: %zu bytes of output found in its pipes", c->rec->name, n);
}

/* It ran, or tried to, and is over: note how, and decide what comes next.  A
 * plan may have waited for just this to remove it: do not touch @c afterwards. */
static void run_ended(struct container *c, int code, uint64_t finished_at)
{
	struct restart_decision next;
	struct record *rec = c->rec;
	bool stopped = rec->status == CONTAINER_STOPPING;

	checks_stop(c);
	hooks_cancel(c);
	source_clear(&c->timer);
	drop_run(c);
	empty_pipes(c);
	note_oom(c);
	if (rec->oom_killed)
		supervisor_event(c->sv, c, "oom");
	rec->exit_code = code;
	rec->finished_at = finished_at;
	rec->pid = rec->monitor_pid = 0;
	rec->health = HEALTH_NONE;
	next = decide(c, finished_at > rec->started_at ? finished_at - rec->started_at : 0);
	rec->lost |= rec->again == AGAIN_BOOT;
	rec->restart_count = next.attempts;
	rec->failures = next.failures;
	rec->again = AGAIN_NO;
	rec->post_start_due = rec->held = false;
	if (next.restart && !c->sv->leaving) {
		rec->status = CONTAINER_RESTARTING;
		rec->restart_at = now_real_ns() + next.delay_ns;
		container_save(c, false);
		follow_mark(c);
		set_timer(c, next.delay_ns, on_restart_timer);
		container_changed(c, "die");
		return;
	}
	rec->status = CONTAINER_EXITED;
	rec->follows = false;
	connect_release(c);
	(void)drop_cgroup(c, NULL); /* busy still: at removal, or used again at the next start */
	container_save(c, false);
	supervisor_check_idle(c->sv);
	if (stopped)
		supervisor_event(c->sv, c, "die");
	container_changed(c, stopped ? "stop" : "die");
}

static void kill_all(struct container *c);

/* A container whose monitor was killed came to us (PR_SET_CHILD_SUBREAPER). */
static void on_orphan(struct source *s, int fd, uint32_t events, void *data)
{
	struct container *c = data;
	int status = 0;

	/* It may have ended by itself just before. */
	if (waitpid(c->m.pid, &status, WNOHANG) == c->m.pid && WIFEXITED(status))
		run_ended(c, WEXITSTATUS(status), now_real_ns());
	else
		run_ended(c, EXIT_KILLED, now_real_ns()); /* or init got it first */
}

/* The run's monitor is gone. */
static void monitor_ended(struct container *c)
{
	struct exit_record end;

	if (c->monitor_is_child && c->m.monitor_pid > 0)
		(void)spawn_wait(c->m.monitor_pid); /* it is a zombie: returns at once */
	c->monitor_is_child = false;
	if (exits_load(c->sv->exits, c->rec->id, &end, NULL) == 0 &&
	    end.started_at == c->rec->started_at) {
		run_ended(c, end.code, end.finished_at);
		return;
	}
	supervisor_log(c->sv, "%s: its monitor was killed; killing the container", c->rec->name);
	source_clear(&c->monitor_source);
	open_pipes(c);
	kill_all(c);
	if (c->m.pidfd < 0 ||
	    loop_add_fd(c->sv->loop, c->m.pidfd, EPOLLIN, on_orphan, c, &c->pid_source, NULL) < 0)
		run_ended(c, EXIT_KILLED, now_real_ns());
}

static void on_monitor(struct source *s, int fd, uint32_t events, void *data)
{
	monitor_ended(data);
}

/* ---- start -------------------------------------------------------------------------------- */
static void note_run(struct container *c)
{
	struct record *rec = c->rec;

	(void)proc_boot_id(rec->boot_id, NULL); /* readable, or nothing here would work */
	rec->pid = c->m.pid;
	rec->start_ticks = c->m.start_ticks;
	rec->monitor_pid = c->m.monitor_pid;
	rec->monitor_ticks = c->m.monitor_ticks;
}

static void start_failed(struct container *c, const struct err *e)
{
	c->start_error = *e;
	str_set(&c->rec->error, e->msg);
	if (c->by_policy)
		supervisor_log(c->sv, "%s: restart: %s", c->rec->name, e->msg);
	if (c->m.monitor_pidfd < 0) /* else its monitor will write the record, with init's code */
		run_ended(c, EXIT_SETUP, now_real_ns());
}

/* A run whose monitor was killed cannot go on, and must be over before there is another:
 * two instances would share its volumes.  Waits for that, though not for ever: a
 * process may hang in the kernel.  True: there was somebody to kill. */
static bool kill_orphan(struct container *c)
{
	uint64_t end = now_mono_ns() + ORPHAN_WAIT;
	bool alive;

	if (!c->cgroup)
		(void)cgroup_open(c->sv->cgroups, c->sv->project, c->rec->id,
				  c->spec->cgroup_parent, &c->cgroup, NULL);
	if (!c->cgroup)
		return false; /* it never got as far, or nothing of it is left */
	alive = cgroup_is_empty(c->cgroup) == 0;
	while (cgroup_is_empty(c->cgroup) == 0 && now_mono_ns() < end) {
		(void)cgroup_kill(c->cgroup, NULL); /* looked at again in the next round */
		(void)usleep(1000);
	}
	note_oom(c);
	/* Whoever made it may not have got to the last hierarchy, or to its limits and
	 * devices: no further run may be put into it. */
	if (drop_cgroup(c, NULL) < 0) {
		cgroup_free(c->cgroup);
		c->cgroup = NULL;
	}
	return alive;
}

/* Learn the pid from the forked child, and watch the run from here on. */
static int learn_pid(struct container *c, struct err *e)
{
	int r;

	if (c->m.sock < 0)
		return 0;
	source_clear(&c->sock_source);
	r = monitor_finish(&c->m, e);
	if (r < 0) {
		/* The child is reaped and its descriptors are closed.  If it was killed
		 * after the container's init was on its own, that runs. */
		c->m = no_run;
		c->monitor_is_child = false;
		kill_orphan(c);
		return r;
	}
	note_run(c);
	r = container_watch_run(c, e);
	if (r < 0) {
		/* A run that nobody watches would never be seen to end. */
		(void)syscall(SYS_pidfd_send_signal, c->m.monitor_pidfd, SIGKILL, NULL, 0);
		(void)spawn_wait(c->m.monitor_pid);
		c->monitor_is_child = false;
		kill_orphan(c);
		drop_run(c);
	}
	return r;
}

static void on_sock(struct source *s, int fd, uint32_t events, void *data)
{
	struct container *c = data;
	struct err e = ERR_INIT;

	if (learn_pid(c, &e) < 0)
		start_failed(c, &e);
}

static void post_start_done(struct container *c, const struct err *e)
{
	c->rec->post_start_due = false;
	if (e->code) {
		c->hook_error = *e;
		str_set(&c->rec->error, e->msg);
		supervisor_log(c->sv, "%s: %s", c->rec->name, e->msg);
	}
	container_save(c, false);
	follow_poke(c->sv);
	apply_poke(c->sv, c);
}

static void on_init_error(struct source *s, int fd, uint32_t events, void *data)
{
	struct container *c = data;
	struct err failure = ERR_INIT;
	int r;

	/* Off the loop before it is closed: a monitor forked meanwhile may hold a
	 * copy, and epoll forgets a descriptor only with its last copy. */
	source_clear(&c->error_source);
	r = monitor_read_error(&c->m, &failure);
	if (r == -EAGAIN) {
		(void)loop_add_fd(c->sv->loop, fd, EPOLLIN, on_init_error, c, &c->error_source, NULL);
		return;
	}
	if (r != 1) {
		start_failed(c, &failure);
		return;
	}
	if (c->rec->status == CONTAINER_STARTING) {
		c->rec->status = CONTAINER_RUNNING;
		c->rec->lost = false;
		checks_start(c);
		if (c->rec->post_start_due)
			hooks_run(c, HOOK_POST_START, 0, post_start_done);
	}
	container_save(c, false);
	container_changed(c, "start");
}

static int join_process_namespace(struct container *c, const struct namespace_spec *ns,
				  const char *kind, int *fd, struct err *e)
{
	struct container *owner;
	char path[64];

	if (ns->mode != NAMESPACE_CONTAINER)
		return 0;
	owner = connect_namespace_owner(c, ns);
	if (!owner || owner->m.pid <= 0)
		return err_set(e, ENOENT, "%s is not running, so its %s namespace cannot be joined",
			       ns->container, kind);
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", owner->m.pid, kind);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? err_errno(e, errno, "open %s", path) : 0;
}

static int launch(struct container *c, struct err *e)
{
	_cleanup_(fd_closep) int pidns = -EBADF, ipcns = -EBADF, ipc_mnt = -EBADF, uts = -EBADF;
	_cleanup_(etc_texts_done) struct etc_texts etc = { BUF_INIT, BUF_INIT, BUF_INIT };
	struct launch l = LAUNCH_INIT;
	struct monitor_opts o = MONITOR_OPTS_INIT;
	int r;

	if ((r = join_process_namespace(c, &c->spec->pid, "pid", &pidns, e)) < 0 ||
	    (r = join_process_namespace(c, &c->spec->ipc, "ipc", &ipcns, e)) < 0 ||
	    (r = join_process_namespace(c, &c->spec->ipc, "mnt", &ipc_mnt, e)) < 0 ||
	    (r = join_process_namespace(c, &c->spec->uts, "uts", &uts, e)) < 0 ||
	    (r = connect_etc(c, &etc, e)) < 0 ||
	    (r = exits_take(c->sv->exits, c->rec->id, c->rec->started_at, &o.exit_slot, e)) < 0 ||
	    (r = seccomp_for_spec(c->sv->seccomp, c->spec, &l.seccomp, e)) < 0)
		return r;
	l.spec = c->spec;
	l.dir_path = c->dir;
	l.hosts = buf_str(&etc.hosts);
	l.hostname = buf_str(&etc.hostname);
	l.resolv_conf = buf_str(&etc.resolv_conf);
	l.init_layer = c->sv->init_layer;
	l.netns_fd = c->netns_fd;
	l.pidns_fd = pidns;
	l.ipcns_fd = ipcns;
	l.ipc_mntns_fd = ipc_mnt;
	l.utsns_fd = uts;
	l.cgroup = c->cgroup;
	l.tiny_fd = c->sv->tiny_fd;
	o.monitor_exe_fd = c->sv->monitor_fd;
	o.launch = &l;
	o.dir_fd = c->dir_fd;
	o.exits_fd = exits_fd(c->sv->exits);
	o.run_dir_fd = c->sv->run_fd;
	o.started_at = c->rec->started_at;
	o.supervisor_exe_fd = c->sv->comp_fd;
	return monitor_start(&o, &c->m, e);
}

static int prepare(struct container *c, struct err *e)
{
	int r;

	c->rec->status = CONTAINER_STARTING;
	r = connect_container(c, e); /* saves it first */
	if (r == 0 && !c->cgroup)
		r = cgroup_create(c->sv->cgroups, c->spec, &c->cgroup, e);
	return r;
}

void container_start(struct container *c)
{
	struct err e = ERR_INIT;
	int r;

	source_clear(&c->timer);
	source_clear(&c->sv->idle);
	c->by_policy = c->rec->status == CONTAINER_RESTARTING;
	c->start_error = ERR_INIT;
	str_set(&c->rec->error, NULL);
	c->hook_error = ERR_INIT;
	c->rec->post_start_due = c->spec->n_post_start > 0;
	c->rec->oom_killed = false;
	c->rec->unseen = false;
	c->kill_sent = false;
	if (!c->by_policy) {
		c->rec->user_stopped = false;
		c->rec->restart_count = 0;
		c->rec->failures = 0;
	}
	c->rec->started_at = now_real_ns();
	r = prepare(c, &e);
	if (r == 0)
		r = launch(c, &e);
	if (r == 0) {
		c->monitor_is_child = true;
		r = loop_add_fd(c->sv->loop, c->m.sock, EPOLLIN, on_sock, c, &c->sock_source, &e);
	}
	if (r < 0)
		start_failed(c, &e);
}

int container_watch_run(struct container *c, struct err *e)
{
	int r = loop_add_fd(c->sv->loop, c->m.monitor_pidfd, EPOLLIN, on_monitor, c,
			    &c->monitor_source, e);

	if (r == 0 && c->m.error_fd >= 0)
		r = loop_add_fd(c->sv->loop, c->m.error_fd, EPOLLIN, on_init_error, c,
				&c->error_source, e);
	return r;
}

/* ---- adoption -------------------------------------------------------------------------------- */
static void adopt_alive(struct container *c, const struct monitor_record *m)
{
	struct err e = ERR_INIT;

	c->m.monitor_pid = m->monitor.pid;
	c->m.monitor_ticks = m->monitor.start_ticks;
	c->m.pid = m->process.pid;
	c->m.start_ticks = m->process.start_ticks;
	c->m.started_at = m->started_at;
	c->rec->started_at = m->started_at;
	note_run(c);
	(void)cgroup_open(c->sv->cgroups, c->sv->project, c->rec->id, c->spec->cgroup_parent,
			  &c->cgroup, NULL); /* gone: stop falls back to the pidfd */
	if (c->rec->status == CONTAINER_STARTING)
		c->rec->status = CONTAINER_RUNNING;
	/* A pause, or its end, that nobody could write down any more. */
	if (c->cgroup && c->rec->status != CONTAINER_STOPPING)
		c->rec->status = cgroup_is_frozen(c->cgroup) ? CONTAINER_PAUSED : CONTAINER_RUNNING;
	c->rec->lost = false;
	if (c->rec->held)
		hold_end(c);
	connect_adopt(c);
	/* Look who the supervisor is.  Of a monitor whose process is gone nothing but its
	 * record vouches for it, and it has no more use for one. */
	if (c->m.pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, c->m.monitor_pidfd, SIGHUP, NULL, 0);
	if (container_watch_run(c, &e) < 0)
		supervisor_log(c->sv, "%s: %s", c->rec->name, e.msg);
	container_save(c, false);
	if (c->rec->status != CONTAINER_STOPPING)
		checks_start(c);
	if (c->rec->status == CONTAINER_RUNNING && c->rec->post_start_due)
		hooks_run(c, HOOK_POST_START, 0, post_start_done);
	if (c->rec->again)
		container_restart(c, c->rec->again);
	else if (c->rec->status == CONTAINER_STOPPING)
		container_stop(c, ACTION_DEFAULT_TIMEOUT, c->rec->user_stopped);
}

/* A monitor that nobody has reaped yet is still a process. */
static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

void container_readopt(struct container *c)
{
	struct monitor_record m;
	struct exit_record end;
	struct err e = ERR_INIT;
	bool killed;
	int r = monitor_record_load(c->sv->run_fd, c->rec->id, &m, NULL);

	if (r == 0)
		r = monitor_adopt(&m, c->rec->id, &c->m.monitor_pidfd, &c->m.pidfd, &e);
	if (r == 0 && !has_ended(c->m.monitor_pidfd)) {
		adopt_alive(c, &m);
		return;
	}
	if (r == -EXDEV)
		supervisor_log(c->sv, "%s: %s; left alone", c->rec->name, e.msg);
	open_pipes(c);
	killed = kill_orphan(c);
	if (exits_load(c->sv->exits, c->rec->id, &end, NULL) == 0 &&
	    end.started_at >= c->rec->started_at) {
		run_ended(c, end.code, end.finished_at);
		return;
	}
	c->rec->unseen = !killed;
	run_ended(c, killed ? EXIT_KILLED : EXIT_UNSEEN, now_real_ns());
}

/* ---- signals and stopping
 * ------------------------------------------------------------------------ */
static int send_signal(const struct container *c, int sig, struct err *e)
{
	if (c->m.pidfd < 0)
		return err_set(e, ESRCH, "container %s has no process", c->rec->name);
	if (syscall(SYS_pidfd_send_signal, c->m.pidfd, sig, NULL, 0) < 0)
		return err_errno(e, errno, "send signal %d to container %s", sig, c->rec->name);
	return 0;
}

static void kill_all(struct container *c)
{
	c->kill_sent = true;
	if (c->cgroup)
		(void)cgroup_kill(c->cgroup, NULL); /* what it misses dies with pid 1, next */
	(void)send_signal(c, SIGKILL, NULL);        /* gone already is as good */
}

static int stop_signal(const struct container *c)
{
	return c->spec->stop_signal ? c->spec->stop_signal : SIGTERM;
}

/* pid 1 of a pid namespace gets no default action: a signal that it neither
 * catches nor has blocked (to take it by signalfd or sigwait) does nothing. */
static bool can_react(const struct container *c, int sig)
{
	uint64_t caught = 0, blocked = 0, bit = UINT64_C(1) << (sig - 1);

	if (c->m.pid <= 0 || proc_status_mask(c->m.pid, "SigCgt", &caught, NULL) < 0 ||
	    proc_status_mask(c->m.pid, "SigBlk", &blocked, NULL) < 0)
		return true;
	return (caught | blocked) & bit;
}

/* What SIGKILL does not end waits in the kernel for a disk or a server that does not
 * answer.  Whoever waits for the stop is told; should it end after all, all is well. */
static void say_hangs(struct container *c)
{
	err_set(&c->hook_error, EBUSY, "%s: process %d hangs in the kernel and does not end",
		c->rec->name, (int)c->rec->pid);
	err_hint(&c->hook_error, "a file system it uses does not answer: NFS, FUSE, a disk?");
	supervisor_log(c->sv, "%s", c->hook_error.msg);
	apply_poke(c->sv, c);
}

static void on_stop_timer(struct source *s, void *data)
{
	struct container *c = data;
	uint64_t now = now_mono_ns();

	if (c->kill_sent && now >= c->stop_deadline + HANGS_AFTER) {
		say_hangs(c);
		return;
	}
	if (now < c->stop_deadline && can_react(c, stop_signal(c))) {
		source_set_timer(c->timer, c->stop_deadline - now);
		return;
	}
	if (now < c->stop_deadline) {
		_cleanup_(free_p) char *id = xasprintf("Container %s", c->rec->name);
		_cleanup_(free_p) char *why = xasprintf(
			"its main process ignores %s, so it was killed without waiting "
			"(init: true helps)",
			signal_name(stop_signal(c)));

		apply_note(c->sv, id, "working", "Stopping", why);
	}
	kill_all(c);
	source_set_timer(c->timer, c->stop_deadline + HANGS_AFTER - now);
}

static uint64_t grace_of(const struct container *c, int64_t grace)
{
	if (grace >= 0)
		return (uint64_t)grace;
	return c->spec->stop_grace == UINT64_MAX ? STOP_GRACE_DEFAULT : c->spec->stop_grace;
}

static void say_signal(struct container *c, int sig)
{
	_cleanup_(free_p) char *text = xasprintf("%d", sig);

	supervisor_event_with(c->sv, c, "kill", "signal", text);
}

static void stop_now(struct container *c, int64_t grace_ns)
{
	uint64_t grace = grace_of(c, grace_ns);
	struct err e = ERR_INIT;

	checks_stop(c);
	hooks_cancel(c);
	if (learn_pid(c, &e) < 0) {
		/* It failed to start, as the stop came to know: that is its end, too. */
		c->rec->status = CONTAINER_STOPPING;
		start_failed(c, &e);
		return;
	}
	c->stop_deadline = now_mono_ns() + grace;
	/* Saved before the signal: else, after a crash, it would be taken for one that
	 * runs, and goes on to, until it has come to its end. */
	c->rec->status = CONTAINER_STOPPING;
	container_save(c, false);
	say_signal(c, stop_signal(c));
	if (send_signal(c, stop_signal(c), NULL) < 0 || grace == 0)
		kill_all(c);
	if (c->cgroup && cgroup_is_frozen(c->cgroup))
		(void)cgroup_freeze(c->cgroup, false, NULL); /* to let it see the signal */
	set_timer(c, MIN(grace, (uint64_t)STOP_FIRST_LOOK), on_stop_timer);
}

/* A command's stop is given up when a hook fails; one of our own must happen. */
static void pre_stop_done(struct container *c, const struct err *e)
{
	c->pre_stop = false;
	if (e->code)
		supervisor_log(c->sv, "%s: %s", c->rec->name, e->msg);
	if (!e->code || c->rec->again) {
		stop_now(c, c->stop_grace);
		return;
	}
	c->hook_error = *e;
	if (c->stop_by_user)
		c->rec->user_stopped = false;
	container_save(c, false);
	apply_poke(c->sv, c);
}

/* The container runs on while they do: a stop that is cut short here never began. */
static bool run_pre_stop(struct container *c, int64_t grace_ns, bool by_user)
{
	uint64_t limit = c->rec->again ? grace_of(c, grace_ns) : 0;

	if (c->rec->status == CONTAINER_PAUSED && c->spec->n_pre_stop > 0)
		(void)container_pause(c, false, NULL); /* the hooks say what is wrong with it */
	if (c->rec->status != CONTAINER_RUNNING || !c->spec->n_pre_stop)
		return false;
	c->stop_grace = grace_ns;
	c->stop_by_user = by_user;
	if (c->hook && c->pre_stop)
		return true; /* of a stop before this one */
	hooks_cancel(c);
	c->pre_stop = true;
	hooks_run(c, HOOK_PRE_STOP, limit, pre_stop_done);
	container_save(c, false);
	return true;
}

static void begin_stop(struct container *c, int64_t grace_ns, bool by_user, enum again again)
{
	if (by_user && c->rec->lost) {
		c->rec->lost = false; /* so `boot` leaves it down */
		c->rec->user_stopped = true;
		container_save(c, false);
	}
	if (!container_is_active(c))
		return;
	c->rec->user_stopped |= by_user;
	c->rec->again = again;
	c->rec->follows = false;
	c->hook_error = ERR_INIT;
	if (c->rec->status == CONTAINER_RESTARTING) {
		source_clear(&c->timer);
		c->rec->status = CONTAINER_EXITED;
		c->rec->lost |= again == AGAIN_BOOT;
		c->rec->again = AGAIN_NO;
		connect_release(c);
		(void)drop_cgroup(c, NULL);
		container_save(c, false);
		supervisor_check_idle(c->sv);
		container_changed(c, "stop");
		return;
	}
	if (!run_pre_stop(c, grace_ns, by_user))
		stop_now(c, grace_ns);
}

void container_stop(struct container *c, int64_t grace_ns, bool by_user)
{
	begin_stop(c, grace_ns, by_user, AGAIN_NO);
}

void container_stop_for_boot(struct container *c, int64_t grace_ns)
{
	begin_stop(c, grace_ns, false, AGAIN_BOOT);
}

void container_give_up_hooks(struct container *c)
{
	if (c->pre_stop && c->rec->again) {
		hooks_cancel(c);
		stop_now(c, c->stop_grace);
		return;
	}
	if (c->pre_stop && c->stop_by_user)
		c->rec->user_stopped = false;
	c->rec->post_start_due = false;
	hooks_cancel(c);
	container_save(c, false);
}

void container_restart(struct container *c, enum again why)
{
	if (c->rec->status == CONTAINER_RESTARTING)
		container_start(c);
	else
		begin_stop(c, ACTION_DEFAULT_TIMEOUT, false, why);
}

int container_signal(struct container *c, int sig, bool by_user, struct err *e)
{
	struct err failed = ERR_INIT;

	if (!container_is_active(c) || c->rec->status == CONTAINER_RESTARTING)
		return err_set(e, ESRCH, "container %s is not running", c->rec->name);
	if (by_user && (sig == SIGKILL || sig == stop_signal(c))) {
		c->rec->user_stopped = true;
		c->rec->lost = false;
		c->rec->again = AGAIN_NO;
		container_save(c, false);
	}
	if (learn_pid(c, &failed) < 0) {
		if (e)
			*e = failed;
		start_failed(c, &failed);
		return -failed.code;
	}
	if (sig == SIGKILL && c->rec->status == CONTAINER_PAUSED && c->cgroup)
		(void)cgroup_freeze(c->cgroup, false, NULL);
	say_signal(c, sig);
	return send_signal(c, sig, e);
}

int container_pause(struct container *c, bool pause, struct err *e)
{
	enum container_status from = pause ? CONTAINER_RUNNING : CONTAINER_PAUSED;
	int r;

	if (c->rec->status != from || !c->cgroup)
		return err_set(e, EINVAL, "container %s is %s", c->rec->name,
			       pause ? "not running" : "not paused");
	r = cgroup_freeze(c->cgroup, pause, e);
	if (r < 0)
		return err_wrap(e, r, "container %s", c->rec->name);
	c->rec->status = pause ? CONTAINER_PAUSED : CONTAINER_RUNNING;
	c->rec->held &= pause;
	container_save(c, false);
	container_changed(c, pause ? "pause" : "unpause");
	return 0;
}
