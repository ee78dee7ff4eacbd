/* engine/image/fetch_http.c: one curl multi handle.
 *
 * A body goes to its pipe as it comes.  When the pipe is full the transfer is
 * paused, with at most one piece of curl's buffer held back, and goes on when poll(2)
 * says so: a slow reader slows the sender down instead of filling our memory.
 *
 * HTTP/1.1 only: several connections carry several layers faster than one, and
 * the parser that hostile bytes meet is the smaller one.
 */
#include "engine/image/fetch_http.h"

#include <curl/curl.h>
#include <poll.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/strv.h"

#define HEADERS_MAX  (128U << 10)
#define BODY_MAX     (64U << 10) /* of an answer that is an error */
#define SLOW_BYTES   1024L
#define CONNECT_SECS 10L                /* to find the address and to connect */
#define AGAIN_SECS   3L                 /* the same, once no name server answered in that time */
#define QUICK_NS     (3 * NSEC_PER_SEC) /* a name server that says no has said so by then */
#define MAX_CLIENTS  64

struct http_transfer {
	struct http *http;
	CURL *curl;
	struct curl_slist *headers;
	struct http_request q; /* its texts are curl's copies or the caller's */
	struct http_answer a;
	struct buf held; /* did not fit into the pipe yet */
	uint64_t started, n_headers, received, sent;
	uint64_t skip, allow; /* bytes of the body: still to drop, at most in all */
	bool paused, headers_done;
	const char *why; /* what we ended it for */
	char error[CURL_ERROR_SIZE];
	http_done_fn done;
	http_sent_fn on_sent;
	void *data;
	struct http_transfer *next;
};

struct http {
	CURLM *multi;
	struct http_transfer *transfers;
	bool nameless; /* no name server answers */
};

int http_new(struct http **out, struct err *e)
{
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return err_set(e, EIO, "curl_global_init failed");
	h = new0(struct http);
	h->multi = curl_multi_init();
	if (!h->multi) {
		free(h);
		return err_set(e, ENOMEM, "curl_multi_init failed");
	}
	*out = h;
	return 0;
}

static void answer_done(struct http_answer *a)
{
	buf_done(&a->body);
	free(a->challenge);
	free(a->location);
	free(a->type);
	free(a->digest);
	free(a->retry_after);
	free(a->range);
	free(a->modified);
	*a = (struct http_answer){ 0 };
}

static void transfer_free(struct http_transfer *t)
{
	if (t->curl)
		curl_easy_cleanup(t->curl);
	curl_slist_free_all(t->headers);
	buf_done(&t->held);
	answer_done(&t->a);
	free(t);
}

static void forget(struct http *h, struct http_transfer *t)
{
	struct http_transfer **p = &h->transfers;

	while (*p && *p != t)
		p = &(*p)->next;
	if (*p)
		*p = t->next;
	(void)curl_multi_remove_handle(h->multi, t->curl);
}

void http_cancel(struct http *h, struct http_transfer *t)
{
	if (!t)
		return;
	forget(h, t);
	transfer_free(t);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (h->transfers)
		http_cancel(h, h->transfers);
	(void)curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	free(h);
}

/* ---- what comes in ---------------------------------------------------------------- */

static size_t give_up(struct http_transfer *t, const char *why)
{
	t->why = why;
	return 0; /* not what curl offered: it ends the transfer */
}

static char *header_value(const char *line, size_t n, const char *name)
{
	size_t len = strlen(name);

	if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	for (line += len + 1, n -= len + 1; n && strchr(" \t", *line); n--)
		line++;
	while (n && strchr(" \t\r\n", line[n - 1]))
		n--;
	return memchr(line, '\0', n) ? NULL : xstrndup(line, n);
}

static void keep(char **to, char *value)
{
	if (!value)
		return;
	free(*to);
	*to = value;
}

static void on_challenge(struct http_answer *a, char *value)
{
	char *all;

	if (!value)
		return;
	all = a->challenge ? xasprintf("%s, %s", a->challenge, value) : xstrdup(value);
	free(a->challenge);
	free(value);
	a->challenge = all;
}

