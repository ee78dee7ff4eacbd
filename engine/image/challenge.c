/* engine/image/challenge.c: a reader for the grammar of RFC 9110, 11.2.
 *
 * A comma separates parameters and challenges alike.  What tells them apart: a
 * parameter is a token with "=" behind it, a challenge begins with a token that
 * has none.
 */
#include "engine/image/challenge.h"

#include <ctype.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"

void challenge_done(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->error);
	*c = (struct challenge){ 0 };
}

static bool is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_blank(const char *s)
{
	return s + strspn(s, " \t");
}

static char *take_token(const char **s)
{
	const char *start = *s;

	while (is_token(**s))
		(*s)++;
	return *s == start ? NULL : xstrndup(start, (size_t)(*s - start));
}

/* "…" with backslash escapes; NULL when it does not end or holds control characters. */
static char *take_quoted(const char **s)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *p = *s + 1;

	for (; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		if (iscntrl((unsigned char)*p))
			return NULL;
		buf_addc(&b, *p);
	}
	if (*p != '"')
		return NULL;
	*s = p + 1;
	return b.len ? buf_take(&b) : xstrdup("");
}

static void put_param(struct challenge *c, const char *name, char *value)
{
	const struct {
		const char *name;
		char **to;
	} known[] = { { "realm", &c->realm },
		      { "service", &c->service },
		      { "scope", &c->scope },
		      { "error", &c->error } };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcasecmp(name, known[i].name) != 0 || *known[i].to)
			continue; /* of a repeated one the first counts */
		*known[i].to = value;
		return;
	}
	free(value);
}

/* "name = value" at *s?  1, 0 when it is something else, -EBADMSG. */
static int take_param(const char **s, struct challenge *c)
{
	const char *p = *s;
	_cleanup_(free_p) char *name = take_token(&p);
	char *value;

	p = skip_blank(p);
	if (!name || *p != '=')
		return 0;
	p = skip_blank(p + 1);
	value = *p == '"' ? take_quoted(&p) : take_token(&p);
	if (!value)
		return -EBADMSG;
	put_param(c, name, value);
	*s = p;
	return 1;
}

static int take_params(const char **s, struct challenge *c)
{
	int r = 1;

	while (r > 0) {
		const char *p = *s + strspn(*s, " \t,");

		r = take_param(&p, c);
		if (r > 0)
			*s = p;
	}
	return r;
}

static enum challenge_kind kind_of(const char *scheme)
{
	if (strcasecmp(scheme, "Bearer") == 0)
		return CHALLENGE_BEARER;
	return strcasecmp(scheme, "Basic") == 0 ? CHALLENGE_BASIC : CHALLENGE_NONE;
}

/* token68, as in "Negotiate YII…=": nothing we can use, but no error. */
static void skip_token68(const char **s)
{
	const char *p = skip_blank(*s);

	p += strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/");
	p += strspn(p, "=");
	if (p > *s && (!*p || *p == ','))
		*s = p;
}

int challenge_parse(const char *value, struct challenge *c, struct err *e)
{
	const char *s = value;

	if (strlen(value) > CHALLENGE_MAX)
		return err_set(e, EBADMSG, "the WWW-Authenticate header is too long");
	for (;;) {
		struct challenge one = { 0 };
		_cleanup_(free_p) char *scheme = NULL;

		s += strspn(s, " \t,");
		if (!*s)
			return 0;
		scheme = take_token(&s);
		if (!scheme)
			return err_set(e, EBADMSG, "the WWW-Authenticate header makes no sense");
		one.kind = kind_of(scheme);
		if (one.kind == CHALLENGE_NONE)
			skip_token68(&s);
		if (take_params(&s, &one) < 0) {
			challenge_done(&one);
			return err_set(e, EBADMSG, "the WWW-Authenticate header makes no sense");
		}
		if (one.kind > c->kind) {
			challenge_done(c);
			*c = one;
		} else {
			challenge_done(&one);
		}
	}
}

int retry_after_parse(const char *value, uint64_t now, uint64_t *wait)
{
	static const char *const formats[] = { "%a, %d %b %Y %H:%M:%S GMT",
					       "%A, %d-%b-%y %H:%M:%S GMT",
					       "%a %b %e %H:%M:%S %Y" };
	uint64_t seconds;

	if (parse_u64(value, &seconds)) {
		*wait = MIN(seconds, UINT64_C(1) << 31) * NSEC_PER_SEC;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(value, formats[i], &tm);
		time_t t;

		if (!end || *end)
			continue;
		t = timegm(&tm);
		seconds = (uint64_t)now / NSEC_PER_SEC;
		*wait = t > 0 && (uint64_t)t > seconds
				? MIN((uint64_t)t - seconds, UINT64_C(1) << 31) * NSEC_PER_SEC
				: 0;
		return 0;
	}
	return -EINVAL;
}
