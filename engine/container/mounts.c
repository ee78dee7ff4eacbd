/* engine/container/mounts.c: volumes, binds, tmpfs, /etc files, secrets and configs.
 *
 * Sources are opened first of all, while init still sees the host's mounts with
 * their propagation and the host's network (a volume may be on NFS); targets
 * last, in the finished root.  Both ends are descriptors, so the order of
 * events inside the image cannot redirect anything.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/container/setup.h"
#include "volumes/bind.h"
#include "volumes/copy_up.h"
#include "volumes/local.h"

#define POPULATED "volumes-populated" /* in the state directory: first use is over */
#define ETC_SIZE  (4 << 20)	       /* bytes for all files in /etc that are ours */

/* ---- sources ------------------------------------------------------------------------- */
/* The directory that holds _data, and what volume.json there says. */
static int load_volume(const struct mount_spec *m, struct volume **out, struct err *e)
{
	_cleanup_(free_p) char *dir = path_dir(m->source), *root = path_dir(dir),
			       *name = path_base(dir);

	return volume_load(root, name, out, e);
}

static int open_volume(const struct mount_spec *m, struct err *e)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	int r = load_volume(m, &v, e);

	if (r < 0)
		return r;
	if (local_has_options(v)) {
		fd = local_open(v, e);
		if (fd >= 0 && m->read_only) {
			r = bind_setattr(fd, MOUNT_ATTR_RDONLY, 0, true, e);
			if (r < 0)
				return r;
		}
		return fd < 0 ? fd : TAKE_FD(fd);
	}
	/* Read-only is set later, after a first use may have filled it. */
	return bind_open(m->source, false, false, NULL, e);
}

static int open_source(const struct mount_spec *m, struct err *e)
{
	switch (m->type) {
	case MOUNT_BIND:
		return bind_open(m->source, m->create_source, m->read_only, m->propagation, e);
	case MOUNT_VOLUME:
		return open_volume(m, e);
	case MOUNT_TMPFS:
		return bind_tmpfs(m->tmpfs_size, m->tmpfs_mode, m->tmpfs_options, m->read_only, e);
	}
	return err_set(e, EINVAL, "unknown type of mount");
}

int setup_sources(struct setup *s, struct err *e)
{
	const struct container_spec *spec = s->spec;

	s->sources = xcalloc(spec->n_mounts + 1, sizeof(int));
	for (size_t i = 0; i < spec->n_mounts; i++)
		s->sources[i] = -EBADF;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		s->sources[i] = open_source(&spec->mounts[i], e);
		if (s->sources[i] < 0)
			return err_wrap(e, s->sources[i], "mount %s", spec->mounts[i].target);
	}
	return 0;
}

/* ---- volumes: subpath and first use --------------------------------------------------------- */
/* Before Linux 6.15 only an attached mount can be copied from.  The directory overlayfs works
 * in is as good a place as any: it stays behind with the old root. */
