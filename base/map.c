/* base/map.c: entries live in an array in insertion order; a second array,
 * open-addressed with linear probing, maps hashes to positions.  Removal
 * leaves a hole that the next rebuild closes. */
#include "base/map.h"

static uint64_t hash_key(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a, 64 bits */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h ^ (h >> 32);
}

void map_done(struct map *m)
{
	for (size_t i = 0; i < m->n_used; i++) {
		if (!m->entries[i].key)
			continue;
		free(m->entries[i].key);
		if (m->free_value)
			m->free_value(m->entries[i].value);
	}
	free(m->entries);
	free(m->index);
	*m = (struct map){ .free_value = m->free_value };
}

static struct map_entry *find(const struct map *m, const char *key, uint64_t hash)
{
	if (!m->n_index)
		return NULL;
	for (size_t i = hash & (m->n_index - 1);; i = (i + 1) & (m->n_index - 1)) {
		struct map_entry *entry;

		if (!m->index[i])
			return NULL;
		entry = &m->entries[m->index[i] - 1];
		if (entry->key && entry->hash == hash && streq(entry->key, key))
			return entry;
	}
}

static void index_add(struct map *m, size_t position)
{
	size_t i = m->entries[position].hash & (m->n_index - 1);

	while (m->index[i])
		i = (i + 1) & (m->n_index - 1);
	m->index[i] = (uint32_t)position + 1;
}

static void rebuild(struct map *m)
{
	size_t to = 0, cap = MAX((size_t)8, m->n * 2);

	for (size_t from = 0; from < m->n_used; from++)
		if (m->entries[from].key)
			m->entries[to++] = m->entries[from];
	m->n_used = to;
	m->cap = cap;
	m->entries = xreallocarray(m->entries, cap, sizeof(*m->entries));
	for (m->n_index = 16; m->n_index < cap * 2; m->n_index *= 2)
		;
	free(m->index);
	m->index = xcalloc(m->n_index, sizeof(*m->index));
	for (size_t i = 0; i < m->n_used; i++)
		index_add(m, i);
}

void *map_get(const struct map *m, const char *key)
{
	struct map_entry *entry = find(m, key, hash_key(key));

	return entry ? entry->value : NULL;
}

bool map_has(const struct map *m, const char *key)
{
	return find(m, key, hash_key(key)) != NULL;
}

void map_put(struct map *m, const char *key, void *value)
{
	uint64_t hash = hash_key(key);
	struct map_entry *entry = find(m, key, hash);

	if (entry) {
		if (m->free_value && entry->value != value)
			m->free_value(entry->value);
		entry->value = value;
		return;
	}
	if (m->n_used == m->cap)
		rebuild(m);
	m->entries[m->n_used] = (struct map_entry){ .key = xstrdup(key),
						    .value = value,
						    .hash = hash };
	index_add(m, m->n_used++);
	m->n++;
}

bool map_remove(struct map *m, const char *key)
{
	struct map_entry *entry = find(m, key, hash_key(key));

	if (!entry)
		return false;
	/* The index keeps pointing at the hole, so probe chains stay whole. */
	free_p(&entry->key);
	entry->key = NULL;
	if (m->free_value)
		m->free_value(entry->value);
	m->n--;
	return true;
}

struct map_entry *map_next(const struct map *m, size_t *pos)
{
	while (*pos < m->n_used) {
		struct map_entry *entry = &m->entries[(*pos)++];

		if (entry->key)
			return entry;
	}
	return NULL;
}
