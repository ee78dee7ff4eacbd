/* cli/build_services.c: `build:` of the compose file, translated for the builder.
 *
 * All are built side by side, but a service whose additional_contexts name another one
 * (service:x), which comes after it and takes the image that was built.
 */
#include "cli/build_services.h"

#include <errno.h>

#include "base/path.h"
#include "base/strv.h"
#include "cli/build_jobs.h"
#include "cli/images_view.h"
#include "cli/pulling.h"
#include "cli/resources.h"
#include "compose/project.h"
#include "compose/units.h"
#include "compose/values.h"
#include "compose/version_label.h"
#include "engine/build/remote.h"
#include "engine/image/platform.h"

struct building {
	struct context *ctx;
	const struct build_services_options *o;
	char **queue; /* services, in the order to build */
	char **busy;  /* being put in order */
};

/* ---- order -------------------------------------------------------------------------------- */

static const struct node *build_of(const struct building *b, const char *service)
{
	const struct node *build = node_get(project_service(b->ctx->project, service), "build");

	return node_is(build, NODE_MAP) ? build : NULL;
}

static int enqueue(struct building *b, const char *service, struct err *e)
{
	const struct node *contexts = node_get(build_of(b, service), "additional_contexts");
	int r = 0;

	if (!build_of(b, service) || strv_has(b->queue, service))
		return 0;
	if (strv_has(b->busy, service))
		return node_err(e, contexts, ELOOP,
				"services.%s.build.additional_contexts: services that build from "
				"each other",
				service);
	strv_add(&b->busy, service);
	for (size_t i = 0; r == 0 && node_is(contexts, NODE_MAP) && i < contexts->n; i++) {
		const char *text = contexts->entries[i].value->text;
		const char *other = text ? skip_prefix(text, "service:") : NULL;

		if (other)
			r = enqueue(b, other, e);
	}
	if (r == 0)
		strv_add(&b->queue, service);
	return r;
}

/* ---- translation -------------------------------------------------------------------------- */

static int add_contexts(struct builder *x, struct building *b, const struct node *map,
			struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && node_is(map, NODE_MAP) && i < map->n; i++) {
		const char *text = map->entries[i].value->text ?: "";
		const char *other = skip_prefix(text, "service:");
		_cleanup_(free_p) char *arg = NULL;

		if (other)
			arg = xasprintf("%s=docker-image://%s", map->entries[i].key,
					project_image_name(b->ctx->project, other));
		else
			arg = xasprintf("%s=%s", map->entries[i].key, text);
		r = builder_add_context(x, arg, e);
	}
	return r;
}

static int add_secret(struct builder *x, struct building *b, const struct node *use, struct err *e)
{
	const char *source = node_get_str(use, "source"), *target = node_get_str(use, "target");
	const struct node *def = node_get(project_section(b->ctx->project, "secrets"),
					  source ?: "");
	const char *file = node_get_str(def, "file"), *name = node_get_str(def, "environment");
	const struct project_var *var = name ? map_get(&b->ctx->project->environment, name) : NULL;
	const char *content = node_get_str(def, "content");
	_cleanup_(free_p) char *arg = NULL;
	const char *id = target ?: source;

	if (var)
		return builder_add_secret_content(x, id, var->value, strlen(var->value));
	if (name)
		return node_err(e, use, ENOENT, "secret %s: environment variable \"%s\" is not set",
				source, name);
	if (content)
		return builder_add_secret_content(x, id, content, strlen(content));
	if (!file)
		return node_err(e, use, EINVAL,
				"build only supports environment or file based secrets: \"%s\"",
				source ?: "");
	arg = xasprintf("id=%s,src=%s", id, file);
	return builder_add_secret(x, arg, e);
}

static int add_secrets(struct builder *x, struct building *b, const struct node *list,
		       struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && node_is(list, NODE_SEQ) && i < list->n; i++)
		r = add_secret(x, b, list->items[i], e);
	return r;
}

