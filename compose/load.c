/* compose/load.c: the pipeline of one file; see load.h.
 *
 * The order is Docker Compose's and matters: variables, include, !reset,
 * extends, merge, uniqueness, schema, short forms, uniqueness again (a port
 * range is several ports only now).  Each document is copied before anything
 * changes it, because a YAML alias makes trees that share branches; replacing
 * variables leaves the tree it reads alone.
 */
#include "compose/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/strv.h"
#include "compose/canonical.h"
#include "compose/paths.h"
#include "compose/validate.h"
#include "compose/yaml.h"

const char *load_display_name(const struct loader *l, const char *file)
{
	const char *rest = l->cwd ? skip_prefix(file, l->cwd) : NULL;

	if (streq(file, "-"))
		return arena_intern(l->a, "<stdin>");
	return arena_intern(l->a, rest && *rest == '/' && rest[1] ? rest + 1 : file);
}

int load_read(const struct loader *l, const char *file, size_t max, struct buf *out, struct err *e)
{
	bool is_stdin = streq(file, "-");
	_cleanup_(fd_closep) int fd = -EBADF;
	int r;

	if (!is_stdin) {
		fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return err_set(e, errno, "open %s: %s", file,
				       errno == ENOENT ? "no such file or directory"
						       : strerror(errno));
	}
	r = fd_read_all(is_stdin ? l->stdin_fd : fd, max, out);
	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s is larger than %zu MiB", file, max >> 20);
	if (r < 0)
		return err_set(e, -r, "read %s: %s", file, strerror(-r));
	return 0;
}

/* ---- variables -------------------------------------------------------------------------- */

static int substitute(struct scope *s, struct node **n, const char *const *parts, size_t n_parts)
{
	struct interp_path at = { .parts = parts, .n = n_parts };
	struct interp_vars vars = environment_vars(s);
	struct err e = ERR_INIT;
	int r;

	r = interpolate_tree(s->l->a, *n, &at, &vars, key_cast_node, s->l->diag, n, &e);
	return r < 0 ? diag_add(s->l->diag, &e) : 0;
}

/* A mapping of its own with the same entries. */
static struct node *copy_entries(struct arena *a, const struct node *map)
{
	struct node *copy = arena_alloc(a, sizeof(*copy));

	*copy = *map;
	copy->index = NULL;
	copy->cap = copy->n;
	copy->entries = arena_alloc(a, (copy->n + 1) * sizeof(*copy->entries));
	if (map->n)
		memcpy(copy->entries, map->entries, map->n * sizeof(*copy->entries));
	return copy;
}

#define LARGE 64 /* entries from which a map is worth an index, which node_put() keeps */

/* A tree that may be changed, all but its text, which nobody ever changes. */
static struct node *own_copy(struct arena *a, const struct node *n)
{
	struct node *copy = arena_alloc(a, sizeof(*copy));

	*copy = *n;
	copy->index = NULL;
	copy->cap = copy->n;
	if (n->kind == NODE_SEQ && n->n) {
		copy->items = arena_alloc(a, n->n * sizeof(*copy->items));
		for (size_t i = 0; i < n->n; i++)
			copy->items[i] = own_copy(a, n->items[i]);
	} else if (n->kind == NODE_MAP && n->n < LARGE) {
		copy->entries = arena_alloc(a, (n->n + 1) * sizeof(*copy->entries));
		for (size_t i = 0; i < n->n; i++) {
			copy->entries[i] = n->entries[i];
			copy->entries[i].value = own_copy(a, n->entries[i].value);
		}
	} else if (n->kind == NODE_MAP) {
		copy->n = copy->cap = 0;
		for (size_t i = 0; i < n->n; i++)
			node_put_at(a, copy, n->entries[i].key, own_copy(a, n->entries[i].value),
				    &n->entries[i]);
	}
	return copy;
}

/* Service by service, so that more than one mistake can be reported.  @doc is our
 * own down to the entries of `services`. */
static int substitute_document(struct scope *s, struct node *doc)
{
	int r = 0, r2;

	for (size_t i = 0; i < doc->n; i++) {
		struct node_entry *e = &doc->entries[i];
		const char *parts[] = { e->key, NULL };

		if (!streq(e->key, "services") || !node_is(e->value, NODE_MAP)) {
			r2 = substitute(s, &e->value, parts, 1);
			r = r2 < 0 ? r2 : r;
			continue;
		}
		e->value = copy_entries(s->l->a, e->value);
		for (size_t j = 0; j < e->value->n; j++) {
			parts[1] = e->value->entries[j].key;
			r2 = substitute(s, &e->value->entries[j].value, parts, 2);
			r = r2 < 0 ? r2 : r;
		}
	}
	return r;
}

