/* engine/build/dockerfile.c: lines to instructions, instructions to stages.
 *
 * The file is read line by line: directives first, then instructions, each of which
 * may go on over several lines (the escape character at the end; comments and empty
 * lines between are dropped) and may be followed by heredoc bodies.  What one joined
 * line means is engine/build/instruction.c's business.  Every limit is checked while
 * reading, so a bomb costs no more than its own size.
 */
#include "engine/build/dockerfile.h"

#include <ctype.h>

#include "base/strv.h"
#include "engine/build/parse.h"

struct reader {
	struct dockerfile *d;
	const char *p, *end;
	int line; /* of what was read last */
	bool directives_over;
	bool seen_escape, seen_syntax, seen_check;
};

/* ---- lines -------------------------------------------------------------------------------- */

/* The next line with its newline; false at the end. */
static bool next_raw(struct reader *r, const char **text, size_t *n)
{
	const char *newline;

	if (r->p >= r->end)
		return false;
	newline = memchr(r->p, '\n', (size_t)(r->end - r->p));
	*text = r->p;
	*n = newline ? (size_t)(newline - r->p) + 1 : (size_t)(r->end - r->p);
	r->p += *n;
	r->line++;
	return true;
}

/* As above, without the line's end; caller frees. */
static char *next_line(struct reader *r)
{
	const char *text;
	size_t n;

	if (!next_raw(r, &text, &n))
		return NULL;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	return xstrndup(text, n);
}

static const char *skip_space(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

static bool is_comment(const char *line)
{
	return *skip_space(line) == '#';
}

/* Does the line go on?  The escape character is cut off then.  A doubled one at the
 * end is text. */
static bool cut_continuation(char *line, char escape)
{
	size_t n = strlen(line);

	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	if (n == 0 || line[n - 1] != escape || (n > 1 && line[n - 2] == escape))
		return false;
	line[n - 1] = '\0';
	return true;
}

static void warn(struct reader *r, int line, const char *text)
{
	strv_addf(&r->d->warnings, "%s:%d: %s", r->d->name, line, text);
}

/* ---- directives ------------------------------------------------------------------------------ */

static int set_escape(struct reader *r, const char *value, struct err *e)
{
	if (!streq(value, "\\") && !streq(value, "`"))
		return err_set(e, EINVAL, "invalid escape token \"%.20s\": must be ` or \\", value);
	r->d->escape = *value;
	return 0;
}

static int set_directive(struct reader *r, const char *name, const char *value, struct err *e)
{
	bool *seen = streq(name, "escape")   ? &r->seen_escape
		     : streq(name, "syntax") ? &r->seen_syntax
					     : &r->seen_check;

	if (*seen)
		return err_set(e, EINVAL, "only one %s parser directive can be used", name);
	*seen = true;
	if (streq(name, "escape"))
		return set_escape(r, value, e);
	str_set(streq(name, "syntax") ? &r->d->syntax : &r->d->check, value);
	return 0;
}

/* "# name=value" at the top of the file; the first line that is something else, an
 * unknown name included, is the end of the directives. */
static int directive(struct reader *r, const char *line, struct err *e)
{
	static const char *const known[] = { "syntax", "escape", "check" };
	_cleanup_(free_p) char *name = NULL, *value = NULL;
	const char *p, *begin;
	size_t n;

	if (r->directives_over)
		return 0;
	r->directives_over = true;
	if (*line != '#')
		return 0;
	begin = p = skip_space(line + 1);
	while (isalnum((unsigned char)*p))
		p++;
	name = xstrndup(begin, (size_t)(p - begin));
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	p = skip_space(p);
	if (*p != '=')
		return 0;
	value = xstrdup(skip_space(p + 1));
	for (n = strlen(value); n > 0 && isspace((unsigned char)value[n - 1]);)
		value[--n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(known) && n > 0; i++) {
		if (!streq(name, known[i]))
			continue;
		r->directives_over = false;
		return set_directive(r, name, value, e);
	}
	return 0;
}

/* ---- instructions ------------------------------------------------------------------------------
 */

/* Add what continues @line. */
static int join(struct reader *r, struct buf *line, struct err *e)
{
	bool more = true, empty = false;

	while (more) {
		_cleanup_(free_p) char *next = next_line(r);

		if (!next)
			break;
		if (is_comment(next))
			continue;
		if (!*skip_space(next)) {
			empty = true;
			continue;
		}
		more = cut_continuation(next, r->d->escape);
		buf_adds(line, next);
		if (line->len > DOCKERFILE_MAX_LINE)
			return err_set(e, EFBIG, "an instruction of more than %u bytes",
				       DOCKERFILE_MAX_LINE);
	}
	if (empty)
		warn(r, r->line, "an empty line inside an instruction");
	return 0;
}

/* The next instruction on one line; NULL *out at the end of the file. */
static int next_instruction(struct reader *r, char **out, int *first, struct err *e)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT;
	char *begin;
	int ret = 0;

	*out = NULL;
	while ((begin = next_line(r))) {
		_cleanup_(free_p) char *text = begin;

		begin = (char *)skip_space(text);
		*first = r->line;
		ret = directive(r, begin, e);
		if (ret < 0)
			return ret;
		if (!*begin || *begin == '#')
			continue;
		buf_adds(&line, begin);
		if (cut_continuation(line.data, r->d->escape)) {
			line.len = strlen(line.data);
			ret = join(r, &line, e);
		}
		if (ret < 0)
			return ret;
		if (line.len > DOCKERFILE_MAX_LINE)
			return err_set(e, EFBIG, "an instruction of more than %u bytes",
				       DOCKERFILE_MAX_LINE);
		if (*skip_space(buf_str(&line))) {
			*out = buf_take(&line);
			return 0;
		}
		buf_truncate(&line, 0);
	}
	return 0;
}