static int add_ulimits(struct builder *x, const struct node *map, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && node_is(map, NODE_MAP) && i < map->n; i++) {
		const struct node *v = map->entries[i].value;
		int64_t both = value_int(map, map->entries[i].key, 0);
		int64_t soft = value_int(v, "soft", both), hard = value_int(v, "hard", both);
		_cleanup_(free_p) char *arg = xasprintf("%s=%jd:%jd", map->entries[i].key,
							(intmax_t)soft, (intmax_t)hard);

		r = builder_add_ulimit(x, arg, e);
	}
	return r;
}

typedef int (*add_fn)(struct builder *b, const char *text, struct err *e);

static int add_list(struct builder *x, const struct node *list, add_fn add, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && node_is(list, NODE_SEQ) && i < list->n; i++)
		if (list->items[i]->text)
			r = add(x, list->items[i]->text, e);
	return r;
}

static int add_cache_from(struct builder *b, const char *text, struct err *e)
{
	return builder_add_cache(b, text, false, e);
}

static int add_cache_to(struct builder *b, const char *text, struct err *e)
{
	return builder_add_cache(b, text, true, e);
}

static int add_ssh(struct builder *x, const struct building *b, const struct node *map,
		   struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && node_is(map, NODE_MAP) && i < map->n; i++) {
		const char *path = map->entries[i].value->text;
		_cleanup_(free_p) char *arg = xasprintf("%s%s%s", map->entries[i].key,
							is_empty(path) ? "" : "=", path ?: "");

		r = builder_add_ssh(x, arg, e);
	}
	for (char **s = b->o->ssh; r == 0 && s && *s; s++)
		r = builder_add_ssh(x, *s, e);
	return r;
}

static void add_args(struct builder *x, const struct building *b, const struct node *map)
{
	for (size_t i = 0; node_is(map, NODE_MAP) && i < map->n; i++)
		if (map->entries[i].value->text)
			strv_env_set(&x->args, map->entries[i].key, map->entries[i].value->text);
	STRV_FOREACH (a, b->o->args)
		builder_add_arg(x, *a);
}

static void add_labels(struct builder *x, const struct building *b, const char *service,
		       const struct node *map)
{
	for (size_t i = 0; node_is(map, NODE_MAP) && i < map->n; i++)
		strv_env_set(&x->labels, map->entries[i].key, map->entries[i].value->text ?: "");
	strv_env_set(&x->labels, "com.docker.compose.project", b->ctx->project->name);
	strv_env_set(&x->labels, "com.docker.compose.service", service);
	strv_env_set(&x->labels, "com.docker.compose.version", COMPOSE_VERSION_LABEL);
}

/* Only this machine's can be built. */
static int check_platforms(const struct node *build, const char *platform, struct err *e)
{
	const struct node *list = node_get(build, "platforms");
	struct platform want;
	const char *architecture, *variant;
	bool ok = !node_is(list, NODE_SEQ) || list->n == 0;

	platform_of_host(&architecture, &variant);
	for (size_t i = 0; !ok && i < list->n; i++) {
		if (!list->items[i]->text || platform_parse(list->items[i]->text, &want, NULL) < 0)
			continue;
		ok = platform_suits(&want, "linux", architecture, variant) > 0;
		platform_done(&want);
	}
	if (!ok)
		return node_err(e, list, EOPNOTSUPP,
				"only the platform of this machine can be built: linux/%s",
				architecture);
	if (platform && platform_parse(platform, &want, NULL) == 0) {
		ok = platform_suits(&want, "linux", architecture, variant) > 0;
		platform_done(&want);
		if (!ok)
			return err_set(e, EOPNOTSUPP,
				       "platform %s cannot be built on this machine (linux/%s)",
				       platform, architecture);
	}
	return 0;
}

static int set_network(struct builder *x, const struct node *build, struct err *e)
{
	const char *network = node_get_str(build, "network");

	if (network && !streq(network, "default") && !streq(network, "none") &&
	    !streq(network, "host"))
		return node_err(e, node_get(build, "network"), EOPNOTSUPP,
				"network \"%s\": a build has default, none or host", network);
	x->o.network = network;
	return 0;
}

