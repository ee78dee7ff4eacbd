/* cli/cmd_config.c: show what the compose files mean.
 *
 * Each switch that asks for one kind of thing (--services, --images, …) is a row
 * of a table with the function that lists it.  All output is collected first, so
 * that an error leaves standard output empty.
 */
#include "cli/cmd_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "compose/explain.h"
#include "compose/hash.h"
#include "compose/interpolate.h"
#include "compose/later.h"
#include "compose/render.h"

extern char **environ;

#define O struct config_options
static const struct option_spec flags[] = {
	OPTION_BOOL("environment", 0, O, environment, "Print environment used for interpolation"),
	OPTION_STRING("explain", 0, O, explain, NULL,
		      "Print each source of one value, e.g. services.web.image"),
	OPTION_STRING("format", 0, O, format, NULL, "Format the output. Values: [yaml | json]"),
	OPTION_STRING("hash", 0, O, hash, NULL,
		      "Print the service config hash, one per line; \"*\" for all services"),
	OPTION_BOOL("images", 0, O, images, "Print the image names, one per line"),
	OPTION_BOOL("lock-image-digests", 0, O, lock_image_digests,
		    "Produces an override file with image digests"),
	OPTION_BOOL("models", 0, O, models, "Print the model names, one per line"),
	OPTION_BOOL("networks", 0, O, networks, "Print the network names, one per line"),
	OPTION_BOOL("no-consistency", 0, O, no_consistency,
		    "Don't check model consistency - warning: may produce invalid Compose output"),
	OPTION_BOOL("no-env-resolution", 0, O, no_env_resolution,
		    "Don't resolve service env files"),
	OPTION_BOOL("no-interpolate", 0, O, no_interpolate,
		    "Don't interpolate environment variables"),
	OPTION_BOOL("no-normalize", 0, O, no_normalize, "Don't normalize compose model"),
	OPTION_BOOL("no-path-resolution", 0, O, no_path_resolution, "Don't resolve file paths"),
	OPTION_STRING("output", 'o', O, output, NULL, "Save to file (default to stdout)"),
	OPTION_BOOL("profiles", 0, O, profiles, "Print the profile names, one per line"),
	OPTION_BOOL("quiet", 'q', O, quiet,
		    "Only validate the configuration, don't print anything"),
	OPTION_BOOL("resolve-image-digests", 0, O, resolve_image_digests,
		    "Pin image tags to digests"),
	OPTION_BOOL("services", 0, O, services, "Print the service names, one per line"),
	OPTION_BOOL("variables", 0, O, variables, "Print model variables and default values"),
	OPTION_BOOL("volumes", 0, O, volumes, "Print the volume names, one per line"),
	OPTION_END,
};
#undef O

/* ---- lists ------------------------------------------------------------------------------ */

static void add_keys(const struct node *map, char ***out)
{
	for (size_t i = 0; node_is(map, NODE_MAP) && i < map->n; i++)
		strv_add(out, map->entries[i].key);
}

static void list_services(const struct project *p, char ***out)
{
	add_keys(project_section(p, "services"), out);
}

static void list_volumes(const struct project *p, char ***out)
{
	add_keys(project_section(p, "volumes"), out);
}

static void list_networks(const struct project *p, char ***out)
{
	add_keys(project_section(p, "networks"), out);
}

static void list_models(const struct project *p, char ***out)
{
	const struct node *models = project_section(p, "models");

	for (size_t i = 0; node_is(models, NODE_MAP) && i < models->n; i++) {
		const char *model = node_get_str(models->entries[i].value, "model");

		if (!is_empty(model))
			strv_add(out, model);
	}
}

static void add_profiles(const struct node *services, char ***out)
{
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++) {
		const struct node *own = node_get(services->entries[i].value, "profiles");

		for (size_t j = 0; node_is(own, NODE_SEQ) && j < own->n; j++)
			if (!strv_has(*out, own->items[j]->text))
				strv_add(out, own->items[j]->text);
	}
}

static void list_profiles(const struct project *p, char ***out)
{
	add_profiles(project_section(p, "services"), out);
	add_profiles(p->disabled, out);
}

