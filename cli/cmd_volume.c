/* cli/cmd_volume.c: `volume ls|inspect|rm` over all volumes, `volumes` over those
 * of the project.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/humanize.h"
#include "cli/prune.h"
#include "cli/rows.h"
#include "volumes/volume.h"

struct list_options {
	bool quiet;
	char **filters;
	const char *format;
};
#define O struct list_options

static const struct option_spec ls_flags[] = {
	OPTION_STRINGS("filter", 'f', O, filters,
		       "Provide filter values: name=TEXT, driver=NAME, label=KEY[=VALUE], "
		       "dangling=BOOL"),
	OPTION_STRING("format", 0, O, format, NULL,
		      "Format output: \"table\", \"table TEMPLATE\", \"json\" or a Go TEMPLATE"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Only display volume names"),
	OPTION_END,
};

static const struct option_spec volumes_flags[] = {
	OPTION_STRING("format", 0, O, format, "table",
		      "Format output: \"table\", \"table TEMPLATE\", \"json\" or a Go TEMPLATE"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Only display volume names"),
	OPTION_END,
};

static const struct format_column columns[] = {
	{ "Availability", "AVAILABILITY" },
	{ "Driver", "DRIVER" },
	{ "Group", "GROUP" },
	{ "Labels", "LABELS" },
	{ "Links", "LINKS" },
	{ "Mountpoint", "MOUNTPOINT" },
	{ "Name", "VOLUME NAME" },
	{ "Scope", "SCOPE" },
	{ "Size", "SIZE" },
	{ "Status", "STATUS" },
	{ NULL },
};

static const struct format_spec spec_of_volumes = {
	.columns = columns,
	.table = "{{.Driver}}\t{{.Name}}",
};

/* ---- who uses a volume ------------------------------------------------------------- */

/* Call @fn for every container with a mount of a volume, until it returns true. */
static bool each_use(const struct dirs *d,
		     bool (*fn)(const struct record *r, const char *volume, void *data), void *data)
{
	_cleanup_(strv_freep) char **projects = dirs_list_projects(d);
	bool stop = false;

	for (size_t p = 0; projects[p] && !stop; p++) {
		_cleanup_(record_list_done) struct record_list l = { 0 };

		if (record_list_load(d, projects[p], &l, NULL) < 0)
			continue;
		for (size_t i = 0; i < l.n && !stop; i++) {
			_cleanup_(spec_freep) struct container_spec *spec = record_spec(d,
											l.items[i]);

			for (size_t m = 0; spec && m < spec->n_mounts && !stop; m++)
				stop = spec->mounts[m].volume &&
				       fn(l.items[i], spec->mounts[m].volume, data);
		}
	}
	return stop;
}

struct use {
	const char *volume;
	char *container;
};

static bool is_use(const struct record *r, const char *volume, void *data)
{
	struct use *u = data;

	if (!streq(volume, u->volume))
		return false;
	u->container = xstrdup(r->name);
	return true;
}

static bool note_use(const struct record *r, const char *volume, void *data)
{
	char ***names = data;

	if (!strv_has(*names, volume))
		strv_add(names, volume);
	return false;
}

struct project_use {
	const char *project;
	char *const *services;
	char **names;
};

static bool note_project_use(const struct record *r, const char *volume, void *data)
{
	struct project_use *u = data;

	if (streq_null(r->project, u->project) &&
	    (!u->services[0] || (r->service && strv_has(u->services, r->service))) &&
	    !strv_has(u->names, volume))
		strv_add(&u->names, volume);
	return false;
}

/* ---- ls --------------------------------------------------------------------------------- */
static json *volume_row(const struct volume *v)
{
	_cleanup_(free_p) char *labels = strv_join(v->labels, ",");
	json *o = json_new_object();

	json_put_str(o, "Availability", "N/A");
	json_put_str(o, "Driver", v->driver);
	json_put_str(o, "Group", "N/A");
	json_put_str(o, "Labels", labels);
	json_put_str(o, "Links", "N/A");
	json_put_str(o, "Mountpoint", v->path);
	json_put_str(o, "Name", v->name);
	json_put_str(o, "Scope", "local");
	json_put_str(o, "Size", "N/A");
	json_put_str(o, "Status", "N/A");
	return o;
}

static bool has_label(const struct volume *v, const char *want)
{
	if (strchr(want, '='))
		return strv_has(v->labels, want);
	return strv_env_get(v->labels, want) != NULL;
}

