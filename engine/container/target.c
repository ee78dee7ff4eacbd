/* engine/container/target.c: finding and making mount points inside a root file system.
 *
 * The image may be hostile and, through a shared volume, another container may
 * change it while we look.  So nothing is resolved by name twice: openat2(2)
 * confines each look-up to the root, directories are made one component at a
 * time on the descriptor of the one before, and what the caller gets is a
 * descriptor, not a path (CVE-2021-30465, CVE-2024-45310).
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/container/setup.h"

#define LINKS_MAX 40 /* as the kernel's */

static int check_type(int fd, const char *path, bool directory, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "stat %s", path);
	if (directory && !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "%s is not a directory in the image", path);
	if (!directory && S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "%s is a directory in the image", path);
	return 0;
}

/* Make @name in @parent: 0, or 1 when a link of that name is there, whose text goes to @link. */
static int make_one(int parent, const char *name, bool directory, char *link, struct err *e)
{
	int fd;
	ssize_t n;

	if (directory) {
		if (mkdirat(parent, name, 0755) == 0)
			return 0;
	} else {
		fd = retry_eintr(openat(
			parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644));
		if (fd >= 0) {
			fd_close(fd);
			return 0;
		}
	}
	if (errno != EEXIST)
		return err_errno(e, errno, "create %s", name);
	n = readlinkat(parent, name, link, PATH_MAX - 1);
	if (n < 0)
		return 0; /* made by somebody else in this moment: the caller looks again */
	link[n] = '\0';
	return 1;
}

/* The first missing component of @path is made, if it is not a dangling link; then *next
 * is the path to go on with. */
static int make_missing(int root_fd, const char *path, bool directory, char **next, struct err *e)
{
	_cleanup_(strv_freep) char **parts = strv_split(path, '/', true);
	_cleanup_(buf_done) struct buf at = BUF_INIT;
	_cleanup_(fd_closep) int parent = fd_open_in_root(root_fd, "/", O_PATH | O_DIRECTORY, 0, e);

	if (parent < 0)
		return parent;
	for (size_t i = 0; parts && parts[i]; i++) {
		bool last = !parts[i + 1];
		char link[PATH_MAX];
		int fd, r;

		buf_printf(&at, "/%s", parts[i]);
		fd = fd_open_in_root(root_fd, buf_str(&at), O_PATH, 0, e);
		if (fd == -ENOENT) {
			r = make_one(parent, parts[i], !last || directory, link, e);
			if (r < 0)
				return r;
			if (r == 1) {
				_cleanup_(free_p) char *rest = strv_join(parts + i + 1, "/");

				buf_truncate(&at, link[0] == '/' ? 0 : at.len - strlen(parts[i]));
				buf_printf(&at, "%s%s%s", link, *rest ? "/" : "", rest);
				*next = buf_take(&at);
				return 0;
			}
			fd = openat(parent, parts[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);
			if (fd < 0)
				return err_errno(e, errno, "open %s", buf_str(&at));
		}
		if (fd < 0)
			return fd;
		fd_close(parent);
		parent = fd;
	}
	*next = xstrdup(path);
	return 0;
}

int target_open(int root_fd, const char *path, bool directory, struct err *e)
{
	_cleanup_(free_p) char *at = xstrdup(path);

	if (path[0] != '/')
		return err_set(e, EINVAL, "%s is not an absolute path", path);
	for (int i = 0; i < LINKS_MAX; i++) {
		_cleanup_(fd_closep) int fd = fd_open_in_root(root_fd, at, O_PATH, 0, e);
		char *next = NULL;
		int r;

		if (fd >= 0) {
			r = check_type(fd, path, directory, e);
			return r < 0 ? r : TAKE_FD(fd);
		}
		if (fd != -ENOENT)
			return fd;
		r = make_missing(root_fd, at, directory, &next, e);
		if (r < 0)
			return r;
		free(at);
		at = next;
	}
	return err_errno(e, ELOOP, "open %s", path);
}
