/* cli/pulling.c: see pulling.h. */
#include "cli/pulling.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/images_view.h"
#include "engine/image/ref.h"

struct view {
	struct context *ctx;
	struct progress *progress;
	const struct pull_item *items;
	char *push; /* what is being pushed */
};

static int view_open(struct view *v, const char *title, bool quiet, struct err *e)
{
	const char *mode = v->ctx->global.progress;
	int r;

	if (quiet)
		v->ctx->global.progress = "quiet";
	r = ctx_progress(v->ctx, title, &v->progress, e);
	v->ctx->global.progress = mode;
	return r;
}

static char *image_label(const char *ref)
{
	_cleanup_(free_p) char *name = ref_shorten(ref);

	return xasprintf("Image %s", name);
}

/* "1b930d010525" as docker shows it. */
static const char *layer_label(const char *digest, char buf[13])
{
	return images_short_id(digest, buf);
}

static int on_interval(void *data)
{
	struct view *v = data;

	return progress_interval(v->progress);
}

static void on_tick(void *data)
{
	struct view *v = data;

	progress_tick(v->progress);
}

/* ---- pull --------------------------------------------------------------------------------- */

static void on_layer(void *data, size_t i, const char *digest, enum pull_layer_state state,
		     uint64_t current, uint64_t total, const char *note)
{
	struct view *v = data;
	char id[13];

	layer_label(digest, id);
	switch (state) {
	case PULL_LAYER_WAITING:
		progress_event(v->progress, id, PROGRESS_WORKING, "Waiting", NULL);
		break;
	case PULL_LAYER_EXISTS:
		progress_event(v->progress, id, PROGRESS_DONE, "Already exists", NULL);
		break;
	case PULL_LAYER_DOWNLOADING:
		progress_amount(v->progress, id, "Downloading", current, total);
		break;
	case PULL_LAYER_RETRYING:
		progress_event(v->progress, id, PROGRESS_WORKING, "Retrying", note);
		break;
	case PULL_LAYER_EXTRACTING:
		progress_event(v->progress, id, PROGRESS_WORKING, "Extracting", NULL);
		break;
	case PULL_LAYER_DONE:
		progress_event(v->progress, id, PROGRESS_DONE, "Pull complete", NULL);
		break;
	}
}

static void on_finished(void *data, size_t i, const struct pull_result *r)
{
	struct view *v = data;
	_cleanup_(free_p) char *label = image_label(v->items[i].ref);

	if (r->outcome == PULL_FAILED && v->items[i].brief)
		progress_event(v->progress, label, PROGRESS_DONE, "Skipped", "Image can be built");
	else if (r->outcome != PULL_FAILED)
		progress_event(v->progress, label, PROGRESS_DONE, "Pulled", NULL);
	else
		progress_event(v->progress, label,
			       v->items[i].lenient ? PROGRESS_WARNING : PROGRESS_ERROR,
			       v->items[i].lenient ? "Warning" : "Error", r->e.msg);
}

/* Where it is asked for, and the other way to get it. */
static void complete(const struct pull_item *item, struct err *e)
{
	if (item->file)
		(void)err_at(e, item->file, item->line, item->col);
	if (!e->hint[0] && (e->code == EHOSTUNREACH || e->code == ECONNREFUSED))
		(void)err_hint(e, "without a registry, `comp load -i FILE` takes in what `docker "
				  "save` wrote");
}

static int first_failure(struct view *v, struct pull_result *results, size_t n, struct err *e)
{
	struct message_style style = ctx_message_style(v->ctx);
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		if (results[i].outcome != PULL_FAILED || v->items[i].lenient)
			continue;
		complete(&v->items[i], &results[i].e);
		if (r < 0) {
			message_error(v->ctx->err, &style, &results[i].e);
			continue;
		}
		r = -results[i].e.code;
		if (e)
			*e = results[i].e;
	}
	return r;
}