/* Filters of one kind are alternatives, kinds must all match; as in Docker. */
static bool passes(const struct volume *v, char *const *filters, char *const *used)
{
	bool names = false, name_hit = false;

	STRV_FOREACH (f, filters) {
		const char *arg;

		if ((arg = skip_prefix(*f, "name="))) {
			names = true;
			name_hit |= strstr(v->name, arg) != NULL;
		} else if ((arg = skip_prefix(*f, "driver="))) {
			if (!streq(v->driver, arg))
				return false;
		} else if ((arg = skip_prefix(*f, "label="))) {
			if (!has_label(v, arg))
				return false;
		} else if ((arg = skip_prefix(*f, "dangling="))) {
			bool want = streq(arg, "true") || streq(arg, "1");

			if (strv_has(used, v->name) == want)
				return false;
		}
	}
	return !names || name_hit;
}

static int check_filters(char *const *filters, struct err *e)
{
	STRV_FOREACH (f, filters)
		if (!skip_prefix(*f, "name=") && !skip_prefix(*f, "driver=") &&
		    !skip_prefix(*f, "label=") && !skip_prefix(*f, "dangling="))
			return err_set(e, EINVAL, "invalid filter '%s'", *f);
	return 0;
}

/* @only: these names, NULL: all. */
static int list_volumes(struct context *ctx, const struct list_options *o, char *const *only,
			struct err *e)
{
	_cleanup_(free_p) char *root = dirs_volumes(&ctx->dirs);
	_cleanup_(json_unrefp) json *rows = json_new_array();
	_cleanup_(strv_freep) char **used = NULL;
	struct volume **list = NULL;
	size_t n = 0;
	int r = volume_list(root, &list, &n, e);

	if (r < 0)
		return r;
	if (o->filters)
		(void)each_use(&ctx->dirs, note_use, &used); /* never stops early */
	for (size_t i = 0; i < n; i++)
		if ((!only || strv_has(only, list[i]->name)) && passes(list[i], o->filters, used))
			json_push(rows, volume_row(list[i]));
	volume_list_free(list, n);
	return format_rows(ctx->out, &spec_of_volumes, o->quiet ? "{{.Name}}" : o->format, rows, e);
}

static int run_ls(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct list_options *o = in->options;
	int r = check_filters(o->filters, e);

	if (r == 0)
		r = ctx_dirs(ctx, e);
	return r < 0 ? r : list_volumes(ctx, o, NULL, e);
}

static int run_volumes(struct context *ctx, struct invocation *in, struct err *e)
{
	_cleanup_(record_list_done) struct record_list records = { 0 };
	struct project_use u = { .services = in->argv };
	int r = in->argc ? ctx_load_project_or_name(ctx, e) : 0;

	if (r == 0)
		r = ctx_records(ctx, &records, e);
	if (r == 0)
		r = ctx_check_services(ctx, in->argv, &records, e);
	if (r < 0)
		return r;
	u.project = ctx->project_name;
	u.names = xcalloc(1, sizeof(*u.names));
	(void)each_use(&ctx->dirs, note_project_use, &u); /* never stops early */
	r = list_volumes(ctx, in->options, u.names, e);
	strv_free(u.names);
	return r;
}

/* ---- inspect -------------------------------------------------------------------------------- */
static json *map_of(char *const *assignments)
{
	json *o = json_new_object();

	STRV_FOREACH (a, assignments) {
		const char *equals = strchr(*a, '=');
		_cleanup_(free_p) char *key = equals ? xstrndup(*a, (size_t)(equals - *a))
						     : xstrdup(*a);

		json_put_str(o, key, equals ? equals + 1 : "");
	}
	return o;
}

static json *volume_details(const struct volume *v)
{
	json *o = json_new_object();
	char when[TIME_TEXT_MAX];

	json_put_str(o, "CreatedAt", time_format(v->created, when));
	json_put_str(o, "Driver", v->driver);
	json_put(o, "Labels", map_of(v->labels));
	json_put_str(o, "Mountpoint", v->path);
	json_put_str(o, "Name", v->name);
	json_put(o, "Options", map_of(v->options));
	json_put_str(o, "Scope", "local");
	return o;
}

struct inspect_options {
	const char *format;
};

static const struct option_spec inspect_flags[] = {
	OPTION_STRING("format", 'f', struct inspect_options, format, NULL,
		      "Format output using a custom template: \"json\" or a Go TEMPLATE"),
	OPTION_END,
};

static int run_inspect(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct inspect_options *o = in->options;
	_cleanup_(json_unrefp) json *list = json_new_array();
	_cleanup_(free_p) char *root = NULL, *text = NULL;
	int r = ctx_dirs(ctx, e), missing = 0;

	if (r < 0)
		return r;
	root = dirs_volumes(&ctx->dirs);
	for (int i = 0; i < in->argc; i++) {
		_cleanup_(volume_freep) struct volume *v = NULL;

		r = volume_load(root, in->argv[i], &v, e);
		if (r == -ENOENT)
			missing = err_set(e, ENOENT, "no such volume: %s", in->argv[i]);
		else if (r < 0)
			return r;
		else
			json_push(list, volume_details(v));
	}
	if (o->format) {
		struct err e2 = ERR_INIT;

		r = format_rows(ctx->out, &spec_of_volumes, o->format, list, &e2);
		if (r < 0) {
			*e = e2;
			return r;
		}
	} else {
		text = json_text_pretty(list);
		fputs(text, ctx->out);
	}
	return missing;
}

