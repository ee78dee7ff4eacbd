/* compose/pre_start.h: pre_start hooks: containers that run to their end, one after
 * the other, before a service's first replica starts.
 *
 * Such a container is the service's own in everything its hook does not say
 * otherwise: image, limits, networks, volumes.  It answers to no name of the
 * service, publishes no port, is not checked and not restarted.
 */
#ifndef COMPOSE_PRE_START_H
#define COMPOSE_PRE_START_H

#include "compose/node.h"
#include "engine/container/spec.h"

/* The service as this hook's container has it, in @a. */
struct node *pre_start_service(struct arena *a, const struct node *service,
			       const struct node *hook);

/* Give @hook the anonymous volumes of the replica it runs for. */
void pre_start_share_volumes(struct container_spec *hook, const struct container_spec *replica);

#endif
