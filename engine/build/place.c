/* engine/build/place.c: see place.h.
 *
 * Below the destination everything happens on a stack of directory descriptors, one
 * component at a time and O_NOFOLLOW; names are made with O_EXCL after what was there
 * has been taken away.
 */
#include "engine/build/place.h"

#include <fcntl.h>
#include <limits.h>

#include "base/copy.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "engine/build/spot.h"

#define DEPTH_MAX 410

struct placing {
	struct place *p;
	int stack[DEPTH_MAX]; /* destination directories; the first is the start's */
	char *names[DEPTH_MAX];
	size_t depth;
	const char *name; /* of the start in stack[0]; NULL: the start is stack[0] itself */
	struct map links; /* "dev:ino" → path below stack[0], of files with several names */
};

/* ---- attributes -------------------------------------------------------------------- */

/* One clause of chmod(1): [ugoa]*[-+=][rwxXst]*. */
static const char *apply_clause(const char *s, uint32_t *mode, bool directory)
{
	uint32_t who = 0, old = *mode;
	bool any_x = old & 0111;

	for (; *s && strchr("ugoa", *s); s++)
		who |= *s == 'u' ? 04700 : *s == 'g' ? 02070 : *s == 'o' ? 01007 : 07777;
	if (!who)
		who = 07777;
	if (!*s || !strchr("-+=", *s))
		return NULL;
	while (*s && strchr("-+=", *s)) {
		char op = *s++;
		uint32_t bits = 0;

		for (; *s && strchr("rwxXst", *s); s++)
			bits |= *s == 'r'   ? 0444
				: *s == 'w' ? 0222
				: *s == 'x' ? 0111
				: *s == 'X' ? (directory || any_x ? 0111 : 0)
				: *s == 's' ? 06000
					    : 01000;
		bits &= who | (bits & 01000);
		if (op == '=')
			*mode = (*mode & ~(who & (directory ? 0777 : 07777))) | bits;
		else
			*mode = op == '+' ? *mode | bits : *mode & ~bits;
	}
	return s;
}

int place_symbolic_mode(const char *text, uint32_t mode, bool directory, uint32_t *out,
			struct err *e)
{
	const char *s = text;

	mode &= 07777;
	do {
		s = apply_clause(s, &mode, directory);
	} while (s && *s == ',' && *++s);
	if (!s || *s)
		return err_set(e, EINVAL, "invalid chmod: %s", text);
	*out = mode;
	return 0;
}

static uint32_t mode_for(const struct place *p, uint32_t mode)
{
	uint32_t out = mode & 07777;

	if (p->mode >= 0)
		return (uint32_t)p->mode & 07777;
	if (p->symbolic) /* was checked by who set it */
		(void)place_symbolic_mode(p->symbolic, mode, S_ISDIR(mode), &out, NULL);
	return out;
}

static bool wanted_xattr(const char *name)
{
	return skip_prefix(name, "user.") || streq(name, "security.capability");
}

/* Owner first: changing it clears set-id bits and file capabilities. @from: -EBADF: no
 * attributes to copy. */
static int set_attributes(const struct place *p, int from, int to, const struct stat *st)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
	int r = 0;

	if (fchown(to, p->owned ? p->uid : st->st_uid, p->owned ? p->gid : st->st_gid) < 0 ||
	    fchmod(to, mode_for(p, st->st_mode)) < 0)
		return -errno;
	if (from >= 0)
		r = copy_xattrs(from, to, wanted_xattr);
	return r < 0 ? r : futimens(to, times) < 0 ? -errno : 0;
}

/* ---- one entry ------------------------------------------------------------------------ */

/* What is at @name makes room for something that is no directory. */
static int make_room(int dir, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "stat %s", name);
	if (S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "cannot replace the directory %s with a file", name);
	return unlinkat(dir, name, 0) < 0 ? err_errno(e, errno, "remove %s", name) : 0;
}

static int new_file(int dir, const char *name, struct err *e)
{
	int fd, r = make_room(dir, name, e);

	if (r < 0)
		return r;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_errno(e, errno, "create %s", name) : fd;
}

