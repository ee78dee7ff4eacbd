/* cli/cmd_up.c: `up`, `create` and `scale`: translate, plan, apply; then, in the
 * foreground, stay attached (attach.c).
 */
#include <errno.h>
#include <signal.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/attach.h"
#include "cli/command.h"
#include "cli/lifecycle.h"
#include "cli/pulling.h"
#include "cli/resources.h"
#include "compose/later.h"
#include "compose/plan.h"

/* Flags that `up` and `create` share come first, so that one table entry fits both. */
struct make_options {
	bool build, no_build, force_recreate, no_recreate, remove_orphans, quiet_pull, yes;
	bool quiet_build;
	char **scale;
	const char *pull;
};

struct up_options {
	struct make_options make;
	bool abort_on_exit, abort_on_failure, always_recreate_deps, attach_dependencies, detach;
	bool menu, no_color, no_deps, no_log_prefix, no_start, renew_anon_volumes;
	bool timestamps, wait, watch;
	char **attach, **no_attach;
	const char *exit_code_from;
	int64_t timeout, wait_timeout;
};
#define M struct make_options
#define O struct up_options

#define MAKE_FLAGS                                                                                 \
	OPTION_BOOL("build", 0, M, build, "Build images before starting containers"),              \
		OPTION_BOOL("force-recreate", 0, M, force_recreate,                                \
			    "Recreate containers even if their configuration and image haven't "   \
			    "changed"),                                                            \
		OPTION_BOOL("no-build", 0, M, no_build,                                            \
			    "Don't build an image, even if it's policy"),                          \
		OPTION_BOOL("no-recreate", 0, M, no_recreate,                                      \
			    "If containers already exist, don't recreate them"),                   \
		OPTION_STRING("pull", 0, M, pull, "policy",                                        \
			      "Pull image before running (\"always\"|\"missing\"|\"never\")"),     \
		OPTION_BOOL("quiet-pull", 0, M, quiet_pull,                                        \
			    "Pull without printing progress information"),                         \
		OPTION_BOOL("remove-orphans", 0, M, remove_orphans,                                \
			    "Remove containers for services not defined in the Compose file"),     \
		OPTION_STRINGS("scale", 0, M, scale,                                               \
			       "Scale SERVICE to NUM instances. Overrides the scale setting in "   \
			       "the Compose file if present"),                                     \
		OPTION_BOOL("yes", 'y', M, yes, "Assume \"yes\" as answer to all prompts")

static const struct option_spec create_flags[] = { MAKE_FLAGS, OPTION_END };

static const struct option_spec up_flags[] = {
	OPTION_BOOL("abort-on-container-exit", 0, O, abort_on_exit,
		    "Stops all containers if any container was stopped. Incompatible with -d"),
	OPTION_BOOL(
		"abort-on-container-failure", 0, O, abort_on_failure,
		"Stops all containers if any container exited with failure. Incompatible with -d"),
	OPTION_BOOL("always-recreate-deps", 0, O, always_recreate_deps,
		    "Recreate dependent containers. Incompatible with --no-recreate"),
	OPTION_STRINGS("attach", 0, O, attach,
		       "Restrict attaching to the specified services. Incompatible with "
		       "--attach-dependencies"),
	OPTION_BOOL("attach-dependencies", 0, O, attach_dependencies,
		    "Automatically attach to log output of dependent services"),
	OPTION_BOOL("detach", 'd', O, detach, "Detached mode: Run containers in the background"),
	OPTION_STRING("exit-code-from", 0, O, exit_code_from, NULL,
		      "Return the exit code of the selected service container. Implies "
		      "--abort-on-container-exit"),
	OPTION_HIDDEN_BOOL("menu", 0, O, menu),
	OPTION_STRINGS("no-attach", 0, O, no_attach,
		       "Do not attach (stream logs) to the specified services"),
	OPTION_BOOL("no-color", 0, O, no_color, "Produce monochrome output"),
	OPTION_BOOL("no-deps", 0, O, no_deps, "Don't start linked services"),
	OPTION_BOOL("no-log-prefix", 0, O, no_log_prefix, "Don't print prefix in logs"),
	OPTION_BOOL("no-start", 0, O, no_start, "Don't start the services after creating them"),
	OPTION_BOOL("quiet-build", 0, O, make.quiet_build, "Suppress the build output"),
	OPTION_BOOL("renew-anon-volumes", 'V', O, renew_anon_volumes,
		    "Recreate anonymous volumes instead of retrieving data from the previous "
		    "containers"),
	OPTION_INT("timeout", 't', O, timeout, "-1",
		   "Use this timeout in seconds for container shutdown when attached or when "
		   "containers are already running"),
	OPTION_BOOL("timestamps", 0, O, timestamps, "Show timestamps"),
	OPTION_BOOL("wait", 0, O, wait,
		    "Wait for services to be running|healthy. Implies detached mode"),
	OPTION_INT("wait-timeout", 0, O, wait_timeout, "0",
		   "Maximum duration in seconds to wait for the project to be running|healthy"),
	OPTION_BOOL("watch", 'w', O, watch,
		    "Watch source code and rebuild/refresh containers when files are updated"),
	MAKE_FLAGS,
	OPTION_END,
};

