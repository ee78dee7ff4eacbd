/* engine/build/shell_pattern.c: as in wildcard.c, the set of places in the pattern
 * is carried along the text, so one look takes pattern × text steps at most.  A
 * search for a replacement begins at every place of the text, which is one more
 * factor; a budget of steps ends what a hostile Dockerfile could make of that.
 */
#include "engine/build/shell_pattern.h"

#include "base/buf.h"
#include "engine/build/expand.h"

#define STEPS_MAX (64U << 20)

#define ANY_RUN (-1)
#define ANY_ONE (-2)

struct pattern {
	int *tokens; /* a byte, ANY_RUN or ANY_ONE */
	size_t n;
	bool *now, *next; /* places: before token i */
	uint64_t steps;
};

static void pattern_done(struct pattern *p)
{
	free(p->tokens);
	free(p->now);
	free(p->next);
}

static int compile(struct pattern *p, const char *text, char escape, struct err *e)
{
	p->tokens = xcalloc(strlen(text) + 1, sizeof(int));
	for (const char *s = text; *s; s++) {
		int token = *s == '*' ? ANY_RUN : *s == '?' ? ANY_ONE : (unsigned char)*s;

		if (*s == escape) {
			s++;
			if (!*s || (!strchr("*?}/", *s) && *s != escape))
				return err_set(e, EINVAL,
					       "invalid pattern (%.100s) in substitution: only "
					       "* ? / } %c can be escaped",
					       text, escape);
			token = (unsigned char)*s;
		}
		if (token == ANY_RUN && p->n > 0 && p->tokens[p->n - 1] == ANY_RUN)
			continue;
		p->tokens[p->n++] = token;
	}
	p->now = xcalloc(p->n + 1, sizeof(bool));
	p->next = xcalloc(p->n + 1, sizeof(bool));
	return 0;
}

static void enter(const struct pattern *p, bool *set, size_t i)
{
	set[i] = true;
	while (i < p->n && p->tokens[i] == ANY_RUN)
		set[++i] = true;
}

/* Bytes that continue a UTF-8 character belong to it: `?` takes them all. */
static bool continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static bool advance(struct pattern *p, const char *text, size_t at, size_t n)
{
	bool any = false, *swap = p->now;

	memset(p->next, 0, p->n + 1);
	for (size_t i = 0; i < p->n; i++) {
		int token = p->tokens[i];

		if (!p->now[i])
			continue;
		any = true;
		if (token == ANY_RUN)
			enter(p, p->next, i);
		else if (token == ANY_ONE && at + 1 < n && continues(text[at + 1]))
			p->next[i] = true;
		else if (token == ANY_ONE || token == (unsigned char)text[at])
			enter(p, p->next, i + 1);
	}
	p->steps += p->n + 1;
	p->now = p->next;
	p->next = swap;
	return any;
}

/* Length of the shortest or longest match at the start of @text; -1: none. */
static ssize_t match_prefix(struct pattern *p, const char *text, size_t n, bool longest)
{
	ssize_t found = -1;

	memset(p->now, 0, p->n + 1);
	enter(p, p->now, 0);
	for (size_t i = 0;; i++) {
		if (p->now[p->n]) {
			found = (ssize_t)i;
			if (!longest)
				return found;
		}
		if (i == n || p->steps > STEPS_MAX || !advance(p, text, i, n))
			return found;
	}
}

static int too_slow(struct err *e)
{
	return err_set(e, E2BIG, "a pattern in ${} takes too long to match");
}

/* Where the shortest or longest match that reaches the end begins; -1: none. */
static ssize_t match_suffix(struct pattern *p, const char *text, size_t n, bool longest)
{
	for (size_t i = 0; i <= n && p->steps <= STEPS_MAX; i++) {
		size_t from = longest ? i : n - i;

		if (from < n && continues(text[from]))
			continue;
		memset(p->now, 0, p->n + 1);
		enter(p, p->now, 0);
		for (size_t at = from; at < n; at++)
			if (!advance(p, text, at, n) || p->steps > STEPS_MAX)
				break;
		if (p->now[p->n])
			return (ssize_t)from;
	}
	return -1;
}

int shell_pattern_trim(const char *pattern, char escape, const char *value, bool suffix, char **out,
		       struct err *e)
{
	_cleanup_(pattern_done) struct pattern p = { 0 };
	bool longest = *pattern == (suffix ? '%' : '#');
	size_t n = strlen(value);
	ssize_t at;
	int r = compile(&p, pattern + longest, escape, e);

	if (r < 0)
		return r;
	at = suffix ? match_suffix(&p, value, n, longest) : match_prefix(&p, value, n, longest);
	if (p.steps > STEPS_MAX)
		return too_slow(e);
	if (at < 0)
		*out = xstrdup(value);
	else
		*out = suffix ? xstrndup(value, (size_t)at) : xstrdup(value + at);
	return 0;
}

int shell_pattern_replace(const char *pattern, char escape, const char *value, const char *word,
			  bool all, char **out, struct err *e)
{
	_cleanup_(pattern_done) struct pattern p = { 0 };
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	size_t n = strlen(value), n_word = strlen(word);
	bool more = true;
	int r = compile(&p, pattern, escape, e);

	if (r < 0)
		return r;
	if (p.n == 0 || n == 0) {
		*out = xstrdup(n == 0 && p.n == 1 && p.tokens[0] == ANY_RUN ? word : value);
		return 0;
	}
	for (size_t i = 0; i < n;) {
		ssize_t found = more ? match_prefix(&p, value + i, n - i, true) : -1;

		if (p.steps > STEPS_MAX)
			return too_slow(e);
		if (found > 0) {
			buf_add(&text, word, n_word);
			i += (size_t)found;
			more = all;
		} else {
			buf_addc(&text, value[i++]);
		}
		if (text.len > EXPAND_MAX)
			return err_set(e, E2BIG, "${} expands to more than %u bytes", EXPAND_MAX);
	}
	*out = buf_take(&text);
	return 0;
}
