/* engine/image/tree.h: writing a directory tree that nobody else touches, by
 * names that nobody vouches for.
 *
 * A name is resolved below the root descriptor with RESOLVE_IN_ROOT, so links,
 * ".." and absolute names stay inside; the last component is always created
 * new (O_EXCL, no link followed), after what was there has been removed.
 */
#ifndef ENGINE_IMAGE_TREE_H
#define ENGINE_IMAGE_TREE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

#define TREE_MAX_DEPTH 512

struct tree {
	int root;   /* borrowed */
	char *dir;  /* the directory @dir_fd was resolved from; NULL: none */
	int dir_fd; /* O_PATH */
	/* Called for a directory made where a whiteout was: it hides the same
	 * directory of lower layers, so it wants the opaque mark. */
	int (*opaque)(void *data, int dirfd, struct err *e);
	/* Called for a directory that had to be made although no entry stated it; @anew: where
	 * a whiteout was, so it is not the one of lower layers. */
	void (*implied)(void *data, const char *path, bool anew);
	void *data;
};

void tree_done(struct tree *t);

/* "./a//b/../c" → "a/c", by text; "" is the root.  Caller frees; NULL with
 * -EBADMSG in @e for a name that climbs out of the root or is too deep. */
char *tree_clean(const char *name, struct err *e);

/* The directory part of a clean path, resolved and made where missing (0755),
 * as a borrowed O_PATH descriptor valid until the next call; *name is the last
 * component (points into @path). */
int tree_enter(struct tree *t, const char *path, const char **name, struct err *e);
/* As tree_enter() but makes nothing: -ENOENT. The caller closes the result. */
int tree_find_dir(struct tree *t, const char *path, const char **name, struct err *e);

/* Is this a whiteout (character device 0:0)? */
bool tree_is_whiteout(const struct stat *st);
/* Remove what is at @name, a whole directory too; absent is success. */
int tree_remove(struct tree *t, int dirfd, const char *name, struct err *e);
/* Make the directory @name and return it opened for reading (caller closes).  One
 * that is there is kept; anything else that is there is replaced. */
int tree_mkdir(struct tree *t, int dirfd, const char *name, struct err *e);

#endif
