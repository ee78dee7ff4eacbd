/* engine/build/walk.h: go through a tree in a fixed order, by descriptors.
 *
 * Names are sorted by byte value, a directory comes before what it holds and is told
 * of again when it is left.  Links are told of, never followed; a directory is entered
 * O_NOFOLLOW from its parent's descriptor, so nothing that changes meanwhile leads out.
 */
#ifndef ENGINE_BUILD_WALK_H
#define ENGINE_BUILD_WALK_H

#include <sys/stat.h>

#include "base/err.h"

struct ignore;

struct walk_entry {
	const char *path; /* below the start of the walk; "" for the start itself */
	int dirfd;        /* the directory that holds it, and its name there */
	const char *name;
	struct stat st;
	bool leaving; /* a directory: all it holds was told of */
};
typedef int (*walk_fn)(void *data, const struct walk_entry *w, struct err *e);

struct walk_filter {
	const struct ignore *ignore; /* NULL: nothing hidden */
	const char *prefix;          /* put before an entry's path to match it: "a/b"; "" */
};

/* Start at @name in @dirfd, which may be anything; a directory's content follows.  What a
 * filter hides is not told of; a hidden directory that holds something wanted is, just
 * before that.  Ends with the first error, the callback's included. */
int walk_tree(int dirfd, const char *name, const struct walk_filter *filters, size_t n_filters,
	      walk_fn fn, void *data, struct err *e);

#endif
