/* cli/cmd_system.c: `comp system df|prune|check`. */
#include <errno.h>

#include "base/strv.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/humanize.h"
#include "cli/images_view.h"
#include "cli/machine.h"
#include "cli/prune.h"
#include "cli/rows.h"
#include "engine/image/check.h"
#include "engine/image/steps.h"

/* ---- df ------------------------------------------------------------------------------------ */

struct df_options {
	bool verbose;
	const char *format;
};
#define O struct df_options
static const struct option_spec df_flags[] = {
	OPTION_STRING("format", 0, O, format, NULL,
		      "Format the output: table, json, or a Go template"),
	OPTION_BOOL("verbose", 'v', O, verbose, "Show detailed information on space usage"),
	OPTION_END,
};
#undef O

static const struct format_column df_columns[] = {
	{ "Type", "TYPE" }, { "TotalCount", "TOTAL" },        { "Active", "ACTIVE" },
	{ "Size", "SIZE" }, { "Reclaimable", "RECLAIMABLE" }, { NULL },
};
static const struct format_spec df_spec = {
	.columns = df_columns,
	.table = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
};
static const struct format_column df_image_columns[] = {
	{ "Repository", "REPOSITORY" },
	{ "Tag", "TAG" },
	{ "ID", "IMAGE ID" },
	{ "CreatedSince", "CREATED" },
	{ "Size", "SIZE" },
	{ "SharedSize", "SHARED SIZE" },
	{ "UniqueSize", "UNIQUE SIZE" },
	{ "Containers", "CONTAINERS" },
	{ NULL },
};
static const struct format_spec df_images = {
	.columns = df_image_columns,
	.table = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}"
		 "\t"
		 "{{.UniqueSize}}\t{{.Containers}}",
};
static const struct format_column df_container_columns[] = {
	{ "ID", "CONTAINER ID" },
	{ "Image", "IMAGE" },
	{ "Command", "COMMAND" },
	{ "LocalVolumes", "LOCAL VOLUMES" },
	{ "Size", "SIZE" },
	{ "RunningFor", "CREATED" },
	{ "Status", "STATUS" },
	{ "Names", "NAMES" },
	{ NULL },
};
static const struct format_spec df_containers = {
	.columns = df_container_columns,
	.table =
		"{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t"
		"{{.Status}}\t{{.Names}}",
};
static const struct format_column df_volume_columns[] = {
	{ "Name", "VOLUME NAME" }, { "Links", "LINKS" }, { "Size", "SIZE" }, { NULL }
};
static const struct format_spec df_volumes = {
	.columns = df_volume_columns,
	.table = "{{.Name}}\t{{.Links}}\t{{.Size}}",
};

struct df {
	struct machine machine;
	struct store_usage images;
	json *image_rows, *container_rows, *volume_rows, *totals;
};

static void add_total(struct df *d, const char *type, size_t n, size_t active, uint64_t size,
		      uint64_t reclaimable)
{
	_cleanup_(free_p) char *count = xasprintf("%zu", n), *used = xasprintf("%zu", active);
	char text[HUMAN_MAX], gain[HUMAN_MAX + 16];
	json *row = json_new_object();

	human_size_short(reclaimable, gain);
	if (size)
		snprintf(gain + strlen(gain), 16, " (%d%%)", (int)(reclaimable * 100 / size));
	json_put_str(row, "Active", used);
	json_put_str(row, "Reclaimable", gain);
	json_put_str(row, "Size", human_size_short(size, text));
	json_put_str(row, "TotalCount", count);
	json_put_str(row, "Type", type);
	json_push(d->totals, row);
}

static void put_count(json *o, const char *key, size_t n)
{
	_cleanup_(free_p) char *text = xasprintf("%zu", n);

	json_put_str(o, key, text);
}

static void image_row(struct df *d, const struct image_summary *m, const struct image_usage *u)
{
	const char *colon = m->tags ? strrchr(m->tags[0], ':') : NULL;
	_cleanup_(free_p) char *name = colon ? xstrndup(m->tags[0], (size_t)(colon - m->tags[0]))
					     : xstrdup("<none>");
	char id[13], ago[HUMAN_MAX], size[HUMAN_MAX];
	json *row = json_new_object();

	json_put_str(row, "Repository", name);
	json_put_str(row, "Tag", colon ? colon + 1 : "<none>");
	json_put_str(row, "ID", images_short_id(m->id, id));
	json_put_str(row, "CreatedSince", human_ago(m->created, ago));
	json_put_str(row, "Size", human_size_short(m->size, size));
	json_put_str(row, "SharedSize", human_size_short(u->shared, size));
	json_put_str(row, "UniqueSize", human_size_short(u->unique, size));
	put_count(row, "Containers", strv_len(map_get(&d->machine.images, m->id)));
	json_push(d->image_rows, row);
}

