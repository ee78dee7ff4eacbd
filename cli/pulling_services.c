/* cli/pulling_services.c: which images the services of a project want pulled. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/strv.h"
#include "cli/build_services.h"
#include "cli/images_view.h"
#include "cli/pulling.h"
#include "cli/resources.h"
#include "compose/project.h"
#include "compose/pull_policy.h"
#include "engine/image/platform.h"

struct wanted {
	struct pull_item *items; /* texts in the project's arena */
	size_t n;
	char **skipped; /* "service\twhy" */
	char **built;   /* services whose image is for the builder */
};

static void wanted_done(struct wanted *w)
{
	free(w->items);
	strv_free(w->skipped);
	strv_free(w->built);
}

/* Two services may share an image; the stricter one counts. */
static void add_item(struct wanted *w, const struct node *at, const char *ref, const char *platform,
		     bool lenient)
{
	for (size_t i = 0; i < w->n; i++) {
		if (!streq(w->items[i].ref, ref) || !streq_null(w->items[i].platform, platform))
			continue;
		w->items[i].lenient &= lenient;
		w->items[i].brief = false;
		return;
	}
	w->items = xreallocarray(w->items, w->n + 1, sizeof(*w->items));
	w->items[w->n++] = (struct pull_item){ .ref = ref,
					       .platform = platform,
					       .lenient = lenient,
					       .file = at ? at->file : NULL,
					       .line = at ? at->line : 0,
					       .col = at ? at->col : 0 };
}

/* Is it there, for that platform, and since when? */
static void look_up(struct store *store, const char *ref, const char *platform,
		    struct pull_state *out)
{
	_cleanup_(image_freep) struct image *image = NULL;
	struct platform want;

	*out = (struct pull_state){ .now = now_real_ns() };
	if (store_resolve(store, ref, &image, NULL) < 0)
		return;
	out->present = true;
	if (!is_empty(platform) && platform_parse(platform, &want, NULL) == 0) {
		out->present = platform_suits(&want, image->config.os, image->config.architecture,
					      image->config.variant) > 0;
		platform_done(&want);
	}
	(void)pull_last_checked(store, ref, &out->checked, NULL); /* by id: 0, long ago */
}

static int policy_of(const struct node *service, const struct provide_options *o,
		     struct pull_policy *out, struct err *e)
{
	const char *text = node_get_str(service, "pull_policy");
	int r;

	if (o->policy)
		return pull_policy_parse(o->policy, out, e);
	r = pull_policy_parse(text, out, e);
	if (r < 0 && node_get(service, "pull_policy"))
		return node_err(e, node_get(service, "pull_policy"), EINVAL, "%s", e->msg);
	/* `comp pull` is asked for: only never and build stand against it. */
	if (r == 0 && o->explicit_pull && out->when != PULL_NEVER && out->when != PULL_BUILD)
		out->when = text && streq(text, "missing") ? PULL_MISSING : PULL_ALWAYS;
	return r;
}

static const char *platform_of(const struct node *service)
{
	const char *platform = node_get_str(service, "platform");

	return platform ? platform : getenv("DOCKER_DEFAULT_PLATFORM");
}

static int want_image(struct wanted *w, struct store *store, const struct node *service,
		      const struct node *at, bool buildable, const struct provide_options *o,
		      struct err *e)
{
	const char *ref = at->text;
	const char *platform = platform_of(service);
	struct pull_policy policy;
	struct pull_state state;
	int r = policy_of(service, o, &policy, e);

	if (r < 0)
		return r;
	look_up(store, ref, platform, &state);
	if (pull_policy_wants(&policy, &state))
		add_item(w, at, ref, platform, buildable || o->ignore_failures);
	else if (o->explicit_pull)
		strv_addf(&w->skipped, "%s\t%s", ref,
			  policy.when == PULL_NEVER   ? "pull_policy is never"
			  : policy.when == PULL_BUILD ? "No image to be pulled"
						      : "Image is already present locally");
	return 0;
}

/* The service that builds @image for others to use; NULL: nobody does. */
static const char *maker_of(const struct context *ctx, const char *image)
{
	const struct node *services = project_section(ctx->project, "services");

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++) {
		const struct node *s = services->entries[i].value;
		const char *made = node_get_str(s, "image");

		if (!node_is_null(node_get(s, "build")) && streq_null(made, image))
			return services->entries[i].key;
	}
	return NULL;
}

static void want_build(struct wanted *w, const char *name)
{
	if (!strv_has(w->built, name))
		strv_add(&w->built, name);
}

/* What can be built may be in a registry already, and is quicker to get from there;
 * as Compose does unless it is told to build. */
static int try_image(struct wanted *w, struct store *store, const struct node *service,
		     const struct provide_options *o, struct err *e)
{
	const struct node *at = node_get(service, "image");
	const char *platform = platform_of(service);
	struct pull_policy policy;
	struct pull_state state;
	size_t n = w->n;
	int r = policy_of(service, o, &policy, e);

	if (r < 0 || o->build || !node_is(at, NODE_STRING))
		return r;
	look_up(store, at->text, platform, &state);
	if (!pull_policy_wants(&policy, &state))
		return 0;
	add_item(w, at, at->text, platform, true);
	if (w->n > n)
		w->items[n].brief = true;
	return 0;
}

