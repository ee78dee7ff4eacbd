/* engine/image/store.h: the content-addressed image store below COMP_ROOT/images.
 *
 *	refs/<sha256 of the canonical name>	one name: {"ref":…, "id":…}
 *	images/<hex>				one image: its layers, sizes, manifest
 *	blobs/sha256/<hex>			its config and manifest, byte for byte,
 *						and layers as they came
 *	layers/<diff id hex>			one unpacked layer, ready as overlay lowerdir
 *	layers/<diff id hex>.json		its size, number of files, and blob
 *	tmp/<random>/				a load or import at work
 *	lock, using				see below
 *
 * Readers take no lock: every file appears whole by rename(2) and never
 * changes.  A writer works in a directory of its own under tmp/, flock(2)ed
 * while it lives, and publishes it with a handful of renames under `lock`
 * (milliseconds).  While writers are at work they hold `using` shared, and
 * layers are only deleted by who holds it alone, so a layer that a load found
 * to be there already stays there.  A crash leaves old or new, and the
 * leftovers in tmp/ go at the next write.
 *
 * Layers that came from outside keep the bytes they came as (a blob, named in
 * the layer's .json), so that `save` and `push` give back what was pulled, with the
 * same digests.  Layers that comp made (build, commit, import) have none and
 * are packed anew (pack.h), always to the same bytes.
 */
#ifndef ENGINE_IMAGE_STORE_H
#define ENGINE_IMAGE_STORE_H

#include "engine/image/config.h"
#include "engine/image/digest.h"

struct store;

/* Open the store in @path (dirs_images()); cheap, scans nothing, and makes
 * nothing but the directory itself. */
int store_open(const char *path, struct store **out, struct err *e);
void store_close(struct store *s);
static inline void store_closep(struct store **s)
{
	store_close(*s);
}

struct image {
	char *id;        /* "sha256:…" of the config */
	char *name;      /* familiar form of the reference it was found by; the id when by id */
	char *digest;    /* "sha256:…" of the manifest; NULL when unknown */
	char **layers;   /* absolute directories, LOWEST FIRST, each at most once */
	uint64_t size;   /* bytes of all layers unpacked */
	uint64_t stored; /* when it came into the store, CLOCK_REALTIME ns */
	struct image_config config;
};
void image_free(struct image *i);
static inline void image_freep(struct image **i)
{
	image_free(*i);
}

/* The image @ref names: a reference, an id, or the first digits of an id
 * (names win).  -ENOENT with a hint how to get it. */
int store_resolve(struct store *s, const char *ref, struct image **out, struct err *e);
/* Only the id ("sha256:…", caller frees); the config is not read. */
int store_resolve_id(struct store *s, const char *ref, char **id, struct err *e);

struct image_summary {
	char *id;
	char **tags;    /* familiar, "busybox:latest"; sorted; NULL: none */
	char **digests; /* familiar, "busybox@sha256:…" */
	uint64_t size, created, stored;
	char *architecture, *os, *variant;
};
struct image_list {
	struct image_summary *items; /* newest first */
	size_t n;
	char **problems; /* one sentence for each record that could not be read */
};
void image_list_done(struct image_list *l);
int store_list(struct store *s, struct image_list *out, struct err *e);

/* Give image @src one more name.  *old_id (may be NULL): the image that had the
 * name until now, NULL if none; caller frees. */
int store_tag(struct store *s, const char *src, const char *dst, char **old_id, struct err *e);

/* Does anything use image @id ("sha256:…")?  Return 1 and say who in @e ("container
 * web-1 is using it"), 0, or -errno. */
typedef int (*store_in_use_fn)(void *data, const char *id, struct err *e);

/* For who writes down that a container uses image @id: the image is in the store, and
 * nobody decides to remove one until the returned descriptor is closed.  Then it shows to
 * store_in_use_fn.  @path: dirs_images().  Blocks for as long as names are being changed
 * (milliseconds); any number may hold at once.  -ENOENT: it was removed. */
int store_hold(const char *path, const char *id, struct err *e);

struct removed {
	char **untagged; /* familiar references */
	char **deleted;  /* "sha256:…": the image, then layers that nothing else needs */
	uint64_t freed;  /* bytes of those layers and of what they came as */
};
void removed_done(struct removed *r);
/* Take away the name @ref and, with its last name, the image and the layers no
 * other image has.  By id: the image and all its names.  -EBUSY when @in_use
 * (NULL: nothing is in use) says so, or when an id has several names; @force
 * then drops the names, but an image in use stays as one without a name. */
int store_remove(struct store *s, const char *ref, bool force, store_in_use_fn in_use, void *data,
		 struct removed *out, struct err *e);
/* What to prune: images without a tag, or @all; that nothing uses. */
struct prune_options {
	bool all;
	bool cache;              /* the cache of build steps goes as well */
	bool dry_run;            /* only say what would go: names or ids in @untagged */
	uint64_t until;          /* only those created before, CLOCK_REALTIME ns; 0: any */
	char *const *labels;     /* only with all of these, "KEY" or "KEY=VALUE" */
	char *const *not_labels; /* and none of these */
};
/* Remove images, and whatever no image needs. */
int store_prune(struct store *s, const struct prune_options *o, store_in_use_fn in_use, void *data,
		struct removed *out, struct err *e);

/* What the images take on disk. */
struct store_usage {
	struct image_list list;
	struct image_usage {
		uint64_t shared, unique; /* bytes: layers that others have too, and not */
	} *items;                        /* of list.items */
	uint64_t total;                  /* layers, each once, and what they came as */
	uint64_t reclaimable;            /* what no image that is in use needs */
	uint64_t cache;                  /* layers that only the cache of build steps has */
	size_t n_used;
};
void store_usage_done(struct store_usage *u);
int store_usage(struct store *s, store_in_use_fn in_use, void *data, struct store_usage *out,
		struct err *e);

/* The raw config or manifest document by digest, -ENOENT when not kept. */
int store_read_blob(struct store *s, const char *digest, struct buf *out, struct err *e);
/* The bytes a layer was pulled or loaded as.  *out: media type, digest and size;
 * descriptor_done() it.  -ENOENT: none kept (comp made the layer itself): pack it. */
struct descriptor;
int store_layer_blob(struct store *s, const char *diff_id, struct descriptor *out, struct err *e);
/* Open a blob of any size for reading.  The caller closes; what is open stays readable
 * when the blob is removed.  -ENOENT when not kept. */
int store_open_blob(struct store *s, const char *digest, struct err *e);
/* Bytes of a layer's files, by its record; 0 when that cannot be read. */
uint64_t store_layer_size(struct store *s, const char *diff_id);
/* Absolute directory of a layer (whether or not it is there); caller frees. */
char *store_layer_path(const struct store *s, const char *diff_id);
/* The directories of these layers for an overlay, lowest first, each once, with what belongs
 * on top of the images among them (implied.h).  To be used while a stage or a build holds
 * the store's layers; caller frees. */
char **store_chain_dirs(const struct store *s, char *const *diff_ids);
const char *store_path(const struct store *s);

#endif
