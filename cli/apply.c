/* cli/apply.c: send a plan, show what comes back, carry a ^C across.
 *
 * The supervisor finishes what it has begun whether or not we are there, so
 * every way out of here leaves the project in a state that the next command
 * can go on from.
 */
#include "cli/apply.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "compose/graph.h"
#include "engine/supervise/control.h"
#include "engine/supervise/supervisor.h"

/* A supervisor with nothing left to do leaves, perhaps just as we come. */
#define CONNECT_TRIES 3

/* After the first signal: how long we wait for actions that are under way. */
#define CANCEL_PATIENCE (15 * NSEC_PER_SEC)

struct apply_client {
	struct context *ctx;
	struct control_client *control;
	struct progress *progress;
	struct err result;
	char *failed; /* "Container x", the first that reported an error */
	bool heard, done;
	int n_signals;
	uint64_t give_up_at; /* CLOCK_MONOTONIC; 0: not cancelled */
};

/* ---- the request ------------------------------------------------------------------ */
static json *depends_on_json(const struct graph *g, const struct graph_node *node)
{
	json *o = json_new_object();

	for (size_t i = 0; i < node->n_edges; i++) {
		const struct graph_edge *edge = &node->edges[i];
		json *one = json_new_object();

		json_put_str(one, "condition", edge->condition);
		json_put_bool(one, "restart", edge->restart);
		json_put_bool(one, "required", edge->required);
		if (!streq(edge->via, "depends_on"))
			json_put_str(one, "via", edge->via);
		json_put(o, g->nodes[edge->to].name, one);
	}
	return o;
}

/* What the supervisor keeps of the model, to know what depends on what when
 * things restart long after we are gone. */
static void put_model(json *message, const struct project *p)
{
	_cleanup_(graph_freep) struct graph *g = NULL;
	json *project = json_new_object(), *all = json_new_object();

	json_put_str(project, "name", p->name);
	json_put_str(project, "working_dir", p->working_dir);
	json_put_strv(project, "config_files", p->config_files);
	json_put_strv(project, "environment_files", p->env_files);
	json_put(message, "project", project);
	if (graph_new(p, &g, NULL) < 0)
		g = NULL; /* the plan was made from the same graph: does not happen */
	for (size_t i = 0; g && i < g->n; i++) {
		json *one = json_new_object();

		json_put(one, "depends_on", depends_on_json(g, &g->nodes[i]));
		json_put(all, g->nodes[i].name, one);
	}
	json_put(message, "services", all);
}

static bool sets_model(const char *command)
{
	return streq(command, "up") || streq(command, "create");
}

static json *request(struct context *ctx, const char *command, const struct plan *plan)
{
	json *o = json_new_object();

	json_put_int(o, "v", CONTROL_VERSION);
	json_put_str(o, "op", "apply");
	json_put_str(o, "command", command);
	if (ctx->project && sets_model(command))
		put_model(o, ctx->project);
	json_put(o, "actions", action_list_to_json(&plan->actions));
	if (plan->keep_going)
		json_put_bool(o, "keep_going", true);
	if (ctx->generation >= 0)
		json_put_int(o, "generation", ctx->generation);
	return o;
}

int apply_client_start(struct context *ctx, const char *command, const struct plan *plan,
		       struct progress *progress, struct apply_client **out, struct err *e)
{
	_cleanup_(json_unrefp) json *message = request(ctx, command, plan);
	_cleanup_(apply_client_freep) struct apply_client *a = new0(struct apply_client);
	int r = ctx_dirs(ctx, e);

	a->ctx = ctx;
	a->progress = progress;
	if (r == 0)
		r = supervisor_ensure(&ctx->dirs, ctx->project_name, &a->control, e);
	if (r == 0)
		r = control_send(a->control, message, NULL, 0, e);
	if (r == 0)
		*out = TAKE_PTR(a);
	return r;
}

void apply_client_free(struct apply_client *a)
{
	if (!a)
		return;
	control_client_free(a->control);
	free(a->failed);
	free(a);
}

int apply_client_fd(const struct apply_client *a)
{
	return control_client_fd(a->control);
}

bool apply_client_pending(const struct apply_client *a)
{
	return control_client_pending(a->control);
}

bool apply_client_is_done(const struct apply_client *a)
{
	return a->done;
}

int apply_client_result(const struct apply_client *a, struct err *e)
{
	if (!a->result.code)
		return 0;
	if (e)
		*e = a->result;
	return -a->result.code;
}

int apply_client_cancel(struct apply_client *a, struct err *e)
{
	_cleanup_(json_unrefp) json *o = json_new_object();

	json_put_int(o, "v", CONTROL_VERSION);
	json_put_str(o, "op", "cancel");
	return control_send(a->control, o, NULL, 0, e);
}

/* ---- what comes back ---------------------------------------------------------------- */
static void on_progress(struct apply_client *a, json *m)
{
	enum progress_status status = progress_status_parse(json_get_str(m, "status"));
	const char *id = json_get_str(m, "id"), *text = json_get_str(m, "text");

	if (status == PROGRESS_ERROR && !a->failed && id)
		a->failed = xstrdup(id);
	progress_event(a->progress, id ? id : "", status, text ? text : "",
		       json_get_str(m, "details"));
}

/* The engine's words for what went wrong need not say with what. */
static void note_result(struct apply_client *a, json *m)
{
	const char *name;

	control_err_from_json(json_get(m, "error"), &a->result);
	a->done = true;
	if (!a->result.code || !a->failed)
		return;
	name = strchr(a->failed, ' ');
	if (name && !strstr(a->result.msg, name + 1))
		(void)err_wrap(&a->result, -a->result.code, "%s", a->failed);
}