/* ---- which flags go together ---------------------------------------------------- */
static int exclude(bool a, const char *flag_a, bool b, const char *flag_b, struct err *e)
{
	return a && b ? err_set(e, EINVAL, "%s and %s are incompatible", flag_a, flag_b) : 0;
}

static int check_make(const struct make_options *m, struct err *e)
{
	static const char *const policies[] = { "policy", "always", "missing", "never", "build" };
	int r = exclude(m->build, "--build", m->no_build, "--no-build", e);

	if (r == 0)
		r = exclude(m->force_recreate, "--force-recreate", m->no_recreate, "--no-recreate",
			    e);
	for (size_t i = 0; i < ARRAY_SIZE(policies) && r == 0; i++)
		if (streq(m->pull, policies[i]))
			return 0;
	return r < 0 ? r : err_set(e, EINVAL, "invalid --pull option \"%s\"", m->pull);
}

static int check_up(struct up_options *o, struct err *e)
{
	bool foreground = o->abort_on_exit || o->abort_on_failure || o->exit_code_from ||
			  o->attach || o->attach_dependencies;
	int r = check_make(&o->make, e);

	if (r == 0)
		r = exclude(o->always_recreate_deps, "--always-recreate-deps", o->make.no_recreate,
			    "--no-recreate", e);
	if (r == 0)
		r = exclude(o->attach != NULL, "--attach", o->attach_dependencies,
			    "--attach-dependencies", e);
	if (r < 0)
		return r;
	if ((o->detach || o->wait) && foreground)
		return err_set(e, EINVAL,
			       "%s cannot be combined with --abort-on-container-exit, "
			       "--abort-on-container-failure, --exit-code-from, --attach or "
			       "--attach-dependencies",
			       o->wait ? "--wait" : "--detach");
	if (o->watch)
		return err_set(e, EOPNOTSUPP, "--watch is not there yet");
	if (o->exit_code_from)
		o->abort_on_exit = true;
	o->detach |= o->wait;
	return 0;
}

/* ---- the plan --------------------------------------------------------------------- */
static bool env_true(const char *name)
{
	const char *v = getenv(name);

	return v && (streq(v, "1") || streq(v, "true"));
}

static int make_plan(struct context *ctx, char *const *services, const struct plan_options *po,
		     const struct record_list *records, struct plan *plan, struct err *e)
{
	_cleanup_(diag_done) struct diag diag = DIAG_INIT;
	_cleanup_(free_p) char *images = dirs_images(&ctx->dirs);
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(translation_freep) struct translation *t = NULL;
	_cleanup_(strv_freep) char **closure = NULL;
	int r = store_open(images, &store, e), shown;

	if (r == 0)
		r = service_closure(ctx, services, po->no_deps, &closure, e);
	if (r < 0)
		return r;
	later_warn(ctx->project, &diag);
	r = translate_project(ctx->project, &ctx->dirs, store, closure, &t, &diag);
	if (r == 0)
		r = plan_up(ctx->project, t, records, po, plan, &diag);
	shown = ctx_diag(ctx, &diag, e);
	if (r == 0)
		return shown;
	return shown < 0 ? r : err_set(e, -r, "make a plan");
}

static int provide(struct context *ctx, char *const *services, const struct plan_options *po,
		   const struct make_options *m, struct err *e)
{
	_cleanup_(strv_freep) char **closure = NULL;
	const struct provide_options o = {
		.policy = streq(m->pull, "policy") ? NULL : m->pull,
		.quiet = m->quiet_pull,
		.build = m->build,
		.no_build = m->no_build,
		.quiet_build = m->quiet_build,
	};
	int r = service_closure(ctx, services, po->no_deps, &closure, e);

	return r < 0 ? r : provide_images(ctx, closure, &o, e);
}

#define REPLICAS_MAX 10000

