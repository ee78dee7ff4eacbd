/* engine/image/pack.h: the tar of a directory: what `save`, `push`, `export`,
 * `commit` and the builder need of layers whose bytes were not kept.
 *
 * Deterministic: the same tree gives the same bytes on every machine.  Names are
 * sorted by byte value, a directory before what it holds, the root first; numeric
 * owners, no names of users; PAX records only where ustar does not suffice; access and
 * change times are left out.  Kept: modes, owners, modification times (ns), hard
 * links inside the tree (the first name has the data), symlinks, devices, FIFOs,
 * the attributes user.* and security.capability, holes as zeros.  Sockets are left out.
 *
 * comp-extract does the work, in its box, with the directory mounted read-only and
 * no more than it takes to read everything in it.
 */
#ifndef ENGINE_IMAGE_PACK_H
#define ENGINE_IMAGE_PACK_H

#include "base/err.h"
#include "engine/image/digest.h"

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

struct pack_result {
	char diff_id[DIGEST_MAX]; /* of the tar */
	char digest[DIGEST_MAX];  /* of what was written: compressed or not */
	uint64_t size;            /* bytes of the tar */
	uint64_t compressed;      /* bytes written; = size for COMPRESSION_NONE */
	uint64_t n_files;         /* entries */
};

/* Pack a layer in overlay form: a character device 0:0 becomes a whiteout, the
 * mark trusted.overlay.opaque one of ".wh..wh..opq".  @layer_dirfd, @out_fd: borrowed.
 * @out_fd: where the (compressed) tar goes, a file or a pipe; -EBADF: only the
 * digests are wanted.  Blocks. */
int pack_layer(int layer_dirfd, enum compression c, int out_fd, struct pack_result *out,
	       struct err *e);

/* Pack a whole tree, in which nothing means a whiteout (a container's merged root). */
int pack_tree(int dirfd, enum compression c, int out_fd, struct pack_result *out, struct err *e);

#endif
