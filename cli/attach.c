/* cli/attach.c: one poll(2) loop over the logs, the watch, signals and, once the
 * end has begun, the stop that is under way.
 *
 * The supervisor does the stopping; we only ask.  The first ^C (or SIGTERM)
 * sends a stop, the second a kill, the third leaves at once.  An exit is told
 * after the container's last line: its log is complete on disk before its exit
 * is recorded, so everything that can be read is printed first.
 */
#include "cli/attach.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/apply.h"
#include "cli/log_view.h"
#include "cli/watch.h"
#include "compose/plan.h"
#include "engine/supervise/log_reader.h"

#define MAX_APPLIES 2 /* a stop, and the kill that overtakes it */

struct attach {
	struct context *ctx;
	const struct attach_options *o;
	struct watch *watch;
	struct log_view *view;
	struct progress *progress;
	struct apply_client *applies[MAX_APPLIES];
	size_t n_applies;
	int n_signals;
	struct beside beside;
	bool is_up;      /* the apply that brings the project up is over */
	bool said;       /* "Attaching to …" */
	bool more;       /* the view has not shown all there is */
	bool abort_due;  /* somebody exited, but the project is not up yet */
	bool aborting;
	int code; /* of the container that made us abort; -1: none */
	struct err err;
};

static bool is_watched(const struct attach *a, const struct record *r)
{
	return !r->oneoff && r->service && strv_has(a->o->watched, r->service);
}

static bool is_shown(const struct attach *a, const struct record *r)
{
	return !r->oneoff && r->service && strv_has(a->o->shown, r->service);
}

/* Until the project is up, what ends may be a run from before us that is replaced. */
static bool is_ours(const struct attach *a, const struct record *r)
{
	return a->is_up || r->started_at >= a->o->since;
}

/* ---- ending ---------------------------------------------------------------------- */
static int end_apply(struct attach *a, const char *command, struct err *e)
{
	_cleanup_(diag_done) struct diag diag = DIAG_INIT;
	struct plan_options po = PLAN_OPTIONS_INIT;
	struct plan plan = { 0 };
	int r;

	po.services = a->o->watched;
	po.timeout_ns = a->o->stop_timeout;
	r = streq(command, "kill")
		    ? plan_kill(a->ctx->project, watch_records(a->watch), &po, &plan, &diag)
		    : plan_stop(a->ctx->project, watch_records(a->watch), &po, &plan, &diag);
	if (ctx_diag(a->ctx, &diag, e) < 0 || r < 0) {
		plan_done(&plan);
		return r < 0 ? r : -EINVAL;
	}
	if (plan.actions.n && a->n_applies < MAX_APPLIES) {
		r = apply_client_start(a->ctx, command, &plan, a->progress,
				       &a->applies[a->n_applies], e);
		a->n_applies += r == 0;
	}
	plan_done(&plan);
	return r;
}

static int begin_abort(struct attach *a, struct err *e)
{
	if (a->aborting)
		return 0;
	a->aborting = true;
	fprintf(a->ctx->err, "Aborting on container exit...\n");
	return end_apply(a, "stop", e);
}

static int on_signal(struct attach *a, int fd, struct err *e)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	switch (a->n_signals++) {
	case 0:
		fprintf(a->ctx->err, "%sGracefully Stopping... press Ctrl+C again to force\n",
			a->ctx->err_tty ? "\n" : "");
		return end_apply(a, "stop", e);
	case 1:
		return end_apply(a, "kill", e);
	default:
		return err_set(e, ECANCELED, "left while the containers are being stopped");
	}
}

/* ---- what the watch sees ----------------------------------------------------------- */
static int pump_all(struct attach *a)
{
	int r;

	do
		r = log_view_pump(a->view, &a->err);
	while (r == 2);
	return r;
}

static void on_appeared(const struct record *r, void *data)
{
	struct attach *a = data;

	if (is_shown(a, r))
		log_view_reserve(a->view, r);
}