static int place_file(struct placing *c, int dir, const char *name, const struct walk_entry *w,
		      struct err *e)
{
	_cleanup_(fd_closep) int from = openat(w->dirfd, w->name,
					       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_(fd_closep) int to = -EBADF;
	int r;

	if (from < 0)
		return err_errno(e, errno, "open %s", *w->path ? w->path : w->name);
	to = new_file(dir, name, e);
	if (to < 0)
		return to;
	r = copy_data(from, to);
	if (r == 0)
		r = set_attributes(c->p, from, to, &w->st);
	return r < 0 ? err_errno(e, -r, "copy %s", *w->path ? w->path : w->name) : 0;
}

static int place_other(struct placing *c, int dir, const char *name, const struct walk_entry *w,
		       struct err *e)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, w->st.st_mtim };
	const struct place *p = c->p;
	char target[PATH_MAX];
	ssize_t n;
	int r = make_room(dir, name, e);

	if (r < 0)
		return r;
	if (S_ISLNK(w->st.st_mode)) {
		n = readlinkat(w->dirfd, w->name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		r = n < 0 ? -1 : symlinkat(target, dir, name);
	} else {
		r = mknodat(dir, name, (w->st.st_mode & S_IFMT) | 0600, w->st.st_rdev);
	}
	if (r < 0 ||
	    fchownat(dir, name, p->owned ? p->uid : w->st.st_uid, p->owned ? p->gid : w->st.st_gid,
		     AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!S_ISLNK(w->st.st_mode) && fchmodat(dir, name, mode_for(p, w->st.st_mode), 0) < 0) ||
	    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "copy %s", *w->path ? w->path : w->name);
	return 0;
}

/* Path below stack[0] of @name in the directory at hand. */
static char *path_here(const struct placing *c, const char *name)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 1; i < c->depth; i++)
		buf_printf(&b, "%s/", c->names[i]);
	buf_adds(&b, name);
	return buf_take(&b);
}

/* A further name of a file that was copied already: 1 when linked. */
static int link_known(struct placing *c, int dir, const char *name, const struct walk_entry *w,
		      struct err *e)
{
	_cleanup_(free_p) char *key = NULL;
	const char *known;
	int r;

	if (w->st.st_nlink < 2 || !S_ISREG(w->st.st_mode))
		return 0;
	key = xasprintf("%llx:%llx", (unsigned long long)w->st.st_dev,
			(unsigned long long)w->st.st_ino);
	known = map_get(&c->links, key);
	if (!known) {
		map_put(&c->links, key, path_here(c, name));
		return 0;
	}
	r = make_room(dir, name, e);
	if (r < 0)
		return r;
	return linkat(c->stack[0], known, dir, name, 0) < 0 ? err_errno(e, errno, "link %s", name)
							    : 1;
}

static int enter_dir(struct placing *c, int dir, const char *name, struct err *e)
{
	struct stat st;
	int fd;

	if (c->depth == DEPTH_MAX)
		return err_set(e, ELOOP, "%s: too deep", name);
	if (mkdirat(dir, name, 0700) < 0) {
		if (errno != EEXIST)
			return err_errno(e, errno, "create %s", name);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
			return err_set(e, ENOTDIR, "cannot copy a directory to %s: it is none",
				       name);
	}
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", name);
	c->names[c->depth] = xstrdup(name);
	c->stack[c->depth++] = fd;
	return 0;
}

