/* compose/translate.h: services as container specs.
 *
 * The seam between what the user wrote and what the engine runs.  A service
 * becomes a spec *template*: everything but id, name and number, which belong to
 * one replica and are filled in by translation_spec().  What the service leaves
 * open comes from its image's configuration.
 */
#ifndef COMPOSE_TRANSLATE_H
#define COMPOSE_TRANSLATE_H

#include "base/map.h"
#include "compose/diag.h"
#include "compose/project.h"
#include "engine/container/spec.h"
#include "engine/image/store.h"
#include "engine/state/dirs.h"
#include "engine/state/record.h"

/* The containers of a service's pre_start hooks, as templates, in their order. */
struct pre_start_list {
	struct container_spec **specs;
	bool *per_replica;
	size_t n;
};

struct translation {
	struct map specs;    /* service -> struct container_spec *, the template */
	struct map hooks;    /* service -> struct pre_start_list *; only those that have some */
	struct map networks; /* full name -> json *: what ACTION_NETWORK_CREATE wants */
	struct map volumes;  /* full name -> json *: what ACTION_VOLUME_CREATE wants */
	const struct dirs *dirs;
	const char *project; /* borrowed from the project */
};

/* Translate @services (NULL: all) and the networks and volumes they use; external
 * ones must exist.  An image that is not in the store is -ENOENT with how to get it. */
int translate_project(const struct project *p, const struct dirs *d, struct store *images,
		      char *const *services, struct translation **out, struct diag *diag);
void translation_free(struct translation *t);
static inline void translation_freep(struct translation **t)
{
	translation_free(*t);
}

/* A spec for replica @number of @service with a fresh id.  @old: the container
 * it replaces, whose anonymous volumes it takes over unless @renew_volumes; NULL: none. */
struct container_spec *translation_spec(const struct translation *t, const char *service,
					int number, const struct record *old, bool renew_volumes);

/* A spec for the @i-th pre_start hook of @service, with a fresh id, for @replica whose
 * anonymous volumes it shares. */
struct container_spec *translation_pre_start(const struct translation *t, const char *service,
					     size_t i, const struct container_spec *replica);
/* The spec of a container that is there; NULL when it cannot be read. */
struct container_spec *translation_load(const struct translation *t, const struct record *old);

/* "<project>-<service>-<number>", or container_name; caller frees. */
char *translation_container_name(const struct translation *t, const char *service, int number);

#endif