static void on_exited(const struct record *r, bool restarting, void *data)
{
	struct attach *a = data;
	char text[64];

	if (!is_watched(a, r) || !is_ours(a, r))
		return;
	if (is_shown(a, r)) {
		(void)log_view_add(a->view, &a->ctx->dirs, r, a->o->since, NULL); /* may be new */
		(void)pump_all(a); /* the loop meets the same error again */
		snprintf(text, sizeof(text), "exited with code %d%s", r->exit_code,
			 restarting ? " (restarting)" : "");
		log_view_status(a->view, r, text);
	}
	if (restarting || a->aborting || a->n_signals)
		return;
	if (a->o->abort_on_exit || (a->o->abort_on_failure && r->exit_code != 0)) {
		if (a->abort_due)
			return;
		a->code = r->exit_code;
		a->abort_due = !a->is_up;
		if (a->is_up && begin_abort(a, &a->err) < 0 && !a->err.code)
			a->err.code = EIO;
	}
}

static int follow_logs(struct attach *a, struct err *e)
{
	const struct record_list *l = watch_records(a->watch);

	for (size_t i = 0; i < l->n; i++) {
		int r = is_shown(a, l->items[i]) && is_ours(a, l->items[i])
				? log_view_add(a->view, &a->ctx->dirs, l->items[i], a->o->since, e)
				: 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static bool any_active(const struct attach *a)
{
	const struct record_list *l = watch_records(a->watch);

	for (size_t i = 0; i < l->n; i++)
		if (is_watched(a, l->items[i]) && record_is_active(l->items[i]))
			return true;
	return false;
}

static void say_attaching(struct attach *a)
{
	const struct record_list *l = watch_records(a->watch);
	_cleanup_(strv_freep) char **names = NULL;
	_cleanup_(free_p) char *text = NULL;

	if (a->said)
		return;
	a->said = true;
	for (size_t i = 0; i < l->n; i++) {
		if (!is_shown(a, l->items[i]))
			continue;
		log_view_reserve(a->view, l->items[i]);
		strv_add(&names, log_view_name(l->items[i]));
	}
	if (!names)
		return;
	text = strv_join(names, ", ");
	fprintf(a->ctx->out, "Attaching to %s\n", text);
	fflush(a->ctx->out);
}

/* ---- while the project comes up ------------------------------------------------------- */
static int beside_prepare(void *data, struct pollfd p[BESIDE_FDS])
{
	const struct attach *a = data;

	p[0] = (struct pollfd){ .fd = watch_fd(a->watch), .events = POLLIN };
	p[1] = (struct pollfd){ .fd = log_view_fd(a->view), .events = POLLIN };
	return a->more || watch_pending(a->watch) ? 0 : watch_timeout(a->watch);
}

static bool any_started(const struct attach *a)
{
	const struct record_list *l = watch_records(a->watch);

	for (size_t i = 0; i < l->n; i++)
		if (is_shown(a, l->items[i]) && is_ours(a, l->items[i]))
			return true;
	return false;
}

static int beside_step(void *data, const struct pollfd p[BESIDE_FDS], struct err *e)
{
	struct attach *a = data;
	bool look = p[0].revents || watch_pending(a->watch) || watch_fd(a->watch) < 0;
	int r = 0;

	if (!a->said && any_started(a))
		say_attaching(a);
	if (look)
		r = watch_update(a->watch, e);
	if (r == 0 && look)
		r = follow_logs(a, e);
	if (r == 0)
		r = log_view_pump(a->view, e);
	a->more = r == 2;
	return r < 0 ? r : 0;
}

/* ---- the loop ------------------------------------------------------------------------ */
static int step_applies(struct attach *a, const struct pollfd *p, struct err *e)
{
	for (size_t i = 0; i < a->n_applies; i++) {
		struct apply_client *c = a->applies[i];
		int r = 0;

		while (!apply_client_is_done(c) && r == 0 && apply_client_pending(c))
			r = apply_client_step(c, e);
		if (!apply_client_is_done(c) && r == 0 && p[i].revents)
			r = apply_client_step(c, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool applies_done(const struct attach *a)
{
	for (size_t i = 0; i < a->n_applies; i++)
		if (!apply_client_is_done(a->applies[i]))
			return false;
	return true;
}

static bool something_pending(const struct attach *a)
{
	for (size_t i = 0; i < a->n_applies; i++)
		if (!apply_client_is_done(a->applies[i]) && apply_client_pending(a->applies[i]))
			return true;
	return watch_pending(a->watch);
}

static int wait_and_handle(struct attach *a, int signal_fd, bool more, struct err *e)
{
	struct pollfd p[3 + MAX_APPLIES] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = watch_fd(a->watch), .events = POLLIN },
		{ .fd = log_view_fd(a->view), .events = POLLIN },
	};
	bool busy = more || something_pending(a);
	int n, r = 0;

	for (size_t i = 0; i < a->n_applies; i++)
		p[3 + i] = (struct pollfd){
			.fd = apply_client_is_done(a->applies[i]) ? -1
								  : apply_client_fd(a->applies[i]),
			.events = POLLIN,
		};
	n = poll(p, 3 + a->n_applies, busy ? 0 : watch_timeout(a->watch));
	if (n < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[0].revents)
		r = on_signal(a, signal_fd, e);
	if (r == 0)
		r = step_applies(a, p + 3, e);
	if (r == 0 && (p[1].revents || watch_pending(a->watch) || (n == 0 && !busy)))
		r = watch_update(a->watch, e);
	if (r == 0)
		r = follow_logs(a, e);
	return r;
}

static int run_loop(struct attach *a, struct err *e)
{
	int signal_fd = ctx_cancel_fd(a->ctx, e), r;

	if (signal_fd < 0)
		return signal_fd;
	for (;;) {
		int more = log_view_pump(a->view, e);

		if (more < 0)
			return more;
		if (a->err.code)
			return err_set(e, a->err.code, "%s", a->err.msg);
		if (more != 2 && !any_active(a) && applies_done(a))
			return 0;
		r = wait_and_handle(a, signal_fd, more == 2, e);
		if (r < 0)
			return r;
	}
}

static int code_of_service(const struct attach *a, const char *service)
{
	const struct record_list *l = watch_records(a->watch);

	for (size_t i = 0; i < l->n; i++)
		if (!l->items[i]->oneoff && streq_null(l->items[i]->service, service))
			return l->items[i]->exit_code;
	return 0;
}

static int final_code(struct attach *a)
{
	if (a->n_signals)
		return 130;
	if (a->o->exit_code_from)
		return code_of_service(a, a->o->exit_code_from);
	return a->code >= 0 ? a->code : 0;
}

static int attach_open(struct attach *a, struct err *e)
{
	const struct watch_handler h = { on_appeared, on_exited, a };
	const struct log_view_options vo = { .out = a->ctx->out,
					     .err = a->ctx->err,
					     .color = a->o->color,
					     .no_prefix = a->o->no_prefix,
					     .timestamps = a->o->timestamps,
					     .follow = true,
					     .tail = LOG_TAIL_ALL };
	/* Redrawn lines and scrolling logs do not mix: tell progress in lines. */
	const struct progress_options po = { .mode = a->ctx->json_errors ? PROGRESS_JSON
									 : PROGRESS_PLAIN };

	a->view = log_view_new(&vo);
	a->progress = progress_new(a->ctx->err, &po);
	return watch_new(&a->ctx->dirs, a->ctx->project_name, &h, &a->watch, e);
}

void attach_free(struct attach *a)
{
	if (!a)
		return;
	a->ctx->beside = NULL;
	for (size_t i = 0; i < a->n_applies; i++)
		apply_client_free(a->applies[i]);
	progress_free(a->progress);
	log_view_free(a->view);
	watch_free(a->watch);
	free(a);
}

int attach_new(struct context *ctx, const struct attach_options *o, struct attach **out,
	       struct err *e)
{
	_cleanup_(attach_freep) struct attach *a = new0(struct attach);
	int r;

	a->ctx = ctx;
	a->o = o;
	a->code = -1;
	r = attach_open(a, e);
	if (r < 0)
		return r;
	a->beside = (struct beside){ beside_prepare, beside_step, a };
	ctx->beside = &a->beside;
	*out = TAKE_PTR(a);
	return 0;
}

int attach_run(struct attach *a, struct err *e)
{
	int r = watch_update(a->watch, e); /* the last exits of those that came and went */

	a->ctx->beside = NULL;
	a->ctx->generation = -1; /* plans are made from what is watched, not from ctx_records() */
	a->is_up = true;
	if (r < 0)
		return r;
	say_attaching(a);
	r = follow_logs(a, e);
	if (r == 0 && a->abort_due)
		r = begin_abort(a, e);
	if (r == 0)
		r = run_loop(a, e);
	return r == 0 ? final_code(a) : r;
}