static int read_heredoc(struct reader *r, struct heredoc *h, struct err *e)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT;
	const char *text;
	size_t n;

	while (next_raw(r, &text, &n)) {
		size_t bare = n;

		while (h->chomp && n > 0 && *text == '\t') {
			text++;
			bare = --n;
		}
		while (bare > 0 && (text[bare - 1] == '\n' || text[bare - 1] == '\r'))
			bare--;
		if (bare == strlen(h->name) && memcmp(text, h->name, bare) == 0) {
			h->content = buf_take(&content);
			return 0;
		}
		buf_add(&content, text, n);
	}
	err_set(e, EINVAL, "unterminated heredoc");
	return err_hint(e, "a line that is just %.60s ends it", h->name);
}

static int read_heredocs(struct reader *r, const char *line, struct instruction *i, struct err *e)
{
	int ret = 0;

	if (i->exec || !strstr(line, "<<"))
		return 0;
	heredocs_of_line(line, &i->heredocs, &i->n_heredocs);
	for (size_t k = 0; k < i->n_heredocs && ret == 0; k++)
		ret = read_heredoc(r, &i->heredocs[k], e);
	return ret;
}

/* ONBUILD RUN <<EOF: the trigger is recorded with the bodies. */
static int trigger_heredocs(struct reader *r, struct instruction *onbuild, struct err *e)
{
	_cleanup_(instruction_done) struct instruction t = { 0 };
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(strv_freep) char **again = NULL; /* warnings that were given already */
	int ret = instruction_parse_line(onbuild->text, r->d->escape, true, &t, &again, e);

	if (ret < 0 || (t.kind != INS_RUN && t.kind != INS_COPY && t.kind != INS_ADD))
		return ret;
	ret = read_heredocs(r, onbuild->text, &t, e);
	if (ret < 0 || t.n_heredocs == 0)
		return ret;
	buf_adds(&text, onbuild->text);
	for (size_t k = 0; k < t.n_heredocs; k++)
		buf_printf(&text, "\n%s%s", t.heredocs[k].content, t.heredocs[k].name);
	str_set(&onbuild->text, buf_str(&text));
	return 0;
}

