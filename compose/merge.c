/* compose/merge.c: merging by the key table; see merge.h.
 *
 * The general rule is short: mappings merge key by key, sequences are appended,
 * anything else is replaced, and null says nothing.  The rows of the key table
 * name the exceptions.  Most of those first bring both sides into one shape:
 * `environment` may be a mapping in one file and a list in the next, so both
 * become lists of "k=v" whose duplicates merge_unique() then settles.
 */
#include "compose/merge.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "compose/number.h"
#include "compose/units.h"

/* ---- scalars as text --------------------------------------------------------------- */

const char *merge_scalar_text(struct arena *a, const struct node *n)
{
	char buf[NUMBER_TEXT_MAX];

	switch (n->kind) {
	case NODE_NULL:
		return "";
	case NODE_BOOL:
		return n->boolean ? "true" : "false";
	case NODE_INT:
		return arena_printf(a, "%lld", (long long)n->integer);
	case NODE_FLOAT:
		/* An integer that only fits into 64 bits without a sign. */
		if (n->text && n->real >= 9223372036854775807.0 &&
		    n->real < 18446744073709551615.0 &&
		    strspn(n->text, "0123456789") == strlen(n->text))
			return n->text;
		return arena_strdup(a, number_text(n->real, false, buf));
	case NODE_STRING:
		return n->text;
	default:
		return "";
	}
}

const char *merge_pair(struct arena *a, const char *key, const struct node *value)
{
	if (node_is_null(value))
		return arena_strdup(a, key);
	return arena_printf(a, "%s=%s", key, merge_scalar_text(a, value));
}

/* ---- both sides into one shape ------------------------------------------------------- */

static void push_pair(struct arena *a, struct node *seq, const char *key, struct node *value)
{
	struct node *n = node_at(node_str(a, merge_pair(a, key, value)), value);

	n->origin = value->origin;
	n->replaced = value->replaced;
	node_push(a, seq, n);
}

static int by_text(const void *x, const void *y)
{
	const struct node *const *a = x, *const *b = y;

	return strcmp((*a)->text, (*b)->text);
}

static struct node *to_sequence(struct arena *a, struct node *n)
{
	struct node *seq;

	if (node_is(n, NODE_SEQ))
		return n;
	seq = node_at(node_seq(a), n);
	if (node_is(n, NODE_STRING))
		node_push(a, seq, n);
	if (!node_is(n, NODE_MAP))
		return seq;
	for (size_t i = 0; i < n->n; i++) {
		struct node *v = n->entries[i].value;

		if (node_is(v, NODE_SEQ)) {
			for (size_t j = 0; j < v->n; j++)
				push_pair(a, seq, n->entries[i].key, v->items[j]);
		} else if (node_is(v, NODE_MAP)) {
			node_push(a, seq, v); /* wrong, and validation will say so */
		} else {
			push_pair(a, seq, n->entries[i].key, v);
		}
	}
	for (size_t i = 0; i < seq->n; i++)
		if (!node_is(seq->items[i], NODE_STRING))
			return seq;
	if (seq->n)
		qsort(seq->items, seq->n, sizeof(*seq->items), by_text);
	return seq;
}

static struct node *default_dependency(struct arena *a, const struct node *at)
{
	struct node *d = node_at(node_map(a), at);

	node_put(a, d, "condition", node_at(node_str(a, "service_started"), at));
	node_put(a, d, "required", node_at(node_bool(a, true), at));
	return d;
}

/* A list of names as a mapping; NULL for anything else. */
static struct node *to_mapping(struct arena *a, struct node *n, bool depends)
{
	struct node *map;

	if (!node_is(n, NODE_SEQ))
		return node_is(n, NODE_MAP) ? n : NULL;
	map = node_at(node_map(a), n);
	for (size_t i = 0; i < n->n; i++) {
		struct node *item = n->items[i];
		struct node_entry like = { .line = item->line, .col = item->col };

		if (!node_is(item, NODE_STRING))
			return NULL;
		node_put_at(a, map, item->text,
			    depends ? default_dependency(a, item) : node_at(node_null(a), item),
			    &like);
	}
	return map;
}

