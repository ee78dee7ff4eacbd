/* compose/volumes_from.h: `volumes_from`, the mounts of another container.
 *
 * "service", "service:ro", "container:name", "container:name:ro": what that container
 * has mounted of binds and volumes, anonymous ones too, is mounted at the same places.
 * A place for which the service names a mount of its own keeps that; what only its image
 * declares a volume gives way, as with `docker run --volumes-from`.
 */
#ifndef COMPOSE_VOLUMES_FROM_H
#define COMPOSE_VOLUMES_FROM_H

#include "engine/container/spec.h"

struct volumes_from {
	char *name; /* of a service, or of a container */
	bool is_container, read_only;
};
void volumes_from_parse(const char *text, struct volumes_from *out);
void volumes_from_done(struct volumes_from *v);

/* Copies of @from's mounts for @s. */
void volumes_from_take(struct container_spec *s, const struct container_spec *from,
		       bool read_only);

#endif
