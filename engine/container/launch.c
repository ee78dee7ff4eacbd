/* engine/container/launch.c: the clone itself; all the rest is init's. */
#include "engine/container/launch.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "engine/container/init.h"

/* Namespaces that need nothing from us first.  Network and cgroup come later, in init. */
static uint64_t new_namespaces(const struct container_spec *s)
{
	uint64_t flags = CLONE_NEWNS;

	if (s->pid.mode == NAMESPACE_PRIVATE)
		flags |= CLONE_NEWPID;
	if (s->ipc.mode == NAMESPACE_PRIVATE || s->ipc.mode == NAMESPACE_NONE)
		flags |= CLONE_NEWIPC;
	if (s->uts.mode == NAMESPACE_PRIVATE)
		flags |= CLONE_NEWUTS;
	return flags;
}

int container_launch(const struct launch *l, pid_t *pid, int *pidfd, struct err *e)
{
	struct clone_args args = { .exit_signal = SIGCHLD, .pidfd = (uintptr_t)pidfd };
	_cleanup_(fd_closep) int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int cgroup = l->cgroup ? cgroup_clone_fd(l->cgroup) : -EBADF;
	long child;

	if (self < 0)
		return err_errno(e, errno, "open a pidfd of ourselves");
	args.flags = CLONE_PIDFD | new_namespaces(l->spec);
	/* For our children only; we stay where we are, but have no other child. */
	if (l->pidns_fd >= 0 && setns(l->pidns_fd, CLONE_NEWPID) < 0)
		return err_errno(e, errno, "join the pid namespace");
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	child = syscall(SYS_clone3, &args, sizeof(args));
	if (child < 0)
		return err_errno(e, errno, "clone the container's first process");
	if (child == 0)
		init_main(l, self, cgroup >= 0);
	*pid = (pid_t)child;
	return 0;
}
