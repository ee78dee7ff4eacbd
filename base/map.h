/* base/map.h: string-keyed hash map that remembers insertion order.
 *
 * Keys are copied.  Values are borrowed unless the map was given a free
 * function, which is then called for values that are replaced or removed.
 * Iterate with MAP_FOREACH; removing the entry at hand while iterating is
 * allowed, adding is not.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/cleanup.h"
#include "base/util.h"

struct map_entry {
	char *key; /* NULL marks a removed entry */
	void *value;
	uint64_t hash;
};

struct map {
	struct map_entry *entries; /* in insertion order, with holes */
	size_t n_used;             /* entries in use, holes included */
	size_t n;                  /* live entries */
	size_t cap;
	uint32_t *index; /* open addressing: position + 1; 0 = free */
	size_t n_index;  /* power of two */
	void (*free_value)(void *);
};

#define MAP_INIT         ((struct map){ 0 })
#define MAP_INIT_FREE(f) ((struct map){ .free_value = (void (*)(void *))(f) })

void map_done(struct map *m);
static inline size_t map_len(const struct map *m)
{
	return m->n;
}
void *map_get(const struct map *m, const char *key); /* NULL when absent */
bool map_has(const struct map *m, const char *key);  /* true also for NULL values */
/* Set or replace; a replaced value keeps its place in the order. */
void map_put(struct map *m, const char *key, void *value);
bool map_remove(struct map *m, const char *key); /* true if it was there */
/* The first live entry at or after *pos, NULL at the end; advances *pos. */
struct map_entry *map_next(const struct map *m, size_t *pos);

#define MAP_FOREACH(entry, m)                                                                      \
	for (size_t _pos_##entry = 0, _once_##entry = 1; _once_##entry; _once_##entry = 0)         \
		for (struct map_entry * entry; (entry = map_next((m), &_pos_##entry));)

#endif
