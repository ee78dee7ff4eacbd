/* engine/build/graph.h: which stage needs which.
 *
 * Pure.  Stages are known by name (any case) or number.  A named context
 * (`additional_contexts`, `--build-context NAME=…`) shadows a stage and an image of
 * that name: the stage is then not built and what it names is taken instead.
 */
#ifndef ENGINE_BUILD_GRAPH_H
#define ENGINE_BUILD_GRAPH_H

#include "engine/build/dockerfile.h"
#include "engine/build/expand.h"

enum source_kind {
	SOURCE_SCRATCH, /* FROM scratch: nothing */
	SOURCE_IMAGE,   /* name: a reference, to be pulled */
	SOURCE_STAGE,   /* stage: index into the file's stages */
	SOURCE_CONTEXT, /* name: of a named context */
	SOURCE_MAIN     /* the build context: COPY and mounts without from */
};

struct source_ref {
	enum source_kind kind;
	size_t stage;
	const char *name; /* borrowed from the graph, the dockerfile or the caller */
};

struct graph_node {
	char *name;      /* the stage's name, or "stage-N" */
	char *base_name; /* FROM's argument, expanded */
	char *platform;  /* --platform, expanded; NULL: the target's */
	struct source_ref base;
	size_t *needs; /* other stages, ascending, without duplicates: base first known */
	size_t n_needs;
	bool wanted;   /* the target needs it */
	bool replaced; /* a named context stands for it: base.kind is SOURCE_CONTEXT and
			* its instructions do not count */
};

struct stage_graph {
	const struct dockerfile *file; /* borrowed */
	char *const *contexts;         /* borrowed: names of named contexts */
	struct scope global;
	struct graph_node *nodes; /* one per stage, by index */
	size_t n;
	size_t target;
	size_t *order; /* the wanted stages, each after all it needs */
	size_t n_order;
};

/* Resolve everything that can be without an image.  @target: name or number, NULL
 * or "" for the last stage.  -ENOENT: no such stage (near ones are hinted at);
 * -ELOOP: stages that need each other, named; -EINVAL with the line otherwise.
 * @input and @contexts are borrowed for the graph's life. */
int graph_init(struct stage_graph *g, const struct dockerfile *d, const struct build_input *input,
	       char *const *contexts, const char *target, struct err *e);
void graph_done(struct stage_graph *g);

/* What COPY --from=@from or RUN --mount=from=@from means in stage @at; NULL: the
 * build context.  A stage that is defined at or after @at is an error.  Also for
 * triggers, which are known only when the base image is. */
int graph_source(const struct stage_graph *g, size_t at, const char *from, struct source_ref *out,
		 struct err *e);

#endif
