/* engine/build/spot.c: see spot.h.
 *
 * Every prefix is looked up by openat2(2) from the root; only the component after the
 * last one that exists is made or read as a link, on the descriptor of its directory.
 * A link puts its text into the path and the look-up begins again.
 */
#include "engine/build/spot.h"

#include <fcntl.h>
#include <limits.h>

#include "base/fd.h"
#include "base/strv.h"

#define LINKS_MAX 40 /* as the kernel's */

void spot_done(struct spot *s)
{
	fd_close(s->dirfd);
	free(s->name);
	free(s->path);
	*s = SPOT_INIT;
}

/* Where @fd really is, below @root. */
static char *real_path(int root, int fd)
{
	char top[PATH_MAX], at[PATH_MAX], link[FD_PATH_MAX];
	ssize_t n = readlink(fd_path(root, link), top, sizeof(top) - 1), m;
	const char *below;

	m = readlink(fd_path(fd, link), at, sizeof(at) - 1);
	if (n < 0 || m < 0)
		return xstrdup("");
	top[n] = at[m] = '\0';
	below = streq(top, "/") ? at : skip_prefix(at, top) ?: "";
	return xstrdup(*below == '/' ? below + 1 : below);
}

static int make_dir(int parent, const char *name, const struct spot_make *make, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;

	if (mkdirat(parent, name, 0700) < 0)
		return errno == EEXIST ? 0 : err_errno(e, errno, "create %s", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (make->owned && fchown(fd, make->uid, make->gid) < 0) ||
	    fchmod(fd, make->mode) < 0)
		return err_errno(e, errno, "create %s", name);
	return 0;
}

/* @at is missing in @parent, as @name: 1 when it is a link, whose text goes to @link. */
static int is_link(int parent, const char *name, char link[PATH_MAX])
{
	ssize_t n = readlinkat(parent, name, link, PATH_MAX - 1);

	if (n < 0)
		return 0;
	link[n] = '\0';
	return 1;
}

/* Go down @path as far as directories go.  0: @parent is the directory of the last
 * component, *name that one; 1: *next is a path to begin again with. */
static int descend(int root, const char *path, const struct spot_make *make, int *parent,
		   char **name, char **next, struct err *e)
{
	_cleanup_(strv_freep) char **parts = strv_split(path, '/', true);
	_cleanup_(buf_done) struct buf at = BUF_INIT;
	_cleanup_(fd_closep) int dir = fd_open_in_root(root, "/", O_PATH | O_DIRECTORY, 0, e);
	char link[PATH_MAX];

	if (dir < 0)
		return dir;
	for (size_t i = 0; parts && parts[i]; i++) {
		bool last = !parts[i + 1], up = streq(parts[i], "..") || streq(parts[i], ".");
		int fd;

		if (last && !up && is_link(dir, parts[i], link)) {
			*next = link[0] == '/' ? xstrdup(link)
					       : xasprintf("%s/%s", buf_str(&at), link);
			return 1;
		}
		if (last && !up) {
			*name = xstrdup(parts[i]);
			*parent = TAKE_FD(dir);
			return 0;
		}
		buf_printf(&at, "/%s", parts[i]);
		fd = fd_open_in_root(root, buf_str(&at), O_PATH | O_DIRECTORY, 0, e);
		if (fd == -ENOENT && is_link(dir, parts[i], link)) {
			_cleanup_(free_p) char *rest = strv_join(parts + i + 1, "/");

			buf_truncate(&at, link[0] == '/' ? 0 : at.len - strlen(parts[i]));
			*next = xasprintf("%s%s/%s", buf_str(&at), link, rest);
			return 1;
		}
		if (fd == -ENOENT && make) {
			int r = make_dir(dir, parts[i], make, e);

			if (r < 0)
				return r;
			fd = openat(dir, parts[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (fd < 0)
				return err_errno(e, errno, "open %s", buf_str(&at));
		}
		if (fd < 0)
			return fd == -ENOTDIR
				       ? err_set(e, ENOTDIR, "%s is not a directory", buf_str(&at))
				       : fd;
		fd_close(dir);
		dir = fd;
	}
	*name = xstrdup(".");
	*parent = TAKE_FD(dir);
	return 0;
}

int spot_find(int root, const char *path, const struct spot_make *make, struct spot *out,
	      struct err *e)
{
	_cleanup_(free_p) char *at = xstrdup(path);

	*out = SPOT_INIT;
	for (int i = 0; i < LINKS_MAX; i++) {
		char *next = NULL;
		int r = descend(root, at, make, &out->dirfd, &out->name, &next, e);

		if (r < 0)
			return r;
		if (r == 0) {
			_cleanup_(free_p) char *dir = real_path(root, out->dirfd);

			out->path = streq(out->name, ".")
					    ? xstrdup(dir)
					    : xasprintf("%s%s%s", dir, *dir ? "/" : "", out->name);
			out->exists = fstatat(out->dirfd, out->name, &out->st,
					      AT_SYMLINK_NOFOLLOW) == 0;
			return 0;
		}
		free(at);
		at = next;
	}
	return err_errno(e, ELOOP, "open %s", path);
}

int spot_open_dir(int root, const char *path, const struct spot_make *make, struct err *e)
{
	_cleanup_(spot_done) struct spot s = SPOT_INIT;
	int fd, r = spot_find(root, path, make, &s, e);

	if (r == 0 && !s.exists && make)
		r = make_dir(s.dirfd, s.name, make, e);
	if (r < 0)
		return r;
	fd = openat(s.dirfd, s.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR ? err_set(e, ENOTDIR, "%s is not a directory", path)
					: err_errno(e, errno, "open %s", path);
	return fd;
}