/* ---- one document ------------------------------------------------------------------------- */

/* `dns: ["", 1.1.1.1]`, as ${DNS:-} leaves it: empty entries go. */
static void omit_empty(struct node *root)
{
	struct node *services = node_get(root, "services");

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++) {
		struct node *dns = node_get(services->entries[i].value, "dns");
		size_t n = 0;

		if (!node_is(dns, NODE_SEQ))
			continue;
		for (size_t j = 0; j < dns->n; j++)
			if (!node_is_null(dns->items[j]) &&
			    !(node_is(dns->items[j], NODE_STRING) && !*dns->items[j]->text))
				dns->items[n++] = dns->items[j];
		dns->n = n;
	}
}

static int check_document(struct scope *s, struct node *dict)
{
	struct node *version = node_get(dict, "version");
	int r = validate_schema(dict, s->l->diag);

	if (r < 0)
		return r;
	if (version) {
		diag_warn(
			s->l->diag, version,
			"the attribute `version` is obsolete, it will be ignored, please remove it "
			"to avoid potential confusion");
		node_remove(dict, "version");
	}
	return 0;
}

static int load_document(struct scope *s, const char *file, struct node *doc, int flags,
			 struct node **dict, struct resets *resets)
{
	struct including here = { .up = s->chain, .file = file };
	struct loader *l = s->l;
	struct spot top = SPOT_TOP;
	struct node *cfg;
	int r;

	cfg = copy_entries(l->a, doc);
	if (!l->no_interpolate) {
		r = substitute_document(s, cfg);
		if (r < 0)
			return r;
	}
	cfg = own_copy(l->a, cfg);
	merge_take_resets(l->a, cfg, resets);
	if (!(flags & LOAD_NO_INCLUDE)) {
		r = include_apply(s, cfg, &here, resets);
		if (r < 0)
			return r;
	}
	merge_apply_resets(resets, *dict, NULL);
	if (!(flags & LOAD_NO_EXTENDS)) {
		r = extends_apply(s, cfg, file, resets);
		if (r < 0)
			return r;
	}
	r = merge_nodes(l->a, *dict, cfg, &key_root, &top, dict, l->diag);
	if (r < 0)
		return r;
	r = merge_unique(l->a, *dict, &key_root, &top, l->diag);
	if (r < 0)
		return r;
	if (!(flags & LOAD_NO_VALIDATION)) {
		r = check_document(s, *dict);
		if (r < 0)
			return r;
	}
	r = canonicalize(l->a, dict, &key_root, &top, l->no_interpolate, l->diag);
	if (r < 0)
		return r;
	omit_empty(*dict);
	return merge_unique(l->a, *dict, &key_root, &top, l->diag);
}

int load_parse(struct loader *l, const char *file, struct yaml_docs **out)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	int r;

	*out = map_get(&l->docs, file);
	if (*out)
		return 0;
	r = load_read(l, file, YAML_MAX_SIZE, &text, &e);
	if (r < 0)
		return diag_add(l->diag, &e);
	*out = arena_alloc(l->a, sizeof(**out));
	r = yaml_load(l->a, load_display_name(l, file), buf_str(&text), text.len, *out, &e);
	if (r < 0)
		return diag_add(l->diag, &e);
	map_put(&l->docs, file, *out);
	return 0;
}

int load_file(struct scope *s, const char *file, int flags, struct node **dict,
	      struct resets *resets)
{
	struct resets own = { 0 };
	struct yaml_docs *docs;
	int r;

	r = load_parse(s->l, file, &docs);
	if (r < 0)
		return r;
	for (size_t i = 0; i < docs->n; i++) {
		r = load_document(s, file, docs->roots[i], flags, dict, &own);
		if (r < 0)
			return r;
	}
	if (resets)
		*resets = own;
	return 0;
}

int load_scope(struct scope *s, char *const *files, struct node **out)
{
	struct loader *l = s->l;
	int r, r2;

	*out = node_map(l->a);
	STRV_FOREACH (file, files) {
		r = load_file(s, *file, 0, out, NULL);
		if (r < 0)
			return r;
	}
	set_defaults(l->a, *out);
	r = validate_values(*out, l->diag);
	if (l->no_path_resolution && !s->chain)
		return r;
	r2 = paths_resolve(l->a, *out, s->base, l->home, l->diag);
	return r2 < 0 ? r2 : r;
}