static int set_sources(struct builder *x, const struct node *build, struct err *e)
{
	const char *context = node_get_str(build, "context"), *file;
	_cleanup_(free_p) char *path = NULL;

	x->o.context = context;
	x->o.dockerfile_text = node_get_str(build, "dockerfile_inline");
	x->o.dockerfile_name = x->o.dockerfile_text ? "dockerfile_inline" : NULL;
	file = x->o.dockerfile_text ? NULL : node_get_str(build, "dockerfile");
	if (file && context && remote_is(context)) {
		x->o.dockerfile = file;
	} else if (file) {
		_cleanup_(free_p) char *cwd = path_cwd();
		const char *below;

		path = path_absolute(context ?: "/", file);
		below = cwd ? skip_prefix(path, cwd) : NULL;
		x->o.dockerfile = builder_keep(x, path);
		x->o.dockerfile_name = builder_keep(x, below && *below == '/' ? below + 1 : path);
	}
	return 0;
}

static int set_flags(struct builder *x, const struct building *b, const struct node *build,
		     struct err *e)
{
	const struct node *shm = node_get(build, "shm_size");
	const struct node *entitled = node_get(build, "entitlements");
	int64_t bytes = 0;

	if (shm && shm->text && units_bytes(shm->text, &bytes, e) < 0)
		return node_err(e, shm, EINVAL, "shm_size: %s", shm->text);
	x->o.shm_size = (uint64_t)bytes;
	x->o.target = node_get_str(build, "target");
	x->o.no_cache = b->o->no_cache || node_get_bool(build, "no_cache", false);
	x->o.pull = b->o->pull || node_get_bool(build, "pull", false);
	x->o.privileged = node_get_bool(build, "privileged", false);
	x->o.check = b->o->check;
	for (size_t i = 0; node_is(entitled, NODE_SEQ) && i < entitled->n; i++)
		x->o.allow_insecure |= streq_null(entitled->items[i]->text, "security.insecure");
	return 0;
}

static int add_filter(struct builder *x, const char *text, struct err *e)
{
	strv_add(&x->filters, text);
	return 0;
}

static int translate(struct builder *x, struct building *b, const char *service, struct err *e)
{
	const struct node *build = build_of(b, service);
	const struct node *node = project_service(b->ctx->project, service);
	int r = check_platforms(build, node_get_str(node, "platform"), e);

	if (r == 0)
		r = set_sources(x, build, e);
	if (r == 0)
		r = set_network(x, build, e);
	if (r == 0)
		r = set_flags(x, b, build, e);
	if (r == 0)
		r = builder_add_tag(x, project_image_name(b->ctx->project, service), e);
	if (r == 0)
		r = add_list(x, node_get(build, "tags"), builder_add_tag, e);
	if (r == 0)
		r = add_list(x, node_get(build, "extra_hosts"), builder_add_host, e);
	if (r == 0)
		r = add_list(x, node_get(build, "cache_from"), add_cache_from, e);
	if (r == 0)
		r = add_list(x, node_get(build, "cache_to"), add_cache_to, e);
	if (r == 0)
		r = add_list(x, node_get(build, "no_cache_filter"), add_filter, e);
	if (r == 0)
		r = add_contexts(x, b, node_get(build, "additional_contexts"), e);
	if (r == 0)
		r = add_secrets(x, b, node_get(build, "secrets"), e);
	if (r == 0)
		r = add_ssh(x, b, node_get(build, "ssh"), e);
	if (r == 0)
		r = add_ulimits(x, node_get(build, "ulimits"), e);
	add_args(x, b, node_get(build, "args"));
	add_labels(x, b, service, node_get(build, "labels"));
	return r;
}

/* ---- building ------------------------------------------------------------------------------ */

static int push_tags(struct building *b, char *const *tags, struct err *e)
{
	_cleanup_(store_closep) struct store *store = NULL;
	int r = images_open(b->ctx, true, &store, e);

	return r < 0 ? r : pushing_run(b->ctx, store, tags, b->o->quiet, false, NULL, e);
}

static int run_one(struct building *b, struct build_job *job, struct err *e)
{
	_cleanup_(build_result_done) struct build_result result = { 0 };
	int r = builder_run(b->ctx, &job->builder, b->o->progress, b->o->quiet, &result, e);

	if (r < 0)
		return e && e->line ? r : err_wrap(e, r, "build %s", job->label);
	snprintf(job->id, sizeof(job->id), "%s", result.id);
	return 0;
}

static size_t number_of(const struct building *b, const char *service)
{
	size_t i = 0;

	while (!streq(b->queue[i], service))
		i++;
	return i;
}