/* ---- rm ------------------------------------------------------------------------------------- */
struct rm_options {
	bool force;
};

static const struct option_spec rm_flags[] = {
	OPTION_BOOL("force", 'f', struct rm_options, force,
		    "A volume that does not exist is no error"),
	OPTION_END,
};

static int remove_volume(struct context *ctx, const char *root, const char *name, bool force,
			 struct err *e)
{
	struct use use = { .volume = name };
	int r = volume_name_check(name, e);

	if (r < 0)
		return r;
	if (each_use(&ctx->dirs, is_use, &use)) {
		err_set(e, EBUSY, "remove %s: volume is in use by container %s", name,
			use.container);
		free(use.container);
		return -EBUSY;
	}
	if (ctx->global.dry_run) {
		fprintf(ctx->err, "DRY-RUN MODE -  Volume %s Removed\n", name);
		return 0;
	}
	r = volume_remove(root, name, e);
	if (r == -ENOENT && force)
		return 0;
	if (r == -ENOENT)
		return err_set(e, ENOENT, "no such volume: %s", name);
	if (r == 0)
		fprintf(ctx->out, "%s\n", name);
	return r;
}

static int run_rm(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct rm_options *o = in->options;
	struct message_style style = ctx_message_style(ctx);
	_cleanup_(free_p) char *root = NULL;
	int r = ctx_need_root(ctx, e), failed = 0;

	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r < 0)
		return r;
	root = dirs_volumes(&ctx->dirs);
	for (int i = 0; i < in->argc; i++) {
		struct err one = ERR_INIT;

		if (remove_volume(ctx, root, in->argv[i], o->force, &one) == 0)
			continue;
		failed = 1; /* the others still go */
		message_error(ctx->err, &style, &one);
	}
	return failed;
}

/* ---- prune -------------------------------------------------------------------------------------- */
struct prune_options {
	bool all, force;
	char **filters;
};

static const struct option_spec prune_flags[] = {
	OPTION_BOOL("all", 'a', struct prune_options, all,
		    "Remove all unused volumes, not just anonymous ones"),
	OPTION_STRINGS("filter", 0, struct prune_options, filters,
		       "Provide filter values: label=KEY[=VALUE], label!=KEY[=VALUE]"),
	OPTION_BOOL("force", 'f', struct prune_options, force, "Do not prompt for confirmation"),
	OPTION_END,
};

static int run_prune(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct prune_options *o = in->options;
	const struct prune_request q = { .volumes = true,
					 .all_volumes = o->all,
					 .force = o->force };

	return prune_run(ctx, &q, o->filters, e);
}

static const struct command cmd_prune_volumes = {
	.name = "prune",
	.args = "[OPTIONS]",
	.summary = "Remove unused local volumes",
	.options = prune_flags,
	.options_size = sizeof(struct prune_options),
	.run = run_prune,
};

static const struct command cmd_ls_volumes = {
	.name = "ls",
	.alias = "list",
	.args = "[OPTIONS]",
	.summary = "List volumes",
	.options = ls_flags,
	.options_size = sizeof(struct list_options),
	.run = run_ls,
};

static const struct command cmd_inspect = {
	.name = "inspect",
	.args = "[OPTIONS] VOLUME [VOLUME...]",
	.summary = "Display detailed information on one or more volumes",
	.options = inspect_flags,
	.options_size = sizeof(struct inspect_options),
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = run_inspect,
};

static const struct command cmd_rm_volumes = {
	.name = "rm",
	.alias = "remove",
	.args = "[OPTIONS] VOLUME [VOLUME...]",
	.summary = "Remove one or more volumes",
	.options = rm_flags,
	.options_size = sizeof(struct rm_options),
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = run_rm,
};

static const struct command *const subs[] = { &cmd_inspect, &cmd_ls_volumes, &cmd_prune_volumes,
					      &cmd_rm_volumes, NULL };

const struct command cmd_volume = {
	.name = "volume",
	.args = "COMMAND",
	.summary = "Manage volumes",
	.subs = subs,
};

const struct command cmd_volumes = {
	.name = "volumes",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "List volumes",
	.options = volumes_flags,
	.options_size = sizeof(struct list_options),
	.max_args = ARGS_ANY,
	.run = run_volumes,
};
