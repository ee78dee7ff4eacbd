/* compose/bind.c: final types; see bind.h.
 *
 * After this nobody has to ask whether `environment` is a list or a mapping, or
 * whether a size is "64m" or 67108864.  One function per kind of value in the
 * key table.  Collections are changed in place.  Values that cannot become what
 * they must are errors with the position of the value.
 */
#include "compose/bind.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "compose/merge.h"
#include "compose/units.h"

struct binder {
	struct arena *a;
	const struct key *key;
	const struct spot *at;
	struct diag *diag;
};

static int complain(struct binder *b, const struct node *n, struct err *e)
{
	char path[SPOT_TEXT_MAX];

	err_wrap(e, -e->code, "%s", spot_text(b->at, path));
	if (n->file)
		err_at(e, n->file, n->line, n->col);
	return diag_add(b->diag, e);
}

static int bad_type(struct binder *b, const struct node *n, const char *want)
{
	char path[SPOT_TEXT_MAX];

	return diag_err(b->diag, n, EINVAL, "%s must be a %s", spot_text(b->at, path), want);
}

static struct node *made_from(struct node *new, const struct node *n)
{
	node_at(new, n);
	new->origin = n->origin;
	new->replaced = n->replaced;
	return new;
}

static struct node *text_from(struct binder *b, const char *text, const struct node *n)
{
	return made_from(node_str(b->a, text), n);
}

/* ---- scalars ---------------------------------------------------------------------------- */

static int bind_string(struct binder *b, struct node *n, struct node **out)
{
	if (n->kind == NODE_STRING)
		return 0;
	if (n->kind == NODE_MAP || n->kind == NODE_SEQ || n->kind == NODE_BOOL)
		return bad_type(b, n, "string");
	*out = text_from(b, merge_scalar_text(b->a, n), n);
	return 0;
}

static int bind_cast(struct binder *b, struct node *n, enum key_cast cast, struct node **out)
{
	struct err e = ERR_INIT;

	if (key_cast(b->a, cast, n, out, b->diag, &e) < 0)
		return complain(b, n, &e);
	made_from(*out, n);
	return 0;
}

static int bind_bool(struct binder *b, struct node *n, struct node **out)
{
	if (n->kind == NODE_STRING)
		return bind_cast(b, n, CAST_BOOL, out);
	return n->kind == NODE_BOOL ? 0 : bad_type(b, n, "boolean");
}

static int bind_int(struct binder *b, struct node *n, struct node **out)
{
	int r = 0;

	if (n->kind == NODE_STRING && !(b->key->flags & KF_UNSIGNED))
		r = bind_cast(b, n, CAST_INT, out);
	else if (n->kind == NODE_FLOAT && fabs(n->real) < 9e18)
		*out = made_from(node_int(b->a, (int64_t)n->real), n);
	else if (n->kind != NODE_INT)
		return bad_type(b, n, "number");
	if (r == 0 && (b->key->flags & KF_UNSIGNED) && (*out)->integer < 0)
		return bad_type(b, n, "number that is not negative");
	return r;
}

static int bind_float(struct binder *b, struct node *n, struct node **out)
{
	double v = n->kind == NODE_INT ? (double)n->integer : n->real;
	int r;

	if (n->kind == NODE_STRING) {
		r = bind_cast(b, n, CAST_FLOAT, out);
		if (r < 0)
			return r;
		v = (*out)->real;
	} else if (n->kind != NODE_INT && n->kind != NODE_FLOAT) {
		return bad_type(b, n, "number");
	}
	*out = made_from(node_float(b->a, (double)(float)v), n);
	return 0;
}

static int bind_bytes(struct binder *b, struct node *n, struct node **out)
{
	struct err e = ERR_INIT;
	int64_t v = 0;

	if (n->kind == NODE_INT)
		v = n->integer;
	else if (n->kind == NODE_STRING && units_bytes(n->text, &v, &e) < 0)
		return complain(b, n, &e);
	*out = text_from(b, arena_printf(b->a, "%lld", (long long)v), n);
	return 0;
}

