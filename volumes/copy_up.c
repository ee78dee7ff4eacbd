/* volumes/copy_up.c: see copy_up.h.
 *
 * Three names in the volume's directory make a copy that a crash cannot halve:
 *
 *	.copying	being filled; worthless, thrown away by the next call
 *	.copied		complete; its entries are being moved into _data
 *	_data		what containers have mounted
 *
 * The rename from the first to the second is the commit: from there on every
 * call goes on moving until .copied is gone.
 *
 * The walk keeps one descriptor per level and opens each entry O_NOFOLLOW and
 * RESOLVE_NO_XDEV; what an entry is, is asked again of the opened descriptor.
 */
#include "volumes/copy_up.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/copy.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"

#define COPYING   ".copying"
#define COPIED    ".copied"
#define DEPTH_MAX 256 /* three descriptors a level, and a limit of 1024 in sight */

struct copy {
	int dst_root;
	struct map links; /* "dev:ino" of files with several names → path below dst_root */
	struct buf
		path; /* of the directory at hand, ends with '/' unless empty; for messages too */
};

static int copy_err(const struct copy *c, const char *name, int code, const char *what,
		    struct err *e)
{
	return err_errno(e, code, "%s /%s%s", what, buf_str(&c->path), name);
}

static int open_beside(int dirfd, const char *name, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned int)(flags | O_NOFOLLOW | O_CLOEXEC),
				.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
}

/* ---- attributes -------------------------------------------------------------------- */
/* trusted.* is overlayfs's and the host's business, never a volume's. */
static bool wanted_xattr(const char *name)
{
	return skip_prefix(name, "user.") || skip_prefix(name, "system.posix_acl_") ||
	       streq(name, "security.capability");
}

/* Owner first: changing it clears set-id bits and file capabilities. */
static int copy_attributes(int from, int to, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	r = copy_xattrs(from, to, wanted_xattr);
	if (r < 0)
		return r;
	return futimens(to, times) < 0 ? -errno : 0;
}

