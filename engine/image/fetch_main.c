/* engine/image/fetch_main.c: comp-fetch: the program that talks to registries, in
 * a box of its own.
 *
 * Started by comp with one socket.  Before the first byte comes in from the network
 * it becomes nobody, gives up every way back, cannot write a single file
 * (RLIMIT_FSIZE is 0; bodies leave through pipes) and installs a seccomp filter of what
 * a client of HTTP and DNS needs.  It ends when comp closes the socket.
 *
 * Proxies come from the environment (http_proxy, HTTPS_PROXY, NO_PROXY …), which
 * comp hands over with nothing else in it.
 */
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/syscall_filter.h"
#include "engine/image/fetch.h"
#include "engine/image/fetch_client.h"
#include "engine/image/fetch_download.h"
#include "engine/image/fetch_http.h"

#ifdef __SANITIZE_ADDRESS__
#	define SANITIZED 1
#else
#	define SANITIZED 0
#endif

#define NOBODY     65534
#define MEMORY_MAX (UINT64_C(256) << 20)

static void limit(int what, uint64_t n)
{
	const struct rlimit l = { .rlim_cur = n, .rlim_max = n };

	(void)setrlimit(what, &l); /* lowering a limit cannot fail */
}

static int become_nobody(struct err *e)
{
	/* Leaving uid 0 clears the capability sets; capabilities(7). */
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return err_errno(e, errno, "become nobody");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(e, errno, "set no_new_privs");
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, 256);
	if (!SANITIZED)
		limit(RLIMIT_DATA, MEMORY_MAX);
	return 0;
}

/* What is missing gets ENOSYS, which libc and libcurl know how to live with; there
 * is no execve, no ptrace, no bind, no listen, and nothing that changes a file. */
static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(stat),
	SCMP_SYS(statx),
	SCMP_SYS(lseek),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(openat),
	SCMP_SYS(open),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(fcntl),
	SCMP_SYS(ioctl),
	SCMP_SYS(socket),
	SCMP_SYS(socketpair),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(futex),
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getrusage),
	SCMP_SYS(prlimit64),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static int filter_syscalls(struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	r = r < 0 ? err_errno(e, -r, "seccomp") : syscall_filter_load(ctx, 0, e);
	seccomp_release(ctx);
	return r;
}

/* libcurl does not look at HTTP_PROXY, because in a CGI a client can set it. */
static void take_proxy(void)
{
	const char *upper = getenv("HTTP_PROXY");

	if (upper && !getenv("http_proxy"))
		(void)setenv("http_proxy", upper, 1); /* without memory there is no proxy */
}

static void send_answer(void *data, json *message)
{
	const char *text = json_text(message);

	/* Nobody there any more: the next read finds that out. */
	(void)fd_send(FETCH_SOCKET_FD, text, strlen(text), NULL, 0);
}

/* One request; 1, 0 at the end, -errno. */
static int take_request(struct fetch_client *c, char *text, struct err *e)
{
	_cleanup_(json_unrefp) json *q = NULL;
	int fds[FD_PASS_MAX];
	size_t n_fds = FD_PASS_MAX;
	ssize_t n = fd_recv(FETCH_SOCKET_FD, text, FETCH_MESSAGE_MAX, fds, &n_fds);
	int r;

	if (n <= 0)
		return n == -EAGAIN ? 1 : (int)n;
	r = json_parse(text, (size_t)n, &q, e);
	explicit_bzero(text, (size_t)n);
	if (r == 0)
		return fetch_client_request(c, q, fds, n_fds, e) ?: 1;
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
	return r;
}

static int serve(struct http *h, struct fetch_client *c, struct err *e)
{
	_cleanup_(free_p) char *text = xmalloc(FETCH_MESSAGE_MAX);
	int r = 1;

	(void)fd_set_nonblock(FETCH_SOCKET_FD, true);
	while (r > 0) {
		r = http_run(h, FETCH_SOCKET_FD, fetch_client_tick(c), e);
		if (r == 0)
			r = take_request(c, text, e);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct fetch_client *c;
	struct err e = ERR_INIT;
	struct http *h = NULL;
	int r;

	if (fcntl(FETCH_SOCKET_FD, F_GETFD) < 0) {
		fprintf(stderr, "comp-fetch is a helper of comp\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* ^C is comp's to deal with; it closes the socket */
	take_proxy();
	r = become_nobody(&e);
	if (r == 0)
		r = http_new(&h, &e);
	if (r == 0 && !SANITIZED)
		r = filter_syscalls(&e);
	limit(RLIMIT_FSIZE, 0); /* only now: the filter came by way of a file in memory */
	if (r == 0 && argc == 3 && streq(argv[1], "download")) {
		r = fetch_download(h, argv[2], &e);
	} else if (r == 0) {
		c = fetch_client_new(h, send_answer, NULL);
		r = serve(h, c, &e);
		fetch_client_free(c);
	}
	http_free(h);
	if (r < 0 && r != -ECONNRESET)
		fprintf(stderr, "comp-fetch: %s\n", e.msg);
	return r < 0;
}
