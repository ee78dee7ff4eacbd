/* engine/container/tiny_init.c: pid 1 for workloads that were not written to be it.
 *
 * No program is needed in the image: the process that set the container up forks,
 * and the parent stays.  It keeps CAP_KILL alone, of all it had, to signal a child that
 * changed its user.  All signals are blocked and taken one by one with
 * sigwaitinfo(2), so there are no handlers and no races.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/spawn.h"
#include "engine/container/caps.h"
#include "engine/container/init.h"
#include "engine/container/process.h"

/* Exit with the main child's code once it is gone; whoever else is left is killed by the
 * kernel when pid 1 exits. */
static void reap(pid_t child)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child)
			_exit(spawn_exit_code(status));
}

static _Noreturn void serve(pid_t child, const sigset_t *all)
{
	for (;;) {
		siginfo_t info;
		int sig = sigwaitinfo(all, &info);

		if (sig == SIGCHLD)
			reap(child);
		else if (sig > 0 && sig != SIGTTIN && sig != SIGTTOU)
			(void)kill(child, sig); /* already gone: reap() will see */
	}
}

static void reduce(int error_fd)
{
	const uint64_t kill_only = UINT64_C(1) << CAP_KILL;
	struct err e = ERR_INIT;

	(void)prctl(PR_SET_NAME, "comp-init");
	(void)prctl(PR_SET_PDEATHSIG, 0);
	if (caps_bound(kill_only, &e) < 0 || caps_set(kill_only, &e) < 0)
		process_fail(error_fd, &e, EXIT_SETUP);
	(void)syscall(SYS_close_range, 3, ~0U, 0);
	if (chdir("/") < 0)
		_exit(EXIT_SETUP);
}

void tiny_init(int error_fd, const struct container_spec *s)
{
	struct err e = ERR_INIT;
	sigset_t all, none;
	pid_t child;

	sigfillset(&all);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	child = fork();
	if (child < 0) {
		err_errno(&e, errno, "fork");
		process_fail(error_fd, &e, EXIT_SETUP);
	}
	if (child > 0) {
		reduce(error_fd);
		serve(child, &all);
	}
	(void)prctl(PR_SET_PDEATHSIG, 0);
	(void)setpgid(0, 0);
	if (s->tty)
		(void)tcsetpgrp(0, getpgrp()); /* SIGTTOU is still blocked here */
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}
