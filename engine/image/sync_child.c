/* engine/image/sync_child.c: syncfs(2) takes as long as the disk does, and there is no
 * way to ask for it and be told later (sync_file_range(2) knows nothing of metadata).
 * So a child calls it, and its pidfd tells when it came back.
 */
#include "engine/image/sync_child.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

int sync_child_start(struct sync_child *c, int dirfd, struct err *e)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_errno(e, errno, "fork");
	if (pid == 0)
		_exit(syncfs(dirfd) < 0 ? MIN(errno, 255) : 0);
	c->pid = pid;
	c->pidfd = pidfd_open(pid, 0);
	if (c->pidfd < 0) {
		int r = err_errno(e, errno, "pidfd_open");

		sync_child_done(c);
		return r;
	}
	return 0;
}

int sync_child_step(struct sync_child *c, int dirfd, struct err *e)
{
	int status;
	pid_t pid = waitpid(c->pid, &status, WNOHANG);

	if (pid == 0)
		return 0;
	c->pid = 0;
	c->pidfd = fd_close(c->pidfd);
	/* ^C goes to it as well. */
	if (pid < 0 || !WIFEXITED(status))
		return syncfs(dirfd) < 0 ? err_errno(e, errno, "sync the image store") : 1;
	if (WEXITSTATUS(status))
		return err_errno(e, WEXITSTATUS(status), "sync the image store");
	return 1;
}

void sync_child_done(struct sync_child *c)
{
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL); /* still ours: nobody waited for it */
		(void)retry_eintr(waitpid(c->pid, NULL, 0));
	}
	c->pid = 0;
	c->pidfd = fd_close(c->pidfd);
}
