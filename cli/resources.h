/* cli/resources.h: what a project owns beside its containers, as found on disk. */
#ifndef CLI_RESOURCES_H
#define CLI_RESOURCES_H

#include "base/json.h"
#include "cli/context.h"

/* projects/NAME/project.json, what `up` was last asked for; NULL: never.
 * json_unref() it. */
json *project_file(struct context *ctx, const char *project);

/* The record of network @name; NULL when it cannot be read.  network_free() it. */
struct network;
struct network *network_read(struct context *ctx, const char *name);
/* Full names of the networks that were made for ctx->project_name, sorted. */
char **project_networks(struct context *ctx);
/* The same of its volumes; with a project loaded only those its files declare. */
char **project_volumes(struct context *ctx);

/* @services and all they depend on, or with @alone just them; NULL for an empty
 * @services, which means all.  ctx->project must be loaded. */
int service_closure(struct context *ctx, char *const *services, bool alone, char ***out,
		    struct err *e);

#endif
