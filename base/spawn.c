/* base/spawn.c: fork, rearrange descriptors, exec; the exec error comes back
 * over a close-on-exec pipe, so the caller knows before going on. */
#include "base/spawn.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"

extern char **environ;

int spawn_exit_code(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 128 + (WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int spawn_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return spawn_exit_code(status);
}

static int stdio_fd(int fd, int number)
{
	if (fd == SPAWN_INHERIT)
		return number;
	return fd == SPAWN_NULL ? open("/dev/null", O_RDWR | O_CLOEXEC) : fd;
}

/* Only async-signal-safe calls from here to execve: the parent may one day have threads. */
static _Noreturn void child(const struct spawn_opts *o, int report)
{
	int base = 3 + (int)o->n_pass, stdio[3], high[FD_PASS_MAX + 4], code;
	const int from[3] = { o->stdin_fd, o->stdout_fd, o->stderr_fd };
	sigset_t none;

	if (o->die_with_parent)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* valid signal: cannot fail */
	if (o->new_session)
		(void)setsid(); /* fails only for a group leader, which a fresh child is not */
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* KILL, STOP and libc's own say no, rightly */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);

	/* First out of the way of the final numbers, then into place. */
	for (int i = 0; i < 3; i++) {
		stdio[i] = fcntl(stdio_fd(from[i], i), F_DUPFD_CLOEXEC, base);
		if (stdio[i] < 0)
			goto fail;
	}
	for (size_t i = 0; i < o->n_pass; i++) {
		high[i] = fcntl(o->pass[i], F_DUPFD_CLOEXEC, base);
		if (high[i] < 0)
			goto fail;
	}
	high[o->n_pass] = fcntl(report, F_DUPFD_CLOEXEC, base);
	if (high[o->n_pass] < 0)
		goto fail;
	report = high[o->n_pass];
	high[o->n_pass + 1] = o->path ? -EBADF : fcntl(o->exe_fd, F_DUPFD_CLOEXEC, base);
	for (int i = 0; i < 3; i++)
		if (dup2(stdio[i], i) < 0)
			goto fail;
	for (size_t i = 0; i < o->n_pass; i++)
		if (dup2(high[i], 3 + (int)i) < 0)
			goto fail;
	/* All the others are O_CLOEXEC by rule; this catches what libraries opened. */
	(void)syscall(SYS_close_range, base, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);

	if (o->path)
		execve(o->path, o->argv, o->env ? o->env : environ);
	else
		syscall(SYS_execveat, high[o->n_pass + 1], "", o->argv, o->env ? o->env : environ,
			AT_EMPTY_PATH);
fail:
	code = errno;
	(void)!write(report, &code, sizeof(code)); /* the parent is gone if this fails */
	_exit(127);
}

int spawn_start(const struct spawn_opts *o, pid_t *pid, int *pidfd, struct err *e)
{
	_cleanup_(fd_closep) int rd = -EBADF, wr = -EBADF;
	int p[2], code = 0, r;
	ssize_t n;

	if (o->n_pass > FD_PASS_MAX)
		return err_set(e, EINVAL, "too many descriptors to pass");
	r = fd_pipe(p, e);
	if (r < 0)
		return r;
	rd = p[0];
	wr = p[1];
	*pid = fork();
	if (*pid < 0)
		return err_errno(e, errno, "fork");
	if (*pid == 0)
		child(o, wr);
	wr = fd_close(wr);
	do {
		n = read(rd, &code, sizeof(code));
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(code)) {
		(void)spawn_wait(*pid);
		return err_errno(e, code, "run %s", o->path ? o->path : o->argv[0]);
	}
	*pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
	if (*pidfd < 0)
		return err_errno(e, errno, "pidfd_open %d", *pid);
	return 0;
}

int spawn_run(const struct spawn_opts *opts, const void *input, size_t n_input, size_t max_output,
	      struct buf *output, struct err *e)
{
	_cleanup_(fd_closep) int in_rd = -EBADF, in_wr = -EBADF, out_rd = -EBADF, out_wr = -EBADF;
	_cleanup_(fd_closep) int pidfd = -EBADF;
	struct spawn_opts o = *opts;
	int p[2], r;
	pid_t pid;

	r = fd_pipe(p, e);
	if (r < 0)
		return r;
	in_rd = p[0];
	in_wr = p[1];
	r = fd_pipe(p, e);
	if (r < 0)
		return r;
	out_rd = p[0];
	out_wr = p[1];
	o.stdin_fd = in_rd;
	o.stdout_fd = o.stderr_fd = out_wr;
	r = spawn_start(&o, &pid, &pidfd, e);
	if (r < 0)
		return r;
	in_rd = fd_close(in_rd);
	out_wr = fd_close(out_wr);
	/* EPIPE: it did not want its input; its output and exit code tell why.
	 * SIGPIPE is ignored by every comp process (main). */
	(void)fd_write_all(in_wr, input, n_input);
	in_wr = fd_close(in_wr);
	for (;;) {
		char chunk[4096];
		ssize_t n = read(out_rd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (output && output->len < max_output)
			buf_add(output, chunk, MIN((size_t)n, max_output - output->len));
	}
	r = spawn_wait(pid);
	return r < 0 ? err_errno(e, -r, "wait for %s", o.argv[0]) : r;
}

int spawn_fork(pid_t *pid, int *fd, struct err *e)
{
	int p[2], r = fd_pipe(p, e);

	if (r < 0)
		return r;
	fflush(NULL);
	*pid = fork();
	if (*pid < 0) {
		r = err_errno(e, errno, "fork");
		fd_close(p[0]);
		fd_close(p[1]);
		return r;
	}
	fd_close(p[*pid ? 1 : 0]);
	*fd = p[*pid ? 0 : 1];
	return *pid > 0;
}

char *spawn_find(const char *name)
{
	const char *path = getenv("PATH");
	_cleanup_(strv_freep) char **dirs = strv_split(path ? path : "/usr/bin:/bin", ':', true);

	STRV_FOREACH (d, dirs) {
		char *full = path_join(*d, name);

		if (access(full, X_OK) == 0)
			return full;
		free(full);
	}
	return NULL;
}

char *spawn_helper_path(const char *name)
{
	const char *fixed = getenv("COMP_LIBEXEC");
	_cleanup_(free_p) char *dir = NULL, *beside = NULL;
	char exe[PATH_MAX];
	ssize_t n;

	if (!is_empty(fixed))
		return path_join(fixed, name);
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return xstrdup(name);
	exe[n] = '\0';
	dir = path_dir(exe);
	beside = path_join(dir, name);
	if (access(beside, X_OK) == 0)
		return TAKE_PTR(beside);
	return xasprintf("%s/../libexec/comp/%s", dir, name);
}
