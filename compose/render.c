/* compose/render.c: what of the model is shown, and in which order; see render.h.
 *
 * A second tree is made in the order of the key table's rows, without what says
 * nothing; compose/emit.h writes it down.  "Says nothing" is what Go's
 * omitempty means: zero, false, "" and empty lists, unless the row says that
 * they count.  The second tree lives in an arena of its own.
 */
#include "compose/render.h"

#include <stdio.h>
#include <stdlib.h>

#include "compose/emit.h"
#include "compose/keys.h"

struct rendering {
	struct arena *a;
	bool json;
};

static struct node *shown(const struct rendering *r, const struct node *n, const struct key *k);

/* ---- order ------------------------------------------------------------------------------ */

static int by_bytes(const void *x, const void *y)
{
	return strcmp(((const struct node_entry *)x)->key, ((const struct node_entry *)y)->key);
}

static int by_number(const void *x, const void *y)
{
	return emit_compare_keys(((const struct node_entry *)x)->key,
				 ((const struct node_entry *)y)->key);
}

static void sort_entries(const struct rendering *r, struct node_entry *entries, size_t n)
{
	if (n > 1)
		qsort(entries, n, sizeof(*entries), r->json ? by_bytes : by_number);
}

static void sort_map(const struct rendering *r, struct node *map)
{
	sort_entries(r, map->entries, map->n);
}

/* As node_put() for a key that is not there yet; the key is not copied. */
static void append(const struct rendering *r, struct node *map, const char *key, struct node *value)
{
	if (map->n == map->cap) {
		size_t cap = map->cap ? map->cap * 2 : 4;
		struct node_entry *more = arena_alloc(r->a, cap * sizeof(*more));

		if (map->n)
			memcpy(more, map->entries, map->n * sizeof(*more));
		map->entries = more;
		map->cap = cap;
	}
	map->entries[map->n++] = (struct node_entry){ .key = key, .value = value };
}

/* A tree nothing is known about, with its keys sorted.  In JSON Docker Compose writes
 * an empty list there as null. */
static struct node *sorted(const struct rendering *r, const struct node *n)
{
	struct node *out;

	if (n->kind == NODE_SEQ) {
		out = n->n || !r->json ? node_seq(r->a) : node_null(r->a);
		for (size_t i = 0; i < n->n; i++)
			node_push(r->a, out, sorted(r, n->items[i]));
		return out;
	}
	if (n->kind != NODE_MAP)
		return (struct node *)n;
	out = node_map(r->a);
	for (size_t i = 0; i < n->n; i++)
		append(r, out, n->entries[i].key, sorted(r, n->entries[i].value));
	sort_map(r, out);
	return out;
}

/* ---- objects ------------------------------------------------------------------------------- */

static bool says_nothing(const struct node *n, const struct key *k)
{
	switch ((enum key_value)k->value) {
	case KV_BOOL:
		return n->kind == NODE_BOOL && !n->boolean;
	case KV_INT:
	case KV_COUNT:
		return n->kind == NODE_INT && n->integer == 0;
	case KV_FLOAT:
		return n->kind == NODE_FLOAT && n->real == 0;
	case KV_BYTES:
		return n->kind == NODE_STRING && streq(n->text, "0");
	case KV_DURATION:
		return n->kind == NODE_STRING && streq(n->text, "0s");
	case KV_STR:
		return n->kind == NODE_STRING && !*n->text;
	case KV_COMMAND:
		return false;
	default:
		return (n->kind == NODE_MAP || n->kind == NODE_SEQ) && n->n == 0;
	}
}

/* What a missing key looks like in JSON when it is always there. */
static struct node *nothing(const struct rendering *r, const struct key *k)
{
	if (k->value == KV_COMMAND)
		return node_null(r->a);
	return shown(r, node_map(r->a), k);
}

