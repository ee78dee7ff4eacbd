/* engine/container/setup.c: the table of steps; see setup.h.
 *
 * The order carries the security: sources are opened while host mounts and host network
 * are in view; system mounts come before the user's, so that a target inside /proc can be
 * recognised by what it lies on; masks come after all mounts, so that nothing uncovers
 * them; the terminal comes from the container's own devpts.
 *
 * A user namespace will be one more step between "cgroup" and "sources": from there on
 * everything happens by descriptor, and only bind_open() needs to learn idmaps.
 */
#include "engine/container/setup.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/container/process.h"
#include "volumes/bind.h"

static int join_cgroup(struct setup *s, struct err *e)
{
	return !s->l->cgroup || s->entered_cgroup ? 0 : cgroup_enter(s->l->cgroup, e);
}

static int adjust_oom(struct setup *s, struct err *e)
{
	return process_set_oom(s->spec, e);
}

/* What must be looked up under the host's names, in our mount namespace: move_mount(2) and
 * open_tree(2) want both ends there. */
static int open_host_paths(struct setup *s, struct err *e)
{
	struct stat st;

	s->dir_fd = open(s->l->dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return err_errno(e, errno, "open %s", s->l->dir_path);
	s->null_fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (s->null_fd < 0 || fstat(s->null_fd, &st) < 0)
		return err_errno(e, errno, "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ENODEV, "/dev/null of this host is not the null device");
	if (s->spec->ipc.mode != NAMESPACE_HOST)
		return 0;
	s->shm_fd = bind_open("/dev/shm", false, false, NULL, e);
	if (s->shm_fd < 0)
		return s->shm_fd;
	/* Often not mounted; then the container has its own view of the host's queues. */
	s->mqueue_fd = bind_open("/dev/mqueue", false, false, NULL, NULL);
	return 0;
}

/* /dev/shm of the container whose ipc namespace is shared: a mount can only be copied from
 * inside the namespace it is in.  Coming back sets root and working directory to our own. */
static int borrow_shm(struct setup *s, struct err *e)
{
	_cleanup_(fd_closep) int own = -EBADF;

	if (s->l->ipc_mntns_fd < 0)
		return 0;
	own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (own < 0)
		return err_errno(e, errno, "open /proc/self/ns/mnt");
	if (setns(s->l->ipc_mntns_fd, CLONE_NEWNS) < 0)
		return err_errno(e, errno, "visit the other container");
	s->shm_fd = open_tree(AT_FDCWD, "/dev/shm", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (s->shm_fd < 0)
		return err_errno(e, errno, "open /dev/shm of the other container");
	if (setns(own, CLONE_NEWNS) < 0)
		return err_errno(e, errno, "come back from the other container");
	return 0;
}

static int join_namespaces(struct setup *s, struct err *e)
{
	const struct container_spec *spec = s->spec;

	if (s->l->netns_fd >= 0) {
		if (setns(s->l->netns_fd, CLONE_NEWNET) < 0)
			return err_errno(e, errno, "join the network namespace");
	} else if (spec->net.mode != NAMESPACE_HOST && unshare(CLONE_NEWNET) < 0) {
		return err_errno(e, errno, "new network namespace");
	}
	if (s->l->ipcns_fd >= 0 && setns(s->l->ipcns_fd, CLONE_NEWIPC) < 0)
		return err_errno(e, errno, "join the ipc namespace");
	if (s->l->utsns_fd >= 0 && setns(s->l->utsns_fd, CLONE_NEWUTS) < 0)
		return err_errno(e, errno, "join the uts namespace");
	/* Not at clone: its root is the cgroup we are in at this moment. */
	if (spec->cgroup.mode != NAMESPACE_HOST && s->l->cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return err_errno(e, errno, "new cgroup namespace");
	return 0;
}

/* From here on nothing we mount can show on the host, and nothing of the host's changes here. */
static int make_private(struct setup *s, struct err *e)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, errno, "make mounts private");
	return 0;
}

static int set_names(struct setup *s, struct err *e)
{
	const struct container_spec *spec = s->spec;
	char shown[13];

	if (spec->uts.mode != NAMESPACE_PRIVATE)
		return 0;
	snprintf(shown, sizeof(shown), "%s", spec->id ? spec->id : "");
	if (sethostname(spec->hostname ? spec->hostname : shown,
			strlen(spec->hostname ? spec->hostname : shown)) < 0)
		return err_errno(e, errno, "hostname %s", spec->hostname ? spec->hostname : shown);
	if (!is_empty(spec->domainname) &&
	    setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
		return err_errno(e, errno, "domainname %s", spec->domainname);
	return 0;
}

static const struct step {
	const char *name; /* put in front of an error; NULL: the error says it all */
	int (*run)(struct setup *s, struct err *e);
} steps[] = {
	{ NULL, join_cgroup },
	{ "OOM score", adjust_oom },
	{ NULL, setup_sources },
	{ NULL, open_host_paths },
	{ NULL, borrow_shm },
	{ NULL, join_namespaces },
	{ NULL, make_private },
	{ "root file system", setup_rootfs },
	{ "mount /proc", setup_proc },
	{ NULL, setup_sysctls },
	{ "mount /sys", setup_sys },
	{ "mount /sys/fs/cgroup", setup_cgroup_mount },
	{ "mount /dev", setup_dev },
	{ "mount /dev/shm", setup_ipc },
	{ "mount", setup_etc },
	{ NULL, setup_mounts },
	{ NULL, setup_files },
	{ "terminal", setup_terminal },
	{ "mask", setup_masks },
	{ "working directory", setup_directory },
	{ "read-only root", setup_read_only },
	{ "change root", setup_pivot },
	{ NULL, set_names },
};

int setup_run(struct setup *s, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int r = steps[i].run(s, e);

		if (r < 0)
			return steps[i].name ? err_wrap(e, r, "%s", steps[i].name) : r;
	}
	return 0;
}
