/* The supervisor's end against the real comp-nethelper, on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/util.h"
#include "engine/supervise/nethelper.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct world {
	char dir[64];
	struct loop *loop;
	struct nethelper *h;
	int restarted, failed, refused;
	struct err last;
	uint16_t forward_port, dns_port;
	int backend;
	uint16_t backend_port;
};

static void on_event(struct nethelper *h, enum nethelper_event event, const struct err *e,
		     void *data)
{
	struct world *w = data;

	w->restarted += event == NETHELPER_RESTARTED;
	w->failed += event == NETHELPER_FAILED;
	w->refused += event == NETHELPER_REFUSED;
	w->last = *e;
}

static void give_up(struct source *s, void *data)
{
	loop_quit(data, 1);
}

struct wait {
	struct world *w;
	bool (*done)(struct world *w);
};

static void look(struct source *s, void *data)
{
	struct wait *wait = data;

	if (wait->done(wait->w))
		loop_quit(wait->w->loop, 0);
	else
		source_set_timer(s, NSEC_PER_MSEC);
}

/* Run the loop until @done, 8 s at most. */
static void wait_until(struct world *w, bool (*done)(struct world *w))
{
	struct wait wait = { .w = w, .done = done };
	struct source *limit = loop_add_timer(w->loop, 8 * NSEC_PER_SEC, give_up, w->loop);
	struct source *tick = loop_add_timer(w->loop, 0, look, &wait);

	assert_int_equal(loop_run(w->loop, NULL), 0);
	source_free(limit);
	source_free(tick);
}

static bool settled(struct world *w)
{
	return nethelper_settled(w->h);
}

static bool was_restarted(struct world *w)
{
	return w->restarted && nethelper_settled(w->h);
}

static bool was_refused(struct world *w)
{
	return w->refused;
}

