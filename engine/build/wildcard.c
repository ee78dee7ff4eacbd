/* engine/build/wildcard.c: a pattern becomes a row of tokens, and matching walks
 * the name once with the set of tokens that may come next.
 *
 * There is no backtracking, so a hostile pattern such as `*a*a*a*b` costs its length
 * per character and not an exponential of it.  `**` has the two meanings that moby's
 * matcher gives it: in front of anything it is "nothing, or any components up to
 * and with a slash", at the end it is everything.
 */
#include "engine/build/wildcard.h"

#include "base/buf.h"

#define BAD_BYTE 0x110000U /* a byte that is not UTF-8, above every character */

enum token_kind {
	LITERAL,
	ONE,      /* ? */
	CLASS,    /* […] */
	STAR,     /* * : any run without '/' */
	DIRS,     /* ** before something: "", or anything that ends in '/' */
	ANYTHING, /* ** at the end */
	SUFFIX,   /* ** at the start of an otherwise plain pattern: any run at all */
};

struct range {
	uint32_t lo, hi;
};

struct token {
	enum token_kind kind;
	uint32_t c; /* LITERAL */
	bool negated;
	struct range *ranges;
	size_t n_ranges;
};

struct wildcard {
	struct token *tokens;
	size_t n;
	char *plain; /* the pattern unquoted, when there is nothing in it to try */
};

/* One character off *p; what is not UTF-8 is taken byte by byte. */
static uint32_t next_char(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	int more = s[0] >= 0xf0 && s[0] < 0xf5 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc2 ? 1 : 0;
	uint32_t c = s[0];

	if (s[0] < 0x80) {
		(*p)++;
		return c;
	}
	if (s[0] >= 0xf5)
		more = 0;
	c = more == 3 ? c & 0x07 : more == 2 ? c & 0x0f : c & 0x1f;
	for (int i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			more = 0;
			break;
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	if (more == 0)
		c = BAD_BYTE + s[0];
	*p += more + 1;
	return c;
}

static struct token *add_token(struct wildcard *w, enum token_kind kind)
{
	w->tokens = xreallocarray(w->tokens, w->n + 1, sizeof(*w->tokens));
	w->tokens[w->n] = (struct token){ .kind = kind };
	return &w->tokens[w->n++];
}

/* One end of a range inside brackets. */
static int class_char(const char **p, const char *pattern, uint32_t *c, struct err *e)
{
	if (**p == '\\')
		(*p)++;
	else if (**p == ']' || **p == '-')
		return err_set(e, EINVAL, "bad pattern \"%.200s\": put \\ before %c inside [ ]",
			       pattern, **p);
	if (!**p)
		return err_set(e, EINVAL, "bad pattern \"%.200s\": [ without ]", pattern);
	*c = next_char(p);
	return 0;
}

/* *p stands behind '['. */
static int add_class(struct wildcard *w, const char **p, const char *pattern, struct err *e)
{
	struct token *t = add_token(w, CLASS);

	if (**p == '^') {
		t->negated = true;
		(*p)++;
	}
	do {
		struct range r = { 0 };
		int ret = class_char(p, pattern, &r.lo, e);

		if (ret < 0)
			return ret;
		r.hi = r.lo;
		if (**p == '-') {
			(*p)++;
			ret = class_char(p, pattern, &r.hi, e);
			if (ret < 0)
				return ret;
		}
		t->ranges = xreallocarray(t->ranges, t->n_ranges + 1, sizeof(r));
		t->ranges[t->n_ranges++] = r;
	} while (**p != ']');
	(*p)++;
	return 0;
}

/* *p stands behind the first '*'. */
static void add_star(struct wildcard *w, const char **p, bool deep)
{
	if (!deep || **p != '*') {
		if (w->n == 0 || w->tokens[w->n - 1].kind != STAR)
			add_token(w, STAR);
		return;
	}
	(*p)++;
	if (**p == '/')
		(*p)++;
	add_token(w, **p ? DIRS : ANYTHING);
}

/* Moby matches `**foo` and `**` + "/foo" by the end of the path when nothing else
 * in the pattern is special; then `**foo` also matches "barfoo". */
static void note_suffix(struct wildcard *w, const char *pattern)
{
	for (size_t i = 1; i < w->n; i++)
		if (w->tokens[i].kind != LITERAL)
			return;
	if (w->n > 1 && w->tokens[0].kind == DIRS && pattern[2] != '/')
		w->tokens[0].kind = SUFFIX;
}

static void note_plain(struct wildcard *w, const char *pattern)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	for (size_t i = 0; i < w->n; i++)
		if (w->tokens[i].kind != LITERAL)
			return;
	for (const char *p = pattern; *p; p++) {
		if (*p == '\\')
			p++;
		buf_addc(&text, *p);
	}
	w->plain = xstrdup(buf_str(&text));
}

