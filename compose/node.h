/* compose/node.h: the tree every Compose file becomes.
 *
 * A node keeps where its value starts, so that an error at any later stage can
 * name file, line and column.  Nodes, their text and their file names live in
 * an arena: nothing is freed singly, and everything goes with arena_free().
 * Trees may share sub-trees (a YAML alias does), so code that changes a tree it
 * did not build copies first: node_copy().
 */
#ifndef COMPOSE_NODE_H
#define COMPOSE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

/* ---- arena ---------------------------------------------------------------- */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is allowed */
static inline void arena_freep(struct arena **a)
{
	arena_free(*a);
}
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for anything */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) _printf_(2, 3);
const char *arena_intern(struct arena *a, const char *s); /* same text, same pointer */
size_t arena_used(const struct arena *a);                 /* bytes */

/* ---- nodes ---------------------------------------------------------------- */
enum node_kind { NODE_NULL, NODE_BOOL, NODE_INT, NODE_FLOAT, NODE_STRING, NODE_SEQ, NODE_MAP };

enum node_tag { TAG_NONE, TAG_RESET, TAG_OVERRIDE }; /* !reset, !override */

struct node;

struct node_entry {
	const char *key;
	int line, col; /* of the key */
	struct node *value;
};

struct node {
	enum node_kind kind;
	enum node_tag tag;
	const char *file; /* as the user named it; interned; NULL for made-up nodes */
	int line, col;    /* 1-based; 0 for made-up nodes */
	bool quoted;      /* a quoted or block scalar: never anything but a string */
	const char *text; /* scalars: as written (strings: the value); NULL for null */
	union {
		bool boolean;
		int64_t integer;
		double real;
	};
	size_t n, cap; /* NODE_SEQ, NODE_MAP: used and allocated */
	union {
		struct node **items;        /* NODE_SEQ */
		struct node_entry *entries; /* NODE_MAP, in order of appearance */
	};
	struct node_index *index;    /* NODE_MAP: kept by node_put() once a map is large */
	const struct node *replaced; /* the value this one overrode when files were merged */
	const char *origin;          /* what else made this value: "${FOO} from .env:3"; or NULL */
};

struct node *node_null(struct arena *a);
struct node *node_bool(struct arena *a, bool v);
struct node *node_int(struct arena *a, int64_t v);
struct node *node_float(struct arena *a, double v);
struct node *node_str(struct arena *a, const char *s); /* copies @s */
struct node *node_strf(struct arena *a, const char *fmt, ...) _printf_(2, 3);
struct node *node_seq(struct arena *a);
struct node *node_map(struct arena *a);
/* Give @n the position of @from (NULL allowed); returns @n. */
struct node *node_at(struct node *n, const struct node *from);

void node_push(struct arena *a, struct node *seq, struct node *value);
void node_put(struct arena *a, struct node *map, const char *key, struct node *value);
/* As node_put() with the key's own position taken from @like when it is new. */
void node_put_at(struct arena *a, struct node *map, const char *key, struct node *value,
		 const struct node_entry *like);
bool node_remove(struct node *map, const char *key); /* true if it was there; keeps the order */
void node_sort_keys(struct node *map);               /* by byte value; not recursive */
struct node *node_copy(struct arena *a, const struct node *n); /* deep */
bool node_equal(const struct node *a, const struct node *b);   /* values only, not positions */

/* All of these take NULL for the map and answer NULL / the fallback for a value
 * of another kind. */
struct node *node_get(const struct node *map, const char *key);
struct node_entry *node_entry_get(const struct node *map, const char *key);
/* node_get() repeatedly: node_path(svc, "deploy", "resources", "limits", NULL). */
struct node *node_path(const struct node *map, ...) __attribute__((sentinel));
const char *node_get_str(const struct node *map, const char *key); /* strings only */
bool node_get_bool(const struct node *map, const char *key, bool fallback);
int64_t node_get_int(const struct node *map, const char *key, int64_t fallback);
double node_get_float(const struct node *map, const char *key, double fallback);
/* A scalar of any kind as text ("true", "80", "1.5", the string), else NULL. */
const char *node_scalar_text(struct arena *a, const struct node *n);

static inline bool node_is(const struct node *n, enum node_kind kind)
{
	return n && n->kind == kind;
}
static inline bool node_is_null(const struct node *n)
{
	return !n || n->kind == NODE_NULL;
}
const char *node_kind_name(enum node_kind k); /* "mapping", "string", … */

/* err_set() with the node's position. */
int node_err(struct err *e, const struct node *n, int code, const char *fmt, ...) _printf_(4, 5);

#endif
