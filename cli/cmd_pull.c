/* cli/cmd_pull.c: `pull` and `push` for the images of services, `image pull` and
 * `image push` for one by name. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/images_view.h"
#include "cli/pulling.h"
#include "cli/resources.h"
#include "compose/project.h"
#include "engine/image/ref.h"

/* ---- pull ----------------------------------------------------------------------------- */

struct pull_options {
	bool ignore_buildable, ignore_failures, include_deps, quiet, parallel, no_parallel;
	const char *policy;
};
#define O struct pull_options
static const struct option_spec pull_flags[] = {
	OPTION_BOOL("ignore-buildable", 0, O, ignore_buildable, "Ignore images that can be built"),
	OPTION_BOOL("ignore-pull-failures", 0, O, ignore_failures,
		    "Pull what it can and ignores images with pull failures"),
	OPTION_BOOL("include-deps", 0, O, include_deps,
		    "Also pull services declared as dependencies"),
	OPTION_HIDDEN_BOOL("no-parallel", 0, O, no_parallel),
	OPTION_HIDDEN_BOOL("parallel", 0, O, parallel),
	OPTION_STRING("policy", 0, O, policy, NULL, "Apply pull policy (\"missing\"|\"always\")"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Pull without printing progress information"),
	OPTION_END,
};
#undef O

/* The services a command is about: those named, with what they depend on if asked for. */
static int choose_services(struct context *ctx, char *const *named, bool include_deps, char ***out,
			   struct err *e)
{
	int r;

	ctx->enable = named;
	r = ctx_load_project(ctx, e);
	if (r == 0)
		r = ctx_check_services(ctx, named, NULL, e);
	if (r == 0)
		r = service_closure(ctx, named, !include_deps, out, e);
	return r;
}

static int run_pull(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct pull_options *o = in->options;
	_cleanup_(strv_freep) char **services = NULL;
	const struct provide_options p = { .policy = o->policy,
					   .quiet = o->quiet,
					   .ignore_failures = o->ignore_failures,
					   .ignore_buildable = o->ignore_buildable,
					   .explicit_pull = true };
	int r;

	if (o->policy && !streq(o->policy, "missing") && !streq(o->policy, "always")) {
		err_set(e, EINVAL, "invalid pull policy \"%.60s\"", o->policy);
		return err_hint(e, "use missing or always");
	}
	r = ctx_need_root(ctx, e);
	if (r == 0)
		r = choose_services(ctx, in->argv, o->include_deps, &services, e);
	return r < 0 ? r : provide_images(ctx, services, &p, e);
}

const struct command cmd_pull = {
	.name = "pull",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Pull service images",
	.options = pull_flags,
	.options_size = sizeof(struct pull_options),
	.max_args = ARGS_ANY,
	.run = run_pull,
};

/* ---- push -------------------------------------------------------------------------------- */

struct push_options {
	bool ignore_failures, include_deps, quiet;
};
#define O struct push_options
static const struct option_spec push_flags[] = {
	OPTION_BOOL("ignore-push-failures", 0, O, ignore_failures,
		    "Push what it can and ignores images with push failures"),
	OPTION_BOOL("include-deps", 0, O, include_deps,
		    "Also push images of services declared as dependencies"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Push without printing progress information"),
	OPTION_END,
};
#undef O

static char **images_to_push(struct context *ctx, char *const *services)
{
	_cleanup_(free_p) const char **all = project_service_names(ctx->project);
	char *const *names = services ? services : (char *const *)all;
	char **refs = NULL;

	/* Compose pushes what is built here and has a name of its own. */
	STRV_FOREACH (name, names) {
		const struct node *service = project_service(ctx->project, *name);
		const char *image = node_get_str(service, "image");

		if (image && !node_is_null(node_get(service, "build")) && !strv_has(refs, image))
			strv_add(&refs, image);
	}
	return refs;
}

static int run_push(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct push_options *o = in->options;
	_cleanup_(strv_freep) char **services = NULL, **refs = NULL;
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(push_result_done) struct push_result last = { 0 };
	int r = ctx_need_root(ctx, e);

	if (r == 0)
		r = choose_services(ctx, in->argv, o->include_deps, &services, e);
	if (r == 0)
		r = images_open(ctx, true, &store, e);
	if (r < 0)
		return r;
	refs = images_to_push(ctx, services);
	if (!refs)
		ctx_warn(ctx, "no service with both build and image: there is nothing to push");
	return pushing_run(ctx, store, refs, o->quiet, o->ignore_failures, &last, e);
}

const struct command cmd_push = {
	.name = "push",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Push service images",
	.options = push_flags,
	.options_size = sizeof(struct push_options),
	.max_args = ARGS_ANY,
	.run = run_push,
};

/* ---- image pull -------------------------------------------------------------------------- */

struct image_pull_options {
	bool quiet;
	const char *platform;
};
#define O struct image_pull_options
static const struct option_spec image_pull_flags[] = {
	OPTION_STRING("platform", 0, O, platform, NULL,
		      "Set platform if server is multi-platform capable"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Suppress verbose output"),
	OPTION_END,
};
#undef O

/* What docker prints at the end; scripts take the last line. */
static void print_pulled(struct context *ctx, const struct pull_result *r, bool quiet)
{
	_cleanup_(free_p) char *name = ref_shorten(r->canonical);

	if (!quiet)
		fprintf(ctx->out, "Digest: %s\nStatus: %s for %s\n", r->digest,
			r->outcome == PULL_NEW ? "Downloaded newer image" : "Image is up to date",
			name);
	fprintf(ctx->out, "%s\n", r->canonical);
}

static int run_image_pull(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct image_pull_options *o = in->options;
	_cleanup_(pull_result_done) struct pull_result result = { 0 };
	_cleanup_(store_closep) struct store *store = NULL;
	const struct pull_item item = {
		.ref = in->argv[0],
		.platform = o->platform ? o->platform : getenv("DOCKER_DEFAULT_PLATFORM"),
	};
	struct image_ref ref;
	int r = ref_parse(in->argv[0], &ref, e);

	if (r < 0)
		return r;
	if (!o->quiet && ref.tag && !ref.digest && !strstr(in->argv[0], ref.tag))
		fprintf(ctx->out, "Using default tag: %s\n", ref.tag);
	ref_done(&ref);
	fflush(ctx->out);
	r = images_open(ctx, true, &store, e);
	if (r == 0)
		r = pulling_run(ctx, store, &item, 1, o->quiet, &result, e);
	if (r == 0)
		print_pulled(ctx, &result, o->quiet);
	return r;
}

const struct command cmd_image_pull = {
	.name = "pull",
	.args = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "Download an image from a registry",
	.options = image_pull_flags,
	.options_size = sizeof(struct image_pull_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_image_pull,
};

/* ---- image push ------------------------------------------------------------------------------ */

struct image_push_options {
	bool quiet;
};
#define O struct image_push_options
static const struct option_spec image_push_flags[] = {
	OPTION_BOOL("quiet", 'q', O, quiet, "Suppress verbose output"),
	OPTION_END,
};
#undef O

static int run_image_push(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct image_push_options *o = in->options;
	_cleanup_(push_result_done) struct push_result result = { 0 };
	_cleanup_(store_closep) struct store *store = NULL;
	struct image_ref ref;
	int r = images_open(ctx, true, &store, e);

	if (r == 0)
		r = pushing_run(ctx, store, in->argv, o->quiet, false, &result, e);
	if (r == 0)
		r = ref_parse(in->argv[0], &ref, e);
	if (r < 0)
		return r;
	if (o->quiet)
		fprintf(ctx->out, "%s/%s:%s\n", ref.domain, ref.path, ref.tag);
	else
		fprintf(ctx->out, "%s: digest: %s size: %ju\n", ref.tag, result.digest,
			(uintmax_t)result.size);
	ref_done(&ref);
	return 0;
}

const struct command cmd_image_push = {
	.name = "push",
	.args = "[OPTIONS] NAME[:TAG]",
	.summary = "Upload an image to a registry",
	.options = image_push_flags,
	.options_size = sizeof(struct image_push_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_image_push,
};