/* Parse one joined line and read the bodies that belong to it. */
static int complete(struct reader *r, const char *line, int first, bool trigger,
		    struct instruction *i, struct err *e)
{
	_cleanup_(strv_freep) char **warnings = NULL;
	int ret = instruction_parse_line(line, r->d->escape, trigger, i, &warnings, e);

	STRV_FOREACH (w, warnings)
		warn(r, first, *w);
	if (ret < 0)
		return ret;
	if (i->kind == INS_RUN || i->kind == INS_COPY || i->kind == INS_ADD)
		ret = read_heredocs(r, line, i, e);
	else if (i->kind == INS_ONBUILD)
		ret = trigger_heredocs(r, i, e);
	i->line = first;
	i->end_line = r->line;
	if (ret < 0)
		instruction_done(i);
	return ret;
}

/* ---- stages -------------------------------------------------------------------------------------
 */

static void begin_stage(struct reader *r, struct instruction *from)
{
	struct dockerfile *d = r->d;
	struct build_stage s = { .base = xstrdup(from->words[0]),
				 .name = xstrdup_null(from->words[1]),
				 .platform = TAKE_PTR(from->text),
				 .original = TAKE_PTR(from->original),
				 .line = from->line,
				 .end_line = from->end_line };

	for (size_t i = 0; s.name && i < d->n_stages; i++)
		if (streq_null(d->stages[i].name, s.name))
			warn(r, from->line, "a stage of this name is there already");
	d->stages = xreallocarray(d->stages, d->n_stages + 1, sizeof(s));
	d->stages[d->n_stages++] = s;
	instruction_done(from);
}

static void add(struct instruction **list, size_t *n, struct instruction *i)
{
	/* Grown by doubling: 0, 1, 2, 4, … are full. */
	if ((*n & (*n - 1)) == 0)
		*list = xreallocarray(*list, *n ? 2 * *n : 1, sizeof(**list));
	(*list)[(*n)++] = *i;
	*i = (struct instruction){ 0 };
}

static int place(struct reader *r, struct instruction *i, struct err *e)
{
	struct dockerfile *d = r->d;

	if (i->kind == INS_FROM) {
		if (d->n_stages == DOCKERFILE_MAX_STAGES)
			return err_set(e, E2BIG, "more than %d stages", DOCKERFILE_MAX_STAGES);
		begin_stage(r, i);
	} else if (d->n_stages > 0) {
		struct build_stage *s = &d->stages[d->n_stages - 1];

		add(&s->instructions, &s->n, i);
	} else if (i->kind == INS_ARG) {
		add(&d->globals, &d->n_globals, i);
	} else {
		err_set(e, EINVAL, "%s before the first FROM", instruction_name(i->kind));
		return err_hint(e, "only ARG may stand before FROM");
	}
	return 0;
}

static int read_all(struct reader *r, struct err *e)
{
	for (size_t n = 0;; n++) {
		_cleanup_(free_p) char *line = NULL;
		struct instruction i = { 0 };
		int first = 1, ret = next_instruction(r, &line, &first, e);

		if (ret == 0 && !line)
			return 0;
		if (ret == 0 && n == DOCKERFILE_MAX_INSTRUCTIONS)
			ret = err_set(e, E2BIG, "more than %d instructions",
				      DOCKERFILE_MAX_INSTRUCTIONS);
		if (ret == 0)
			ret = complete(r, line, first, false, &i, e);
		if (ret == 0)
			ret = place(r, &i, e);
		instruction_done(&i);
		if (ret < 0) {
			err_at(e, r->d->name, first, 0);
			return ret;
		}
	}
}

