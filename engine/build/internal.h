/* engine/build/internal.h: what the builder's parts share.
 *
 *	build.c		the builder: contexts, images, stages, the end
 *	plan.c		reading what the build starts from
 *	exec.c		a stage's process: its instructions, one by one
 *	exec_copy.c	COPY, ADD, WORKDIR
 *	add.c		addresses and archives of ADD
 *	exec_run.c	RUN
 *	layer.c		root file systems, and what was written to one becoming a layer
 *	link.c		what a stage's process and the builder tell each other
 *	result.c	the image
 *	output.c	or files instead of it
 *
 * Beside them: runner (a RUN's container), source and walk (what is copied from), place and
 * spot (where to), key, digests and cache_dir (the cache), history (words).
 */
#ifndef ENGINE_BUILD_INTERNAL_H
#define ENGINE_BUILD_INTERNAL_H

#include "base/map.h"
#include "engine/build/build.h"
#include "engine/build/cache_dir.h"
#include "engine/build/graph.h"
#include "engine/build/ignore.h"
#include "engine/build/runner.h"
#include "engine/build/source.h"
#include "engine/image/steps.h"
#include "engine/image/store.h"

/* A directory that files come from: the main context, or a named one. */
struct build_context {
	const char *name; /* NULL: the main one */
	char *path;       /* the directory, real; NULL: an image */
	bool foreign;     /* fetched or unpacked: its links must not lead out */
	int fd;
	struct ignore *ignore;
	char *ignore_name;
	char *image; /* reference */
};

struct stage_result {
	bool done;
	struct image_config config;
	char **args;  /* of its scope, for stages built from it */
	char **used;  /* build arguments that were taken up */
	char **steps; /* for cache_dir_write() */
};

struct build {
	const struct build_options *o;
	const struct build_handler *h;
	struct store *store;
	int using_fd;    /* shared lock: layers that are there stay there */
	char *id, *work; /* COMP_ROOT/build/work/<id> */
	int work_fd;     /* locked */
	char *digests;   /* path */
	char *project;   /* build.<id> */
	struct dockerfile file;
	struct build_input input;
	struct build_context *contexts; /* the first is the main one */
	size_t n_contexts;
	char *remote_dockerfile; /* what a context at an address was; NULL: no such */
	char **context_names;
	char **ssh;    /* "id=socket" */
	pid_t *agents; /* of key files; as many as n_agents */
	size_t n_agents;
	struct stage_graph graph;
	struct cache_dir **caches; /* cache_from; NULL at the end */
	struct map images;         /* reference → struct image */
	struct stage_result *results;
	unsigned int n_vertices;
	uint64_t now; /* when it began; CLOCK_REALTIME ns */
};

/* ---- plan.c ------------------------------------------------------------------------ */
int plan_contexts(struct build *b, struct err *e);
int plan_dockerfile(struct build *b, struct err *e);
/* Resolve the images that the wanted stages need, fetching them. */
int plan_images(struct build *b, struct err *e);
/* @e gets the Dockerfile's name and this line, unless it has a place. */
int plan_at(const struct build *b, int line, int r, struct err *e);
struct build_context *plan_context(struct build *b, const char *name);
/* Steps of a stage that are shown. */
bool plan_is_step(const struct instruction *i);
void plan_event(const struct build *b, enum build_event_kind kind, unsigned int vertex,
		const char *text, uint64_t elapsed);

/* ---- link.c ------------------------------------------------------------------------ */
/* One message from a stage's process. */
struct link_message {
	uint32_t kind; /* enum build_event_kind, or LINK_… */
	uint32_t step; /* of the stage, from 0 */
	uint32_t is_stderr;
	uint32_t n; /* bytes of text */
	uint64_t elapsed;
	union {
		char text[32768];
		struct err err;
	};
};
#define LINK_RESULT 100 /* a descriptor with the stage's result is attached */
#define LINK_ERROR  101 /* err */
void link_send(int sock, enum build_event_kind kind, unsigned int step, bool is_stderr,
	       const char *text, size_t n, uint64_t elapsed);
