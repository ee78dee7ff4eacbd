/* base/path.c: see path.h. */
#include "base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"

char *path_join(const char *a, const char *b)
{
	if (*b == '/' || !*a)
		return xstrdup(b);
	return xasprintf(has_suffix(a, "/") ? "%s%s" : "%s/%s", a, b);
}

char *path_clean(const char *path)
{
	_cleanup_(strv_freep) char **parts = strv_split(path, '/', true);
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	bool rooted = *path == '/';
	const char **kept = xcalloc(strv_len(parts) + 1, sizeof(*kept));
	size_t n = 0;

	STRV_FOREACH (s, parts) {
		if (streq(*s, "."))
			continue;
		if (!streq(*s, ".."))
			kept[n++] = *s;
		else if (n > 0 && !streq(kept[n - 1], ".."))
			n--;
		else if (!rooted)
			kept[n++] = *s;
	}
	if (rooted)
		buf_addc(&out, '/');
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%s%s", i ? "/" : "", kept[i]);
	free(kept);
	if (!out.len)
		buf_addc(&out, '.');
	return buf_take(&out);
}

char *path_absolute(const char *base, const char *path)
{
	_cleanup_(free_p) char *joined = path_join(base, path);

	return path_clean(joined);
}

char *path_base(const char *path)
{
	_cleanup_(free_p) char *clean = path_clean(path);
	const char *slash = strrchr(clean, '/');

	return xstrdup(slash && slash[1] ? slash + 1 : clean);
}

char *path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(free_p) char *dir = xstrndup(path, slash ? (size_t)(slash - path) + 1 : 0);

	return path_clean(dir);
}

char *path_cwd(void)
{
	return getcwd(NULL, 0);
}

int mkdir_p(int dirfd, const char *path, mode_t mode, struct err *e)
{
	_cleanup_(free_p) char *p = xstrdup(path);

	/* The common case is that only the last part is missing, or nothing. */
	if (mkdirat(dirfd, p, mode) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return err_errno(e, errno, "create directory %s", path);
	for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(dirfd, p, mode) < 0 && errno != EEXIST)
			return err_errno(e, errno, "create directory %s", p);
		*slash = '/';
	}
	if (mkdirat(dirfd, p, mode) < 0 && errno != EEXIST)
		return err_errno(e, errno, "create directory %s", path);
	return 0;
}

int open_dir_p(int dirfd, const char *path, mode_t mode, struct err *e)
{
	int fd, r = mkdir_p(dirfd, path, mode, e);

	if (r < 0)
		return r;
	fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open directory %s", path);
	return fd;
}

/* A bind mount of the same file system has the same device number: ask for what
 * it is.  statx(2), Linux 5.8. */
static int refuse_mount_point(int fd, const char *shown, struct err *e)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0)
		return err_errno(e, errno, "stat %s", shown);
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return err_set(e, EBUSY, "%s is a mount point: what is mounted there stays", shown);
	return 0;
}

/* A tree that is being removed.  Whoever made it may have nested it deeper than we
 * have descriptors or stack: what lies below REMOVE_DEPTH is moved to the top and
 * taken from there in the next round. */
#define REMOVE_DEPTH 64

struct removal {
	int top; /* the tree's own directory */
	bool moved;
};

static int remove_any(struct removal *rm, int depth, int dirfd, const char *name,
		      const char *parent, struct err *e);

/* Takes @dirfd.  Goes on after a failure and reports the first. */
static int remove_children(struct removal *rm, int depth, int dirfd, const char *shown,
			   struct err *e)
{
	_cleanup_(dir_closep) DIR *dir = fdopendir(dirfd);
	struct dirent *d;
	int r = 0;

	if (!dir) {
		fd_close(dirfd);
		return err_errno(e, ENOMEM, "open directory %s", shown);
	}
	while ((d = readdir(dir))) {
		struct err e2 = ERR_INIT;

		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			err_keep_first(&r, e, remove_any(rm, depth, dirfd, d->d_name, shown, &e2),
				       &e2);
	}
	return r;
}

static int move_to_top(struct removal *rm, int dirfd, const char *name, const char *shown,
		       struct err *e)
{
	char unique[33];

	random_hex(unique, 16);
	if (renameat(dirfd, name, rm->top, unique) < 0)
		return err_errno(e, errno, "move %s", shown);
	rm->moved = true;
	return 0;
}

static int empty_top(struct removal *rm, const char *shown, struct err *e)
{
	int fd, r;

	do {
		rm->moved = false;
		fd = openat(rm->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_errno(e, errno, "open %s", shown);
		r = remove_children(rm, 1, fd, shown, e);
	} while (r == 0 && rm->moved);
	return r;
}

static int remove_dir(struct removal *rm, int depth, int dirfd, const char *name, const char *shown,
		      struct err *e)
{
	_cleanup_(fd_closep) int fd = openat(dirfd, name,
					     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(e, errno, "open %s", shown);
	r = refuse_mount_point(fd, shown, e);
	if (r < 0)
		return r;
	if (depth == REMOVE_DEPTH)
		return move_to_top(rm, dirfd, name, shown, e);
	if (depth == 0) {
		rm->top = fd;
		r = empty_top(rm, shown, e);
	} else {
		r = remove_children(rm, depth + 1, TAKE_FD(fd), shown, e);
	}
	if (r < 0)
		return r;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(e, errno, "remove %s", shown);
	return 0;
}

/* @name below @dirfd, whatever it is; @parent: what messages call @dirfd, NULL: nothing. */
static int remove_any(struct removal *rm, int depth, int dirfd, const char *name,
		      const char *parent, struct err *e)
{
	_cleanup_(free_p) char *shown = NULL;
	int code;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	code = errno;
	shown = parent ? path_join(parent, name) : xstrdup(name);
	/* EISDIR is Linux, EPERM is POSIX. unlink(2) */
	if (code != EISDIR && code != EPERM)
		return err_errno(e, code, "remove %s", shown);
	return remove_dir(rm, depth, dirfd, name, shown, e);
}

int rm_rf(int dirfd, const char *name, struct err *e)
{
	struct removal rm = { .top = -EBADF };

	return remove_any(&rm, 0, dirfd, name, NULL, e);
}

bool name_is_valid(const char *name, size_t max)
{
	size_t n = strspn(name,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return n > 0 && !name[n] && n <= max && !strchr("_.-", name[0]);
}
