/* compose/dotenv.c: see dotenv.h.
 *
 * A cursor over the text and one function per part of a statement: key,
 * unquoted value, quoted value.  Positions are not counted along the way but
 * computed from the cursor when an entry or an error needs one, by going on
 * from the last position asked for.  What a statement leaves on its line after
 * a closing quote is read as the next statement, as Docker Compose does, so
 * `A="1" # note` needs no rule of its own.
 */
#include "compose/dotenv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/map.h"

struct parser {
	struct arena *a;
	const char *file;
	const char *s, *end; /* what is left to read */
	const char *counted; /* up to where line and line_start are right */
	const char *line_start;
	int line;
	const struct interp_vars *vars;
	struct dotenv *out;
	struct map earlier; /* key → its last value, for interpolation */
	size_t value_bytes;
	struct err *e;
};

/* ---- positions and errors ------------------------------------------------------------ */
static int line_of(struct parser *p, const char *at)
{
	const char *newline;

	assert(at >= p->counted);
	while ((newline = memchr(p->counted, '\n', (size_t)(at - p->counted)))) {
		p->line++;
		p->counted = p->line_start = newline + 1;
	}
	p->counted = at;
	return p->line;
}

/* Fail with the callee's or one's own text in @e, at @at (not before the last position asked for).
 */
static int fail_in_file(struct parser *p, const char *at, int r)
{
	int line = line_of(p, at);

	(void)err_wrap(p->e, r, "failed to read %s", p->file); /* returns r */
	(void)err_at(p->e, p->file, line, (int)(at - p->line_start) + 1);
	return r;
}

static size_t line_length(const char *s, const char *end)
{
	const char *newline = memchr(s, '\n', (size_t)(end - s));
	size_t n = (size_t)((newline ? newline : end) - s);

	return n && s[n - 1] == '\r' ? n - 1 : n;
}

static int fail_character(struct parser *p, const char *key, const char *at)
{
	size_t n = MIN(line_length(key, p->end), (size_t)200);
	int r = err_set(p->e, EINVAL,
			"line %d: unexpected character \"%c\" in variable name \"%.*s\"",
			line_of(p, key), *at, (int)n, key);

	return fail_in_file(p, at, r);
}

/* ---- characters ------------------------------------------------------------------------ */
/* Blanks but not the newline: \t \v \f \r space, U+0085, U+00A0; 0 when it is none. */
static size_t blank_length(const char *s, const char *end)
{
	switch (*s) {
	case '\t':
	case '\v':
	case '\f':
	case '\r':
	case ' ':
		return 1;
	case '\xc2':
		return end - s > 1 && (s[1] == '\x85' || s[1] == '\xa0') ? 2 : 0;
	default:
		return 0;
	}
}

static void skip_blanks(struct parser *p)
{
	size_t n;

	while (p->s < p->end && (n = blank_length(p->s, p->end)))
		p->s += n;
}

static const char *trim_end(const char *start, const char *end)
{
	for (;;) {
		if (end > start && blank_length(end - 1, end))
			end--;
		else if (end - start > 1 && end[-2] == '\xc2' && blank_length(end - 2, end))
			end -= 2;
		else
			return end;
	}
}

/* Letters of other scripts are any bytes that are not ASCII. */
static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80 || (c && strchr("_.-[]", c));
}

/* ---- values ------------------------------------------------------------------------------ */
/* The environment first, then what the file said before: Docker Compose's order. */
static struct interp_value look_up(const char *name, void *data)
{
	struct parser *p = data;
	struct interp_value v = { 0 };

	if (p->vars && p->vars->lookup)
		v = p->vars->lookup(name, p->vars->data);
	if (!v.value)
		v = (struct interp_value){ map_get(&p->earlier, name), p->file };
	return v;
}

static void warn_unset(const char *name, const struct node *at, void *data)
{
	struct parser *p = data;

	if (p->vars && p->vars->warn)
		p->vars->warn(name, at, p->vars->data);
}

static int expand(struct parser *p, const char *template, const char **value)
{
	const struct interp_vars vars = { .lookup = look_up, .warn = warn_unset, .data = p };

	return interpolate_text(p->a, template, &vars, value, NULL, p->e);
}

