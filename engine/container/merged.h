/* engine/container/merged.h: a container's files from outside, and an image made of them. */
#ifndef ENGINE_CONTAINER_MERGED_H
#define ENGINE_CONTAINER_MERGED_H

#include "engine/container/spec.h"
#include "engine/image/archive.h"

/* The container's root as it is now, read-only, without what is mounted in it (volumes,
 * /dev, /proc): a detached mount the caller closes.  @dir: the container's directory;
 * @init_layer: launch_init_layer()'s, NULL: none.  It may be running: what it writes
 * meanwhile may be seen or not.  Where the kernel is older than 6.7 this process moves
 * into a mount namespace of its own. */
int merged_root_open(const char *dir, const struct container_spec *spec, const char *init_layer,
		     struct err *e);

struct commit_options {
	const char *ref;      /* canonical name; NULL: none */
	const char *author;   /* NULL: the image's */
	const char *message;  /* NULL: none */
	char *const *changes; /* Dockerfile instructions (change.h) */
};
/* Make an image of the container's image and what it changed.  Its configuration is the
 * image's with the container's command, environment, user and working directory.
 * @dir: the container's directory.  @id: of the new image; *moved as in stage_commit(). */
int container_commit(struct store *s, const char *dir, const struct container_spec *spec,
		     const struct commit_options *o, char id[DIGEST_MAX], char ***moved,
		     struct err *e);

#endif
