/* engine/image/store_internal.h: what the files of the store share.
 *
 * store.c reads, stage.c and stage_commit.c add, remove.c takes away.
 */
#ifndef ENGINE_IMAGE_STORE_INTERNAL_H
#define ENGINE_IMAGE_STORE_INTERNAL_H

#include "engine/image/manifest.h"
#include "engine/image/store.h"

#define STORE_VERSION 1

struct store {
	char *path;
	int fd; /* of the directory */
};

/* images/<hex>: what is needed of an image without reading its config. */
struct image_record {
	char *id;
	char *digest;  /* of the manifest; NULL: none kept */
	char **layers; /* diff ids, lowest first, as in the config */
	bool implied;  /* implied_name(layers) is there and goes on top */
	uint64_t size, created, stored;
	char *architecture, *os, *variant;
};
void image_record_done(struct image_record *r);
/* -ENOENT without a sentence of its own is the caller's to explain. */
int image_record_read(struct store *s, const char *id, struct image_record *out, struct err *e);
char *image_record_text(const struct image_record *r);

/* layers/<hex>.json */
struct layer_record {
	uint64_t size, n_files; /* unpacked */
	bool made;              /* its diff id is that of its packed files: import, build, commit */
	char **implied;         /* directories it does not state: implied.h */
	struct descriptor blob; /* digest NULL: none kept */
};
void layer_record_done(struct layer_record *r);
/* @dirfd: of the store or of a stage.  -ENOENT without the file. */
int layer_record_read(int dirfd, const char *diff_id, struct layer_record *out, struct err *e);
int layer_record_write(int dirfd, const char *diff_id, const struct layer_record *r,
		       struct err *e);
#define LAYER_PATH_MAX 96
const char *layer_path(const char *diff_id, char buf[LAYER_PATH_MAX]);      /* layers/<hex> */
const char *layer_json_path(const char *diff_id, char buf[LAYER_PATH_MAX]); /* with .json */
const char *blob_path(const char *digest, char buf[LAYER_PATH_MAX]);

/* refs/<sha256 of canonical>: which image a name means. */
struct ref_record {
	char *ref, *id;
};
struct ref_list {
	struct ref_record *items; /* sorted by ref */
	size_t n;
};
void ref_list_done(struct ref_list *l);
int ref_list_read(struct store *s, struct ref_list *out, char ***problems, struct err *e);
char *ref_record_path(const char *canonical); /* "refs/<hex>" */
char *ref_record_text(const char *canonical, const char *id);
int ref_record_read(struct store *s, const char *canonical, char **id, struct err *e);

/* Names of a directory of the store, unsorted; an absent one is empty. */
int store_names(struct store *s, const char *dir, char ***out, struct err *e);

/* flock(2) on a file of the store (made when absent), released by closing.
 * -EWOULDBLOCK when it is taken and @op has LOCK_NB. */
int store_lock(struct store *s, const char *name, int op, struct err *e);
#define STORE_LOCK  "lock"  /* exclusive while names change */
#define STORE_USING "using" /* shared: layers must stay; exclusive: they may go */

/* A new private directory below tmp/, flock(2)ed; *name: "tmp/<random>". */
int store_tmp_new(struct store *s, char **name, struct err *e);
/* Remove the directories in tmp/ whose makers are dead; true if there were any. */
bool store_tmp_reap(struct store *s);

/* Remove what no image needs.  @lock is STORE_LOCK, held, and may be released on
 * the way.  Only leaves a note for the next writer when somebody is using layers.
 * @out (may be NULL): the layers are added to what was deleted. */
int store_collect(struct store *s, int *lock, struct removed *out, struct err *e);
/* Hex digests of all that images other than @except (ids; may be NULL) need, and with
 * @steps the cache of build steps. */
struct map;
int store_mark(struct store *s, const struct map *except, bool steps, struct map *needed,
	       struct err *e);
/* Those of a layer and its kept bytes. */
void store_mark_layer(struct store *s, const char *diff_id, struct map *needed);
/* What collecting all but @needed would free. */
int store_unneeded_bytes(struct store *s, const struct map *needed, uint64_t *bytes,
			 struct err *e);
/* Take away a name; the record of an image.  STORE_LOCK is held; @out says so. */
int store_untag(struct store *s, const char *canonical, struct removed *out, struct err *e);
int store_delete_record(struct store *s, const char *id, struct removed *out, struct err *e);
/* Somebody left such a note, or died: collect soon. */
void store_note_garbage(struct store *s);
bool store_has_garbage(struct store *s);

#endif