struct run;
int link_send_result(const struct run *r, struct err *e);
void link_send_error(int sock, unsigned int step, const struct err *e);
/* 1: a message; *fd is the caller's; 0: the process is gone. */
int link_receive(int sock, struct link_message *m, int *fd, struct err *e);
int link_read_result(int fd, struct stage_result *out, struct err *e);

#define EXEC_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- exec.c ------------------------------------------------------------------------ */
struct run {
	struct build *b;
	size_t index; /* of the stage */
	const struct graph_node *node;
	struct scope scope;
	struct image_config config;
	uint64_t created; /* of the last layer */
	char *work;       /* directory of its own */
	unsigned int serial;
	int sock;
	unsigned int step, n_steps;
	uint64_t step_began;
	const struct instruction *ins; /* the one at hand, expanded */
	bool no_cache, private;
	char **steps;
	bool own_cmd; /* CMD was stated in this stage */
	struct digests *digests;
	struct runner *runner;
	int lock_fd; /* see step_lock.c; -EBADF: not open */
	off_t locked;
};
/* The stage's process; never returns. */
_Noreturn void exec_stage(struct build *b, size_t index, int sock);

/* Before anything is mounted. */
int exec_private(struct run *r, struct err *e);
void exec_begin_step(struct run *r, const char *text);
void exec_end_step(struct run *r, bool cached);
void exec_output(struct run *r, bool is_stderr, const char *p, size_t n);
void exec_say(struct run *r, const char *fmt, ...) _printf_(2, 3);
/* One more entry of the history. */
void exec_history(struct run *r, const char *created_by, bool empty);

int exec_copy(struct run *r, struct err *e);
int exec_workdir(struct run *r, struct err *e);
int exec_run(struct run *r, struct err *e);

/* What COPY --from or a mount's from= means; release with exec_source_done(). */
struct exec_source {
	struct source s;
	char *label;
	char **diff_ids;       /* of a stage or an image; NULL: a context */
	struct workroot *root; /* mounted by exec_source_open() */
};
int exec_source_init(struct run *r, const char *from, struct exec_source *out, struct err *e);
int exec_source_open(struct run *r, struct exec_source *x, struct err *e);
void exec_source_done(struct exec_source *x);

/* ---- step_lock.c ------------------------------------------------------------------- */
/* In place of the lock that is held, if any.  True: somebody had it, so the step may be
 * there now. */
bool step_lock(struct run *r, const char *key);
void step_unlock(struct run *r);

/* ---- layer.c ----------------------------------------------------------------------- */
/* A root file system that is mounted in this process's namespace. */
struct workroot {
	char *dir; /* holds upper/ and work/ */
	int root;  /* of the merged tree */
};
/* Layers (diff ids), lowest first; none: an empty tree. */
int workroot_mount(struct run *r, char *const *diff_ids, struct workroot **out, struct err *e);
void workroot_unmount(struct workroot *w); /* the directory stays; frees */
/* Also removes the directory. */
void workroot_discard(struct workroot *w);
DEFINE_CLEANUP(struct workroot *, workroot_discard, workroot_discardp);

/* What a step wrote, the directory "upper" in @dir, becomes the stage's next layer and is
 * remembered as @key's. */
int layer_adopt(struct run *r, const char *dir, const char *key, const char *what, struct err *e);
/* A hit: the layer is taken over, 1.  0: it has to be made, and until the step's end nobody
 * else makes it.  Blocks while somebody does. */
int layer_cached(struct run *r, const char *key);
/* The last layer is @key's, too. */
void layer_note(struct run *r, const char *key, const char *what);

/* ---- result.c ---------------------------------------------------------------------- */
int result_commit(struct build *b, struct build_result *out, struct err *e);

/* ---- output.c ---------------------------------------------------------------------- */
/* The target's root file system into a directory or a tar, instead of an image. */
int output_write(struct build *b, struct err *e);

#endif
