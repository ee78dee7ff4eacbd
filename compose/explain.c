/* compose/explain.c: help of keys, sources of values; see explain.h.
 *
 * Both read what is there for other reasons: the key table, and the positions,
 * origins and overridden values that nodes keep.
 */
#include "compose/explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/strv.h"
#include "compose/emit.h"
#include "compose/keys.h"
#include "compose/render.h"

/* ---- paths ------------------------------------------------------------------------------- */

/* "a.b[0].c" as { "a", "b", "[0]", "c" }. */
static char **split_path(const char *path)
{
	char **parts = NULL;

	while (*path) {
		size_t n = *path == '[' ? strcspn(path, "]") + (strchr(path, ']') != NULL)
					: strcspn(path, ".[");

		if (n)
			strv_add_take(&parts, xstrndup(path, n));
		path += n;
		if (*path == '.')
			path++;
	}
	return parts;
}

/* A row below @k; where names are the user's own, they may be left out. */
static const struct key *step(const struct key *k, const char *part)
{
	const struct key *named, *below;

	if (part[0] == '[' || streq(part, "*"))
		return part[0] == '[' ? key_item(k) : key_child(k, "x");
	if (!k->sub || !k->sub->other)
		return key_child(k, part);
	named = k->sub->other;
	below = key_child(named, part);
	return below && below != &key_extension ? below : key_child(k, part);
}

