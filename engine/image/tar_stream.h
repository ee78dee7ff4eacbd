/* engine/image/tar_stream.h: a tar, perhaps compressed, read entry by entry.
 *
 * The front door to libarchive, which reads gzip, zstd, xz and tar here and
 * writes nothing.  Runs in comp-extract only: it looks at bytes from outside.
 */
#ifndef ENGINE_IMAGE_TAR_STREAM_H
#define ENGINE_IMAGE_TAR_STREAM_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"
#include "engine/image/digest.h"

struct tar_stream;

/* One entry; texts are borrowed until the next one. */
struct tar_entry {
	const char *path; /* as in the archive: any bytes */
	const char *link; /* target of a hard link or symlink, else NULL */
	bool hardlink;
	mode_t mode; /* type and permissions; type 0 for a hard link */
	int64_t uid, gid;
	uint32_t rdev_major, rdev_minor;
	uint64_t size; /* of a regular file; holes included */
	struct timespec mtime;
	uint64_t offset; /* of the data in the uncompressed tar */
};

/* @fd: borrowed.  @skip: it is a file, data nobody reads may be skipped with
 * lseek(2).  @hash: hash the uncompressed bytes of a compressed stream; a plain
 * one is hashed by who feeds us. */
int tar_stream_open(int fd, bool skip, bool hash, struct tar_stream **out, struct err *e);
void tar_stream_free(struct tar_stream *t);
static inline void tar_stream_freep(struct tar_stream **t)
{
	tar_stream_free(*t);
}
bool tar_stream_compressed(const struct tar_stream *t);

/* 1: an entry, 0: the end, -EBADMSG: damaged. */
int tar_stream_next(struct tar_stream *t, struct tar_entry *out, struct err *e);
/* The next piece of the entry's data, which belongs at *offset; 1, 0 at the end, -errno. */
int tar_stream_data(struct tar_stream *t, const void **p, size_t *n, uint64_t *offset,
		    struct err *e);
/* Call @fn for each extended attribute of the entry until it returns nonzero. */
typedef int (*tar_xattr_fn)(void *data, const char *name, const void *value, size_t n,
			    struct err *e);
int tar_stream_xattrs(struct tar_stream *t, tar_xattr_fn fn, void *data, struct err *e);
/* After the last entry: read what is left, so that the feeder is not cut off and
 * all bytes are hashed.  @diff_id: "" when nothing was hashed. */
int tar_stream_finish(struct tar_stream *t, char diff_id[DIGEST_MAX], struct err *e);

#endif
