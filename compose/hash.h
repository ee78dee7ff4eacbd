/* compose/hash.h: did this service's configuration change?
 *
 * SHA-256 over the service's canonical JSON without what does not ask for a new
 * container: build, pull_policy, scale, deploy.replicas, depends_on, profiles.
 * env_file content is in it, as `environment` holds it after resolution.
 */
#ifndef COMPOSE_HASH_H
#define COMPOSE_HASH_H

#include "compose/node.h"

#define CONFIG_HASH_MAX 65

/* 64 hex digits and a NUL.  @service: canonical, as project_load() leaves it. */
char *service_hash(const struct node *service, char out[CONFIG_HASH_MAX]);
/* The same for a network's or a volume's map. */
char *resource_hash(const struct node *resource, char out[CONFIG_HASH_MAX]);

#endif
