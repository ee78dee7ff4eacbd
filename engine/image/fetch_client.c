/* engine/image/fetch_client.c: each request of comp's is a `struct call`, which walks
 * through HTTP requests until it has an answer:
 *
 *	SEND ─ 401 → TOKEN → SEND	(once for each kind of credentials)
 *	SEND ─ 3xx → SEND elsewhere	(five times at most)
 *	SEND ─ 429, 5xx, a cut → WAIT → SEND, from the byte that is next
 *	upload: SEND is HEAD, then POST, then PUT to where POST said
 *
 * Where credentials go: to the origin (scheme, host, port) they were given for, and
 * to the token server that origin names, if it is reached by https, or is on a host
 * that is insecure by configuration as the registry itself is.  Never along a
 * redirect to another origin (CVE-2020-15157, CVE-2018-1000007), and a 401 from
 * there is an error, not a question.
 */
#include "engine/image/fetch_client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/strv.h"
#include "engine/image/challenge.h"
#include "engine/image/fetch.h"
#include "engine/image/fetch_http.h"

#define MAX_REDIRECTS 5
#define MAX_TRIES     5  /* without a byte of progress in between */
#define MAX_TRIES_ALL 30 /* with */
#define FIRST_DELAY   (300 * NSEC_PER_MSEC)
#define MAX_DELAY     (15 * NSEC_PER_SEC)
#define MAX_OBEDIENCE (120 * NSEC_PER_SEC) /* of a Retry-After */
#define TOKEN_MAX     (32U << 10)
#define SENT_EVERY    (100 * NSEC_PER_MSEC)

struct token {
	char *text;
	uint64_t expires; /* CLOCK_MONOTONIC ns */
};

struct endpoint {
	char *url;    /* "https://host:port" or with a path: a mirror's */
	char *origin; /* "https://host:port" */
	bool insecure, answered, basic, used;
	char *user, *secret, *identity, *token, *source;
	struct http_tls tls;
	struct map tokens; /* scope → struct token */
};

enum step { STEP_SEND, STEP_TOKEN, STEP_HEAD, STEP_POST, STEP_PUT };

struct call {
	struct fetch_client *client;
	int64_t id;
	struct endpoint *endpoint;
	enum { CALL_GET, CALL_UPLOAD, CALL_PUT, CALL_CHECK } kind;
	enum step step, after_token;
	char *repo, *path, *digest, *type, *actions;
	bool head, resume;
	int fd; /* a body's pipe, or the file to send */
	uint64_t size, max, got;
	char *url;      /* where to now */
	char *location; /* of an upload */
	struct challenge challenge;
	int n_redirects, n_tries, n_tries_all, n_auth;
	bool foreign;  /* sent to another origin */
	bool vouched;  /* sent with credentials */
	uint64_t wait_until, said;
	struct http_transfer *transfer;
	struct call *next;
};

struct fetch_client {
	struct http *http;
	fetch_send_fn send;
	void *data;
	unsigned int timeout;
	struct endpoint endpoints[FETCH_ENDPOINTS];
	struct call *calls;
	size_t n_calls;
};

/* ---- endpoints --------------------------------------------------------------------- */

static void token_free(void *p)
{
	struct token *t = p;

	explicit_bzero(t->text, strlen(t->text));
	free(t->text);
	free(t);
}

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

static void endpoint_done(struct endpoint *p)
{
	wipe(p->secret);
	wipe(p->identity);
	wipe(p->token);
	free(p->user);
	free(p->source);
	free(p->url);
	free(p->origin);
	buf_done(&p->tls.ca);
	buf_done(&p->tls.cert);
	buf_done(&p->tls.key);
	map_done(&p->tokens);
	*p = (struct endpoint){ 0 };
}

/* "scheme://host:port", with the port always there; NULL for what is no http URL. */
static char *origin_of(const char *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;
	CURLU *u = curl_url();

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    (streq(scheme, "http") || streq(scheme, "https")))
		origin = xasprintf("%s://%s:%s", scheme, host, port);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return origin;
}

static char *host_of(const char *url)
{
	CURLU *u = curl_url();
	char *host = NULL, *copy = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		copy = xstrdup(host);
	curl_free(host);
	curl_url_cleanup(u);
	return copy;
}

