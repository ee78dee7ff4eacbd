/* engine/supervise/monitor.c: see monitor.h.
 *
 * The forked child is still the supervisor's image until its exec, so it does
 * as little as possible: start init, write down who runs, send one message
 * (struct report, with init's pidfd beside it), put the descriptors at
 * their numbers and exec.  Whatever fails before the message goes into the
 * message; a failed exec after it goes into init's error pipe, and init dies with
 * us (PR_SET_PDEATHSIG in launch.h).
 */
#include "engine/supervise/monitor.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strv.h"

#define MONITOR_FILE_MAX 4096

/* The descriptors of one start: what the child needs and what the caller keeps. */
struct ends {
	int out[2], err[2], in[2], console[2], error[2], sock[2]; /* [0] reads */
};
#define ENDS_INIT                                                                                  \
	((struct ends){ { -EBADF, -EBADF },                                                        \
			{ -EBADF, -EBADF },                                                        \
			{ -EBADF, -EBADF },                                                        \
			{ -EBADF, -EBADF },                                                        \
			{ -EBADF, -EBADF },                                                        \
			{ -EBADF, -EBADF } })

/* What the child tells; with init's pidfd as SCM_RIGHTS when err.code is 0. */
struct report {
	pid_t pid;
	uint64_t start_ticks, monitor_ticks;
	struct err err;
};

static void ends_done(struct ends *s)
{
	int *all = (int *)s;

	for (size_t i = 0; i < sizeof(*s) / sizeof(int); i++)
		all[i] = fd_close(all[i]);
}

static int ends_open(struct ends *s, const struct container_spec *spec, struct err *e)
{
	int r = fd_pipe(s->error, e);

	if (r == 0)
		r = fd_socketpair(SOCK_SEQPACKET, s->sock, e);
	if (r == 0 && spec->tty)
		r = fd_socketpair(SOCK_STREAM, s->console, e);
	if (r == 0 && !spec->tty)
		r = fd_pipe(s->out, e);
	if (r == 0 && !spec->tty)
		r = fd_pipe(s->err, e);
	if (r == 0 && !spec->tty && spec->stdin_open)
		r = fd_pipe(s->in, e);
	return r;
}

/* ---- in the child ----------------------------------------------------------------- */
static void reset_signals(void)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL); /* SIGKILL, SIGSTOP and glibc's own refuse */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int launch(const struct monitor_opts *o, const struct ends *s, int null_fd, pid_t *pid,
		  int *pidfd, struct err *e)
{
	_cleanup_(fd_closep) int own_pidns = -EBADF;
	struct launch l = *o->launch;
	int r;

	l.stdio[0] = s->in[0] >= 0 ? s->in[0] : null_fd;
	l.stdio[1] = s->out[1] >= 0 ? s->out[1] : null_fd;
	l.stdio[2] = s->err[1] >= 0 ? s->err[1] : null_fd;
	l.console_sock = s->console[1];
	l.error_fd = s->error[1];
	if (l.pidns_fd >= 0) {
		own_pidns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
		if (own_pidns < 0)
			return err_errno(e, errno, "open our pid namespace");
	}
	r = container_launch(&l, pid, pidfd, e);
	/* A supervisor that this monitor starts one day must not be born in there. */
	if (r == 0 && own_pidns >= 0 && setns(own_pidns, CLONE_NEWPID) < 0)
		r = err_errno(e, errno, "return to our pid namespace");
	return r;
}

static char *record_path(const char *id)
{
	return xasprintf(MONITOR_RECORDS "/%s", id);
}

/* What tells a pipe from others; 0: it is none. */
static uint64_t inode_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static int write_record(const struct monitor_opts *o, const struct ends *s,
			const struct report *rep, uint64_t started_at, struct err *e)
{
	_cleanup_(free_p) char *path = record_path(o->launch->spec->id);
	_cleanup_(json_unrefp) json *j = json_new_object();
	char boot[BOOT_ID_MAX];
	const char *text;
	int r = proc_boot_id(boot, e);

	if (r < 0)
		return r;
	json_put_int(j, "version", MONITOR_VERSION);
	json_put_str(j, "boot_id", boot);
	json_put_int(j, "pid", rep->pid);
	json_put_u64(j, "start_ticks", rep->start_ticks);
	json_put_int(j, "monitor_pid", getpid());
	json_put_u64(j, "monitor_ticks", rep->monitor_ticks);
	json_put_u64(j, "started_at", started_at);
	json_put_u64(j, "stdout", inode_of(s->out[0]));
	json_put_u64(j, "stderr", inode_of(s->err[0]));
	text = json_text(j);
	return file_write_atomic(o->run_dir_fd, path, text, strlen(text), 0600, false, e);
}

/* Put @fds[i] at number 3 + i, /dev/null where it is negative, and mark all
 * beyond to be closed by exec.  First everything moves out of the way. */