static size_t on_header(char *line, size_t one, size_t n, void *data)
{
	struct http_transfer *t = data;
	struct http_answer *a = &t->a;
	_cleanup_(free_p) char *length = NULL;

	t->n_headers += n;
	if (t->n_headers > HEADERS_MAX)
		return give_up(t, "its answer has too many headers");
	if (n > 5 && strncmp(line, "HTTP/", 5) == 0) { /* after a 100 comes another one */
		struct http_answer fresh = { .length = UINT64_MAX };

		answer_done(a);
		*a = fresh;
	}
	if (n <= 2)
		t->headers_done = true;
	on_challenge(a, header_value(line, n, "WWW-Authenticate"));
	keep(&a->location, header_value(line, n, "Location"));
	keep(&a->type, header_value(line, n, "Content-Type"));
	keep(&a->digest, header_value(line, n, "Docker-Content-Digest"));
	keep(&a->retry_after, header_value(line, n, "Retry-After"));
	keep(&a->range, header_value(line, n, "Content-Range"));
	keep(&a->modified, header_value(line, n, "Last-Modified"));
	length = header_value(line, n, "Content-Length");
	if (length)
		(void)parse_u64(length, &a->length); /* else it stays unknown */
	return n;
}

/* All of @held that fits; true when nothing is left. */
static bool flush_held(struct http_transfer *t)
{
	while (t->held.len) {
		ssize_t n = write(t->q.out_fd, t->held.data, t->held.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			t->why = "its reader is gone";
		if (n <= 0)
			return false;
		t->a.delivered += (uint64_t)n;
		buf_consume(&t->held, (size_t)n);
	}
	return true;
}

static size_t to_pipe(struct http_transfer *t, const char *p, size_t n)
{
	size_t skip = (size_t)MIN((uint64_t)n, t->skip), done = skip;

	if (t->held.len && !flush_held(t)) {
		if (t->why)
			return 0;
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	t->received += n;
	if (t->received > t->allow)
		return give_up(t, "it sends more than it announced");
	t->skip -= skip;
	while (done < n) {
		ssize_t w = write(t->q.out_fd, p + done, n - done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno != EAGAIN)
			return give_up(t, "its reader is gone");
		if (w < 0)
			break;
		t->a.delivered += (uint64_t)w;
		done += (size_t)w;
	}
	buf_add(&t->held, p + done, n - done);
	return n;
}

/* "bytes 1000-1999/2000": from where we wanted it? RFC 9110, 14.4. */
static bool range_fits(const struct http_transfer *t)
{
	const char *s = t->a.range ? skip_prefix(t->a.range, "bytes ") : NULL;
	_cleanup_(free_p) char *first = s ? xstrndup(s, strcspn(s, "-")) : NULL;
	uint64_t n;

	return first && parse_u64(first, &n) && n == t->q.out_skip;
}

static size_t on_body(char *p, size_t one, size_t n, void *data)
{
	struct http_transfer *t = data;
	long status = 0;

	(void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (t->q.out_fd >= 0 && (status == 200 || status == 206)) {
		/* The whole thing, though a part was asked for: drop what we had. */
		if (t->received == 0) {
			if (status == 206 && !range_fits(t))
				return give_up(t, "it sent another part than was asked for");
			t->skip = status == 200 ? t->q.out_skip : 0;
			t->allow = t->q.out_max + t->skip;
		}
		return to_pipe(t, p, n);
	}
	if (t->a.body.len + n > (t->q.out_fd >= 0 ? BODY_MAX : MAX(t->q.out_max, BODY_MAX)))
		return give_up(t, "its answer is too long");
	buf_add(&t->a.body, p, n);
	return n;
}

static size_t on_read(char *p, size_t one, size_t n, void *data)
{
	struct http_transfer *t = data;
	ssize_t r = pread(t->q.body_fd, p, MIN((uint64_t)n, t->q.body_size - t->sent),
			  (off_t)t->sent);

	if (r < 0)
		return CURL_READFUNC_ABORT;
	t->sent += (uint64_t)r;
	if (t->on_sent)
		t->on_sent(t->data, t->sent);
	return (size_t)r;
}

/* A connection that was kept open was dead: curl starts over. */
static int on_seek(void *data, curl_off_t offset, int origin)
{
	struct http_transfer *t = data;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* ---- requests -------------------------------------------------------------------------- */

static struct curl_blob blob_of(const struct buf *b)
{
	return (struct curl_blob){ .data = b->data, .len = b->len, .flags = CURL_BLOB_COPY };
}

static void set_tls(CURL *c, const struct http_tls *tls)
{
	struct curl_blob ca = blob_of(&tls->ca), cert = blob_of(&tls->cert),
			 key = blob_of(&tls->key);

	(void)curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, tls->insecure ? 0L : 1L);
	(void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, tls->insecure ? 0L : 2L);
	/* Those of the system stay trusted: they are the CAPATH. */
	if (ca.len)
		(void)curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
	if (cert.len && key.len) {
		(void)curl_easy_setopt(c, CURLOPT_SSLCERT_BLOB, &cert);
		(void)curl_easy_setopt(c, CURLOPT_SSLKEY_BLOB, &key);
	}
}

static void set_method(CURL *c, const struct http_request *q)
{
	if (streq(q->method, "HEAD")) {
		(void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	} else if (streq(q->method, "PUT")) {
		(void)curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_size);
	} else if (streq(q->method, "POST")) {
		(void)curl_easy_setopt(c, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, q->form ? q->form : "");
	}
}

static void set_options(struct http_transfer *t)
{
	CURL *c = t->curl;
	const struct http_request *q = &t->q;
	/* A registry may think long about a whole layer before it says 201. */
	long patience = (long)q->timeout * (q->body_fd >= 0 ? 10 : 1);

	(void)curl_easy_setopt(c, CURLOPT_URL, q->url);
	(void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	(void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(c, CURLOPT_USERAGENT, "comp");
	(void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
	(void)curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
	(void)curl_easy_setopt(
		c, CURLOPT_CONNECTTIMEOUT,
		MIN(t->http->nameless ? AGAIN_SECS : CONNECT_SECS, (long)q->timeout));
	/* A thread that still waits for a name server is left behind, not waited for. */
	(void)curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
	(void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, patience);
	(void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
	(void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	(void)curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
	(void)curl_easy_setopt(c, CURLOPT_READDATA, t);
	(void)curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
	(void)curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
	(void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
	(void)curl_easy_setopt(c, CURLOPT_PRIVATE, t);
	/* What is not a stream is small: it has a time for the whole. */
	if (q->out_fd < 0 && q->body_fd < 0)
		(void)curl_easy_setopt(c, CURLOPT_TIMEOUT, 4L * q->timeout);
	set_tls(c, q->tls);
	set_method(c, q);
}

int http_start(struct http *h, const struct http_request *q, http_done_fn done, http_sent_fn sent,
	       void *data, struct http_transfer **out, struct err *e)
{
	struct http_transfer *t = new0(struct http_transfer);

	t->http = h;
	t->q = *q;
	t->a.length = UINT64_MAX;
	t->done = done;
	t->on_sent = sent;
	t->data = data;
	t->started = now_mono_ns();
	t->curl = curl_easy_init();
	STRV_FOREACH (line, q->headers)
		t->headers = curl_slist_append(t->headers, *line);
	t->headers = curl_slist_append(t->headers, "Expect:");
	if (t->curl)
		set_options(t);
	if (!t->curl || curl_multi_add_handle(h->multi, t->curl) != CURLM_OK) {
		transfer_free(t);
		return err_set(e, ENOMEM, "cannot start a request");
	}
	t->next = h->transfers;
	h->transfers = t;
	*out = t;
	return 0;
}

/* ---- the end of a transfer ----------------------------------------------------------------- */

/* getaddrinfo(3) gave up, or we did: asking once more would take as long again. */
static bool is_unnamed(const struct http_transfer *t, CURLcode code)
{
	if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
		return now_mono_ns() - t->started > QUICK_NS;
	return code == CURLE_OPERATION_TIMEDOUT && skip_prefix(t->error, "Resolving timed out");
}

/* "Could not resolve host: NAME", as curl says it when getaddrinfo(3) gave up. */
static void explain_unnamed(struct http_transfer *t, CURLcode code)
{
	uint64_t seconds = (now_mono_ns() - t->started + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	char *effective = NULL, *host = NULL;
	CURLU *url = curl_url();

	(void)curl_easy_getinfo(t->curl, CURLINFO_EFFECTIVE_URL, &effective);
	if (url && effective && curl_url_set(url, CURLUPART_URL, effective, 0) == CURLUE_OK)
		(void)curl_url_get(url, CURLUPART_HOST, &host, 0);
	if (code == CURLE_OPERATION_TIMEDOUT)
		snprintf(t->error, sizeof(t->error), "Could not resolve host: %.200s",
			 host ? host : "?");
	err_set(&t->a.e, EHOSTUNREACH, "%.300s: no name server answered in %ju seconds", t->error,
		(uintmax_t)seconds);
	curl_free(host);
	curl_url_cleanup(url);
	t->a.transient = t->received > 0;
	t->a.unnamed = t->http->nameless = true;
}

static void explain(struct http_transfer *t, CURLcode code)
{
	struct http_answer *a = &t->a;
	const char *text = t->error[0] ? t->error : curl_easy_strerror(code);

	if (is_unnamed(t, code)) {
		explain_unnamed(t, code);
		return;
	}
	a->transient = true;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		err_set(&a->e, EHOSTUNREACH, "%.300s", text);
		a->transient = t->received > 0;
		break;
	case CURLE_COULDNT_CONNECT:
		err_set(&a->e, ECONNREFUSED, "%.300s", text);
		a->transient = false;
		a->not_tls = true;
		break;
	case CURLE_SSL_CONNECT_ERROR:
		err_set(&a->e, EPROTO, "TLS: %.300s", text);
		a->transient = false;
		a->not_tls = true;
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		err_set(&a->e, EPROTO, "TLS: %.300s", text);
		a->transient = false;
		break;
	case CURLE_OPERATION_TIMEDOUT:
		err_set(&a->e, ETIMEDOUT, "it was too slow: %.300s", text);
		break;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		err_set(&a->e, ECONNRESET, "the connection was cut: %.300s", text);
		break;
	default:
		err_set(&a->e, EPROTO, "%.300s", text);
		a->transient = false;
		break;
	}
}

static void finish(struct http *h, struct http_transfer *t, CURLcode code)
{
	long status = 0;

	(void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	t->a.status = (int)status;
	if (t->why) {
		err_set(&t->a.e, EBADMSG, "%s", t->why);
		t->a.transient = false;
	} else if (code != CURLE_OK) {
		explain(t, code);
	}
	forget(h, t);
	t->done(t->data, &t->a);
	transfer_free(t);
}

/* An answer whose end is still held back is not finished. */
static bool collect(struct http *h)
{
	struct CURLMsg *m;
	bool any = false;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct http_transfer *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		any = true;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		/* The last piece: its reader takes it, or goes away. */
		while (m->data.result == CURLE_OK && !t->why && t->held.len && !flush_held(t)) {
			struct pollfd p = { .fd = t->q.out_fd, .events = POLLOUT };

			(void)poll(&p, 1, 1000);
		}
		finish(h, t, m->data.result);
	}
	return any;
}

/* Headers that never end: curl's own clock does not run while they trickle in. */
static void watch_headers(struct http *h)
{
	uint64_t now = now_mono_ns();

	for (struct http_transfer *t = h->transfers, *next; t; t = next) {
		next = t->next;
		if (t->headers_done || t->q.body_fd >= 0 ||
		    now - t->started < 2ULL * t->q.timeout * NSEC_PER_SEC)
			continue;
		finish(h, t, CURLE_OPERATION_TIMEDOUT);
		return; /* the callback may have changed the list: the next round sees the rest */
	}
}

static unsigned int paused_fds(struct http *h, struct curl_waitfd *fds, unsigned int n,
			       unsigned int max)
{
	for (struct http_transfer *t = h->transfers; t && n < max; t = t->next)
		if (t->paused)
			fds[n++] = (struct curl_waitfd){ .fd = t->q.out_fd,
							 .events = CURL_WAIT_POLLOUT };
	return n;
}

static void resume_paused(struct http *h)
{
	for (struct http_transfer *t = h->transfers; t; t = t->next) {
		if (!t->paused || (!flush_held(t) && !t->why))
			continue;
		t->paused = false;
		(void)curl_easy_pause(t->curl, CURLPAUSE_CONT);
	}
}

int http_run(struct http *h, int fd, int ms, struct err *e)
{
	struct curl_waitfd fds[MAX_CLIENTS + 1] = { { .fd = fd, .events = CURL_WAIT_POLLIN } };
	int running;

	resume_paused(h);
	if (curl_multi_perform(h->multi, &running) != CURLM_OK)
		return err_set(e, EIO, "curl_multi_perform failed");
	if (collect(h))
		return 0; /* what follows from that comes before waiting */
	watch_headers(h);
	if (curl_multi_poll(h->multi, fds, paused_fds(h, fds, 1, ARRAY_SIZE(fds)), ms, NULL) !=
	    CURLM_OK)
		return err_set(e, EIO, "curl_multi_poll failed");
	return 0;
}
