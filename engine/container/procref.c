/* engine/container/procref.c: pin first, compare after.  Only in that order does a
 * pid that is recycled between the two steps show. */
#include "engine/container/procref.h"

#include <assert.h>
#include <signal.h>
#include <sys/pidfd.h>

#include "base/cleanup.h"
#include "base/proc.h"

int procref_of(pid_t pid, struct procref *p, struct err *e)
{
	int r;

	assert(pid > 0);
	p->pid = pid;
	r = proc_start_ticks(pid, &p->start_ticks, e);
	return r < 0 ? err_wrap(e, r, "identify process %d", pid) : 0;
}

int procref_open(const struct procref *p, struct err *e)
{
	_cleanup_(fd_closep) int pidfd = -EBADF;
	uint64_t ticks;
	int r;

	assert(p->pid > 0); /* 0 and -1 mean "many processes" to kill(2) */
	pidfd = pidfd_open(p->pid, 0);
	if (pidfd < 0)
		return err_errno(e, errno, "pidfd_open %d", p->pid);
	r = proc_start_ticks(p->pid, &ticks, e);
	if (r < 0)
		return err_wrap(e, r, "identify process %d", p->pid);
	if (ticks != p->start_ticks)
		return err_set(e, ESRCH, "pid %d now belongs to another process", p->pid);
	return TAKE_FD(pidfd);
}

int procref_signal(const struct procref *p, int sig, struct err *e)
{
	_cleanup_(fd_closep) int pidfd = procref_open(p, e);

	if (pidfd < 0)
		return pidfd;
	if (pidfd_send_signal(pidfd, sig, NULL, 0) < 0)
		return err_errno(e, errno, "send signal %d to pid %d", sig, p->pid);
	return 0;
}
