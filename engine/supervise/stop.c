/* engine/supervise/stop.c: signals, stopping and pausing.
 *
 * A stop is the pre_stop hooks, the stop signal, and SIGKILL when the grace period is
 * over, or at once when the main process cannot react to the signal.  It ends when the
 * run does; see run.c.  Why it was asked for is in the record before anything is sent,
 * so that the next supervisor goes on with it.
 */
#include "engine/supervise/internal.h"

#include <signal.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/proc.h"
#include "base/signals.h"

#define STOP_GRACE_DEFAULT (10 * NSEC_PER_SEC)
#define STOP_FIRST_LOOK    (100 * NSEC_PER_MSEC)
#define HANGS_AFTER        (8 * NSEC_PER_SEC) /* SIGKILL, that is */

static int send_signal(const struct container *c, int sig, struct err *e)
{
	if (c->m.pidfd < 0)
		return err_set(e, ESRCH, "container %s has no process", c->rec->name);
	if (syscall(SYS_pidfd_send_signal, c->m.pidfd, sig, NULL, 0) < 0)
		return err_errno(e, errno, "send signal %d to container %s", sig, c->rec->name);
	return 0;
}

void container_kill_all(struct container *c)
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
	container_kill_all(c);
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
	if (container_learn_pid(c, &e) < 0) {
		/* It failed to start, as the stop came to know: that is its end, too. */
		c->rec->status = CONTAINER_STOPPING;
		container_start_failed(c, &e);
		return;
	}
	c->stop_deadline = now_mono_ns() + grace;
	/* Saved before the signal: else, after a crash, it would be taken for one that
	 * runs, and goes on to, until it has come to its end. */
	c->rec->status = CONTAINER_STOPPING;
	container_save(c, false);
	say_signal(c, stop_signal(c));
	if (send_signal(c, stop_signal(c), NULL) < 0 || grace == 0)
		container_kill_all(c);
	if (c->cgroup && cgroup_is_frozen(c->cgroup))
		(void)cgroup_freeze(c->cgroup, false, NULL); /* to let it see the signal */
	container_set_timer(c, MIN(grace, (uint64_t)STOP_FIRST_LOOK), on_stop_timer);
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
		(void)container_drop_cgroup(c, NULL);
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
	if (container_learn_pid(c, &failed) < 0) {
		if (e)
			*e = failed;
		container_start_failed(c, &failed);
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
