/* cli/attend.c: see attend.h.  The records say what is so, events only when to
 * look (watch.h); everything here can be done twice.
 */
#include "cli/attend.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/bring_back.h"
#include "cli/lifecycle.h"
#include "cli/notify.h"
#include "cli/readiness.h"
#include "cli/rows.h"
#include "cli/watch.h"
#include "engine/supervise/supervisor.h"

#define RETRY_MIN    (1 * NSEC_PER_SEC)
#define RETRY_MAX    (60 * NSEC_PER_SEC)
#define ORPHANED_FOR (500 * NSEC_PER_MSEC) /* the monitors' election comes first */
#define LOOK_IDLE    2000                  /* ms; nothing runs, somebody may start something */
#define STOP_MARGIN  (15 * NSEC_PER_SEC)   /* beyond the grace periods */

extern char **environ;

struct attendance {
	struct context *ctx;
	struct watch *watch;
	int signal_fd, hup_fd;
	char *exe, *status;
	bool ready;
	uint64_t retry_at, retry_pause; /* CLOCK_MONOTONIC; 0: nothing to bring back */
	uint64_t orphaned_at;           /* no supervisor since; 0: there is one */
	enum { STAY, STOP, RELOAD } next;
};

/* ---- telling ------------------------------------------------------------------------ */
static void say_status(struct attendance *a, const char *text)
{
	if (streq_null(a->status, text))
		return;
	str_set(&a->status, text);
	notify("STATUS=%s", text);
}

static void report(struct attendance *a, const struct readiness *r, const char *why)
{
	_cleanup_(free_p) char *text = NULL;

	if (!r->wanted)
		text = xstrdup("nothing to run");
	else if (r->ready == r->wanted)
		text = xasprintf("%zu of %zu ready", r->ready, r->wanted);
	else
		text = xasprintf("%zu of %zu ready; %s", r->ready, r->wanted, why);
	say_status(a, text);
	if (a->ready || r->ready < r->wanted)
		return;
	a->ready = true;
	notify("READY=1\nSTATUS=%s", text);
}

/* ---- doing --------------------------------------------------------------------------- */
static int bring(struct attendance *a, struct err *e)
{
	const struct bring_back_options o = { .all = true };
	char *names[] = { a->ctx->project_name, NULL };
	int r = bring_back(a->ctx, names, &o, e);

	if (r == -ECANCELED) { /* SIGTERM, meanwhile: it took the signal from us */
		a->next = STOP;
		return 0;
	}
	if (r < 0)
		return r;
	a->retry_pause = a->retry_pause ? MIN(2 * a->retry_pause, (uint64_t)RETRY_MAX) : RETRY_MIN;
	a->retry_at = now_mono_ns() + a->retry_pause;
	return 0;
}

static void keep_supervisor(struct attendance *a, bool needed)
{
	struct err e = ERR_INIT;
	_cleanup_(control_client_freep) struct control_client *c = NULL;

	if (!needed || supervisor_pid(&a->ctx->dirs, a->ctx->project_name)) {
		a->orphaned_at = 0;
		return;
	}
	if (!a->orphaned_at)
		a->orphaned_at = now_mono_ns();
	if (now_mono_ns() - a->orphaned_at < ORPHANED_FOR)
		return;
	ctx_warn(a->ctx, "%s: its supervisor is gone; starting another", a->ctx->project_name);
	if (supervisor_ensure(&a->ctx->dirs, a->ctx->project_name, &c, &e) < 0)
		ctx_warn(a->ctx, "%s", e.msg);
	a->orphaned_at = 0;
}

/* ---- the loop ------------------------------------------------------------------------ */
static void on_signals(struct attendance *a)
{
	struct signalfd_siginfo info;

	if (read(a->hup_fd, &info, sizeof(info)) == sizeof(info))
		a->next = RELOAD;
	if (read(a->signal_fd, &info, sizeof(info)) == sizeof(info))
		a->next = STOP;
}

static bool any_stale(const struct record_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i]->corrected)
			return true;
	return false;
}