static struct node *to_build(struct arena *a, struct node *n)
{
	struct node *map;

	if (node_is(n, NODE_MAP))
		return n;
	if (!node_is(n, NODE_STRING))
		return NULL;
	map = node_at(node_map(a), n);
	node_put(a, map, "context", n);
	return map;
}

/* ---- merging ---------------------------------------------------------------------------- */

static int clash(const struct node *over, const struct spot *at, struct diag *diag)
{
	char path[SPOT_TEXT_MAX];

	return diag_err(diag, over, EINVAL, "cannot override %s", spot_text(at, path));
}

static struct node *replace(struct node *base, struct node *over)
{
	if (base && over != base && !over->replaced)
		over->replaced = base;
	return over;
}

static struct node *append(struct arena *a, struct node *base, struct node *over)
{
	for (size_t i = 0; i < over->n; i++)
		node_push(a, base, over->items[i]);
	return base;
}

static int merge_maps(struct arena *a, struct node *base, struct node *over, const struct key *key,
		      const struct spot *at, struct node **out, struct diag *diag)
{
	int r = 0;

	for (size_t i = 0; i < over->n; i++) {
		struct node_entry *e = &over->entries[i], *have = node_entry_get(base, e->key);
		struct spot sub = SPOT_KEY(at, e->key);
		int r2;

		if (!have) {
			node_put_at(a, base, e->key, e->value, e);
			continue;
		}
		r2 = merge_nodes(a, have->value, e->value, key_child(key, e->key), &sub,
				 &have->value, diag);
		if (r2 < 0)
			r = r2;
	}
	*out = base;
	return r;
}

static bool has_item(const struct node *seq, const struct node *item)
{
	for (size_t i = 0; i < seq->n; i++)
		if (node_equal(seq->items[i], item))
			return true;
	return false;
}

static struct node *merge_hosts(struct arena *a, struct node *base, struct node *over)
{
	size_t n = base->n;

	for (size_t i = 0; i < over->n; i++) {
		struct node before = *base;

		before.n = n;
		if (!has_item(&before, over->items[i]))
			node_push(a, base, over->items[i]);
	}
	return base;
}

static ssize_t find_pool(const struct node *pools, const struct node *subnet)
{
	for (size_t i = 0; i < pools->n; i++)
		if (node_equal(node_get(pools->items[i], "subnet"), subnet) ||
		    (!subnet && !node_get(pools->items[i], "subnet")))
			return (ssize_t)i;
	return -1;
}

/* Pools of the same subnet merge; a pool of another subnet takes the place of
 * all earlier ones.  That is what Docker Compose does, odd as it is. */
static int merge_pools(struct arena *a, struct node *base, struct node *over, const struct key *key,
		       const struct spot *at, struct node **out, struct diag *diag)
{
	struct node *pools = node_at(node_seq(a), over);

	if (!node_is(base, NODE_SEQ) || !node_is(over, NODE_SEQ))
		return clash(over, at, diag);
	for (size_t i = 0; i < base->n * over->n; i++) {
		struct node *old = base->items[i / over->n], *new = over->items[i % over->n];
		struct node *subnet = node_get(new, "subnet"), *had = node_get(old, "subnet");
		struct node *merged;
		ssize_t j;
		int r;

		if (!node_is(old, NODE_MAP) || !node_is(new, NODE_MAP))
			return clash(over, at, diag);
		if (!node_equal(subnet, had) && (subnet || had) && find_pool(pools, subnet) < 0) {
			node_push(a, pools, new);
			continue;
		}
		r = merge_maps(a, old, node_copy(a, new), key_item(key), at, &merged, diag);
		if (r < 0)
			return r;
		j = find_pool(pools, node_get(merged, "subnet"));
		if (j >= 0)
			pools->items[j] = merged;
		else
			node_push(a, pools, merged);
	}
	*out = pools;
	return 0;
}

