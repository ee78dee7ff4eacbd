/* engine/image/stage.h: one write to the store: gather privately, publish at once.
 *
 *	stage_begin(store, &st, e);
 *	stage_layer(st, source…, &layer, e);	any number: unpacked and verified
 *	stage_image(st, config…, e);		any number: their layers are staged
 *						or in the store already
 *	stage_commit(st, e);			all of it appears, names last
 *	stage_free(st);				without commit: nothing happened
 *
 * Everything blocks.  SIGPIPE must be ignored (every comp process does).
 */
#ifndef ENGINE_IMAGE_STAGE_H
#define ENGINE_IMAGE_STAGE_H

#include "engine/image/manifest.h"
#include <poll.h>

#include "engine/image/store.h"

struct stage;

int stage_begin(struct store *s, struct stage **out, struct err *e);
void stage_free(struct stage *st);
static inline void stage_freep(struct stage **st)
{
	stage_free(*st);
}
/* A private directory for spooled files; borrowed, gone with the stage. */
int stage_dirfd(const struct stage *st);

/* Where the bytes of a layer come from. */
struct layer_source {
	int fd;              /* borrowed; a pipe or a file */
	uint64_t offset;     /* where to start when @size is given */
	uint64_t size;       /* bytes; UINT64_MAX: to the end of file, from where @fd stands */
	const char *digest;  /* of these bytes; NULL: not known */
	const char *diff_id; /* of the uncompressed tar; NULL: not known (import) */
	const char *what;    /* for messages: "layer 3 of 7" */
};
struct layer_info {
	char diff_id[DIGEST_MAX];
	char blob[DIGEST_MAX];  /* of the bytes it came as; "" when they were not read */
	uint64_t size, n_files; /* unpacked */
};
/* Unpack a tar, plain or compressed with gzip, zstd or xz.  A layer whose
 * @diff_id is staged or stored already is not read at all.  -EBADMSG: damaged,
 * hostile or not what its digest says; -ENOSPC: the disk is full. */
int stage_layer(struct stage *st, const struct layer_source *src, struct layer_info *out,
		struct err *e);
bool stage_has_layer(const struct stage *st, const char *diff_id);

/* Keep the bytes that a staged or stored layer came as, so that `save` and `push`
 * can give the very same ones.  @d: media type, digest and size of the blob.  @fd:
 * borrowed, a file that holds just those bytes, which the caller has verified; one in
 * stage_dirfd() is linked, another one copied (sharing extents where it can be).
 * A layer that has a blob already keeps that one. */
int stage_keep_blob(struct stage *st, const char *diff_id, const struct descriptor *d, int fd,
		    struct err *e);
/* The same for d->size bytes at @offset of a file. */
int stage_keep_blob_at(struct stage *st, const char *diff_id, const struct descriptor *d, int fd,
		       uint64_t offset, struct err *e);

/* A directory in overlay form (a build step's upper; whiteouts are char 0:0, owners
 * are the real ones) becomes a staged layer: renamed, so it must be in the store's file
 * system, and nobody may write to it any more.  When the same layer is there already
 * the directory is removed.  Either way @name is gone on success. */
int stage_adopt_layer(struct stage *st, int parent_dirfd, const char *name, struct layer_info *out,
		      struct err *e);
/* The same by copying, for one that stays in use (commit). */
int stage_copy_layer(struct stage *st, int dirfd, struct layer_info *out, struct err *e);

/* The same in steps that never block, for a layer that is still arriving in the file
 * src->fd; see extraction_start(), whose terms for *src apply.  The caller asks
 * stage_has_layer() first. */
struct stage_unpack;
int stage_unpack_start(struct stage *st, const struct layer_source *src, struct stage_unpack **out,
		       struct err *e);
void stage_unpack_poll(const struct stage_unpack *u, uint64_t available, struct pollfd p[2]);
/* 1: the layer is staged; 0: not yet. */
int stage_unpack_step(struct stage_unpack *u, uint64_t available, struct layer_info *out,
		      struct err *e);
void stage_unpack_free(struct stage_unpack *u); /* NULL is allowed; before stage_free() */
static inline void stage_unpack_freep(struct stage_unpack **u)
{
	stage_unpack_free(*u);
}

struct staged_image {
	const char *config; /* the document, byte for byte */
	size_t n_config;
	const char *manifest; /* or NULL */
	size_t n_manifest;
	char *const *refs; /* canonical references that shall name it; may be NULL */
};
/* Add an image; its layers must be there (the config's diff ids say which).
 * @id (may be NULL): where to put "sha256:…". */
int stage_image(struct stage *st, const struct staged_image *img, char id[DIGEST_MAX],
		struct err *e);

/* Has it any layer that the store does not have yet, or only without its bytes? */
bool stage_has_layers(const struct stage *st);
/* The slow part of a commit, for a caller that has other things to do: everything
 * staged is written to the disk by a child.  stage_sync_fd() is readable when
 * stage_sync_step() has news: 1 done, 0 not yet.  stage_commit() comes then; nothing may be
 * staged in between. */
int stage_sync_start(struct stage *st, struct err *e);
int stage_sync_fd(const struct stage *st);
int stage_sync_step(struct stage *st, struct err *e);

/* Publish.  Layers without an image stay until something is removed or pruned: a pull that
 * was cut short leaves those it finished to the next one.  *moved (may be NULL): canonical references that named another image
 * before, as "ref\tsha256:…"; caller frees. */
int stage_commit(struct stage *st, char ***moved, struct err *e);

#endif