/* @to as seen from @from; NULL: not a URL we go to. */
char *fetch_resolve_url(const char *from, const char *to)
{
	CURLU *u = curl_url();
	char *url = NULL, *copy = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, from, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_URL, to, CURLU_URLENCODE) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	    curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK &&
	    (skip_prefix(url, "https://") || skip_prefix(url, "http://")))
		copy = xstrdup(url);
	curl_free(url);
	curl_url_cleanup(u);
	return copy;
}

static int read_memfd(int fd, struct buf *out)
{
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return fd_read_all(fd, 1U << 20, out);
}

static int set_endpoint(struct fetch_client *c, json *q, const int *fds, size_t n_fds,
			struct err *e)
{
	int64_t n = json_get_int(q, "n", -1);
	json *certs = json_get(q, "certs");
	struct endpoint *p;

	if (n < 0 || n >= FETCH_ENDPOINTS || json_len(certs) != n_fds || !json_get_str(q, "url"))
		return err_set(e, EINVAL, "a bad endpoint");
	p = &c->endpoints[n];
	endpoint_done(p);
	p->used = true;
	p->url = xstrdup(json_get_str(q, "url"));
	p->origin = origin_of(p->url);
	p->insecure = p->tls.insecure = json_get_bool(q, "insecure", false);
	p->user = xstrdup_null(json_get_str(q, "user"));
	p->secret = xstrdup_null(json_get_str(q, "secret"));
	p->identity = xstrdup_null(json_get_str(q, "identity"));
	p->token = xstrdup_null(json_get_str(q, "token"));
	p->source = xstrdup_null(json_get_str(q, "source"));
	p->tokens = MAP_INIT_FREE(token_free);
	for (size_t i = 0; i < n_fds; i++) {
		const char *what = json_str(json_at(certs, i));
		struct buf *to = streq_null(what, "ca")     ? &p->tls.ca
				 : streq_null(what, "cert") ? &p->tls.cert
							    : &p->tls.key;

		if (read_memfd(fds[i], to) < 0)
			return err_set(e, EINVAL, "a bad certificate");
	}
	return p->origin ? 0 : err_set(e, EINVAL, "a bad URL");
}

/* ---- the end of a call -------------------------------------------------------------- */

static void call_free(struct call *k)
{
	struct call **p = &k->client->calls;

	while (*p && *p != k)
		p = &(*p)->next;
	if (*p) {
		*p = k->next;
		k->client->n_calls--;
	}
	if (k->transfer)
		http_cancel(k->client->http, k->transfer);
	challenge_done(&k->challenge);
	fd_close(k->fd);
	free(k->repo);
	free(k->path);
	free(k->digest);
	free(k->type);
	free(k->actions);
	free(k->url);
	free(k->location);
	free(k);
}

static json *answer(const struct call *k, const char *event)
{
	json *o = json_new_object();

	json_put_int(o, "id", k->id);
	json_put_str(o, "event", event);
	return o;
}

/* The pipe first: comp waits for its end and for the message. */
static void send_and_free(struct call *k, json *message)
{
	struct fetch_client *c = k->client;

	call_free(k);
	c->send(c->data, message);
	json_unref(message);
}

static void call_fail(struct call *k, int status, const struct err *e)
{
	json *o = answer(k, "error");

	json_put_int(o, "code", e->code);
	json_put_int(o, "status", status);
	json_put_str(o, "text", e->msg);
	if (e->hint[0])
		json_put_str(o, "hint", e->hint);
	send_and_free(k, o);
}

static void _printf_(4, 5) call_failf(struct call *k, int status, int code, const char *fmt, ...)
{
	struct err e = ERR_INIT;
	va_list ap;

	e.code = code;
	va_start(ap, fmt);
	vsnprintf(e.msg, sizeof(e.msg), fmt, ap);
	va_end(ap);
	call_fail(k, status, &e);
}

static bool is_digest_like(const char *s)
{
	return s && strlen(s) < 200;
}

static void call_done(struct call *k, const struct http_answer *a, bool exists)
{
	json *o = answer(k, "done");

	json_put_int(o, "status", a->status);
	if (a->type && strlen(a->type) < 200) {
		_cleanup_(free_p) char *type = xstrndup(a->type, strcspn(a->type, "; \t"));

		json_put_str(o, "type", type);
	}
	if (is_digest_like(a->digest))
		json_put_str(o, "digest", a->digest);
	if (a->length != UINT64_MAX)
		json_put_u64(o, "size", a->length);
	json_put_bool(o, "exists", exists);
	send_and_free(k, o);
}