/* Those whose images it uses; they are in the queue, before it. */
static void set_needs(struct building *b, struct build_job *job)
{
	const struct node *contexts = node_get(build_of(b, job->label), "additional_contexts");

	for (size_t i = 0; node_is(contexts, NODE_MAP) && i < contexts->n; i++) {
		const char *other =
			skip_prefix(contexts->entries[i].value->text ?: "", "service:");

		if (!other || !strv_has(b->queue, other))
			continue;
		job->needs = xreallocarray(job->needs, job->n_needs + 1, sizeof(*job->needs));
		job->needs[job->n_needs++] = number_of(b, other);
	}
}

static int run_all(struct building *b, struct err *e)
{
	size_t n = strv_len(b->queue);
	_cleanup_(free_p) struct build_job *jobs = xcalloc(n + 1, sizeof(*jobs));
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		jobs[i].label = b->queue[i];
		builder_init(&jobs[i].builder);
		set_needs(b, &jobs[i]);
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = translate(&jobs[i].builder, b, b->queue[i], e);
		if (r < 0 && e && !e->line)
			r = err_wrap(e, r, "build %s", b->queue[i]);
	}
	if (r == 0 && n == 1)
		r = run_one(b, &jobs[0], e);
	else if (r == 0)
		r = build_jobs_run(b->ctx, jobs, n, b->o->progress, b->o->quiet, e);
	for (size_t i = 0; r == 0 && i < n && b->o->push && !b->o->check; i++)
		r = push_tags(b, jobs[i].builder.tags, e);
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && b->o->quiet && b->o->print_ids && !b->o->check)
			fprintf(b->ctx->out, "%s\n", jobs[i].id);
		builder_done(&jobs[i].builder);
		free(jobs[i].needs);
	}
	return r;
}

static json *strings_of(const struct builder *x)
{
	json *o = json_new_object();

	STRV_FOREACH (a, x->args) {
		_cleanup_(free_p) char *key = xstrndup(*a, strcspn(*a, "="));

		json_put_str(o, key, *a + strlen(key) + 1);
	}
	return o;
}

/* What `docker buildx bake` would take. */
static int print_all(struct building *b, struct err *e)
{
	_cleanup_(json_unrefp) json *doc = json_new_object();
	json *groups = json_new_object(), *group = json_new_object(), *targets = json_new_object();
	_cleanup_(free_p) char *text = NULL;
	int r = 0;

	json_put_strv(group, "targets", b->queue);
	json_put(groups, "default", group);
	json_put(doc, "group", groups);
	for (char **s = b->queue; r == 0 && s && *s; s++) {
		json *t = json_new_object();
		struct builder x;

		builder_init(&x);
		r = translate(&x, b, *s, e);
		json_put_str(t, "context", x.o.context);
		if (x.o.dockerfile_text)
			json_put_str(t, "dockerfile-inline", x.o.dockerfile_text);
		else
			json_put_str(t, "dockerfile", x.o.dockerfile);
		if (x.args)
			json_put(t, "args", strings_of(&x));
		json_put_strv(t, "tags", x.tags);
		json_put_str(t, "target", x.o.target);
		json_put(targets, *s, t);
		builder_done(&x);
	}
	json_put(doc, "target", targets);
	text = json_text_pretty(doc);
	if (r == 0)
		fputs(text, b->ctx->out);
	return r;
}

int build_services(struct context *ctx, char *const *services,
		   const struct build_services_options *o, struct err *e)
{
	struct building b = { .ctx = ctx, .o = o };
	_cleanup_(free_p) const char **all = project_service_names(ctx->project);
	_cleanup_(strv_freep) char **closure = NULL;
	char *const *names = services && *services ? services : (char *const *)all;
	int r = 0;

	if (o->with_dependencies && services && *services) {
		r = service_closure(ctx, services, false, &closure, e);
		names = closure;
	}
	for (; r == 0 && names && *names; names++)
		r = enqueue(&b, *names, e);
	if (r == 0 && o->print)
		r = print_all(&b, e);
	else if (r == 0 && b.queue)
		r = run_all(&b, e);
	strv_free(b.queue);
	strv_free(b.busy);
	return r;
}
