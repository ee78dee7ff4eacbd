/* cli/cmd_image.c: `comp image …` and `comp tag`, with Docker's shapes and words. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/humanize.h"
#include "cli/images_view.h"
#include "cli/prune.h"
#include "cli/template.h"
#include "engine/image/ref.h"

/* ---- ls ------------------------------------------------------------------------------- */

struct image_ls_options {
	bool all, quiet, no_trunc, digests;
	const char *format;
};
#define O struct image_ls_options
static const struct option_spec ls_flags[] = {
	OPTION_BOOL("all", 'a', O, all, "Show all images"),
	OPTION_BOOL("digests", 0, O, digests, "Show digests"),
	OPTION_STRING("format", 0, O, format, NULL,
		      "Format the output: table, json, or a Go template"),
	OPTION_BOOL("no-trunc", 0, O, no_trunc, "Don't truncate output"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Only show image IDs"),
	OPTION_END,
};
#undef O

static int run_ls(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct image_ls_options *o = in->options;

	return images_list(ctx, o->format, o->quiet, o->no_trunc, o->digests, in->argv, e);
}

static const struct command image_ls = {
	.name = "ls",
	.alias = "list",
	.args = "[OPTIONS] [REPOSITORY[:TAG]...]",
	.summary = "List images",
	.options = ls_flags,
	.options_size = sizeof(struct image_ls_options),
	.max_args = ARGS_ANY,
	.run = run_ls,
};

/* ---- inspect --------------------------------------------------------------------------- */

struct image_inspect_options {
	const char *format;
};
#define O struct image_inspect_options
static const struct option_spec inspect_flags[] = {
	OPTION_STRING("format", 'f', O, format, NULL, "Format the output: json, or a Go template"),
	OPTION_END,
};
#undef O

static void put_list(json *o, const char *key, char *const *v)
{
	static char *const none[] = { NULL };

	json_put_strv(o, key, v ? v : none);
}

static void put_names(json *o, const struct image_list *all, const char *id)
{
	const struct image_summary *m = NULL;

	for (size_t i = 0; i < all->n; i++)
		if (streq(all->items[i].id, id))
			m = &all->items[i];
	put_list(o, "RepoTags", m ? m->tags : NULL);
	put_list(o, "RepoDigests", m ? m->digests : NULL);
}

/* The parts of Docker's GraphDriver.Data that say where the files are. */
static json *graph_driver(const struct image *i)
{
	_cleanup_(buf_done) struct buf lower = BUF_INIT;
	json *o = json_new_object(), *data = json_new_object();
	size_t n = strv_len(i->layers);

	for (size_t k = n; k > 0; k--) /* overlayfs writes the highest first */
		buf_printf(&lower, "%s%s", k < n ? ":" : "", i->layers[k - 1]);
	json_put_str(data, "LowerDir", buf_str(&lower));
	json_put_str(o, "Name", "overlay");
	json_put(o, "Data", data);
	return o;
}

static json *image_json(const struct image *i, const struct image_list *all)
{
	json *o = json_new_object(), *rootfs = json_new_object(), *metadata = json_new_object();
	char time[TIME_TEXT_MAX];

	json_put_str(o, "Id", i->id);
	put_names(o, all, i->id);
	json_put_str(o, "Parent", "");
	json_put_str(o, "Comment", "");
	json_put_str(o, "Created", time_format(i->config.created, time));
	json_put_str(o, "Author", i->config.author ?: "");
	json_put(o, "Config", image_config_runtime_json(&i->config));
	json_put_str(o, "Architecture", i->config.architecture ?: "");
	json_put_str(o, "Variant", i->config.variant);
	json_put_str(o, "Os", i->config.os ?: "linux");
	json_put_u64(o, "Size", i->size);
	json_put(o, "GraphDriver", graph_driver(i));
	json_put_str(rootfs, "Type", "layers");
	put_list(rootfs, "Layers", i->config.diff_ids);
	json_put(o, "RootFS", rootfs);
	json_put_str(metadata, "LastTagTime", time_format(i->stored, time));
	json_put(o, "Metadata", metadata);
	return o;
}

static int print_formatted(struct context *ctx, const char *format, json *list, struct err *e)
{
	_cleanup_(template_freep) struct template *t = NULL;
	int r = 0;

	if (streq(format, "json")) {
		fprintf(ctx->out, "%s\n", json_text(list));
		return 0;
	}
	r = template_parse(format, &t, e);
	for (size_t i = 0; r == 0 && i < json_len(list); i++) {
		_cleanup_(buf_done) struct buf line = BUF_INIT;

		r = template_run(t, json_at(list, i), false, &line, e);
		if (r == 0)
			fprintf(ctx->out, "%s\n", buf_str(&line));
	}
	return r;
}

static int run_inspect(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct image_inspect_options *o = in->options;
	_cleanup_(image_list_done) struct image_list all = { 0 };
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(json_unrefp) json *list = json_new_array();
	_cleanup_(free_p) char *text = NULL;
	int r = images_open(ctx, false, &store, e), failed = 0;

	if (r == 0)
		r = store_list(store, &all, e);
	if (r < 0)
		return r;
	/* Show what there is; the first that is missing is the error. */
	for (char **name = in->argv; *name; name++) {
		_cleanup_(image_freep) struct image *i = NULL;
		struct err why = ERR_INIT;

		r = store_resolve(store, *name, &i, &why);
		if (r == 0)
			json_push(list, image_json(i, &all));
		err_keep_first(&failed, e, r, &why);
	}
	if (o->format) {
		r = print_formatted(ctx, o->format, list, failed ? NULL : e);
		return failed ? failed : r;
	}
	text = json_text_pretty(list);
	fputs(text, ctx->out);
	return failed;
}

static const struct command image_inspect = {
	.name = "inspect",
	.args = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Display detailed information on one or more images",
	.options = inspect_flags,
	.options_size = sizeof(struct image_inspect_options),
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = run_inspect,
};

/* ---- rm, prune --------------------------------------------------------------------------- */

struct image_rm_options {
	bool force;
};
#define O struct image_rm_options
static const struct option_spec rm_flags[] = {
	OPTION_BOOL("force", 'f', O, force, "Force removal of the image"),
	OPTION_END,
};
#undef O

static void print_removed(struct context *ctx, const struct removed *r)
{
	STRV_FOREACH (s, r->untagged)
		fprintf(ctx->out, "Untagged: %s\n", *s);
	STRV_FOREACH (s, r->deleted)
		fprintf(ctx->out, "Deleted: %s\n", *s);
}

static int run_rm(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct image_rm_options *o = in->options;
	_cleanup_(store_closep) struct store *store = NULL;
	int r = images_open(ctx, true, &store, e), failed = 0;

	if (r < 0)
		return r;
	for (char **name = in->argv; *name; name++) {
		_cleanup_(removed_done) struct removed removed = { 0 };
		struct err why = ERR_INIT;

		r = store_remove(store, *name, o->force, images_in_use, ctx, &removed, &why);
		print_removed(ctx, &removed);
		why.hint[0] = '\0'; /* how to get it is not what was asked */
		if (r == -ENOENT && o->force)
			r = 0;
		err_keep_first(&failed, e, r, &why);
	}
	return failed;
}

static const struct command image_rm = {
	.name = "rm",
	.alias = "remove",
	.args = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Remove one or more images",
	.options = rm_flags,
	.options_size = sizeof(struct image_rm_options),
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = run_rm,
};

struct image_prune_options {
	bool all, force;
	char **filters;
};
#define O struct image_prune_options
static const struct option_spec prune_flags[] = {
	OPTION_BOOL("all", 'a', O, all, "Remove all unused images, not just dangling ones"),
	OPTION_STRINGS("filter", 0, O, filters,
		       "Provide filter values: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"),
	OPTION_BOOL("force", 'f', O, force, "Do not prompt for confirmation"),
	OPTION_END,
};
#undef O

static int run_prune(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct image_prune_options *o = in->options;
	const struct prune_request q = { .images = true, .all_images = o->all, .force = o->force };

	return prune_run(ctx, &q, o->filters, e);
}

static const struct command image_prune = {
	.name = "prune",
	.args = "[OPTIONS]",
	.summary = "Remove unused images",
	.options = prune_flags,
	.options_size = sizeof(struct image_prune_options),
	.run = run_prune,
};

/* ---- tag ---------------------------------------------------------------------------------- */

static int run_tag(struct context *ctx, struct invocation *in, struct err *e)
{
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(free_p) char *old = NULL;
	int r = images_open(ctx, true, &store, e);

	return r < 0 ? r : store_tag(store, in->argv[0], in->argv[1], &old, e);
}

static const struct command image_tag = {
	.name = "tag",
	.args = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	.summary = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
	.min_args = 2,
	.max_args = 2,
	.run = run_tag,
};

const struct command cmd_tag = {
	.name = "tag",
	.args = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	.summary = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
	.min_args = 2,
	.max_args = 2,
	.run = run_tag,
	.hidden = true,
};

/* ---- import --------------------------------------------------------------------------------- */

struct image_import_options {
	char **changes;
	const char *message;
};
#define O struct image_import_options
static const struct option_spec import_flags[] = {
	OPTION_STRINGS("change", 'c', O, changes,
		       "Apply Dockerfile instruction to the created image"),
	OPTION_STRING("message", 'm', O, message, NULL, "Set commit message for imported image"),
	OPTION_END,
};
#undef O

static int run_import(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct image_import_options *o = in->options;
	_cleanup_(load_result_done) struct load_result result = { 0 };
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	int r = images_open(ctx, true, &store, e);

	if (r < 0)
		return r;
	fd = streq(in->argv[0], "-") ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				     : open(in->argv[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", in->argv[0]);
	r = archive_import(store, fd, in->argv[1], o->changes, o->message, &result, e);
	if (r < 0)
		return err_wrap(e, r, "import %s", in->argv[0]);
	images_print_moved(ctx, result.moved);
	fprintf(ctx->out, "%s\n", result.images[0].id);
	return 0;
}

static const struct command image_import = {
	.name = "import",
	.args = "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
	.summary = "Import a root file system from a tar archive as an image",
	.options = import_flags,
	.options_size = sizeof(struct image_import_options),
	.min_args = 1,
	.max_args = 2,
	.run = run_import,
};

/* ---- the family --------------------------------------------------------------------------------
 */

extern const struct command cmd_image_build, cmd_image_pull, cmd_image_push, cmd_load, cmd_save,
	image_history;

static const struct command *const subs[] = {
	&cmd_image_build, &image_history,  &image_import,	&image_inspect, &cmd_load,
	&image_ls,	  &image_prune,	   &cmd_image_pull, &cmd_image_push, &image_rm,
	&cmd_save,	  &image_tag,	   NULL
};

const struct command cmd_image = {
	.name = "image",
	.args = "COMMAND",
	.summary = "Manage images",
	.subs = subs,
};