/* ---- sending --------------------------------------------------------------------------- */

static void on_answer(void *data, struct http_answer *a);
static void call_send(struct call *k);

static void on_sent(void *data, uint64_t bytes)
{
	struct call *k = data;
	uint64_t now = now_mono_ns();
	json *o;

	if (now - k->said < SENT_EVERY)
		return;
	k->said = now;
	o = answer(k, "sent");
	json_put_u64(o, "bytes", bytes);
	k->client->send(k->client->data, o);
	json_unref(o);
}

static char *scope_of(const struct call *k)
{
	return k->repo ? xasprintf("repository:%s:%s", k->repo, k->actions ? k->actions : "pull")
		       : xstrdup("");
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

static bool add_authorization(struct call *k, char ***headers)
{
	struct endpoint *p = k->endpoint;
	_cleanup_(free_p) char *scope = scope_of(k), *origin = origin_of(k->url);
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

static void add_accept(char ***headers)
{
	strv_add(headers, "Accept: application/vnd.oci.image.index.v1+json");
	strv_add(headers, "Accept: application/vnd.docker.distribution.manifest.list.v2+json");
	strv_add(headers, "Accept: application/vnd.oci.image.manifest.v1+json");
	strv_add(headers, "Accept: application/vnd.docker.distribution.manifest.v2+json");
}

static void prepare(struct call *k, struct http_request *q, char ***headers)
{
	bool blob = k->kind == CALL_GET && k->resume;

	q->method = "GET";
	if (k->step == STEP_HEAD || k->head)
		q->method = "HEAD";
	if (k->step == STEP_POST)
		q->method = "POST";
	if (k->step == STEP_PUT) {
		q->method = "PUT";
		q->body_fd = k->fd;
		q->body_size = k->size;
		strv_addf(headers, "Content-Type: %s", k->type ?: "application/octet-stream");
	}
	if (k->kind == CALL_GET && !k->head) {
		q->out_fd = k->fd;
		q->out_max = k->max - k->got;
		q->out_skip = k->got;
	}
	if (blob && k->got)
		strv_addf(headers, "Range: bytes=%ju-", (uintmax_t)k->got);
	if (k->kind == CALL_GET && k->path && skip_prefix(k->path, "manifests/"))
		add_accept(headers);
	k->vouched = add_authorization(k, headers);
}

static void call_send(struct call *k)
{
	_cleanup_(strv_freep) char **headers = NULL;
	struct http_request q = { .url = k->url,
				  .tls = &k->endpoint->tls,
				  .timeout = k->client->timeout,
				  .body_fd = -EBADF,
				  .out_fd = -EBADF,
				  .out_max = 4U << 20 };
	struct err e = ERR_INIT;

	prepare(k, &q, &headers);
	q.headers = headers;
	if (http_start(k->client->http, &q, on_answer, q.body_fd >= 0 ? on_sent : NULL, k,
		       &k->transfer, &e) < 0)
		call_fail(k, 0, &e);
	STRV_FOREACH (h, headers)
		explicit_bzero(*h, strlen(*h));
}

/* The first request of a step, at the registry itself. */
static void call_start(struct call *k)
{
	const char *base = k->endpoint->url;

	free(k->url);
	k->foreign = false;
	k->n_redirects = 0;
	if (k->kind == CALL_CHECK)
		k->url = xasprintf("%s/v2/", base);
	else if (k->step == STEP_HEAD)
		k->url = xasprintf("%s/v2/%s/blobs/%s", base, k->repo, k->digest);
	else if (k->step == STEP_POST)
		k->url = xasprintf("%s/v2/%s/blobs/uploads/", base, k->repo);
	else if (k->step == STEP_PUT && k->location)
		k->url = xstrdup(k->location);
	else
		k->url = xasprintf("%s/v2/%s/%s", base, k->repo, k->path);
	call_send(k);
}

static void call_begin(struct call *k)
{
	k->step = k->kind == CALL_UPLOAD ? STEP_HEAD : k->kind == CALL_PUT ? STEP_PUT : STEP_SEND;
	call_start(k);
}

/* ---- what the registry says -------------------------------------------------------------- */

/* The text of {"errors": [{"code", "message"}]}, made fit to print. */
static char *registry_message(const struct http_answer *a)
{
	_cleanup_(json_unrefp) json *o = NULL;
	const char *code, *message;
	char *text;
	json *first;

	if (json_parse(buf_str(&a->body), a->body.len, &o, NULL) < 0 || !json_is_object(o))
		return NULL;
	first = json_at(json_get(o, "errors"), 0);
	code = json_is_object(first) ? json_get_str(first, "code") : json_get_str(o, "error");
	message = json_is_object(first) ? json_get_str(first, "message")
					: json_get_str(o, "details") ?: json_get_str(o, "message");
	if (!code && !message)
		return NULL;
	text = xasprintf("%.80s%s%.300s", code ? code : "", code && message ? ": " : "",
			 message ? message : "");
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return text;
}

static void fail_status(struct call *k, const struct http_answer *a)
{
	_cleanup_(free_p) char *said = registry_message(a);
	int code = a->status == 404   ? ENOENT
		   : a->status == 403 ? EACCES
		   : a->status == 429 ? EBUSY
				      : EIO;

	call_failf(k, a->status, code, "the registry answered %d%s%s", a->status, said ? ": " : "",
		   said ? said : "");
}

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

static void wait_and_send(struct call *k, const struct http_answer *a, const char *why)
{
	uint64_t delay = FIRST_DELAY, wanted = 0;
	uint16_t jitter = 0;
	json *o;

	for (int i = 1; i < k->n_tries && delay < MAX_DELAY; i++)
		delay *= 2;
	if (getrandom(&jitter, sizeof(jitter), 0) < 0)
		jitter = 0; /* as good */
	delay = MIN(delay, MAX_DELAY) * (90 + jitter % 21) / 100;
	if (a->retry_after && retry_after_parse(a->retry_after, now_real_ns(), &wanted) == 0)
		delay = wanted > MAX_OBEDIENCE ? MAX_OBEDIENCE : MAX(delay, wanted);
	k->wait_until = now_mono_ns() + delay;
	o = answer(k, "retry");
	json_put_str(o, "text", why);
	json_put_u64(o, "delay", delay / NSEC_PER_MSEC);
	k->client->send(k->client->data, o);
	json_unref(o);
}

/* Again?  Progress gives new tries, but not for ever. */
static void retry(struct call *k, const struct http_answer *a)
{
	char why[400];

	if (a->delivered > 4096 && !(a->e.code == ETIMEDOUT))
		k->n_tries = 0;
	if (a->e.code)
		snprintf(why, sizeof(why), "%.390s", a->e.msg);
	else
		snprintf(why, sizeof(why), "the registry answered %d", a->status);
	if (++k->n_tries >= MAX_TRIES || ++k->n_tries_all >= MAX_TRIES_ALL) {
		if (!a->e.code)
			fail_status(k, a);
		else
			call_failf(k, a->status, a->e.code, "%s (tried %d times)", a->e.msg,
				   MAX(k->n_tries, k->n_tries_all));
		return;
	}
	wait_and_send(k, a, why);
}

/* ---- redirects ------------------------------------------------------------------------------ */

static void redirect(struct call *k, const struct http_answer *a)
{
	_cleanup_(free_p) char *to = a->location ? fetch_resolve_url(k->url, a->location) : NULL;
	_cleanup_(free_p) char *origin = to ? origin_of(to) : NULL;

	if (!to || !origin) {
		call_failf(k, a->status, EPROTO, "the registry redirects to nowhere");
	} else if (++k->n_redirects > MAX_REDIRECTS) {
		call_failf(k, a->status, ELOOP, "more than %d redirects", MAX_REDIRECTS);
	} else if (skip_prefix(k->url, "https://") && !skip_prefix(to, "https://")) {
		call_failf(k, a->status, EPROTO, "the registry redirects from https to http");
	} else {
		k->foreign = !streq(origin, k->endpoint->origin);
		free(k->url);
		k->url = TAKE_PTR(to);
		call_send(k);
	}
}

/* ---- tokens ------------------------------------------------------------------------------------
 */

/* May credentials go there? */
static bool realm_is_allowed(const struct endpoint *p, const char *realm)
{
	_cleanup_(free_p) char *theirs = NULL, *ours = NULL, *origin = origin_of(realm);

	if (!origin)
		return false;
	if (skip_prefix(origin, "https://"))
		return true;
	theirs = host_of(realm);
	ours = host_of(p->origin);
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

static void on_token(void *data, struct http_answer *a);

/* An identity token is exchanged by POST (OAuth2), a password by GET and Basic. */
static void ask_token(struct call *k)
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
	add_query(&query, "scope", c->scope ? c->scope : scope);
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
	_cleanup_(free_p) char *said = registry_message(a);

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
		retry(k, a);
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

static void unauthorized(struct call *k, const struct http_answer *a)
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
		ask_token(k);
	}
}

/* ---- answers
 * ------------------------------------------------------------------------------------- */

/* Plain http where that is allowed, and only before anything was said in TLS. */
static bool fall_back(struct call *k, const struct http_answer *a)
{
	struct endpoint *p = k->endpoint;
	const char *rest = skip_prefix(p->url, "https://");
	char *url;

	/* A name may be known to the proxy for http alone. */
	if (k->foreign || (!a->not_tls && a->e.code != EHOSTUNREACH) || !p->insecure || p->answered)
		return false;
	/* Another call was faster to find that out. */
	if (rest) {
		url = xasprintf("http://%s", rest);
		free(p->url);
		p->url = url;
		free(p->origin);
		p->origin = origin_of(url);
	} else if (skip_prefix(k->url, "http://")) {
		return false;
	}
	call_start(k);
	return true;
}

static void upload_next(struct call *k, const struct http_answer *a)
{
	if (k->step == STEP_HEAD && a->status == 200) {
		call_done(k, a, true);
	} else if (k->step == STEP_HEAD && a->status == 404) {
		k->step = STEP_POST;
		call_start(k);
	} else if (k->step == STEP_POST && a->status == 202 && a->location) {
		_cleanup_(free_p) char *to = fetch_resolve_url(k->url, a->location);

		if (!to || (skip_prefix(k->url, "https://") && !skip_prefix(to, "https://"))) {
			call_failf(k, a->status, EPROTO,
				   "the registry names no place to upload to");
			return;
		}
		free(k->location);
		k->location = xasprintf("%s%cdigest=%s", to, strchr(to, '?') ? '&' : '?',
					k->digest);
		k->step = STEP_PUT;
		call_start(k);
	} else if (k->step == STEP_PUT && (a->status == 201 || a->status == 204)) {
		call_done(k, a, false);
	} else {
		fail_status(k, a);
	}
}

static void success(struct call *k, const struct http_answer *a)
{
	if (k->kind == CALL_UPLOAD)
		upload_next(k, a);
	else if (k->kind == CALL_PUT && a->status != 201 && a->status != 200)
		fail_status(k, a);
	else
		call_done(k, a, false);
}

/* Start an upload over: where it was to go is no longer good after an error. */
static void rewind_upload(struct call *k)
{
	if (k->kind != CALL_UPLOAD)
		return;
	k->step = STEP_HEAD;
	free(k->location);
	k->location = NULL;
}

static bool worth_retrying(int status)
{
	return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
	       status == 504;
}

static void on_answer(void *data, struct http_answer *a)
{
	struct call *k = data;

	k->transfer = NULL;
	k->got += a->delivered;
	if (a->status)
		k->endpoint->answered |= !k->foreign;
	if (a->e.code) {
		if (fall_back(k, a))
			return;
		/* A refused connection to where we have been before is worth a try. */
		if (a->transient || (a->not_tls && k->got)) {
			rewind_upload(k);
			retry(k, a);
		} else {
			call_fail(k, a->status, &a->e);
		}
	} else if (a->status == 401) {
		unauthorized(k, a);
	} else if (a->status >= 300 && a->status < 400 && a->status != 304) {
		redirect(k, a);
	} else if (worth_retrying(a->status)) {
		rewind_upload(k);
		retry(k, a);
	} else if (a->status >= 200 && a->status < 300) {
		success(k, a);
	} else if (a->status == 416 && k->got == k->max && k->resume) {
		call_done(k, a, false); /* the cut came after the last byte */
	} else if (k->kind == CALL_UPLOAD) {
		upload_next(k, a);
	} else {
		fail_status(k, a);
	}
}

/* ---- requests of comp's
 * -------------------------------------------------------------------------- */

static struct call *find_call(struct fetch_client *c, int64_t id)
{
	for (struct call *k = c->calls; k; k = k->next)
		if (k->id == id)
			return k;
	return NULL;
}

static int new_call(struct fetch_client *c, json *q, int fd, struct call **out, struct err *e)
{
	int64_t n = json_get_int(q, "endpoint", -1);
	struct call *k;

	if (n < 0 || n >= FETCH_ENDPOINTS || !c->endpoints[n].used || c->n_calls >= FETCH_CALLS) {
		fd_close(fd);
		return err_set(e, EINVAL, "a bad request");
	}
	k = new0(struct call);
	k->client = c;
	k->id = json_get_int(q, "id", 0);
	k->endpoint = &c->endpoints[n];
	k->repo = xstrdup_null(json_get_str(q, "repo"));
	k->path = xstrdup_null(json_get_str(q, "path"));
	k->digest = xstrdup_null(json_get_str(q, "digest"));
	k->type = xstrdup_null(json_get_str(q, "type"));
	k->actions = xstrdup_null(json_get_str(q, "actions"));
	k->head = json_get_bool(q, "head", false);
	k->resume = json_get_bool(q, "resume", false);
	k->size = json_get_u64(q, "size", 0);
	k->max = json_get_u64(q, "max", 0);
	k->fd = fd;
	k->next = c->calls;
	c->calls = k;
	c->n_calls++;
	*out = k;
	return 0;
}

static int start_call(struct fetch_client *c, json *q, const char *op, int fd, struct err *e)
{
	struct call *k = NULL;
	int r = new_call(c, q, fd, &k, e);

	if (r < 0)
		return r;
	k->kind = streq(op, "get")      ? CALL_GET
		  : streq(op, "upload") ? CALL_UPLOAD
		  : streq(op, "put")    ? CALL_PUT
					: CALL_CHECK;
	if (k->kind == CALL_GET && k->fd >= 0)
		(void)fd_set_nonblock(k->fd, true);
	call_begin(k);
	return 0;
}

int fetch_client_request(struct fetch_client *c, json *q, int *fds, size_t n_fds, struct err *e)
{
	const char *op = json_get_str(q, "op");
	int r = 0, fd = -EBADF;

	if (streq_null(op, "endpoint")) {
		r = set_endpoint(c, q, fds, n_fds, e);
	} else if (streq_null(op, "setup")) {
		c->timeout = (unsigned int)json_get_int(q, "timeout", 30);
	} else if (streq_null(op, "cancel")) {
		struct call *k = find_call(c, json_get_int(q, "id", 0));

		if (k)
			call_free(k);
	} else if (streq_null(op, "get") || streq_null(op, "upload") || streq_null(op, "put") ||
		   streq_null(op, "check")) {
		if (n_fds) {
			fd = fds[0];
			fds[0] = -EBADF;
		}
		r = start_call(c, q, op, fd, e);
	} else {
		r = err_set(e, EINVAL, "an unknown request");
	}
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
	return r;
}

int fetch_client_tick(struct fetch_client *c)
{
	uint64_t now = now_mono_ns(), next = UINT64_MAX;

	for (struct call *k = c->calls, *after; k; k = after) {
		after = k->next;
		if (!k->wait_until)
			continue;
		if (k->wait_until > now) {
			next = MIN(next, k->wait_until - now);
			continue;
		}
		k->wait_until = 0;
		if (k->step == STEP_TOKEN)
			ask_token(k);
		else
			call_start(k);
	}
	return next == UINT64_MAX ? 1000 : (int)MIN(next / NSEC_PER_MSEC + 1, UINT64_C(1000));
}

struct fetch_client *fetch_client_new(struct http *h, fetch_send_fn send, void *data)
{
	struct fetch_client *c = new0(struct fetch_client);

	c->http = h;
	c->send = send;
	c->data = data;
	c->timeout = 30;
	return c;
}

void fetch_client_free(struct fetch_client *c)
{
	if (!c)
		return;
	while (c->calls)
		call_free(c->calls);
	for (size_t i = 0; i < FETCH_ENDPOINTS; i++)
		endpoint_done(&c->endpoints[i]);
	free(c);
}