/* "SERVICE=NUM", each. */
static int check_scale(struct context *ctx, char *const *scale, struct err *e)
{
	int r = 0;

	for (; r == 0 && scale && *scale; scale++) {
		const char *eq = strchr(*scale, '=');
		_cleanup_(free_p) char *service = xstrndup(*scale, strcspn(*scale, "="));
		char *names[] = { service, NULL };
		int64_t n;

		if (!eq || eq == *scale)
			return err_set(e, EINVAL,
				       "invalid --scale option \"%s\". Should be SERVICE=NUM",
				       *scale);
		if (!parse_i64(eq + 1, &n) || n < 0 || n > REPLICAS_MAX)
			return err_set(e, EINVAL,
				       "invalid --scale option \"%s\": \"%s\" is not a number of "
				       "replicas",
				       *scale, eq + 1);
		r = ctx_check_services(ctx, names, NULL, e);
	}
	return r;
}

static int prepare(struct context *ctx, char *const *services, const struct plan_options *po,
		   const struct make_options *m, struct plan *plan, struct err *e)
{
	_cleanup_(record_list_done) struct record_list records = { 0 };
	int r = ctx_need_root(ctx, e);

	ctx->enable = services;
	if (r == 0)
		r = ctx_load_project(ctx, e);
	if (r == 0)
		r = ctx_check_services(ctx, services, NULL, e);
	if (r == 0)
		r = check_scale(ctx, po->scale, e);
	/* Once: when another command came first the images are there all the same. */
	if (r == 0 && m)
		r = provide(ctx, services, po, m, e);
	if (r == 0)
		r = ctx_take_up(ctx, e);
	if (r == 0)
		r = ctx_records(ctx, &records, e);
	return r < 0 ? r : make_plan(ctx, services, po, &records, plan, e);
}

/* Again, when another command came first and the plan no longer fits. */
static int prepare_and_apply(struct context *ctx, const char *command, char *const *services,
			     const struct plan_options *po, const struct make_options *m,
			     struct err *e)
{
	int r = -ESTALE;

	for (int tries = 0; tries < PLAN_TRIES && r == -ESTALE; tries++) {
		_cleanup_(plan_done) struct plan plan = { 0 };

		if (e)
			*e = ERR_INIT;
		r = prepare(ctx, services, po, tries ? NULL : m, &plan, e);
		if (r == 0)
			r = ctx_apply(ctx, command, &plan, e);
	}
	return plan_outcome(ctx, r, e);
}

static struct plan_options plan_options_of(const struct make_options *m, char *const *services)
{
	struct plan_options po = PLAN_OPTIONS_INIT;

	po.services = services;
	po.force_recreate = m->force_recreate;
	po.no_recreate = m->no_recreate;
	po.remove_orphans = m->remove_orphans || env_true("COMPOSE_REMOVE_ORPHANS");
	po.scale = m->scale;
	return po;
}

/* ---- in the foreground -------------------------------------------------------------- */
static char **names_of_all(const struct project *p)
{
	_cleanup_(free_p) const char **names = project_service_names(p);

	return strv_copy((char *const *)names);
}

static bool wants_attach(const struct context *ctx, const struct up_options *o, const char *name)
{
	if (o->attach)
		return strv_has(o->attach, name);
	if (strv_has(o->no_attach, name))
		return false;
	return node_get_bool(project_service(ctx->project, name), "attach", true);
}

/* ^C before everything was up: what is up goes down again. */
static void stop_after_cancel(struct context *ctx, const struct up_options *o,
			      char *const *services)
{
	struct plan_options po = PLAN_OPTIONS_INIT;
	struct message_style style = ctx_message_style(ctx);
	struct err e = ERR_INIT;

	fprintf(ctx->err, "Gracefully Stopping... press Ctrl+C again to force\n");
	po.services = services;
	if (o->timeout >= 0)
		po.timeout_ns = o->timeout * (int64_t)NSEC_PER_SEC;
	if (plan_and_apply(ctx, "stop", plan_stop, &po, NULL, &e) < 0)
		message_error(ctx->err, &style, &e);
}