static int merge_logging(struct arena *a, struct node *base, struct node *over,
			 const struct key *key, const struct spot *at, struct node **out,
			 struct diag *diag)
{
	struct node *had = node_get(base, "driver"), *driver = node_get(over, "driver");

	if (!node_is(base, NODE_MAP) || !node_is(over, NODE_MAP))
		return clash(over, at, diag);
	if (!had || !driver || node_equal(had, driver))
		return merge_maps(a, base, over, key, at, out, diag);
	*out = replace(base, over);
	return 0;
}

static int merge_default(struct arena *a, struct node *base, struct node *over,
			 const struct key *key, const struct spot *at, struct node **out,
			 struct diag *diag)
{
	if (node_is_null(over)) {
		*out = base;
		return 0;
	}
	if (node_is(base, NODE_MAP) || node_is(base, NODE_SEQ)) {
		if (base->kind != over->kind)
			return clash(over, at, diag);
		if (base->kind == NODE_MAP)
			return merge_maps(a, base, over, key, at, out, diag);
		*out = append(a, base, over);
		return 0;
	}
	*out = replace(base, over);
	return 0;
}

/* Both sides as mappings, then key by key. */
static int merge_as_maps(struct arena *a, struct node *base, struct node *over,
			 const struct key *key, const struct spot *at, struct node **out,
			 struct diag *diag)
{
	struct node *left, *right;

	if (key->merge == MERGE_BUILD) {
		left = to_build(a, base);
		right = to_build(a, over);
	} else {
		left = to_mapping(a, base, key->merge == MERGE_DEPENDS);
		right = to_mapping(a, over, key->merge == MERGE_DEPENDS);
	}
	if (!right && !node_is_null(over))
		return clash(over, at, diag);
	if (!left || !right) {
		*out = left ? left : (right ? right : base);
		return 0;
	}
	return merge_maps(a, left, right, key, at, out, diag);
}

int merge_nodes(struct arena *a, struct node *base, struct node *over, const struct key *key,
		const struct spot *at, struct node **out, struct diag *diag)
{
	enum key_merge rule = key ? key->merge : MERGE_DEFAULT;

	if (!base || !over) {
		*out = over ? over : base;
		return 0;
	}
	switch (rule) {
	case MERGE_DEFAULT:
		return merge_default(a, base, over, key, at, out, diag);
	case MERGE_REPLACE:
		*out = replace(base, over);
		return 0;
	case MERGE_PAIRS:
		*out = append(a, to_sequence(a, base), to_sequence(a, over));
		return 0;
	case MERGE_HOSTS:
		*out = merge_hosts(a, to_sequence(a, base), to_sequence(a, over));
		return 0;
	case MERGE_BUILD:
	case MERGE_DEPENDS:
	case MERGE_NAMES:
		return merge_as_maps(a, base, over, key, at, out, diag);
	case MERGE_LOGGING:
		return merge_logging(a, base, over, key, at, out, diag);
	case MERGE_IPAM:
		return merge_pools(a, base, over, key, at, out, diag);
	}
	return -EINVAL;
}

/* ---- uniqueness ------------------------------------------------------------------------- */

static const char *text_of(struct arena *a, const struct node *n, const char *fallback)
{
	return node_is_null(n) ? fallback : merge_scalar_text(a, n);
}

/* An unquoted number and the same as text are different ports to Docker Compose. */
static const char *port_name(struct arena *a, const struct node *p)
{
	const struct node *published = node_get(p, "published");

	return arena_printf(a, "%s:%s%s:%s/%s", text_of(a, node_get(p, "host_ip"), "0.0.0.0"),
			    node_is(published, NODE_INT) ? "#" : "", text_of(a, published, "-"),
			    text_of(a, node_get(p, "target"), ""),
			    text_of(a, node_get(p, "protocol"), "tcp"));
}

