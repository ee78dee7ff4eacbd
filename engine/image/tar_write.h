/* engine/image/tar_write.h: the headers of a tar, as POSIX pax has them.
 *
 * ustar where it suffices, with a PAX record (POSIX.1-2017, pax, "pax Extended
 * Header") for each field where it does not: long names, big ids, sizes and times,
 * fractions of a second, extended attributes (SCHILY.xattr.*, as GNU tar, libarchive
 * and Go write them).  The same entry always gives the same bytes: diff ids of layers
 * that are packed anew depend on it, so this is never to change.
 */
#ifndef ENGINE_IMAGE_TAR_WRITE_H
#define ENGINE_IMAGE_TAR_WRITE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

#define TAR_BLOCK 512

/* Texts are borrowed, bytes as they are. */
struct tar_header {
	const char *path; /* a directory's ends with "/" */
	const char *link; /* what a symlink or hard link leads to; else NULL */
	bool hardlink;
	mode_t mode; /* type and permissions */
	uint32_t uid, gid;
	dev_t rdev;    /* of a device */
	uint64_t size; /* of a regular file */
	struct timespec mtime;
	const struct tar_xattr *xattrs; /* sorted by name */
	size_t n_xattrs;
};
struct tar_xattr {
	char *name;
	char *value;
	size_t n;
};

/* Append the header, with its PAX records before it, to @out. */
void tar_put_header(struct buf *out, const struct tar_header *h);
/* Zeros from the end of @size bytes of data to the next block. */
size_t tar_padding(uint64_t size);
/* Bytes at the very end. */
#define TAR_END (2 * TAR_BLOCK)

#endif
