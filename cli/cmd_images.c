/* cli/cmd_images.c: `comp images`: in a project, the images of its containers, as
 * Docker Compose lists them; anywhere else, the store, as Docker does. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/humanize.h"
#include "cli/images_view.h"
#include "engine/image/ref.h"

struct images_options {
	bool quiet;
	const char *format;
};
#define O struct images_options

static const struct option_spec flags[] = {
	OPTION_STRING("format", 0, O, format, NULL, "Format the output. Values: [table | json]"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Only display IDs"),
	OPTION_END,
};

static const struct format_column columns[] = {
	{ "ContainerName", "CONTAINER" },
	{ "Repository", "REPOSITORY" },
	{ "Tag", "TAG" },
	{ "Platform", "PLATFORM" },
	{ "ShortID", "IMAGE ID" },
	{ "HumanSize", "SIZE" },
	{ "CreatedSince", "CREATED" },
	{ NULL },
};

static const struct format_spec spec = {
	.columns = columns,
	.table = "{{.ContainerName}}\t{{.Repository}}\t{{.Tag}}\t{{.Platform}}\t{{.ShortID}}"
		 "\t{{.HumanSize}}\t{{.CreatedSince}}",
};

static void put_names(json *row, const char *text)
{
	_cleanup_(free_p) char *name = NULL;
	struct image_ref ref;

	if (ref_parse(text, &ref, NULL) < 0) {
		json_put_str(row, "Repository", "<none>");
		json_put_str(row, "Tag", "<none>");
		return;
	}
	name = ref_familiar_name(&ref);
	json_put_str(row, "Repository", name);
	json_put_str(row, "Tag", ref.tag ? ref.tag : "<none>");
	ref_done(&ref);
}

static void put_image(json *row, const struct image *i, bool table)
{
	char text[HUMAN_MAX], created[TIME_TEXT_MAX];
	_cleanup_(free_p) char *platform = xasprintf(
		"%s/%s%s%s", i->config.os ?: "linux", i->config.architecture ?: "unknown",
		i->config.variant ? "/" : "", i->config.variant ?: "");

	json_put_str(row, "Platform", platform);
	json_put_u64(row, "Size", i->size);
	json_put_str(row, "Created", time_format(i->config.created, created));
	json_put_str(row, "LastTagTime", time_format(i->stored, created));
	if (!table)
		return;
	json_put_str(row, "HumanSize", human_size(i->size, text));
	json_put_str(row, "CreatedSince", human_ago(i->config.created, text));
}

static json *image_row(struct store *store, const struct record *rec, bool table)
{
	_cleanup_(image_freep) struct image *i = NULL;
	json *row = json_new_object();
	char id[13];

	json_put_str(row, "ID", rec->image_id ?: "");
	json_put_str(row, "ContainerName", rec->name);
	put_names(row, rec->image ?: "");
	if (table) {
		json_put_str(row, "ShortID", images_short_id(rec->image_id ?: "", id));
		json_put_str(row, "Platform", "");
		json_put_str(row, "HumanSize", "N/A");
		json_put_str(row, "CreatedSince", "N/A");
	}
	/* A container may outlive its image. */
	if (rec->image_id && store_resolve(store, rec->image_id, &i, NULL) == 0)
		put_image(row, i, table);
	return row;
}

static int print_ids(struct context *ctx, json *rows)
{
	_cleanup_(strv_freep) char **seen = NULL;

	for (size_t i = 0; i < json_len(rows); i++) {
		const char *id = json_get_str(json_at(rows, i), "ID");

		if (strv_has(seen, id))
			continue;
		strv_add(&seen, id);
		fprintf(ctx->out, "%s\n", skip_prefix(id, "sha256:") ?: id);
	}
	return 0;
}

static int list_project(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct images_options *o = in->options;
	_cleanup_(record_list_done) struct record_list l = { 0 };
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(json_unrefp) json *rows = json_new_array();
	bool as_json = o->format && streq(o->format, "json");
	int r = ctx_records(ctx, &l, e);

	if (r == 0)
		r = ctx_check_services(ctx, in->argv, &l, e);
	if (r == 0)
		r = images_open(ctx, false, &store, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++)
		if (in->argc == 0 || strv_has(in->argv, l.items[i]->service))
			json_push(rows, image_row(store, l.items[i], !as_json));
	if (o->quiet)
		return print_ids(ctx, rows);
	if (as_json) { /* Go prints a nil slice as null, and scripts know it */
		fprintf(ctx->out, "%s\n", json_len(rows) ? json_text(rows) : "null");
		return 0;
	}
	return format_rows(ctx->out, &spec, o->format, rows, e);
}

static int run_images(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct images_options *o = in->options;
	struct err why = ERR_INIT;
	int r;

	if (o->format && !streq(o->format, "table") && !streq(o->format, "json"))
		return err_set(e, EINVAL, "format value \"%s\" could not be parsed", o->format);
	r = ctx_load_project_or_name(ctx, &why);
	if (r == -ENOENT && in->argc == 0 && !ctx->global.files)
		return images_list(ctx, o->format, o->quiet, false, false, NULL, e);
	if (r < 0) {
		if (e)
			*e = why;
		return r;
	}
	return list_project(ctx, in, e);
}

const struct command cmd_images = {
	.name = "images",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "List images used by the created containers",
	.options = flags,
	.options_size = sizeof(struct images_options),
	.max_args = ARGS_ANY,
	.run = run_images,
};
