/* volumes/volume.h: named volumes.
 *
 * A volume is the directory <root>/<name>/ with volume.json (this struct) and
 * _data, the directory containers see.  It exists from the moment volume.json
 * is in place; a directory without it is debris and may be taken over.  @root
 * is COMP_ROOT/volumes.  Removing one that is in use is the caller's business
 * to prevent.
 */
#ifndef VOLUMES_VOLUME_H
#define VOLUMES_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define VOLUME_NAME_MAX 200

struct volume {
	char *name;
	char *driver;   /* "local" */
	char **options; /* KEY=value: type, o, device */
	char **labels;  /* KEY=value */
	char *project;  /* NULL: made by hand */
	bool anonymous;
	uint64_t created; /* CLOCK_REALTIME, ns */
	char *path;       /* <root>/<name>/_data; not stored */
};

struct volume *volume_new(const char *name); /* driver local, all else empty */
void volume_free(struct volume *v);
static inline void volume_freep(struct volume **v)
{
	volume_free(*v);
}

/* -EINVAL with a sentence when @name cannot be a volume's name. */
int volume_name_check(const char *name, struct err *e);

/* Make it as described by @want (borrowed; path and created are ignored), or find
 * it.  Returns 1 when made, 0 when it was there already, in which case *out tells
 * what is on disk: whether that matches is for the caller to judge.  @out may be NULL. */
int volume_ensure(const char *root, const struct volume *want, struct volume **out, struct err *e);
/* Does this error of volume_load() mean that the record cannot be read, now or later?
 * volume_ensure() then puts it aside as volume.json.corrupt-<time>, keeps _data, and
 * makes the record anew. */
bool volume_is_damage(int r);
/* -ENOENT: there is none.  @out may be NULL: just look. */
int volume_load(const char *root, const char *name, struct volume **out, struct err *e);
/* All of them, sorted by name; volume_list_free() the result. */
int volume_list(const char *root, struct volume ***out, size_t *n, struct err *e);
void volume_list_free(struct volume **v, size_t n);
/* With all it holds; absent is -ENOENT.  volume.json goes first, so a crash in between
 * leaves debris, never a volume that lost half its files. */
int volume_remove(const char *root, const char *name, struct err *e);

#endif
