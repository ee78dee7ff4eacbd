/* compose/node.c: arena and node tree; see node.h.
 *
 * The arena is a list of chunks that only grows; an allocation is a pointer
 * bump.  Chunks come zeroed from calloc(3), so a node starts with every field
 * at "nothing".  A map is an array of entries in order of appearance.  Looking
 * a key up scans it, until the map is large enough for a hash index to pay;
 * the index is a cache that anything which moves entries drops, and that a
 * look-up rebuilds, so the array alone is the truth.
 */
#include "compose/node.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- arena ---------------------------------------------------------------- */
#define CHUNK_MIN  ((size_t)16 << 10)
#define CHUNK_MAX  ((size_t)256 << 10)
#define ALIGNMENT  _Alignof(max_align_t)
#define INDEX_FROM 16 /* entries from which a map gets an index */
#define INTERN_MIN 64
#define FNV_START  UINT32_C(2166136261)
#define FNV_PRIME  UINT32_C(16777619)

struct chunk {
	struct chunk *next;
	size_t used, size;
	max_align_t data[];
};

struct interned {
	const char *text; /* NULL: free */
	uint32_t hash;
};

struct arena {
	struct chunk *chunks; /* the one to allocate from comes first */
	size_t used;
	struct interned *interned; /* open addressing */
	size_t n_interned, n_slots;
};

struct arena *arena_new(void)
{
	return new0(struct arena);
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a->interned);
	free(a);
}

static struct chunk *chunk_add(struct arena *a, size_t need)
{
	size_t size = a->chunks ? MIN(a->chunks->size * 2, CHUNK_MAX) : CHUNK_MIN;
	struct chunk *c;

	if (need > size / 4) {
		/* A chunk of its own, behind the current one, whose rest stays in use. */
		c = xcalloc(1, sizeof(*c) + need);
		c->size = need;
		if (a->chunks) {
			c->next = a->chunks->next;
			a->chunks->next = c;
			return c;
		}
	} else {
		c = xcalloc(1, sizeof(*c) + size);
		c->size = size;
		c->next = a->chunks;
	}
	a->chunks = c;
	return c;
}

static void *take(struct arena *a, size_t n, size_t align)
{
	struct chunk *c = a->chunks;
	size_t start = c ? (c->used + align - 1) & ~(align - 1) : 0;

	if (!c || n > c->size || start > c->size - n) {
		c = chunk_add(a, n);
		start = 0;
	}
	c->used = start + n;
	a->used += n;
	return (char *)c->data + start;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return take(a, n, ALIGNMENT);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *copy;

	n = strnlen(s, n);
	copy = take(a, n + 1, 1);
	memcpy(copy, s, n);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(take(a, n, 1), s, n);
}

static char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *text;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0) /* a conversion the C library cannot do: there is no text to give */
		return arena_strdup(a, "");
	text = take(a, (size_t)n + 1, 1);
	vsnprintf(text, (size_t)n + 1, fmt, ap);
	return text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return text;
}

static uint32_t hash_text(const char *s)
{
	uint32_t h = FNV_START;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * FNV_PRIME;
	return h ^ (h >> 15);
}

static struct interned *intern_slot(const struct arena *a, const char *s, uint32_t hash)
{
	size_t i = hash & (a->n_slots - 1);

	while (a->interned[i].text &&
	       (a->interned[i].hash != hash || !streq(a->interned[i].text, s)))
		i = (i + 1) & (a->n_slots - 1);
	return &a->interned[i];
}

static void intern_grow(struct arena *a)
{
	struct interned *old = a->interned;
	size_t n_old = a->n_slots;

	a->n_slots = n_old ? n_old * 2 : INTERN_MIN;
	a->interned = xcalloc(a->n_slots, sizeof(*a->interned));
	for (size_t i = 0; i < n_old; i++)
		if (old[i].text)
			*intern_slot(a, old[i].text, old[i].hash) = old[i];
	free(old);
}

