/* compose/extends.c: `extends`; see load.h.
 *
 * A base service is taken as written, its own `extends` first (down the chain,
 * in whatever file it is), and the extending service is merged over a copy.
 * Services of another file come from a load without checks, whose short forms
 * are written out and whose paths are made to start from here; such a file is
 * read once per scope.
 */
#include <errno.h>
#include <stdio.h>

#include "base/path.h"
#include "compose/load.h"
#include "compose/paths.h"

struct base_file {
	struct node *services; /* NULL: it has none */
	struct resets resets;
	const char *file; /* absolute */
};

#define CHAIN_MAX 100 /* services that extend one another in a row */

/* The services on the way down, to find circles. */
struct link {
	const struct link *up;
	int depth;
	const char *file, *service;
	const struct node *at;
};

struct place {
	struct scope *s;
	const char *file; /* absolute */
	struct node *services;
	const struct resets *resets;
};

static int extend(const struct place *p, const char *name, const struct link *up,
		  struct node **out);

static int circle(const struct place *p, const struct link *down, const struct link *last)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	const struct link *links[64];
	size_t n = 0;

	for (const struct link *l = down; l && n < ARRAY_SIZE(links); l = l->up) {
		links[n++] = l;
		if (streq(l->file, last->file) && streq(l->service, last->service))
			break;
	}
	buf_adds(&text, "Circular reference:");
	for (size_t i = n; i-- > 0;)
		buf_printf(&text, "\n  %s%s in %s", i + 1 == n ? "" : "extends ", links[i]->service,
			   load_display_name(p->s->l, links[i]->file));
	buf_printf(&text, "\n  extends %s in %s", last->service,
		   load_display_name(p->s->l, last->file));
	return diag_err(p->s->l->diag, down->at, EINVAL, "%s", buf_str(&text));
}

static struct base_file *read_base(struct scope *s, const char *file, const struct node *at)
{
	struct loader *l = s->l;
	struct base_file *b = map_get(&s->bases, file);
	_cleanup_(free_p) char *dir = NULL, *rel = NULL;
	struct node *dict = node_map(l->a);
	int r;

	if (b)
		return b;
	b = arena_alloc(l->a, sizeof(*b));
	b->file = arena_strdup(l->a, file);
	if (access(file, R_OK) < 0) {
		diag_err(l->diag, at, errno, "open %s: %s", file,
			 errno == ENOENT ? "no such file or directory" : strerror(errno));
		return NULL;
	}
	r = load_file(s, b->file, LOAD_NO_EXTENDS | LOAD_NO_INCLUDE | LOAD_NO_VALIDATION, &dict,
		      &b->resets);
	if (r < 0)
		return NULL;
	dir = path_dir(file);
	rel = paths_relative(s->dir, dir);
	if (paths_resolve(l->a, dict, rel, l->home, l->diag) < 0)
		return NULL;
	b->services = node_get(dict, "services");
	map_put(&s->bases, file, b);
	return b;
}

static int missing(const struct place *p, const char *name, const char *ref, const char *ref_file,
		   const struct node *services, const struct node *at)
{
	struct diag *diag = p->s->l->diag;
	int r;

	r = diag_err(diag, at, EINVAL,
		     "cannot extend service \"%s\" in %s: service \"%s\" not found%s%s", name,
		     load_display_name(p->s->l, p->file), ref, ref_file ? " in " : "",
		     ref_file ? ref_file : "");
	diag_suggest(diag, ref, services);
	return r;
}

/* Where the base of @name is. */
static int find_base(const struct place *p, const char *name, const struct node *extends,
		     const char *ref, struct place *base)
{
	const struct node *file = node_get(extends, "file");
	struct diag *diag = p->s->l->diag;
	_cleanup_(free_p) char *path = NULL;
	struct base_file *b;

	*base = *p;
	if (node_is_null(file)) {
		if (!node_get(p->services, ref))
			return missing(p, name, ref, NULL, p->services, extends);
		return 0;
	}
	if (!node_is(file, NODE_STRING))
		return diag_err(diag, file, EINVAL, "services.%s.extends.file must be a string",
				name);
	path = paths_join(p->s->dir, file->text);
	b = read_base(p->s, path, file);
	if (!b)
		return -EINVAL;
	if (!b->services)
		return diag_err(diag, file, EINVAL,
				"cannot extend service \"%s\" in %s: no services section", name,
				path);
	if (!node_is(b->services, NODE_MAP))
		return diag_err(diag, file, EINVAL,
				"cannot extend service \"%s\" in %s: services must be a mapping",
				name, path);
	if (!node_get(b->services, ref))
		return missing(p, name, ref, file->text, b->services, extends);
	*base = (struct place){ p->s, b->file, b->services, &b->resets };
	return 0;
}

static int merge_base(const struct place *p, const char *name, struct node *base,
		      struct node *service, struct node **out)
{
	struct spot top = SPOT_TOP, services = SPOT_KEY(&top, "services");
	struct spot at = SPOT_KEY(&services, name);
	const char *prefix[] = { "services", name, NULL };
	struct arena *a = p->s->l->a;
	int r;

	base = node_copy(a, base);
	if (node_is(base, NODE_MAP))
		merge_apply_resets(p->resets, base, prefix);
	r = merge_nodes(a, base, service, key_child(key_child(&key_root, "services"), name), &at,
			out, p->s->l->diag);
	if (r == 0)
		node_remove(*out, "extends");
	return r;
}

static int extend(const struct place *p, const char *name, const struct link *up, struct node **out)
{
	struct node_entry *e = node_entry_get(p->services, name);
	struct diag *diag = p->s->l->diag;
	const struct node *extends;
	struct node *base_service;
	struct link here = { up, up ? up->depth + 1 : 1, p->file, name, NULL };
	struct place base;
	const char *ref;
	int r;

	*out = e->value;
	if (node_is_null(e->value))
		return 0;
	if (!node_is(e->value, NODE_MAP))
		return diag_err(diag, e->value, EINVAL, "services.%s must be a mapping", name);
	extends = node_get(e->value, "extends");
	if (!extends)
		return 0;
	ref = node_is(extends, NODE_STRING) ? extends->text : node_get_str(extends, "service");
	if (!ref)
		return diag_err(diag, extends, EINVAL, "extends.%s.service is required", name);
	here.at = extends;
	r = find_base(p, name, extends, ref, &base);
	if (r < 0)
		return r;
	for (const struct link *l = &here; l; l = l->up)
		if (streq(l->service, ref) && streq(l->file, base.file))
			return circle(p, &here, &(struct link){ NULL, 0, base.file, ref, extends });
	if (here.depth >= CHAIN_MAX)
		return diag_err(diag, extends, E2BIG,
				"services.%s: more than %d services extend one another in a row",
				name, CHAIN_MAX);
	r = extend(&base, ref, &here, &base_service);
	if (r < 0 || node_is_null(base_service))
		return r;
	r = merge_base(p, name, base_service, e->value, out);
	if (r < 0)
		return r;
	e = node_entry_get(p->services, name);
	e->value = *out;
	return 0;
}

int extends_apply(struct scope *s, struct node *cfg, const char *file, const struct resets *resets)
{
	struct place p = { s, file, node_get(cfg, "services"), resets };
	int r = 0;

	for (size_t i = 0; node_is(p.services, NODE_MAP) && i < p.services->n; i++) {
		struct node *merged;
		int r2 = extend(&p, p.services->entries[i].key, NULL, &merged);

		r = r2 < 0 ? r2 : r;
	}
	return r;
}