static int unquoted_value(struct parser *p, const char **value)
{
	const char *newline = memchr(p->s, '\n', (size_t)(p->end - p->s));
	const char *start = p->s, *end = newline ? newline : p->end;
	const char *comment = memmem(start, (size_t)(end - start), " #", 2);
	int r;

	p->s = newline ? newline + 1 : p->end;
	end = trim_end(start, comment ? comment : end);
	r = expand(p, arena_strndup(p->a, start, (size_t)(end - start)), value);
	return r < 0 ? fail_in_file(p, start, r) : 0;
}

static void add_utf8(struct buf *b, unsigned int c)
{
	if (c < 0x80) {
		buf_addc(b, (char)c);
		return;
	}
	buf_addc(b, (char)(0xc0 | c >> 6));
	buf_addc(b, (char)(0x80 | (c & 0x3f)));
}

/* \0nnn, three octal digits up to \0377: a character by its number. */
static size_t octal_escape(const char *s, const char *end, struct buf *out)
{
	unsigned int c = 0;

	if (end - s < 5)
		return 0;
	for (int i = 2; i < 5; i++) {
		if (s[i] < '0' || s[i] > '7')
			return 0;
		c = c * 8 + (unsigned int)(s[i] - '0');
	}
	if (!c || c > 0xff)
		return 0;
	add_utf8(out, c);
	return 5;
}

/* One escape of a double-quoted value; @s is at the backslash.  Returns how many
 * bytes it took.  Escapes that mean nothing stay as they are. */
static size_t escape(const char *s, const char *end, struct buf *out)
{
	static const char from[] = "abfnrtv\"\\", to[] = "\a\b\f\n\r\t\v\"\\";
	const char *at;
	size_t n;

	if (end - s < 2) {
		buf_addc(out, *s);
		return 1;
	}
	if (s[1] == '$') { /* a dollar that interpolation shall not see */
		buf_adds(out, "$$");
		return 2;
	}
	n = s[1] == '0' ? octal_escape(s, end, out) : 0;
	if (n)
		return n;
	at = s[1] ? strchr(from, s[1]) : NULL;
	if (at)
		buf_addc(out, to[at - from]);
	else
		buf_add(out, s, 2);
	return 2;
}

/* The quote that closes the value beginning at @s, or NULL. */
static const char *closing_quote(const char *s, const char *end, char quote)
{
	for (; s < end; s++) {
		if (*s == quote)
			return s;
		if (*s == '\\' && s + 1 < end)
			s++;
	}
	return NULL;
}

static void unescape(const char *s, const char *end, char quote, struct buf *out)
{
	while (s < end) {
		if (*s == '\\' && quote == '"') {
			s += escape(s, end, out);
			continue;
		}
		if (*s == '\\' && end - s > 1 && s[1] == quote)
			s++;
		buf_addc(out, *s++);
	}
}

static int quoted_value(struct parser *p, const char **value)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	const char *start = p->s, *close = closing_quote(start + 1, p->end, *start);
	int r;

	if (!close) {
		r = err_set(p->e, EINVAL, "line %d: unterminated quoted value %.*s",
			    line_of(p, start), (int)MIN(line_length(start, p->end), (size_t)200),
			    start);
		return fail_in_file(p, start, r);
	}
	unescape(start + 1, close, *start, &text);
	p->s = close + 1;
	*value = arena_strdup(p->a, buf_str(&text));
	if (*start == '\'')
		return 0;
	r = expand(p, *value, value);
	return r < 0 ? fail_in_file(p, start, r) : 0;
}

/* ---- entries ------------------------------------------------------------------------------- */
static int add_entry(struct parser *p, const char *at, const char *key, const char *value,
		     bool inherited)
{
	struct dotenv *d = p->out;
	int line = line_of(p, at);

	p->value_bytes += value ? strlen(value) : 0;
	if (d->n >= DOTENV_MAX_ENTRIES || p->value_bytes > DOTENV_MAX_VALUES)
		return fail_in_file(p, at, err_set(p->e, E2BIG, "line %d: too many values", line));
	if (d->n == d->cap) {
		struct dotenv_entry *old = d->entries;

		d->cap = d->cap ? d->cap * 2 : 16;
		d->entries = arena_alloc(p->a, d->cap * sizeof(*d->entries));
		if (d->n)
			memcpy(d->entries, old, d->n * sizeof(*old));
	}
	d->entries[d->n++] = (struct dotenv_entry){
		.key = key,
		.value = value,
		.inherited = inherited,
		.line = line,
		.col = (int)(at - p->line_start) + 1,
	};
	if (value)
		map_put(&p->earlier, key, (void *)value);
	return 0;
}