static void suggest(struct err *e, const struct key *k, const char *word)
{
	const struct keyset *set = k->sub;
	_cleanup_(free_p) const char **names = NULL;
	const char *near;

	if (set && set->other && set->other->sub)
		set = set->other->sub;
	if (!set)
		return;
	names = xcalloc(set->n + 1, sizeof(*names));
	for (size_t i = 0; i < set->n; i++)
		names[i] = set->keys[i].name;
	near = nearest_word(word, names, set->n);
	if (near)
		err_hint(e, "did you mean \"%s\"?", near);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static const char *type_text(const struct key *k, char *buf, size_t n)
{
	static const char *const texts[] = {
		[KV_BOOL] = "boolean",
		[KV_BYTES] = "size: 64m, 1.5gb or a number of bytes",
		[KV_DURATION] = "duration: 1m30s, 500ms",
		[KV_MODE] = "octal permission bits: 0440",
		[KV_COMMAND] = "string or list of strings; null is the image's, [] is none",
		[KV_TEST] = "string or list of strings",
		[KV_MAPPING] = "mapping, or list of name=value",
		[KV_ENV] = "mapping, or list of name=value",
		[KV_HOSTS] = "mapping, or list of host=ip",
	};
	struct key plain = *k;

	if (k->value < ARRAY_SIZE(texts) && texts[k->value] &&
	    (k->types & (KT_MAP | KT_SEQ) || k->value <= KV_MODE || k->value == KV_TEST))
		return texts[k->value];
	plain.want = NULL;
	return key_type_names(&plain, buf, n);
}

static const char *merge_text(const struct key *k)
{
	if (k->unique)
		return "the lists of all files are put together; of entries for the same thing the "
		       "last counts";
	switch ((enum key_merge)k->merge) {
	case MERGE_REPLACE:
		return "a later file's value replaces it whole";
	case MERGE_LOGGING:
		return "key by key when the driver is the same, else replaced whole";
	case MERGE_IPAM:
		return "pools of the same subnet key by key";
	case MERGE_PAIRS:
	case MERGE_HOSTS:
		return "the lists of all files are put together";
	case MERGE_BUILD:
	case MERGE_DEPENDS:
	case MERGE_NAMES:
		return "key by key";
	case MERGE_DEFAULT:
		break;
	}
	if (k->types & KT_SEQ)
		return "the lists of all files are put together";
	return k->types & KT_MAP ? "key by key" : "a later file's value replaces it";
}

static const char *status_text(const struct key *k)
{
	if (k->flags & KF_LATER)
		return "accepted, but this version of comp does not act on it";
	if (k->flags & KF_SWARM)
		return "accepted, but it means something to a cluster of machines only";
	if (k->flags & KF_INFO)
		return "accepted; there is nothing to act on";
	return NULL;
}

static void list_keys(const struct key *k, struct buf *out)
{
	const struct keyset *set = k->sub;
	size_t column = 0;

	if (!set && k->item)
		set = k->item->sub;
	if (set && !set->n && set->other && set->other->sub)
		set = set->other->sub;
	if (!set || !set->n)
		return;
	buf_adds(out, "  keys:");
	for (size_t i = 0; i < set->n; i++) {
		if (column > 60) {
			buf_adds(out, "\n       ");
			column = 0;
		}
		buf_printf(out, " %s%s", set->keys[i].name, i + 1 < set->n ? "," : "");
		column += strlen(set->keys[i].name) + 2;
	}
	buf_addc(out, '\n');
}

static void list_choices(const char *title, const char *choices, struct buf *out)
{
	if (!choices)
		return;
	buf_printf(out, "  %s: ", title);
	for (const char *p = choices; *p; p++)
		buf_printf(out, "%.*s", *p == '|' ? 2 : 1, *p == '|' ? ", " : p);
	buf_addc(out, '\n');
}

static void describe(const struct key *k, const char *path, struct buf *out)
{
	char types[128];

	buf_printf(out, "%s\n", path);
	if (k->help)
		buf_printf(out, "  %s\n", k->help);
	buf_printf(out, "  type: %s\n", type_text(k, types, sizeof(types)));
	list_choices("one of", k->choices, out);
	list_choices("this version of comp acts on", k->acts, out);
	if (k->dflt)
		buf_printf(out, "  default: %s\n", k->dflt);
	if (k->flags & KF_REQUIRED)
		buf_adds(out, "  required\n");
	buf_printf(out, "  several files: %s\n", merge_text(k));
	if (status_text(k))
		buf_printf(out, "  note: %s\n", status_text(k));
	list_keys(k, out);
}

int explain_key(const char *path, struct buf *out, struct err *e)
{
	_cleanup_(strv_freep) char **parts = split_path(path);
	const struct key *k = &key_root, *services = key_child(&key_root, "services");

	if (!parts)
		return err_set(e, EINVAL, "no key given");
	/* "healthcheck.interval" alone means a service's. */
	if (!key_child(&key_root, parts[0]) && step(services, parts[0]) != services->sub->other)
		k = services;
	STRV_FOREACH (part, parts) {
		const struct key *next = step(k, *part);

		if (!next && key_item(k))
			next = step(key_item(k), *part);
		if (!next) {
			err_set(e, ENOENT, "there is no key \"%s\" in %s", *part,
				k == &key_root ? "a Compose file" : k->name);
			suggest(e, k == &key_root ? services : k, *part);
			return -ENOENT;
		}
		k = next;
	}
	describe(k, path, out);
	return 0;
}

/* ---- values -----------------------------------------------------------------------------------
 */

/* The value at @path; names with dots in them are tried longest first. */
static const struct node *find(const struct node *n, const char *path)
{
	char *end;
	size_t i;

	if (!*path)
		return n;
	if (*path == '[') {
		i = strtoul(path + 1, &end, 10);
		if (!node_is(n, NODE_SEQ) || *end != ']' || i >= n->n)
			return NULL;
		end++;
		return find(n->items[i], *end == '.' ? end + 1 : end);
	}
	for (size_t len = strlen(path); len > 0; len--) {
		_cleanup_(free_p) char *key = NULL;
		const struct node *v, *found;

		if (path[len] && path[len] != '.' && path[len] != '[')
			continue;
		key = xstrndup(path, len);
		v = node_get(n, key);
		found = v ? find(v, path + len + (path[len] == '.')) : NULL;
		if (found)
			return found;
	}
	return NULL;
}

static void show_value(const struct node *n, struct buf *out)
{
	if (n->kind == NODE_MAP || n->kind == NODE_SEQ)
		render_node_json(n, 0, out);
	else
		emit_yaml_scalar(n, out);
}

static void show_source(const struct node *n, bool winner, struct buf *out)
{
	if (n->file)
		buf_printf(out, "%s:%d:%d: ", n->file, n->line, n->col);
	else
		buf_adds(out, "default: ");
	show_value(n, out);
	if (n->origin)
		buf_printf(out, "  (%s)", n->origin);
	if (!winner)
		buf_adds(out, "  (overridden)");
	buf_addc(out, '\n');
}

static int default_of(const char *path, struct buf *out)
{
	_cleanup_(strv_freep) char **parts = split_path(path);
	const struct key *k = &key_root;

	STRV_FOREACH (part, parts) {
		k = (*part)[0] == '[' ? key_item(k) : key_child(k, *part);
		if (!k)
			return -ENOENT;
	}
	if (!k->dflt)
		return -ENOENT;
	buf_printf(out, "default: %s\n", k->dflt);
	return 0;
}

int explain_value(const struct project *p, const char *path, struct buf *out, struct err *e)
{
	const struct node *n = find(p->model, path);
	size_t depth = 0;

	if (!n && default_of(path, out) == 0)
		return 0;
	if (!n)
		return err_set(e, ENOENT, "nothing sets %s", path);
	for (const struct node *v = n; v && depth < 100; v = v->replaced, depth++)
		show_source(v, v == n, out);
	return 0;
}
