/* engine/build/expand.c: one pass over a word, quotes and ${…} by recursion.
 *
 * The rules are those of BuildKit's shell lexer, which only looks like a shell:
 * nothing but variables is replaced, a replaced value is not looked at again, and a
 * word keeps its blanks unless it is asked to be split.  The depth of ${a:-${b:-…}}
 * and the size of what comes out are bounded.
 */
#include "engine/build/expand.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/strv.h"
#include "engine/build/shell_pattern.h"

#define DEPTH_MAX 32

struct lexer {
	const struct scope *scope;
	const char *p;
	char escape;
	bool plain_quotes; /* quotes are text: heredoc bodies */
	int depth;
};

/* Where output goes: always to @text; as words too when @list is set. */
struct sink {
	struct buf text;
	char ***list;
	struct buf word;
	bool in_word;
	size_t n_words;
};

static void sink_done(struct sink *s)
{
	buf_done(&s->text);
	buf_done(&s->word);
}

static void end_word(struct sink *s)
{
	if (s->in_word && s->n_words++ < DOCKERFILE_MAX_WORDS)
		strv_add(s->list, buf_str(&s->word));
	buf_truncate(&s->word, 0);
	s->in_word = false;
}

/* @quoted: blanks in it do not end the word, and even "" is one. */
static void emit(struct sink *s, const char *text, size_t n, bool quoted)
{
	buf_add(&s->text, text, n);
	if (!s->list)
		return;
	s->in_word |= quoted;
	for (size_t i = 0; i < n; i++) {
		if (!quoted && isspace((unsigned char)text[i])) {
			end_word(s);
		} else {
			buf_addc(&s->word, text[i]);
			s->in_word = true;
		}
	}
}

static int lex(struct lexer *l, char stop, bool raw_escapes, struct sink *out, struct err *e);

/* ---- ${…} ------------------------------------------------------------------------------- */

/* A name, a number or one special parameter; "" when there is none. */
static char *take_name(struct lexer *l)
{
	const char *begin = l->p;

	if (isdigit((unsigned char)*l->p))
		while (isdigit((unsigned char)*l->p))
			l->p++;
	else if (*l->p && strchr("@*#?-$!", *l->p))
		l->p++;
	else
		while (isalnum((unsigned char)*l->p) || *l->p == '_')
			l->p++;
	return xstrndup(begin, (size_t)(l->p - begin));
}

/* The text up to @stop, which is taken too, with variables replaced. */
static int take_until(struct lexer *l, char stop, bool raw_escapes, char **out, struct err *e)
{
	_cleanup_(sink_done) struct sink s = { 0 };
	int r;

	if (++l->depth > DEPTH_MAX)
		return err_set(e, E2BIG, "${…} nested more than %d deep", DEPTH_MAX);
	r = lex(l, stop, raw_escapes, &s, e);
	l->depth--;
	if (r < 0)
		return r;
	*out = buf_take(&s.text);
	return 0;
}

static int must_be_set(const char *name, const char *value, bool null_is_unset, const char *word,
		       struct err *e)
{
	if (!value)
		return err_set(e, EINVAL, "%.100s: %.400s", name,
			       *word ? word : "is not allowed to be unset");
	if (null_is_unset && !*value)
		return err_set(e, EINVAL, "%.100s: %.400s", name,
			       *word ? word : "is not allowed to be empty");
	return 0;
}

/* ${name/pattern/word} and ${name//pattern/word}; l->p stands behind the first '/'. */
static int replace(struct lexer *l, const char *value, char **out, struct err *e)
{
	_cleanup_(free_p) char *pattern = NULL, *word = NULL;
	bool all = *l->p == '/';
	int r;

	l->p += all;
	r = take_until(l, '/', true, &pattern, e);
	if (r == 0)
		r = take_until(l, '}', true, &word, e);
	if (r == 0)
		r = shell_pattern_replace(pattern, l->escape, value ? value : "", word, all, out,
					  e);
	return r;
}

/* The forms with an operator in front of a word. */
static int with_word(struct lexer *l, char op, bool null_is_unset, const char *name,
		     const char *value, char **out, struct err *e)
{
	bool trims = op == '#' || op == '%', unset = !value || (null_is_unset && !*value);
	_cleanup_(free_p) char *word = NULL;
	int r;

	if (trims && null_is_unset)
		return err_set(e, EINVAL, "unsupported modifier (:%c) in substitution", op);
	r = take_until(l, '}', trims, &word, e);
	if (r < 0)
		return r;
	switch (op) {
	case '-':
		*out = xstrdup(unset ? word : value);
		return 0;
	case '+':
		*out = xstrdup(unset ? "" : word);
		return 0;
	case '?':
		r = must_be_set(name, value, null_is_unset, word, e);
		if (r == 0)
			*out = xstrdup(value);
		return r;
	default:
		return shell_pattern_trim(word, l->escape, value ? value : "", op == '%', out, e);
	}
}

