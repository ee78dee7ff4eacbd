/* engine/image/unpack.c: one function per kind of entry, in a table by type.
 *
 * An entry is cleaned by text, its directory resolved inside the root (tree.h),
 * whatever is at its name removed, and the new thing created exclusively; owner,
 * mode, attributes and times go on through its own descriptor where it has one.
 * The times of directories are put on at the end, when nothing changes them any
 * more.
 *
 * Whiteouts speak of lower layers only (OCI image spec, "Whiteouts"): in
 * whichever order a layer has ".wh.d" and "d", the result is d hiding what was
 * there before, that is, an opaque directory d.
 */
#include "engine/image/unpack.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/map.h"
#include "engine/image/tar_stream.h"
#include "engine/image/tree.h"

#define WHITEOUT        ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define WRITE_BEHIND    (256U << 10) /* bytes of a file from which the disk may start at once */
#define MAX_DEFERRED    (64U << 20) /* bytes of directory names to remember */

struct dir_time {
	struct timespec mtime;
	size_t path; /* into @names */
};

struct state {
	struct unpack *u;
	struct tar_stream *tar;
	struct tree tree;
	struct dir_time *dirs;
	size_t n_dirs, cap_dirs;
	struct buf names;   /* of those directories, each with its NUL */
	struct map implied; /* directories that no entry has stated yet, by path */
	bool setgid;      /* some directory hands its group down: chown everything */
	bool root_stated; /* there was an entry for the root */
};

const char *unpack_printable(const char *path, char buf[256])
{
	size_t n = 0;

	for (; *path && n < 200; path++)
		buf[n++] = (unsigned char)*path < 0x20 || *path == 0x7f || *path == '"' ? '?'
											: *path;
	/* Do not cut a multi-byte character in two. */
	while (*path && n > 0 && ((unsigned char)*path & 0xc0) == 0x80)
		path--, n--;
	strcpy(buf + n, *path ? "..." : "");
	return buf;
}

static void remember_time(struct state *s, const char *path, struct timespec mtime)
{
	/* A tree with more directory names than this has wrong times, not a
	 * wrong content, and we keep our memory. */
	if (s->names.len > MAX_DEFERRED)
		return;
	if (s->n_dirs == s->cap_dirs) {
		s->cap_dirs = s->cap_dirs ? 2 * s->cap_dirs : 256;
		s->dirs = xreallocarray(s->dirs, s->cap_dirs, sizeof(*s->dirs));
	}
	s->dirs[s->n_dirs++] = (struct dir_time){ .mtime = mtime, .path = s->names.len };
	buf_add(&s->names, path, strlen(path) + 1);
}

/* Symlinks in a remembered name may by now lead elsewhere in the root; the time
 * of some directory of the layer is then wrong, and that is all. */
static void apply_times(struct state *s)
{
	for (size_t i = 0; i < s->n_dirs; i++) {
		const char *path = s->names.data + s->dirs[i].path;
		const struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT }, s->dirs[i].mtime };
		_cleanup_(fd_closep) int dir = -EBADF;
		const char *name;

		dir = tree_find_dir(&s->tree, path, &name, NULL);
		if (dir >= 0)
			(void)utimensat(dir, *name ? name : ".", ts, AT_SYMLINK_NOFOLLOW);
	}
}

/* ---- attributes ------------------------------------------------------------ */

/* struct vfs_cap_data, linux/capability.h: revision 2 has 20 bytes, 3 has 24. */
static bool capability_is_valid(const unsigned char *v, size_t n)
{
	unsigned int revision = n >= 4 ? v[3] : 0;

	return (revision == 2 && n == 20) || (revision == 3 && n == 24);
}

static int set_xattr(void *data, const char *name, const void *value, size_t n, struct err *e)
{
	int fd = *(int *)data;
	bool user = skip_prefix(name, "user.") && !skip_prefix(name, "user.overlay.");

	if (streq(name, "security.capability")) {
		if (!capability_is_valid(value, n))
			return err_set(e, EBADMSG, "its security.capability is malformed");
	} else if (!user) {
		return 0;
	}
	if (fsetxattr(fd, name, value, n, 0) == 0)
		return 0;
	/* tmpfs has user.* only since Linux 6.6; no program depends on it there. */
	if (user && errno == EOPNOTSUPP)
		return 0;
	return err_errno(e, errno, "set %.64s", name);
}

