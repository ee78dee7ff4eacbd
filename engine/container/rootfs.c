/* engine/container/rootfs.c: the overlay that is the container's "/".
 *
 * It is mounted over the container's own state directory, in init's private mount namespace,
 * so it needs no mount point of its own and never appears on the host.
 * Linux 6.7 takes the layers one by one; before that they are one option string of at most a
 * page, which 230 layers fit as /proc/self/fd/N.
 *
 * metacopy, redirect_dir and index are off, whatever the kernel's defaults: with them a
 * crafted layer could point elsewhere through trusted.overlay attributes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/container/setup.h"
#include "volumes/bind.h"

#define FSCONFIG_TEXT_MAX 250 /* the kernel's limit for a string is 256 */
#define INIT_LAYER_TMP    "init-layer.tmp-"

/* The writable half.  Its mode is that of "/" in the container. */
static int make_upper(int dir_fd, struct err *e)
{
	if (mkdirat(dir_fd, "upper", 0755) < 0) {
		if (errno != EEXIST)
			return err_errno(e, errno, "create upper");
	} else if (fchmodat(dir_fd, "upper", 0755, 0) < 0) {
		return err_errno(e, errno, "chmod upper");
	}
	if (mkdirat(dir_fd, "work", 0700) < 0 && errno != EEXIST)
		return err_errno(e, errno, "create work");
	return 0;
}

/* Until Linux 6.5 overlayfs takes any word from fsconfig(2) and complains at the end, in the
 * kernel's log as well; from there on an unknown one (lowerdir+ came with 6.7) is EINVAL at once.
 */
static bool knows_options(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 5));
}

/* ---- Linux 6.7 and newer ------------------------------------------------------------ */
static int set_option(int fs, const char *key, const char *value, struct err *e)
{
	if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return err_errno(e, errno, "overlay option %s=%s", key, value);
	return 0;
}

/* A path that may be too long for fsconfig(2) goes by descriptor, which is kept open in
 * @fds until the overlay is made. */
static int set_path(int fs, const char *key, const char *path, int *fds, size_t *n, struct err *e)
{
	char text[FD_PATH_MAX];

	if (strlen(path) <= FSCONFIG_TEXT_MAX)
		return set_option(fs, key, path, e);
	fds[*n] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fds[*n] < 0)
		return err_errno(e, errno, "open %s", path);
	return set_option(fs, key, fd_path(fds[(*n)++], text), e);
}

static int set_layers(const struct setup *s, int fs, int *fds, size_t *n, struct err *e)
{
	_cleanup_(free_p) char *upper = path_join(s->l->dir_path, "upper");
	_cleanup_(free_p) char *work = path_join(s->l->dir_path, "work");
	int r = 0;

	if (s->l->init_layer)
		r = set_path(fs, "lowerdir+", s->l->init_layer, fds, n, e);
	for (size_t i = strv_len(s->spec->layers); r == 0 && i > 0; i--)
		r = set_path(fs, "lowerdir+", s->spec->layers[i - 1], fds, n, e);
	if (r == 0)
		r = set_path(fs, "upperdir", upper, fds, n, e);
	if (r == 0)
		r = set_path(fs, "workdir", work, fds, n, e);
	return r;
}

/* The mount's descriptor; -EOPNOTSUPP when this kernel wants one option string. */
static int new_overlay(const struct setup *s, struct err *e)
{
	static const char *const off[] = { "metacopy", "redirect_dir", "index" };
	_cleanup_(fd_closep) int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	_cleanup_(free_p) int *fds = xcalloc(strv_len(s->spec->layers) + 3, sizeof(int));
	size_t n = 0;
	int fd, r = 0;

	if (fs < 0)
		return err_errno(e, errno, "overlay file system");
	r = set_layers(s, fs, fds, &n, e);
	if (r == -EINVAL)
		r = -EOPNOTSUPP;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(off); i++)
		r = set_option(fs, off[i], "off", e);
	if (r == 0)
		r = set_option(fs, "source", "overlay", e);
	if (r == 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = err_errno(e, errno, "overlay of %zu layers", strv_len(s->spec->layers));
	while (n > 0)
		fd_close(fds[--n]);
	if (r < 0)
		return r;
	/* nodev: no device node from a layer works, whatever the cgroup says. */
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
	return fd < 0 ? err_errno(e, errno, "mount the overlay") : fd;
}

/* ---- before Linux 6.7 ------------------------------------------------------------------ */
static int add_fd_path(struct buf *options, const char *prefix, int fd)
{
	char text[FD_PATH_MAX];

	buf_printf(options, "%s%s", prefix, fd_path(fd, text));
	return fd;
}

static int add_layer(struct buf *options, const char *path, struct err *e)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, errno, "open layer %s", path);
	return add_fd_path(options, has_suffix(buf_str(options), "=") ? "" : ":", fd);
}

