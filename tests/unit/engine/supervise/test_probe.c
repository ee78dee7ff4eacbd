/* tests/unit/engine/supervise/test_probe.c: what a probe is told, and whom it asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/spawn.h"
#include "engine/supervise/probe.h"

static int parse(const char *kind, const char *what, const char *status, struct probe *p)
{
	char *test[] = { (char *)kind, (char *)what, (char *)status, NULL };

	return probe_parse(test, p, NULL);
}

static void test_good(void **state)
{
	static const struct {
		const char *kind, *what, *status, *address, *target;
		uint16_t port;
		int code;
	} rows[] = {
		{ "TCP", "5432", NULL, "", NULL, 5432, 0 },
		{ "TCP", ":80", NULL, "", NULL, 80, 0 },
		{ "TCP", "localhost:80", NULL, "", NULL, 80, 0 },
		{ "TCP", "10.0.0.1:80", NULL, "10.0.0.1", NULL, 80, 0 },
		{ "TCP", "[::1]:80", NULL, "::1", NULL, 80, 0 },
		{ "HTTP", "http://:8080/healthz", "200", "", "/healthz", 8080, 200 },
		{ "HTTP", "http://localhost", NULL, "", "/", 80, 0 },
		{ "HTTP", "http:///x?y=z", NULL, "", "/x?y=z", 80, 0 },
		{ "HTTP", "http://127.0.0.2/", "404", "127.0.0.2", "/", 80, 404 },
		{ "HTTP", "http://[fd00::1]:81/", NULL, "fd00::1", "/", 81, 0 },
		{ "HTTP", "http://[::1]/", NULL, "::1", "/", 80, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct probe p;

		assert_int_equal(parse(rows[i].kind, rows[i].what, rows[i].status, &p), 0);
		assert_string_equal(p.address, rows[i].address);
		assert_int_equal(p.port, rows[i].port);
		assert_int_equal(p.status, rows[i].code);
		if (rows[i].target)
			assert_string_equal(p.target, rows[i].target);
	}
}

static void test_bad(void **state)
{
	static const char *const rows[][3] = {
		{ "TCP", "", NULL },
		{ "TCP", "0", NULL },
		{ "TCP", "65536", NULL },
		{ "TCP", "x", NULL },
		{ "TCP", "db:5432", NULL },
		{ "TCP", "10.0.0.1", NULL },
		{ "TCP", "[::1]", NULL },
		{ "TCP", "[::1]80", NULL },
		{ "TCP", "[::1:80", NULL },
		{ "TCP", "1.1.1.1:", NULL },
		{ "HTTP", "https://:1/", NULL },
		{ "HTTP", ":80/", NULL },
		{ "HTTP", "http://example.org/", NULL },
		{ "HTTP", "http://:x/", NULL },
		{ "HTTP", "http://:80?x", NULL },
		{ "HTTP", "http://:80/a b", NULL },
		{ "HTTP", "http://:80/a\r\nX: y", NULL },
		{ "HTTP", "http://:80/", "99" },
		{ "HTTP", "http://:80/", "ok" },
		{ "CMD", "true", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct probe p;

		if (parse(rows[i][0], rows[i][1], rows[i][2], &p) == 0)
			fail_msg("%s %s was accepted", rows[i][0], rows[i][1]);
	}
}

static void test_status(void **state)
{
	static const struct {
		const char *line;
		int code;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n", 200 }, { "HTTP/1.0 404 Not Found", 404 },
		{ "HTTP/1.1 204\r\n", 204 },    { "HTTP/1.1 2000 x", 0 },
		{ "HTTP/2 200 OK\r\n", 0 },     { "HTTP/1.1 20", 0 },
		{ "SSH-2.0-OpenSSH_9.2", 0 },   { "", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(probe_status(rows[i].line, strlen(rows[i].line)), rows[i].code);
}

/* A listener on a free port of 127.0.0.1. */
static int listener(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* Probe; @answer: what the server says to an HTTP request (NULL: nothing is asked). */
static int ask(const char *kind, const char *what, const char *status, int server,
	       const char *answer, char *said, size_t size)
{
	char *test[] = { (char *)kind, (char *)what, (char *)status, NULL };
	int p[2], pidfd = -EBADF, code;
	ssize_t n;
	pid_t pid;

	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_int_equal(probe_start(test, -EBADF, p[1], &pid, &pidfd, NULL), 0);
	fd_close(p[1]);
	if (answer) {
		char request[4096];
		int fd = accept(server, NULL, NULL);

		assert_true(fd >= 0);
		n = read(fd, request, sizeof(request) - 1);
		assert_true(n > 0);
		request[n] = '\0';
		assert_non_null(strstr(request, "GET /healthz HTTP/1.1\r\nHost: localhost:"));
		assert_true(write(fd, answer, strlen(answer)) == (ssize_t)strlen(answer));
		fd_close(fd);
	}
	code = spawn_wait(pid);
	n = read(p[0], said, size - 1);
	said[n > 0 ? n : 0] = '\0';
	fd_close(p[0]);
	fd_close(pidfd);
	return code;
}

static void test_asking(void **state)
{
	char what[64], said[512];
	uint16_t port;
	int fd;

	if (geteuid() != 0)
		skip(); /* it gives up root */
	fd = listener(&port);
	snprintf(what, sizeof(what), "%u", port);
	assert_int_equal(ask("TCP", what, NULL, fd, NULL, said, sizeof(said)), 0);
	fd_close(accept(fd, NULL, NULL));
	snprintf(what, sizeof(what), "http://:%u/healthz", port);
	assert_int_equal(
		ask("HTTP", what, NULL, fd, "HTTP/1.1 204 No Content\r\n\r\n", said, sizeof(said)),
		0);
	assert_string_equal(said, "GET /healthz: HTTP/1.1 204 No Content\n");
	assert_int_equal(ask("HTTP", what, "200", fd, "HTTP/1.1 204 x\r\n\r\n", said, sizeof(said)),
			 1);
	assert_int_equal(ask("HTTP", what, NULL, fd, "HTTP/1.1 503 x\r\n", said, sizeof(said)), 1);
	assert_int_equal(ask("HTTP", what, "503", fd, "HTTP/1.1 503 x\r\n", said, sizeof(said)), 0);
	assert_int_equal(ask("HTTP", what, NULL, fd, "hello", said, sizeof(said)), 1);
	assert_non_null(strstr(said, "not HTTP"));
	fd_close(fd);
	assert_int_equal(ask("HTTP", what, NULL, -1, NULL, said, sizeof(said)), 1);
	assert_non_null(strstr(said, "refused"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
