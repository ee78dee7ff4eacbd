/* cli/format.c: rows of JSON through a template, into a table or lines. */
#include "cli/format.h"

#include "base/buf.h"
#include "base/strv.h"
#include "cli/table.h"
#include "cli/template.h"

static int print_lines(FILE *out, const struct template *t, json *rows, struct err *e)
{
	for (size_t i = 0; i < json_len(rows); i++) {
		_cleanup_(buf_done) struct buf line = BUF_INIT;
		int r = template_run(t, json_at(rows, i), false, &line, e);

		if (r < 0)
			return r;
		fprintf(out, "%s\n", buf_str(&line));
	}
	return 0;
}

static json *heading_row(const struct format_spec *spec)
{
	json *row = json_new_object();

	for (const struct format_column *c = spec->columns; c->field; c++)
		json_put_str(row, c->field, c->heading);
	return row;
}

static int add_row(struct table *table, const struct template *t, json *row, bool heading,
		   struct err *e)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT;
	int r = template_run(t, row, heading, &line, e);

	if (r == 0)
		table_row_take(table, strv_split(buf_str(&line), '\t', false));
	return r;
}

static int print_table(FILE *out, const struct format_spec *spec, const char *template_text,
		       json *rows, struct err *e)
{
	_cleanup_(template_freep) struct template *t = NULL;
	_cleanup_(json_unrefp) json *heading = heading_row(spec);
	_cleanup_(table_done) struct table table = TABLE_INIT;
	int r = template_parse(template_text, &t, e);

	if (r == 0)
		r = add_row(&table, t, heading, true, e);
	for (size_t i = 0; i < json_len(rows) && r == 0; i++)
		r = add_row(&table, t, json_at(rows, i), false, e);
	if (r == 0)
		table_print(&table, out);
	return r;
}

int format_rows(FILE *out, const struct format_spec *spec, const char *format, json *rows,
		struct err *e)
{
	_cleanup_(template_freep) struct template *t = NULL;
	const char *template_text;
	int r;

	if (is_empty(format) || streq(format, "table"))
		return print_table(out, spec, spec->table, rows, e);
	template_text = skip_prefix(format, "table ");
	if (template_text)
		return print_table(out, spec, template_text + strspn(template_text, " "), rows, e);
	if (streq(format, "json") && spec->json_array) {
		fprintf(out, "%s\n", json_text(rows));
		return 0;
	}
	r = template_parse(streq(format, "json") ? "{{json .}}" : format, &t, e);
	return r < 0 ? r : print_lines(out, t, rows, e);
}
