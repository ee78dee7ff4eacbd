/* compose/env_files.c: env_file and label_file; see env_files.h.
 *
 * Variables inside an env_file mean the project's environment first, then the
 * service's own, then what earlier lines and files said.  Files that several
 * services name are read from disk once.
 */
#include "compose/env_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "compose/dotenv.h"

struct reading {
	struct loader *l;
	const struct map *env;  /* the project's; NULL for labels */
	const struct node *own; /* the service's `environment` */
	struct map files;       /* path -> struct buf *, in the arena */
};

static struct interp_value look_up(const char *name, void *data)
{
	const struct reading *r = data;
	const struct project_var *v = r->env ? map_get(r->env, name) : NULL;
	const struct node *n;

	if (v)
		return (struct interp_value){ v->value, v->origin };
	n = r->env ? node_get(r->own, name) : NULL;
	if (node_is(n, NODE_STRING))
		return (struct interp_value){ n->text, "environment" };
	return (struct interp_value){ 0 };
}

static void warn(const char *name, const struct node *at, void *data)
{
	const struct reading *r = data;

	diag_warn(r->l->diag, at, "The \"%s\" variable is not set. Defaulting to a blank string.",
		  name);
}

static const struct buf *content(struct reading *r, const char *path, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct buf *kept = map_get(&r->files, path);

	if (kept)
		return kept;
	if (load_read(r->l, path, DOTENV_MAX_SIZE, &text, e) < 0)
		return NULL;
	kept = arena_alloc(r->l->a, sizeof(*kept));
	kept->data = arena_strndup(r->l->a, buf_str(&text), text.len);
	kept->len = text.len;
	map_put(&r->files, path, kept);
	return kept;
}

static int at_node(struct reading *r, const struct node *at, struct err *e)
{
	if (at->file)
		err_at(e, at->file, at->line, at->col);
	return diag_add(r->l->diag, e);
}

/* Add a file's entries to @out. */
static int read_file(struct reading *r, const struct node *at, const char *path, bool required,
		     const char *format, const char *what, struct dotenv *out)
{
	struct interp_vars vars = { look_up, warn, r };
	enum dotenv_format how;
	struct err e = ERR_INIT;
	const struct buf *text;
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT) {
		if (!required)
			return 0;
		return diag_err(r->l->diag, at, ENOENT,
				"%s %s not found: stat %s: no such file or directory", what, path,
				path);
	}
	if (dotenv_format_parse(format ? format : "", &how, &e) < 0)
		return at_node(r, at, &e);
	text = content(r, path, &e);
	if (!text)
		return at_node(r, at, &e);
	if (dotenv_parse(r->l->a, load_display_name(r->l, path), text->data, text->len, how, &vars,
			 out, &e) < 0)
		return at_node(r, at, &e);
	return 0;
}

/* The entries of @read from @first on, over what @map has. */
static void put_entries(struct reading *r, const struct dotenv *read, size_t first,
			const char *shown, struct node *map)
{
	for (size_t i = first; i < read->n; i++) {
		const struct dotenv_entry *e = &read->entries[i];
		struct node *v;

		if (!e->value)
			continue;
		v = node_str(r->l->a, e->value);
		v->file = shown;
		v->line = e->line;
		v->col = e->col;
		v->replaced = node_get(map, e->key);
		node_put(r->l->a, map, e->key, v);
	}
}

/* The service's own values win over @map, which becomes @key of the service. */
static void put_own(struct reading *r, struct node *service, const char *key, struct node *map)
{
	const struct node *own = node_get(service, key);

	for (size_t i = 0; node_is(own, NODE_MAP) && i < own->n; i++) {
		struct node_entry *e = &own->entries[i];
		struct node *below = node_get(map, e->key);

		if (below && !e->value->replaced)
			e->value->replaced = below;
		node_put_at(r->l->a, map, e->key, e->value, e);
	}
	node_at(map, own ? own : service);
	if (map->n)
		node_put(r->l->a, service, key, map);
}

static int resolve_env(struct reading *r, struct node *service)
{
	const struct node *files = node_get(service, "env_file");
	struct node *map = node_map(r->l->a);
	struct dotenv read = { 0 };
	int result = 0;

	r->own = node_get(service, "environment");
	for (size_t i = 0; node_is(files, NODE_SEQ) && i < files->n; i++) {
		const struct node *f = files->items[i];
		const char *path = node_get_str(f, "path");
		size_t first = read.n;
		int r2;

		if (!path)
			continue;
		r2 = read_file(r, f, path, node_get_bool(f, "required", true),
			       node_get_str(f, "format"), "env file", &read);
		result = r2 < 0 ? r2 : result;
		put_entries(r, &read, first, load_display_name(r->l, path), map);
	}
	if (files)
		put_own(r, service, "environment", map);
	node_remove(service, "env_file");
	return result;
}

static int resolve_labels(struct reading *r, struct node *service)
{
	const struct node *files = node_get(service, "label_file");
	struct node *map = node_map(r->l->a);
	struct reading labels = *r;
	struct dotenv read = { 0 };
	int result = 0;

	labels.env = NULL;
	for (size_t i = 0; node_is(files, NODE_SEQ) && i < files->n; i++) {
		const struct node *f = files->items[i];
		size_t first = read.n;
		int r2 = read_file(&labels, f, f->text, true, NULL, "label file", &read);

		result = r2 < 0 ? r2 : result;
		put_entries(&labels, &read, first, load_display_name(r->l, f->text), map);
	}
	r->files = labels.files;
	if (files)
		put_own(r, service, "labels", map);
	node_remove(service, "label_file");
	return result;
}

/* Names without a value that the project's environment knows. */
static void fill_bare(struct reading *r, struct node *service)
{
	struct node *own = node_get(service, "environment");

	for (size_t i = 0; node_is(own, NODE_MAP) && i < own->n; i++) {
		struct node_entry *e = &own->entries[i];
		const struct project_var *v = node_is_null(e->value) ? map_get(r->env, e->key)
								     : NULL;
		struct node *n;

		if (!v)
			continue;
		n = node_at(node_str(r->l->a, v->value), e->value);
		n->origin = v->origin;
		e->value = n;
	}
}

int env_files_resolve(struct loader *l, struct node *services, const struct map *env)
{
	struct reading r = { .l = l, .env = env };
	int result = 0, r2;

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++) {
		fill_bare(&r, services->entries[i].value);
		r2 = resolve_env(&r, services->entries[i].value);
		result = r2 < 0 ? r2 : result;
		r2 = resolve_labels(&r, services->entries[i].value);
		result = r2 < 0 ? r2 : result;
	}
	map_done(&r.files);
	return result;
}