static void list_images(const struct project *p, char ***out)
{
	const struct node *services = project_section(p, "services");

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++)
		strv_add(out, project_image_name(p, services->entries[i].key));
}

static void list_environment(const struct project *p, char ***out)
{
	MAP_FOREACH (entry, &p->environment)
		strv_addf(out, "%s=%s", entry->key, ((struct project_var *)entry->value)->value);
}

static void write_lines(const struct project *p, void (*list)(const struct project *, char ***),
			struct buf *out)
{
	_cleanup_(strv_freep) char **lines = NULL;

	list(p, &lines);
	if (lines)
		strv_sort(lines);
	STRV_FOREACH (line, lines)
		buf_printf(out, "%s\n", *line);
}

/* ---- hashes and variables ------------------------------------------------------------------ */

static int write_hashes(const struct project *p, const char *which, struct buf *out, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	char hash[CONFIG_HASH_MAX];
	struct node *service;
	int r;

	if (streq(which, "*"))
		list_services(p, &names);
	else
		names = strv_split(which, ',', false);
	if (names)
		strv_sort(names);
	STRV_FOREACH (name, names) {
		r = project_need_service(p, *name, &service, e);
		if (r < 0)
			return r;
		buf_printf(out, "%s %s\n", *name, service_hash(service, hash));
	}
	return 0;
}

static void variables_table(const struct interp_use *uses, size_t n, struct buf *out)
{
	buf_printf(out, "%-20s%-20s%-20s%s\n", "NAME", "REQUIRED", "DEFAULT VALUE",
		   "ALTERNATE VALUE");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%-20s%-20s%-20s%s\n", uses[i].name,
			   uses[i].required ? "true" : "false", uses[i].default_value,
			   uses[i].alternate);
}

static void write_variables(const struct project *p, const char *format, struct buf *out)
{
	bool as_json = format && streq(format, "json");
	struct node *map = node_map(p->arena);
	struct interp_use *uses;
	size_t n;

	interpolate_uses(p->arena, p->model, &uses, &n);
	if (!as_json && !(format && streq(format, "yaml"))) {
		variables_table(uses, n, out);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct node *use = node_map(p->arena);

		node_put(p->arena, use, as_json ? "Name" : "name",
			 node_str(p->arena, uses[i].name));
		node_put(p->arena, use, as_json ? "DefaultValue" : "defaultvalue",
			 node_str(p->arena, uses[i].default_value));
		node_put(p->arena, use, as_json ? "PresenceValue" : "presencevalue",
			 node_str(p->arena, uses[i].alternate));
		node_put(p->arena, use, as_json ? "Required" : "required",
			 node_bool(p->arena, uses[i].required));
		node_put(p->arena, map, uses[i].name, use);
	}
	if (as_json)
		render_node_json(map, 4, out);
	else
		render_node_yaml(map, out);
	if (as_json)
		buf_addc(out, '\n');
}

/* ---- the model ------------------------------------------------------------------------------- */

/* There is no registry to ask for a digest: names that have one are fine. */
static int check_digests(const struct project *p, struct err *e)
{
	const struct node *services = project_section(p, "services");

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++) {
		const char *image = node_get_str(services->entries[i].value, "image");

		if (image && *image && !strchr(image, '@'))
			return err_set(e, ENOTSUP,
				       "image %s: comp does not ask registries for digests yet",
				       image);
	}
	return 0;
}

static int write_model(const struct config_options *o, const struct project *p, struct buf *out,
		       struct err *e)
{
	struct render_opts how = { .images_only = o->lock_image_digests };
	int r;

	if (o->format && !streq(o->format, "yaml") && !streq(o->format, "json"))
		return err_set(e, EINVAL, "unsupported format \"%s\"", o->format);
	how.json = o->format && streq(o->format, "json");
	if (o->resolve_image_digests || o->lock_image_digests) {
		r = check_digests(p, e);
		if (r < 0)
			return r;
	}
	render_project(p, &how, out);
	return 0;
}

int config_write(const struct config_options *o, struct project *p, char **names, struct buf *out,
		 struct err *e)
{
	const struct {
		bool wanted;
		void (*list)(const struct project *, char ***);
	} lists[] = {
		{ o->services, list_services }, { o->volumes, list_volumes },
		{ o->networks, list_networks }, { o->models, list_models },
		{ o->profiles, list_profiles }, { o->images, list_images },
	};