static int bind_duration(struct binder *b, struct node *n, struct node **out)
{
	char buf[DURATION_TEXT_MAX];
	struct err e = ERR_INIT;
	int64_t ns;

	if (units_duration(merge_scalar_text(b->a, n), &ns, &e) < 0)
		return complain(b, n, &e);
	*out = text_from(b, units_duration_text(ns, buf), n);
	return 0;
}

static int bind_mode(struct binder *b, struct node *n, struct node **out)
{
	struct err e = ERR_INIT;
	uint32_t mode;

	if (n->kind == NODE_INT)
		mode = (uint32_t)n->integer;
	else if (n->kind != NODE_STRING)
		return bad_type(b, n, "number or string");
	else if (units_mode(n->text, &mode, &e) < 0)
		return complain(b, n, &e);
	*out = text_from(b, arena_printf(b->a, "0%o", mode), n);
	return 0;
}

static int bind_count(struct binder *b, struct node *n, struct node **out)
{
	char path[SPOT_TEXT_MAX];
	int64_t v;

	if (n->kind == NODE_INT)
		return 0;
	if (n->kind != NODE_STRING)
		return bad_type(b, n, "number or string");
	if (strcasecmp(n->text, "all") == 0)
		v = -1;
	else if (!parse_i64(n->text, &v))
		return diag_err(
			b->diag, n, EINVAL,
			"%s: invalid value \"%s\", the only value allowed is 'all' or a number",
			spot_text(b->at, path), n->text);
	*out = made_from(node_int(b->a, v), n);
	return 0;
}

/* ---- sequences of strings ------------------------------------------------------------------ */