static int add_inherited(struct parser *p, const char *at, const char *key)
{
	const char *value = NULL;

	if (p->vars && p->vars->lookup)
		value = p->vars->lookup(key, p->vars->data).value;
	if (!value)
		value = map_get(&p->earlier, key);
	return add_entry(p, at, key, value ? arena_strdup(p->a, value) : NULL, true);
}

/* ---- statements ---------------------------------------------------------------------------- */
/* To the first byte of the next statement; false at the end. */
static bool next_statement(struct parser *p)
{
	while (p->s < p->end) {
		const char *newline;

		skip_blanks(p);
		if (p->s == p->end)
			return false;
		if (*p->s == '\n') {
			p->s++;
			continue;
		}
		if (*p->s != '#')
			return true;
		newline = memchr(p->s, '\n', (size_t)(p->end - p->s));
		p->s = newline ? newline + 1 : p->end;
	}
	return false;
}

static void skip_export(struct parser *p)
{
	if (p->end - p->s > 7 && memcmp(p->s, "export", 6) == 0 && blank_length(p->s + 6, p->end)) {
		p->s += 6;
		skip_blanks(p);
	}
}

/* Read a key with the '=' or ':' behind it; *bare when the line ends instead. */
static int read_key(struct parser *p, const char **key, bool *bare)
{
	const char *start = p->s, *end = NULL, *s = start;
	size_t n;

	for (; s < p->end && *s != '=' && *s != ':' && *s != '\n'; s += n ? n : 1) {
		n = blank_length(s, p->end);
		if (!n && !is_key_char(*s))
			return fail_character(p, start, s);
	}
	end = trim_end(start, s);
	if (end == start && s < p->end && *s != '\n')
		return fail_character(p, start, s);
	for (const char *at = start; at < end; at++)
		if (blank_length(at, end))
			return fail_in_file(p, start,
					    err_set(p->e, EINVAL,
						    "line %d: key cannot contain a space",
						    line_of(p, start)));
	*bare = s == p->end || *s == '\n';
	*key = arena_strndup(p->a, start, (size_t)(end - start));
	p->s = s < p->end ? s + 1 : s;
	return 0;
}

static int read_statement(struct parser *p)
{
	const char *key = NULL, *value = NULL, *at;
	bool bare = false;
	int r;

	skip_export(p);
	at = p->s;
	r = read_key(p, &key, &bare);
	if (r < 0)
		return r;
	if (bare)
		return *key ? add_inherited(p, at, key) : 0; /* "export" and nothing */
	skip_blanks(p);
	/* Positions are asked for in order, so the entry comes before its value. */
	r = add_entry(p, at, key, NULL, false);
	if (r < 0)
		return r;
	if (p->s < p->end && (*p->s == '"' || *p->s == '\''))
		r = quoted_value(p, &value);
	else
		r = unquoted_value(p, &value);
	if (r < 0)
		return r;
	p->out->entries[p->out->n - 1].value = value;
	p->value_bytes += strlen(value);
	map_put(&p->earlier, key, (void *)value);
	return 0;
}

