/* cli/pulling.h: pulls and pushes with progress on stderr, for the commands that do so. */
#ifndef CLI_PULLING_H
#define CLI_PULLING_H

#include "cli/context.h"
#include "engine/image/pull.h"
#include "engine/image/push.h"

/* One image to pull; texts borrowed. */
struct pull_item {
	const char *ref, *platform;
	bool lenient;     /* a failure is a warning: it can be built */
	bool brief;       /* it will be built: no warning, and no waiting either */
	const char *file; /* where a compose file asks for it; NULL: nowhere */
	int line, col;
};

/* Pull all of @items, "Image X Pulling … Pulled" and a line for each layer as --progress
 * wants it.  @results: one for each, pull_result_done() them.  The first failure of one
 * that is not lenient becomes @e, the rest are printed.  -ECANCELED after ^C. */
int pulling_run(struct context *ctx, struct store *store, const struct pull_item *items, size_t n,
		bool quiet, struct pull_result *results, struct err *e);

/* Push @refs, one after the other.  @ignore_failures: warn and go on. */
int pushing_run(struct context *ctx, struct store *store, char *const *refs, bool quiet,
		bool ignore_failures, struct push_result *last, struct err *e);

/* ---- services ------------------------------------------------------------------------ */

struct provide_options {
	const char *policy; /* of the command line, over that of the services; NULL: theirs */
	bool quiet;
	bool ignore_failures, ignore_buildable;
	bool build, no_build; /* `up --build`: anew whatever is there; --no-build: never */
	bool quiet_build;
	bool explicit_pull; /* `comp pull`: what is there is looked up again */
};
/* Pull what the services named (NULL: all enabled) and their pre_start hooks need: each image
 * once, all side by side.  What a service builds is left to the builder: see
 * provide_built() in pulling_services.c. */
int provide_images(struct context *ctx, char *const *services, const struct provide_options *o,
		   struct err *e);

#endif