static int want_service(struct wanted *w, struct context *ctx, struct store *store,
			const char *name, const struct provide_options *o, struct err *e)
{
	const struct node *service = project_service(ctx->project, name);
	const struct node *hooks = node_get(service, "pre_start");
	const char *image = node_get_str(service, "image");
	bool buildable = !node_is_null(node_get(service, "build"));
	const char *maker = image && !buildable && !o->explicit_pull ? maker_of(ctx, image) : NULL;
	int r = 0;

	if (buildable && !o->explicit_pull) {
		want_build(w, name);
		r = try_image(w, store, service, o, e);
	} else if (maker) {
		want_build(w, maker);
	} else if (!image || (buildable && o->ignore_buildable)) {
		strv_addf(&w->skipped, "%s\t%s", name,
			  image ? "Image can be built" : "No image to be pulled");
	} else {
		r = want_image(w, store, service, node_get(service, "image"), buildable, o, e);
	}
	for (size_t i = 0; r == 0 && node_is(hooks, NODE_SEQ) && i < hooks->n; i++) {
		const struct node *own = node_get(hooks->items[i], "image");

		if (node_is(own, NODE_STRING))
			r = want_image(w, store, service, own, false, o, e);
	}
	return r;
}

/* Must the image of a service with `build:` be built before it can start? */
static int wants_build(struct context *ctx, struct store *store, const char *name,
		       const struct provide_options *o, bool *out, struct err *e)
{
	const struct node *service = project_service(ctx->project, name);
	struct pull_policy policy;
	struct pull_state state;
	int r = policy_of(service, o, &policy, e);

	if (r < 0)
		return r;
	look_up(store, project_image_name(ctx->project, name), NULL, &state);
	*out = o->build || policy.when == PULL_BUILD || !state.present;
	return 0;
}

/* Of @services, which have `build:`, those whose image is missing or shall be made anew. */
static int provide_built(struct context *ctx, struct store *store, char *const *services,
			 const struct provide_options *o, struct err *e)
{
	const struct build_services_options bo = { .quiet = o->quiet_build };
	_cleanup_(strv_freep) char **wanted = NULL;
	int r = 0;

	for (; r == 0 && services && *services; services++) {
		bool want = false;

		r = wants_build(ctx, store, *services, o, &want, e);
		if (want)
			strv_add(&wanted, *services);
	}
	if (r < 0 || !wanted || o->no_build || ctx->global.dry_run)
		return r;
	return build_services(ctx, wanted, &bo, e);
}

static int say_skipped(struct context *ctx, const struct wanted *w, bool quiet, struct err *e)
{
	struct progress *progress;
	int r;

	if (!w->skipped || quiet)
		return 0;
	r = ctx_progress(ctx, "pull", &progress, e);
	if (r < 0)
		return r;
	STRV_FOREACH (s, w->skipped) {
		const char *tab = strchr(*s, '\t');
		_cleanup_(free_p) char *name = xstrndup(*s, (size_t)(tab - *s));

		progress_event(progress, name, PROGRESS_DONE, "Skipped", tab + 1);
	}
	progress_free(progress);
	return 0;
}

/* Nothing is fetched in a rehearsal. */
static int rehearse(struct context *ctx, const struct wanted *w, struct err *e)
{
	struct progress *progress;
	int r = ctx_progress(ctx, "pull", &progress, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < w->n; i++) {
		_cleanup_(free_p) char *label = xasprintf("Image %s", w->items[i].ref);

		progress_event(progress, label, PROGRESS_WORKING, "Pulling", NULL);
		progress_event(progress, label, PROGRESS_DONE, "Pulled", NULL);
	}
	progress_free(progress);
	return 0;
}

static int pull_wanted(struct context *ctx, struct store *store, const struct wanted *w, bool quiet,
		       struct err *e)
{
	_cleanup_(free_p) struct pull_result *results = xcalloc(w->n + 1, sizeof(*results));
	int r;

	if (w->n == 0)
		return 0;
	if (ctx->global.dry_run)
		return rehearse(ctx, w, e);
	r = pulling_run(ctx, store, w->items, w->n, quiet, results, e);
	for (size_t i = 0; i < w->n; i++)
		pull_result_done(&results[i]);
	return r;
}

int provide_images(struct context *ctx, char *const *services, const struct provide_options *o,
		   struct err *e)
{
	_cleanup_(wanted_done) struct wanted w = { 0 };
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(free_p) const char **all = project_service_names(ctx->project);
	const char *const *names = services ? (const char *const *)services : all;
	int r = images_open(ctx, true, &store, e);

	for (; r == 0 && names && *names; names++)
		r = want_service(&w, ctx, store, *names, o, e);
	if (r == 0)
		r = say_skipped(ctx, &w, o->quiet, e);
	if (r == 0)
		r = pull_wanted(ctx, store, &w, o->quiet, e);
	if (r == 0 && w.built)
		r = provide_built(ctx, store, w.built, o, e);
	return r;
}
