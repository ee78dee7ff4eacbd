/* engine/image/stage_internal.h: a stage, shared by its parts.
 *
 *	stage.c		gathers layers, their bytes, and images
 *	stage_commit.c	makes it durable and publishes it
 */
#ifndef ENGINE_IMAGE_STAGE_INTERNAL_H
#define ENGINE_IMAGE_STAGE_INTERNAL_H

#include "base/map.h"
#include "engine/image/stage.h"
#include "engine/image/store_internal.h"
#include "engine/image/sync_child.h"

struct stage {
	struct store *store;
	char *name; /* tmp/<random> */
	int fd;     /* of it; locked */
	int spool_fd;
	int using_fd;      /* shared lock: layers that are there stay */
	struct map layers; /* diff id → struct staged_layer */
	char **images;     /* ids staged here */
	char **blobs;      /* hex digests */
	char **refs;       /* "canonical\tid" */
	uint64_t now;
	unsigned int serial;
	struct sync_child sync;
	bool synced;
};

/* A layer of this stage. */
struct staged_layer {
	struct layer_info info;
	bool stored; /* its directory is in the store already: only the record is new */
};

#endif
