/* engine/container/exec.c: see exec.h.
 *
 *	caller ── fork ──> go-between ── setns(pidfd) ── clone3(CLONE_PARENT) ──> new process
 *	   ^                    └─ pid and pidfd over a socket, exits                  │
 *	   └───────────────── is its parent, by CLONE_PARENT ──────────────────────────┘
 *
 * setns(2) into a pid namespace counts for children only, hence two processes.
 * The go-between stays outside of the cgroup and of the pid namespace: if
 * the container is frozen, only the new process waits, never the caller.
 */
#include "engine/container/exec.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/container/caps.h"
#include "engine/container/launch.h"
#include "engine/container/process.h"

struct answer {
	pid_t pid; /* 0: see err */
	struct err err;
};

/* ---- in the container -------------------------------------------------------------- */
/* The container may have put anything at that path; only a devpts has a real ptmx. */
static int open_ptmx(struct err *e)
{
	const struct open_how how = {
		.flags = O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_(fd_closep) int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/pts/ptmx", &how,
						   sizeof(how));
	struct statfs fs;

	if (fd < 0)
		return err_errno(e, errno, "open /dev/pts/ptmx");
	if (fstatfs(fd, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(e, ENODEV, "/dev/pts in the container is not a devpts");
	(void)fd_set_nonblock(fd, false);
	return TAKE_FD(fd);
}

static int set_streams(const struct exec_opts *o, struct err *e)
{
	_cleanup_(fd_closep) int ptmx = -EBADF;

	if (!o->tty)
		return process_set_stdio(o->stdio, e);
	ptmx = open_ptmx(e);
	return ptmx < 0 ? ptmx : process_set_terminal(ptmx, o->console_sock, NULL, e);
}

static _Noreturn void final(const struct exec_opts *o, int target, bool entered, struct process *p)
{
	struct err e = ERR_INIT;
	int r = o->cgroup && !entered ? cgroup_enter(o->cgroup, &e) : 0;

	/* Only now: from inside that namespace the cgroup we came from cannot be seen, and the
	 * kernel lets nobody migrate out of the invisible (nsdelegate, cgroups(7)). */
	if (r == 0 && setns(target, CLONE_NEWCGROUP) < 0)
		r = err_errno(&e, errno, "join the cgroup namespace");
	if (r == 0) {
		(void)setsid(); /* the go-between's own session does not reach into the pid
				   namespace */
		r = set_streams(o, &e);
	}
	if (r < 0)
		process_fail(o->error_fd, &e, EXIT_SETUP);
	process_run(p);
}

/* ---- the go-between ------------------------------------------------------------------- */
static int join(int target, struct err *e)
{
	const int most = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	if (setns(target, most) < 0)
		return err_errno(e, errno, "join the container");
	return chdir("/") < 0 ? err_errno(e, errno, "enter the container's root") : 0;
}

static int prepare(const struct exec_opts *o, struct process *p, struct err *e)
{
	*p = (struct process){ .spec = o->spec,
			       .argv = o->argv,
			       .env = o->env ? o->env : o->spec->env,
			       .user = o->user ? o->user : o->spec->user,
			       .cwd = o->cwd ? o->cwd : o->spec->cwd,
			       .tty = o->tty,
			       .seccomp = o->privileged ? NULL : o->seccomp,
			       .caps = caps_all(),
			       .error_fd = o->error_fd };
	return o->privileged ? 0 : caps_from_spec(o->spec, &p->caps, e);
}

static int enter(const struct exec_opts *o, int target, struct process *p, struct err *e)
{
	int r = process_prepare(e);

	if (r == 0)
		r = prepare(o, p, e);
	if (r == 0)
		r = process_set_oom(o->spec, e);
	return r < 0 ? r : join(target, e);
}

static _Noreturn void go_between(const struct exec_opts *o, int target, int sock)
{
	struct answer a = { 0 };
	struct process p;
	int pidfd = -EBADF;
	struct clone_args args = { .flags = CLONE_PARENT | CLONE_PIDFD,
				   .pidfd = (uintptr_t)&pidfd };
	int cgroup = o->cgroup ? cgroup_clone_fd(o->cgroup) : -EBADF;
	long child;

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	if (enter(o, target, &p, &a.err) == 0) {
		child = syscall(SYS_clone3, &args, sizeof(args));
		if (child == 0)
			final(o, target, cgroup >= 0, &p);
		if (child < 0)
			err_errno(&a.err, errno, "clone into the container");
		a.pid = child > 0 ? (pid_t)child : 0;
	}
	(void)fd_send(sock, &a, sizeof(a), &pidfd, a.pid ? 1 : 0); /* the caller sees EOF */
	_exit(0);
}

/* ---- the caller -------------------------------------------------------------------------- */
static int receive(int sock, pid_t *pid, int *pidfd, struct err *e)
{
	struct answer a;
	size_t n = 1;
	ssize_t r = fd_recv(sock, &a, sizeof(a), pidfd, &n);

	if (r < 0)
		return err_errno(e, (int)-r, "exec");
	if (r != (ssize_t)sizeof(a))
		return err_set(e, EIO, "exec: the helper process died");
	if (!a.pid) {
		if (e)
			*e = a.err;
		return -(a.err.code ? a.err.code : EIO);
	}
	if (n != 1)
		return err_set(e, EMFILE, "exec: no descriptor for the new process");
	*pid = a.pid;
	return 0;
}

int container_exec(const struct exec_opts *o, pid_t *pid, int *pidfd, struct err *e)
{
	_cleanup_(fd_closep) int target = procref_open(&o->target, e), ours = -EBADF,
				 theirs = -EBADF;
	int sock[2], r;
	pid_t child;

	if (target < 0)
		return target;
	r = fd_socketpair(SOCK_SEQPACKET, sock, e);
	if (r < 0)
		return r;
	ours = sock[0];
	theirs = sock[1];
	child = fork();
	if (child < 0)
		return err_errno(e, errno, "fork");
	if (child == 0)
		go_between(o, target, theirs);
	theirs = fd_close(theirs);
	r = receive(ours, pid, pidfd, e);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}