	if (o->explain)
		return explain_value(p, o->explain, out, e);
	for (size_t i = 0; i < 4; i++)
		if (lists[i].wanted) {
			write_lines(p, lists[i].list, out);
			return 0;
		}
	if (o->hash)
		return write_hashes(p, o->hash, out, e);
	for (size_t i = 4; i < ARRAY_SIZE(lists); i++)
		if (lists[i].wanted) {
			write_lines(p, lists[i].list, out);
			return 0;
		}
	if (o->variables) {
		write_variables(p, o->format, out);
		return 0;
	}
	if (o->environment) {
		write_lines(p, list_environment, out);
		return 0;
	}
	return write_model(o, p, out, e);
}

/* ---- the command --------------------------------------------------------------------------------
 */

static struct project_options options_of(const struct context *ctx, const struct config_options *o,
					 char **names)
{
	const struct global_options *g = &ctx->global;
	bool list = o->services || o->volumes || o->networks || o->models || o->hash;

	return (struct project_options){
		.files = g->files,
		.project_directory = (char *)g->directory,
		.name = (char *)g->name,
		.env_files = g->env_files,
		.profiles = g->profiles,
		.services = list || !*names ? NULL : names,
		.all_resources = g->all_resources,
		.no_interpolate = o->no_interpolate || o->variables,
		.no_normalize = o->no_normalize || g->compatibility,
		.no_path_resolution = o->no_path_resolution,
		.no_env_resolution = o->no_env_resolution,
		.no_consistency = o->no_consistency,
		.environ = environ,
		.stdin_fd = STDIN_FILENO,
	};
}

static int save(const struct config_options *o, const struct buf *text, struct err *e)
{
	_cleanup_(fd_closep) int fd = retry_eintr(
		open(o->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
	int r;

	if (fd < 0)
		return err_errno(e, errno, "open %s", o->output);
	r = fd_write_all(fd, buf_str(text), text->len);
	return r < 0 ? err_errno(e, -r, "write %s", o->output) : 0;
}

static int run_config(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct config_options *o = in->options;
	struct project_options load = options_of(ctx, o, in->argv);
	_cleanup_(project_freep) struct project *p = NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct diag diag = DIAG_INIT;
	int r, shown;

	r = project_load(&load, &p, &diag);
	shown = ctx_diag(ctx, &diag, e);
	diag_done(&diag);
	if (r < 0)
		return shown < 0 ? r : err_set(e, -r, "load the compose files");
	r = config_write(o, p, in->argv, &text, e);
	if (r < 0 || o->quiet)
		return r;
	if (o->output && text.len)
		return save(o, &text, e);
	fwrite(buf_str(&text), 1, text.len, ctx->out);
	return 0;
}

const struct command cmd_config = {
	.name = "config",
	.alias = "convert",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Parse, resolve and render compose file in canonical format",
	.options = flags,
	.options_size = sizeof(struct config_options),
	.max_args = ARGS_ANY,
	.run = run_config,
};

struct explain_options {
	bool later;
};

static const struct option_spec explain_flags[] = {
	OPTION_BOOL("later", 0, struct explain_options, later,
		    "List the keys that are read but not acted on by this version"),
	OPTION_END,
};

static int run_explain(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct explain_options *o = in->options;
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	if (!in->argc && !o->later)
		return err_set(e, EINVAL, "name a key, e.g. healthcheck.interval, or say --later");
	if (o->later)
		later_list(&text);
	for (int i = 0; i < in->argc; i++) {
		int r = explain_key(in->argv[i], &text, e);

		if (r < 0)
			return r;
		if (i + 1 < in->argc)
			buf_addc(&text, '\n');
	}
	fwrite(buf_str(&text), 1, text.len, ctx->out);
	return 0;
}

const struct command cmd_explain = {
	.name = "explain",
	.args = "[--later] [KEY...]",
	.summary = "Say what a key of the compose file means",
	.options = explain_flags,
	.options_size = sizeof(struct explain_options),
	.max_args = ARGS_ANY,
	.run = run_explain,
};
