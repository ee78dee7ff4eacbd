/* base/spawn.h: start a helper program and hand it descriptors.
 *
 * Child: signal mask and dispositions reset, every descriptor closed but 0, 1, 2
 * and the ones passed, which appear as 3, 4, … in order.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct spawn_opts {
	int exe_fd;        /* program by descriptor (execveat(2)); used when path is NULL */
	const char *path;  /* program by path */
	char *const *argv; /* NULL-terminated */
	char *const *env;  /* NULL: the caller's environment */
	int stdin_fd, stdout_fd, stderr_fd; /* SPAWN_INHERIT, SPAWN_NULL or a descriptor */
	const int *pass;                    /* become 3, 4, … */
	size_t n_pass;
	bool new_session;     /* setsid(2) */
	bool die_with_parent; /* PR_SET_PDEATHSIG(SIGKILL) */
};

#define SPAWN_INHERIT (-1)
#define SPAWN_NULL    (-2)
#define SPAWN_OPTS_INIT                                                                            \
	((struct spawn_opts){ .exe_fd = -EBADF,                                                    \
			      .stdin_fd = SPAWN_NULL,                                              \
			      .stdout_fd = SPAWN_INHERIT,                                          \
			      .stderr_fd = SPAWN_INHERIT })

/* Start it.  *pid and *pidfd (caller closes) are set on success.  An execve
 * that fails in the child is reported here, with its errno. */
int spawn_start(const struct spawn_opts *o, pid_t *pid, int *pidfd, struct err *e);

/* Wait for the child of spawn_start(); blocks.  Returns its exit code, or
 * 128 + signal number, or -errno. */
int spawn_wait(pid_t pid);

/* Start, feed @input to stdin, collect stdout and stderr together (at most
 * @max_output bytes, more is read and dropped), wait.  Returns the exit code as spawn_wait().
 * Blocks; @input must be small enough for a pipe buffer or be read by the child
 * before it writes much. */
int spawn_run(const struct spawn_opts *o, const void *input, size_t n_input, size_t max_output,
	      struct buf *output, struct err *e);

/* A helper program installed beside us: "<dir of /proc/self/exe>/NAME" in a
 * build tree, "<prefix>/libexec/comp/NAME" when installed.  COMP_LIBEXEC
 * overrides (the supervisor, which runs from a memfd, is started with it set).
 * Caller frees. */
char *spawn_helper_path(const char *name);

/* The first program @name in $PATH; NULL: not there.  Caller frees. */
char *spawn_find(const char *name);

/* fork(2), for what is no program of its own, with a pipe from the child: 1 in the parent,
 * where *fd is the end to read, 0 in the child, where it is the end to write.  What stdio
 * has buffered is written first, or the child could write it again. */
int spawn_fork(pid_t *pid, int *fd, struct err *e);

/* Turn a waitpid(2) status into 0..255 / 128+signal. */
int spawn_exit_code(int status);

#endif
