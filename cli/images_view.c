/* cli/images_view.c: see images_view.h. */
#include "cli/images_view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/format.h"
#include "cli/humanize.h"
#include "engine/image/ref.h"

int images_open(struct context *ctx, bool write, struct store **out, struct err *e)
{
	_cleanup_(free_p) char *path = NULL;
	int r = write ? ctx_need_root(ctx, e) : 0;

	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r < 0)
		return r;
	path = dirs_images(&ctx->dirs);
	return store_open(path, out, e);
}

int images_in_use(void *data, const char *id, struct err *e)
{
	const struct context *ctx = data;
	_cleanup_(strv_freep) char **projects = dirs_list_projects(&ctx->dirs);

	STRV_FOREACH (p, projects) {
		_cleanup_(record_list_done) struct record_list l = { 0 };
		int r = record_list_load(&ctx->dirs, *p, &l, e);

		if (r < 0)
			return r;
		for (size_t i = 0; i < l.n; i++) {
			if (!streq_null(l.items[i]->image_id, id))
				continue;
			err_set(e, EBUSY, "container %s is using it", l.items[i]->name);
			return 1;
		}
	}
	return 0;
}

char *images_short_id(const char *id, char buf[13])
{
	snprintf(buf, 13, "%.12s", skip_prefix(id, "sha256:") ?: id);
	return buf;
}

void images_print_loaded(struct context *ctx, const struct load_result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		bool named = false;

		STRV_FOREACH (ref, r->images[i].refs) {
			_cleanup_(free_p) char *name = ref_shorten(*ref);

			if (strchr(name, '@'))
				continue;
			fprintf(ctx->out, "Loaded image: %s\n", name);
			named = true;
		}
		if (!named)
			fprintf(ctx->out, "Loaded image ID: %s\n", r->images[i].id);
	}
}

void images_print_moved(struct context *ctx, char *const *moved)
{
	STRV_FOREACH (m, moved) {
		const char *tab = strchr(*m, '\t');
		_cleanup_(free_p) char *ref = xstrndup(*m, (size_t)(tab - *m));
		_cleanup_(free_p) char *name = ref_shorten(ref);

		fprintf(ctx->err, "The name %s meant the image with ID %s until now\n", name,
			tab + 1);
	}
}

/* ---- the listing -------------------------------------------------------------------- */

static const struct format_column columns[] = {
	{ "Repository", "REPOSITORY" },
	{ "Tag", "TAG" },
	{ "Digest", "DIGEST" },
	{ "ID", "IMAGE ID" },
	{ "CreatedSince", "CREATED" },
	{ "CreatedAt", "CREATED AT" },
	{ "Size", "SIZE" },
	{ NULL },
};

static const struct format_spec spec_plain = {
	.columns = columns,
	.table = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
};

static const struct format_spec spec_digests = {
	.columns = columns,
	.table = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
};

struct listing {
	json *rows;
	bool no_trunc;
	char *const *names; /* only these repositories or references; NULL: all */
};

/* @text cut at the last @sep into *head; returns the rest or "<none>". */
static const char *cut(const char *text, char sep, char **head)
{
	const char *at = text ? strrchr(text, sep) : NULL;

	*head = at ? xstrndup(text, (size_t)(at - text)) : xstrdup("<none>");
	return at ? at + 1 : "<none>";
}

static bool wanted(const struct listing *l, const char *repository, const char *tag)
{
	if (!l->names || !*l->names)
		return true;
	STRV_FOREACH (n, l->names) {
		_cleanup_(free_p) char *full = xasprintf("%s:%s", repository, tag);

		if (streq(*n, repository) || streq(*n, full))
			return true;
	}
	return false;
}

/* @tag: "busybox:latest" or NULL; @digest: "busybox@sha256:…" or NULL. */
static void add_row(struct listing *l, const struct image_summary *m, const char *tag,
		    const char *digest)
{
	_cleanup_(free_p) char *repository = NULL, *digest_repository = NULL;
	const char *tag_text = cut(tag, ':', &repository);
	const char *digest_text = cut(digest, '@', &digest_repository);
	char id[13], ago[HUMAN_MAX], at[HUMAN_MAX], size[HUMAN_MAX];
	json *row;

	if (!tag && digest)
		str_set(&repository, digest_repository);
	if (!wanted(l, repository, tag_text))
		return;
	row = json_new_object();
	json_put_str(row, "Containers", "N/A");
	json_put_str(row, "CreatedAt", human_time(m->created, at));
	json_put_str(row, "CreatedSince", human_ago(m->created, ago));
	json_put_str(row, "Digest", digest_text);
	json_put_str(row, "ID", l->no_trunc ? m->id : images_short_id(m->id, id));
	json_put_str(row, "Repository", repository);
	json_put_str(row, "SharedSize", "N/A");
	json_put_str(row, "Size", human_size(m->size, size));
	json_put_str(row, "Tag", tag_text);
	json_put_str(row, "UniqueSize", "N/A");
	json_put_str(row, "VirtualSize", size);
	json_push(l->rows, row);
}

static bool same_repository(const char *tag, const char *digest)
{
	const char *at = strchr(digest, '@'), *colon = strrchr(tag, ':');

	return at - digest == colon - tag && memcmp(tag, digest, (size_t)(at - digest)) == 0;
}

static void add_rows(struct listing *l, const struct image_summary *m)
{
	STRV_FOREACH (t, m->tags) {
		const char *digest = NULL;

		STRV_FOREACH (d, m->digests)
			if (same_repository(*t, *d))
				digest = *d;
		add_row(l, m, *t, digest);
	}
	if (m->tags)
		return;
	STRV_FOREACH (d, m->digests)
		add_row(l, m, NULL, *d);
	if (!m->digests)
		add_row(l, m, NULL, NULL);
}

static int print_ids(struct context *ctx, json *rows)
{
	const char *last = "";

	for (size_t i = 0; i < json_len(rows); i++) {
		const char *id = json_get_str(json_at(rows, i), "ID");

		if (!streq(id, last)) /* rows of one image are neighbours */
			fprintf(ctx->out, "%s\n", id);
		last = id;
	}
	return 0;
}

int images_list(struct context *ctx, const char *format, bool quiet, bool no_trunc, bool digests,
		char *const *names, struct err *e)
{
	_cleanup_(json_unrefp) json *rows = json_new_array();
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(image_list_done) struct image_list list = { 0 };
	struct listing l = { .rows = rows, .no_trunc = no_trunc, .names = names };
	int r = images_open(ctx, false, &store, e);

	if (r == 0)
		r = store_list(store, &list, e);
	if (r < 0)
		return r;
	STRV_FOREACH (p, list.problems)
		ctx_warn(ctx, "%s", *p);
	for (size_t i = 0; i < list.n; i++)
		add_rows(&l, &list.items[i]);
	if (quiet && !format)
		return print_ids(ctx, rows);
	return format_rows(ctx->out, digests ? &spec_digests : &spec_plain, format, rows, e);
}
