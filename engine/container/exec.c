/* engine/container/exec.c: see exec.h.
 *
 *	caller ── fork ──> go-between ── setns(pidfd) ── clone3(CLONE_PARENT) ──> new process
 *	   ^                    └─ pid and pidfd over a socket, exits                  │
 *	   └───────────────── is its parent, by CLONE_PARENT ──────────────────────────┘
 *
 * setns(2) into a pid namespace counts for children only, hence two processes.  The new
 * process can be seen from inside the container, and with CAP_SYS_PTRACE there its
 * descriptors can be opened (CVE-2016-9962).  So all that touches the host is
 * done by the go-between, which nobody in there can see, and it closes everything but the streams
 * before it clones.
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

static int set_terminal(const struct exec_opts *o, struct err *e)
{
	_cleanup_(fd_closep) int ptmx = open_ptmx(e);

	return ptmx < 0 ? ptmx : process_set_terminal(ptmx, o->console_sock, NULL, e);
}

static _Noreturn void final(const struct exec_opts *o, struct process *p)
{
	struct err e = ERR_INIT;

	(void)setsid(); /* the go-between's own session does not reach into the pid namespace */
	if (o->tty && set_terminal(o, &e) < 0)
		process_fail(o->error_fd, &e, EXIT_SETUP);
	process_run(p);
}

/* ---- the go-between ------------------------------------------------------------------- */
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

/* On v2 we were born in the cgroup; on v1 we go there now. */
static int join(const struct exec_opts *o, int target, struct err *e)
{
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
		    CLONE_NEWCGROUP;
	int r = o->cgroup && cgroup_clone_fd(o->cgroup) < 0 ? cgroup_enter(o->cgroup, e) : 0;

	if (r < 0)
		return r;
	if (setns(target, flags) < 0)
		return err_errno(e, errno, "join the container");
	return chdir("/") < 0 ? err_errno(e, errno, "enter the container's root") : 0;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Close all but @keep (which may hold negative numbers and repeats). */
static void close_except(int *keep, size_t n)
{
	unsigned int next = 0;

	qsort(keep, n, sizeof(*keep), compare);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)next)
			continue;
		if (keep[i] > (int)next)
			(void)syscall(SYS_close_range, next, (unsigned int)keep[i] - 1, 0);
		next = (unsigned int)keep[i] + 1;
	}
	(void)syscall(SYS_close_range, next, ~0U, 0);
}

/* Our own streams are the supervisor's log; they stop here. */
static int set_streams(const struct exec_opts *o, struct err *e)
{
	_cleanup_(fd_closep) int null = -EBADF;

	if (!o->tty)
		return process_set_stdio(o->stdio, e);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_errno(e, errno, "open /dev/null");
	return process_set_stdio((const int[]){ null, null, null }, e);
}

static int enter(const struct exec_opts *o, int target, int sock, struct process *p, struct err *e)
{
	int keep[] = { 0, 1, 2, o->console_sock, sock, o->error_fd };
	int r = process_prepare(e);

	if (r == 0)
		r = set_streams(o, e);
	if (r == 0)
		r = prepare(o, p, e);
	if (r == 0)
		r = process_set_oom(o->spec, e);
	if (r == 0)
		r = join(o, target, e);
	close_except(keep, sizeof(keep) / sizeof(*keep));
	return r;
}

static long clone_final(int *pidfd)
{
	struct clone_args args = { .flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uintptr_t)pidfd };

	return syscall(SYS_clone3, &args, sizeof(args));
}

static _Noreturn void go_between(const struct exec_opts *o, int target, int sock)
{
	int pidfd = -EBADF;
	struct answer a = { 0 };
	struct process p;
	long child;

	if (enter(o, target, sock, &p, &a.err) == 0) {
		child = clone_final(&pidfd);
		if (child == 0) {
			fd_close(sock);
			final(o, &p);
		}
		if (child < 0)
			err_errno(&a.err, errno, "clone into the container");
		a.pid = child > 0 ? (pid_t)child : 0;
	}
	(void)fd_send(sock, &a, sizeof(a), &pidfd, a.pid ? 1 : 0); /* the caller sees EOF */
	_exit(0);
}

/* ---- the caller -------------------------------------------------------------------------- */
/* fork(2), on v2 straight into the cgroup: a descriptor of its directory must not come
 * along to where the container can see it, and moving a process afterwards waits for
 * the kernel's RCU. */
static pid_t fork_into(const struct cgroup *cgroup)
{
	int dir = cgroup ? cgroup_clone_fd(cgroup) : -EBADF;
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (dir >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)dir;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

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
	/* In there we would stand still with it, and the caller would wait for us. */
	if (o->cgroup && cgroup_is_frozen(o->cgroup))
		return err_set(e, EBUSY, "container %s is paused, unpause it before exec",
			       o->spec->name ? o->spec->name : "");
	r = fd_socketpair(SOCK_SEQPACKET, sock, e);
	if (r < 0)
		return r;
	ours = sock[0];
	theirs = sock[1];
	child = fork_into(o->cgroup);
	if (child < 0)
		return err_errno(e, errno, "fork into the container's cgroup");
	if (child == 0)
		go_between(o, target, theirs);
	theirs = fd_close(theirs);
	r = receive(ours, pid, pidfd, e);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

int exec_no_stdin(struct err *e)
{
	int p[2], r = fd_pipe(p, e);

	if (r < 0)
		return r;
	fd_close(p[1]);
	return p[0];
}