/* New files are root's unless a setgid directory gave them its group. */
static bool needs_chown(const struct state *s, const struct tar_entry *t)
{
	return t->uid != 0 || t->gid != 0 || s->setgid;
}

/* Owner before mode before attributes: chown(2) takes setuid bits and file
 * capabilities away. */
static int finish_fd(struct state *s, int fd, const struct tar_entry *t, bool set_mode,
		     struct err *e)
{
	if (needs_chown(s, t) && fchown(fd, (uid_t)t->uid, (gid_t)t->gid) < 0)
		return err_errno(e, errno, "chown");
	if (set_mode && fchmod(fd, t->mode & 07777) < 0)
		return err_errno(e, errno, "chmod");
	return tar_stream_xattrs(s->tar, set_xattr, &fd, e);
}

static int finish_at(struct state *s, int dirfd, const char *name, const struct tar_entry *t,
		     struct err *e)
{
	const struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT }, t->mtime };

	if (needs_chown(s, t) &&
	    fchownat(dirfd, name, (uid_t)t->uid, (gid_t)t->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "chown");
	/* A time the file system cannot hold is not worth failing for. */
	(void)utimensat(dirfd, name, ts, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* ---- the kinds of entries --------------------------------------------------- */

static int make_room(struct state *s, int dirfd, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "stat");
	return tree_remove(&s->tree, dirfd, name, e);
}

static int write_data(struct state *s, int fd, uint64_t size, struct err *e)
{
	uint64_t end = 0, offset;
	const void *p;
	size_t n;
	int r;

	while ((r = tar_stream_data(s->tar, &p, &n, &offset, e)) > 0) {
		if (n == 0)
			continue;
		if (offset > size || n > size - offset)
			return err_set(e, EBADMSG, "it has more data than it says");
		for (size_t done = 0; done < n;) {
			ssize_t w = pwrite(fd, (const char *)p + done, n - done,
					   (off_t)(offset + done));

			if (w < 0 && errno != EINTR)
				return err_errno(e, errno, "write");
			done += w > 0 ? (size_t)w : 0;
		}
		end = offset + n;
	}
	if (r == 0 && end < size && retry_eintr(ftruncate(fd, (off_t)size)) < 0)
		return err_errno(e, errno, "truncate");
	return r;
}

static int put_file(struct state *s, int dirfd, const char *name, const struct tar_entry *t,
		    struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	const struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT }, t->mtime };
	_cleanup_(fd_closep) int fd = retry_eintr(openat(dirfd, name, flags, t->mode & 0777));
	bool set_mode = (t->mode & 07000) != 0;
	int r;

	if (fd < 0 && errno == EEXIST) {
		r = make_room(s, dirfd, name, e);
		if (r < 0)
			return r;
		fd = retry_eintr(openat(dirfd, name, flags, t->mode & 0777));
	}
	if (fd < 0)
		return err_errno(e, errno, "create");
	r = write_data(s, fd, t->size, e);
	if (r == 0)
		r = finish_fd(s, fd, t, set_mode, e);
	if (r == 0)
		(void)futimens(fd, ts); /* as in finish_at() */
	/* The disk writes this while we unpack the next: the commit waits for all of it. */
	if (r == 0 && t->size >= WRITE_BEHIND)
		(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return r;
}

static int put_dir(struct state *s, int dirfd, const char *name, const struct tar_entry *t,
		   const char *path, struct err *e)
{
	_cleanup_(fd_closep) int fd = tree_mkdir(&s->tree, dirfd, name, e);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	(void)map_remove(&s->implied, path); /* mostly it was not in there */
	/* Listed twice, it may be another's from the first time. */
	if (!needs_chown(s, t) && fstat(fd, &st) == 0 && (st.st_uid || st.st_gid) &&
	    fchown(fd, 0, 0) < 0)
		return err_errno(e, errno, "chown");
	s->setgid |= (t->mode & S_ISGID) != 0;
	r = finish_fd(s, fd, t, true, e);
	if (r == 0)
		remember_time(s, path, t->mtime);
	return r;
}

static int put_hardlink(struct state *s, int dirfd, const char *name, const struct tar_entry *t,
			struct err *e)
{
	_cleanup_(free_p) char *target = tree_clean(t->link, e);
	_cleanup_(fd_closep) int from = -EBADF;
	const char *from_name;
	struct stat st, there;
	char shown[256];

