/* engine/container/process.h: the last stretch, shared by init and exec: from a process
 * inside the container's namespaces to the workload. */
#ifndef ENGINE_CONTAINER_PROCESS_H
#define ENGINE_CONTAINER_PROCESS_H

#include <stdint.h>

#include "base/err.h"
#include "engine/container/seccomp.h"
#include "engine/container/spec.h"

struct process {
	const struct container_spec *spec; /* ulimits, group_add, hostname, no_new_privileges */
	char *const *argv;
	char *const *env;
	const char *user, *cwd;
	bool tty;
	uint64_t caps;
	const struct seccomp_program *seccomp; /* NULL: none */
	int error_fd;
};

/* At the start of anything that is about to enter a container: no core dumps or ptrace of
 * us (CVE-2016-9962), default signals, fresh session and session keyring. */
int process_prepare(struct err *e);
/* Our OOM score and resource limits are the supervisor's; give the workload its own.  The
 * former needs the host's /proc. */
int process_set_oom(const struct container_spec *s, struct err *e);

/* Make @fd[0..2] the standard streams; the descriptors given are left open. */
int process_set_stdio(const int fd[3], struct err *e);
/* A new pty from the devpts whose ptmx is open as @ptmx: its slave becomes the controlling
 * terminal and the standard streams, its master is sent over @sock.  *slave stays open for
 * the caller (to bind it over /dev/console) or is NULL. */
int process_set_terminal(int ptmx, int sock, int *slave, struct err *e);

/* Become the workload: limits, directory, user, capabilities, filter, execve.  "/" must be the
 * container's root.  Never returns: on failure one struct err goes to error_fd and the
 * exit code is as in launch.h.  Closes all descriptors but 0, 1, 2. */
_Noreturn void process_run(const struct process *p);

/* Report @e, on stderr when @error_fd is negative, and exit with @code. */
_Noreturn void process_fail(int error_fd, const struct err *e, int code);

#endif
