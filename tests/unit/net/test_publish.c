#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "net/publish.h"

static uint16_t take(const char *ip, const char *protocol, struct publish_result *r)
{
	const struct publish_request q = { .host_ip = ip, .protocol = protocol };
	struct err e = ERR_INIT;

	assert_int_equal(publish_open(&q, NULL, NULL, r, &e), 0);
	assert_true(r->port > 0);
	return r->port;
}

static void any_port(void **state)
{
	struct publish_result r;

	take(NULL, NULL, &r);
	assert_true(r.n == 1 || r.n == 2); /* a host without IPv6 has one */
	assert_string_equal(r.sockets[0].address, "0.0.0.0");
	for (size_t i = 0; i < r.n; i++) {
		struct sockaddr_in6 a;
		socklen_t len = sizeof(a);
		int listening = 0;

		assert_int_equal(getsockname(r.sockets[i].fd, (struct sockaddr *)&a, &len), 0);
		assert_int_equal(ntohs(a.sin6_port), r.port);
		len = sizeof(int);
		getsockopt(r.sockets[i].fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len);
		assert_int_equal(listening, 1);
	}
	publish_result_done(&r);
	publish_result_done(&r);
}

static bool demo(pid_t pid, const char *protocol, const char *ip, uint16_t port, char *text,
		 size_t n, void *data)
{
	*(pid_t *)data = pid;
	assert_string_equal(protocol, "tcp");
	snprintf(text, n, "project demo (service wordpress)");
	return true;
}

static void busy_by_comp(void **state)
{
	struct publish_result held, r;
	struct publish_request q = { .container_port = 80 };
	struct err e = ERR_INIT;
	char expect[128];
	pid_t pid = 0;

	q.first = q.last = take("127.0.0.1", "tcp", &held);
	assert_int_equal(publish_open(&q, demo, &pid, &r, &e), -EADDRINUSE);
	snprintf(expect, sizeof(expect),
		 "port %u is already in use by project demo (service wordpress)", q.first);
	assert_string_equal(e.msg, expect);
	assert_int_equal(pid, getpid());
	assert_non_null(strstr(e.hint, ":80\""));
	assert_int_equal(publish_open(&q, NULL, NULL, &r, &e), -EADDRINUSE);
	assert_non_null(strstr(e.msg, "by this project"));
	publish_result_done(&held);
	assert_int_equal(publish_open(&q, NULL, NULL, &r, &e), 0);
	publish_result_done(&r);
}

/* The holder is another process: it is named with its pid, for both protocols. */
static void busy_by_another(void **state)
{
	static const char *const protocols[] = { "tcp", "udp" };

	for (int i = 0; i < 2; i++) {
		struct publish_request q = { .protocol = protocols[i] };
		struct publish_result held, r;
		struct err e = ERR_INIT;
		char expect[128], c;
		pid_t pid;
		int p[2];

		assert_int_equal(fd_pipe(p, NULL), 0);
		q.first = q.last = take(NULL, protocols[i], &held);
		pid = fork();
		if (pid == 0) {
			close(p[1]);
			_exit((int)read(p[0], &c, 1));
		}
		publish_result_done(&held);
		assert_int_equal(publish_open(&q, NULL, NULL, &r, &e), -EADDRINUSE);
		snprintf(expect, sizeof(expect), "%s %u is already in use by test_publish (pid %d)",
			 i ? "UDP port" : "port", q.first, pid);
		assert_string_equal(e.msg, expect);
		assert_non_null(strstr(e.hint, "is free"));
		close(p[0]);
		close(p[1]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

static void range_takes_the_next(void **state)
{
	struct publish_result held, r;
	struct publish_request q = { .host_ip = "127.0.0.1" };
	struct err e = ERR_INIT;

	q.first = take("127.0.0.1", NULL, &held);
	q.last = (uint16_t)MIN(q.first + 20, 65535);
	if (q.last > q.first) {
		assert_int_equal(publish_open(&q, NULL, NULL, &r, &e), 0);
		assert_true(r.port > q.first && r.port <= q.last);
		publish_result_done(&r);
	}
	publish_result_done(&held);
}

static void bad_requests(void **state)
{
	const struct publish_request bad[] = {
		{ .host_ip = "localhost" }, { .host_ip = "1.2.3" },    { .protocol = "sctp" },
		{ .first = 9, .last = 8 },  { .first = 0, .last = 8 },
	};
	const struct publish_request foreign = { .host_ip = "192.0.2.1",
						 .first = 8000,
						 .last = 8000 };
	struct publish_result r;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(publish_open(&bad[i], NULL, NULL, &r, &e), -EINVAL);
	assert_int_equal(publish_open(&foreign, NULL, NULL, &r, &e), -EADDRNOTAVAIL);
	assert_non_null(strstr(e.msg, "192.0.2.1 is not an address of this host"));
}

static void brackets(void **state)
{
	const struct publish_request q = { .host_ip = "[::1]" };
	struct publish_result r;
	int ret = publish_open(&q, NULL, NULL, &r, NULL);

	if (ret < 0)
		skip(); /* no IPv6 here */
	assert_string_equal(r.sockets[0].address, "::1");
	publish_result_done(&r);
}

static void check(void **state)
{
	struct publish_request q[3] = { { 0 } };
	struct publish_result a, b;
	struct err e = ERR_INIT;
	size_t bad = 99;

	q[0].first = q[0].last = take(NULL, NULL, &a);
	q[1].first = q[1].last = take(NULL, NULL, &b);
	publish_result_done(&a);
	assert_int_equal(publish_check(q, 3, NULL, NULL, &bad, &e), -EADDRINUSE);
	assert_int_equal(bad, 1);
	publish_result_done(&b);
	assert_int_equal(publish_check(q, 3, NULL, NULL, &bad, &e), 0);
	assert_int_equal(publish_check(q, 3, NULL, NULL, &bad, &e), 0); /* nothing was kept */
	q[2] = q[0];
	assert_int_equal(publish_check(q, 3, NULL, NULL, &bad, &e), -EADDRINUSE);
	assert_int_equal(bad, 2);
	assert_non_null(strstr(e.msg, "twice in this project"));
	q[2].protocol = "udp";
	assert_int_equal(publish_check(q, 3, NULL, NULL, &bad, &e), 0);
	assert_int_equal(publish_check(NULL, 0, NULL, NULL, NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_port),        cmocka_unit_test(busy_by_comp),
		cmocka_unit_test(busy_by_another), cmocka_unit_test(range_takes_the_next),
		cmocka_unit_test(bad_requests),    cmocka_unit_test(brackets),
		cmocka_unit_test(check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
