/* engine/build/place.h: put files into a root file system, by Docker's rules.
 *
 * A directory's content goes into the destination, which is made when missing (0755); a
 * file goes to the destination's name, or into it when that is a directory.  What is
 * there is replaced, but a directory never by a file nor the other way round.  Links in
 * the destination are followed inside the root; below it, no more.  Directories below
 * it get the source's owner, mode and times even if they were there.
 *
 * The caller sits in a mount namespace of its own and has umask 0.
 */
#ifndef ENGINE_BUILD_PLACE_H
#define ENGINE_BUILD_PLACE_H

#include "engine/build/walk.h"

struct place {
	int root;
	bool owned; /* to uid:gid; else as in the source */
	uint32_t uid, gid;
	int64_t mode;         /* of everything but links; -1: as in the source */
	const char *symbolic; /* a chmod(1) expression instead of @mode; NULL: none */
	uint64_t n_files;     /* out */
};

/* The source @name in @dirfd; @base: what it is called if the destination is a directory.
 * @dest: absolute in the root; with '/' at the end it is a directory. */
int place_tree(struct place *p, const char *dest, int dirfd, const char *name, const char *base,
	       const struct walk_filter *filters, size_t n_filters, struct err *e);
/* A file of ours. @mtime: ns. */
int place_bytes(struct place *p, const char *dest, const char *base, const void *bytes, size_t n,
		uint32_t mode, uint64_t mtime, struct err *e);
/* The content of @fd, as place_bytes(). */
int place_fd(struct place *p, const char *dest, const char *base, int fd, uint32_t mode,
	     uint64_t mtime, struct err *e);
/* The directory @path with its parents: a descriptor. */
int place_dir(struct place *p, const char *path, struct err *e);

/* Pure: the mode that "u=rwX,go-w" makes of @mode. -EINVAL. */
int place_symbolic_mode(const char *text, uint32_t mode, bool directory, uint32_t *out,
			struct err *e);

#endif
