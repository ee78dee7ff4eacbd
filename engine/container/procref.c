/* engine/container/procref.c: pin first, compare after.  Only in that order does a
 * pid that is recycled between the two steps show. */
#include "engine/container/procref.h"

#include <assert.h>
#include <signal.h>
#include <sys/pidfd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/strv.h"
#include "engine/container/spec.h"

#define CGROUP_FILE_MAX 65536

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

static const char *id_in(const char *component)
{
	const char *dot = strrchr(component, '.');
	bool is_id = dot && strlen(dot + 1) == CONTAINER_ID_LEN &&
		     strspn(dot + 1, "0123456789abcdef") == CONTAINER_ID_LEN;

	return is_id ? dot + 1 : NULL;
}

int procref_cgroup_of(const char *text, const char *id)
{
	/* Lines of "number:controllers:/a/path"; a number or a list is no container's name. */
	_cleanup_(strv_freep) char **lines = strv_split(text, '\n', true);
	bool other = false;

	STRV_FOREACH (line, lines) {
		_cleanup_(strv_freep) char **components = strv_split(*line, '/', true);

		STRV_FOREACH (component, components) {
			const char *found = id_in(*component);

			if (found && streq(found, id))
				return 1;
			other |= found != NULL;
		}
	}
	return other ? -EXDEV : 0;
}

int procref_in_container(const struct procref *p, const char *id, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", p->pid);
	r = file_read(AT_FDCWD, path, CGROUP_FILE_MAX, &b, e);
	if (r == -ENOENT || r == -ESRCH)
		return err_set(e, ESRCH, "no process %d", p->pid);
	if (r == 0)
		r = procref_cgroup_of(buf_str(&b), id);
	return r == -EXDEV ? err_set(e, EXDEV, "process %d is another container's", p->pid) : r;
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