static void count_images(struct df *d)
{
	for (size_t i = 0; i < d->images.list.n; i++)
		image_row(d, &d->images.list.items[i], &d->images.items[i]);
	add_total(d, "Images", d->images.list.n, d->images.n_used, d->images.total,
		  d->images.reclaimable);
}

static void count_containers(struct context *ctx, struct df *d)
{
	uint64_t total = 0, idle = 0;
	size_t active = 0;

	for (size_t i = 0; i < d->machine.n_containers; i++) {
		const struct machine_container *c = &d->machine.containers[i];
		uint64_t size = machine_container_size(ctx, c->rec);
		json *row = container_row(c->rec, c->spec, false);
		char text[HUMAN_MAX];

		total += size;
		if (record_is_active(c->rec))
			active++;
		else
			idle += size;
		json_put_str(row, "Size", human_size_short(size, text));
		json_push(d->container_rows, row);
	}
	add_total(d, "Containers", d->machine.n_containers, active, total, idle);
}

static void count_volumes(struct df *d)
{
	uint64_t total = 0, idle = 0;
	size_t active = 0;

	for (size_t i = 0; i < d->machine.n_volumes; i++) {
		const struct volume *v = d->machine.volumes[i];
		size_t links = strv_len(map_get(&d->machine.mounted, v->name));
		uint64_t size = disk_size(v->path);
		json *row = json_new_object();
		char text[HUMAN_MAX];

		total += size;
		if (links)
			active++;
		else
			idle += size;
		json_put_str(row, "Name", v->name);
		put_count(row, "Links", links);
		json_put_str(row, "Size", human_size_short(size, text));
		json_push(d->volume_rows, row);
	}
	add_total(d, "Local Volumes", d->machine.n_volumes, active, total, idle);
}

static int count_cache(struct store *store, struct df *d, struct err *e)
{
	_cleanup_(step_list_done) struct step_list steps = { 0 };
	int r = steps_list(store, &steps, e);

	if (r == 0)
		add_total(d, "Build Cache", steps.n, 0, d->images.cache, d->images.cache);
	return r;
}

static int print_df(struct context *ctx, const struct df_options *o, struct df *d, struct err *e)
{
	const struct {
		const char *title, *key;
		const struct format_spec *spec;
		json *rows;
	} parts[] = { { "Images", "Images", &df_images, d->image_rows },
		      { "Containers", "Containers", &df_containers, d->container_rows },
		      { "Local Volumes", "Volumes", &df_volumes, d->volume_rows } };
	_cleanup_(json_unrefp) json *all = json_new_object();
	int r = 0;

	if (!o->verbose)
		return format_rows(ctx->out, &df_spec, o->format, d->totals, e);
	if (o->format && streq(o->format, "json")) {
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			json_put(all, parts[i].key, json_ref(parts[i].rows));
		fprintf(ctx->out, "%s\n", json_text(all));
		return 0;
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++) {
		fprintf(ctx->out, "%s%s space usage:\n\n", i ? "\n" : "", parts[i].title);
		r = format_rows(ctx->out, parts[i].spec, o->format, parts[i].rows, e);
	}
	return r;
}

static int run_df(struct context *ctx, struct invocation *in, struct err *e)
{
	_cleanup_(store_closep) struct store *store = NULL;
	struct df d = { .image_rows = json_new_array(),
			.container_rows = json_new_array(),
			.volume_rows = json_new_array(),
			.totals = json_new_array() };
	int r = machine_load(ctx, &d.machine, e);

	if (r == 0)
		r = images_open(ctx, false, &store, e);
	if (r == 0)
		r = store_usage(store, machine_uses_image, &d.machine, &d.images, e);
	if (r == 0) {
		STRV_FOREACH (p, d.images.list.problems)
			ctx_warn(ctx, "%s", *p);
		count_images(&d);
		count_containers(ctx, &d);
		count_volumes(&d);
		r = count_cache(store, &d, e);
	}
	if (r == 0) {
		r = print_df(ctx, in->options, &d, e);
	}
	store_usage_done(&d.images);
	machine_done(&d.machine);
	json_unref(d.image_rows);
	json_unref(d.container_rows);
	json_unref(d.volume_rows);
	json_unref(d.totals);
	return r;
}

static const struct command system_df = {
	.name = "df",
	.args = "[OPTIONS]",
	.summary = "Show disk usage",
	.options = df_flags,
	.options_size = sizeof(struct df_options),
	.run = run_df,
};