static const char *mount_name(struct arena *a, const struct node *n, const char *folder)
{
	const struct node *target = node_get(n, "target");

	if (node_is(n, NODE_STRING))
		return arena_printf(a, "%s/%s", folder, n->text);
	if (target)
		return merge_scalar_text(a, target);
	return arena_printf(a, "%s/%s", folder, text_of(a, node_get(n, "source"), ""));
}

static const char *device_name(struct arena *a, const char *text)
{
	const char *colon = strchr(text, ':');

	return colon ? arena_strndup(a, colon + 1, strcspn(colon + 1, ":")) : text;
}

static int target_name(struct arena *a, const struct node *n, const struct spot *at,
		       const char *what, const char **name, struct diag *diag)
{
	const struct node *target = node_get(n, "target");
	char path[SPOT_TEXT_MAX];

	if (!node_is(target, NODE_STRING))
		return diag_err(diag, n, EINVAL, "service %s %s is missing a mount target", what,
				spot_text(at, path));
	*name = target->text;
	return 0;
}

static int volume_name(struct arena *a, const struct node *n, const struct spot *at,
		       const char **name, struct diag *diag)
{
	struct short_volume v = { 0 };
	struct err e = ERR_INIT;

	if (node_is(n, NODE_MAP))
		return target_name(a, n, at, "volume", name, diag);
	if (units_volume(a, n->text, &v, &e) < 0) {
		char path[SPOT_TEXT_MAX];

		err_wrap(&e, -e.code, "%s", spot_text(at, path));
		err_at(&e, n->file ? n->file : "", n->line, n->col);
		return diag_add(diag, &e);
	}
	*name = v.target;
	return 0;
}

/* What @n is the definition of; *name stays NULL for what only validation can judge. */
static int item_name(struct arena *a, const struct node *n, enum key_unique rule,
		     const struct spot *at, const char **name, struct diag *diag)
{
	bool map = node_is(n, NODE_MAP), text = node_is(n, NODE_STRING);

	switch (rule) {
	case UNIQUE_NONE:
		break;
	case UNIQUE_PAIR:
		if (text)
			*name = arena_strndup(a, n->text, strcspn(n->text, "="));
		break;
	case UNIQUE_VOLUME:
		return map || text ? volume_name(a, n, at, name, diag) : 0;
	case UNIQUE_DEVICE:
		if (map)
			return target_name(a, n, at, "device", name, diag);
		if (text)
			*name = device_name(a, n->text);
		break;
	case UNIQUE_CONFIG:
	case UNIQUE_SECRET:
		if (map || text)
			*name = mount_name(a, n, rule == UNIQUE_SECRET ? "/run/secrets" : "");
		break;
	case UNIQUE_ENV_FILE:
		*name = text ? n->text : node_get_str(n, "path");
		break;
	case UNIQUE_EXPOSE:
		if (text || node_is(n, NODE_INT))
			*name = merge_scalar_text(a, n);
		break;
	case UNIQUE_PORT:
		if (map && !node_get(n, "target")) {
			char path[SPOT_TEXT_MAX];

			return diag_err(diag, n, EINVAL,
					"service ports %s is missing a target port",
					spot_text(at, path));
		}
		*name = map ? port_name(a, n)
			    : (text || node_is(n, NODE_INT) ? merge_scalar_text(a, n) : NULL);
		break;
	}
	return 0;
}

