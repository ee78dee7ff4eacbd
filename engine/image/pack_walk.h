/* engine/image/pack_walk.h: what comp-extract does for pack.h: walk a directory and
 * write its tar. */
#ifndef ENGINE_IMAGE_PACK_WALK_H
#define ENGINE_IMAGE_PACK_WALK_H

#include "engine/image/pack.h"

struct pack_job {
	int root;                /* the directory; borrowed */
	int out;                 /* where to; -EBADF: only digests */
	enum compression format; /* of what goes there */
	bool layer;              /* overlay form: whiteouts and opaque marks */
};
/* -EOPNOTSUPP for what a tar of a layer cannot say. */
int pack_walk(const struct pack_job *job, struct pack_result *out, struct err *e);

#endif
