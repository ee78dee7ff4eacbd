/* engine/build/walk.c: see walk.h.
 *
 * A frame per directory that is open.  A frame that a filter hid is told of only when
 * the first wanted entry below it turns up (`!` patterns), its parents first.
 */
#include "engine/build/walk.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/build/ignore.h"

#define DEPTH_MAX 400 /* one descriptor each */
#define FILTERS   2

struct frame {
	struct frame *up;
	struct walk_entry entry;
	char *path;
	bool told;
	struct ignore_state *states[FILTERS];
};

struct walk {
	const struct walk_filter *filters;
	size_t n_filters;
	walk_fn fn;
	void *data;
};

static int tell(struct walk *w, struct frame *f, struct err *e)
{
	int r = f->up ? tell(w, f->up, e) : 0;

	if (r < 0 || f->told)
		return r;
	f->told = true;
	return w->fn(w->data, &f->entry, e);
}

static char **sorted_names(int dirfd, struct err *e)
{
	_cleanup_(strv_freep) char **names = xcalloc(1, sizeof(*names));
	_cleanup_(dir_closep) DIR *dir = NULL;
	size_t n = 0, room = 1;
	struct dirent *d;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		err_errno(e, errno, "read a directory");
		fd_close(fd);
		return NULL;
	}
	while ((d = readdir(dir))) {
		if (streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		if (n + 2 > room) /* strv_add() counts anew each time */
			names = xreallocarray(names, room *= 2, 2 * sizeof(*names));
		names[n++] = xstrdup(d->d_name);
		names[n] = NULL;
	}
	strv_sort(names);
	return TAKE_PTR(names);
}

/* Hidden by a filter?  *descend: but something below it may be wanted. */
static bool is_hidden(const struct walk *w, struct frame *f, bool *descend)
{
	bool hidden = false;

	*descend = true;
	for (size_t i = 0; i < w->n_filters; i++) {
		const struct walk_filter *x = &w->filters[i];
		_cleanup_(free_p) char *path = NULL;

		if (!x->ignore || ignore_empty(x->ignore))
			continue;
		path = is_empty(x->prefix)
			       ? xstrdup(f->path)
			       : xasprintf("%s%s%s", x->prefix, *f->path ? "/" : "", f->path);
		if (!*path) /* the context itself is never hidden */
			continue;
		/* Where the walk begins below the context, its parents count too. */
		if (f->up ? !ignore_match_below(x->ignore, f->up->states[i], path, &f->states[i])
			  : !ignore_match_below(x->ignore, NULL, path, &f->states[i]) &&
				    !ignore_match(x->ignore, path))
			continue;
		hidden = true;
		*descend &= ignore_may_hold_wanted(x->ignore, path);
	}
	return hidden;
}

static int visit(struct walk *w, struct frame *up, int dirfd, const char *name, int depth,
		 struct err *e);

static int visit_below(struct walk *w, struct frame *f, int depth, struct err *e)
{
	_cleanup_(fd_closep) int fd = openat(f->entry.dirfd, f->entry.name,
					     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(strv_freep) char **names = NULL;
	int r = 0;

	if (fd < 0)
		return err_errno(e, errno, "open %s", *f->path ? f->path : f->entry.name);
	if (depth > DEPTH_MAX)
		return err_set(e, ELOOP, "%.200s…: too deep", f->path);
	names = sorted_names(fd, e);
	if (!names)
		return -EIO;
	for (char **n = names; r == 0 && *n; n++)
		r = visit(w, f, fd, *n, depth + 1, e);
	if (r == 0 && f->told) {
		f->entry.leaving = true;
		r = w->fn(w->data, &f->entry, e);
	}
	return r;
}

static int visit_frame(struct walk *w, struct frame *f, int depth, struct err *e)
{
	bool descend, hidden;

	if (fstatat(f->entry.dirfd, f->entry.name, &f->entry.st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && f->up
			       ? 0 /* gone meanwhile */
			       : err_errno(e, errno, "stat %s", *f->path ? f->path : f->entry.name);
	hidden = is_hidden(w, f, &descend);
	if (!hidden) {
		int r = tell(w, f, e);

		if (r < 0)
			return r;
	}
	if (!S_ISDIR(f->entry.st.st_mode) || (hidden && !descend))
		return 0;
	return visit_below(w, f, depth, e);
}

static int visit(struct walk *w, struct frame *up, int dirfd, const char *name, int depth,
		 struct err *e)
{
	struct frame f = { .up = up, .entry = { .dirfd = dirfd, .name = name } };
	int r;

	f.path = !up          ? xstrdup("")
		 : !*up->path ? xstrdup(name)
			      : xasprintf("%s/%s", up->path, name);
	f.entry.path = f.path;
	r = visit_frame(w, &f, depth, e);
	for (size_t i = 0; i < w->n_filters; i++)
		ignore_state_free(f.states[i]);
	free(f.path);
	return r;
}

int walk_tree(int dirfd, const char *name, const struct walk_filter *filters, size_t n_filters,
	      walk_fn fn, void *data, struct err *e)
{
	struct walk w = { .filters = filters,
			  .n_filters = MIN(n_filters, (size_t)FILTERS),
			  .fn = fn,
			  .data = data };

	return visit(&w, NULL, dirfd, name, 0, e);
}