static int unique_items(struct arena *a, struct node *seq, const struct key *key,
			const struct spot *at, struct diag *diag)
{
	_cleanup_(map_done) struct map seen = MAP_INIT;
	size_t n = 0;

	for (size_t i = 0; i < seq->n; i++) {
		struct spot sub = SPOT_ITEM(at, i);
		struct node *item = seq->items[i];
		const char *name = NULL;
		uintptr_t place;
		int r = item_name(a, item, key->unique, &sub, &name, diag);

		if (r < 0)
			return r;
		place = name ? (uintptr_t)map_get(&seen, name) : 0;
		if (place) {
			seq->items[place - 1] = replace(seq->items[place - 1], item);
			continue;
		}
		seq->items[n++] = item;
		if (name)
			map_put(&seen, name, (void *)(uintptr_t)n);
	}
	seq->n = n;
	return 0;
}

int merge_unique(struct arena *a, struct node *tree, const struct key *key, const struct spot *at,
		 struct diag *diag)
{
	int r = 0;

	if (!key)
		return 0;
	if (node_is(tree, NODE_SEQ) && key->unique)
		return unique_items(a, tree, key, at, diag);
	if (!node_is(tree, NODE_MAP) || key == &key_extension)
		return 0;
	for (size_t i = 0; i < tree->n; i++) {
		struct spot sub = SPOT_KEY(at, tree->entries[i].key);
		int r2 = merge_unique(a, tree->entries[i].value,
				      key_child(key, tree->entries[i].key), &sub, diag);

		if (r2 < 0)
			r = r2;
	}
	return r;
}

/* ---- !reset and !override ------------------------------------------------------------------ */

static void note(struct arena *a, const struct spot *at, struct resets *out)
{
	size_t depth = 0;
	char **path, ***paths;

	for (const struct spot *s = at; s->up; s = s->up) {
		if (!s->name)
			return; /* inside a sequence nothing can be named */
		depth++;
	}
	path = arena_alloc(a, (depth + 1) * sizeof(*path));
	for (const struct spot *s = at; s->up; s = s->up)
		path[--depth] = arena_strdup(a, s->name);
	paths = arena_alloc(a, (out->n + 1) * sizeof(*paths));
	if (out->n)
		memcpy(paths, out->paths, out->n * sizeof(*paths));
	paths[out->n++] = path;
	out->paths = paths;
}

static void take(struct arena *a, struct node *n, const struct spot *at, struct resets *out)
{
	size_t kept = 0;

	if (n->tag == TAG_OVERRIDE) {
		note(a, at, out);
		return;
	}
	if (n->kind == NODE_SEQ) {
		for (size_t i = 0; i < n->n; i++) {
			struct spot sub = SPOT_ITEM(at, i);

			if (n->items[i]->tag == TAG_RESET)
				continue;
			take(a, n->items[i], &sub, out);
			n->items[kept++] = n->items[i];
		}
		n->n = kept;
	}
	for (size_t i = 0; n->kind == NODE_MAP && i < n->n;) {
		struct spot sub = SPOT_KEY(at, n->entries[i].key);

		if (n->entries[i].value->tag == TAG_RESET) {
			note(a, &sub, out);
			node_remove(n, n->entries[i].key);
			continue;
		}
		take(a, n->entries[i].value, &sub, out);
		i++;
	}
}

void merge_take_resets(struct arena *a, struct node *doc, struct resets *out)
{
	struct spot top = SPOT_TOP;

	*out = (struct resets){ 0 };
	take(a, doc, &top, out);
}

static void reset_path(struct node *tree, char *const *path)
{
	for (; node_is(tree, NODE_MAP) && path[0] && path[1]; path++)
		tree = node_get(tree, path[0]);
	if (node_is(tree, NODE_MAP) && path[0])
		node_remove(tree, path[0]);
}

void merge_apply_resets(const struct resets *r, struct node *tree, const char *const *prefix)
{
	for (size_t i = 0; r && i < r->n; i++) {
		char *const *path = r->paths[i];
		const char *const *p = prefix;

		for (; p && *p && *path && streq(*p, *path); p++)
			path++;
		if (!p || !*p)
			reset_path(tree, path);
	}
}