/* ---- prune ----------------------------------------------------------------------------------- */

struct system_prune_options {
	bool all, force, volumes;
	char **filters;
};
#define O struct system_prune_options
static const struct option_spec prune_flags[] = {
	OPTION_BOOL("all", 'a', O, all, "Remove all unused images not just dangling ones"),
	OPTION_STRINGS("filter", 0, O, filters,
		       "Provide filter values: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"),
	OPTION_BOOL("force", 'f', O, force, "Do not prompt for confirmation"),
	OPTION_BOOL("volumes", 0, O, volumes, "Prune anonymous volumes"),
	OPTION_END,
};
#undef O

static int run_prune(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct system_prune_options *o = in->options;
	struct prune_request q = { .containers = true,
				   .networks = true,
				   .images = true,
				   .all_images = o->all,
				   .cache = o->all,
				   .volumes = o->volumes,
				   .force = o->force,
				   .summary = true };

	return prune_run(ctx, &q, o->filters, e);
}

static const struct command system_prune = {
	.name = "prune",
	.args = "[OPTIONS]",
	.summary = "Remove unused data",
	.options = prune_flags,
	.options_size = sizeof(struct system_prune_options),
	.run = run_prune,
};

/* ---- check -------------------------------------------------------------------------------------
 */

struct check_options {
	bool repair, quiet;
};
#define O struct check_options
static const struct option_spec check_flags[] = {
	OPTION_BOOL("quiet", 'q', O, quiet, "Only print problems"),
	OPTION_BOOL("repair", 0, O, repair,
		    "Unpack damaged layers again from the bytes they came as"),
	OPTION_END,
};
#undef O

struct check_view {
	struct context *ctx;
	struct machine machine;
};

static void on_finding(void *data, const struct store_finding *f)
{
	struct check_view *v = data;
	_cleanup_(free_p) char *names = strv_join(f->images, ", ");

	fprintf(v->ctx->out, "%s: %s: %s\n", f->repaired ? "repaired" : "damaged", f->what,
		f->problem);
	if (f->images && *f->images)
		fprintf(v->ctx->out, "  images: %s\n", names);
	if (f->repair)
		fprintf(v->ctx->out, "  %s\n", f->repair);
	if (!f->repaired)
		STRV_FOREACH (name, f->images)
			if (!skip_prefix(*name, "sha256:"))
				fprintf(v->ctx->out, "  comp pull %s\n", *name);
}

static int is_running(void *data, const char *id, struct err *e)
{
	return machine_runs_image(&((struct check_view *)data)->machine, id, e);
}

static int summary(struct context *ctx, const struct check_options *o,
		   const struct store_check_result *res, struct err *e)
{
	size_t left = res->n_problems - res->n_repaired;

	if (!o->quiet) {
		fprintf(ctx->out, "Checked %zu images, %zu layers, %zu blobs: ", res->n_images,
			res->n_layers, res->n_blobs);
		if (res->n_problems)
			fprintf(ctx->out, "%zu problems, %zu repaired\n", res->n_problems,
				res->n_repaired);
		else
			fprintf(ctx->out, "no problems\n");
		if (res->n_unknown)
			fprintf(ctx->out,
				"%zu layers were unpacked by a comp that kept no bytes to "
				"compare them with\n",
				res->n_unknown);
	}
	return left ? err_set(e, EBADMSG, "the image store has %zu problems", left) : 0;
}

static int run_check(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct check_options *o = in->options;
	_cleanup_(store_closep) struct store *store = NULL;
	struct check_view v = { .ctx = ctx };
	const struct store_check_options so = {
		.repair = o->repair, .is_running = is_running, .finding = on_finding, .data = &v
	};
	struct store_check_result res;
	int r = images_open(ctx, true, &store, e);

	if (r == 0)
		r = machine_load(ctx, &v.machine, e);
	if (r == 0)
		r = store_check(store, &so, &res, e);
	machine_done(&v.machine);
	return r == 0 ? summary(ctx, o, &res, e) : r;
}

static const struct command system_check = {
	.name = "check",
	.args = "[OPTIONS]",
	.summary = "Compare the image store with its digests and records",
	.options = check_flags,
	.options_size = sizeof(struct check_options),
	.run = run_check,
};

static const struct command *const subs[] = { &system_check, &system_df, &system_prune, NULL };

const struct command cmd_system = {
	.name = "system",
	.args = "COMMAND",
	.summary = "Manage what comp keeps on this machine",
	.subs = subs,
};