static int compile(struct wildcard *w, const char *pattern, bool deep, struct err *e)
{
	const char *p = pattern;
	int r = 0;

	while (*p && r == 0) {
		switch (*p) {
		case '*':
			p++;
			add_star(w, &p, deep);
			break;
		case '?':
			p++;
			add_token(w, ONE);
			break;
		case '[':
			p++;
			r = add_class(w, &p, pattern, e);
			break;
		case '\\':
			if (!*++p)
				return err_set(e, EINVAL, "bad pattern \"%.200s\": \\ at its end",
					       pattern);
			/* fallthrough */
		default: {
			struct token *t = add_token(w, LITERAL);

			t->c = next_char(&p);
		}
		}
	}
	if (r < 0)
		return r;
	note_suffix(w, pattern);
	note_plain(w, pattern);
	return 0;
}

int wildcard_new(const char *pattern, bool deep, struct wildcard **out, struct err *e)
{
	_cleanup_(wildcard_freep) struct wildcard *w = new0(struct wildcard);
	int r = compile(w, pattern, deep, e);

	if (r < 0)
		return r;
	*out = TAKE_PTR(w);
	return 0;
}

void wildcard_free(struct wildcard *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++)
		free(w->tokens[i].ranges);
	free(w->tokens);
	free(w->plain);
	free(w);
}

/* ---- matching --------------------------------------------------------------------------- */

static bool in_class(const struct token *t, uint32_t c)
{
	for (size_t i = 0; i < t->n_ranges; i++)
		if (c >= t->ranges[i].lo && c <= t->ranges[i].hi)
			return !t->negated;
	return t->negated;
}

/* Being before token @i is possible; so is being behind it if it may be empty. */
static void enter(const struct wildcard *w, bool *set, size_t i)
{
	set[i] = true;
	while (i < w->n && w->tokens[i].kind >= STAR)
		set[++i] = true;
}

/* Take @c from every possible place; false when no place is left. */
static bool step(const struct wildcard *w, const bool *from, bool *to, uint32_t c)
{
	bool any = false;

	memset(to, 0, w->n + 1);
	for (size_t i = 0; i < w->n; i++) {
		const struct token *t = &w->tokens[i];
		size_t next = i + 1;

		if (!from[i])
			continue;
		switch (t->kind) {
		case LITERAL:
			if (t->c != c)
				continue;
			break;
		case ONE:
			if (c == '/')
				continue;
			break;
		case CLASS:
			if (!in_class(t, c))
				continue;
			break;
		case STAR:
			if (c == '/')
				continue;
			next = i;
			break;
		case DIRS:
			/* Still inside, and through only where a component ends: the
			 * place behind must not be entered with it. */
			to[i] = any = true;
			if (c != '/')
				continue;
			break;
		case ANYTHING:
		case SUFFIX:
			next = i;
			break;
		}
		enter(w, to, next);
		any = true;
	}
	return any;
}

bool wildcard_test(const struct wildcard *w, const char *name)
{
	_cleanup_(free_p) bool *heap = NULL;
	bool local[2 * 64], *now = local, *then;

	if (w->plain)
		return streq(w->plain, name);
	if (w->n + 1 > ARRAY_SIZE(local) / 2)
		now = heap = xcalloc(2 * (w->n + 1), sizeof(bool));
	then = now + w->n + 1;
	memset(now, 0, w->n + 1);
	enter(w, now, 0);
	while (*name) {
		bool *swap = now;

		if (!step(w, now, then, next_char(&name)))
			return false;
		now = then;
		then = swap;
	}
	return now[w->n];
}

static bool match(const char *pattern, const char *name, bool deep)
{
	_cleanup_(wildcard_freep) struct wildcard *w = NULL;

	return wildcard_new(pattern, deep, &w, NULL) == 0 && wildcard_test(w, name);
}

bool wildcard_match(const char *pattern, const char *name)
{
	return match(pattern, name, false);
}

bool wildcard_match_deep(const char *pattern, const char *path)
{
	return match(pattern, path, true);
}

/* ---- text ------------------------------------------------------------------------------- */

bool wildcard_is_pattern(const char *s)
{
	return strpbrk(s, "*?[\\") != NULL;
}

int wildcard_check(const char *pattern, struct err *e)
{
	_cleanup_(wildcard_freep) struct wildcard *w = NULL;

	return wildcard_new(pattern, true, &w, e);
}

char *wildcard_quote(const char *path)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	for (; *path; path++) {
		if (strchr("*?[\\", *path))
			buf_addc(&out, '\\');
		buf_addc(&out, *path);
	}
	return buf_take(&out);
}

char *wildcard_fixed_part(const char *pattern)
{
	size_t special = strcspn(pattern, "*?[\\");

	if (!pattern[special])
		return xstrdup(pattern);
	while (special > 0 && pattern[special] != '/')
		special--;
	return xstrndup(pattern, special);
}
