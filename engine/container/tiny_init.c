/* engine/container/tiny_init.c: pid 1 for workloads that were not written to be it.
 *
 * No program is needed in the image.  Pid 1, having set the container up, starts
 * the workload as its child, which borrows its memory until execve (vfork(2): nothing
 * is copied for a process about to be replaced), and then becomes comp-init
 * (tiny_main.c), which is a few kilobytes where this is the whole supervisor.  It
 * keeps CAP_KILL alone, of all it had, to signal a child that changed its
 * user.  All signals are blocked from before there is a child.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "engine/container/caps.h"
#include "engine/container/init.h"
#include "engine/container/process.h"

static _Noreturn void become_init(const struct launch *l, pid_t child)
{
	const uint64_t kill_only = UINT64_C(1) << CAP_KILL;
	struct err e = ERR_INIT;
	char pid[16], name[] = "comp-init", *argv[] = { name, pid, NULL }, *env[] = { NULL };

	snprintf(pid, sizeof(pid), "%d", child);
	(void)prctl(PR_SET_PDEATHSIG, 0);
	/* As root's, the program gets what is in the bounding set. */
	if (caps_bound(kill_only, &e) < 0 || caps_set(kill_only, &e) < 0)
		process_fail(l->error_fd, &e, EXIT_SETUP);
	(void)syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (chdir("/") == 0)
		(void)execveat(l->tiny_fd, "", argv, env, AT_EMPTY_PATH);
	err_errno(&e, errno, "start comp-init");
	process_fail(l->error_fd, &e, EXIT_SETUP);
}

/* In the child; does not return, as after vfork(2) it must not. */
static _Noreturn void run_workload(const struct process *p)
{
	sigset_t none;

	sigemptyset(&none);
	(void)prctl(PR_SET_PDEATHSIG, 0);
	(void)setpgid(0, 0);
	if (p->tty)
		(void)tcsetpgrp(0, getpgrp()); /* SIGTTOU is still blocked here */
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	process_run(p);
}

_Noreturn void tiny_init(const struct launch *l, const struct process *p)
{
	struct err e = ERR_INIT;
	sigset_t all;
	pid_t child;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	child = vfork();
	if (child == 0)
		run_workload(p);
	if (child < 0) {
		err_errno(&e, errno, "fork");
		process_fail(l->error_fd, &e, EXIT_SETUP);
	}
	become_init(l, child);
}
