/* cli/builder.h: what `comp image build`, `comp build` and `comp up` share: the options of
 * one build, put together, and the running of it with its display.
 */
#ifndef CLI_BUILDER_H
#define CLI_BUILDER_H

#include "cli/context.h"
#include "cli/build_view.h"
#include "engine/build/build.h"

/* Owns what @o points to, where a builder_add_*() put it there. */
struct builder {
	struct build_options o;
	char **args, **labels, **tags, **ssh, **hosts, **cache_from, **cache_to, **filters;
	struct build_secret *secrets;
	struct build_context_arg *contexts;
	struct ulimit_spec *ulimits;
	char **strings; /* others to be freed */
	char *iidfile;
};
void builder_init(struct builder *b);
void builder_done(struct builder *b);

/* "KEY=value", or "KEY" with its value from the environment (absent: left out). */
void builder_add_arg(struct builder *b, const char *text);
/* "name:tag", checked and made canonical. */
int builder_add_tag(struct builder *b, const char *text, struct err *e);
/* "id=x,src=FILE", "id=x,env=VAR", "type=file,…"; the content is read now. */
int builder_add_secret(struct builder *b, const char *text, struct err *e);
int builder_add_secret_content(struct builder *b, const char *id, const char *content, size_t n);
/* "default", "id", "id=SOCKET", "id=KEY". */
int builder_add_ssh(struct builder *b, const char *text, struct err *e);
/* "name=DIRECTORY", "name=docker-image://…". */
int builder_add_context(struct builder *b, const char *text, struct err *e);
/* "host:ip" or "host=ip". */
int builder_add_host(struct builder *b, const char *text, struct err *e);
/* "nofile=1024:2048". */
int builder_add_ulimit(struct builder *b, const char *text, struct err *e);
/* "type=local,src=DIR" (@to: dest=DIR), or a bare directory. */
int builder_add_cache(struct builder *b, const char *text, bool to, struct err *e);
/* A copy that lives as long as @b. */
char *builder_keep(struct builder *b, const char *text);

/* Have @ref in the store, pulled with a display of its own. */
int builder_fetch(struct context *ctx, const char *ref, const char *platform, bool quiet,
		  struct err *e);

/* Run it.  @mode: --progress; NULL: the global one. */
int builder_run(struct context *ctx, struct builder *b, const char *mode, bool quiet,
		struct build_result *out, struct err *e);

/* The same in two parts: what shows builds, and is told of ^C … */
int builder_display(struct context *ctx, const char *mode, bool quiet, struct build_view **view,
		    struct build_handler *h, struct err *e);
/* … and one that tells @h, and has its base images fetched by @fetch. */
typedef int (*builder_fetch_fn)(void *data, const char *ref, struct err *e);
int builder_run_for(struct context *ctx, struct builder *b, const struct build_handler *h,
		    builder_fetch_fn fetch, void *data, struct build_result *out, struct err *e);

#endif