const char *arena_intern(struct arena *a, const char *s)
{
	uint32_t hash = hash_text(s);
	struct interned *slot;

	if (a->n_interned * 4 >= a->n_slots * 3)
		intern_grow(a);
	slot = intern_slot(a, s, hash);
	if (!slot->text) {
		*slot = (struct interned){ .text = arena_strdup(a, s), .hash = hash };
		a->n_interned++;
	}
	return slot->text;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

/* ---- making nodes ----------------------------------------------------------- */
static struct node *node_new(struct arena *a, enum node_kind kind)
{
	struct node *n = take(a, sizeof(*n), _Alignof(struct node));

	n->kind = kind;
	return n;
}

struct node *node_null(struct arena *a)
{
	return node_new(a, NODE_NULL);
}

struct node *node_bool(struct arena *a, bool v)
{
	struct node *n = node_new(a, NODE_BOOL);

	n->boolean = v;
	n->text = v ? "true" : "false";
	return n;
}

struct node *node_int(struct arena *a, int64_t v)
{
	struct node *n = node_new(a, NODE_INT);

	n->integer = v;
	n->text = arena_printf(a, "%" PRId64, v);
	return n;
}

/* The shortest decimal that reads back as the same number. */
static const char *float_text(struct arena *a, double v)
{
	char buf[40];

	if (isnan(v))
		return ".nan";
	if (isinf(v))
		return v < 0 ? "-.inf" : ".inf";
	for (int precision = 1; precision <= 17; precision++) {
		snprintf(buf, sizeof(buf), "%.*g", precision, v);
		if (strtod(buf, NULL) == v)
			break;
	}
	return arena_strdup(a, buf);
}

struct node *node_float(struct arena *a, double v)
{
	struct node *n = node_new(a, NODE_FLOAT);

	n->real = v;
	n->text = float_text(a, v);
	return n;
}

struct node *node_str(struct arena *a, const char *s)
{
	struct node *n = node_new(a, NODE_STRING);

	n->text = arena_strdup(a, s);
	return n;
}

struct node *node_strf(struct arena *a, const char *fmt, ...)
{
	struct node *n = node_new(a, NODE_STRING);
	va_list ap;

	va_start(ap, fmt);
	n->text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return n;
}

struct node *node_seq(struct arena *a)
{
	return node_new(a, NODE_SEQ);
}

struct node *node_map(struct arena *a)
{
	return node_new(a, NODE_MAP);
}

struct node *node_at(struct node *n, const struct node *from)
{
	if (from) {
		n->file = from->file;
		n->line = from->line;
		n->col = from->col;
	}
	return n;
}

struct node *node_copy(struct arena *a, const struct node *n)
{
	struct node *copy = take(a, sizeof(*copy), _Alignof(struct node));

	*copy = *n;
	copy->index = NULL;
	copy->cap = copy->n;
	if (n->text)
		copy->text = arena_strdup(a, n->text);
	if (n->kind == NODE_SEQ && n->n) {
		copy->items = arena_alloc(a, n->n * sizeof(*copy->items));
		for (size_t i = 0; i < n->n; i++)
			copy->items[i] = node_copy(a, n->items[i]);
	} else if (n->kind == NODE_MAP && n->n) {
		copy->entries = arena_alloc(a, n->n * sizeof(*copy->entries));
		for (size_t i = 0; i < n->n; i++) {
			copy->entries[i] = n->entries[i];
			copy->entries[i].key = arena_strdup(a, n->entries[i].key);
			copy->entries[i].value = node_copy(a, n->entries[i].value);
		}
	}
	return copy;
}

/* ---- maps: look-up ------------------------------------------------------------ */
struct node_index {
	size_t n;         /* entries it knows; it is stale when the map has another number */
	size_t n_slots;   /* power of two */
	uint32_t slots[]; /* position + 1; 0 = free */
};

static void index_put(struct node_index *index, const char *key, size_t position)
{
	size_t i = hash_text(key) & (index->n_slots - 1);

	while (index->slots[i])
		i = (i + 1) & (index->n_slots - 1);
	index->slots[i] = (uint32_t)position + 1;
	index->n++;
}

/* In malloc'd memory it would need freeing, so rebuilding leaves the old one in
 * the arena; the sizes double, so that this at most doubles the sum. */
static void index_build(struct arena *a, struct node *map)
{
	struct node_index *index;
	size_t n_slots = INDEX_FROM * 4;

	while (n_slots < map->n * 3)
		n_slots *= 2;
	index = arena_alloc(a, sizeof(*index) + n_slots * sizeof(index->slots[0]));
	index->n_slots = n_slots;
	for (size_t i = 0; i < map->n; i++)
		index_put(index, map->entries[i].key, i);
	map->index = index;
}

static struct node_entry *index_find(const struct node *map, const char *key)
{
	const struct node_index *index = map->index;

	for (size_t i = hash_text(key) & (index->n_slots - 1);;
	     i = (i + 1) & (index->n_slots - 1)) {
		struct node_entry *entry;

		if (!index->slots[i])
			return NULL;
		entry = &map->entries[index->slots[i] - 1];
		if (streq(entry->key, key))
			return entry;
	}
}

struct node_entry *node_entry_get(const struct node *map, const char *key)
{
	if (!node_is(map, NODE_MAP))
		return NULL;
	if (map->index && map->index->n == map->n)
		return index_find(map, key);
	for (size_t i = 0; i < map->n; i++)
		if (map->entries[i].key[0] == key[0] && streq(map->entries[i].key, key))
			return &map->entries[i];
	return NULL;
}

struct node *node_get(const struct node *map, const char *key)
{
	struct node_entry *entry = node_entry_get(map, key);

	return entry ? entry->value : NULL;
}

struct node *node_path(const struct node *map, ...)
{
	const struct node *n = map;
	const char *key;
	va_list ap;

	va_start(ap, map);
	while (n && (key = va_arg(ap, const char *)))
		n = node_get(n, key);
	va_end(ap);
	return (struct node *)n;
}

const char *node_get_str(const struct node *map, const char *key)
{
	const struct node *n = node_get(map, key);

	return node_is(n, NODE_STRING) ? n->text : NULL;
}

bool node_get_bool(const struct node *map, const char *key, bool fallback)
{
	const struct node *n = node_get(map, key);

	return node_is(n, NODE_BOOL) ? n->boolean : fallback;
}

int64_t node_get_int(const struct node *map, const char *key, int64_t fallback)
{
	const struct node *n = node_get(map, key);

	return node_is(n, NODE_INT) ? n->integer : fallback;
}

double node_get_float(const struct node *map, const char *key, double fallback)
{
	const struct node *n = node_get(map, key);

	if (node_is(n, NODE_INT))
		return (double)n->integer;
	return node_is(n, NODE_FLOAT) ? n->real : fallback;
}

const char *node_scalar_text(struct arena *a, const struct node *n)
{
	if (!n)
		return NULL;
	switch (n->kind) {
	case NODE_BOOL: /* TRUE reads as true, and is written so */
		return n->boolean ? "true" : "false";
	case NODE_INT: /* 0x10 and 1_000 read as numbers */
		return arena_printf(a, "%" PRId64, n->integer);
	case NODE_FLOAT:
		return float_text(a, n->real);
	case NODE_STRING:
		return n->text;
	default:
		return NULL;
	}
}

/* ---- changing trees ----------------------------------------------------------- */
static void *grow(struct arena *a, void *old, size_t n, size_t *cap, size_t size)
{
	void *more;

	*cap = *cap ? *cap * 2 : 4;
	more = take(a, *cap * size, _Alignof(struct node_entry));
	if (n)
		memcpy(more, old, n * size);
	return more;
}

void node_push(struct arena *a, struct node *seq, struct node *value)
{
	if (seq->n == seq->cap)
		seq->items = grow(a, seq->items, seq->n, &seq->cap, sizeof(*seq->items));
	seq->items[seq->n++] = value;
}

static void append(struct arena *a, struct node *map, const struct node_entry *entry)
{
	if (map->n == map->cap)
		map->entries = grow(a, map->entries, map->n, &map->cap, sizeof(*map->entries));
	map->entries[map->n++] = *entry;
	if (map->n < INDEX_FROM)
		return;
	if (map->index && map->index->n == map->n - 1 && map->n * 2 <= map->index->n_slots)
		index_put(map->index, entry->key, map->n - 1);
	else
		index_build(a, map);
}

void node_put_at(struct arena *a, struct node *map, const char *key, struct node *value,
		 const struct node_entry *like)
{
	struct node_entry *entry = node_entry_get(map, key);

	if (entry) {
		entry->value = value;
		return;
	}
	append(a, map,
	       &(struct node_entry){ .key = like && like->key == key ? key : arena_strdup(a, key),
				     .line = like ? like->line : 0,
				     .col = like ? like->col : 0,
				     .value = value });
}

void node_put(struct arena *a, struct node *map, const char *key, struct node *value)
{
	node_put_at(a, map, key, value, NULL);
}

bool node_remove(struct node *map, const char *key)
{
	struct node_entry *entry = node_entry_get(map, key);
	size_t i;

	if (!entry)
		return false;
	i = (size_t)(entry - map->entries);
	memmove(entry, entry + 1, (map->n - i - 1) * sizeof(*entry));
	map->n--;
	map->index = NULL;
	return true;
}

static int by_key(const void *a, const void *b)
{
	const struct node_entry *x = a, *y = b;

	return strcmp(x->key, y->key);
}

void node_sort_keys(struct node *map)
{
	if (!node_is(map, NODE_MAP) || map->n < 2)
		return;
	qsort(map->entries, map->n, sizeof(*map->entries), by_key);
	map->index = NULL;
}

/* ---- comparing ------------------------------------------------------------------ */
static bool map_equal(const struct node *a, const struct node *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct node_entry *other = node_entry_get(b, a->entries[i].key);

		if (!other || !node_equal(a->entries[i].value, other->value))
			return false;
	}
	return true;
}

