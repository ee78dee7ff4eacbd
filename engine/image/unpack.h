/* engine/image/unpack.h: one layer's tar becomes one directory for overlayfs.
 *
 * The directory is ours alone and empty at the start; each layer gets its own,
 * nothing is ever unpacked onto a live tree (CVE-2025-47290).  Whiteouts become
 * what overlayfs understands: character devices 0:0, and the opaque mark, which
 * takes CAP_SYS_ADMIN and is therefore put on by a callback (the unprivileged
 * unpacker sends the directory's descriptor to its parent).
 *
 * Kept: owners, modes, times, links, devices, FIFOs, holes, the attributes
 * user.* and security.capability.  Dropped: every other attribute, above all
 * trusted.overlay.* (CVE-2021-3493), and sockets.  Refused: names that climb
 * out, hard links to what the layer does not have, a root that is not a
 * directory (CVE-2021-29136), AUFS metadata, trees over the limits.
 */
#ifndef ENGINE_IMAGE_UNPACK_H
#define ENGINE_IMAGE_UNPACK_H

#include "base/err.h"

#define UNPACK_MAX_FILES 1000000

struct unpack {
	int root;           /* the directory; borrowed; umask must be 0 */
	uint64_t max_bytes; /* of all files together */
	uint64_t max_files;
	int (*opaque)(void *data, int dirfd, struct err *e);
	/* Called at the end for each directory that no entry stated, "" for the root. */
	int (*implied)(void *data, const char *path, struct err *e);
	void *data;
	uint64_t bytes, files; /* out: what there is now */
};

struct tar_stream;

/* -EBADMSG: the archive is damaged or hostile; -ENOSPC: a limit or the disk. */
int unpack_layer(struct unpack *u, struct tar_stream *t, struct err *e);

/* @path with what could confuse a terminal replaced, cut to fit a message. */
const char *unpack_printable(const char *path, char buf[256]);

#endif