static int attach_aside(struct setup *s, int mount, struct err *e)
{
	_cleanup_(fd_closep) int work = openat(s->dir_fd, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return work < 0 ? err_errno(e, errno, "open work") : bind_attach(mount, work, e);
}

/* Only below what was mounted: links in a volume are its users' to make. */
static int enter_subpath(struct setup *s, int *mount, const char *subpath, struct err *e)
{
	_cleanup_(fd_closep) int below = -EBADF;
	int fd, r = attach_aside(s, *mount, e);

	if (r < 0)
		return r;
	below = fd_open_in_root(*mount, subpath, O_PATH, 0, e);
	if (below < 0)
		return err_wrap(e, below, "subpath");
	fd = bind_open_fd(below, false, NULL, e);
	if (fd < 0)
		return fd;
	fd_close(*mount);
	*mount = fd;
	return 0;
}

static int populate(struct setup *s, const struct mount_spec *m, int mount, int target,
		    struct err *e)
{
	_cleanup_(fd_closep) int volume = -EBADF, in_image = -EBADF;
	_cleanup_(free_p) char *dir = path_dir(m->source);
	_cleanup_(volume_freep) struct volume *v = NULL;
	int r;

	if (m->nocopy || m->subpath || faccessat(s->dir_fd, POPULATED, F_OK, 0) == 0)
		return 0;
	r = load_volume(m, &v, e);
	if (r < 0 || local_has_options(v))
		return r; /* somebody else's file system: what is in it is theirs to say */
	volume = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (volume < 0)
		return err_errno(e, errno, "open %s", dir);
	in_image = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (in_image < 0)
		return err_errno(e, errno, "open %s in the image", m->target);
	r = copy_up(in_image, volume, e);
	return r < 0 ? err_wrap(e, r, "fill volume %s from the image", m->volume) : 0;
}

/* ---- targets ----------------------------------------------------------------------------------
 */
/* A mount inside /proc would let an image or a volume answer in the kernel's place
 * (CVE-2019-16884, CVE-2019-19921); lxcfs covers these few files on purpose. */
static int check_target(int fd, const char *target, struct err *e)
{
	static const char *const allowed[] = { "cpuinfo", "diskstats", "meminfo", "stat",
					       "swaps",   "uptime",    "loadavg", "slabinfo" };
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return err_errno(e, errno, "statfs");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		const char *name = skip_prefix(target, "/proc/");

		if (name && streq(name, allowed[i]))
			return 0;
	}
	return err_set(e, EPERM, "mounts in /proc are not allowed");
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int mount_one(struct setup *s, size_t i, struct err *e)
{
	const struct mount_spec *m = &s->spec->mounts[i];
	_cleanup_(fd_closep) int target = -EBADF;
	int r = m->subpath ? enter_subpath(s, &s->sources[i], m->subpath, e) : 0;

	if (r < 0)
		return r;
	target = target_open(s->root_fd, m->target, is_directory(s->sources[i]), e);
	if (target < 0)
		return target;
	r = check_target(target, m->target, e);
	if (r == 0 && m->type == MOUNT_VOLUME)
		r = populate(s, m, s->sources[i], target, e);
	if (r < 0)
		return r;
	if (m->type == MOUNT_VOLUME && m->read_only)
		r = bind_setattr(s->sources[i], MOUNT_ATTR_RDONLY, 0, true, e);
	return r < 0 ? r : bind_attach(s->sources[i], target, e);
}

static size_t depth(const char *path)
{
	size_t n = 0;

	for (const char *p = path; *p; p++)
		n += p[0] == '/' && p[1] && p[1] != '/';
	return n;
}

/* Outer ones first, so that /a/b ends up in /a; otherwise as written. */
static size_t *order_by_depth(const struct container_spec *spec)
{
	size_t *order = xcalloc(spec->n_mounts + 1, sizeof(size_t));

	for (size_t i = 0; i < spec->n_mounts; i++) {
		size_t j = i;

		while (j > 0 &&
		       depth(spec->mounts[order[j - 1]].target) > depth(spec->mounts[i].target)) {
			order[j] = order[j - 1];
			j--;
		}
		order[j] = i;
	}
	return order;
}

int setup_mounts(struct setup *s, struct err *e)
{
	_cleanup_(free_p) size_t *order = order_by_depth(s->spec);
	bool volumes = false;
	int fd;

	for (size_t i = 0; i < s->spec->n_mounts; i++) {
		const struct mount_spec *m = &s->spec->mounts[order[i]];
		int r = mount_one(s, order[i], e);

		if (r < 0)
			return err_wrap(e, r, "mount %s", m->target);
		volumes |= m->type == MOUNT_VOLUME;
	}
	if (!volumes)
		return 0;
	/* An emptied volume stays empty when this container starts again. */
	fd = retry_eintr(openat(s->dir_fd, POPULATED, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	if (fd < 0)
		return err_errno(e, errno, "create %s", POPULATED);
	fd_close(fd);
	return 0;
}

/* ---- files of our making ----------------------------------------------------------------------
 * Their content lives in a tmpfs, never on disk; the binds keep it alive when
 * the tmpfs itself has gone with the old root. */
static int write_file(int dir, const char *name, const struct file_spec *f, struct err *e)
{
	_cleanup_(fd_closep) int fd = retry_eintr(
		openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
	int r;

	if (fd < 0)
		return err_errno(e, errno, "create");
	r = fd_write_all(fd, f->content ? f->content : "", f->size);
	if (r < 0)
		return err_errno(e, -r, "write");
	if (fchown(fd, f->uid, f->gid) < 0 || fchmod(fd, f->mode & 07777) < 0)
		return err_errno(e, errno, "set owner and mode");
	return 0;
}

/* @f, called @name in the tmpfs @dir, at its target. */
static int place_file(struct setup *s, int dir, const char *name, const struct file_spec *f,
		      bool read_only, struct err *e)
{
	_cleanup_(fd_closep) int from = -EBADF, mount = -EBADF, target = -EBADF;
	int r = write_file(dir, name, f, e);

	if (r < 0)
		return r;
	from = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return err_errno(e, errno, "open");
	mount = bind_open_fd(from, read_only, NULL, e);
	if (mount < 0)
		return mount;
	target = target_open(s->root_fd, f->target, false, e);
	if (target < 0)
		return target;
	r = check_target(target, f->target, e);
	return r < 0 ? r : bind_attach(mount, target, e);
}

static int open_aside(struct setup *s, uint64_t size, int *tmpfs, struct err *e)
{
	*tmpfs = bind_tmpfs(size, 0700, NULL, false, e);
	return *tmpfs < 0 ? *tmpfs : attach_aside(s, *tmpfs, e);
}

/* /etc/hosts, hostname and resolv.conf; the container may write to them, within limits. */
int setup_etc(struct setup *s, struct err *e)
{
	const struct file_spec files[] = {
		{ .target = "/etc/hosts", .content = (char *)s->l->hosts },
		{ .target = "/etc/hostname", .content = (char *)s->l->hostname },
		{ .target = "/etc/resolv.conf", .content = (char *)s->l->resolv_conf },
	};
	_cleanup_(fd_closep) int tmpfs = -EBADF;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		struct file_spec f = files[i];

		if (!f.content)
			continue;
		f.size = strlen(f.content);
		f.mode = 0644;
		if (tmpfs < 0)
			r = open_aside(s, ETC_SIZE, &tmpfs, e);
		if (r == 0)
			r = place_file(s, tmpfs, f.target + strlen("/etc/"), &f, false, e);
		if (r < 0)
			err_wrap(e, r, "%s", f.target);
	}
	return r;
}

/* Secrets and configs. */
int setup_files(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int tmpfs = -EBADF;
	int r;

	if (s->spec->n_files == 0)
		return 0;
	r = open_aside(s, 0, &tmpfs, e);
	for (size_t i = 0; r == 0 && i < s->spec->n_files; i++) {
		char name[24];

		snprintf(name, sizeof(name), "%zu", i);
		r = place_file(s, tmpfs, name, &s->spec->files[i], true, e);
		if (r < 0)
			err_wrap(e, r, "file %s", s->spec->files[i].target);
	}
	return r;
}

/* Docker makes a missing working directory, as root. */
int setup_directory(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;

	if (is_empty(s->spec->cwd) || streq(s->spec->cwd, "/"))
		return 0;
	fd = target_open(s->root_fd, s->spec->cwd, true, e);
	return fd < 0 ? fd : 0;
}