static int parse_compose(struct parser *p)
{
	while (next_statement(p)) {
		int r = read_statement(p);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- format: raw ------------------------------------------------------------------------------
 */
static int fail_raw(struct parser *p, const char *at, const char *fmt, const char *text)
{
	char clipped[200];
	int r, line = line_of(p, at);

	snprintf(clipped, sizeof(clipped), "%s", text);
	r = err_set(p->e, EINVAL, "failed to parse env_file %s: ", p->file);
	if (p->e) {
		size_t n = strlen(p->e->msg);

		snprintf(p->e->msg + n, sizeof(p->e->msg) - n, fmt, clipped);
	}
	(void)err_at(p->e, p->file, line, (int)(at - p->line_start) + 1); /* returns r */
	return r;
}

static int raw_line(struct parser *p, const char *at, char *line)
{
	char *equals = strchr(line, '=');

	if (equals)
		*equals = '\0';
	if (!*line) {
		*equals = '=';
		return fail_raw(p, at, "no variable name on line '%s'", line);
	}
	if (line[strcspn(line, " \t\v\f\r")])
		return fail_raw(p, at, "variable '%s' contains whitespaces", line);
	if (!equals)
		return add_inherited(p, at, line);
	return add_entry(p, at, line, equals + 1, false);
}

static int parse_raw(struct parser *p)
{
	while (p->s < p->end) {
		size_t n = line_length(p->s, p->end);
		const char *at = p->s, *line_end = p->s + n, *newline;
		int r;

		newline = memchr(p->s, '\n', (size_t)(p->end - p->s));
		p->s = newline ? newline + 1 : p->end;
		while (at < line_end && blank_length(at, line_end))
			at += blank_length(at, line_end);
		if (at == line_end || *at == '#')
			continue;
		r = raw_line(p, at, arena_strndup(p->a, at, (size_t)(line_end - at)));
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- files --------------------------------------------------------------------------------------
 */
int dotenv_parse(struct arena *a, const char *file, const char *text, size_t n,
		 enum dotenv_format format, const struct interp_vars *lookup, struct dotenv *out,
		 struct err *e)
{
	struct parser p = { .a = a, .line = 1, .vars = lookup, .out = out, .e = e };
	const char *nul = n ? memchr(text, '\0', n) : NULL;
	int r;

	p.file = arena_intern(a, file);
	p.s = p.counted = p.line_start = n ? text : "";
	p.end = p.s + n;
	if (n > DOTENV_MAX_SIZE)
		return fail_in_file(&p, p.s,
				    err_set(e, E2BIG, "larger than %u MiB", DOTENV_MAX_SIZE >> 20));
	if (nul)
		return fail_in_file(&p, nul,
				    err_set(e, EINVAL, "line %d: NUL byte", line_of(&p, nul)));
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		p.s = p.counted = p.line_start = text + 3;
	for (size_t i = 0; i < out->n; i++)
		if (out->entries[i].value)
			map_put(&p.earlier, out->entries[i].key, (void *)out->entries[i].value);
	r = format == DOTENV_RAW ? parse_raw(&p) : parse_compose(&p);
	map_done(&p.earlier);
	return r;
}

int dotenv_read(struct arena *a, int dirfd, const char *path, enum dotenv_format format,
		const struct interp_vars *lookup, struct dotenv *out, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(fd_closep) int fd = -EBADF;
	struct stat st;
	int r;

	/* The user's own file: links are followed and a FIFO, as in
	 * --env-file <(pass show x), is waited for. */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ENOENT, "couldn't find env file: %s", path);
	if (fd < 0)
		return err_errno(e, errno, "failed to read %s", path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "%s is a directory", path);
	r = fd_read_all(fd, DOTENV_MAX_SIZE, &text);
	if (r == -EFBIG)
		return err_set(e, E2BIG, "failed to read %s: larger than %u MiB", path,
			       DOTENV_MAX_SIZE >> 20);
	if (r < 0)
		return err_errno(e, -r, "failed to read %s", path);
	return dotenv_parse(a, path, buf_str(&text), text.len, format, lookup, out, e);
}

int dotenv_format_parse(const char *name, enum dotenv_format *out, struct err *e)
{
	if (!*name || streq(name, ".env"))
		*out = DOTENV_COMPOSE;
	else if (streq(name, "raw"))
		*out = DOTENV_RAW;
	else
		return err_set(e, EINVAL, "unsupported env_file format \"%s\"", name);
	return 0;
}

const struct dotenv_entry *dotenv_get(const struct dotenv *d, const char *key)
{
	for (size_t i = d->n; i > 0; i--)
		if (d->entries[i - 1].value && streq(d->entries[i - 1].key, key))
			return &d->entries[i - 1];
	return NULL;
}
