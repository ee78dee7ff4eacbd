/* The proxy runs in a child; the tests are a blocking client and a blocking server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strv.h"
#include "net/proxy.h"

struct bench {
	int backend;   /* listening or bound; the container's end */
	uint16_t port; /* of the proxy */
	pid_t pid;
};

static int bound(int type, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	const struct timeval patience = { .tv_sec = 5 };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int dial(int type, uint16_t port)
{
	const struct sockaddr_in a = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct timeval patience = { .tv_sec = 5 };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static void on_term(struct source *s, const struct signalfd_siginfo *info, void *data)
{
	loop_quit(data, 0);
}

static void serve(int fd, const char *protocol, const char *target, uint16_t target_port)
{
	struct proxy_forward_config c = {
		.key = "k", .protocol = protocol, .target = target, .port = target_port
	};
	struct loop *l;
	struct proxy *p;
	int code;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (loop_new(&l, NULL) < 0 || loop_add_signal(l, SIGTERM, on_term, l, NULL, NULL) < 0)
		_exit(1);
	p = proxy_new(l);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (proxy_forward_set(p, &c, fd, NULL) < 0)
		_exit(2);
	code = loop_run(l, NULL);
	proxy_free(p);
	loop_free(l);
	_exit(code);
}

static void start(struct bench *b, int type, bool with_target)
{
	uint16_t target;
	int fd = bound(type, &b->port);

	b->backend = bound(type, &target);
	b->pid = fork();
	assert_true(b->pid >= 0);
	if (b->pid == 0) {
		close(b->backend);
		serve(fd, type == SOCK_STREAM ? "tcp" : "udp", with_target ? "127.0.0.1" : NULL,
		      target);
	}
	close(fd);
}

/* The child must have seen no error a sanitizer reports, and leak nothing. */
static void stop(struct bench *b)
{
	int status;

	close(b->backend);
	kill(b->pid, SIGTERM);
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	assert_int_equal(status, 0);
}

static void read_exactly(int fd, void *p, size_t n)
{
	assert_int_equal(recv(fd, p, n, MSG_WAITALL), n);
}

static void both_ways_and_half_close(void **state)
{
	char buf[16];
	struct bench b;
	int client, server;

	start(&b, SOCK_STREAM, true);
	client = dial(SOCK_STREAM, b.port);
	server = accept(b.backend, NULL, NULL);
	assert_true(server >= 0);
	assert_int_equal(send(client, "hello", 5, 0), 5);
	read_exactly(server, buf, 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(recv(server, buf, 16, 0), 0);     /* the end arrives */
	assert_int_equal(send(server, "answer", 6, 0), 6); /* and the other way still works */
	read_exactly(client, buf, 6);
	close(server);
	assert_int_equal(recv(client, buf, 16, 0), 0);
	close(client);
	stop(&b);
}

/* More than all buffers hold, to a reader that starts late; then the end. */
static void slow_reader_gets_everything(void **state)
{
	enum { TOTAL = 32 << 20 };
	struct bench b;
	int client, server, status;
	uint64_t got = 0;
	static char buf[65536];
	ssize_t n;
	pid_t writer;

	start(&b, SOCK_STREAM, true);
	client = dial(SOCK_STREAM, b.port);
	server = accept(b.backend, NULL, NULL);
	writer = fork();
	if (writer == 0) {
		for (size_t sent = 0; sent < TOTAL; sent += sizeof(buf)) {
			memset(buf, (int)(sent / sizeof(buf)), sizeof(buf));
			if (send(client, buf, sizeof(buf), 0) != (ssize_t)sizeof(buf))
				_exit(1);
		}
		_exit(0);
	}
	close(client);
	usleep(50000); /* until everything between is full */
	while ((n = recv(server, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; i < n; i += 4096)
			assert_int_equal((uint8_t)buf[i],
					 (uint8_t)((got + (size_t)i) / sizeof(buf)));
		got += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, TOTAL);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	close(server);
	stop(&b);
}

static void reset_is_passed_on(void **state)
{
	const struct linger now = { .l_onoff = 1 };
	struct bench b;
	int client, server;
	char c;

	start(&b, SOCK_STREAM, true);
	client = dial(SOCK_STREAM, b.port);
	server = accept(b.backend, NULL, NULL);
	assert_int_equal(send(client, "x", 1, 0), 1);
	read_exactly(server, &c, 1);
	setsockopt(server, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(server);
	assert_int_equal(recv(client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(client);
	stop(&b);
}

static void refused_or_no_target(void **state)
{
	for (int with_target = 0; with_target < 2; with_target++) {
		struct bench b;
		int client;
		char c;

		start(&b, SOCK_STREAM, with_target);
		shutdown(b.backend, SHUT_RDWR); /* listens no more */
		for (int i = 0; i < 20; i++) {
			client = dial(SOCK_STREAM, b.port);
			assert_int_equal(recv(client, &c, 1, 0), -1);
			assert_int_equal(errno, ECONNRESET);
			close(client);
		}
		stop(&b);
	}
}

static void datagrams_find_their_way_back(void **state)
{
	struct sockaddr_in from[2];
	socklen_t len = sizeof(from[0]);
	struct bench b;
	int one, two;
	char buf[16];

	start(&b, SOCK_DGRAM, true);
	one = dial(SOCK_DGRAM, b.port);
	two = dial(SOCK_DGRAM, b.port);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(send(one, "one", 3, 0), 3);
		assert_int_equal(recvfrom(b.backend, buf, 16, 0, (struct sockaddr *)&from[0], &len),
				 3);
		assert_int_equal(send(two, "", 0, 0), 0); /* an empty one counts too */
		assert_int_equal(recvfrom(b.backend, buf, 16, 0, (struct sockaddr *)&from[1], &len),
				 0);
		assert_int_not_equal(from[0].sin_port, from[1].sin_port);
		assert_int_equal(sendto(b.backend, "2", 1, 0, (struct sockaddr *)&from[1], len), 1);
		assert_int_equal(sendto(b.backend, "1", 1, 0, (struct sockaddr *)&from[0], len), 1);
		assert_int_equal(recv(one, buf, 16, 0), 1);
		assert_int_equal(buf[0], '1');
		assert_int_equal(recv(two, buf, 16, 0), 1);
		assert_int_equal(buf[0], '2');
	}
	close(one);
	close(two);
	stop(&b);
}

/* More clients than fit: the longest idle make room, the newest always works. */
static void udp_clients_are_bounded(void **state)
{
	struct bench b;
	char buf[16];

	start(&b, SOCK_DGRAM, true);
	for (int i = 0; i < 1200; i++) {
		int fd = dial(SOCK_DGRAM, b.port);

		assert_int_equal(send(fd, "x", 1, 0), 1);
		assert_int_equal(recv(b.backend, buf, 16, 0), 1);
		close(fd);
	}
	stop(&b);
}

static void configuration(void **state)
{
	struct proxy_forward_config c = { .key = "a", .protocol = "sctp" };
	struct err e = ERR_INIT;
	struct loop *l;
	struct proxy *p;
	char **keys;
	uint16_t port;

	assert_int_equal(loop_new(&l, NULL), 0);
	p = proxy_new(l);
	assert_int_equal(proxy_forward_set(p, &c, bound(SOCK_STREAM, &port), &e), -EINVAL);
	c.protocol = "tcp";
	assert_int_equal(proxy_forward_set(p, &c, -EBADF, &e), -ENOENT);
	c.target = "db";
	assert_int_equal(proxy_forward_set(p, &c, bound(SOCK_STREAM, &port), &e), -EINVAL);
	c.target = "fd00::1";
	assert_int_equal(proxy_forward_set(p, &c, bound(SOCK_STREAM, &port), &e), 0);
	c.target = NULL;
	assert_int_equal(proxy_forward_set(p, &c, -EBADF, &e), 0);
	keys = proxy_forward_keys(p);
	assert_int_equal(strv_len(keys), 1);
	strv_free(keys);
	assert_true(proxy_forward_fd(p, "a") >= 0);
	assert_true(proxy_forward_remove(p, "a"));
	assert_false(proxy_forward_remove(p, "a"));
	assert_int_equal(proxy_forward_fd(p, "a"), -EBADF);
	proxy_free(p);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_and_half_close),
		cmocka_unit_test(slow_reader_gets_everything),
		cmocka_unit_test(reset_is_passed_on),
		cmocka_unit_test(refused_or_no_target),
		cmocka_unit_test(datagrams_find_their_way_back),
		cmocka_unit_test(udp_clients_are_bounded),
		cmocka_unit_test(configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
