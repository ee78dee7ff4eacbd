/* compose/paths.c: relative paths to absolute ones; see paths.h.
 *
 * Which values are paths, and of which kind, is in the key table.  Nothing here
 * looks at the file system but for PATH_WATCH, which follows symbolic links
 * because inotify(7) would not.
 */
#include "compose/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/strv.h"

struct resolver {
	struct arena *a;
	const char *base, *home;
	struct diag *diag;
	int r;
};

char *paths_join(const char *base, const char *path)
{
	_cleanup_(free_p) char *joined = path_join(base, path);

	return path_clean(joined);
}

char *paths_relative(const char *base, const char *path)
{
	char **from = strv_split(base, '/', true), **to = strv_split(path, '/', true);
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	size_t i = 0;

	while (from && to && from[i] && to[i] && streq(from[i], to[i]))
		i++;
	for (size_t j = i; from && from[j]; j++)
		buf_adds(&out, out.len ? "/.." : "..");
	for (size_t j = i; to && to[j]; j++)
		buf_printf(&out, "%s%s", out.len ? "/" : "", to[j]);
	strv_free(from);
	strv_free(to);
	return out.len ? buf_take(&out) : xstrdup(".");
}

static char *expand_home(const struct resolver *r, const char *path)
{
	return path[0] == '~' && r->home ? paths_join(r->home, path[1] == '/' ? path + 2 : path + 1)
					 : xstrdup(path);
}

/* C:\x, C:/x, \\host\share: absolute on a Windows client. */
static bool is_windows_absolute(const char *p)
{
	bool letter = (p[0] >= 'a' && p[0] <= 'z') || (p[0] >= 'A' && p[0] <= 'Z');

	if (letter && p[1] == ':')
		return p[2] == '\\' || p[2] == '/';
	return (p[0] == '\\' || p[0] == '/') && (p[1] == '\\' || p[1] == '/') && p[2];
}

static void set_text(struct resolver *r, struct node **n, char *text)
{
	struct node *new;

	if (!streq(text, (*n)->text)) {
		new = node_at(node_str(r->a, text), *n);
		new->origin = (*n)->origin;
		new->replaced = (*n)->replaced;
		*n = new;
	}
	free(text);
}

static void resolve_file(struct resolver *r, struct node **n)
{
	_cleanup_(free_p) char *path = NULL;

	if (!node_is(*n, NODE_STRING))
		return;
	path = expand_home(r, (*n)->text);
	set_text(r, n, path[0] == '/' || !*path ? xstrdup(path) : paths_join(r->base, path));
}

static void resolve_host(struct resolver *r, struct node **n)
{
	_cleanup_(free_p) char *path = NULL;

	if (!node_is(*n, NODE_STRING))
		return;
	path = expand_home(r, (*n)->text);
	set_text(r, n,
		 path[0] == '/' || is_windows_absolute(path) ? xstrdup(path)
							     : paths_join(r->base, path));
}

static void resolve_context(struct resolver *r, struct node **n)
{
	static const char *const remote[] = { "https://",    "http://", "git://",  "ssh://",
					      "github.com/", "git@",    "service:" };

	if (!node_is(*n, NODE_STRING) || strstr((*n)->text, "://"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(remote); i++)
		if (skip_prefix((*n)->text, remote[i]))
			return;
	resolve_file(r, n);
}

static void resolve_watch(struct resolver *r, struct node **n)
{
	char real[PATH_MAX];

	resolve_file(r, n);
	if (node_is(*n, NODE_STRING) && (*n)->text[0] == '/' && realpath((*n)->text, real))
		set_text(r, n, xstrdup(real));
}

static void resolve_volume(struct resolver *r, struct node *n)
{
	struct node_entry *source;
	const char *type = node_get_str(n, "type");

	if (!type || !streq(type, "bind"))
		return;
	source = node_entry_get(n, "source");
	if (!source) {
		r->r = diag_err(
			r->diag, n, EINVAL,
			"invalid mount config for type \"bind\": field Source must not be empty");
		return;
	}
	resolve_host(r, &source->value);
}

/* driver: local with o: bind is a bind mount in disguise. */
static void resolve_driver(struct resolver *r, struct node *n)
{
	const char *driver = node_get_str(n, "driver");
	struct node *opts = node_get(n, "driver_opts");
	const char *o = node_get_str(opts, "o");
	struct node_entry *device = node_entry_get(opts, "device");

	if (driver && streq(driver, "local") && o && streq(o, "bind") && device)
		resolve_host(r, &device->value);
}

static void resolve(struct resolver *r, struct node **n, const struct key *k)
{
	switch ((enum key_path)k->path) {
	case PATH_NONE:
		break;
	case PATH_FILE:
		resolve_file(r, n);
		return;
	case PATH_CONTEXT:
		resolve_context(r, n);
		return;
	case PATH_HOST:
		resolve_host(r, n);
		return;
	case PATH_WATCH:
		resolve_watch(r, n);
		return;
	case PATH_VOLUME:
		resolve_volume(r, *n);
		return;
	case PATH_DRIVER:
		resolve_driver(r, *n);
		return;
	}
	for (size_t i = 0; node_is(*n, NODE_MAP) && k->sub && i < (*n)->n; i++) {
		const struct key *child = key_child(k, (*n)->entries[i].key);

		if (child && child != &key_extension)
			resolve(r, &(*n)->entries[i].value, child);
	}
	for (size_t i = 0; node_is(*n, NODE_SEQ) && k->item && i < (*n)->n; i++)
		resolve(r, &(*n)->items[i], k->item);
}

int paths_resolve(struct arena *a, struct node *root, const char *base, const char *home,
		  struct diag *diag)
{
	struct resolver r = { .a = a, .base = base, .home = home, .diag = diag };

	resolve(&r, &root, &key_root);
	return r.r;
}
