/* engine/supervise/run.c: a container's runs: how they start, end, and are found again.
 *
 * A run is over when its *monitor* is: then its exit record says how it ended.  A
 * monitor that was killed left none; the container cannot go on without one, so
 * its cgroup is killed and the run counts as exited with 137.
 */
#include "engine/supervise/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "engine/supervise/restart.h"

#define ORPHAN_WAIT (2 * NSEC_PER_SEC)
#define EXIT_KILLED (128 + SIGKILL)

/* ---- the end of a run ------------------------------------------------------------------ */
static void on_restart_timer(struct source *s, void *data)
{
	container_start(data);
}

void container_await_restart(struct container *c, uint64_t delay_ns)
{
	container_set_timer(c, delay_ns, on_restart_timer);
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
		supervisor_log(c->sv, "%s: %zu bytes of output found in its pipes", c->rec->name,
			       n);
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
	container_drop_run(c);
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
		container_set_timer(c, next.delay_ns, on_restart_timer);
		container_changed(c, "die");
		return;
	}
	rec->status = CONTAINER_EXITED;
	rec->follows = false;
	connect_release(c);
	(void)container_drop_cgroup(
		c, NULL); /* busy still: at removal, or used again at the next start */
	container_save(c, false);
	supervisor_check_idle(c->sv);
	if (stopped)
		supervisor_event(c->sv, c, "die");
	container_changed(c, stopped ? "stop" : "die");
}

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
	container_kill_all(c);
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

void container_start_failed(struct container *c, const struct err *e)
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
	if (container_drop_cgroup(c, NULL) < 0) {
		cgroup_free(c->cgroup);
		c->cgroup = NULL;
	}
	return alive;
}

int container_learn_pid(struct container *c, struct err *e)
{
	int r;

	if (c->m.sock < 0)
		return 0;
	source_clear(&c->sock_source);
	r = monitor_finish(&c->m, e);
	if (r < 0) {
		/* The child is reaped and its descriptors are closed.  If it was killed
		 * after the container's init was on its own, that runs. */
		c->m = MONITOR_NOT_STARTED;
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
		container_drop_run(c);
	}
	return r;
}

static void on_sock(struct source *s, int fd, uint32_t events, void *data)
{
	struct container *c = data;
	struct err e = ERR_INIT;

	if (container_learn_pid(c, &e) < 0)
		container_start_failed(c, &e);
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
		(void)loop_add_fd(c->sv->loop, fd, EPOLLIN, on_init_error, c, &c->error_source,
				  NULL);
		return;
	}
	if (r != 1) {
		container_start_failed(c, &failure);
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
		container_start_failed(c, &e);
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
