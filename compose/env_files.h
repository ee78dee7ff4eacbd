/* compose/env_files.h: env_file and label_file read into their services. */
#ifndef COMPOSE_ENV_FILES_H
#define COMPOSE_ENV_FILES_H

#include "compose/diag.h"
#include "compose/load.h"

/* For every service of @services (bound): what its env_file say goes into
 * `environment`, what its label_file say into `labels`, and both keys go away.  What
 * the service says itself wins; of several files the later. */
int env_files_resolve(struct loader *l, struct node *services, const struct map *env);

#endif