/* Bring the project up with its logs, and stay. */
static int up_attached(struct context *ctx, const struct up_options *o, char *const *services,
		       const struct plan_options *po, uint64_t since, struct err *e)
{
	_cleanup_(attach_freep) struct attach *a = NULL;
	_cleanup_(strv_freep) char **watched = NULL, **shown = NULL;
	struct attach_options ao = {
		.color = ctx->out_color && !o->no_color,
		.no_prefix = o->no_log_prefix,
		.timestamps = o->timestamps,
		.abort_on_exit = o->abort_on_exit,
		.abort_on_failure = o->abort_on_failure,
		.exit_code_from = o->exit_code_from,
		.stop_timeout = o->timeout < 0 ? PLAN_NO_TIMEOUT
					       : o->timeout * (int64_t)NSEC_PER_SEC,
		.since = since,
	};
	int r = ctx_need_root(ctx, e);

	ctx->enable = services;
	if (r == 0)
		r = ctx_load_project(ctx, e);
	if (r == 0)
		r = ctx_check_services(ctx, services, NULL, e);
	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r == 0)
		r = service_closure(ctx, services, o->no_deps, &watched, e);
	if (r < 0)
		return r;
	if (!watched)
		watched = names_of_all(ctx->project);
	STRV_FOREACH (name, watched) {
		bool asked = !services || !*services || strv_has(services, *name) ||
			     o->attach_dependencies || o->attach;

		if (asked && wants_attach(ctx, o, *name))
			strv_add(&shown, *name);
	}
	ao.watched = watched;
	ao.shown = shown;
	r = attach_new(ctx, &ao, &a, e);
	if (r == 0)
		r = prepare_and_apply(ctx, "up", services, po, &o->make, e);
	ctx->beside = NULL;
	if (r == -ECANCELED)
		stop_after_cancel(ctx, o, services);
	return r < 0 ? r : attach_run(a, e);
}

static int run_up(struct context *ctx, struct invocation *in, struct err *e)
{
	struct up_options *o = in->options;
	uint64_t since = now_real_ns();
	struct plan_options po;
	int r = check_up(o, e);

	if (r < 0)
		return r;
	po = plan_options_of(&o->make, in->argv);
	po.always_recreate_deps = o->always_recreate_deps;
	po.no_deps = o->no_deps;
	po.no_start = o->no_start;
	po.renew_volumes = o->renew_anon_volumes;
	po.wait = o->wait;
	po.wait_timeout = o->wait_timeout * (int64_t)NSEC_PER_SEC;
	po.timeout_ns = o->timeout < 0 ? PLAN_NO_TIMEOUT : o->timeout * (int64_t)NSEC_PER_SEC;
	if (o->exit_code_from) {
		char *service[] = { (char *)o->exit_code_from, NULL };

		ctx->enable = in->argv;
		r = ctx_load_project(ctx, e);
		if (r == 0)
			r = ctx_check_services(ctx, service, NULL, e);
	}
	if (r < 0)
		return r;
	if (o->detach || o->no_start || ctx->global.dry_run)
		return prepare_and_apply(ctx, "up", in->argv, &po, &o->make, e);
	return up_attached(ctx, o, in->argv, &po, since, e);
}

static int run_create(struct context *ctx, struct invocation *in, struct err *e)
{
	struct make_options *o = in->options;
	struct plan_options po;
	int r = check_make(o, e);

	if (r < 0)
		return r;
	po = plan_options_of(o, in->argv);
	po.no_start = true;
	return prepare_and_apply(ctx, "create", in->argv, &po, o, e);
}

struct scale_options {
	bool no_deps;
};
#define S struct scale_options
static const struct option_spec scale_flags[] = {
	OPTION_BOOL("no-deps", 0, S, no_deps, "Don't start linked services"),
	OPTION_END,
};
#undef S

static int run_scale(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct scale_options *o = in->options;
	const struct make_options make = { .pull = "policy", .scale = in->argv };
	_cleanup_(strv_freep) char **services = NULL;
	struct plan_options po;

	STRV_FOREACH (text, in->argv) {
		_cleanup_(free_p) char *service = xstrndup(*text, strcspn(*text, "="));

		strv_add(&services, service);
	}
	po = plan_options_of(&make, services);
	po.no_deps = o->no_deps;
	return prepare_and_apply(ctx, "up", services, &po, &make, e);
}

const struct command cmd_up = {
	.name = "up",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Create and start containers",
	.options = up_flags,
	.options_size = sizeof(struct up_options),
	.max_args = ARGS_ANY,
	.run = run_up,
};

const struct command cmd_create = {
	.name = "create",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Creates containers for a service",
	.options = create_flags,
	.options_size = sizeof(struct make_options),
	.max_args = ARGS_ANY,
	.run = run_create,
};

const struct command cmd_scale = {
	.name = "scale",
	.args = "[OPTIONS] [SERVICE=REPLICAS...]",
	.summary = "Scale services",
	.options = scale_flags,
	.options_size = sizeof(struct scale_options),
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = run_scale,
};
