/* cli/cmd_logs.c: `logs` reads the log files themselves, supervisor or not. */
#include <errno.h>
#include <poll.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/humanize.h"
#include "cli/log_view.h"
#include "cli/rows.h"
#include "cli/watch.h"
#include "engine/supervise/log_reader.h"

struct logs_options {
	bool follow, no_color, no_prefix, timestamps;
	int64_t index;
	const char *since, *until, *tail;
};
#define O struct logs_options

static const struct option_spec flags[] = {
	OPTION_BOOL("follow", 'f', O, follow, "Follow log output"),
	OPTION_INT("index", 0, O, index, "0",
		   "index of the container if service has multiple replicas"),
	OPTION_BOOL("no-color", 0, O, no_color, "Produce monochrome output"),
	OPTION_BOOL("no-log-prefix", 0, O, no_prefix, "Don't print prefix in logs"),
	OPTION_STRING("since", 0, O, since, NULL,
		      "Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m "
		      "for 42 minutes)"),
	OPTION_STRING("tail", 'n', O, tail, "all",
		      "Number of lines to show from the end of the logs for each container"),
	OPTION_BOOL("timestamps", 't', O, timestamps, "Show timestamps"),
	OPTION_STRING("until", 0, O, until, NULL,
		      "Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. "
		      "42m for 42 minutes)"),
	OPTION_END,
};

struct logs {
	struct context *ctx;
	const struct logs_options *o;
	char *const *services;
	struct log_view *view;
	int failed; /* -errno of a handler */
	struct err *e;
};

static bool is_wanted(const struct logs *l, const struct record *r)
{
	if (l->o->index > 0 && r->number != l->o->index)
		return false;
	return !l->services[0] || (r->service && strv_has(l->services, r->service));
}

static int parse_view(const struct logs_options *o, struct log_view_options *v, struct err *e)
{
	uint64_t now = now_real_ns();
	int r = 0;

	v->tail = LOG_TAIL_ALL;
	if (!streq(o->tail, "all") && !parse_i64(o->tail, &v->tail))
		return err_set(e, EINVAL, "invalid value for --tail: \"%s\"", o->tail);
	if (v->tail < 0)
		v->tail = LOG_TAIL_ALL;
	if (o->since)
		r = time_point_parse(o->since, now, &v->since, e);
	if (r == 0 && o->until)
		r = time_point_parse(o->until, now, &v->until, e);
	return r;
}

/* As Docker Compose says it, and as there no failure: others may have logs. */
static void warn_unreadable(struct logs *l, const struct record *r)
{
	_cleanup_(spec_freep) struct container_spec *spec = record_spec(&l->ctx->dirs, r);

	if (spec && streq_null(spec->log.driver, "none"))
		ctx_warn(l->ctx,
			 "Can't retrieve logs for \"%s\": configured logging driver does not support "
			 "reading",
			 r->name);
}

static int add_all(struct logs *l, const struct record_list *records, struct err *e)
{
	for (size_t i = 0; i < records->n; i++)
		if (is_wanted(l, records->items[i]))
			log_view_reserve(l->view, records->items[i]);
	for (size_t i = 0; i < records->n; i++) {
		int r = is_wanted(l, records->items[i])
				? log_view_add(l->view, &l->ctx->dirs, records->items[i], 0, e)
				: 0;

		if (r < 0)
			return r;
		if (r == 1)
			warn_unreadable(l, records->items[i]);
	}
	return 0;
}

static int print_past(struct logs *l, struct err *e)
{
	int r;

	do
		r = log_view_pump(l->view, e);
	while (r > 0);
	return r == -EPIPE ? 0 : r; /* `comp logs | head` is no error */
}

/* ---- following -------------------------------------------------------------------- */
static void on_exited(const struct record *r, bool restarting, void *data)
{
	struct logs *l = data;
	char text[64];
	int ret;

	if (!is_wanted(l, r))
		return;
	/* Its last lines come before the word of its end. */
	do
		ret = log_view_pump(l->view, l->e);
	while (ret == 2);
	if (ret < 0)
		l->failed = ret;
	snprintf(text, sizeof(text), "exited with code %d%s", r->exit_code,
		 restarting ? " (restarting)" : "");
	log_view_status(l->view, r, text);
}

static bool any_active(const struct logs *l, const struct record_list *records)
{
	for (size_t i = 0; i < records->n; i++)
		if (is_wanted(l, records->items[i]) && record_is_active(records->items[i]))
			return true;
	return false;
}

static int follow_step(struct logs *l, struct watch *w, int more, struct err *e)
{
	struct pollfd p[] = { { .fd = watch_fd(w), .events = POLLIN },
			      { .fd = log_view_fd(l->view), .events = POLLIN } };
	int timeout = more == 2 || watch_pending(w) ? 0 : watch_timeout(w), n, r = 0;

	n = poll(p, ARRAY_SIZE(p), timeout);
	if (n < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[0].revents || watch_pending(w) || (n == 0 && timeout > 0))
		r = watch_update(w, e);
	if (r == 0)
		r = add_all(l, watch_records(w), e);
	return r < 0 ? r : l->failed;
}

static int follow(struct logs *l, struct err *e)
{
	const struct watch_handler h = { .exited = on_exited, .data = l };
	_cleanup_(watch_freep) struct watch *w = NULL;
	int r = watch_new(&l->ctx->dirs, l->ctx->project_name, &h, &w, e);

	while (r == 0) {
		int more = log_view_pump(l->view, e);

		if (more == -EPIPE)
			return 0;
		if (more < 0)
			return more;
		if (more != 2 && !any_active(l, watch_records(w)))
			return 0;
		if (l->o->until && more == 0)
			return 0;
		r = follow_step(l, w, more, e);
	}
	return r == -EPIPE ? 0 : r;
}

static int run_logs(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct logs_options *o = in->options;
	_cleanup_(record_list_done) struct record_list records = { 0 };
	_cleanup_(log_view_freep) struct log_view *view = NULL;
	struct logs l = { .ctx = ctx, .o = o, .services = in->argv, .e = e };
	struct log_view_options v = {
		.out = ctx->out,
		.err = ctx->err,
		.color = ctx->out_color && !o->no_color,
		.no_prefix = o->no_prefix,
		.timestamps = o->timestamps,
		.follow = o->follow,
	};
	int r = parse_view(o, &v, e);

	if (r == 0 && in->argc)
		r = ctx_load_project_or_name(ctx, e);
	if (r == 0)
		r = ctx_records(ctx, &records, e);
	if (r == 0)
		r = ctx_check_services(ctx, in->argv, &records, e);
	if (r < 0)
		return r;
	l.view = view = log_view_new(&v);
	r = add_all(&l, &records, e);
	if (r == 0)
		r = o->follow ? follow(&l, e) : print_past(&l, e);
	return r;
}

const struct command cmd_logs = {
	.name = "logs",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "View output from containers",
	.options = flags,
	.options_size = sizeof(struct logs_options),
	.max_args = ARGS_ANY,
	.run = run_logs,
};
