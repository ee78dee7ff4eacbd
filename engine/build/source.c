/* engine/build/source.c: see source.h. */
#include "engine/build/source.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/build/wildcard.h"

#define SHOWN_MAX 8 /* names shown of a directory that lacks one */

void source_items_done(struct source_items *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].path);
		spot_done(&l->items[i].spot);
	}
	free(l->items);
	*l = (struct source_items){ 0 };
}

char *source_base(const struct source_item *it)
{
	return path_base(it->path);
}

static void add_item(struct source_items *l, char *path, struct spot *s)
{
	l->items = xreallocarray(l->items, l->n + 1, sizeof(*l->items));
	l->items[l->n++] = (struct source_item){ .path = path, .spot = *s };
	*s = SPOT_INIT;
}

static bool is_hidden(const struct source *s, const struct spot *spot)
{
	return s->ignore && *spot->path && ignore_match(s->ignore, spot->path) &&
	       !(S_ISDIR(spot->st.st_mode) && ignore_may_hold_wanted(s->ignore, spot->path));
}

/* ---- not there ------------------------------------------------------------------------ */

static char **names_in(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char **names = xcalloc(1, sizeof(*names));
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			strv_add(&names, d->d_name);
	strv_sort(names);
	return names;
}

/* "a, b/, c and 12 more": what the deepest directory on the way to @path holds. */
static void tell_what_is_there(const struct source *s, const char *path, struct err *e)
{
	_cleanup_(free_p) char *dir = path_dir(path), *wanted = path_base(path);
	_cleanup_(strv_freep) char **names = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(fd_closep) int fd = spot_open_dir(s->root, dir, NULL, NULL);
	const char *near;
	size_t n;

	if (fd < 0) {
		free(dir);
		dir = xstrdup("/");
		fd = spot_open_dir(s->root, dir, NULL, NULL);
	}
	names = names_in(fd);
	n = strv_len(names);
	near = nearest_word(wanted, (const char *const *)names, n);
	if (near) {
		err_hint(e, "did you mean %s?", near);
		return;
	}
	for (size_t i = 0; i < n && i < SHOWN_MAX; i++)
		buf_printf(&b, "%s%.40s", i ? ", " : "", names[i]);
	if (n > SHOWN_MAX)
		buf_printf(&b, " and %zu more", n - SHOWN_MAX);
	err_hint(e, "%s in %s holds %s", streq(dir, ".") ? "/" : dir, s->label,
		 n ? buf_str(&b) : "nothing");
}

static int not_found(const struct source *s, const char *path, const struct spot *spot,
		     struct err *e)
{
	err_set(e, ENOENT, "\"%s\": not found in %s", path, s->label);
	if (spot && spot->exists && is_hidden(s, spot)) {
		const char *line = ignore_culprit(s->ignore, spot->path);

		return err_hint(e, "it is there, but %s hides it: \"%s\"", s->ignore_name,
				line ? line : "");
	}
	tell_what_is_there(s, path, e);
	return -ENOENT;
}

/* ---- wildcards ------------------------------------------------------------------------ */

struct search {
	const struct source *s;
	const char *pattern;
	bool deep;
	struct source_items *out;
};

/* Could something below @dir match? Component by component, as far as both go. */
static bool may_lead_to(const struct search *x, const char *dir)
{
	_cleanup_(strv_freep) char **want = strv_split(x->pattern, '/', true);
	_cleanup_(strv_freep) char **have = strv_split(dir, '/', true);

	for (size_t i = 0; have && have[i]; i++) {
		if (!want[i])
			return false;
		if (x->deep && streq(want[i], "**"))
			return true;
		if (!wildcard_match(want[i], have[i]))
			return false;
	}
	return true;
}

static int search_dir(const struct search *x, const char *dir, struct err *e)
{
	_cleanup_(fd_closep) int fd = spot_open_dir(x->s->root, dir, NULL, e);
	_cleanup_(strv_freep) char **names = NULL;
	int r = 0;

	if (fd < 0)
		return fd;
	names = names_in(fd);
	for (char **n = names; r == 0 && *n; n++) {
		char *path = *dir ? xasprintf("%s/%s", dir, *n) : xstrdup(*n);
		_cleanup_(spot_done) struct spot spot = SPOT_INIT;
		bool match = x->deep ? wildcard_match_deep(x->pattern, path)
				     : wildcard_match(x->pattern, path);

		if (!match && !may_lead_to(x, path)) {
			free(path);
			continue;
		}
		r = spot_find(x->s->root, path, NULL, &spot, e);
		if (r == -ENOENT) /* a dangling link */
			r = 0;
		if (r == 0 && spot.exists && !is_hidden(x->s, &spot)) {
			if (match) {
				add_item(x->out, TAKE_PTR(path), &spot);
			} else if (S_ISDIR(spot.st.st_mode)) {
				r = search_dir(x, path, e);
			}
		}
		free(path);
	}
	return r;
}

