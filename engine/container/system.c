/* engine/container/system.c: /proc, /sys, /dev, cgroups, shared memory and the terminal, as
 * Docker makes them, and what is hidden in them.
 *
 * /proc is used by us through the descriptor of its mount alone, which nothing
 * the image does can cover or replace, so a sysctl is written to the kernel
 * and nowhere else (CVE-2025-52881).  Masks are the host's own /dev/null, checked by
 * number (CVE-2025-31133), and an empty read-only tmpfs.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/strv.h"
#include "engine/container/devices.h"
#include "engine/container/process.h"
#include "engine/container/setup.h"
#include "volumes/bind.h"
#include "volumes/options.h"

#define DEFAULT_SHM_SIZE (64u << 20)
#define CPUS_MAX         8192

#define PLAIN_ATTR (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* A system directory must be one: an image with a link there is refused, since whatever we
 * mounted would land where the link points (CVE-2019-19921, CVE-2026-41579). */
static int open_system_dir(struct setup *s, const char *name, struct err *e)
{
	int fd;

	if (mkdirat(s->root_fd, name, 0755) < 0 && errno != EEXIST && errno != EROFS)
		return err_errno(e, errno, "create /%s", name);
	fd = openat(s->root_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return err_set(e, ENOTDIR, "/%s in the image is not a directory", name);
	return fd < 0 ? err_errno(e, errno, "open /%s", name) : fd;
}

/* A directory below a mount we made ourselves. */
static int make_mount_dir(int parent, const char *name, mode_t mode, struct err *e)
{
	int fd;

	if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
		return err_errno(e, errno, "create %s", name);
	fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_errno(e, errno, "open %s", name) : fd;
}

/* Mount a new @type file system on @target; returns its root's descriptor. */
static int mount_new(const char *type, uint64_t attr, const char *options, int target,
		     struct err *e)
{
	_cleanup_(mount_options_done) struct mount_options o = { 0 };
	_cleanup_(fd_closep) int fd = -EBADF;
	int r;

	mount_options_parse(&o, options);
	o.set |= attr;
	fd = mount_options_create(type, type, &o, e);
	if (fd < 0)
		return fd;
	r = bind_attach(fd, target, e);
	return r < 0 ? r : TAKE_FD(fd);
}

/* ---- /proc and sysctls --------------------------------------------------------------- */
int setup_proc(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int target = open_system_dir(s, "proc", e);

	if (target < 0)
		return target;
	s->proc_fd = mount_new("proc", PLAIN_ATTR, NULL, target, e);
	return s->proc_fd < 0 ? s->proc_fd : 0;
}

/* Only what belongs to a namespace of the container's own. */
static int check_sysctl(const struct setup *s, const char *key, struct err *e)
{
	static const char *const ipc[] = { "kernel.msgmax", "kernel.msgmnb",
					   "kernel.msgmni", "kernel.sem",
					   "kernel.shmall", "kernel.shmmax",
					   "kernel.shmmni", "kernel.shm_rmid_forced" };
	bool own = skip_prefix(key, "fs.mqueue.");

	for (size_t i = 0; i < ARRAY_SIZE(ipc); i++)
		own |= streq(key, ipc[i]);
	if (own && s->spec->ipc.mode != NAMESPACE_HOST)
		return 0;
	if (skip_prefix(key, "net.") && s->spec->net.mode != NAMESPACE_HOST)
		return 0;
	if (streq(key, "kernel.domainname") && s->spec->uts.mode != NAMESPACE_HOST)
		return 0;
	return err_set(e, EPERM, "sysctl %s is not in a namespace of the container", key);
}

static int write_sysctl(int proc, const char *key, const char *value, struct err *e)
{
	const struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	_cleanup_(free_p) char *path = xasprintf("sys/%s", key);
	_cleanup_(fd_closep) int fd = -EBADF;

	/* "net/ipv4/conf/eth0.10/…" is written with slashes because of the dot in it. */
	for (char *p = strchr(key, '/') ? NULL : path; p && (p = strchr(p, '.')); p++)
		*p = '/';
	fd = (int)syscall(SYS_openat2, proc, path, &how, sizeof(how));
	if (fd < 0)
		return err_errno(e, errno, "sysctl %s", key);
	if (retry_eintr(write(fd, value, strlen(value))) < 0)
		return err_errno(e, errno, "sysctl %s=%s", key, value);
	return 0;
}

int setup_sysctls(struct setup *s, struct err *e)
{
	int r;

	if (s->spec->net.mode == NAMESPACE_PRIVATE || s->spec->net.mode == NAMESPACE_NONE) {
		/* Docker's: any port and ping without privileges. */
		r = write_sysctl(s->proc_fd, "net.ipv4.ip_unprivileged_port_start", "0", e);
		if (r == 0)
			r = write_sysctl(s->proc_fd, "net.ipv4.ping_group_range", "0 2147483647",
					 e);
		if (r < 0)
			return r;
	}
	STRV_FOREACH (pair, s->spec->sysctls) {
		_cleanup_(free_p) char *key = xstrdup(*pair);
		char *equals = strchr(key, '=');
		_cleanup_(free_p) char *dotted = NULL;

		if (!equals)
			return err_set(e, EINVAL, "sysctl %s has no value", key);
		*equals = '\0';
		dotted = xstrdup(key);
		for (char *p = strchr(dotted, '/'); p; p = strchr(p, '/'))
			*p = '.';
		r = check_sysctl(s, dotted, e);
		if (r == 0)
			r = write_sysctl(s->proc_fd, key, equals + 1, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- /sys and cgroups ------------------------------------------------------------------ */
int setup_sys(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int target = open_system_dir(s, "sys", e), fd = -EBADF;

	if (target < 0)
		return target;
	fd = mount_new("sysfs", PLAIN_ATTR | (s->spec->privileged ? 0 : MOUNT_ATTR_RDONLY), NULL,
		       target, e);
	return fd < 0 ? fd : 0;
}

/* v1: one directory per hierarchy, each showing the container's own cgroup. */
static int bind_hierarchies(const struct setup *s, int tmpfs, struct err *e)
{
	const char *name, *path;

	for (size_t i = 0; cgroup_hierarchy(s->l->cgroup, i, &name, &path); i++) {
		_cleanup_(strv_freep) char **parts = strv_split(name, ',', true);
		_cleanup_(fd_closep) int mount = -EBADF,
					 target = make_mount_dir(tmpfs, name, 0755, e);
		int r;

		if (target < 0)
			return target;
		mount = bind_open(path, false, !s->spec->privileged, NULL, e);
		r = mount < 0 ? mount : bind_setattr(mount, PLAIN_ATTR, 0, false, e);
		if (r == 0)
			r = bind_attach(mount, target, e);
		if (r < 0)
			return r;
		STRV_FOREACH (part, parts)
			if (!streq(*part, name) && symlinkat(name, tmpfs, *part) < 0)
				return err_errno(e, errno, "link %s", *part);
	}
	return 0;
}

int setup_cgroup_mount(struct setup *s, struct err *e)
{
	const uint64_t ro = s->spec->privileged ? 0 : MOUNT_ATTR_RDONLY;
	_cleanup_(fd_closep) int target = -EBADF, fd = -EBADF;
	int r;

	target = fd_open_in_root(s->root_fd, "/sys/fs/cgroup", O_PATH | O_DIRECTORY, 0, e);
	if (target == -ENOENT || !s->l->cgroup)
		return 0;
	if (target < 0)
		return target;
	if (cgroup_clone_fd(s->l->cgroup) >= 0) {
		fd = mount_new("cgroup2", PLAIN_ATTR | ro, NULL, target, e);
		return fd < 0 ? fd : 0;
	}
	fd = mount_new("tmpfs", PLAIN_ATTR, "mode=755,size=64k", target, e);
	if (fd < 0)
		return fd;
	r = bind_hierarchies(s, fd, e);
	return r == 0 && ro ? bind_setattr(fd, ro, 0, false, e) : r;
}

/* ---- /dev -------------------------------------------------------------------------------- */
static int make_node(int dir, const char *name, mode_t mode, dev_t dev, struct err *e)
{
	if (mknodat(dir, name, mode, dev) < 0 && errno != EEXIST)
		return err_errno(e, errno, "create /dev/%s", name);
	return 0;
}

static int make_standard_nodes(int dev, struct err *e)
{
	static const struct {
		const char *name;
		unsigned int major, minor;
	} nodes[] = {
		{ "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
		{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "fd" },       { "/proc/self/fd/0", "stdin" },
		{ "/proc/self/fd/1", "stdout" }, { "/proc/self/fd/2", "stderr" },
		{ "/proc/kcore", "core" },       { "pts/ptmx", "ptmx" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		int r = make_node(dev, nodes[i].name, S_IFCHR | 0666,
				  makedev(nodes[i].major, nodes[i].minor), e);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			return err_errno(e, errno, "link /dev/%s", links[i][1]);
	return 0;
}

/* A device that was asked for, anywhere in the root; below /dev as a rule. */
static int make_device(struct setup *s, const struct device_node *n, struct err *e)
{
	_cleanup_(free_p) char *dir = NULL;
	_cleanup_(fd_closep) int parent = -EBADF;
	const char *slash = strrchr(n->path, '/');

	dir = xstrndup(n->path, slash == n->path ? 1 : (size_t)(slash - n->path));
	parent = target_open(s->root_fd, dir, true, e);
	if (parent < 0)
		return parent;
	if (unlinkat(parent, slash + 1, 0) < 0 && errno != ENOENT)
		return err_errno(e, errno, "replace %s", n->path);
	if (mknodat(parent, slash + 1, n->mode, makedev(n->major, n->minor)) < 0)
		return err_errno(e, errno, "create %s", n->path);
	if (fchownat(parent, slash + 1, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "chown %s", n->path);
	return 0;
}

static int make_devices(struct setup *s, struct err *e)
{
	_cleanup_(device_list_done) struct device_list list = { 0 };
	int r = devices_from_spec(s->spec, &list, e);

	for (size_t i = 0; r == 0 && i < list.n_nodes; i++)
		r = make_device(s, &list.nodes[i], e);
	return r;
}

int setup_dev(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int target = open_system_dir(s, "dev", e), pts_dir = -EBADF,
				 pts = -EBADF;
	int r;

	if (target < 0)
		return target;
	s->dev_fd = mount_new("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME,
			      "mode=755,size=65536k", target, e);
	if (s->dev_fd < 0)
		return s->dev_fd;
	r = make_standard_nodes(s->dev_fd, e);
	if (r < 0)
		return r;
	pts_dir = make_mount_dir(s->dev_fd, "pts", 0755, e);
	if (pts_dir < 0)
		return pts_dir;
	pts = mount_new("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
			"ptmxmode=0666,mode=0620,gid=5", pts_dir, e);
	if (pts < 0)
		return pts;
	if (s->spec->tty) {
		s->ptmx_fd = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (s->ptmx_fd < 0)
			return err_errno(e, errno, "open /dev/pts/ptmx");
	}
	return s->spec->n_devices || s->spec->privileged ? make_devices(s, e) : 0;
}

static int mount_shm(struct setup *s, int target, struct err *e)
{
	uint64_t size = s->spec->shm_size ? s->spec->shm_size : DEFAULT_SHM_SIZE;
	char options[64];
	int fd;

	if (s->shm_fd >= 0)
		return bind_attach(s->shm_fd, target, e);
	snprintf(options, sizeof(options), "mode=1777,size=%llu", (unsigned long long)size);
	fd = mount_new("tmpfs", PLAIN_ATTR, options, target, e);
	fd_close(fd);
	return fd < 0 ? fd : 0;
}

int setup_ipc(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int shm = -EBADF, mqueue = -EBADF, fd = -EBADF;
	int r = 0;

	if (s->spec->ipc.mode != NAMESPACE_NONE) {
		shm = make_mount_dir(s->dev_fd, "shm", 01777, e);
		r = shm < 0 ? shm : mount_shm(s, shm, e);
	}
	if (r < 0)
		return r;
	mqueue = make_mount_dir(s->dev_fd, "mqueue", 01777, e);
	if (mqueue < 0)
		return mqueue;
	if (s->mqueue_fd >= 0)
		return bind_attach(s->mqueue_fd, mqueue, e);
	fd = mount_new("mqueue", PLAIN_ATTR, NULL, mqueue, e);
	/* A kernel without POSIX message queues has nothing to show. */
	return fd == -ENODEV ? 0 : fd < 0 ? fd : 0;
}

/* ---- the terminal ------------------------------------------------------------------------- */
int setup_terminal(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int slave = -EBADF, mount = -EBADF, target = -EBADF;
	int r;

	if (!s->spec->tty)
		return process_set_stdio(s->l->stdio, e);
	r = process_set_terminal(s->ptmx_fd, s->l->console_sock, &slave, e);
	if (r < 0)
		return r;
	target = retry_eintr(openat(s->dev_fd, "console",
				    O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC, 0600));
	if (target < 0)
		return err_errno(e, errno, "create /dev/console");
	mount = bind_open_fd(slave, false, NULL, e);
	return mount < 0 ? mount : bind_attach(mount, target, e);
}

/* ---- masked and read-only paths ------------------------------------------------------------- */
static const char *const masked[] = {
	"proc/acpi",       "proc/asound",        "proc/interrupts",  "proc/kcore",
	"proc/keys",       "proc/latency_stats", "proc/sched_debug", "proc/scsi",
	"proc/timer_list", "proc/timer_stats",   "sys/firmware",     "sys/devices/virtual/powercap",
};

static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys",
					 "proc/sysrq-trigger" };

/* O_PATH, through no link; -ENOENT when this kernel has no such file. */
static int open_plain(const struct setup *s, const char *path, struct err *e)
{
	const struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, s->root_fd, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return -ENOENT;
	return fd < 0 ? err_errno(e, errno, "open /%s", path) : fd;
}

/* Cover one path.  @empty is the read-only tmpfs, made with the first directory that needs it
 * and copied from there on. */
static int mask(struct setup *s, const char *path, int *empty, struct err *e)
{
	_cleanup_(fd_closep) int target = open_plain(s, path, e), mount = -EBADF;
	struct stat st;

	if (target < 0)
		return target == -ENOENT ? 0 : target;
	if (fstat(target, &st) < 0)
		return err_errno(e, errno, "stat /%s", path);
	if (!S_ISDIR(st.st_mode)) {
		mount = bind_open_fd(s->null_fd, false, NULL, e);
		return mount < 0 ? mount : bind_attach(mount, target, e);
	}
	if (*empty < 0) {
		*empty = bind_tmpfs(0, 0755, "size=0,nr_inodes=1", true, e);
		return *empty < 0 ? *empty : bind_attach(*empty, target, e);
	}
	mount = bind_open_fd(*empty, true, NULL, e);
	return mount < 0 ? mount : bind_attach(mount, target, e);
}

static int make_read_only(struct setup *s, const char *path, struct err *e)
{
	_cleanup_(fd_closep) int target = open_plain(s, path, e), mount = -EBADF;

	if (target < 0)
		return target == -ENOENT ? 0 : target;
	mount = bind_open_fd(target, true, NULL, e);
	return mount < 0 ? mount : bind_attach(mount, target, e);
}

/* Counters that tell about the host's load and its neighbours (GHSA-6fw5-f8r9-fgfm). */
static int mask_cpus(struct setup *s, int *empty, struct err *e)
{
	for (int cpu = 0; cpu < CPUS_MAX; cpu++) {
		_cleanup_(fd_closep) int fd = -EBADF;
		char path[80];
		int r;

		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d", cpu);
		fd = open_plain(s, path, e);
		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		if (faccessat(fd, "thermal_throttle", F_OK, 0) < 0)
			continue;
		strcat(path, "/thermal_throttle");
		r = mask(s, path, empty, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int setup_masks(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int empty = -EBADF;
	int r = 0;

	if (s->spec->privileged || s->spec->systempaths_unconfined)
		return 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(masked); i++) {
		r = mask(s, masked[i], &empty, e);
		if (r < 0)
			return err_wrap(e, r, "/%s", masked[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++) {
		r = make_read_only(s, read_only[i], e);
		if (r < 0)
			return err_wrap(e, r, "/%s", read_only[i]);
	}
	return mask_cpus(s, &empty, e);
}
