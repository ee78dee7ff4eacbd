/* cli/cmd_wait.c: `wait`: until services' containers have stopped. */
#include <errno.h>
#include <poll.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/watch.h"

struct wait_options {
	bool down_project;
};

static const struct option_spec flags[] = {
	OPTION_BOOL("down-project", 0, struct wait_options, down_project,
		    "Drops project when the first container stops"),
	OPTION_END,
};

struct waiting {
	struct context *ctx;
	char **ids; /* of containers still waited for */
	int code;   /* of the last that stopped */
	size_t n_stopped;
};

static void stopped(struct waiting *w, const char *id, int code)
{
	for (size_t i = 0; w->ids && w->ids[i]; i++) {
		if (!streq(w->ids[i], id))
			continue;
		fprintf(w->ctx->out, "container \"%s\" exited with status code %d\n", id, code);
		fflush(w->ctx->out);
		strv_remove(&w->ids, i);
		w->code = code;
		w->n_stopped++;
		return;
	}
}

static const struct record *find_id(const struct record_list *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i]->id, id))
			return l->items[i];
	return NULL;
}

/* Whoever does not run any more, and will not by itself, has stopped; so has who
 * was removed, with a code that nobody can tell. */
static void look(struct waiting *w, const struct record_list *l)
{
	_cleanup_(strv_freep) char **ids = strv_copy(w->ids);

	STRV_FOREACH (id, ids) {
		const struct record *r = find_id(l, *id);

		if (!r || !record_is_active(r))
			stopped(w, *id, r ? r->exit_code : 0);
	}
}

static int select_running(struct waiting *w, char *const *services, const struct record_list *l,
			  struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i]->service && strv_has(services, l->items[i]->service) &&
		    record_is_active(l->items[i]))
			strv_add(&w->ids, l->items[i]->id);
	if (w->ids)
		return 0;
	return err_set(e, ENOENT, "no containers for project \"%s\"", w->ctx->project_name);
}

static void on_exited(const struct record *r, bool restarting, void *data)
{
	if (!restarting)
		stopped(data, r->id, r->exit_code);
}

static int wait_loop(struct waiting *w, struct watch *watch, bool first, struct err *e)
{
	int signal_fd = ctx_cancel_fd(w->ctx, e), r = signal_fd < 0 ? signal_fd : 0;

	while (r == 0 && strv_len(w->ids) && !(first && w->n_stopped)) {
		struct pollfd p[] = { { .fd = signal_fd, .events = POLLIN },
				      { .fd = watch_fd(watch), .events = POLLIN } };

		if (!watch_pending(watch) && poll(p, ARRAY_SIZE(p), watch_timeout(watch)) < 0 &&
		    errno != EINTR)
			return err_errno(e, errno, "poll");
		if (p[0].revents)
			return -ECANCELED; /* nothing to say about it */
		r = watch_update(watch, e);
		if (r == 0)
			look(w, watch_records(watch));
	}
	return r;
}

/* `down`, as if it had been typed. */
static void down(struct context *ctx)
{
	char *argv[] = { (char *)"down", NULL };

	(void)command_dispatch(ctx, commands, ctx->program, 1, argv); /* tells what went wrong */
}

static int run_wait(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct wait_options *o = in->options;
	struct waiting w = { .ctx = ctx };
	const struct watch_handler h = { .exited = on_exited, .data = &w };
	_cleanup_(record_list_done) struct record_list l = { 0 };
	_cleanup_(watch_freep) struct watch *watch = NULL;
	int r = ctx_load_project_or_name(ctx, e);

	if (r == 0)
		r = ctx_records(ctx, &l, e);
	if (r == 0)
		r = ctx_check_services(ctx, in->argv, &l, e);
	if (r == 0)
		r = select_running(&w, in->argv, &l, e);
	if (r == 0)
		r = watch_new(&ctx->dirs, ctx->project_name, &h, &watch, e);
	if (r == 0) {
		look(&w, watch_records(watch));
		r = wait_loop(&w, watch, o->down_project, e);
	}
	if (r == 0 && o->down_project)
		down(ctx);
	strv_free(w.ids);
	return r < 0 ? r : w.code;
}

const struct command cmd_wait = {
	.name = "wait",
	.args = "SERVICE [SERVICE...] [OPTIONS]",
	.summary = "Block until containers of all (or specified) services stop.",
	.options = flags,
	.options_size = sizeof(struct wait_options),
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = run_wait,
};
