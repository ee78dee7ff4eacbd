/* engine/image/pull.h: images from registries into the store: several at once, each
 * layer unpacked while it arrives.
 *
 * An image appears in the store whole or not at all.  When a pull fails or is cancelled,
 * the layers that were whole and verified stay for the next one, unless the disk is full
 * or the image damaged; pruning takes them away.
 */
#ifndef ENGINE_IMAGE_PULL_H
#define ENGINE_IMAGE_PULL_H

#include "engine/image/registry.h"
#include "engine/image/store.h"

struct pull_request {
	const char *ref;      /* as the user wrote it */
	const char *platform; /* "linux/arm64"; NULL or "": this machine's */
	bool brief;           /* only if the registry answers soon: no second try, few seconds */
};

enum pull_outcome {
	PULL_FAILED,
	PULL_CURRENT, /* the store had what the registry has */
	PULL_NEW,
};
struct pull_result {
	enum pull_outcome outcome;
	struct err e;    /* why it failed */
	char *id;        /* "sha256:…" */
	char *digest;    /* what the registry calls it: of the index or manifest */
	char *canonical; /* "docker.io/library/busybox:latest" */
};
void pull_result_done(struct pull_result *r);

enum pull_layer_state {
	PULL_LAYER_WAITING,
	PULL_LAYER_EXISTS,
	PULL_LAYER_DOWNLOADING,
	PULL_LAYER_RETRYING, /* @note says why */
	PULL_LAYER_EXTRACTING,
	PULL_LAYER_DONE,
};

/* How the caller watches.  All functions may be NULL. */
struct pull_watch {
	void *data;
	int cancel_fd;       /* readable: stop; -1: none */
	unsigned int images; /* at once, at most; 0: all */
	void (*resolved)(void *data, size_t i, const char *digest);
	void (*layer)(void *data, size_t i, const char *digest, enum pull_layer_state state,
		      uint64_t current, uint64_t total, const char *note);
	void (*finished)(void *data, size_t i, const struct pull_result *r);
	int (*interval)(void *data); /* ms between ticks, -1: none wanted */
	void (*tick)(void *data);
};

/* Pull all of @q; @out has @n results, each to be pull_result_done().  Returns 0
 * even when some failed; -ECANCELED, or an error that concerns all. */
int pull_images(struct store *s, struct registries *r, const struct pull_request *q, size_t n,
		const struct pull_watch *w, struct pull_result *out, struct err *e);

/* When a name last got its image from somewhere, or was found current by a pull;
 * CLOCK_REALTIME ns.  -ENOENT. */
int pull_last_checked(struct store *s, const char *ref, uint64_t *when, struct err *e);

#endif