/* "./a//b/" → "a/b"; what climbs out ends at the top, as in a chroot. */
static char *clean_pattern(const char *pattern)
{
	_cleanup_(free_p) char *rooted = xasprintf("/%s", pattern);
	char *clean = path_clean(rooted), *out = xstrdup(clean + 1);

	free(clean);
	return out;
}

int source_find(const struct source *s, const char *pattern, bool deep, struct source_items *out,
		struct err *e)
{
	_cleanup_(free_p) char *clean = clean_pattern(pattern);
	_cleanup_(spot_done) struct spot spot = SPOT_INIT;
	int r;

	if (wildcard_is_pattern(clean)) {
		const struct search x = { s, clean, deep, out };

		r = wildcard_check(clean, e);
		return r < 0 ? r : search_dir(&x, "", e);
	}
	r = spot_find(s->root, clean, NULL, &spot, e);
	if (r == -ENOENT || r == -ENOTDIR)
		return not_found(s, pattern, NULL, e);
	if (r < 0)
		return r;
	if (!spot.exists || is_hidden(s, &spot))
		return not_found(s, pattern, &spot, e);
	add_item(out, TAKE_PTR(clean), &spot);
	return 0;
}

/* ---- content -------------------------------------------------------------------------- */

size_t source_filters(const struct source *s, const struct source_item *it,
		      const struct ignore *exclude, struct walk_filter *f)
{
	const char *slash = strrchr(it->path, '/');

	f[0] = (struct walk_filter){ s->ignore, it->spot.path };
	f[1] = (struct walk_filter){ exclude, S_ISDIR(it->spot.st.st_mode) ? ""
					      : slash                      ? slash + 1
									   : it->path };
	return 2;
}

struct hashing {
	const struct source *s;
	struct hasher *h;
};

static void add_text(struct hasher *h, const char *text)
{
	hasher_add(h, text, strlen(text) + 1);
}

static int hash_entry(void *data, const struct walk_entry *w, struct err *e)
{
	struct hashing *x = data;
	unsigned char sha[DIGEST_BYTES];
	char line[128], target[PATH_MAX];
	ssize_t n;
	int r;

	if (w->leaving || S_ISSOCK(w->st.st_mode))
		return 0;
	add_text(x->h, w->path);
	snprintf(line, sizeof(line), "%o %u:%u %llx", w->st.st_mode,
		 x->s->is_context ? 0 : w->st.st_uid, x->s->is_context ? 0 : w->st.st_gid,
		 S_ISCHR(w->st.st_mode) || S_ISBLK(w->st.st_mode)
			 ? (unsigned long long)w->st.st_rdev
			 : 0);
	add_text(x->h, line);
	if (S_ISREG(w->st.st_mode)) {
		r = digests_of_file(x->s->digests, w->dirfd, w->name, &w->st, sha, e);
		if (r < 0)
			return r;
		hasher_add(x->h, sha, sizeof(sha));
	} else if (S_ISLNK(w->st.st_mode)) {
		n = readlinkat(w->dirfd, w->name, target, sizeof(target) - 1);
		if (n < 0)
			return err_errno(e, errno, "readlink %s", w->path);
		target[n] = '\0';
		add_text(x->h, target);
	}
	return 0;
}

int source_hash(const struct source *s, const struct source_item *it, const struct ignore *exclude,
		struct hasher *h, struct err *e)
{
	struct hashing x = { s, h };
	struct walk_filter filters[2];
	size_t n = source_filters(s, it, exclude, filters);

	/* Where a directory's content goes does not depend on what it is called. */
	if (!S_ISDIR(it->spot.st.st_mode)) {
		_cleanup_(free_p) char *base = source_base(it);

		add_text(h, base);
	}
	return walk_tree(it->spot.dirfd, it->spot.name, filters, n, hash_entry, &x, e);
}
