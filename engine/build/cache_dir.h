/* engine/build/cache_dir.h: a cache in a directory that travels (cache_from, cache_to
 * type=local): index.json says which step made which layer, blobs/sha256/<digest> are
 * those layers as tars compressed with zstd.
 *
 * What comes from such a directory was written elsewhere: a layer is unpacked like one
 * of a registry and must be what its digests say.  That a step makes that layer is
 * believed; who gives a cache directory to a build trusts it.
 */
#ifndef ENGINE_BUILD_CACHE_DIR_H
#define ENGINE_BUILD_CACHE_DIR_H

#include "base/err.h"
#include "engine/image/steps.h"

struct cache_dir;

/* Read its index; -ENOENT: there is none. */
int cache_dir_open(const char *path, struct cache_dir **out, struct err *e);
void cache_dir_free(struct cache_dir *c);
/* Bring the layer of step @key into the store and note the step.  -ENOENT: not in it. */
int cache_dir_take(struct cache_dir *c, struct store *s, const char *key, struct step_record *out,
		   struct err *e);

/* Write @steps ("key\tdiff id\tcreated\twhat") with their layers; what is there is
 * replaced, layers that are there are kept. */
int cache_dir_write(const char *path, struct store *s, char *const *steps, struct err *e);

#endif
