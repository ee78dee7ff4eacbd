/* compose/include.c: `include`; see load.h.
 *
 * Each entry is loaded as a project of its own, with its own folder and its own
 * variables (what the including project has set wins), and its resources are
 * put into the including file.  Where both define the same resource, the
 * including file's definition is merged over the included one.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/strv.h"
#include "compose/load.h"
#include "compose/paths.h"
#include "compose/validate.h"

static const char *const sections[] = { "services", "volumes", "networks",
					"secrets",  "configs", "models" };

/* A string or a list of strings as a vector. */
static char **strings(const struct node *n)
{
	char **v = NULL;

	if (node_is(n, NODE_STRING))
		strv_add(&v, n->text);
	for (size_t i = 0; node_is(n, NODE_SEQ) && i < n->n; i++)
		if (node_is(n->items[i], NODE_STRING))
			strv_add(&v, n->items[i]->text);
	return v;
}

static int check_cycle(struct scope *s, const struct including *chain, const char *file,
		       const struct node *at)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	const char *names[64];
	size_t n = 0;

	for (const struct including *i = chain; i; i = i->up) {
		if (!streq(i->file, file))
			continue;
		for (const struct including *j = chain; j && n < ARRAY_SIZE(names); j = j->up)
			names[n++] = j->file;
		buf_adds(&text, "include cycle detected:");
		while (n-- > 0)
			buf_printf(&text, "\n%s%s", text.len > 24 ? " include " : "", names[n]);
		buf_printf(&text, "\n include %s", file);
		return diag_err(s->l->diag, at, ELOOP, "%s", buf_str(&text));
	}
	return 0;
}

static bool is_remote(const char *path)
{
	return strstr(path, "://") || skip_prefix(path, "git@");
}

/* The files, absolute. */
static int find_files(struct scope *s, const struct node *item, const struct including *chain,
		      char ***out)
{
	const struct node *path = node_is(item, NODE_STRING) ? item : node_get(item, "path");
	char **names = strings(path);
	int r = 0;

	STRV_FOREACH (name, names) {
		if (is_remote(*name))
			r = diag_err(s->l->diag, path, ENOTSUP,
				     "include: %s: remote files are not supported", *name);
		strv_add_take(out, paths_join(s->dir, *name));
	}
	if (!names)
		r = diag_err(s->l->diag, item, EINVAL, "include: missing property 'path'");
	strv_free(names);
	return r < 0 ? r : check_cycle(s, chain, (*out)[0], path);
}

static char *find_directory(const struct scope *s, const struct node *item, const char *main_file)
{
	const char *dir = node_get_str(item, "project_directory");

	return is_empty(dir) ? path_dir(main_file) : paths_join(s->dir, dir);
}

static int find_env_files(struct scope *s, const struct node *item, const char *dir, char ***out)
{
	const struct node *given = node_get(item, "env_file");
	char **names = strings(given);
	struct stat st;
	int r = 0;

	STRV_FOREACH (name, names) {
		char *path = paths_join(s->dir, *name);

		if (streq(path, "/dev/null")) {
			free(path);
			continue;
		}
		if (stat(path, &st) < 0)
			r = diag_err(s->l->diag, given, errno, "stat %s: no such file or directory",
				     path);
		else if (S_ISDIR(st.st_mode))
			r = diag_err(s->l->diag, given, EISDIR, "%s is not a file", path);
		strv_add_take(out, path);
	}
	if (!names) {
		char *path = paths_join(dir, ".env");

		if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
			strv_add(out, path);
		free(path);
	}
	strv_free(names);
	return r;
}

static int import_section(struct scope *s, struct node *from, struct node *cfg, const char *name,
			  const struct resets *resets)
{
	struct spot top = SPOT_TOP, section = SPOT_KEY(&top, name);
	const struct key *row = key_child(&key_root, name);
	struct node *to = node_get(cfg, name);
	struct arena *a = s->l->a;
	int r = 0;

	if (!node_is(from, NODE_MAP))
		return 0;
	if (!to) {
		to = node_at(node_map(a), from);
		node_put(a, cfg, name, to);
	}
	if (!node_is(to, NODE_MAP))
		return 0; /* the schema check will have words about it */
	for (size_t i = 0; i < from->n; i++) {
		struct node_entry *new = &from->entries[i], *have = node_entry_get(to, new->key);
		const char *prefix[] = { name, new->key, NULL };
		struct spot at = SPOT_KEY(&section, new->key);
		int r2;

		if (!have) {
			node_put_at(a, to, new->key, new->value, new);
			continue;
		}
		merge_apply_resets(resets, new->value, prefix);
		r2 = merge_nodes(a, new->value, have->value, key_child(row, new->key), &at,
				 &have->value, s->l->diag);
		r = r2 < 0 ? r2 : r;
	}
	return r;
}

static int include_one(struct scope *s, const struct node *item, struct node *cfg,
		       const struct including *chain, const struct resets *resets)
{
	_cleanup_(strv_freep) char **files = NULL, **env_files = NULL;
	_cleanup_(free_p) char *dir = NULL, *base = NULL;
	_cleanup_(map_done) struct map env = MAP_INIT;
	struct scope sub = { .l = s->l, .env = &env, .chain = chain };
	struct node *imported;
	int r;

	r = find_files(s, item, chain, &files);
	if (r < 0)
		return r;
	dir = find_directory(s, item, files[0]);
	r = find_env_files(s, item, dir, &env_files);
	if (r < 0)
		return r;
	MAP_FOREACH (entry, s->env)
		map_put(&env, entry->key, entry->value);
	r = environment_read(s->l, &env, env_files, s->l->diag);
	if (r < 0)
		return r;
	base = paths_relative(s->dir, dir);
	sub.dir = dir;
	sub.base = base;
	r = load_scope(&sub, files, &imported);
	map_done(&sub.bases);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sections); i++)
		r = import_section(s, node_get(imported, sections[i]), cfg, sections[i], resets);
	return r;
}

int include_apply(struct scope *s, struct node *cfg, const struct including *chain,
		  const struct resets *resets)
{
	struct spot top = SPOT_TOP, at = SPOT_KEY(&top, "include");
	const struct node *list = node_get(cfg, "include");
	int r;

	if (!list)
		return 0;
	if (!node_is_null(list)) {
		if (!node_is(list, NODE_SEQ))
			return diag_err(s->l->diag, list, EINVAL, "`include` must be a list");
		r = validate_part(list, key_child(&key_root, "include"), &at, s->l->diag);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < list->n; i++) {
		r = include_one(s, list->items[i], cfg, chain, resets);
		if (r < 0)
			return r;
	}
	node_remove(cfg, "include");
	return 0;
}