static void on_message(struct apply_client *a, json *m)
{
	const char *type = json_get_str(m, "type");

	if (!type)
		return;
	if (streq(type, "progress")) {
		on_progress(a, m);
	} else if (streq(type, "waiting")) {
		const char *holder = json_get_str(m, "holder");

		ctx_warn(a->ctx,
			 "another command of this project (%s, pid %d) is under way; waiting for "
			 "it",
			 holder ? holder : "?", (int)json_get_int(m, "pid", 0));
	} else if (streq(type, "end")) {
		note_result(a, m);
	}
}

int apply_client_step(struct apply_client *a, struct err *e)
{
	_cleanup_(json_unrefp) json *m = NULL;
	int r = control_receive(a->control, &m, NULL, NULL, e);

	if (r < 0)
		return r;
	a->heard = true;
	on_message(a, m);
	return 0;
}

static int give_up(struct err *e)
{
	return err_set(e, ECANCELED, "canceled; the supervisor finishes what it has begun");
}

/* The first signal asks the supervisor to start nothing more and waits for
 * what is under way, but not for ever; the second does not wait. */
static int on_signal(struct apply_client *a, int signal_fd, struct err *e)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (a->n_signals++)
		return give_up(e);
	a->give_up_at = now_mono_ns() + CANCEL_PATIENCE;
	return apply_client_cancel(a, e);
}

static int next_timeout(const struct apply_client *a)
{
	int tick = progress_interval(a->progress);

	return a->give_up_at && tick < 0 ? 100 : tick;
}

static int wait_and_step(struct apply_client *a, int signal_fd, struct err *e)
{
	const struct beside *beside = a->ctx->beside;
	struct pollfd p[2 + BESIDE_FDS] = { { .fd = apply_client_fd(a), .events = POLLIN },
					    { .fd = signal_fd, .events = POLLIN } };
	int r = 0, timeout = next_timeout(a), due;

	if (apply_client_pending(a))
		return apply_client_step(a, e);
	if (beside) {
		due = beside->prepare(beside->data, p + 2);
		timeout = timeout < 0 || (due >= 0 && due < timeout) ? due : timeout;
	}
	if (poll(p, beside ? ARRAY_SIZE(p) : 2, timeout) < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[1].revents)
		r = on_signal(a, signal_fd, e);
	if (beside && r == 0)
		r = beside->step(beside->data, p + 2, e);
	if (p[0].revents && r == 0)
		return apply_client_step(a, e);
	progress_tick(a->progress);
	if (r == 0 && a->give_up_at && now_mono_ns() > a->give_up_at)
		r = give_up(e);
	return r;
}

static int run_to_end(struct apply_client *a, int signal_fd, struct err *e)
{
	int r = 0;

	while (!a->done && r == 0)
		r = wait_and_step(a, signal_fd, e);
	if (r == 0)
		r = apply_client_result(a, e);
	if (a->n_signals && r == 0)
		r = err_set(e, ECANCELED, "canceled");
	return r;
}

static int apply_once(struct context *ctx, const char *command, const struct plan *plan,
		      struct progress *progress, bool *heard, struct err *e)
{
	_cleanup_(apply_client_freep) struct apply_client *a = NULL;
	int signal_fd = ctx_cancel_fd(ctx, e);
	int r = signal_fd < 0 ? signal_fd : apply_client_start(ctx, command, plan, progress, &a, e);

	if (r == 0)
		r = run_to_end(a, signal_fd, e);
	*heard = a && a->heard;
	return r;
}

static void show_kept(struct progress *p, const struct plan *plan)
{
	STRV_FOREACH (name, plan->kept) {
		_cleanup_(free_p) char *id = xasprintf("Container %s", *name);

		progress_event(p, id, PROGRESS_DONE, "Running", NULL);
	}
}

void plan_show(struct progress *p, const struct plan *plan)
{
	show_kept(p, plan);
	for (size_t i = 0; i < plan->actions.n; i++) {
		const struct action *a = &plan->actions.items[i];
		_cleanup_(free_p) char *id = action_subject(a);
		_cleanup_(free_p) char *why = a->reason ? xasprintf("(%s)", a->reason) : NULL;

		if (a->quiet)
			continue;
		progress_event(p, id, PROGRESS_WORKING, action_doing(a), why);
		progress_event(p, id, PROGRESS_DONE, action_done(a), NULL);
	}
}

int ctx_apply(struct context *ctx, const char *command, const struct plan *plan, struct err *e)
{
	_cleanup_(progress_freep) struct progress *progress = NULL;
	int r = ctx_progress(ctx, command, &progress, e);

	if (r < 0)
		return r;
	STRV_FOREACH (w, plan->warnings)
		ctx_warn(ctx, "%s", *w);
	if (ctx->global.dry_run) {
		plan_show(progress, plan);
		return 0;
	}
	show_kept(progress, plan);
	if (!plan->actions.n)
		return 0;
	r = ctx_need_root(ctx, e);
	for (int tries = 0; r == 0; tries++) {
		bool heard = false;

		r = apply_once(ctx, command, plan, progress, &heard, e);
		if ((r != -EPIPE && r != -ECONNRESET) || heard || tries + 1 == CONNECT_TRIES)
			break;
		r = 0;
	}
	return r;
}