static void put_shown(const struct rendering *r, struct node *out, const struct node *v,
		      const struct key *k)
{
	struct node *s = v && v->kind != NODE_NULL ? shown(r, v, k) : NULL;

	if (s && says_nothing(s, k) && !(k->flags & KF_KEEP))
		s = NULL;
	if (!s && r->json && (k->flags & KF_JSON_ALWAYS))
		s = nothing(r, k);
	if (s)
		append(r, out, r->json && k->json ? k->json : k->name, s);
}

#define ROWS_MAX 128

static struct node *shown_object(const struct rendering *r, const struct node *n,
				 const struct key *k)
{
	const struct node *values[ROWS_MAX] = { 0 }; /* by row: a table is long, a map is short */
	const struct keyset *set = k->sub;
	struct node *out = node_map(r->a);
	size_t own;

	if (n->kind != NODE_MAP || set->n > ROWS_MAX)
		return (struct node *)n;
	for (size_t i = 0; i < n->n; i++) {
		const struct key *row = key_child(k, n->entries[i].key);

		if (row >= set->keys && row < set->keys + set->n)
			values[row - set->keys] = n->entries[i].value;
	}
	for (size_t i = 0; i < set->n; i++)
		if (values[i] || (set->keys[i].flags & KF_JSON_ALWAYS))
			put_shown(r, out, values[i], &set->keys[i]);
	if (r->json)
		return out;
	own = out->n;
	for (size_t i = 0; i < n->n; i++)
		if (key_is_extension(n->entries[i].key) &&
		    key_child(k, n->entries[i].key) == &key_extension)
			append(r, out, n->entries[i].key, sorted(r, n->entries[i].value));
	if (out->n > own)
		sort_entries(r, out->entries + own, out->n - own);
	return out;
}

static struct node *shown_objects(const struct rendering *r, const struct node *n,
				  const struct key *k)
{
	struct node *out = node_map(r->a);

	for (size_t i = 0; n->kind == NODE_MAP && i < n->n; i++) {
		const struct node *v = n->entries[i].value;
		const struct key *row = k->sub->other;

		if (row)
			append(r, out, n->entries[i].key,
			       v->kind == NODE_NULL ? (struct node *)v : shown(r, v, row));
	}
	sort_map(r, out);
	return out;
}

static struct node *shown_list(const struct rendering *r, const struct node *n, const struct key *k)
{
	struct node *out = node_seq(r->a);

	for (size_t i = 0; n->kind == NODE_SEQ && i < n->n; i++)
		node_push(r->a, out, shown(r, n->items[i], k->item));
	return out;
}

static struct node *shown_ulimit(const struct rendering *r, const struct node *n)
{
	static const char *const names[] = { "soft", "hard" };
	struct node *out;

	if (n->kind == NODE_INT && n->integer != 0)
		return (struct node *)n;
	out = node_map(r->a);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int64_t v = node_get_int(n, names[i], 0);

		if (v || !r->json)
			node_put(r->a, out, names[i], node_int(r->a, v));
	}
	return out;
}

static struct node *shown_env_file(const struct rendering *r, const struct node *n)
{
	struct node *path = node_get(n, "path");

	if (path && node_get_bool(n, "required", true) && !node_get(n, "format"))
		return path;
	return sorted(r, n);
}

static struct node *shown_ssh(const struct rendering *r, const struct node *n)
{
	struct node *out = node_seq(r->a), *map = sorted(r, n);

	for (size_t i = 0; map->kind == NODE_MAP && i < map->n; i++) {
		const char *path = map->entries[i].value->text;

		node_push(r->a, out,
			  is_empty(path) ? node_str(r->a, map->entries[i].key)
					 : node_strf(r->a, "%s=%s", map->entries[i].key, path));
	}
	return out;
}

