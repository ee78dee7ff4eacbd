/* cli/build_services.h: the images that services build: `comp build`, `up --build`. */
#ifndef CLI_BUILD_SERVICES_H
#define CLI_BUILD_SERVICES_H

#include "cli/context.h"

struct build_services_options {
	char **args, **ssh;
	const char *progress; /* NULL: the global one */
	bool no_cache, pull, quiet, push, check, print, with_dependencies;
	bool print_ids; /* with quiet: on stdout */
};

/* Build those of @services (NULL: all) that have `build:`, each after the services whose
 * images it uses.  Nothing to build is no error.  ctx->project is loaded. */
int build_services(struct context *ctx, char *const *services,
		   const struct build_services_options *o, struct err *e);

#endif
