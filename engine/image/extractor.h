/* engine/image/extractor.h: run comp-extract and believe only what was checked. */
#ifndef ENGINE_IMAGE_EXTRACTOR_H
#define ENGINE_IMAGE_EXTRACTOR_H

#include <poll.h>

#include "base/map.h"
#include "engine/image/stage.h"

/* What the disk below @dirfd can take: everything but a reserve of 5 %, at most
 * 1 GiB, and but 1024 inodes. */
void extractor_limits(int dirfd, uint64_t *max_bytes, uint64_t *max_files);

/* Unpack the layer into the empty directory @dirfd and compare all digests.  *implied (may
 * be NULL): directories it does not state, as keys (implied.h); the caller's on success. */
int extractor_layer(const struct layer_source *src, int dirfd, struct layer_info *out,
		    struct map *implied, struct err *e);

/* The same in steps that never block, for layers that are still arriving and for several
 * at once.  src->fd is a file that grows up to src->size; src->digest is what its
 * owner found by hashing it, and is not checked again.  *src's texts and @dirfd must
 * outlive the extraction. */
struct extraction;
int extraction_start(const struct layer_source *src, int dirfd, struct extraction **out,
		     struct err *e);
void extraction_free(struct extraction *x); /* kills what is still at work */
static inline void extraction_freep(struct extraction **x)
{
	extraction_free(*x);
}
/* What to wait for with poll(2); @available: bytes that are in the file by now. */
void extraction_poll(const struct extraction *x, uint64_t available, struct pollfd p[2]);
/* 1: done, *out is filled; 0: not yet. */
int extraction_step(struct extraction *x, uint64_t available, struct layer_info *out,
		    struct err *e);
/* Then: as extractor_layer() says; borrowed. */
const struct map *extraction_implied(const struct extraction *x);

/* A file of an archive.  Borrowed texts; @link: what it is another name of. */
struct archive_entry_info {
	const char *name, *link;
	bool hardlink;
	int number; /* spooled as this file; -1: it is in the archive, at @offset */
	uint64_t offset, size;
};
typedef int (*extractor_entry_fn)(void *data, const struct archive_entry_info *i, struct err *e);

/* List the archive @fd: in place when it is a file and not compressed, else
 * written to numbered files in @spool (a directory, empty). */
int extractor_list(int fd, int spool, extractor_entry_fn fn, void *data, struct err *e);

#endif