static struct node *shown(const struct rendering *r, const struct node *n, const struct key *k)
{
	switch ((enum key_value)k->value) {
	case KV_OBJECT:
		return shown_object(r, n, k);
	case KV_OBJECTS:
		return shown_objects(r, n, k);
	case KV_LIST:
		return shown_list(r, n, k);
	case KV_ULIMIT:
		return shown_ulimit(r, n);
	case KV_ENV_FILE:
		return shown_env_file(r, n);
	case KV_SSH:
		return shown_ssh(r, n);
	case KV_ANY:
	case KV_MAPPING:
	case KV_ENV:
	case KV_MULTI:
		return sorted(r, n);
	default:
		return (struct node *)n;
	}
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static struct node *shown_project(const struct rendering *r, const struct project *p)
{
	struct node *out = shown_object(r, p->model, &key_root);

	if (!node_get(out, "services"))
		node_put(r->a, out, "services", node_map(r->a));
	if (!r->json)
		return out;
	node_remove(out, "models");
	for (size_t i = 0; i < p->model->n; i++)
		if (key_is_extension(p->model->entries[i].key))
			node_put(r->a, out, p->model->entries[i].key,
				 sorted(r, p->model->entries[i].value));
	sort_map(r, out);
	return out;
}

/* YAML has `services` behind `name`, whether or not there are any. */
static struct node *images_only(const struct rendering *r, const struct project *p)
{
	struct node *out = node_map(r->a), *services = node_map(r->a);
	const struct node *all = project_section(p, "services");

	for (size_t i = 0; node_is(all, NODE_MAP) && i < all->n; i++) {
		struct node *image = node_get(all->entries[i].value, "image"), *s = node_map(r->a);

		if (r->json)
			node_put(r->a, s, "command", node_null(r->a));
		if (r->json)
			node_put(r->a, s, "entrypoint", node_null(r->a));
		if (image)
			node_put(r->a, s, "image", image);
		node_put(r->a, services, all->entries[i].key, s);
	}
	sort_map(r, services);
	if (r->json)
		node_put(r->a, out, "name", node_str(r->a, ""));
	node_put(r->a, out, "services", services);
	return out;
}

static void double_dollars(const struct buf *in, struct buf *out)
{
	const char *p = buf_str(in), *end = p + in->len;

	while (p < end) {
		const char *dollar = memchr(p, '$', (size_t)(end - p));

		if (!dollar) {
			buf_add(out, p, (size_t)(end - p));
			return;
		}
		buf_add(out, p, (size_t)(dollar - p));
		buf_adds(out, "$$");
		p = dollar + 1;
	}
}

void render_project(const struct project *p, const struct render_opts *o, struct buf *out)
{
	_cleanup_(arena_freep) struct arena *a = arena_new();
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct rendering r = { a, o->json };
	struct node *tree;

	if (o->images_only)
		tree = images_only(&r, p);
	else
		tree = p->raw ? sorted(&r, p->model) : shown_project(&r, p);
	if (o->json)
		emit_json(tree, 2, &text);
	else
		emit_yaml(tree, &text);
	if (p->raw || o->keep_dollar)
		buf_add(out, buf_str(&text), text.len);
	else
		double_dollars(&text, out);
}

void render_node_yaml(const struct node *n, struct buf *out)
{
	_cleanup_(arena_freep) struct arena *a = arena_new();
	struct rendering r = { a, false };

	emit_yaml(sorted(&r, n), out);
}

void render_node_json(const struct node *n, int indent, struct buf *out)
{
	_cleanup_(arena_freep) struct arena *a = arena_new();
	struct rendering r = { a, true };

	emit_json(sorted(&r, n), indent, out);
}

void render_service_json(const struct node *service, struct buf *out)
{
	_cleanup_(arena_freep) struct arena *a = arena_new();
	struct rendering r = { a, true };
	const struct key *row = key_child(key_child(&key_root, "services"), "x");

	emit_json(shown(&r, service, row), 0, out);
}

void render_json_string(const char *s, struct buf *out)
{
	emit_json_string(s, out);
}
