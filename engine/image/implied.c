/* engine/image/implied.c: what overlayfs would merge, looked up by hand.
 *
 * For each implied directory we go down all layers at once, a component at a time, by
 * overlayfs's own rules (Linux Documentation/filesystems/overlayfs.rst): what is not
 * a directory, or is opaque, hides all below.  Of the layers that are left the uppermost
 * one is what shows, and the uppermost that states the directory is what should.  An
 * opaque mark hides what is in a directory; that itself goes on being the one from below.
 */
#include "engine/image/implied.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"

#define XATTR_TEXT_MAX 65536 /* linux/limits.h: XATTR_LIST_MAX, XATTR_SIZE_MAX */

void implied_name(char *const *diff_ids, size_t n, char out[DIGEST_MAX])
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	hasher_add(h, "implied directories\n", 20);
	for (size_t i = 0; i < n; i++)
		hasher_add(h, diff_ids[i], strlen(diff_ids[i]) + 1);
	hasher_end(h, out);
}

struct filling {
	const struct implied_layer *layers;
	size_t n;
	int out;
	int *at;         /* of each layer, the directory looked up; -EBADF: not there, or hidden */
	struct map done; /* path → what is in @out */
};

/* ---- lookup ------------------------------------------------------------------------ */
static bool is_opaque(int dir)
{
	char value = 0;

	return fgetxattr(dir, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

static void leave(struct filling *f)
{
	for (size_t i = 0; i < f->n; i++)
		f->at[i] = fd_close(f->at[i]);
}

/* All layers one component down. */
static int descend(struct filling *f, const char *name, bool last, struct err *e)
{
	bool hidden = false;

	for (size_t i = 0; i < f->n; i++) {
		int next = -EBADF;

		if (f->at[i] < 0)
			continue;
		if (!hidden) {
			next = openat(f->at[i], name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (next < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
				return err_errno(e, errno, "open %.200s", name);
			hidden = next >= 0 ? !last && is_opaque(next) : errno != ENOENT;
		}
		fd_close(f->at[i]);
		f->at[i] = next;
	}
	return 0;
}

/* Where the image's @path comes from: *top shows, *stated should.  False: the image has
 * no such directory.  The descriptors are f->at[…], until leave(). */
static int look_up(struct filling *f, const char *path, size_t *top, size_t *stated, struct err *e)
{
	_cleanup_(strv_freep) char **names = strv_split(path, '/', true);
	int r = 0;

	for (size_t i = 0; i < f->n; i++) {
		f->at[i] = openat(f->layers[i].dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (f->at[i] < 0)
			return err_errno(e, errno, "open a layer");
	}
	for (char **name = names; r == 0 && name && *name; name++)
		r = descend(f, *name, !name[1], e);
	if (r < 0)
		return r;
	*top = *stated = f->n;
	for (size_t i = f->n; i-- > 0;) {
		if (f->at[i] < 0)
			continue;
		*top = i;
		if (!map_has(&f->layers[i].paths, path))
			*stated = i;
	}
	/* Nobody states it: what was made for want of anything better. */
	if (*stated == f->n)
		*stated = *top;
	return *top < f->n;
}

/* ---- attributes -------------------------------------------------------------------- */
static bool is_image_attribute(const char *name)
{
	return skip_prefix(name, "user.") && !skip_prefix(name, "user.overlay.");
}

static int copy_xattrs(int from, int to, struct err *e)
{
	_cleanup_(free_p) char *names = xmalloc(XATTR_TEXT_MAX), *value = xmalloc(XATTR_TEXT_MAX);
	ssize_t n = flistxattr(from, names, XATTR_TEXT_MAX);

	if (n < 0 && errno != EOPNOTSUPP)
		return err_errno(e, errno, "list attributes");
	for (const char *p = names; p < names + n; p += strlen(p) + 1) {
		ssize_t size = is_image_attribute(p) ? fgetxattr(from, p, value, XATTR_TEXT_MAX)
						     : -1;

		if (is_image_attribute(p) &&
		    (size < 0 || fsetxattr(to, p, value, (size_t)size, 0) < 0))
			return err_errno(e, errno, "copy attribute %.64s", p);
	}
	return 0;
}

static bool has_xattrs(int fd)
{
	_cleanup_(free_p) char *names = xmalloc(XATTR_TEXT_MAX);
	ssize_t n = flistxattr(fd, names, XATTR_TEXT_MAX);

	for (const char *p = names; p < names + n; p += strlen(p) + 1)
		if (is_image_attribute(p))
			return true;
	return false;
}

/* Is the directory that was made for want of an entry like the one that should show?  The
 * time of "/" alone is not worth a layer: nothing that runs ever sees it. */
static bool same(int made, int wanted, bool is_root)
{
	struct stat a, b;

	return fstat(made, &a) == 0 && fstat(wanted, &b) == 0 && a.st_mode == b.st_mode &&
	       a.st_uid == b.st_uid && a.st_gid == b.st_gid &&
	       (is_root ||
		(a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec)) &&
	       !has_xattrs(wanted);
}

static int copy_attributes(int from, int to, struct stat *st, struct err *e)
{
	if (fstat(from, st) < 0)
		return err_errno(e, errno, "stat");
	/* Owner before mode: chown(2) takes setgid away. */
	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return err_errno(e, errno, "set owner and mode");
	return copy_xattrs(from, to, e);
}

/* ---- filling ----------------------------------------------------------------------- */

/* The directory @path of f->out as the image should show it, with those above it. */
static int put(struct filling *f, const char *path, struct err *e)
{
	_cleanup_(free_p) char *up = xstrdup(path);
	_cleanup_(fd_closep) int fd = -EBADF;
	char *slash = strrchr(up, '/');
	size_t top, stated;
	struct stat *st;
	int r = 0;

	if (map_has(&f->done, path))
		return 0;
	*(slash ? slash : up) = '\0';
	if (*path)
		r = put(f, up, e);
	if (r < 0)
		return r;
	if (*path && mkdirat(f->out, path, 0700) < 0)
		return err_errno(e, errno, "make a directory");
	fd = openat(f->out, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open a directory");
	st = new0(struct stat);
	map_put(&f->done, path, st);
	r = look_up(f, path, &top, &stated, e);
	if (r > 0)
		r = copy_attributes(f->at[stated], fd, st, e);
	leave(f);
	return r;
}

static int put_if_needed(struct filling *f, const char *path, struct err *e)
{
	size_t top = 0, stated = 0;
	int r = look_up(f, path, &top, &stated, e);
	bool needed = r > 0 && top != stated && !same(f->at[top], f->at[stated], !*path);

	leave(f);
	return r >= 0 && needed ? put(f, path, e) : MIN(r, 0);
}

/* At the end, when nothing changes them any more. */
static int put_times(const struct filling *f, struct err *e)
{
	MAP_FOREACH (d, &f->done) {
		const struct stat *st = d->value;
		const struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };

		if (utimensat(f->out, *d->key ? d->key : ".", ts, AT_SYMLINK_NOFOLLOW) < 0)
			return err_errno(e, errno, "set a time");
	}
	return 0;
}

int implied_fill(const struct implied_layer *layers, size_t n, int out, struct err *e)
{
	struct filling f = { .layers = layers, .n = n, .out = out };
	int r = 0;

	f.done = MAP_INIT_FREE(free);
	f.at = xcalloc(n, sizeof(*f.at));
	for (size_t i = 0; i < n; i++)
		f.at[i] = -EBADF;
	for (size_t i = 0; r == 0 && i < n; i++) {
		size_t pos = 0;
		struct map_entry *path;

		while (r == 0 && (path = map_next(&layers[i].paths, &pos)))
			r = put_if_needed(&f, path->key, e);
	}
	if (r == 0)
		r = put_times(&f, e);
	if (r == 0)
		r = (int)map_len(&f.done);
	free(f.at);
	map_done(&f.done);
	return r;
}
