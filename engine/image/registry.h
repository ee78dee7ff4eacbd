/* engine/image/registry.h: comp's side of comp-fetch: requests to registries, many
 * at once, and the bytes that come back, counted and hashed as they arrive.
 *
 * Nothing that comp-fetch says is believed: a body is bounded, and its digest is
 * ours.  One `struct registries` serves a whole command; the helper starts with
 * the first request and ends with registries_free().
 */
#ifndef ENGINE_IMAGE_REGISTRY_H
#define ENGINE_IMAGE_REGISTRY_H

#include <poll.h>

#include "engine/image/credentials.h"
#include "engine/image/digest.h"
#include "engine/image/registry_config.h"

struct registries;
struct registry_call;

int registries_new(struct registries **out, struct err *e);
void registries_free(struct registries *r);
static inline void registries_freep(struct registries **r)
{
	registries_free(*r);
}
const struct registry_config *registries_config(const struct registries *r);

/* Number of an endpoint for the calls below; starts the helper, and hands it the
 * credentials that are kept for the endpoint, or @login instead (NULL: those). */
int registries_endpoint(struct registries *r, const struct registry_endpoint *p,
			const struct credentials *login, struct err *e);
/* What was found for it: "user bob from /root/.docker/config.json"; NULL: nothing. */
const char *registries_who(const struct registries *r, int endpoint);

struct registry_answer {
	struct err e;            /* code 0: it went well */
	int status;              /* of HTTP; 0: none */
	char *type;              /* media type, as stated */
	char *said;              /* digest, as stated: a hint, no more */
	bool exists;             /* upload: the registry had it */
	char digest[DIGEST_MAX]; /* of the body, ours */
	struct buf body;         /* when it did not go to a file */
	uint64_t size;           /* bytes of the body */
};
typedef void (*registry_done_fn)(void *data, struct registry_answer *a);
/* Also told while it goes: bytes so far; or that another try comes in @delay ms. */
typedef void (*registry_progress_fn)(void *data, uint64_t bytes, const char *retry, uint64_t delay);

struct registry_request {
	enum { REGISTRY_HEAD, REGISTRY_GET, REGISTRY_UPLOAD, REGISTRY_PUT, REGISTRY_CHECK } op;
	int endpoint;
	const char *repo, *path; /* path: "manifests/latest", "blobs/sha256:…" */
	const char *digest;      /* upload */
	const char *from;        /* upload: a repository that may have it; NULL: none known */
	const char *type;        /* put: media type */
	uint64_t size;           /* of what is sent; get: most bytes to take */
	int fd;                  /* sent from here; get: written there, or -EBADF: to memory */
	bool push;               /* the token must allow pushing */
	registry_done_fn done;   /* called once, from registries_run() */
	registry_progress_fn progress;
	void *data;
};
int registry_start(struct registries *r, const struct registry_request *q,
		   struct registry_call **out, struct err *e);
/* No callback comes any more.  NULL is allowed. */
void registry_cancel(struct registries *r, struct registry_call *c);

/* Descriptors to wait for, at most @max; returns how many. */
size_t registries_poll(struct registries *r, struct pollfd *p, size_t max);
/* Take what is there; never blocks.  An error means that the helper is lost. */
int registries_run(struct registries *r, struct err *e);
/* Start and wait for one call; *a is the caller's: registry_answer_done().
 * @cancel_fd: readable means -ECANCELED; or -1. */
int registry_ask(struct registries *r, const struct registry_request *q, int cancel_fd,
		 struct registry_answer *a, struct err *e);
void registry_answer_done(struct registry_answer *a);

#endif
