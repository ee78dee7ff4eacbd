/* engine/image/fetch_internal.h: what the files of comp-fetch's client share.
 *
 * fetch_client.c takes comp's requests, fetch_call.c walks each to its end, and asks
 * fetch_auth.c after a 401 and fetch_upload.c when a blob goes up; fetch_endpoint.c
 * knows where that is.
 */
#ifndef ENGINE_IMAGE_FETCH_INTERNAL_H
#define ENGINE_IMAGE_FETCH_INTERNAL_H

#include "base/map.h"
#include "engine/image/challenge.h"
#include "engine/image/fetch.h"
#include "engine/image/fetch_client.h"
#include "engine/image/fetch_http.h"

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
	char *from; /* upload: a repository that may have the blob already */
	bool head, resume;
	int fd; /* a body's pipe, or the file to send */
	uint64_t size, max, got;
	char *url;      /* where to now */
	char *location; /* of an upload */
	struct challenge challenge;
	int n_redirects, n_tries, n_tries_all, n_auth;
	bool foreign; /* sent to another origin */
	bool vouched; /* sent with credentials */
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

/* fetch_endpoint.c */
int fetch_endpoint_set(struct fetch_client *c, json *q, const int *fds, size_t n_fds,
		       struct err *e);
void fetch_endpoint_done(struct endpoint *p);
/* "scheme://host:port", with the port always there; NULL for what is no http URL. */
char *url_origin(const char *url);
char *url_host(const char *url);

/* fetch_call.c.  Those that end a call free it. */
void call_begin(struct call *k);
/* The first request of a step, at the registry itself. */
void call_start(struct call *k);
/* One request, to k->url. */
void call_send(struct call *k);
void call_done(struct call *k, const struct http_answer *a, bool exists);
void call_fail(struct call *k, int status, const struct err *e);
void _printf_(4, 5) call_failf(struct call *k, int status, int code, const char *fmt, ...);
void call_fail_status(struct call *k, const struct http_answer *a);
void call_free(struct call *k);
/* Again, after a while, or the end. */
void call_retry(struct call *k, const struct http_answer *a);
/* What the registry's error document says, in one line; NULL: nothing.  Caller frees. */
char *call_message(const struct http_answer *a);

/* fetch_auth.c */
/* Adds what there is for where the call goes; false: nothing. */
bool call_authorize(struct call *k, char ***headers);
void call_ask_token(struct call *k);
void call_unauthorized(struct call *k, const struct http_answer *a);

/* fetch_upload.c */
void upload_next(struct call *k, const struct http_answer *a);
/* No more of asking for the blob from elsewhere; false: it was not. */
bool upload_forget_mount(struct call *k);
/* Start an upload over: where it was to go is no longer good after an error. */
void upload_rewind(struct call *k);

#endif
