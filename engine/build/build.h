/* engine/build/build.h: from a Dockerfile and a context to an image in the store.
 *
 *	build_run(&options, &handler, &result, e)
 *
 * blocks until the image is there.  What can be known before anything is executed is
 * checked first: Dockerfile, target, names of contexts.  Stages that the target does
 * not need are skipped, independent ones run side by side, each in a process of its
 * own whose mount namespace dies with it.  Every step's layer goes into the store at
 * once, under a key made of all it depends on, so a build that was cut short goes on
 * where it was.
 *
 * State: COMP_ROOT/build/
 *	digests			see digests.h
 *	steps.lock		see step_lock.c
 *	mounts/<sha256 of id>/	RUN --mount=type=cache
 *	work/<id>/		a build at work, flock(2)ed while it lives; one whose
 *				builder is dead is removed by the next build
 */
#ifndef ENGINE_BUILD_BUILD_H
#define ENGINE_BUILD_BUILD_H

#include "engine/container/spec.h"
#include "engine/image/digest.h"
#include "engine/state/dirs.h"

struct build_secret {
	char *id;
	char *content;
	uint64_t size;
};
struct build_context_arg {
	char *name, *value; /* a directory, an address, or docker-image://REF */
};

/* Everything is borrowed for the call; NULL or 0: not stated. */
struct build_options {
	const struct dirs *dirs;
	const char *context;         /* directory or address (remote.h); NULL: a tar is read from
				      * @context_fd */
	int context_fd;              /* borrowed; -EBADF: none (an empty context) */
	const char *dockerfile;      /* path, relative to the context; NULL: Dockerfile */
	const char *dockerfile_text; /* the text itself */
	const char *dockerfile_name; /* what errors call it; NULL: @dockerfile */
	const char *target, *platform;
	char *const *args;   /* KEY=value */
	char *const *labels; /* KEY=value */
	char *const *tags;   /* canonical references; NULL: no name */
	const struct build_context_arg *contexts;
	size_t n_contexts;
	const struct build_secret *secrets;
	size_t n_secrets;
	char *const *ssh; /* "id=/path" of an agent's socket or of a private key */
	char *const *extra_hosts;
	const char *network; /* "default", "none", "host" */
	uint64_t shm_size;
	const struct ulimit_spec *ulimits;
	size_t n_ulimits;
	bool privileged; /* every RUN as with --security=insecure */
	bool allow_insecure;
	bool no_cache, pull, check;                /* @check: only look whether it could be built */
	char *const *no_cache_filter;              /* stages */
	char *const *cache_from, *const *cache_to; /* directories */
	bool has_epoch;
	uint64_t epoch;     /* SOURCE_DATE_EPOCH, ns */
	const char *output; /* directory to write the root file system to instead of an image */
	int output_fd;      /* the same as a tar; -EBADF: none */

	/* Have the registry's image @ref in the store: it is missing, or @pull asks for it. */
	int (*fetch)(void *data, const char *ref, struct err *e);
	void *data;
};

enum build_event_kind {
	BUILD_STARTED, /* name */
	BUILD_OUTPUT,  /* text: a line without newline */
	BUILD_CACHED,
	BUILD_DONE,
	BUILD_FAILED, /* text: why */
	BUILD_CANCELED,
	BUILD_WARNING, /* vertex 0: text */
};
struct build_event {
	enum build_event_kind kind;
	unsigned int vertex; /* "#5", from 1 */
	const char *text;    /* not NUL-terminated where @n counts */
	size_t n;
	bool is_stderr;
	uint64_t elapsed; /* ns since the step began */
};
struct build_handler {
	void (*event)(void *data, const struct build_event *ev);
	/* Readable: give up (a signalfd); -EBADF: never. */
	int cancel_fd;
	/* Called now and then while nothing happens; NULL: not. */
	void (*tick)(void *data);
	void *data;
};

struct build_result {
	char id[DIGEST_MAX];
	char **moved; /* as stage_commit() gives it */
	char *failed; /* of a step that failed: its name, for the excerpt of its output */
	unsigned int failed_vertex;
};
void build_result_done(struct build_result *r);

/* -ECANCELED after cancel_fd.  Errors of a Dockerfile carry file and line. */
int build_run(const struct build_options *o, const struct build_handler *h,
	      struct build_result *out, struct err *e);

/* Forget what is cached: steps not used since @before (ns; UINT64_MAX: all) and, with
 * @mounts, what cache mounts hold.  *n: records; *freed: bytes of layers. */
int build_prune(const struct dirs *d, uint64_t before, bool mounts, size_t *n, uint64_t *freed,
		struct err *e);
/* Remove what builds left that were killed. */
void build_sweep(const struct dirs *d);

#endif
