/* engine/build/ignore.c: patterns in order, and what each said of the parents.
 *
 * The state of a directory is one bit per pattern: did it match here or above.  A
 * pattern whose bit is set is not tried again below, it simply holds.  As in moby's
 * matcher a pattern that could not change the answer is not tried: a plain one when
 * the path is ignored already, a `!` one when it is not.
 */
#include "engine/build/ignore.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/path.h"
#include "engine/build/wildcard.h"

struct pattern {
	char *text;  /* as written */
	char *fixed; /* leading components without wildcards */
	bool negated, plain;
	struct wildcard *w;
};

struct ignore {
	struct pattern *patterns;
	size_t n;
	bool negations;
};

struct ignore_state {
	bool *matched; /* by pattern */
};

static char *trimmed(const char *s, size_t n)
{
	while (n > 0 && isspace((unsigned char)*s)) {
		s++;
		n--;
	}
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	return xstrndup(s, n);
}

static int add_pattern(struct ignore *i, const char *text, struct err *e)
{
	struct pattern p = { .negated = *text == '!' };
	_cleanup_(free_p) char *rest = trimmed(text + p.negated, strlen(text + p.negated));
	_cleanup_(free_p) char *clean = NULL;
	const char *pattern;
	int r;

	if (!*rest)
		return p.negated ? err_set(e, EINVAL, "\"!\" needs a pattern behind it") : 0;
	if (i->n == IGNORE_MAX_PATTERNS)
		return err_set(e, E2BIG, "more than %d patterns", IGNORE_MAX_PATTERNS);
	clean = path_clean(rest);
	pattern = clean[0] == '/' && clean[1] ? clean + 1 : clean;
	r = wildcard_new(pattern, true, &p.w, e);
	if (r < 0)
		return r;
	p.text = xstrdup(text);
	p.fixed = wildcard_fixed_part(pattern);
	p.plain = !wildcard_is_pattern(pattern);
	i->negations |= p.negated;
	i->patterns = xreallocarray(i->patterns, i->n + 1, sizeof(p));
	i->patterns[i->n++] = p;
	return 0;
}

int ignore_parse(const char *name, const char *text, size_t n, struct ignore **out, struct err *e)
{
	_cleanup_(ignore_freep) struct ignore *i = new0(struct ignore);
	const char *end = text + n;
	int line = 1;

	if (n > IGNORE_MAX_SIZE)
		return err_set(e, EFBIG, "%s is larger than %u bytes", name, IGNORE_MAX_SIZE);
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (const char *next; text < end; text = next + 1, line++) {
		_cleanup_(free_p) char *pattern = NULL;
		int r;

		next = memchr(text, '\n', (size_t)(end - text));
		if (!next)
			next = end;
		if (*text == '#')
			continue;
		pattern = trimmed(text, (size_t)(next - text));
		r = add_pattern(i, pattern, e);
		if (r < 0) {
			err_at(e, name, line, 0);
			return r;
		}
	}
	*out = TAKE_PTR(i);
	return 0;
}

int ignore_new(char *const *patterns, struct ignore **out, struct err *e)
{
	_cleanup_(ignore_freep) struct ignore *i = new0(struct ignore);

	for (; patterns && *patterns; patterns++) {
		_cleanup_(free_p) char *text = trimmed(*patterns, strlen(*patterns));
		int r = add_pattern(i, text, e);

		if (r < 0)
			return r;
	}
	*out = TAKE_PTR(i);
	return 0;
}

void ignore_free(struct ignore *i)
{
	if (!i)
		return;
	for (size_t k = 0; k < i->n; k++) {
		free(i->patterns[k].text);
		free(i->patterns[k].fixed);
		wildcard_free(i->patterns[k].w);
	}
	free(i->patterns);
	free(i);
}

bool ignore_empty(const struct ignore *i)
{
	return !i || i->n == 0;
}

/* Try @path, whose parent is @parent.  @now: the new bits, one per pattern.  Returns
 * the pattern that hides it or NULL. */
static const struct pattern *decide(const struct ignore *i, const bool *parent, const char *path,
				    bool *now)
{
	const struct pattern *hidden_by = NULL;

	for (size_t k = 0; k < i->n; k++) {
		const struct pattern *p = &i->patterns[k];

		now[k] = parent && parent[k];
		if (!now[k]) {
			if (p->negated != (hidden_by != NULL))
				continue;
			now[k] = wildcard_test(p->w, path);
		}
		if (now[k])
			hidden_by = p->negated ? NULL : p;
	}
	return hidden_by;
}

static const struct pattern *culprit(const struct ignore *i, const char *path)
{
	_cleanup_(free_p) char *part = NULL;
	_cleanup_(free_p) bool *bits = NULL;
	const struct pattern *p = NULL;

	if (ignore_empty(i))
		return NULL;
	part = xstrdup(path);
	bits = xcalloc(i->n, sizeof(*bits));
	for (size_t n = strcspn(path, "/");; n += 1 + strcspn(path + n + 1, "/")) {
		part[n] = '\0';
		p = decide(i, bits, part, bits);
		if (!path[n])
			return p;
		part[n] = '/';
	}
}

bool ignore_match(const struct ignore *i, const char *path)
{
	return culprit(i, path) != NULL;
}

const char *ignore_culprit(const struct ignore *i, const char *path)
{
	const struct pattern *p = culprit(i, path);

	return p ? p->text : NULL;
}

bool ignore_match_below(const struct ignore *i, const struct ignore_state *parent, const char *path,
			struct ignore_state **state)
{
	struct ignore_state *s = new0(struct ignore_state);
	bool hidden = false;

	if (!ignore_empty(i)) {
		s->matched = xcalloc(i->n, sizeof(bool));
		hidden = decide(i, parent ? parent->matched : NULL, path, s->matched) != NULL;
	}
	if (state)
		*state = s;
	else
		ignore_state_free(s);
	return hidden;
}

void ignore_state_free(struct ignore_state *s)
{
	if (!s)
		return;
	free(s->matched);
	free(s);
}

/* Is @a the path @b or a directory above it?  "" is above everything. */
static bool is_above(const char *a, const char *b)
{
	const char *rest = skip_prefix(b, a);

	return !*a || (rest && (!*rest || *rest == '/'));
}

bool ignore_may_hold_wanted(const struct ignore *i, const char *dir)
{
	if (ignore_empty(i) || !i->negations)
		return false;
	for (size_t k = 0; k < i->n; k++) {
		const struct pattern *p = &i->patterns[k];

		if (!p->negated)
			continue;
		if (is_above(dir, p->fixed) || (!p->plain && is_above(p->fixed, dir)))
			return true;
	}
	return false;
}