/* l->p stands behind "${". */
static int braces(struct lexer *l, char **out, struct err *e)
{
	_cleanup_(free_p) char *name = NULL;
	bool null_is_unset = false;
	const char *value;
	char op;

	if (!*l->p)
		return err_set(e, EINVAL, "syntax error: missing '}'");
	if (strchr("{}:", *l->p))
		return err_set(e, EINVAL, "syntax error: bad substitution");
	name = take_name(l);
	value = scope_get(l->scope, name);
	op = *l->p;
	if (!op)
		return err_set(e, EINVAL, "syntax error: missing '}'");
	l->p++;
	if (op == '}') {
		*out = xstrdup(value ? value : "");
		return 0;
	}
	if (op == '/')
		return replace(l, value, out, e);
	if (op == ':') {
		null_is_unset = true;
		op = *l->p;
		if (op)
			l->p++;
	}
	if (op && strchr("+-?#%", op))
		return with_word(l, op, null_is_unset, name, value, out, e);
	if (!op)
		return err_set(e, EINVAL, "syntax error: missing '}'");
	return err_set(e, EINVAL, "unsupported modifier (%s%c) in substitution",
		       null_is_unset ? ":" : "", op);
}

/* l->p stands behind '$'. */
static int dollar(struct lexer *l, struct sink *out, bool quoted, struct err *e)
{
	_cleanup_(free_p) char *value = NULL, *name = NULL;
	const char *text;
	int r;

	if (*l->p == '{') {
		l->p++;
		r = braces(l, &value, e);
		if (r < 0)
			return r;
		text = value;
	} else {
		name = take_name(l);
		text = *name ? scope_get(l->scope, name) : "$";
	}
	if (text && out->text.len + strlen(text) > EXPAND_MAX)
		return err_set(e, EFBIG, "expands to more than %u bytes", EXPAND_MAX);
	if (text)
		emit(out, text, strlen(text), quoted);
	return 0;
}

/* ---- quotes ------------------------------------------------------------------------------- */

static int single_quotes(struct lexer *l, struct sink *out, struct err *e)
{
	const char *end = strchr(l->p, '\'');

	if (!end)
		return err_set(
			e, EINVAL,
			"unexpected end of statement while looking for matching single-quote");
	emit(out, l->p, (size_t)(end - l->p), true);
	l->p = end + 1;
	return 0;
}

static int double_quotes(struct lexer *l, bool raw_escapes, struct sink *out, struct err *e)
{
	int r;

	emit(out, "", 0, true);
	while (*l->p && *l->p != '"') {
		if (*l->p == '$') {
			l->p++;
			r = dollar(l, out, true, e);
			if (r < 0)
				return r;
			continue;
		}
		if (*l->p == l->escape) {
			char next = l->p[1];
			bool special = next == '"' || next == '$' || next == l->escape;

			if (raw_escapes || (next && !special))
				emit(out, l->p, 1, true);
			l->p++;
			if (!special)
				continue;
		}
		emit(out, l->p++, 1, true);
	}
	if (!*l->p)
		return err_set(
			e, EINVAL,
			"unexpected end of statement while looking for matching double-quote");
	l->p++;
	return 0;
}

/* One character that is none of $ ' " */
static void ordinary(struct lexer *l, bool raw_escapes, struct sink *out)
{
	if (*l->p != l->escape) {
		emit(out, l->p++, 1, false);
		return;
	}
	if (raw_escapes)
		emit(out, l->p, 1, true);
	l->p++;
	if (*l->p)
		emit(out, l->p++, 1, true);
}

static int lex(struct lexer *l, char stop, bool raw_escapes, struct sink *out, struct err *e)
{
	int r = 0;

	while (*l->p && r == 0) {
		char c = *l->p;

		if (stop && c == stop) {
			l->p++;
			return 0;
		}
		if (c == '$') {
			l->p++;
			r = dollar(l, out, false, e);
		} else if (c == '\'' && !l->plain_quotes) {
			l->p++;
			r = single_quotes(l, out, e);
		} else if (c == '"' && !l->plain_quotes) {
			l->p++;
			r = double_quotes(l, raw_escapes, out, e);
		} else {
			ordinary(l, raw_escapes, out);
		}
	}
	if (r == 0 && stop)
		return err_set(e, EINVAL, "syntax error: missing '%c' in ${}", stop);
	return r;
}

/* ---- entrances ------------------------------------------------------------------------------ */

static int expand(const struct scope *s, const char *text, bool heredoc, char **out, char ***words,
		  struct err *e)
{
	struct lexer l = {
		.scope = s, .p = text, .escape = heredoc ? '\\' : s->escape, .plain_quotes = heredoc
	};
	_cleanup_(sink_done) struct sink sink = { .list = words };
	int r = lex(&l, '\0', false, &sink, e);

	if (r < 0)
		return err_wrap(e, r, "cannot expand \"%.200s\"", text);
	if (words)
		end_word(&sink);
	else
		*out = buf_take(&sink.text);
	if (sink.n_words > DOCKERFILE_MAX_WORDS)
		return err_set(e, E2BIG, "more than %d words", DOCKERFILE_MAX_WORDS);
	return 0;
}

int expand_word(const struct scope *s, const char *word, char **out, struct err *e)
{
	return expand(s, word, false, out, NULL, e);
}

int expand_words(const struct scope *s, const char *text, char ***out, struct err *e)
{
	_cleanup_(strv_freep) char **words = xcalloc(1, sizeof(*words));
	int r = expand(s, text, false, NULL, &words, e);

	if (r == 0)
		*out = TAKE_PTR(words);
	return r;
}

int expand_text(const struct scope *s, const char *text, char **out, struct err *e)
{
	return expand(s, text, true, out, NULL, e);
}
