/* cli/template.h: the part of Go's text/template that people write behind --format.
 *
 *	{{.Field.Sub}}  {{.}}  {{json .}}  {{.X | upper}}  {{printf "%s" .X}}
 *	{{if eq .State "running"}}…{{else if …}}…{{else}}…{{end}}
 *	{{range .Publishers}}{{.TargetPort}}{{else}}…{{end}}  {{with .X}}…{{end}}
 *	{{- trimming -}}  comments  (…)  "text"  `raw`  1  true
 *
 * Functions: json upper lower title truncate pad len join split index print
 * printf println eq ne lt le gt ge and or not.  No variables, no definitions.
 */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include "base/buf.h"
#include "base/json.h"

#define TEMPLATE_MAX_DEPTH 50

struct template;

/* "\t" and "\n" in @text stand for a tab and a newline.  Errors start with
 * "template parsing error: ". */
int template_parse(const char *text, struct template **out, struct err *e);
void template_free(struct template *t);
DEFINE_CLEANUP(struct template *, template_free, template_freep);

/* @data: an object; a field it lacks at the top is an error.
 * @heading: functions pass their argument through, for a table's heading line */
int template_run(const struct template *t, json *data, bool heading, struct buf *out,
		 struct err *e);

#endif
