/* engine/image/fetch_auth.c: what a 401 leads to: Basic, or a token.
 *
 * Where credentials go: to the origin (scheme, host, port) they were given for, and
 * to the token server that origin names, if it is reached by https, or is on a host
 * that is insecure by configuration as the registry itself is.  Never along a
 * redirect to another origin (CVE-2020-15157, CVE-2018-1000007), and a 401 from
 * there is an error, not a question.
 */
#include <ctype.h>
#include <curl/curl.h>

#include "base/strv.h"
#include "engine/image/fetch_internal.h"

#define TOKEN_MAX (32U << 10)

static char *scope_of(const struct call *k)
{
	const char *actions = k->actions ? k->actions : "pull";

	if (!k->repo)
		return xstrdup("");
	/* A mount reads from elsewhere. */
	if (k->from)
		return xasprintf("repository:%s:%s repository:%s:pull", k->repo, actions, k->from);
	return xasprintf("repository:%s:%s", k->repo, actions);
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *basic_header(const struct endpoint *p)
{
	_cleanup_(free_p) char *pair = xasprintf("%s:%s", p->user ? p->user : "",
						 p->secret ? p->secret : "");
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const unsigned char *s = (const unsigned char *)pair;

	buf_adds(&b, "Authorization: Basic ");
	for (size_t n = strlen(pair); n; s += 3, n = n > 3 ? n - 3 : 0) {
		unsigned int v = (unsigned int)s[0] << 16 | (n > 1 ? (unsigned int)s[1] << 8 : 0) |
				 (n > 2 ? s[2] : 0);

		buf_addc(&b, base64[v >> 18 & 63]);
		buf_addc(&b, base64[v >> 12 & 63]);
		buf_addc(&b, n > 1 ? base64[v >> 6 & 63] : '=');
		buf_addc(&b, n > 2 ? base64[v & 63] : '=');
	}
	explicit_bzero(pair, strlen(pair));
	return buf_take(&b);
}

bool call_authorize(struct call *k, char ***headers)
{
	struct endpoint *p = k->endpoint;
	_cleanup_(free_p) char *scope = scope_of(k), *origin = url_origin(k->url);
	struct token *t = map_get(&p->tokens, scope);

	if (!origin || !streq(origin, p->origin))
		return false;
	if (t && t->expires > now_mono_ns())
		strv_addf(headers, "Authorization: Bearer %s", t->text);
	else if (p->token)
		strv_addf(headers, "Authorization: Bearer %s", p->token);
	else if (p->basic)
		strv_add_take(headers, basic_header(p));
	else
		return false;
	return true;
}

/* ---- tokens ------------------------------------------------------------------------ */

/* What was tried; never the secret. */
static void fail_unauthorized(struct call *k, const char *who)
{
	const struct endpoint *p = k->endpoint;
	struct err e = ERR_INIT;

	if (p->source)
		err_set(&e, EACCES, "%s refused the credentials (401); tried: %s", who, p->source);
	else
		err_set(&e, EACCES, "%s asks for credentials (401), and there are none", who);
	call_fail(k, 401, &e);
}

/* May credentials go there? */
static bool realm_is_allowed(const struct endpoint *p, const char *realm)
{
	_cleanup_(free_p) char *theirs = NULL, *ours = NULL, *origin = url_origin(realm);

	if (!origin)
		return false;
	if (skip_prefix(origin, "https://"))
		return true;
	theirs = url_host(realm);
	ours = url_host(p->origin);
	return p->insecure && streq_null(theirs, ours);
}

static void add_query(struct buf *b, const char *name, const char *value)
{
	char *safe;

	if (is_empty(value))
		return;
	safe = curl_easy_escape(NULL, value, 0);
	buf_printf(b, "%s%s=%s", b->len ? "&" : "", name, safe ? safe : "");
	curl_free(safe);
}

/* One parameter for each; distribution.github.io/distribution/spec/auth/token. */
static void add_scopes(struct buf *b, const char *scopes)
{
	_cleanup_(strv_freep) char **words = strv_split(scopes, ' ', true);

	STRV_FOREACH (w, words)
		add_query(b, "scope", *w);
}

static void on_token(void *data, struct http_answer *a);

/* An identity token is exchanged by POST (OAuth2), a password by GET and Basic. */
void call_ask_token(struct call *k)
{
	struct endpoint *p = k->endpoint;
	const struct challenge *c = &k->challenge;
	_cleanup_(buf_done) struct buf query = BUF_INIT;
	_cleanup_(free_p) char *url = NULL, *scope = scope_of(k);
	_cleanup_(strv_freep) char **headers = NULL;
	struct http_request q = { .method = p->identity ? "POST" : "GET",
				  .tls = &p->tls,
				  .timeout = k->client->timeout,
				  .body_fd = -EBADF,
				  .out_fd = -EBADF,
				  .out_max = 2 * TOKEN_MAX };
	struct err e = ERR_INIT;

	add_query(&query, "service", c->service);
	add_scopes(&query, c->scope && !k->from ? c->scope : scope);
	if (p->identity) {
		add_query(&query, "grant_type", "refresh_token");
		add_query(&query, "refresh_token", p->identity);
		add_query(&query, "client_id", "comp");
		url = xstrdup(c->realm);
		q.form = buf_str(&query);
	} else {
		add_query(&query, "account", p->user);
		url = xasprintf("%s%c%s", c->realm, strchr(c->realm, '?') ? '&' : '?',
				buf_str(&query));
		if (p->user)
			strv_add_take(&headers, basic_header(p));
	}
	q.url = url;
	q.headers = headers;
	if (http_start(k->client->http, &q, on_token, NULL, k, &k->transfer, &e) < 0)
		call_fail(k, 0, &e);
	STRV_FOREACH (h, headers)
		explicit_bzero(*h, strlen(*h));
	if (query.data)
		explicit_bzero(query.data, query.len);
}

static bool token_is_valid(const char *s)
{
	if (is_empty(s) || strlen(s) > TOKEN_MAX)
		return false;
	for (; *s; s++)
		if (!isgraph((unsigned char)*s))
			return false;
	return true;
}

static void keep_token(struct call *k, json *o, const char *text)
{
	_cleanup_(free_p) char *scope = scope_of(k);
	int64_t seconds = json_get_int(o, "expires_in", 60);
	struct token *t = new0(struct token);

	seconds = seconds < 10 ? 10 : MIN(seconds, INT64_C(86400));
	t->text = xstrdup(text);
	t->expires = now_mono_ns() + (uint64_t)seconds * 9 / 10 * NSEC_PER_SEC;
	map_put(&k->endpoint->tokens, scope, t);
}

static void token_refused(struct call *k, const struct http_answer *a)
{
	_cleanup_(free_p) char *said = call_message(a);

	if (a->status == 401 || a->status == 403)
		fail_unauthorized(k, "the registry's token server");
	else
		call_failf(k, a->status, EIO, "the registry's token server answered %d%s%s",
			   a->status, said ? ": " : "", said ? said : "");
}

static void on_token(void *data, struct http_answer *a)
{
	struct call *k = data;
	_cleanup_(json_unrefp) json *o = NULL;
	const char *text;

	k->transfer = NULL;
	if (a->e.code && !a->transient) {
		call_failf(k, a->status, a->e.code, "the registry's token server: %s", a->e.msg);
		return;
	}
	if (a->e.code || a->status == 429 || a->status >= 500) {
		call_retry(k, a);
		return;
	}
	if (a->status != 200) {
		token_refused(k, a);
		return;
	}
	(void)json_parse(buf_str(&a->body), a->body.len, &o, NULL); /* NULL has no token */
	text = json_get_str(o, "token") ?: json_get_str(o, "access_token");
	if (!token_is_valid(text)) {
		call_failf(k, a->status, EPROTO, "the registry's token server gave no token");
		return;
	}
	keep_token(k, o, text);
	k->step = k->after_token;
	call_send(k);
}

void call_unauthorized(struct call *k, const struct http_answer *a)
{
	struct endpoint *p = k->endpoint;
	struct err e = ERR_INIT;

	if (k->foreign) {
		call_failf(k, 401, EACCES,
			   "the host the registry redirects to asks for credentials (401)");
		return;
	}
	challenge_done(&k->challenge);
	if (a->challenge && challenge_parse(a->challenge, &k->challenge, &e) < 0) {
		call_fail(k, 401, &e);
		return;
	}
	/* Once with a fresh token: the one we had may have expired. */
	if (k->n_auth++ >= 2 || k->challenge.kind == CHALLENGE_NONE) {
		fail_unauthorized(k, "the registry");
	} else if (k->challenge.kind == CHALLENGE_BASIC) {
		if (k->vouched || !p->user) {
			fail_unauthorized(k, "the registry");
			return;
		}
		p->basic = true;
		call_send(k);
	} else if (is_empty(k->challenge.realm) || !realm_is_allowed(p, k->challenge.realm)) {
		call_failf(k, 401, EPROTO,
			   "the registry names a token server that credentials may not go to: "
			   "\"%.200s\"",
			   k->challenge.realm ? k->challenge.realm : "");
	} else {
		k->after_token = k->step;
		k->step = STEP_TOKEN;
		call_ask_token(k);
	}
}
