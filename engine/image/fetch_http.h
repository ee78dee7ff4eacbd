/* engine/image/fetch_http.h: HTTP requests, many at once.  The front door to
 * libcurl; linked into comp-fetch only.
 *
 * No redirect is followed and no credentials are known here: what goes into a
 * request is what the caller put there.  Every answer is bounded in bytes and time.
 */
#ifndef ENGINE_IMAGE_FETCH_HTTP_H
#define ENGINE_IMAGE_FETCH_HTTP_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct http;
struct http_transfer;
struct pollfd;

struct http_tls {
	bool insecure; /* any certificate */
	struct buf ca, cert, key;
};

struct http_request {
	const char *method;   /* GET HEAD POST PUT */
	const char *url;      /* http or https */
	char *const *headers; /* "Name: value" */
	const struct http_tls *tls;
	unsigned int timeout; /* seconds without an answer, or below 1 KiB/s */
	const char *form;     /* body of a POST; NULL: none */
	int body_fd;          /* -EBADF, or a file to send */
	uint64_t body_size;
	int out_fd;        /* -EBADF, or the non-blocking pipe for the body of a 200 or 206 */
	uint64_t out_skip; /* bytes that a 200 shall drop: the pipe has had them */
	uint64_t out_max;  /* most bytes of a body; more is an error */
};

struct http_answer {
	int status;         /* 0: no answer */
	struct err e;       /* code 0: an answer came, whole */
	bool transient;     /* another try may do better */
	bool unnamed;       /* no name server told the address in time */
	bool not_tls;       /* the other side does not speak TLS, or does not listen */
	struct buf body;    /* unless it went to the pipe */
	uint64_t delivered; /* bytes that went to the pipe */
	char *challenge;    /* values of WWW-Authenticate, joined by ", " */
	char *location, *type, *digest, *retry_after, *range, *modified;
	uint64_t length; /* Content-Length; UINT64_MAX: not stated */
};

typedef void (*http_done_fn)(void *data, struct http_answer *a);
typedef void (*http_sent_fn)(void *data, uint64_t bytes);

int http_new(struct http **out, struct err *e);
void http_free(struct http *h);

/* @done is called once, from http_run(); @a is gone after it.  @sent may be NULL. */
int http_start(struct http *h, const struct http_request *q, http_done_fn done, http_sent_fn sent,
	       void *data, struct http_transfer **out, struct err *e);
/* No callback comes any more. */
void http_cancel(struct http *h, struct http_transfer *t);

/* Work, and wait for work or for @fd to become readable, at most @ms. */
int http_run(struct http *h, int fd, int ms, struct err *e);

#endif
