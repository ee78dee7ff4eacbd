/* engine/supervise/nethelper_process.c: from a directory to a living process.
 *
 * The process calls listen(2) on the socket it inherited, so SO_PEERCRED of a
 * connection names it, vouched for by the kernel; its own word (hello) must
 * agree.  From there on a pidfd is held and nothing is ever done by number.
 */
#include "engine/supervise/nethelper_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/spawn.h"
#include "base/strv.h"

#define PROGRAM     "comp-nethelper"
#define END_WAIT_MS 1000

/* The socket's address through /proc/self/fd, because sun_path holds 108 bytes only. */
static int control_address(const char *run_dir, int *dirfd, struct sockaddr_un *a, struct err *e)
{
	char dir[FD_PATH_MAX];

	*dirfd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dirfd < 0)
		return err_errno(e, errno, "open %s", run_dir);
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path, sizeof(a->sun_path), "%s/%s", fd_path(*dirfd, dir), NETHELPER_SOCKET);
	return 0;
}

static int connect_control(const char *run_dir, struct err *e)
{
	_cleanup_(fd_closep) int dirfd = -EBADF, sock = -EBADF;
	struct sockaddr_un a;
	int r = control_address(run_dir, &dirfd, &a, e);

	if (r < 0)
		return r;
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return err_errno(e, errno, "open a control socket");
	if (connect(sock, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_errno(e, errno, "connect to %s/%s", run_dir, NETHELPER_SOCKET);
	return TAKE_FD(sock);
}

static int listen_control(const char *run_dir, struct err *e)
{
	_cleanup_(fd_closep) int dirfd = -EBADF, sock = -EBADF;
	struct sockaddr_un a;
	mode_t old_mask;
	int r = control_address(run_dir, &dirfd, &a, e);

	if (r < 0)
		return r;
	if (unlinkat(dirfd, NETHELPER_SOCKET, 0) < 0 && errno != ENOENT)
		return err_errno(e, errno, "remove %s/%s", run_dir, NETHELPER_SOCKET);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return err_errno(e, errno, "open a control socket");
	old_mask = umask(0177); /* mode 0600 from its first moment */
	r = bind(sock, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	(void)umask(old_mask); /* cannot fail */
	if (r < 0 || listen(sock, 8) < 0)
		return err_errno(e, r < 0 ? -r : errno, "listen on %s/%s", run_dir,
				 NETHELPER_SOCKET);
	return TAKE_FD(sock);
}

void nethelper_process_done(struct nethelper_process *p)
{
	p->sock = fd_close(p->sock);
	p->pidfd = fd_close(p->pidfd);
	p->pid = 0;
}

void nethelper_process_clean(const char *run_dir)
{
	_cleanup_(fd_closep) int dirfd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0)
		return;
	(void)unlinkat(dirfd, NETHELPER_SOCKET, 0); /* what is left goes with the directory */
	(void)unlinkat(dirfd, NETHELPER_LOG, 0);
}

/* ---- conversation -------------------------------------------------------- */

/* 0 when @fd is ready for @events before @deadline. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	uint64_t now = now_mono_ns();
	int r;

	do {
		r = poll(&pfd, 1, deadline > now ? (int)((deadline - now) / NSEC_PER_MSEC) + 1 : 0);
		now = now_mono_ns();
	} while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : r < 0 ? -errno : -ETIMEDOUT;
}

static int receive(int sock, uint64_t deadline, json **answer, int *fds, size_t *n_fds)
{
	_cleanup_(free_p) char *text = xmalloc(NETHELPER_MSG_MAX);
	size_t none = 0;
	ssize_t n;
	int r;

	do {
		r = wait_for(sock, POLLIN, deadline);
		if (r < 0)
			return r;
		n = fd_recv(sock, text, NETHELPER_MSG_MAX, fds, n_fds ? n_fds : &none);
	} while (n == -EAGAIN);
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNRESET;
	return json_parse(text, (size_t)n, answer, NULL);
}

int nethelper_process_ask(const struct nethelper_process *p, json *request, uint64_t deadline,
			  json **answer, int *fds, size_t *n_fds, struct err *e)
{
	const char *text = json_text(request), *error;
	int r;

	do {
		r = wait_for(p->sock, POLLOUT, deadline);
		if (r == 0)
			r = fd_send(p->sock, text, strlen(text), NULL, 0);
	} while (r == -EAGAIN);
	if (r == 0)
		r = receive(p->sock, deadline, answer, fds, n_fds);
	if (r < 0)
		return err_errno(e, -r, "speak to %s (pid %d)", PROGRAM, p->pid);
	error = json_get_str(*answer, "error");
	if (error)
		return err_set(e, (int)json_get_int(*answer, "code", EIO), "%s: %s", PROGRAM,
			       error);
	return 0;
}

/* ---- who is it? ---------------------------------------------------------- */

static int identify(struct nethelper_process *p, struct err *e)
{
	_cleanup_(json_unrefp) json *request = json_new_object(), *answer = NULL;
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	int r;

	if (getsockopt(p->sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return err_errno(e, errno, "ask who listens");
	p->pid = cred.pid;
	p->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	if (p->pidfd < 0 && errno != ESRCH)
		return err_errno(e, errno, "pidfd_open %d", cred.pid);
	json_put_str(request, "op", "hello");
	json_put_u64(request, "from", UINT32_MAX); /* only who it is */
	r = nethelper_process_ask(p, request, now_mono_ns() + NETHELPER_ANSWER_NS, &answer, NULL,
				  NULL, e);
	if (r < 0)
		return r;
	/* Another pid: we connected before the process itself had called listen(). */
	if (p->pidfd < 0 || json_get_int(answer, "pid", 0) != cred.pid)
		return err_set(e, EAGAIN, "%s is just starting", PROGRAM);
	return 0;
}

static bool is_helper(pid_t pid)
{
	char comm[16];

	return pid > 0 && streq(proc_comm(pid, comm), PROGRAM);
}

int nethelper_process_find(const char *run_dir, struct nethelper_process *p, struct err *e)
{
	int r = -EAGAIN;

	for (int i = 0; i < 3 && r == -EAGAIN; i++) {
		nethelper_process_done(p);
		p->sock = connect_control(run_dir, e);
		if (p->sock == -EAGAIN) /* its backlog is full: it does not accept */
			break;
		if (p->sock < 0)
			return p->sock == -ECONNREFUSED ? -ENOENT : p->sock;
		r = identify(p, e);
	}
	if (r == 0)
		return 0;
	/* It hangs, or is no process any more.  Killed only as what it must be: before the
	 * process has called listen() the pid is that of the supervisor which made the socket. */
	if (p->pidfd >= 0 && is_helper(p->pid)) {
		nethelper_process_kill(p);
		(void)wait_for(p->pidfd, POLLIN, now_mono_ns() + NSEC_PER_SEC); /* best effort */
	}
	nethelper_process_done(p);
	return -ENOENT;
}

/* ---- beginning and end --------------------------------------------------- */

int nethelper_process_spawn(const char *run_dir, struct nethelper_process *p, struct err *e)
{
	_cleanup_(free_p) char *path = spawn_helper_path(PROGRAM), *project = path_base(run_dir);
	_cleanup_(free_p) char *log = path_join(run_dir, NETHELPER_LOG);
	_cleanup_(fd_closep) int sock = -EBADF, log_fd = -EBADF;
	char *argv[] = { (char *)PROGRAM, project, NULL }; /* the project is for ps(1) */
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int r;

	sock = listen_control(run_dir, e);
	if (sock < 0)
		return sock;
	log_fd = retry_eintr(
		open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
	o.path = path;
	o.argv = argv;
	o.stdout_fd = SPAWN_NULL;
	o.stderr_fd = log_fd < 0 ? SPAWN_NULL : log_fd;
	o.pass = &sock;
	o.n_pass = 1;
	o.new_session = true;
	*p = NETHELPER_PROCESS_INIT;
	r = spawn_start(&o, &p->pid, &p->pidfd, e);
	if (r < 0) {
		*p = NETHELPER_PROCESS_INIT;
		return r;
	}
	p->sock = connect_control(run_dir, e);
	if (p->sock < 0) {
		r = p->sock;
		(void)nethelper_process_end(p, NULL); /* the connection is the better error */
		return r;
	}
	return 0;
}

void nethelper_process_kill(const struct nethelper_process *p)
{
	if (p->pidfd >= 0) /* it may be dead already */
		(void)syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
}

void nethelper_process_reap(struct nethelper_process *p, char *text, size_t n)
{
	siginfo_t info = { 0 };

	snprintf(text, n, "died"); /* an adopted one: its status went to another */
	if (p->pidfd < 0 || waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) < 0)
		return;
	if (info.si_code == CLD_EXITED)
		snprintf(text, n, "exited with status %d", info.si_status);
	else if (info.si_pid)
		snprintf(text, n, "was killed by signal %d", info.si_status);
}

static int send_quit(const struct nethelper_process *p)
{
	static const char quit[] = "{\"op\":\"quit\",\"seq\":0}";

	return p->sock < 0 ? -ENOTCONN : fd_send(p->sock, quit, strlen(quit), NULL, 0);
}

void nethelper_process_quit(const struct nethelper_process *p)
{
	if (p->pidfd >= 0)
		(void)send_quit(p); /* gone already, or nethelper_process_end() insists */
}

int nethelper_process_end(struct nethelper_process *p, struct err *e)
{
	uint64_t wait_ns = END_WAIT_MS * NSEC_PER_MSEC;
	char text[64];
	int r;

	if (p->pidfd < 0) {
		nethelper_process_done(p);
		return 0;
	}
	r = send_quit(p);
	if (r == 0)
		r = wait_for(p->pidfd, POLLIN, now_mono_ns() + wait_ns);
	if (r < 0) {
		nethelper_process_kill(p);
		r = wait_for(p->pidfd, POLLIN, now_mono_ns() + wait_ns);
	}
	if (r < 0)
		return err_errno(e, -r, "end %s (pid %d)", PROGRAM, p->pid);
	nethelper_process_reap(p, text, sizeof(text));
	nethelper_process_done(p);
	return 0;
}
