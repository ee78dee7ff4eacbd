/* engine/container/exec.h: a further process in a running container
 * (exec, health checks, lifecycle hooks).
 *
 * container_exec() is called in the supervisor.  It forks a go-between that
 * joins the container's namespaces through a pidfd of its init and clones the
 * final process there with CLONE_PARENT, so the new process is a child of the
 * caller: wait for it with waitid(P_PIDFD) and get its real exit status.  The
 * go-between is reaped before container_exec() returns; the caller blocks for
 * about a millisecond.  A child's SIGCHLD arrives for both.
 *
 * The new process gets the same capabilities, filter, no_new_privs and limits
 * as the container's init, and joins its cgroup by itself.  An execve that
 * fails is reported on error_fd exactly as launch.h says, exit codes 125 to 127.
 */
#ifndef ENGINE_CONTAINER_EXEC_H
#define ENGINE_CONTAINER_EXEC_H

#include <sys/types.h>

#include "base/err.h"
#include "engine/container/cgroup.h"
#include "engine/container/procref.h"
#include "engine/container/seccomp.h"
#include "engine/container/spec.h"

struct exec_opts {
	struct procref target; /* the container's init */
	const struct container_spec *spec;
	char *const *argv;
	char *const *env; /* complete; NULL: spec->env */
	const char *user; /* NULL: spec->user */
	const char *cwd;  /* NULL: spec->cwd; must exist */
	bool tty;         /* stdio[] unused; the pty's master comes over console_sock */
	bool privileged;  /* all capabilities, no filter */
	int stdio[3];
	int console_sock;
	struct cgroup *cgroup; /* NULL: stay in the caller's */
	const struct seccomp_program *seccomp;
	int error_fd; /* writing end; the caller closes its copy after the call.
		       * -EBADF: the reason goes to the process's stderr, as text */
};

#define EXEC_OPTS_INIT                                                                             \
	((struct exec_opts){ .stdio = { 0, 1, 2 }, .console_sock = -EBADF, .error_fd = -EBADF })

/* *pid (in the caller's pid namespace) and *pidfd (caller closes) on success.
 * -ESRCH when the container is gone, -EBUSY when it is paused. */
int container_exec(const struct exec_opts *o, pid_t *pid, int *pidfd, struct err *e);

/* stdin for a process that is to have none: a pipe at its end.  Not /dev/null, whose
 * mode and owner root in the container could change on the host through it.  The
 * caller closes it. */
int exec_no_stdin(struct err *e);

#endif
