/* engine/image/tree.c: tars list a directory's files one after the other, so the
 * last directory resolved is kept open.  What a name resolves to changes only
 * when something is removed (a link replaced by a directory, say), so every
 * removal forgets it. */
#include "engine/image/tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

static void forget(struct tree *t)
{
	free(t->dir);
	t->dir = NULL;
	t->dir_fd = fd_close(t->dir_fd);
}

void tree_done(struct tree *t)
{
	forget(t);
}

bool tree_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

char *tree_clean(const char *name, struct err *e)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	int depth = 0;

	while (*name) {
		size_t n = strcspn(name, "/");

		if (n == 2 && memcmp(name, "..", 2) == 0) {
			if (--depth < 0) {
				err_set(e, EBADMSG, "it leads out of the layer");
				return NULL;
			}
			while (out.len > 0 && out.data[out.len - 1] != '/')
				buf_truncate(&out, out.len - 1);
			buf_truncate(&out, out.len ? out.len - 1 : 0);
		} else if (n > 0 && !(n == 1 && *name == '.')) {
			if (++depth > TREE_MAX_DEPTH) {
				err_set(e, EBADMSG, "it is more than %d directories deep",
					TREE_MAX_DEPTH);
				return NULL;
			}
			if (out.len)
				buf_addc(&out, '/');
			buf_add(&out, name, n);
		}
		name += n;
		name += strspn(name, "/");
	}
	buf_add(&out, "", 0);
	return buf_take(&out);
}

static int open_in(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int tree_remove(struct tree *t, int dirfd, const char *name, struct err *e)
{
	/* @dirfd may be the cached one: the caller goes on using it. */
	free(t->dir);
	t->dir = NULL;
	return rm_rf(dirfd, name, e);
}

static int open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int tree_mkdir(struct tree *t, int dirfd, const char *name, struct err *e)
{
	bool opaque = false;
	struct stat st;
	int fd, r;

	if (mkdirat(dirfd, name, 0755) < 0) {
		if (errno != EEXIST)
			return err_errno(e, errno, "make a directory");
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_errno(e, errno, "stat");
		if (!S_ISDIR(st.st_mode)) {
			opaque = tree_is_whiteout(&st);
			r = tree_remove(t, dirfd, name, e);
			if (r < 0)
				return r;
			if (mkdirat(dirfd, name, 0755) < 0)
				return err_errno(e, errno, "make a directory");
		}
	}
	fd = open_dir(dirfd, name);
	if (fd < 0)
		return err_errno(e, -fd, "open a directory");
	r = opaque && t->opaque ? t->opaque(t->data, fd, e) : 0;
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	return fd;
}

/* The next step down for tree_enter(): a directory, or one made now.  A plain
 * file or a link to nowhere in the way is the archive's mistake. */
static int step(struct tree *t, int dirfd, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !tree_is_whiteout(&st) &&
	    !S_ISDIR(st.st_mode))
		return err_set(e, EBADMSG, "its parent \"%.128s\" is not a directory", name);
	return tree_mkdir(t, dirfd, name, e);
}

/* Resolve the first @n bytes of @path, making what is missing. */
static int make_dirs(struct tree *t, const char *path, size_t n, struct err *e)
{
	_cleanup_(free_p) char *dir = xstrndup(path, n);
	_cleanup_(fd_closep) int up = -EBADF;
	char *slash = strrchr(dir, '/');
	const char *name = slash ? slash + 1 : dir;
	struct stat st;
	bool anew;
	int fd = open_in(t->root, dir, O_PATH | O_DIRECTORY);

	if (fd >= 0)
		return fd;
	if (fd != -ENOENT && fd != -ENOTDIR)
		return err_errno(e, -fd, "resolve its directory");
	up = slash ? make_dirs(t, dir, (size_t)(slash - dir), e) : open_in(t->root, "", O_PATH);
	if (up < 0)
		return up;
	anew = fstatat(up, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && tree_is_whiteout(&st);
	fd = step(t, up, name, e);
	if (fd >= 0 && t->implied)
		t->implied(t->data, dir, anew);
	return fd;
}

static size_t split(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	*name = slash ? slash + 1 : path;
	return slash ? (size_t)(slash - path) : 0;
}

int tree_enter(struct tree *t, const char *path, const char **name, struct err *e)
{
	size_t n = split(path, name);
	int fd;

	if (t->dir && strlen(t->dir) == n && memcmp(t->dir, path, n) == 0)
		return t->dir_fd;
	forget(t);
	fd = make_dirs(t, path, n, e);
	if (fd < 0)
		return fd;
	t->dir = xstrndup(path, n);
	t->dir_fd = fd;
	return fd;
}

int tree_find_dir(struct tree *t, const char *path, const char **name, struct err *e)
{
	size_t n = split(path, name);
	_cleanup_(free_p) char *dir = xstrndup(path, n);
	int fd = open_in(t->root, dir, O_PATH | O_DIRECTORY);

	return fd < 0 ? err_errno(e, -fd, "resolve") : fd;
}
