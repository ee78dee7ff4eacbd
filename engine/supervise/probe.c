/* engine/supervise/probe.c: see probe.h.
 *
 * The child is a fork of the supervisor: it needs no program, neither in the
 * image nor beside us, and starts in a fraction of a millisecond.  It keeps one
 * descriptor, joins the namespace, gives up root, and only then talks.
 */
#include "engine/supervise/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/strv.h"

#define NOBODY       65534
#define RESPONSE_MAX 1024
#define REQUEST_MAX  4096
#define HTTP_PORT    80

/* ---- reading a test -------------------------------------------------------------------- */
bool probe_is_ours(char *const *test)
{
	return test && test[0] && (streq(test[0], "TCP") || streq(test[0], "HTTP"));
}

static bool is_address(const char *text)
{
	struct in6_addr a;

	return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

static int set_address(struct probe *p, const char *text, size_t n, struct err *e)
{
	if (n >= sizeof(p->address))
		return err_set(e, EINVAL, "\"%.*s\" is not an address", (int)n, text);
	memcpy(p->address, text, n);
	p->address[n] = '\0';
	if (streq(p->address, "localhost"))
		p->address[0] = '\0';
	if (*p->address && !is_address(p->address)) {
		err_set(e, EINVAL, "\"%s\" is not an address", p->address);
		return err_hint(e, "a probe asks its own container: leave the name out");
	}
	return 0;
}

static int set_port(struct probe *p, const char *text, size_t n, struct err *e)
{
	char digits[6] = "";
	uint64_t v = 0;

	if (n > 0 && n < sizeof(digits))
		memcpy(digits, text, n);
	if (!parse_u64(digits, &v) || v == 0 || v > UINT16_MAX)
		return err_set(e, EINVAL, "\"%.*s\" is not a port", (int)n, text);
	p->port = (uint16_t)v;
	return 0;
}

/* [address][:port]; @n characters of @text. */
static int parse_authority(struct probe *p, const char *text, size_t n, struct err *e)
{
	const char *end = text + n, *colon = memrchr(text, ':', n), *close = NULL;
	int r;

	if (n && text[0] == '[') {
		close = memchr(text, ']', n);
		if (!close || (close + 1 < end && close[1] != ':'))
			return err_set(e, EINVAL, "\"%.*s\" is not an address", (int)n, text);
		colon = close + 1 < end ? close + 1 : NULL;
		r = set_address(p, text + 1, (size_t)(close - text - 1), e);
	} else {
		r = set_address(p, text, (size_t)((colon ? colon : end) - text), e);
	}
	if (r == 0 && colon)
		r = set_port(p, colon + 1, (size_t)(end - colon - 1), e);
	return r;
}

static int parse_tcp(struct probe *p, const char *text, struct err *e)
{
	size_t n = strlen(text);
	int r = strchr(text, ':') ? parse_authority(p, text, n, e) : set_port(p, text, n, e);

	return r < 0 ? r : p->port ? 0 : err_set(e, EINVAL, "\"%s\" names no port", text);
}

/* What a request line can hold without being taken for something else. */
static bool is_target(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

static int parse_http(struct probe *p, const char *url, const char *status, struct err *e)
{
	const char *authority = skip_prefix(url, "http://"), *slash;
	uint64_t code = 0;
	size_t n;
	int r;

	p->http = true;
	p->port = HTTP_PORT;
	if (!authority)
		return err_set(e, EINVAL, "\"%s\" does not start with http://", url);
	n = strcspn(authority, "/?#");
	slash = authority + n;
	r = parse_authority(p, authority, n, e);
	if (r < 0)
		return r;
	if (*slash && *slash != '/')
		return err_set(e, EINVAL, "\"%s\" has no path", url);
	if (!is_target(slash) || strlen(slash) > REQUEST_MAX / 2)
		return err_set(e, EINVAL, "\"%s\" is not a path", slash);
	p->target = *slash ? slash : "/";
	if (status && (!parse_u64(status, &code) || code < 100 || code > 599))
		return err_set(e, EINVAL, "\"%s\" is not an HTTP status", status);
	p->status = (int)code;
	return 0;
}

int probe_parse(char *const *test, struct probe *out, struct err *e)
{
	*out = (struct probe){ 0 };
	if (!probe_is_ours(test) || !test[1])
		return err_set(e, EINVAL, "not a probe");
	return streq(test[0], "TCP") ? parse_tcp(out, test[1], e)
				     : parse_http(out, test[1], test[2], e);
}

/* RFC 9112, section 4: HTTP-version SP 3DIGIT SP … */
int probe_status(const char *line, size_t n)
{
	int code = 0;

	if (n < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[7] < '0' || line[7] > '9' ||
	    line[8] != ' ')
		return 0;
	for (size_t i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return 0;
		code = code * 10 + (line[i] - '0');
	}
	if (n > 12 && line[12] != ' ' && line[12] != '\r' && line[12] != '\n')
		return 0;
	return code;
}

/* ---- asking: only in the child from here on ----------------------------------------------- */
static int connect_to(const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool six = inet_pton(AF_INET, address, &in.sin_addr) != 1;
	int fd, r;

	if (six)
		(void)inet_pton(AF_INET6, address, &in6.sin6_addr); /* probe_parse() saw to it */
	fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = six ? connect(fd, (struct sockaddr *)&in6, sizeof(in6))
		: connect(fd, (struct sockaddr *)&in, sizeof(in));
	if (r == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int connect_any(const struct probe *p)
{
	int fd = connect_to(*p->address ? p->address : "127.0.0.1", p->port);

	if (fd == -ECONNREFUSED && !*p->address) {
		int fd6 = connect_to("::1", p->port);

		return fd6 >= 0 ? fd6 : fd; /* no IPv6 there is not what is wrong */
	}
	return fd;
}

static size_t host_header(const struct probe *p, char *buf, size_t n)
{
	const char *name = *p->address ? p->address : "localhost";

	return (size_t)snprintf(buf, n, strchr(name, ':') ? "[%s]:%u" : "%s:%u", name, p->port);
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			p += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

static int ask(int fd, const struct probe *p, char *answer, size_t *n)
{
	char request[REQUEST_MAX], host[PROBE_ADDRESS_MAX + 16];
	int len, r;

	host_header(p, host, sizeof(host));
	len = snprintf(request, sizeof(request),
		       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: comp-probe\r\nAccept: */*\r\n"
		       "Connection: close\r\n\r\n",
		       p->target, host);
	r = send_all(fd, request, (size_t)len);
	*n = 0;
	while (r == 0 && *n < RESPONSE_MAX && !memchr(answer, '\n', *n)) {
		ssize_t got = recv(fd, answer + *n, RESPONSE_MAX - *n, 0);

		if (got < 0 && errno != EINTR)
			r = -errno;
		if (got == 0)
			break;
		if (got > 0)
			*n += (size_t)got;
	}
	return r;
}

static int run_http(const struct probe *p, int fd, int out)
{
	char answer[RESPONSE_MAX];
	size_t n;
	int r = ask(fd, p, answer, &n), code;

	if (r < 0) {
		dprintf(out, "port %u: %s\n", p->port, strerror(-r));
		return 1;
	}
	code = probe_status(answer, n);
	if (!code) {
		dprintf(out, "port %u: the answer is not HTTP\n", p->port);
		return 1;
	}
	for (size_t i = 0; i < n; i++)
		if (answer[i] == '\n' || answer[i] == '\r')
			n = i;
	dprintf(out, "GET %s: %.*s\n", p->target, (int)n, answer);
	return p->status ? code != p->status : code < 200 || code > 399;
}

static int run(char *const *test, int out)
{
	struct err e = ERR_INIT;
	struct probe p;
	int fd;

	if (probe_parse(test, &p, &e) < 0) {
		dprintf(out, "%s\n", e.msg);
		return 1;
	}
	fd = connect_any(&p);
	if (fd < 0) {
		dprintf(out, "connect to port %u: %s\n", p.port, strerror(-fd));
		return 1;
	}
	return p.http ? run_http(&p, fd, out) : 0;
}

/* Into the namespace, out of everything else. */
static int confine(int netns_fd, int *out)
{
	if (netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	if (dup2(*out, 3) < 0)
		return -errno;
	*out = 3;
	if (syscall(SYS_close_range, 4U, ~0U, 0U) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

_Noreturn static void child(char *const *test, int netns_fd, int out)
{
	int r;

	(void)setpgid(0, 0); /* cannot fail: a fresh child, not a session leader */
	r = confine(netns_fd, &out);
	if (r < 0) {
		dprintf(out, "probe: %s\n", strerror(-r));
		_exit(1);
	}
	_exit(run(test, out));
}

int probe_start(char *const *test, int netns_fd, int out_fd, pid_t *pid, int *pidfd, struct err *e)
{
	pid_t p = fork();

	if (p < 0)
		return err_errno(e, errno, "fork a probe");
	if (p == 0)
		child(test, netns_fd, out_fd);
	(void)setpgid(p, p); /* whoever comes first; the group must be there before a timeout */
	*pid = p;
	*pidfd = (int)syscall(SYS_pidfd_open, p, 0); /* our child: the number is still its own */
	if (*pidfd < 0) {
		int r = err_errno(e, errno, "pidfd_open %d", p);

		(void)kill(p, SIGKILL);
		return r;
	}
	return 0;
}
