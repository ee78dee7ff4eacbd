/* engine/build/spot.h: a name below a root, resolved once: its directory's descriptor and
 * what it is called there.
 *
 * Links are followed as if the root were "/", the last component's too, so a spot's
 * name is never a link that leads somewhere; it may be missing.
 */
#ifndef ENGINE_BUILD_SPOT_H
#define ENGINE_BUILD_SPOT_H

#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"

struct spot {
	int dirfd;  /* owned */
	char *name; /* "." for the root itself */
	char *path; /* below the root, as it really is, without a leading '/'; "" for the root */
	bool exists;
	struct stat st;
};
#define SPOT_INIT ((struct spot){ .dirfd = -EBADF })
void spot_done(struct spot *s);

/* How directories are made that are missing on the way. */
struct spot_make {
	uint32_t uid, gid, mode;
	bool owned; /* set owner; else it is who we are */
};
/* @make: NULL: nothing is made; a missing directory is -ENOENT, something else in its
 * place -ENOTDIR. */
int spot_find(int root, const char *path, const struct spot_make *make, struct spot *out,
	      struct err *e);
/* The directory @path, made with its parents; a descriptor for reading. */
int spot_open_dir(int root, const char *path, const struct spot_make *make, struct err *e);

#endif