static int round_of(struct attendance *a, struct err *e)
{
	_cleanup_(free_p) char *why = NULL;
	struct pollfd p[3];
	struct readiness r;
	int timeout, n = watch_update(a->watch, e);

	if (n < 0)
		return n;
	r = readiness_of(watch_records(a->watch), &why);
	report(a, &r, why);
	keep_supervisor(a, r.active || any_stale(watch_records(a->watch)));
	if (!r.lost)
		a->retry_at = a->retry_pause = 0;
	else if (now_mono_ns() >= a->retry_at)
		return bring(a, e);
	p[0] = (struct pollfd){ .fd = a->signal_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = a->hup_fd, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = watch_fd(a->watch), .events = POLLIN };
	timeout = watch_timeout(a->watch);
	if (p[2].fd < 0 && !r.active && !a->retry_at)
		timeout = LOOK_IDLE;
	if (!watch_pending(a->watch) && poll(p, ARRAY_SIZE(p), timeout) < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	on_signals(a);
	return 0;
}

/* ---- the end ------------------------------------------------------------------------- */
/* Longer than the longest chain of grace periods can be. */
static uint64_t time_to_stop(struct attendance *a)
{
	const struct record_list *l = watch_records(a->watch);
	uint64_t sum = STOP_MARGIN;

	for (size_t i = 0; i < l->n; i++) {
		_cleanup_(spec_freep) struct container_spec *spec =
			record_is_active(l->items[i]) ? record_spec(&a->ctx->dirs, l->items[i])
						      : NULL;

		if (spec)
			sum += spec->stop_grace == UINT64_MAX ? 10 * NSEC_PER_SEC
							      : spec->stop_grace;
	}
	return sum;
}

static int stop_all(struct attendance *a, struct err *e)
{
	struct plan_options po = PLAN_OPTIONS_INIT;

	notify("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%llu",
	       (unsigned long long)(time_to_stop(a) / 1000));
	po.for_boot = true;
	return plan_and_apply(a->ctx, "stop", plan_stop, &po, NULL, e);
}

static int reload(struct attendance *a, struct err *e)
{
	char *argv[] = { "comp", "-p", a->ctx->project_name, "--progress", "plain", "systemd",
			 "run",  NULL };
	sigset_t none;

	notify("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(now_mono_ns() / 1000));
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	execve(a->exe, argv, environ);
	return err_errno(e, errno, "become %s", a->exe);
}

static int hup_fd(struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_errno(e, errno, "signalfd") : fd;
}

static char *own_path(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	return n < 0 ? xstrdup("") : xstrndup(path, (size_t)n);
}

/* Of a project that runs: with a supervisor of our version, after SIGHUP as well. */
static int take_over(struct attendance *a, struct err *e)
{
	_cleanup_(control_client_freep) struct control_client *c = NULL;

	if (!readiness_of(watch_records(a->watch), NULL).active)
		return 0;
	return supervisor_ensure(&a->ctx->dirs, a->ctx->project_name, &c, e);
}

static void ignore_exit(const struct record *r, bool restarting, void *data)
{
}

int attend(struct context *ctx, struct err *e)
{
	struct attendance a = { .ctx = ctx, .exe = own_path() };
	const struct watch_handler h = { .exited = ignore_exit };
	int r = ctx_dirs(ctx, e);

	if (r == 0)
		r = a.signal_fd = ctx_cancel_fd(ctx, e);
	if (r >= 0)
		r = a.hup_fd = hup_fd(e);
	if (r >= 0)
		r = watch_new(&ctx->dirs, ctx->project_name, &h, &a.watch, e);
	if (r == 0)
		r = take_over(&a, e);
	if (r == 0) {
		say_status(&a, "bringing the project back");
		r = bring(&a, e);
	}
	while (r == 0 && a.next == STAY)
		r = round_of(&a, e);
	if (r == 0 && a.next == STOP)
		r = stop_all(&a, e);
	if (r == 0 && a.next == RELOAD)
		r = reload(&a, e);
	watch_free(a.watch);
	free(a.exe);
	free(a.status);
	return r;
}