static int leave_dir(struct placing *c, const struct walk_entry *w, struct err *e)
{
	_cleanup_(fd_closep) int from = -EBADF;
	int to = c->stack[--c->depth], r;

	free(c->names[c->depth]);
	c->names[c->depth] = NULL;
	from = openat(w->dirfd, w->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = from < 0 ? -errno : set_attributes(c->p, from, to, &w->st);
	fd_close(to);
	return r < 0 ? err_errno(e, -r, "set attributes of %s", w->path) : 0;
}

static int on_entry(void *data, const struct walk_entry *w, struct err *e)
{
	struct placing *c = data;
	bool start = !*w->path;
	const char *name = start && c->name ? c->name : w->name;
	int dir = c->stack[c->depth - 1], r;

	if (S_ISDIR(w->st.st_mode)) {
		if (start) /* it is the destination: that is there, with an owner and a mode */
			return 0;
		return w->leaving ? leave_dir(c, w, e) : enter_dir(c, dir, name, e);
	}
	c->p->n_files++;
	if (S_ISSOCK(w->st.st_mode))
		return 0;
	r = link_known(c, dir, name, w, e);
	if (r != 0)
		return r < 0 ? r : 0;
	return S_ISREG(w->st.st_mode) ? place_file(c, dir, name, w, e)
				      : place_other(c, dir, name, w, e);
}

/* ---- destinations --------------------------------------------------------------------- */

static struct spot_make make_of(const struct place *p)
{
	return (struct spot_make){ .uid = p->uid, .gid = p->gid, .mode = 0755, .owned = p->owned };
}

int place_dir(struct place *p, const char *path, struct err *e)
{
	const struct spot_make make = make_of(p);

	return spot_open_dir(p->root, path, &make, e);
}

/* Where a file goes: the directory (caller closes), and its name there. */
static int file_target(struct place *p, const char *dest, const char *base, char **name,
		       struct err *e)
{
	const struct spot_make make = make_of(p);
	_cleanup_(spot_done) struct spot s = SPOT_INIT;
	int r;

	if (has_suffix(dest, "/") || has_suffix(dest, "/.")) {
		*name = xstrdup(base);
		return spot_open_dir(p->root, dest, &make, e);
	}
	r = spot_find(p->root, dest, &make, &s, e);
	if (r < 0)
		return r;
	if (s.exists && S_ISDIR(s.st.st_mode)) {
		int fd = openat(s.dirfd, s.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		*name = xstrdup(base);
		return fd < 0 ? err_errno(e, errno, "open %s", dest) : fd;
	}
	*name = TAKE_PTR(s.name);
	return TAKE_FD(s.dirfd);
}

int place_tree(struct place *p, const char *dest, int dirfd, const char *name, const char *base,
	       const struct walk_filter *filters, size_t n_filters, struct err *e)
{
	struct placing c = { .p = p, .links = MAP_INIT_FREE(free) };
	_cleanup_(free_p) char *target = NULL;
	struct stat st;
	int fd, r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "stat %s", base);
	fd = S_ISDIR(st.st_mode) ? place_dir(p, dest, e) : file_target(p, dest, base, &target, e);
	if (fd < 0)
		return fd;
	c.stack[c.depth++] = fd;
	c.name = target;
	r = walk_tree(dirfd, name, filters, n_filters, on_entry, &c, e);
	while (c.depth > 0) {
		fd_close(c.stack[--c.depth]);
		free(c.names[c.depth]);
	}
	map_done(&c.links);
	return r;
}

static struct stat file_stat(uint32_t mode, uint64_t mtime)
{
	struct stat st = { .st_mode = S_IFREG | mode };

	st.st_mtim.tv_sec = (time_t)(mtime / NSEC_PER_SEC);
	st.st_mtim.tv_nsec = (long)(mtime % NSEC_PER_SEC);
	return st;
}

static int begin_file(struct place *p, const char *dest, const char *base, char **name,
		      struct err *e)
{
	_cleanup_(fd_closep) int dir = file_target(p, dest, base, name, e);
	int to = dir < 0 ? dir : new_file(dir, *name, e);

	p->n_files += to >= 0;
	return to;
}

/* @r: how the writing went. */
static int end_file(struct place *p, int to, const char *name, int r, uint32_t mode,
		    uint64_t mtime, struct err *e)
{
	const struct stat st = file_stat(mode, mtime);

	if (r == 0)
		r = set_attributes(p, -EBADF, to, &st);
	return r < 0 ? err_errno(e, -r, "write %s", name) : 0;
}

int place_bytes(struct place *p, const char *dest, const char *base, const void *bytes, size_t n,
		uint32_t mode, uint64_t mtime, struct err *e)
{
	_cleanup_(free_p) char *name = NULL;
	_cleanup_(fd_closep) int to = begin_file(p, dest, base, &name, e);

	return to < 0 ? to : end_file(p, to, name, fd_write_all(to, bytes, n), mode, mtime, e);
}

int place_fd(struct place *p, const char *dest, const char *base, int fd, uint32_t mode,
	     uint64_t mtime, struct err *e)
{
	_cleanup_(free_p) char *name = NULL;
	_cleanup_(fd_closep) int to = begin_file(p, dest, base, &name, e);

	return to < 0 ? to : end_file(p, to, name, copy_data(fd, to), mode, mtime, e);
}