int pulling_run(struct context *ctx, struct store *store, const struct pull_item *items, size_t n,
		bool quiet, struct pull_result *results, struct err *e)
{
	_cleanup_(registries_freep) struct registries *registries = NULL;
	_cleanup_(free_p) struct pull_request *requests = xcalloc(n + 1, sizeof(*requests));
	struct view v = { .ctx = ctx, .items = items };
	int64_t parallel = ctx->global.parallel;
	struct pull_watch w = { .data = &v,
				.images = parallel > 0 ? (unsigned int)MIN(parallel, 1000) : 0,
				.layer = on_layer,
				.finished = on_finished,
				.interval = on_interval,
				.tick = on_tick };
	int r = registries_new(&registries, e);

	memset(results, 0, n * sizeof(*results));
	if (r == 0)
		r = w.cancel_fd = ctx_cancel_fd(ctx, e);
	if (r >= 0)
		r = view_open(&v, "pull", quiet, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		_cleanup_(free_p) char *label = image_label(items[i].ref);

		requests[i] = (struct pull_request){ items[i].ref, items[i].platform,
							     items[i].brief };
		progress_event(v.progress, label, PROGRESS_WORKING, "Pulling", NULL);
	}
	r = pull_images(store, registries, requests, n, &w, results, e);
	progress_free(v.progress);
	return r < 0 ? r : first_failure(&v, results, n, e);
}

/* ---- push --------------------------------------------------------------------------------- */

static void on_push_layer(void *data, const char *digest, enum push_layer_state state,
			  uint64_t current, uint64_t total, const char *note)
{
	struct view *v = data;
	char id[13];

	layer_label(digest, id);
	switch (state) {
	case PUSH_LAYER_PREPARING:
		progress_event(v->progress, id, PROGRESS_WORKING, "Preparing", NULL);
		break;
	case PUSH_LAYER_PUSHING:
		progress_amount(v->progress, id, "Pushing", current, total);
		break;
	case PUSH_LAYER_RETRYING:
		progress_event(v->progress, id, PROGRESS_WORKING, "Retrying", note);
		break;
	case PUSH_LAYER_EXISTS:
		progress_event(v->progress, id, PROGRESS_DONE, "Layer already exists", NULL);
		break;
	case PUSH_LAYER_MOUNTED:
		progress_event(v->progress, id, PROGRESS_DONE, "Mounted", note);
		break;
	case PUSH_LAYER_DONE:
		progress_event(v->progress, id, PROGRESS_DONE, "Pushed", NULL);
		break;
	}
}

static int push_one(struct view *v, struct store *store, struct registries *registries,
		    const char *ref, bool lenient, struct push_result *out, struct err *e)
{
	_cleanup_(free_p) char *label = image_label(ref);
	struct push_watch w = {
		.data = v, .layer = on_push_layer, .interval = on_interval, .tick = on_tick
	};
	struct err why = ERR_INIT;
	int r = w.cancel_fd = ctx_cancel_fd(v->ctx, e);

	if (r < 0)
		return r;
	progress_event(v->progress, label, PROGRESS_WORKING, "Pushing", NULL);
	r = push_image(store, registries, ref, &w, out, &why);
	if (r == 0) {
		progress_event(v->progress, label, PROGRESS_DONE, "Pushed", NULL);
		return 0;
	}
	if (r != -ECANCELED)
		progress_event(v->progress, label, lenient ? PROGRESS_WARNING : PROGRESS_ERROR,
			       lenient ? "Warning" : "Error", why.msg);
	if (r != -ECANCELED && lenient)
		return 0;
	if (e)
		*e = why;
	return r;
}

int pushing_run(struct context *ctx, struct store *store, char *const *refs, bool quiet,
		bool ignore_failures, struct push_result *last, struct err *e)
{
	_cleanup_(registries_freep) struct registries *registries = NULL;
	struct view v = { .ctx = ctx };
	int r = registries_new(&registries, e);

	*last = (struct push_result){ 0 };
	if (r == 0)
		r = view_open(&v, "push", quiet, e);
	if (r < 0)
		return r;
	for (char *const *ref = refs; r == 0 && ref && *ref; ref++) {
		push_result_done(last);
		r = push_one(&v, store, registries, *ref, ignore_failures, last, e);
	}
	progress_free(v.progress);
	return r;
}
