/* cli/message.c: see message.h.  The offending line is read from the file again,
 * which may have changed since: it is a courtesy, so whatever fails is silent.
 */
#include "cli/message.h"

#include <errno.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "cli/table.h"
#include "compose/diag.h"

#define SOURCE_MAX (16u << 20)
#define LINE_SHOWN 200

/* Line @n of @text, NULL when there is none. */
static char *line_of(const char *text, int n)
{
	while (--n > 0) {
		text = strchr(text, '\n');
		if (!text)
			return NULL;
		text++;
	}
	return xstrndup(text, strcspn(text, "\r\n"));
}

/* Below column @col (1-based, in characters): tabs stay tabs so that the caret
 * meets its mark however wide they are shown. */
static void print_caret(FILE *out, const char *line, int col)
{
	const char *s = line;

	for (int i = 1; i < col && *s; i++) {
		const char *start = s;

		do
			s++;
		while ((*s & 0xc0) == 0x80);
		if (*start == '\t') {
			fputc('\t', out);
		} else {
			char *one = xstrndup(start, (size_t)(s - start));

			fprintf(out, "%*s", (int)text_width(one), "");
			free(one);
		}
	}
	fputc('^', out);
}

static void print_source(FILE *out, const struct message_style *s, const struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(free_p) char *line = NULL;

	if (!e->file[0] || e->line <= 0 ||
	    file_read_follow(AT_FDCWD, e->file, SOURCE_MAX, &text, NULL) < 0)
		return;
	line = line_of(buf_str(&text), e->line);
	if (!line || !*line || strlen(line) > LINE_SHOWN)
		return;
	for (char *c = line; *c; c++) /* a file must not drive the terminal */
		if ((unsigned char)*c < ' ' && *c != '\t')
			*c = '?';
	fprintf(out, "%5d | %s\n", e->line, line);
	if (e->col > 0) {
		fprintf(out, "      | %s", s->color ? "\033[31m" : "");
		print_caret(out, line, e->col);
		fprintf(out, "%s\n", s->color ? "\033[0m" : "");
	}
}

static void position(const struct err *e, char *buf, size_t n)
{
	buf[0] = '\0';
	if (!e->file[0])
		return;
	if (e->line > 0 && e->col > 0)
		snprintf(buf, n, "%s:%d:%d: ", e->file, e->line, e->col);
	else if (e->line > 0)
		snprintf(buf, n, "%s:%d: ", e->file, e->line);
	else
		snprintf(buf, n, "%s: ", e->file);
}

static void error_json(FILE *out, const struct err *e)
{
	_cleanup_(json_unrefp) json *j = json_new_object();
	_cleanup_(free_p) char *text = NULL;
	char where[ERR_FILE_MAX + 32];

	position(e, where, sizeof(where));
	text = xasprintf("%s%s", where, e->msg);
	json_put_bool(j, "error", true);
	json_put_str(j, "message", text);
	fprintf(out, "%s\n", json_text(j));
}

void message_error(FILE *out, const struct message_style *s, const struct err *e)
{
	char where[ERR_FILE_MAX + 32];

	if (!e->msg[0])
		return;
	if (s->json) {
		error_json(out, e);
		return;
	}
	position(e, where, sizeof(where));
	fprintf(out, "%scomp:%s %s%s\n", s->color ? "\033[31m" : "", s->color ? "\033[0m" : "",
		where, e->msg);
	print_source(out, s, e);
	if (e->hint[0])
		fprintf(out, "hint: %s\n", e->hint);
}

/* logrus quotes as Go's %q does. */
static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", out);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

void message_warning(FILE *out, const struct message_style *s, const char *text)
{
	if (s->tty) {
		unsigned int age = (unsigned int)((now_mono_ns() - s->started) / NSEC_PER_SEC);

		fprintf(out, "%sWARN%s[%04u] %s\n", s->color ? "\033[33m" : "",
			s->color ? "\033[0m" : "", age, text);
	} else {
		time_t now = time(NULL);
		struct tm tm;
		char when[40];

		gmtime_r(&now, &tm);
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
		fprintf(out, "time=\"%s\" level=warning msg=", when);
		print_quoted(out, text);
		fputc('\n', out);
	}
}

void message_diag(FILE *out, const struct message_style *s, const struct diag *d)
{
	for (size_t i = 0; i < d->n_warns; i++) {
		_cleanup_(free_p) char *text = NULL;
		char where[ERR_FILE_MAX + 32];

		position(&d->warns[i], where, sizeof(where));
		text = xasprintf("%s%s", where, d->warns[i].msg);
		message_warning(out, s, text);
	}
	for (size_t i = 0; i < d->n; i++)
		message_error(out, s, &d->errs[i]);
	if (d->n_more)
		fprintf(out, "comp: and %zu more errors\n", d->n_more);
}