static int set_attributes_at(int dirfd, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(dirfd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode) && fchmodat(dirfd, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	return utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* ---- entries ------------------------------------------------------------------------- */
static int copy_file(int src, int dst, const char *name)
{
	_cleanup_(fd_closep) int from = open_beside(src, name, O_RDONLY | O_NONBLOCK), to = -EBADF;
	struct stat st;
	int r;

	if (from < 0 || fstat(from, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EAGAIN; /* swapped under us */
	to = retry_eintr(
		openat(dst, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (to < 0)
		return -errno;
	r = copy_data(from, to);
	return r < 0 ? r : copy_attributes(from, to, &st);
}

static int copy_link(int src, int dst, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(src, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, dst, name) < 0)
		return -errno;
	return set_attributes_at(dst, name, st);
}

static int copy_node(int dst, const char *name, const struct stat *st)
{
	if (mknodat(dst, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0)
		return -errno;
	return set_attributes_at(dst, name, st);
}

/* A further name of a file that was copied already: 1 when linked. */
static int link_known(struct copy *c, int dst, const char *name, const struct stat *st)
{
	_cleanup_(free_p) char *key = NULL;
	const char *known;

	if (st->st_nlink < 2)
		return 0;
	key = xasprintf("%llx:%llx", (unsigned long long)st->st_dev,
			(unsigned long long)st->st_ino);
	known = map_get(&c->links, key);
	if (known)
		return linkat(c->dst_root, known, dst, name, 0) < 0 ? -errno : 1;
	map_put(&c->links, key, xasprintf("%s%s", buf_str(&c->path), name));
	return 0;
}

static int copy_directory(struct copy *c, int src, int dst, int depth, struct err *e);

static int copy_below(struct copy *c, int src, int dst, const char *name, int depth, struct err *e)
{
	_cleanup_(fd_closep) int from = open_beside(src, name, O_RDONLY | O_DIRECTORY), to = -EBADF;
	size_t len = c->path.len;
	int r;

	if (from < 0)
		return copy_err(c, name, errno, "open", e);
	if (mkdirat(dst, name, 0700) < 0)
		return copy_err(c, name, errno, "create", e);
	to = openat(dst, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return copy_err(c, name, errno, "open", e);
	buf_printf(&c->path, "%s/", name);
	r = copy_directory(c, from, to, depth + 1, e);
	buf_truncate(&c->path, len);
	return r;
}

static int copy_entry(struct copy *c, int src, int dst, const char *name, int depth, struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(src, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return copy_err(c, name, errno, "stat", e);
	if (S_ISDIR(st.st_mode))
		return copy_below(c, src, dst, name, depth, e);
	r = link_known(c, dst, name, &st);
	if (r == 0 && S_ISREG(st.st_mode))
		r = copy_file(src, dst, name);
	else if (r == 0 && S_ISLNK(st.st_mode))
		r = copy_link(src, dst, name, &st);
	else if (r == 0)
		r = copy_node(dst, name, &st);
	return r < 0 ? copy_err(c, name, -r, "copy", e) : 0;
}

static int copy_directory(struct copy *c, int src, int dst, int depth, struct err *e)
{
	_cleanup_(dir_closep) DIR *dir = NULL;
	struct dirent *d;
	struct stat st;
	int fd, r;

	if (depth > DEPTH_MAX)
		return copy_err(c, "", ELOOP, "too deep:", e);
	fd = openat(src, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* src may be O_PATH */
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = copy_err(c, "", errno, "open", e);
		fd_close(fd);
		return r;
	}
	if (fstat(fd, &st) < 0)
		return copy_err(c, "", errno, "stat", e);
	while ((d = readdir(dir))) {
		if (streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		r = copy_entry(c, fd, dst, d->d_name, depth, e);
		if (r < 0)
			return r;
	}
	r = copy_attributes(fd, dst, &st); /* last: its own times survive the filling */
	return r < 0 ? copy_err(c, "", -r, "set attributes of", e) : 0;
}

int copy_tree(int src_fd, int dst_fd, struct err *e)
{
	struct copy c = { .dst_root = dst_fd, .links = MAP_INIT_FREE(free) };
	int r = copy_directory(&c, src_fd, dst_fd, 0, e);

	map_done(&c.links);
	buf_done(&c.path);
	return r;
}

/* ---- filling a volume -------------------------------------------------------------------- */
static int is_empty_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir)
		return -errno;
	while ((d = readdir(dir)))
		if (!streq(d->d_name, ".") && !streq(d->d_name, ".."))
			return 0;
	return 1;
}

static int move_entries(int from, int to, struct err *e)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	int r;

	if (!dir)
		return err_errno(e, errno, "open %s", COPIED);
	while ((d = readdir(dir))) {
		if (streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		if (renameat2(from, d->d_name, to, d->d_name, RENAME_NOREPLACE) == 0)
			continue;
		if (errno != EEXIST)
			return err_errno(e, errno, "move %s into the volume", d->d_name);
		/* A container that runs already made one of that name: its own stays. */
		r = rm_rf(from, d->d_name, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* From .copied to _data; may be called any number of times. */
static int commit(int volume, struct err *e)
{
	_cleanup_(fd_closep) int from = -EBADF, to = -EBADF;
	struct stat st;
	int r;

	from = openat(volume, COPIED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "open %s", COPIED);
	to = openat(volume, "_data", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_errno(e, errno, "open _data");
	/* Moving the entries out changes the times that are to be copied. */
	if (fstat(from, &st) < 0)
		return err_errno(e, errno, "stat %s", COPIED);
	r = move_entries(from, to, e);
	if (r < 0)
		return r;
	r = copy_attributes(from, to, &st);
	if (r < 0)
		return err_errno(e, -r, "set attributes of the volume");
	if (unlinkat(volume, COPIED, AT_REMOVEDIR) < 0)
		return err_errno(e, errno, "remove %s", COPIED);
	return 1;
}

static int fill(int src_fd, int volume, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	int r = rm_rf(volume, COPYING, e);

	if (r < 0)
		return r;
	if (mkdirat(volume, COPYING, 0700) < 0)
		return err_errno(e, errno, "create %s", COPYING);
	fd = openat(volume, COPYING, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", COPYING);
	r = copy_tree(src_fd, fd, e);
	if (r == 0 && renameat(volume, COPYING, volume, COPIED) < 0)
		r = err_errno(e, errno, "rename %s", COPYING);
	if (r < 0) {
		(void)rm_rf(volume, COPYING, NULL); /* a full disk gets its space back */
		return r;
	}
	return commit(volume, e);
}

int copy_up(int src_fd, int volume_fd, struct err *e)
{
	_cleanup_(fd_closep) int volume = -EBADF;
	int r;

	volume = openat(volume_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (volume < 0)
		return err_errno(e, errno, "open the volume");
	/* Released when the descriptor closes, a crash included. */
	while (flock(volume, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_errno(e, errno, "lock the volume");
	r = commit(volume, e);
	if (r != 0)
		return r;
	r = is_empty_dir(volume, "_data");
	if (r < 0)
		return err_errno(e, -r, "look into the volume");
	return r ? fill(src_fd, volume, e) : 0;
}
