/* net/netns.c: unshare, work, pin, and back.
 *
 * The file is made first and the namespace after it: whatever instruction a
 * crash hits, what remains is a name in a directory that netns_sweep() walks.
 * Sockets opened while inside belong to the new namespace for good, which is
 * how DNS gets its listening sockets into a container.
 */
#include "net/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define OWN_NETNS  "/proc/thread-self/ns/net"
#define BACK_TRIES 100 /* a millisecond apart */

static int open_own(struct err *e)
{
	int fd = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, errno, "open " OWN_NETNS) : fd;
}

static void go_back(int home)
{
	for (int tries = 0; setns(home, CLONE_NEWNET) < 0; tries++) {
		if (tries == BACK_TRIES) {
			perror("comp: return to the host's network namespace");
			_exit(EXIT_FAILURE); /* see netns.h */
		}
		(void)usleep(1000); /* short of memory for a moment */
	}
}

/* Is this descriptor a network namespace? */
static bool is_netns(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC &&
	       ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

/* One ioctl on one socket, instead of a netlink conversation: netdevice(7). */
static int loopback_up(struct err *e)
{
	_cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq q = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &q) < 0)
		return err_errno(e, errno, "bring up the loopback interface");
	return 0;
}

static int populate(const char *pin_path, netns_fn inside, void *data, struct err *e)
{
	int r = loopback_up(e);

	if (r == 0 && inside)
		r = inside(data, e);
	if (r < 0)
		return r;
	if (mount(OWN_NETNS, pin_path, NULL, MS_BIND, NULL) < 0)
		return err_errno(e, errno, "pin the network namespace at %s", pin_path);
	return 0;
}

/* The pin's file; one that a crash left without a mount will do. */
static int make_file(const char *pin_path, struct err *e)
{
	_cleanup_(fd_closep) int fd = retry_eintr(
		open(pin_path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));

	if (fd >= 0)
		return 0;
	if (errno != EEXIST)
		return err_errno(e, errno, "create %s", pin_path);
	fd = netns_open(pin_path, NULL);
	if (fd == -ESTALE)
		return 0;
	return fd < 0 ? err_errno(e, -fd, "open %s", pin_path)
		      : err_set(e, EEXIST, "%s holds a network namespace already", pin_path);
}

int netns_create(const char *pin_path, netns_fn inside, void *data, struct err *e)
{
	_cleanup_(fd_closep) int home = open_own(e), fd = -EBADF;
	int r;

	if (home < 0)
		return home;
	r = make_file(pin_path, e);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNET) < 0) {
		r = err_errno(e, errno, "create a network namespace");
	} else {
		fd = open_own(e);
		r = fd < 0 ? fd : populate(pin_path, inside, data, e);
		go_back(home);
	}
	if (r < 0) {
		(void)netns_remove(pin_path, NULL); /* the error at hand says more */
		return r;
	}
	return TAKE_FD(fd);
}

int netns_open(const char *pin_path, struct err *e)
{
	_cleanup_(fd_closep) int fd = open(pin_path,
					   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, errno, "open network namespace %s", pin_path);
	if (!is_netns(fd))
		return err_set(e, ESTALE, "%s no longer holds a network namespace", pin_path);
	return TAKE_FD(fd);
}

int netns_remove(const char *pin_path, struct err *e)
{
	/* More than one mount on it only if something went wrong; never for ever. */
	for (int i = 0; i < 16; i++) {
		if (umount2(pin_path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			continue;
		if (errno == ENOENT)
			return 0;
		if (errno != EINVAL) /* EINVAL: not a mount point, the aim */
			return err_errno(e, errno, "unmount %s", pin_path);
		break;
	}
	if (unlink(pin_path) < 0 && errno != ENOENT)
		return err_errno(e, errno, "remove %s", pin_path);
	return 0;
}

int netns_run(int netns_fd, netns_fn fn, void *data, struct err *e)
{
	_cleanup_(fd_closep) int home = open_own(e);
	int r;

	if (home < 0)
		return home;
	if (setns(netns_fd, CLONE_NEWNET) < 0)
		return err_errno(e, errno, "enter the network namespace");
	r = fn(data, e);
	go_back(home);
	return r;
}

int netns_sweep(const char *dir, bool (*keep)(const char *name, void *data), void *data,
		struct err *e)
{
	_cleanup_(dir_closep) DIR *d = opendir(dir);
	struct err first = ERR_INIT;
	struct dirent *entry;
	int r = 0, n = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_errno(e, errno, "open %s", dir);
	while ((entry = readdir(d))) {
		_cleanup_(free_p) char *path = NULL;
		int r2;

		if (streq(entry->d_name, ".") || streq(entry->d_name, "..") ||
		    (keep && keep(entry->d_name, data)))
			continue;
		path = path_join(dir, entry->d_name);
		r2 = netns_remove(path, &first);
		if (r2 == 0)
			n++;
		err_keep_first(&r, e, r2, &first);
	}
	return r < 0 ? r : n;
}

/* ---- sysctls ---------------------------------------------------------------- */

/* sysctl(8): whichever of '.' and '/' comes first separates; the other one then
 * stands for the separator inside a name ("net.ipv4.conf.eth0/1.forwarding"). */
static int sysctl_path(const char *key, char *path, size_t n, struct err *e)
{
	size_t start = strlen("/proc/sys/"), len = strlen(key);
	bool dots = key[strcspn(key, "./")] == '.';
	char *name = path + start;

	if (start + len >= n || strlen(key) < 5)
		goto bad;
	memcpy(path, "/proc/sys/", start);
	memcpy(name, key, len + 1);
	for (char *c = name; dots && *c; c++)
		*c = *c == '.' ? '/' : *c == '/' ? '.' : *c;
	if (!skip_prefix(name, "net/") || strstr(name, "/../") || has_suffix(name, "/..") ||
	    strstr(name, "//"))
		goto bad;
	return 0;
bad:
	return err_set(e, EINVAL, "\"%s\" is not a network sysctl", key);
}

int netns_sysctl_write(const char *key, const char *value, struct err *e)
{
	char path[256];
	int r = sysctl_path(key, path, sizeof(path), e);

	return r < 0 ? r : file_poke(AT_FDCWD, path, value, e);
}

int netns_sysctl_read(const char *key, int *value, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	char path[256], text[32];
	ssize_t n;
	int r = sysctl_path(key, path, sizeof(path), e);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_errno(e, errno, "read sysctl %s", key);
	text[n] = '\0';
	*value = atoi(text);
	return 0;
}
