/* engine/build/add.h: what ADD does beyond COPY: addresses and archives. */
#ifndef ENGINE_BUILD_ADD_H
#define ENGINE_BUILD_ADD_H

#include "engine/build/internal.h"
#include "engine/build/place.h"

struct fetched {
	int fd;  /* a file without a name, or of a repository… */
	int dir; /* the directory; -EBADF: of a file.  Both owned */
	char *name, *digest;
	uint64_t mtime; /* ns */
};

/* Get @url.  @into_dir: it needs a name of its own.  Digests are compared with
 * --checksum. */
int add_fetch(struct run *run, const struct instruction *i, const char *url, bool into_dir,
	      struct fetched *out, struct err *e);

/* Check out the repository @url, which --keep-git-dir and --checksum (its commit) go for. */
int add_clone(struct run *run, const struct instruction *i, const char *url, struct fetched *out,
	      struct err *e);
/* What is in @dir, into the directory @dest. */
int add_tree(struct place *p, int dir, const char *dest, struct err *e);

/* Does the file begin like a tar, plain or compressed? */
bool add_is_archive(int fd);
/* The archive @fd into the directory @dest: 1; 0: it is none, nothing was done.
 * @chown: its files get the owner that @p says, too. */
int add_unpack(struct run *r, struct place *p, int fd, const char *dest, bool chown, struct err *e);

#endif