static int bound(int type, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
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

/* A connection to the published port reaches the backend. */
static void assert_forwards(struct world *w)
{
	struct pollfd pfd = { .fd = w->backend, .events = POLLIN };
	int client = dial(SOCK_STREAM, w->forward_port), server;
	char c;

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	server = accept(w->backend, NULL, NULL);
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(recv(server, &c, 1, 0), 1);
	close(server);
	assert_int_equal(recv(client, &c, 1, 0), 0);
	close(client);
}

/* "db" has the address 10.9.8.7. */
static void assert_resolves(struct world *w)
{
	static const char query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\2db\0\0\1\0\1";
	uint8_t reply[512];
	int fd = dial(SOCK_DGRAM, w->dns_port);
	ssize_t n;

	assert_int_equal(send(fd, query, sizeof(query) - 1, 0), sizeof(query) - 1);
	n = recv(fd, reply, sizeof(reply), 0);
	assert_int_equal(n, sizeof(query) - 1 + 16);
	assert_memory_equal(reply + n - 4, "\x0a\x09\x08\x07", 4);
	close(fd);
}

static void configure(struct world *w, bool with_sockets)
{
	char *names[] = { (char *)"db", NULL }, *networks[] = { (char *)"demo_default", NULL };
	const struct nethelper_dns dns = { .id = ID, .networks = networks };
	const struct nethelper_name name = { .network = "demo_default",
					     .names = names,
					     .ipv4 = "10.9.8.7" };
	const struct nethelper_forward forward = { .key = ID "/tcp/127.0.0.1/8000/80",
						   .protocol = "tcp",
						   .target = "127.0.0.1",
						   .port = w->backend_port };
	struct err e = ERR_INIT;
	uint16_t unused;
	int fds[2], listening = -EBADF;

	if (with_sockets) {
		fds[0] = bound(SOCK_DGRAM, &w->dns_port);
		fds[1] = bound(SOCK_STREAM, &unused);
		listening = bound(SOCK_STREAM, &w->forward_port);
	}
	assert_int_equal(nethelper_dns_set(w->h, &dns, with_sockets ? fds : NULL, &e), 0);
	assert_int_equal(nethelper_names_set(w->h, ID, "demo-db-1", &name, 1, &e), 0);
	assert_int_equal(nethelper_forward_set(w->h, &forward, listening, &e), 0);
	wait_until(w, settled);
	assert_int_equal(w->refused, 0);
}

static void start(struct world *w)
{
	struct err e = ERR_INIT;
	int r = nethelper_start(w->loop, w->dir, on_event, w, &w->h, &e);

	if (r < 0)
		print_error("%s\n", e.msg);
	assert_int_equal(r, 0);
	assert_int_equal(e.code, 0);
}

static int setup(void **state)
{
	struct world *w = new0(struct world);

	snprintf(w->dir, sizeof(w->dir), "/tmp/test_nethelper.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	w->backend = bound(SOCK_STREAM, &w->backend_port);
	start(w);
	configure(w, true);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(nethelper_stop(w->h, NULL), 0);
	loop_free(w->loop);
	close(w->backend);
	assert_int_equal(rmdir(w->dir), 0); /* it left nothing */
	free(w);
	return 0;
}

static void serves(void **state)
{
	struct world *w = *state;

	assert_false(nethelper_adopted(w->h));
	assert_resolves(w);
	assert_forwards(w);
}

static void survives_the_supervisor(void **state)
{
	struct world *w = *state;
	pid_t pid = nethelper_pid(w->h);

	nethelper_free(w->h);
	assert_resolves(w);
	assert_forwards(w);
	start(w);
	assert_true(nethelper_adopted(w->h));
	assert_int_equal(nethelper_pid(w->h), pid);
	assert_true(nethelper_has_dns(w->h, ID));
	assert_true(nethelper_has_forward(w->h, ID "/tcp/127.0.0.1/8000/80"));
	assert_false(nethelper_has_dns(w->h, "other"));
	configure(w, false);
	nethelper_drop_unclaimed(w->h); /* nothing */
	wait_until(w, settled);
	assert_resolves(w);
	assert_forwards(w);
}

static void adopted_sockets_outlive_a_second_death(void **state)
{
	struct world *w = *state;

	nethelper_free(w->h);
	start(w);
	configure(w, false);
	assert_int_equal(kill(nethelper_pid(w->h), SIGKILL), 0);
	wait_until(w, was_restarted);
	assert_resolves(w);
	assert_forwards(w);
}

static void is_replaced_when_killed(void **state)
{
	struct world *w = *state;
	pid_t pid = nethelper_pid(w->h);

	assert_int_equal(kill(pid, SIGKILL), 0);
	wait_until(w, was_restarted);
	assert_int_not_equal(nethelper_pid(w->h), pid);
	assert_non_null(strstr(w->last.msg, "killed by signal 9"));
	assert_resolves(w);
	assert_forwards(w);
}

static void is_replaced_when_stuck(void **state)
{
	struct world *w = *state;

	if (!getenv("COMP_TEST_SLOW"))
		skip(); /* 5 s */
	assert_int_equal(kill(nethelper_pid(w->h), SIGSTOP), 0);
	assert_int_equal(nethelper_upstreams_set(w->h, NULL, NULL), 0);
	wait_until(w, was_restarted);
	assert_non_null(strstr(w->last.msg, "did not answer"));
	assert_resolves(w);
}

static void unclaimed_is_dropped(void **state)
{
	struct world *w = *state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	nethelper_free(w->h);
	start(w);
	nethelper_drop_unclaimed(w->h);
	assert_false(nethelper_has_dns(w->h, ID));
	wait_until(w, settled);
	a.sin_port = htons(w->forward_port);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

static void container_removed(void **state)
{
	struct world *w = *state;

	nethelper_remove_container(w->h, ID);
	wait_until(w, settled);
	assert_false(nethelper_has_forward(w->h, ID "/tcp/127.0.0.1/8000/80"));
	assert_int_equal(w->refused, 0);
}

static void refusals_are_reported(void **state)
{
	char *servers[] = { (char *)"not an address", NULL };
	struct world *w = *state;

	assert_int_equal(nethelper_upstreams_set(w->h, servers, NULL), 0);
	wait_until(w, was_refused);
	assert_non_null(strstr(w->last.msg, "not an address"));
	assert_resolves(w);
}

static void bad_calls(void **state)
{
	const struct nethelper_dns dns = { .id = "unknown" };
	const struct nethelper_forward f = { .key = "unknown", .protocol = "tcp" };
	struct world *w = *state;
	struct err e = ERR_INIT;

	assert_int_equal(nethelper_dns_set(w->h, &dns, NULL, &e), -ENOENT);
	assert_int_equal(nethelper_forward_set(w->h, &f, -EBADF, &e), -ENOENT);
}

static void many_items(void **state)
{
	struct world *w = *state;
	struct nethelper_name name = { .network = "demo_default", .ipv4 = "10.1.1.1" };
	char id[32], text[32], *names[] = { text, NULL };

	name.names = names;
	for (int i = 0; i < 3000; i++) {
		snprintf(id, sizeof(id), "container-%d", i);
		snprintf(text, sizeof(text), "web-%d", i);
		assert_int_equal(nethelper_names_set(w->h, id, text, &name, 1, NULL), 0);
	}
	wait_until(w, settled);
	nethelper_free(w->h);
	start(w);
	assert_true(nethelper_adopted(w->h)); /* over many pages */
	configure(w, false);
	assert_resolves(w);
	assert_int_equal(w->refused + w->restarted, 0);
}

static void stopped_without_supervisor(void **state)
{
	struct world *w = *state;

	nethelper_free(w->h);
	assert_int_equal(nethelper_stop_project(w->dir, NULL), 0);
	assert_int_equal(nethelper_stop_project(w->dir, NULL), 0);
	start(w);
	assert_false(nethelper_adopted(w->h));
}

static void socket_is_private(void **state)
{
	struct world *w = *state;
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", w->dir, NETHELPER_SOCKET);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serves),
		TEST(survives_the_supervisor),
		TEST(adopted_sockets_outlive_a_second_death),
		TEST(is_replaced_when_killed),
		TEST(is_replaced_when_stuck),
		TEST(unclaimed_is_dropped),
		TEST(container_removed),
		TEST(refusals_are_reported),
		TEST(bad_calls),
		TEST(many_items),
		TEST(stopped_without_supervisor),
		TEST(socket_is_private),
	};
	char exe[PATH_MAX] = "", *slash;

	/* build/FLAVOR/unit/engine/supervise/test_nethelper → build/FLAVOR/comp-nethelper */
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		return 1;
	for (int up = 0; up < 4 && (slash = strrchr(exe, '/')); up++)
		*slash = '\0';
	setenv("COMP_LIBEXEC", exe, 0);
	strcat(exe, "/comp-nethelper");
	if (access(exe, X_OK) < 0) {
		print_message("comp-nethelper is not built: nothing tested\n");
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
