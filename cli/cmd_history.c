/* cli/cmd_history.c: `comp image history`, and `comp history` for fingers that know it. */
#include <errno.h>

#include "base/strv.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/humanize.h"
#include "cli/images_view.h"
#include "cli/rows.h"

#define CREATED_BY_SHOWN 45

struct history_options {
	bool human, no_trunc, quiet;
	const char *format;
};
#define O struct history_options
static const struct option_spec flags[] = {
	OPTION_STRING("format", 0, O, format, NULL,
		      "Format the output: table, json, or a Go template"),
	OPTION_BOOL_TRUE("human", 'H', O, human, "Print sizes and dates in human readable format"),
	OPTION_BOOL("no-trunc", 0, O, no_trunc, "Don't truncate output"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Only show image IDs"),
	OPTION_END,
};
#undef O

static const struct format_column columns[] = {
	{ "ID", "IMAGE" },
	{ "CreatedSince", "CREATED" },
	{ "CreatedAt", "CREATED AT" },
	{ "CreatedBy", "CREATED BY" },
	{ "Size", "SIZE" },
	{ "Comment", "COMMENT" },
	{ NULL },
};
static const struct format_spec spec_human = {
	.columns = columns,
	.table = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
};
static const struct format_spec spec_exact = {
	.columns = columns,
	.table = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
};

/* One line: a step may have been a here-document. */
static char *created_by(const char *text, bool no_trunc)
{
	_cleanup_(free_p) char *line = xstrdup(text ? text : "");

	for (char *p = line; *p; p++)
		if (*p == '\t' || *p == '\n' || *p == '\r')
			*p = ' ';
	return no_trunc ? TAKE_PTR(line) : ellipsis(line, CREATED_BY_SHOWN);
}

static json *step_row(const struct history_options *o, json *step, const char *id, uint64_t size)
{
	_cleanup_(free_p) char *by = created_by(json_get_str(step, "created_by"), o->no_trunc);
	const char *when = json_get_str(step, "created");
	char text[HUMAN_MAX], shown[13];
	uint64_t created = 0;
	json *row = json_new_object();

	if (when)
		(void)time_parse(when, &created); /* 0 then: N/A */
	json_put_str(row, "Comment", json_get_str(step, "comment") ?: "");
	json_put_str(row, "CreatedAt", when ? when : "N/A");
	json_put_str(row, "CreatedBy", by);
	json_put_str(row, "CreatedSince", human_ago(created, text));
	json_put_str(row, "ID", !id ? "<missing>" : o->no_trunc ? id : images_short_id(id, shown));
	if (o->human)
		snprintf(text, sizeof(text), "%s", human_size_short(size, (char[HUMAN_MAX]){ 0 }));
	else
		snprintf(text, sizeof(text), "%ju", (uintmax_t)size);
	json_put_str(row, "Size", text);
	return row;
}

/* Newest first; the steps that made a layer take them in order. */
static json *rows_of(struct store *store, const struct history_options *o, const struct image *i)
{
	size_t layer = strv_len(i->config.diff_ids), n = json_len(i->config.history);
	json *rows = json_new_array();

	for (size_t k = n; k-- > 0;) {
		json *step = json_at(i->config.history, k);
		uint64_t size = 0;

		if (!json_get_bool(step, "empty_layer", false) && layer > 0)
			size = store_layer_size(store, i->config.diff_ids[--layer]);
		json_push(rows, step_row(o, step, k + 1 == n ? i->id : NULL, size));
	}
	/* Layers nobody says anything about. */
	while (layer > 0) {
		_cleanup_(json_unrefp) json *step = json_new_object();

		json_push(rows, step_row(o, step, json_len(rows) ? NULL : i->id,
					 store_layer_size(store, i->config.diff_ids[--layer])));
	}
	return rows;
}

static int run_history(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct history_options *o = in->options;
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(image_freep) struct image *i = NULL;
	_cleanup_(json_unrefp) json *rows = NULL;
	int r = images_open(ctx, false, &store, e);

	if (r == 0)
		r = store_resolve(store, in->argv[0], &i, e);
	if (r < 0)
		return r;
	rows = rows_of(store, o, i);
	return format_rows(ctx->out, o->human ? &spec_human : &spec_exact,
			   o->quiet && !o->format ? "{{.ID}}" : o->format, rows, e);
}

const struct command image_history = {
	.name = "history",
	.args = "[OPTIONS] IMAGE",
	.summary = "Show the history of an image",
	.options = flags,
	.options_size = sizeof(struct history_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_history,
};