static int check_text(const char *name, const char *text, size_t n, struct err *e)
{
	if (n > DOCKERFILE_MAX_SIZE)
		return err_set(e, EFBIG, "%s is larger than %u bytes", name, DOCKERFILE_MAX_SIZE);
	if (n > 0 && memchr(text, '\0', n)) {
		err_set(e, EINVAL, "%s holds a NUL byte: not a Dockerfile", name);
		return err_hint(e, "it must be text in UTF-8");
	}
	return 0;
}

/* The file's lines, for dockerfile_line(). */
static char **split_lines(const char *text, size_t n)
{
	size_t count = 1, i = 0;
	char **lines;

	for (size_t k = 0; k < n; k++)
		count += text[k] == '\n';
	lines = xcalloc(count + 1, sizeof(*lines));
	for (const char *end = text + n; text < end; i++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = newline ? (size_t)(newline - text) : (size_t)(end - text);

		lines[i] = xstrndup(text, len);
		text += len + (newline != NULL);
	}
	return lines;
}

/* The byte order mark is no part of the first line. */
static const char *skip_mark(const char *text, size_t n)
{
	return n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
}

int dockerfile_parse(const char *name, const char *text, size_t n, struct dockerfile *out,
		     struct err *e)
{
	_cleanup_(dockerfile_done) struct dockerfile d = { .escape = '\\' };
	struct reader r = { .d = &d };
	int ret = check_text(name, text, n, e);

	if (ret < 0)
		return ret;
	r.p = skip_mark(text, n);
	r.end = text + n;
	d.name = xstrdup(name);
	d.lines = split_lines(r.p, (size_t)(r.end - r.p));
	ret = read_all(&r, e);
	if (ret < 0)
		return ret;
	if (d.n_stages == 0) {
		err_set(e, EINVAL, "%s",
			d.n_globals ? "no FROM in it: no stages to build"
				    : "the Dockerfile is empty");
		return err_at(e, name, MAX(r.line, 1), 0);
	}
	*out = d;
	d = (struct dockerfile){ 0 };
	return 0;
}

static void list_done(struct instruction *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		instruction_done(&list[i]);
	free(list);
}

void dockerfile_done(struct dockerfile *d)
{
	free(d->name);
	strv_free(d->lines);
	free(d->syntax);
	free(d->check);
	list_done(d->globals, d->n_globals);
	for (size_t i = 0; i < d->n_stages; i++) {
		struct build_stage *s = &d->stages[i];

		free(s->name);
		free(s->base);
		free(s->platform);
		free(s->original);
		list_done(s->instructions, s->n);
	}
	free(d->stages);
	strv_free(d->warnings);
	*d = (struct dockerfile){ 0 };
}

const char *dockerfile_line(const struct dockerfile *d, int n)
{
	size_t count = strv_len(d->lines);

	return n >= 1 && (size_t)n <= count ? d->lines[n - 1] : NULL;
}

int instruction_parse(const char *text, bool trigger, struct instruction *out, struct err *e)
{
	_cleanup_(dockerfile_done) struct dockerfile d = { .escape = '\\' };
	struct reader r = {
		.d = &d, .p = text, .end = text + strlen(text), .directives_over = true
	};
	_cleanup_(free_p) char *line = NULL, *more = NULL;
	int first = 1, ret;

	d.name = xstrdup("instruction");
	ret = next_instruction(&r, &line, &first, e);
	if (ret == 0 && !line)
		ret = err_set(e, EINVAL, "an empty instruction");
	if (ret == 0)
		ret = complete(&r, line, first, trigger, out, e);
	if (ret < 0)
		return ret;
	ret = next_instruction(&r, &more, &first, e);
	if (ret == 0 && more)
		ret = err_set(e, EINVAL, "more than one instruction");
	if (ret == 0 && out->kind == INS_FROM)
		ret = err_set(e, EINVAL, "FROM is not allowed here");
	if (ret < 0)
		instruction_done(out);
	return ret;
}