bool node_equal(const struct node *a, const struct node *b)
{
	if (a == b)
		return true;
	if (node_is_null(a) || node_is_null(b))
		return node_is_null(a) && node_is_null(b);
	if (a->kind != b->kind || a->n != b->n)
		return false;
	switch (a->kind) {
	case NODE_BOOL:
		return a->boolean == b->boolean;
	case NODE_INT:
		return a->integer == b->integer;
	case NODE_FLOAT:
		return a->real == b->real || (isnan(a->real) && isnan(b->real));
	case NODE_STRING:
		return streq(a->text, b->text);
	case NODE_SEQ:
		for (size_t i = 0; i < a->n; i++)
			if (!node_equal(a->items[i], b->items[i]))
				return false;
		return true;
	default:
		return map_equal(a, b);
	}
}

const char *node_kind_name(enum node_kind k)
{
	static const char *const names[] = {
		[NODE_NULL] = "null",    [NODE_BOOL] = "boolean",  [NODE_INT] = "integer",
		[NODE_FLOAT] = "number", [NODE_STRING] = "string", [NODE_SEQ] = "sequence",
		[NODE_MAP] = "mapping",
	};

	static_assert(ARRAY_SIZE(names) == NODE_MAP + 1, "a name for each kind");
	return names[k];
}

int node_err(struct err *e, const struct node *n, int code, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	code = err_set(e, code, "%s", text);
	if (n && n->file)
		(void)err_at(e, n->file, n->line, n->col); /* returns the code we have */
	return code;
}
