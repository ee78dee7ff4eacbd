/* compose/normalize.h: what is implied, written out. */
#ifndef COMPOSE_NORMALIZE_H
#define COMPOSE_NORMALIZE_H

#include "base/map.h"
#include "compose/node.h"

/* On the canonical tree, the caller's own: the default network where one is used, full
 * names of resources, depends_on implied by links and shared namespaces, the
 * build's defaults, bare build arguments from @env (struct project_var). */
void normalize(struct arena *a, struct node *root, const char *project, const struct map *env);

/* Bare names in a service's `environment` take their value from @env. */
void normalize_environment(struct arena *a, struct node *root, const struct map *env);

#endif
