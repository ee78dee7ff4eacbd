/* engine/image/archive.h: images from files: what `comp load` and `comp image import` do. */
#ifndef ENGINE_IMAGE_ARCHIVE_H
#define ENGINE_IMAGE_ARCHIVE_H

#include "engine/image/store.h"

struct loaded_image {
	char *id;    /* "sha256:…" */
	char **refs; /* canonical names it got; NULL: none */
};
struct load_result {
	struct loaded_image *images;
	size_t n;
	char **moved; /* "canonical ref\told id": names that belonged to another image */
};
void load_result_done(struct load_result *r);

/* Load all images of a docker-archive (`docker save`) or an OCI layout: a tar,
 * plain or compressed with gzip, zstd or xz, or a directory with an OCI layout.
 * @fd: borrowed; a file, a pipe or a directory.  Entries may come in any order.
 * Of an index with several platforms the one of this machine is taken.
 * Either all images are in the store afterwards or nothing changed.
 * -EBADMSG: damaged or hostile; -ENOSPC: the disk is full. */
int archive_load(struct store *s, int fd, struct load_result *out, struct err *e);

/* Make an image of one layer from the tar of a root file system.  @changes:
 * Dockerfile instructions (change.h).  @ref: its name; NULL: none.  @message:
 * for the history; NULL: none. */
int archive_import(struct store *s, int fd, const char *ref, char *const *changes,
		   const char *message, struct load_result *out, struct err *e);

#endif
