/* engine/image/fetch_call.c: each request of comp's is a `struct call`, which walks
 * through HTTP requests until it has an answer:
 *
 *	SEND ─ 401 → TOKEN → SEND	(once for each kind of credentials)
 *	SEND ─ 3xx → SEND elsewhere	(five times at most)
 *	SEND ─ 429, 5xx, a cut → WAIT → SEND, from the byte that is next
 *	upload: SEND is HEAD, then POST, then PUT to where POST said
 */
#include <sys/random.h>

#include "base/fd.h"
#include "base/strv.h"
#include "engine/image/fetch_internal.h"

#define MAX_REDIRECTS 5
#define MAX_TRIES     5  /* without a byte of progress in between */
#define MAX_TRIES_ALL 30 /* with */
#define FIRST_DELAY   (300 * NSEC_PER_MSEC)
#define MAX_DELAY     (15 * NSEC_PER_SEC)
#define MAX_OBEDIENCE (60 * NSEC_PER_SEC) /* of a Retry-After */
#define SENT_EVERY    (100 * NSEC_PER_MSEC)

/* ---- the end of a call ------------------------------------------------------------- */

void call_free(struct call *k)
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
	free(k->from);
	free(k->url);
	free(k->location);
	free(k);
}

static json *call_answer(const struct call *k, const char *event)
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

void call_fail(struct call *k, int status, const struct err *e)
{
	json *o = call_answer(k, "error");

	json_put_int(o, "code", e->code);
	json_put_int(o, "status", status);
	json_put_str(o, "text", e->msg);
	if (e->hint[0])
		json_put_str(o, "hint", e->hint);
	send_and_free(k, o);
}

void _printf_(4, 5) call_failf(struct call *k, int status, int code, const char *fmt, ...)
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

void call_done(struct call *k, const struct http_answer *a, bool exists)
{
	json *o = call_answer(k, "done");

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

/* ---- sending ----------------------------------------------------------------------- */

void on_answer(void *data, struct http_answer *a);

static void on_sent(void *data, uint64_t bytes)
{
	struct call *k = data;
	uint64_t now = now_mono_ns();
	json *o;

	if (now - k->said < SENT_EVERY)
		return;
	k->said = now;
	o = call_answer(k, "sent");
	json_put_u64(o, "bytes", bytes);
	k->client->send(k->client->data, o);
	json_unref(o);
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
	k->vouched = call_authorize(k, headers);
}

void call_send(struct call *k)
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
void call_start(struct call *k)
{
	const char *base = k->endpoint->url;

	free(k->url);
	k->foreign = false;
	k->n_redirects = 0;
	if (k->kind == CALL_CHECK)
		k->url = xasprintf("%s/v2/", base);
	else if (k->step == STEP_HEAD)
		k->url = xasprintf("%s/v2/%s/blobs/%s", base, k->repo, k->digest);
	else if (k->step == STEP_POST && k->from)
		k->url = xasprintf("%s/v2/%s/blobs/uploads/?mount=%s&from=%s", base, k->repo,
				   k->digest, k->from);
	else if (k->step == STEP_POST)
		k->url = xasprintf("%s/v2/%s/blobs/uploads/", base, k->repo);
	else if (k->step == STEP_PUT && k->location)
		k->url = xstrdup(k->location);
	else
		k->url = xasprintf("%s/v2/%s/%s", base, k->repo, k->path);
	call_send(k);
}

void call_begin(struct call *k)
{
	k->step = k->kind == CALL_UPLOAD ? STEP_HEAD : k->kind == CALL_PUT ? STEP_PUT : STEP_SEND;
	call_start(k);
}

/* ---- what the registry says -------------------------------------------------------- */

/* The text of {"errors": [{"code", "message"}]}, made fit to print. */
char *call_message(const struct http_answer *a)
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

void call_fail_status(struct call *k, const struct http_answer *a)
{
	_cleanup_(free_p) char *said = call_message(a);
	int code = a->status == 404   ? ENOENT
		   : a->status == 403 ? EACCES
		   : a->status == 429 ? EBUSY
				      : EIO;

	call_failf(k, a->status, code, "the registry answered %d%s%s", a->status, said ? ": " : "",
		   said ? said : "");
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
	o = call_answer(k, "retry");
	json_put_str(o, "text", why);
	json_put_u64(o, "delay", delay / NSEC_PER_MSEC);
	k->client->send(k->client->data, o);
	json_unref(o);
}

/* Again?  Progress gives new tries, but not for ever. */
void call_retry(struct call *k, const struct http_answer *a)
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
			call_fail_status(k, a);
		else
			call_failf(k, a->status, a->e.code, "%s (tried %d times)", a->e.msg,
				   MAX(k->n_tries, k->n_tries_all));
		return;
	}
	wait_and_send(k, a, why);
}

/* ---- answers ----------------------------------------------------------------------- */

static void redirect(struct call *k, const struct http_answer *a)
{
	_cleanup_(free_p) char *to = a->location ? fetch_resolve_url(k->url, a->location) : NULL;
	_cleanup_(free_p) char *origin = to ? url_origin(to) : NULL;

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

/* Plain http where that is allowed, and only before anything was said in TLS. */
static bool fall_back(struct call *k, const struct http_answer *a)
{
	struct endpoint *p = k->endpoint;
	const char *rest = skip_prefix(p->url, "https://");
	char *url;

	/* A name may be known to the proxy for http alone. */
	if (k->foreign || (!a->not_tls && a->e.code != EHOSTUNREACH) || a->unnamed ||
	    !p->insecure || (rest && p->answered))
		return false;
	/* Another call was faster to find that out. */
	if (rest) {
		url = xasprintf("http://%s", rest);
		free(p->url);
		p->url = url;
		free(p->origin);
		p->origin = url_origin(url);
	} else if (skip_prefix(k->url, "http://")) {
		return false;
	}
	call_start(k);
	return true;
}

static void success(struct call *k, const struct http_answer *a)
{
	if (k->kind == CALL_UPLOAD)
		upload_next(k, a);
	else if (k->kind == CALL_PUT && a->status != 201 && a->status != 200)
		call_fail_status(k, a);
	else
		call_done(k, a, false);
}

static bool worth_retrying(int status)
{
	return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
	       status == 504;
}

void on_answer(void *data, struct http_answer *a)
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
			upload_rewind(k);
			call_retry(k, a);
		} else {
			call_fail(k, a->status, &a->e);
		}
	} else if (a->status == 401 && k->vouched && !k->foreign && upload_forget_mount(k)) {
		call_start(k); /* we may not read what is there */
	} else if (a->status == 401) {
		call_unauthorized(k, a);
	} else if (a->status >= 300 && a->status < 400 && a->status != 304) {
		redirect(k, a);
	} else if (worth_retrying(a->status)) {
		upload_rewind(k);
		call_retry(k, a);
	} else if (a->status >= 200 && a->status < 300) {
		success(k, a);
	} else if (a->status == 416 && k->got == k->max && k->resume) {
		call_done(k, a, false); /* the cut came after the last byte */
	} else if (k->kind == CALL_UPLOAD) {
		upload_next(k, a);
	} else {
		call_fail_status(k, a);
	}
}