	if (!target)
		return err_wrap(e, -EBADMSG, "hard link to \"%s\"",
				unpack_printable(t->link, shown));
	from = tree_find_dir(&s->tree, target, &from_name, NULL);
	if (from < 0 || !*from_name || fstatat(from, from_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, EBADMSG, "hard link to \"%s\", which the layer does not have",
			       unpack_printable(t->link, shown));
	if (S_ISDIR(st.st_mode))
		return err_set(e, EBADMSG, "hard link to \"%s\", a directory",
			       unpack_printable(t->link, shown));
	/* A link to itself: there already. */
	if (fstatat(dirfd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == st.st_ino)
		return 0;
	if (linkat(from, from_name, dirfd, name, 0) == 0)
		return 0;
	if (errno == EEXIST) {
		int r = make_room(s, dirfd, name, e);

		if (r < 0)
			return r;
		if (linkat(from, from_name, dirfd, name, 0) == 0)
			return 0;
	}
	return err_errno(e, errno, "hard link to \"%s\"", unpack_printable(t->link, shown));
}

static int put_symlink(struct state *s, int dirfd, const char *name, const struct tar_entry *t,
		       struct err *e)
{
	int r = make_room(s, dirfd, name, e);

	if (r < 0)
		return r;
	if (symlinkat(t->link, dirfd, name) < 0)
		return err_errno(e, errno, "make a symlink");
	return finish_at(s, dirfd, name, t, e);
}

/* Devices are kept as they are in the image: the rootfs is mounted nodev, and
 * the device cgroup has the last word. */
static int put_node(struct state *s, int dirfd, const char *name, const struct tar_entry *t,
		    struct err *e)
{
	dev_t dev = S_ISFIFO(t->mode) ? 0 : makedev(t->rdev_major, t->rdev_minor);
	int r = make_room(s, dirfd, name, e);

	if (r < 0)
		return r;
	if (mknodat(dirfd, name, t->mode, dev) < 0)
		return err_errno(e, errno, "make a device");
	return finish_at(s, dirfd, name, t, e);
}

/* ---- whiteouts -------------------------------------------------------------- */

static int mark_opaque(struct state *s, int dirfd, const char *name, struct err *e)
{
	_cleanup_(fd_closep) int fd = openat(dirfd, name,
					     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, errno, "open a directory");
	return s->u->opaque ? s->u->opaque(s->u->data, fd, e) : 0;
}

static int put_whiteout(struct state *s, int dirfd, const char *name, const char *path,
			struct err *e)
{
	const char *hidden = name + strlen(WHITEOUT);
	struct stat st;

	if (streq(name, WHITEOUT_OPAQUE))
		return mark_opaque(s, dirfd, ".", e);
	if (skip_prefix(hidden, WHITEOUT))
		return err_set(e, EBADMSG, "AUFS metadata is not supported");
	if (streq(hidden, "") || streq(hidden, ".") || streq(hidden, ".."))
		return err_set(e, EBADMSG, "a whiteout of nothing");
	if (fstatat(dirfd, hidden, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		_cleanup_(free_p) char *anew = xasprintf("%.*s%s", (int)(name - path), path, hidden);

		(void)map_remove(&s->implied, anew); /* not the one of lower layers */
		return S_ISDIR(st.st_mode) ? mark_opaque(s, dirfd, hidden, e) : 0;
	}
	if (mknodat(dirfd, hidden, S_IFCHR, makedev(0, 0)) < 0)
		return err_errno(e, errno, "make a whiteout");
	return 0;
}

/* ---- entries ---------------------------------------------------------------- */

/* The layer's own root: ownership and mode may be stated, nothing else. */
static int put_root(struct state *s, const struct tar_entry *t, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	int r;

	if (!S_ISDIR(t->mode))
		return err_set(e, EBADMSG, "the root of a layer must be a directory");
	s->setgid |= (t->mode & S_ISGID) != 0;
	s->root_stated = true;
	fd = openat(s->u->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open the root");
	r = finish_fd(s, fd, t, true, e);
	if (r == 0)
		remember_time(s, "", t->mtime);
	return r;
}

static int check_limits(struct state *s, const struct tar_entry *t, struct err *e)
{
	struct unpack *u = s->u;

	if (t->uid < 0 || t->gid < 0 || t->uid >= UINT32_MAX || t->gid >= UINT32_MAX)
		return err_set(e, EBADMSG, "owner %jd:%jd does not exist", (intmax_t)t->uid,
			       (intmax_t)t->gid);
	if (++u->files > u->max_files)
		return err_set(e, ENOSPC, "more than %ju files, or the disk has no inodes left",
			       (uintmax_t)u->max_files);
	if (t->size > u->max_bytes - u->bytes)
		return err_set(e, ENOSPC,
			       "no space left on device: the layer needs more than %ju MB",
			       (uintmax_t)(u->max_bytes >> 20));
	u->bytes += t->size;
	return 0;
}

static int put(struct state *s, const struct tar_entry *t, const char *path, struct err *e)
{
	const char *name;
	int dirfd = tree_enter(&s->tree, path, &name, e);

	if (dirfd < 0)
		return dirfd;
	if (skip_prefix(name, WHITEOUT))
		return put_whiteout(s, dirfd, name, path, e);
	if (t->hardlink)
		return put_hardlink(s, dirfd, name, t, e);
	switch (t->mode & S_IFMT) {
	case S_IFREG:
		return put_file(s, dirfd, name, t, e);
	case S_IFDIR:
		return put_dir(s, dirfd, name, t, path, e);
	case S_IFLNK:
		return put_symlink(s, dirfd, name, t, e);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		return put_node(s, dirfd, name, t, e);
	case S_IFSOCK:
		return 0; /* nobody could be listening */
	default:
		return err_set(e, EBADMSG, "an entry of unknown type");
	}
}

/* Is one of the directories of @path named like a whiteout? */
static bool inside_whiteout(const char *path)
{
	for (const char *slash; (slash = strchr(path, '/')); path = slash + 1)
		if (skip_prefix(path, WHITEOUT))
			return true;
	return false;
}

static int put_entry(struct state *s, const struct tar_entry *t, struct err *e)
{
	_cleanup_(free_p) char *path = tree_clean(t->path, e);
	char shown[256];
	int r = -EBADMSG;

	if (path)
		r = check_limits(s, t, e);
	if (r == 0 && inside_whiteout(path))
		r = err_set(e, EBADMSG, "a whiteout is not a directory");
	if (r == 0)
		r = *path ? put(s, t, path, e) : put_root(s, t, e);
	return r < 0 ? err_wrap(e, r, "\"%s\"", unpack_printable(t->path, shown)) : 0;
}

static int tree_opaque(void *data, int dirfd, struct err *e)
{
	struct state *s = data;

	return s->u->opaque ? s->u->opaque(s->u->data, dirfd, e) : 0;
}

/* What no entry gives a time must not have that of the unpacking: the same layer is
 * the same tree wherever and whenever, and can be packed again to the same bytes. */
static void tree_implied(void *data, const char *path, bool anew)
{
	struct state *s = data;

	remember_time(s, path, (struct timespec){ 0 });
	if (!anew && s->names.len <= MAX_DEFERRED)
		map_put(&s->implied, path, NULL);
}

/* Under its own name, and a directory still? */
static bool is_there(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	_cleanup_(fd_closep) int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd >= 0;
}

static int tell_implied(const struct state *s, struct err *e)
{
	const struct unpack *u = s->u;
	int r = u->implied && !s->root_stated ? u->implied(u->data, "", e) : 0;
	struct map_entry *m;
	size_t pos = 0;

	while (r == 0 && u->implied && (m = map_next(&s->implied, &pos)))
		if (is_there(u->root, m->key))
			r = u->implied(u->data, m->key, e);
	return r;
}

int unpack_layer(struct unpack *u, struct tar_stream *tar, struct err *e)
{
	struct state s = { .u = u,
			   .tar = tar,
			   .tree = { .root = u->root,
				     .dir_fd = -EBADF,
				     .opaque = tree_opaque,
				     .implied = tree_implied } };
	struct tar_entry t;
	struct stat st;
	int r;

	s.tree.data = &s;
	s.setgid = fstat(u->root, &st) == 0 && (st.st_mode & S_ISGID);
	while ((r = tar_stream_next(tar, &t, e)) > 0) {
		r = put_entry(&s, &t, e);
		if (r < 0)
			break;
	}
	if (r == 0 && !s.root_stated)
		remember_time(&s, "", (struct timespec){ 0 });
	if (r == 0)
		apply_times(&s);
	if (r == 0)
		r = tell_implied(&s, e);
	map_done(&s.implied);
	tree_done(&s.tree);
	free(s.dirs);
	buf_done(&s.names);
	return r;
}
