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
 * What of Go's templates is there: cli/template.h.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include <stdio.h>

#include "base/json.h"

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