/* The descriptors stay open until init closes everything before execve. */
static int old_overlay(const struct setup *s, struct err *e)
{
	_cleanup_(buf_done) struct buf options = BUF_INIT;
	char target[FD_PATH_MAX];
	int upper, work, fd, r = 0;

	buf_adds(&options, "metacopy=off,redirect_dir=off,index=off,lowerdir=");
	if (s->l->init_layer)
		r = add_layer(&options, s->l->init_layer, e);
	for (size_t i = strv_len(s->spec->layers); r >= 0 && i > 0; i--)
		r = add_layer(&options, s->spec->layers[i - 1], e);
	if (r < 0)
		return r;
	upper = openat(s->dir_fd, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
	work = openat(s->dir_fd, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (upper < 0 || work < 0)
		return err_errno(e, errno, "open upper and work");
	add_fd_path(&options, ",upperdir=", upper);
	add_fd_path(&options, ",workdir=", work);
	if (options.len > 4095)
		return err_set(e, E2BIG, "%zu layers are more than this kernel can stack",
			       strv_len(s->spec->layers));
	if (mount("overlay", fd_path(s->dir_fd, target), "overlay", MS_NODEV, options.data) < 0)
		return err_errno(e, errno, "overlay of %zu layers", strv_len(s->spec->layers));
	/* By name, so that the look-up ends on top of what was just mounted. */
	fd = open(s->l->dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, errno, "open the overlay") : fd;
}

int setup_rootfs(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	int r = make_upper(s->dir_fd, e);

	if (r < 0)
		return r;
	if (strv_len(s->spec->layers) == 0)
		return err_set(e, EINVAL, "the image has no layers");
	fd = knows_options() ? new_overlay(s, e) : -EOPNOTSUPP;
	if (fd == -EOPNOTSUPP) {
		s->root_fd = old_overlay(s, e);
		return s->root_fd < 0 ? s->root_fd : 0;
	}
	if (fd < 0)
		return fd;
	r = bind_attach(fd, s->dir_fd, e);
	if (r < 0)
		return r;
	s->root_fd = TAKE_FD(fd);
	return 0;
}

int setup_read_only(struct setup *s, struct err *e)
{
	return s->spec->read_only ? bind_setattr(s->root_fd, MOUNT_ATTR_RDONLY, 0, false, e) : 0;
}

/* pivot_root(2), "pivot_root(".", ".")": the old root ends up under the new one and
 * is taken away from there, so no directory for it is needed. */
int setup_pivot(struct setup *s, struct err *e)
{
	if (fchdir(s->root_fd) < 0)
		return err_errno(e, errno, "enter the new root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_errno(e, errno, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_errno(e, errno, "detach the old root");
	if (chdir("/") < 0)
		return err_errno(e, errno, "enter /");
	return 0;
}

/* ---- the init layer ------------------------------------------------------------------------ */
static int fill_init_layer(int dir, struct err *e)
{
	static const char *const dirs[] = { "dev", "proc", "sys", "etc" };
	static const char *const files[] = { "etc/hosts", "etc/hostname", "etc/resolv.conf" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(dir, dirs[i], 0755) < 0 || fchmodat(dir, dirs[i], 0755, 0) < 0)
			return err_errno(e, errno, "create init-layer/%s", dirs[i]);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = retry_eintr(
			openat(dir, files[i], O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));

		if (fd < 0 || fchmod(fd, 0644) < 0)
			return err_errno(e, errno, "create init-layer/%s", files[i]);
		fd_close(fd);
	}
	return 0;
}

/* Unfinished ones, of makers that were killed. */
static void sweep_init_layers(const char *root, int rootfd)
{
	_cleanup_(dir_closep) DIR *dir = opendir(root);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (skip_prefix(entry->d_name, INIT_LAYER_TMP))
			(void)rm_rf(rootfd, entry->d_name, NULL); /* tried again next time */
}

/* Made under another name and renamed, so that it is never seen half done.  Under a
 * lock on the root, so that nobody sweeps what another is making. */
int launch_init_layer(const char *root, char **path, struct err *e)
{
	_cleanup_(free_p) char *layer = path_join(root, "init-layer"), *name = NULL;
	_cleanup_(fd_closep) int rootfd = -EBADF, dir = -EBADF;
	char random[17];
	int r = 0;

	*path = NULL;
	if (access(layer, F_OK) == 0) {
		*path = TAKE_PTR(layer);
		return 0;
	}
	r = mkdir_p(AT_FDCWD, root, 0700, e);
	if (r < 0)
		return r;
	rootfd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0 || flock(rootfd, LOCK_EX) < 0) /* let go with the descriptor */
		return err_errno(e, errno, "lock %s", root);
	sweep_init_layers(root, rootfd);
	random_hex(random, 8);
	name = xasprintf(INIT_LAYER_TMP "%s", random);
	if (mkdirat(rootfd, name, 0755) < 0 || fchmodat(rootfd, name, 0755, 0) < 0)
		return err_errno(e, errno, "create %s", name);
	dir = openat(rootfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dir < 0 ? err_errno(e, errno, "open %s", name) : fill_init_layer(dir, e);
	if (r == 0 && renameat(rootfd, name, rootfd, "init-layer") < 0 && errno != ENOTEMPTY &&
	    errno != EEXIST)
		r = err_errno(e, errno, "rename %s", name);
	(void)rm_rf(rootfd, name, NULL); /* there only if something went wrong, or a race lost */
	if (r == 0)
		*path = TAKE_PTR(layer);
	return r;
}
