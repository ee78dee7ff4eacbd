/* engine/container/tiny_main.c: comp-init, pid 1 of containers with `init: true`.
 *
 * What stays of tiny_init.c, which see: started when the workload already runs as its
 * child, with every signal blocked and CAP_KILL alone.  Signals are taken one by one
 * with sigwaitinfo(2), so there are no handlers and no races.
 *
 *	comp-init PID
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void never_called(int sig)
{
}

/* A signal that is waited for counts as neither caught nor blocked in /proc/PID/status, and a
 * pid 1 that does neither is taken for one that cannot react: say that we do. */
static void show_as_caught(void)
{
	struct sigaction noted = { .sa_handler = never_called };

	for (int sig = 1; sig < SIGRTMIN; sig++)
		(void)sigaction(sig, &noted, NULL); /* SIGKILL and SIGSTOP refuse, rightly */
}

/* Exit with the main child's code once it is gone; whoever else is left is killed by the
 * kernel when pid 1 exits. */
static void reap(pid_t child)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child)
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	pid_t child = argc == 2 ? atoi(argv[1]) : 0;
	sigset_t all;

	if (child <= 1)
		return 2;
	show_as_caught();
	sigfillset(&all);
	for (;;) {
		siginfo_t info;
		int sig = sigwaitinfo(&all, &info);

		if (sig == SIGCHLD)
			reap(child);
		else if (sig > 0 && sig != SIGTTIN && sig != SIGTTOU)
			(void)kill(child, sig); /* already gone: reap() will see */
	}
}