static int arrange(int *fds, size_t n, int null_fd, int *exe_fd)
{
	for (size_t i = 0; i < n; i++) {
		fds[i] = fcntl(fds[i] >= 0 ? fds[i] : null_fd, F_DUPFD_CLOEXEC, MONITOR_FD_END);
		if (fds[i] < 0)
			return -errno;
	}
	*exe_fd = fcntl(*exe_fd, F_DUPFD_CLOEXEC, MONITOR_FD_END);
	null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, MONITOR_FD_END);
	if (*exe_fd < 0 || null_fd < 0)
		return -errno;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup2(null_fd, fd) < 0)
			return -errno;
	for (size_t i = 0; i < n; i++)
		if (dup2(fds[i], STDERR_FILENO + 1 + (int)i) < 0)
			return -errno;
	if (close_range(MONITOR_FD_END, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static char **monitor_argv(const struct monitor_opts *o, uint64_t started_at, uint64_t epoch,
			   pid_t supervisor)
{
	const struct container_spec *spec = o->launch->spec;
	char *const builtin[] = { "comp", "supervise", "--project", spec->project, NULL };
	char **v = NULL;

	strv_add(&v, "comp-monitor");
	strv_add(&v, spec->name);
	strv_addf(&v, "id=%s", spec->id);
	strv_addf(&v, "started=%llu", (unsigned long long)started_at);
	strv_addf(&v, "exit-slot=%u", o->exit_slot);
	strv_addf(&v, "epoch=%llu", (unsigned long long)epoch);
	strv_addf(&v, "max-size=%llu", (unsigned long long)spec->log.max_size);
	strv_addf(&v, "max-files=%llu",
		  (unsigned long long)(spec->log.max_file > 0 ? spec->log.max_file : 0));
	strv_addf(&v, "supervisor=%d", supervisor);
	if (streq_null(spec->log.driver, "none"))
		strv_add(&v, "log=none");
	if (o->supervisor_exe_fd >= 0) {
		strv_add(&v, "--");
		strv_extend(&v, o->supervisor_argv ? o->supervisor_argv : builtin);
	}
	return v;
}

static int prepare(const struct monitor_opts *o, const struct ends *s, uint64_t started_at,
		   struct report *rep, int *pidfd, int null_fd, struct err *e)
{
	int r = proc_start_ticks(getpid(), &rep->monitor_ticks, e);

	if (r == 0)
		r = launch(o, s, null_fd, &rep->pid, pidfd, e);
	if (r == 0)
		r = proc_start_ticks(rep->pid, &rep->start_ticks, e);
	if (r == 0)
		r = write_record(o, s, rep, started_at, e);
	return r;
}

static _Noreturn void exec_monitor(const struct monitor_opts *o, const struct ends *s, char **argv,
				   int pidfd, int supervisor_pidfd, int null_fd)
{
	struct err e = ERR_INIT;
	char *const *env = o->supervisor_env ? o->supervisor_env : environ;
	int exe = o->monitor_exe_fd, error = fcntl(s->error[1], F_DUPFD_CLOEXEC, MONITOR_FD_END);
	int fds[] = { s->out[0],
		      s->err[0],
		      s->in[1],
		      s->console[0],
		      pidfd,
		      supervisor_pidfd,
		      o->supervisor_exe_fd,
		      o->exits_fd,
		      o->dir_fd,
		      o->run_dir_fd };
	int r;

	_Static_assert(ARRAY_SIZE(fds) == MONITOR_FD_END - 3, "enum monitor_fd in its order");
	/* Only now: init must not inherit it.  Not allowed without CAP_SYS_RESOURCE. */
	(void)file_poke(AT_FDCWD, "/proc/self/oom_score_adj", "-500", NULL);
	r = arrange(fds, ARRAY_SIZE(fds), null_fd, &exe);
	(void)!chdir("/"); /* so that we pin no mount */
	if (r == 0) {
		(void)execveat(exe, "", argv, env, AT_EMPTY_PATH);
		r = -errno;
	}
	err_errno(&e, -r, "start comp-monitor");
	(void)fd_write_all(error, &e, sizeof(e)); /* the supervisor may be gone */
	_exit(EXIT_SETUP);
}

static _Noreturn void child(const struct monitor_opts *o, const struct ends *s, uint64_t started_at,
			    char **argv, int supervisor_pidfd)
{
	struct report rep = { 0 };
	int pidfd = -EBADF, null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	reset_signals();
	(void)setsid(); /* cannot fail: a forked child leads no process group */
	if (null_fd < 0)
		r = err_errno(&rep.err, errno, "open /dev/null");
	else
		r = prepare(o, s, started_at, &rep, &pidfd, null_fd, &rep.err);
	if (r < 0) {
		(void)fd_send(s->sock[1], &rep, sizeof(rep), NULL, 0); /* nobody left to tell */
		_exit(EXIT_SETUP);
	}
	/* A supervisor that died meanwhile leaves that record to the next. */
	(void)fd_send(s->sock[1], &rep, sizeof(rep), &pidfd, 1);
	exec_monitor(o, s, argv, pidfd, supervisor_pidfd, null_fd);
}

/* ---- in the supervisor --------------------------------------------------------------- */
/* One per project and boot, so that the order keys of its containers compare. */
int monitor_order_epoch(int run_dir_fd, uint64_t *epoch, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char text[24];
	int n, r = file_read(run_dir_fd, MONITOR_EPOCH_NAME, sizeof(text), &b, NULL);

	if (r == 0 && parse_u64(buf_str(&b), epoch))
		return 0;
	*epoch = now_real_ns() - now_mono_ns();
	n = snprintf(text, sizeof(text), "%llu", (unsigned long long)*epoch);
	return file_write_atomic(run_dir_fd, MONITOR_EPOCH_NAME, text, (size_t)n, 0600, false, e);
}

static void keep_ends(struct monitor_started *out, struct ends *s)
{
	out->sock = TAKE_FD(s->sock[0]);
	out->error_fd = TAKE_FD(s->error[0]);
	(void)fd_set_nonblock(out->error_fd, true);
	if (s->in[1] >= 0)
		out->stdin_fd = TAKE_FD(s->in[1]);
}

static void kill_and_reap(struct monitor_started *s)
{
	siginfo_t info;

	if (s->monitor_pidfd >= 0)
		(void)pidfd_send_signal(s->monitor_pidfd, SIGKILL, NULL, 0); /* may be dead */
	else
		(void)kill(s->monitor_pid,
			   SIGKILL); /* our unreaped child: the pid is still its own */
	while (waitid(P_PID, (id_t)s->monitor_pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	s->monitor_pid = 0;
}

int monitor_start(const struct monitor_opts *o, struct monitor_started *out, struct err *e)
{
	_cleanup_(strv_freep) char **argv = NULL;
	_cleanup_(ends_done) struct ends s = ENDS_INIT;
	_cleanup_(fd_closep) int self = pidfd_open(getpid(), 0);
	uint64_t epoch;
	int r;

	*out = (struct monitor_started){ .monitor_pidfd = -EBADF,
					 .sock = -EBADF,
					 .error_fd = -EBADF,
					 .stdin_fd = -EBADF,
					 .pidfd = -EBADF };
	out->started_at = o->started_at ? o->started_at : now_real_ns();
	if (self < 0)
		return err_errno(e, errno, "open a pidfd of ourselves");
	r = monitor_order_epoch(o->run_dir_fd, &epoch, e);
	if (r < 0)
		return r;
	r = ends_open(&s, o->launch->spec, e);
	if (r < 0)
		return r;
	argv = monitor_argv(o, out->started_at, epoch, getpid());
	out->monitor_pid = fork();
	if (out->monitor_pid < 0)
		return err_errno(e, errno, "fork");
	if (out->monitor_pid == 0)
		child(o, &s, out->started_at, argv, self);
	out->monitor_pidfd = pidfd_open(out->monitor_pid, 0);
	if (out->monitor_pidfd < 0) {
		r = err_errno(e, errno, "pidfd_open %d", out->monitor_pid);
		kill_and_reap(out);
		return r;
	}
	keep_ends(out, &s);
	return 0;
}

int monitor_finish(struct monitor_started *s, struct err *e)
{
	struct report rep = { 0 };
	size_t n_fds = 1;
	ssize_t n = fd_recv(s->sock, &rep, sizeof(rep), &s->pidfd, &n_fds);
	int r = 0;

	s->sock = fd_close(s->sock);
	if (n < 0) {
		r = err_errno(e, (int)-n, "hear from the monitor");
	} else if (n != sizeof(rep)) {
		r = err_set(e, ECHILD, "the monitor died before it started the container");
	} else if (rep.err.code) {
		if (e)
			*e = rep.err;
		r = -rep.err.code;
	} else if (n_fds != 1) {
		r = err_set(e, EMFILE, "no descriptor left for the container's pidfd");
	}
	if (r < 0) {
		kill_and_reap(s); /* and init with it, if there is one */
		monitor_started_done(s);
		return r;
	}
	s->pid = rep.pid;
	s->start_ticks = rep.start_ticks;
	s->monitor_ticks = rep.monitor_ticks;
	return 0;
}

int monitor_read_error(struct monitor_started *s, struct err *failure)
{
	struct err got = ERR_INIT;
	ssize_t n;

	do {
		n = read(s->error_fd, &got, sizeof(got));
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	s->error_fd = fd_close(s->error_fd);
	if (n == 0)
		return 1;
	if (n != sizeof(got)) /* one write of less than PIPE_BUF: never in parts */
		err_set(&got, EBADMSG, "the container's init failed and could not say why");
	if (failure)
		*failure = got;
	return 0;
}

void monitor_started_done(struct monitor_started *s)
{
	s->monitor_pidfd = fd_close(s->monitor_pidfd);
	s->sock = fd_close(s->sock);
	s->error_fd = fd_close(s->error_fd);
	s->stdin_fd = fd_close(s->stdin_fd);
	s->pidfd = fd_close(s->pidfd);
}

/* ---- re-adoption ------------------------------------------------------------------ */
static int read_json(int dir_fd, const char *name, json **out, struct err *e)
{
	int r = json_read_file(dir_fd, name, MONITOR_FILE_MAX, out, e);

	if (r == -ENOENT || (r < 0 && r != -EINVAL && r != -EBADMSG && r != -EFBIG))
		return r;
	if (r < 0 || !json_is_object(*out))
		return err_set(e, EBADMSG, "%s is not a file of comp's", name);
	if (json_get_int(*out, "version", 0) < 1)
		return err_set(e, EBADMSG, "%s has no version", name);
	return 0;
}

void monitor_record_remove(int run_dir_fd, const char *id)
{
	_cleanup_(free_p) char *path = record_path(id);

	(void)unlinkat(run_dir_fd, path, 0); /* absent: it never ran */
}

int monitor_record_load(int run_dir_fd, const char *id, struct monitor_record *out, struct err *e)
{
	_cleanup_(free_p) char *path = record_path(id);
	_cleanup_(json_unrefp) json *j = NULL;
	const char *boot;
	int64_t pid, monitor;
	int r = read_json(run_dir_fd, path, &j, e);

	if (r < 0)
		return r;
	boot = json_get_str(j, "boot_id");
	pid = json_get_int(j, "pid", 0);
	monitor = json_get_int(j, "monitor_pid", 0);
	if (!boot || strlen(boot) >= BOOT_ID_MAX || pid <= 1 || pid > INT32_MAX || monitor <= 1 ||
	    monitor > INT32_MAX)
		return err_set(e, EBADMSG, "%s names no process", path);
	*out = (struct monitor_record){
		.process = { (pid_t)pid, json_get_u64(j, "start_ticks", 0) },
		.monitor = { (pid_t)monitor, json_get_u64(j, "monitor_ticks", 0) },
		.started_at = json_get_u64(j, "started_at", 0),
		.pipes = { json_get_u64(j, "stdout", 0), json_get_u64(j, "stderr", 0) },
	};
	memcpy(out->boot_id, boot, strlen(boot) + 1);
	return 0;
}

/* Pinned they are; are they what the record says?  The process is the monitor's child and
 * in no other container's cgroup: the record alone, be it damaged or another's, is not
 * enough to send a signal.  A privileged one may have left its cgroup, which does not
 * make it somebody else's. */
static int check_pair(const struct monitor_record *r, const char *id, struct err *e)
{
	uint64_t parent;
	int n = proc_status_number(r->process.pid, "PPid", &parent, e);

	if (n == 0 && parent != (uint64_t)r->monitor.pid)
		return err_set(e, EXDEV, "process %d is not a child of %d, its monitor",
			       r->process.pid, r->monitor.pid);
	if (n == 0)
		n = procref_in_container(&r->process, id, e);
	return MIN(n, 0);
}

int monitor_adopt(const struct monitor_record *r, const char *id, int *monitor_pidfd, int *pidfd,
		  struct err *e)
{
	char boot[BOOT_ID_MAX];
	int n = proc_boot_id(boot, e);

	if (n < 0)
		return n;
	if (!streq(boot, r->boot_id))
		return err_set(e, ESRCH, "the machine was restarted since");
	n = procref_open(&r->monitor, e);
	if (n < 0)
		return n;
	*monitor_pidfd = n;
	n = *pidfd = procref_open(&r->process, e);
	if (n >= 0)
		n = check_pair(r, id, e);
	if (n == 0)
		return 0;
	*pidfd = fd_close(*pidfd);
	if (n == -ESRCH) {
		*pidfd = -ESRCH;
		return 0;
	}
	*monitor_pidfd = fd_close(*monitor_pidfd);
	return n;
}

int monitor_get_stdin(int monitor_pidfd, bool tty, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	struct stat st;

	fd = pidfd_getfd(monitor_pidfd, tty ? MONITOR_FD_STDOUT : MONITOR_FD_STDIN, 0);
	if (fd < 0)
		return err_errno(e, errno, "take the container's stdin from its monitor");
	if (tty ? !isatty(fd) : fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return err_set(e, ENOENT, "the container's stdin is not open");
	return TAKE_FD(fd);
}
