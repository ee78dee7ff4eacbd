/* cli/format.h: `--format` of every listing command.
 *
 * A command makes one JSON object per row, with the fields that Docker's
 * command of the same name has, and names its columns.  Formats are
 *
 *	table			the default columns
 *	table TEMPLATE		those of the template, with headings
 *	json			one object per line
 *	TEMPLATE		Go template, one line per row
 *
 * Of Go templates: {{.Field.Sub}}, {{json .}}, {{.X | upper}}, if/else/end, the
 * functions json upper lower title truncate len join split index printf println
 * eq ne and or not, string and number literals, {{- trimming -}}, comments.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include <stdio.h>

#include "base/buf.h"
#include "base/json.h"

struct template;
/* Errors read as Docker's: "template parsing error: …". */
int template_parse(const char *text, struct template **out, struct err *e);
int template_run(const struct template *t, json *data, struct buf *out, struct err *e);
void template_free(struct template *t);
DEFINE_CLEANUP(struct template *, template_free, template_freep);

struct format_column {
	const char *field;   /* "RunningFor" */
	const char *heading; /* "CREATED" */
};

struct format_spec {
	const struct format_column *columns; /* all fields that have a heading; {NULL} ends */
	const char *table;                   /* the default: "{{.Name}}\t{{.Image}}" */
	bool json_array; /* --format json prints one array (ls) instead of lines */
};

/* Print @rows (an array of objects, borrowed) as @format says; NULL or "": table. */
int format_rows(FILE *out, const struct format_spec *spec, const char *format, json *rows,
		struct err *e);

#endif