static int bind_strings(struct binder *b, struct node *n, struct node **out)
{
	if (n->kind == NODE_STRING) {
		*out = made_from(node_seq(b->a), n);
		node_push(b->a, *out, n);
		return 0;
	}
	if (n->kind != NODE_SEQ)
		return bad_type(b, n, "list of strings");
	for (size_t i = 0; i < n->n; i++) {
		struct spot at = SPOT_ITEM(b->at, i);
		struct binder sub = { b->a, b->key, &at, b->diag };
		int r = bind_string(&sub, n->items[i], &n->items[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int bind_command(struct binder *b, struct node *n, struct node **out)
{
	struct err e = ERR_INIT;
	char **words;

	if (n->kind != NODE_STRING)
		return bind_strings(b, n, out);
	if (units_words(b->a, n->text, &words, &e) < 0)
		return complain(b, n, &e);
	*out = made_from(node_seq(b->a), n);
	for (; words && *words; words++)
		node_push(b->a, *out, text_from(b, *words, n));
	return 0;
}

static int bind_test(struct binder *b, struct node *n, struct node **out)
{
	if (n->kind != NODE_STRING)
		return bind_strings(b, n, out);
	*out = made_from(node_seq(b->a), n);
	node_push(b->a, *out, text_from(b, "CMD-SHELL", n));
	node_push(b->a, *out, n);
	return 0;
}

/* ---- mappings to strings -------------------------------------------------------------------- */

/* What "K=new" replaced was "K=old": the values alone, for --explain. */
static const struct node *values_of(struct binder *b, const struct node *pair)
{
	const char *eq = node_is(pair, NODE_STRING) ? strchr(pair->text, '=') : NULL;
	struct node *value;

	if (!eq)
		return pair;
	value = text_from(b, eq + 1, pair);
	value->replaced = values_of(b, pair->replaced);
	return value;
}

static int put_pair(struct binder *b, struct node *map, const struct node *item, bool env)
{
	const char *text = merge_scalar_text(b->a, item), *eq = strchr(text, '=');
	const char *key = eq ? arena_strndup(b->a, text, (size_t)(eq - text)) : text;
	struct node_entry like = { .line = item->line, .col = item->col };
	size_t len = strlen(key);
	struct node *value;

	if (env && len && isspace((unsigned char)key[len - 1]))
		return diag_err(b->diag, item, EINVAL,
				"environment variable %s is declared with a trailing space", key);
	value = eq || !env ? text_from(b, eq ? eq + 1 : "", item)
			   : made_from(node_null(b->a), item);
	value->replaced = values_of(b, item->replaced);
	node_put_at(b->a, map, key, value, &like);
	return 0;
}

/* @env: null stays null. */
static int bind_mapping(struct binder *b, struct node *n, bool env, struct node **out)
{
	struct node *map;
	int r = 0, r2;

	if (n->kind != NODE_MAP && n->kind != NODE_SEQ)
		return bad_type(b, n, "mapping");
	for (size_t i = 0; n->kind == NODE_MAP && i < n->n; i++) {
		struct node **v = &n->entries[i].value;

		if ((*v)->kind != NODE_STRING && !(env && (*v)->kind == NODE_NULL))
			*v = text_from(b, merge_scalar_text(b->a, *v), *v);
	}
	if (n->kind == NODE_MAP)
		return 0;
	map = made_from(node_map(b->a), n);
	for (size_t i = 0; i < n->n; i++) {
		r2 = put_pair(b, map, n->items[i], env);
		r = r2 < 0 ? r2 : r;
	}
	*out = map;
	return r;
}

static int bind_multi(struct binder *b, struct node *n, struct node **out)
{
	struct node *map = made_from(node_map(b->a), n);

	if (n->kind != NODE_MAP)
		return bad_type(b, n, "mapping");
	for (size_t i = 0; i < n->n; i++) {
		struct node *v = n->entries[i].value, *seq = made_from(node_seq(b->a), v);

		for (size_t j = 0; v->kind == NODE_SEQ && j < v->n; j++)
			node_push(b->a, seq,
				  text_from(b, merge_scalar_text(b->a, v->items[j]), v->items[j]));
		if (v->kind != NODE_SEQ)
			node_push(b->a, seq, text_from(b, merge_scalar_text(b->a, v), v));
		node_put_at(b->a, map, n->entries[i].key, seq, &n->entries[i]);
	}
	*out = map;
	return 0;
}

/* ---- extra_hosts ------------------------------------------------------------------------------
 */

static int push_host(struct binder *b, struct node *seq, const char *host, const char *ip,
		     const struct node *from)
{
	size_t n = strlen(ip);

	if (!*host || strpbrk(host, ":="))
		return diag_err(b->diag, from, EINVAL, "bad host name '%s'", host);
	if (n > 2 && ip[0] == '[' && ip[n - 1] == ']')
		ip = arena_strndup(b->a, ip + 1, n - 2);
	node_push(b->a, seq, text_from(b, arena_printf(b->a, "%s=%s", host, ip), from));
	return 0;
}

/* "host=ip,ip" or "host:ip". */
static int push_host_text(struct binder *b, struct node *seq, const struct node *item)
{
	const char *text = merge_scalar_text(b->a, item), *sep = strchr(text, '='), *host;
	char *rest, *ip;
	int r = 0;

	sep = sep ? sep : strchr(text, ':');
	if (!sep)
		return diag_err(b->diag, item, EINVAL, "invalid additional host, missing IP: %s",
				text);
	host = arena_strndup(b->a, text, (size_t)(sep - text));
	rest = arena_strdup(b->a, sep + 1);
	while (r == 0 && (ip = strsep(&rest, ",")))
		r = push_host(b, seq, host, ip, item);
	return r;
}

static int by_text(const void *x, const void *y)
{
	const struct node *const *a = x, *const *b = y;

	return strcmp((*a)->text, (*b)->text);
}

static int bind_hosts(struct binder *b, struct node *n, struct node **out)
{
	struct node *seq = made_from(node_seq(b->a), n);
	int r = 0;

	if (n->kind != NODE_MAP && n->kind != NODE_SEQ)
		return bad_type(b, n, "mapping");
	for (size_t i = 0; r == 0 && i < n->n; i++) {
		struct node *v;

		if (n->kind == NODE_SEQ) {
			r = push_host_text(b, seq, n->items[i]);
			continue;
		}
		v = n->entries[i].value;
		for (size_t j = 0; r == 0 && v->kind == NODE_SEQ && j < v->n; j++)
			r = push_host(b, seq, n->entries[i].key,
				      merge_scalar_text(b->a, v->items[j]), v->items[j]);
		if (v->kind != NODE_SEQ)
			r = push_host(b, seq, n->entries[i].key, merge_scalar_text(b->a, v), v);
	}
	if (seq->n)
		qsort(seq->items, seq->n, sizeof(*seq->items), by_text);
	*out = seq;
	return r;
}

/* ---- objects ------------------------------------------------------------------------------------
 */

/* Rows of @map's keys, and the values bound; those that have no place are taken out.
 * @nulls: null is a value here (names to objects). */
static int bind_entries(struct binder *b, struct node *map, bool nulls)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < map->n; i++) {
		struct node_entry *e = &map->entries[i];
		const struct key *row = key_child(b->key, e->key);
		struct spot at = SPOT_KEY(b->at, e->key);
		struct node *value = NULL;
		int r2;

		/* A list of names may hold what is none; the references are checked later. */
		if (!row && nulls)
			row = b->key->sub->other;
		if (row && nulls && e->value->kind == NODE_NULL) {
			/* A resource without a word is one with nothing said. */
			value = b->at->up && b->at->up->up ? e->value
							   : node_at(node_map(b->a), e->value);
		} else if (row) {
			r2 = bind_node(b->a, e->value, row, &at, &value, b->diag);
			r = r2 < 0 ? r2 : r;
		}
		if (!value)
			continue;
		map->entries[kept] = *e;
		map->entries[kept++].value = value;
	}
	if (kept < map->n) {
		map->n = kept;
		map->index = NULL; /* it knows places that moved */
	}
	return r;
}

static int bind_object(struct binder *b, struct node *n)
{
	return n->kind == NODE_MAP ? bind_entries(b, n, false) : bad_type(b, n, "mapping");
}

static int bind_objects(struct binder *b, struct node *n)
{
	return n->kind == NODE_MAP ? bind_entries(b, n, true) : bad_type(b, n, "mapping");
}

static int bind_list(struct binder *b, struct node *n)
{
	size_t kept = 0;
	int r = 0;

	if (n->kind != NODE_SEQ)
		return bad_type(b, n, "list");
	for (size_t i = 0; i < n->n; i++) {
		struct spot at = SPOT_ITEM(b->at, i);
		struct node *item = NULL;
		int r2 = bind_node(b->a, n->items[i], b->key->item, &at, &item, b->diag);

		r = r2 < 0 ? r2 : r;
		if (item)
			n->items[kept++] = item;
	}
	n->n = kept;
	return r;
}

static int bind_ulimit(struct binder *b, struct node *n, struct node **out)
{
	return n->kind == NODE_MAP ? bind_object(b, n) : bind_int(b, n, out);
}

static int bind_value(struct binder *b, struct node *n, struct node **out)
{
	switch ((enum key_value)b->key->value) {
	case KV_ANY:
		return 0;
	case KV_DROP:
		*out = NULL;
		return 0;
	case KV_STR:
		return bind_string(b, n, out);
	case KV_BOOL:
		return bind_bool(b, n, out);
	case KV_INT:
		return bind_int(b, n, out);
	case KV_FLOAT:
		return bind_float(b, n, out);
	case KV_BYTES:
		return bind_bytes(b, n, out);
	case KV_DURATION:
		return bind_duration(b, n, out);
	case KV_MODE:
		return bind_mode(b, n, out);
	case KV_COUNT:
		return bind_count(b, n, out);
	case KV_STRS:
		return bind_strings(b, n, out);
	case KV_COMMAND:
		return bind_command(b, n, out);
	case KV_TEST:
		return bind_test(b, n, out);
	case KV_MAPPING:
	case KV_SSH:
		return bind_mapping(b, n, false, out);
	case KV_ENV:
		return bind_mapping(b, n, true, out);
	case KV_MULTI:
		return bind_multi(b, n, out);
	case KV_HOSTS:
		return bind_hosts(b, n, out);
	case KV_ULIMIT:
		return bind_ulimit(b, n, out);
	case KV_ENV_FILE:
	case KV_OBJECT:
		return bind_object(b, n);
	case KV_OBJECTS:
		return bind_objects(b, n);
	case KV_LIST:
		return bind_list(b, n);
	}
	return 0;
}

int bind_node(struct arena *a, struct node *n, const struct key *key, const struct spot *at,
	      struct node **out, struct diag *diag)
{
	struct binder b = { a, key, at, diag };

	*out = n;
	if (n->kind == NODE_NULL && key->value != KV_ANY) {
		*out = NULL;
		return 0;
	}
	return bind_value(&b, n, out);
}
