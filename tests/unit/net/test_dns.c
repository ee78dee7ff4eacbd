/* The server on loopback sockets, with upstreams the tests play themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/strv.h"
#include "net/dns.h"
#include "net/dns_message.h"

struct world {
	struct loop *loop;
	struct dns_server *server;
	uint16_t port, tcp_port;
	int upstream, upstream_tcp; /* nobody reads them unless a test does */
	char *upstream_text;
	struct source *upstream_source, *upstream_tcp_source;
	enum dns_rcode upstream_rcode;
	int asked;
	bool forge;
};

static int bound(int type, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	a.sin_port = htons(*port);
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
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* The answer of an upstream that knows everything as 192.0.2.1. */
static size_t upstream_reply(struct world *w, const uint8_t *msg, size_t n, uint8_t out[1024])
{
	struct in_addr a = { inet_addr("192.0.2.1") };
	struct dns_query q;
	struct dns_reply r;

	assert_int_equal(dns_query_parse(msg, n, &q), 0);
	dns_reply_start(&r, out, 1024, 1024, msg, &q, w->upstream_rcode);
	if (w->upstream_rcode == DNS_NOERROR)
		dns_reply_add_a(&r, 60, &a);
	return dns_reply_finish(&r);
}

static void on_upstream(struct source *s, int fd, uint32_t events, void *data)
{
	struct world *w = data;
	uint8_t msg[4096], out[1024];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, msg, sizeof(msg), 0, (struct sockaddr *)&from, &len);
	size_t m;

	assert_true(n > 0);
	w->asked++;
	m = upstream_reply(w, msg, (size_t)n, out);
	if (w->forge) { /* wrong id, wrong name, then the real one */
		out[0] ^= 1;
		(void)sendto(fd, out, m, 0, (struct sockaddr *)&from, len);
		out[0] ^= 1;
		out[13] ^= 1;
		(void)sendto(fd, out, m, 0, (struct sockaddr *)&from, len);
		out[13] ^= 1;
	}
	(void)sendto(fd, out, m, 0, (struct sockaddr *)&from, len);
}

static void on_upstream_conn(struct source *s, int sock, uint32_t events, void *data)
{
	struct world *w = data;
	uint8_t msg[4096], out[1026];
	ssize_t n = recv(sock, msg, sizeof(msg), 0);
	size_t m;

	assert_true(n > 2);
	w->asked++;
	m = upstream_reply(w, msg + 2, (size_t)n - 2, out + 2);
	out[0] = (uint8_t)(m >> 8);
	out[1] = (uint8_t)m;
	assert_int_equal(send(sock, out, m + 2, 0), m + 2);
	source_free(s);
	close(sock);
}

static void on_upstream_tcp(struct source *s, int fd, uint32_t events, void *data)
{
	struct world *w = data;
	int sock = accept(fd, NULL, NULL);

	assert_int_equal(loop_add_fd(w->loop, sock, EPOLLIN, on_upstream_conn, w, NULL, NULL), 0);
}

struct answer {
	bool got;
	size_t n;
	uint8_t msg[DNS_MESSAGE_MAX + 2];
	struct loop *loop;
};

static void on_answer(struct source *s, int fd, uint32_t events, void *data)
{
	struct answer *a = data;
	ssize_t n = recv(fd, a->msg, sizeof(a->msg), 0);

	a->got = n > 0;
	a->n = n > 0 ? (size_t)n : 0;
	loop_quit(a->loop, 0);
}

static void give_up(struct source *s, void *data)
{
	loop_quit(data, 1);
}

static struct answer *ask_bytes(struct world *w, int type, const void *p, size_t n)
{
	static struct answer a;
	int fd = dial(type, type == SOCK_DGRAM ? w->port : w->tcp_port);
	struct source *s, *limit = loop_add_timer(w->loop, 3 * NSEC_PER_SEC / 2, give_up, w->loop);

	a.got = false;
	a.n = 0;
	a.loop = w->loop;
	assert_int_equal(send(fd, p, n, 0), n);
	assert_int_equal(loop_add_fd(w->loop, fd, EPOLLIN, on_answer, &a, &s, NULL), 0);
	(void)loop_run(w->loop, NULL);
	source_free(s);
	source_free(limit);
	close(fd);
	return &a;
}

static size_t make_query(uint8_t *p, const char *name, uint16_t type)
{
	static const uint8_t header[12] = { 0x12, 0x34, 0x01, 0, 0, 1 };
	size_t n;

	memcpy(p, header, 12);
	n = 12 + dns_name_encode(name, p + 12);
	memcpy(p + n, (uint8_t[]){ (uint8_t)(type >> 8), (uint8_t)type, 0, 1 }, 4);
	return n + 4;
}

/* "NOERROR 10.0.0.1 10.0.0.2", borrowed until the next call. */
static const char *text_of(const uint8_t *msg, size_t n)
{
	static const char *const names[] = { "NOERROR",  "FORMERR", "SERVFAIL",
					     "NXDOMAIN", "NOTIMP",  "REFUSED" };
	static char out[1024];
	size_t at = 12, len = 0, count;

	assert_true(n >= 12);
	assert_int_equal(dns_id(msg), 0x1234);
	assert_true(dns_reply_rcode(msg) < ARRAY_SIZE(names));
	count = (size_t)(msg[6] << 8 | msg[7]);
	len = (size_t)snprintf(out, sizeof(out), "%s%s", names[dns_reply_rcode(msg)],
			       msg[2] & 2 ? " TC" : "");
	while (msg[at])
		at += 1u + msg[at];
	at += 5;
	for (; count > 0 && len < sizeof(out) - 64; count--) {
		uint16_t type = (uint16_t)(msg[at + 2] << 8 | msg[at + 3]);
		const uint8_t *data = msg + at + 12;
		char addr[INET6_ADDRSTRLEN] = "";

		if (type == DNS_A)
			inet_ntop(AF_INET, data, addr, sizeof(addr));
		else if (type == DNS_AAAA)
			inet_ntop(AF_INET6, data, addr, sizeof(addr));
		else if (type == DNS_PTR)
			snprintf(addr, sizeof(addr), "%.*s", data[0], data + 1);
		len += (size_t)snprintf(out + len, sizeof(out) - len, " %s", addr);
		at += 12u + (size_t)(msg[at + 10] << 8 | msg[at + 11]);
	}
	return out;
}

static const char *ask(struct world *w, const char *name, uint16_t type)
{
	uint8_t p[512];
	const struct answer *a = ask_bytes(w, SOCK_DGRAM, p, make_query(p, name, type));

	return a->got ? text_of(a->msg, a->n) : "no answer";
}

static const char *ask_tcp(struct world *w, const char *name, uint16_t type)
{
	uint8_t p[512];
	size_t n = make_query(p + 2, name, type);
	const struct answer *a;

	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
	a = ask_bytes(w, SOCK_STREAM, p, n + 2);
	return a->got ? text_of(a->msg + 2, a->n - 2) : "closed";
}

#define NAMES(...) ((char *[]){ __VA_ARGS__, NULL })

static void add_names(struct world *w, const char *key, const char *canonical, const char *network,
		      char *const *names, const char *v4, const char *v6)
{
	const struct dns_name_config c = {
		.network = network, .names = names, .ipv4 = v4, .ipv6 = v6
	};

	assert_int_equal(dns_names_set(w->server, key, canonical, &c, 1, NULL), 0);
}

static void configure(struct world *w, const struct dns_endpoint_config *c)
{
	assert_int_equal(dns_endpoint_set(w->server, c, NULL, NULL), 0);
}

static int setup(void **state)
{
	struct world *w = new0(struct world);
	const struct dns_endpoint_config c = {
		.key = "c", .networks = NAMES((char *)"demo_front", (char *)"demo_back")
	};
	uint16_t port = 0;
	int fds[2];

	assert_int_equal(loop_new(&w->loop, NULL), 0);
	w->server = dns_server_new(w->loop);
	fds[0] = bound(SOCK_DGRAM, &w->port);
	fds[1] = bound(SOCK_STREAM, &w->tcp_port);
	assert_int_equal(dns_endpoint_set(w->server, &c, fds, NULL), 0);
	w->upstream = bound(SOCK_DGRAM, &port);
	w->upstream_tcp = bound(SOCK_STREAM, &port);
	w->upstream_text = xasprintf("127.0.0.1#%u", port);
	assert_int_equal(loop_add_fd(w->loop, w->upstream, EPOLLIN, on_upstream, w,
				     &w->upstream_source, NULL),
			 0);
	assert_int_equal(loop_add_fd(w->loop, w->upstream_tcp, EPOLLIN, on_upstream_tcp, w,
				     &w->upstream_tcp_source, NULL),
			 0);
	assert_int_equal(dns_upstreams_set(w->server, NAMES(w->upstream_text), NULL), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	dns_server_free(w->server);
	loop_free(w->loop);
	close(w->upstream);
	close(w->upstream_tcp);
	free(w->upstream_text);
	free(w);
	return 0;
}

static void names_on_my_networks(void **state)
{
	struct world *w = *state;

	add_names(w, "db1", "demo-db-1", "demo_back", NAMES((char *)"DB", (char *)"demo-db-1"),
		  "10.0.0.2", NULL);
	add_names(w, "x", "demo-x-1", "demo_other", NAMES((char *)"x"), "10.9.0.2", NULL);
	assert_string_equal(ask(w, "db", DNS_A), "NOERROR 10.0.0.2");
	assert_string_equal(ask(w, "dB", DNS_A), "NOERROR 10.0.0.2");
	assert_string_equal(ask(w, "demo-db-1", DNS_A), "NOERROR 10.0.0.2");
	assert_string_equal(ask(w, "db.demo_back", DNS_A), "NOERROR 10.0.0.2");
	assert_string_equal(ask_tcp(w, "db", DNS_A), "NOERROR 10.0.0.2");
	assert_string_equal(ask(w, "db", DNS_ANY), "NOERROR 10.0.0.2");
	assert_int_equal(w->asked, 0);
	/* Not mine: another network's names are the upstream's business, as any other. */
	assert_string_equal(ask(w, "x", DNS_A), "NOERROR 192.0.2.1");
	assert_string_equal(ask(w, "db.demo_front", DNS_A), "NOERROR 192.0.2.1");
	assert_int_equal(w->asked, 2);
}

static void no_data_is_not_no_name(void **state)
{
	struct world *w = *state;

	add_names(w, "db1", "demo-db-1", "demo_back", NAMES((char *)"db"), "10.0.0.2", NULL);
	add_names(w, "v6", "demo-v6-1", "demo_back", NAMES((char *)"six"), NULL, "fd00::2");
	assert_string_equal(ask(w, "db", DNS_AAAA), "NOERROR");
	assert_string_equal(ask(w, "db", 15 /* MX */), "NOERROR");
	assert_string_equal(ask(w, "db", 65 /* HTTPS */), "NOERROR");
	assert_string_equal(ask(w, "six", DNS_A), "NOERROR");
	assert_string_equal(ask(w, "six", DNS_AAAA), "NOERROR fd00::2");
	assert_int_equal(w->asked, 0);
}

static void replicas_take_turns(void **state)
{
	struct world *w = *state;

	for (int i = 1; i <= 3; i++) {
		char key[16], ip[32];

		snprintf(key, sizeof(key), "w%d", i);
		snprintf(ip, sizeof(ip), "10.0.0.%d", i);
		add_names(w, key, key, "demo_front", NAMES((char *)"web"), ip, NULL);
	}
	assert_string_equal(ask(w, "web", DNS_A), "NOERROR 10.0.0.1 10.0.0.2 10.0.0.3");
	assert_string_equal(ask(w, "web", DNS_A), "NOERROR 10.0.0.2 10.0.0.3 10.0.0.1");
	assert_string_equal(ask(w, "web", DNS_A), "NOERROR 10.0.0.3 10.0.0.1 10.0.0.2");
	assert_true(dns_names_remove(w->server, "w2"));
	assert_false(dns_names_remove(w->server, "w2"));
	assert_string_equal(ask(w, "web", DNS_A), "NOERROR 10.0.0.3 10.0.0.1");
	add_names(w, "w1", "w1", "demo_front", NAMES((char *)"web"), "10.0.0.9", NULL);
	assert_string_equal(ask(w, "web", DNS_A), "NOERROR 10.0.0.3 10.0.0.9");
	dns_names_remove(w->server, "w1");
	dns_names_remove(w->server, "w3");
	assert_string_equal(ask(w, "web", DNS_A), "NOERROR 192.0.2.1");
}

static void many_replicas_are_truncated(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 100; i++) {
		char key[16], ip[32];

		snprintf(key, sizeof(key), "w%d", i);
		snprintf(ip, sizeof(ip), "10.0.1.%d", i);
		add_names(w, key, key, "demo_front", NAMES((char *)"web"), ip, NULL);
	}
	assert_non_null(strstr(ask(w, "web", DNS_A), "NOERROR TC 10.0.1."));
	assert_null(strstr(ask_tcp(w, "web", DNS_A), "TC"));
}

static void reverse(void **state)
{
	struct world *w = *state;

	add_names(w, "db1", "demo-db-1", "demo_back", NAMES((char *)"db"), "10.0.0.2", NULL);
	assert_string_equal(ask(w, "2.0.0.10.in-addr.arpa", DNS_PTR), "NOERROR demo-db-1");
	assert_string_equal(ask(w, "2.0.0.10.in-addr.arpa", DNS_A), "NOERROR");
	/* Its address went to another before its own record is removed. */
	add_names(w, "db2", "demo-db-2", "demo_back", NAMES((char *)"db"), "10.0.0.2", NULL);
	dns_names_remove(w->server, "db1");
	assert_string_equal(ask(w, "2.0.0.10.in-addr.arpa", DNS_PTR), "NOERROR demo-db-2");
	assert_int_equal(w->asked, 0);
}

static void links_are_private(void **state)
{
	struct world *w = *state;
	const struct dns_endpoint_config c = { .key = "c",
					       .networks = NAMES((char *)"demo_back"),
					       .links = NAMES((char *)"Database=db") };

	add_names(w, "db1", "demo-db-1", "demo_back", NAMES((char *)"db"), "10.0.0.2", NULL);
	configure(w, &c);
	assert_string_equal(ask(w, "database", DNS_A), "NOERROR 10.0.0.2");
}

static void internal_only_asks_nobody(void **state)
{
	struct world *w = *state;
	const struct dns_endpoint_config c = { .key = "c",
					       .networks = NAMES((char *)"demo_back"),
					       .internal_only = true,
					       .upstreams = NAMES(w->upstream_text) };

	add_names(w, "db1", "demo-db-1", "demo_back", NAMES((char *)"db"), "10.0.0.2", NULL);
	configure(w, &c);
	assert_string_equal(ask(w, "db", DNS_A), "NOERROR 10.0.0.2");
	assert_string_equal(ask(w, "secret.example.com", DNS_A), "NXDOMAIN");
	assert_string_equal(ask_tcp(w, "secret.example.com", DNS_A), "NXDOMAIN");
	assert_int_equal(w->asked, 0);
}

static void forwarding(void **state)
{
	struct world *w = *state;

	assert_string_equal(ask(w, "example.com", DNS_A), "NOERROR 192.0.2.1");
	assert_string_equal(ask_tcp(w, "example.com", DNS_A), "NOERROR 192.0.2.1");
	w->forge = true;
	assert_string_equal(ask(w, "example.com", DNS_A), "NOERROR 192.0.2.1");
	w->upstream_rcode = DNS_NXDOMAIN;
	assert_string_equal(ask(w, "example.com", DNS_A), "NXDOMAIN");
	w->upstream_rcode = DNS_REFUSED; /* the only upstream's word is handed on */
	assert_string_equal(ask(w, "example.com", DNS_A), "REFUSED");
}

/* Nobody listens on the first one's port: refused at once, no waiting. */
static void next_upstream_when_one_fails(void **state)
{
	struct world *w = *state;
	_cleanup_(free_p) char *dead = NULL;
	uint16_t port = 0;

	close(bound(SOCK_DGRAM, &port));
	dead = xasprintf("127.0.0.1#%u", port);
	assert_int_equal(dns_upstreams_set(w->server, NAMES(dead, w->upstream_text), NULL), 0);
	assert_string_equal(ask(w, "example.com", DNS_A), "NOERROR 192.0.2.1");
	assert_string_equal(ask_tcp(w, "example.com", DNS_A), "NOERROR 192.0.2.1");
	assert_int_equal(dns_upstreams_set(w->server, NAMES(dead), NULL), 0);
	assert_string_equal(ask(w, "example.com", DNS_A), "SERVFAIL");
	assert_string_equal(ask_tcp(w, "example.com", DNS_A), "closed");
	assert_int_equal(dns_upstreams_set(w->server, NULL, NULL), 0);
	assert_string_equal(ask(w, "example.com", DNS_A), "SERVFAIL");
}

static void bad_questions(void **state)
{
	struct world *w = *state;
	struct dns_stats stats;
	uint8_t p[512];
	size_t n = make_query(p, "db", DNS_A);
	const struct answer *a;

	p[2] = 0x28; /* UPDATE */
	a = ask_bytes(w, SOCK_DGRAM, p, n);
	assert_int_equal(dns_reply_rcode(a->msg), DNS_NOTIMP);
	p[2] = 0x01;
	p[n - 1] = 3; /* class CH */
	a = ask_bytes(w, SOCK_DGRAM, p, n);
	assert_int_equal(dns_reply_rcode(a->msg), DNS_REFUSED);
	a = ask_bytes(w, SOCK_DGRAM, p, n - 1);
	assert_int_equal(dns_reply_rcode(a->msg), DNS_FORMERR);
	assert_string_equal(ask(w, "db", 252 /* AXFR */), "REFUSED");
	dns_stats(w->server, &stats);
	assert_int_equal(stats.queries, 4);
	assert_int_equal(stats.bad, 1);
	assert_int_equal(w->asked, 0);
}

/* Two questions in one segment, the second in pieces: both are answered in order. */
static void tcp_framing(void **state)
{
	struct world *w = *state;
	uint8_t p[1024], nonsense[2] = { 0, 3 };
	size_t n;

	add_names(w, "db1", "demo-db-1", "demo_back", NAMES((char *)"db"), "10.0.0.2", NULL);
	n = make_query(p + 2, "db", DNS_A);
	p[0] = 0;
	p[1] = (uint8_t)n;
	memcpy(p + 2 + n, p, 2 + n);
	assert_int_equal(ask_bytes(w, SOCK_STREAM, p, 2 * (2 + n))->n, 2 * (2 + n + 16));
	assert_string_equal(ask_tcp(w, "example.com", DNS_A), "NOERROR 192.0.2.1");
	assert_false(ask_bytes(w, SOCK_STREAM, nonsense, 2)->got);
}

/* An endpoint that goes away with questions on their way takes them along. */
static void removed_while_asking(void **state)
{
	struct world *w = *state;
	struct dns_stats stats;
	uint8_t p[512];
	size_t n = make_query(p, "example.com", DNS_A);
	struct source *limit;
	int fd = dial(SOCK_DGRAM, w->port);

	source_clear(&w->upstream_source); /* it hears nothing */
	for (int i = 0; i < 300; i++)
		assert_int_equal(send(fd, p, n, 0), n);
	limit = loop_add_timer(w->loop, 50 * NSEC_PER_MSEC, give_up, w->loop);
	(void)loop_run(w->loop, NULL);
	source_free(limit);
	dns_stats(w->server, &stats);
	assert_in_range(stats.in_flight, 1, 256);
	assert_true(dns_endpoint_remove(w->server, "c"));
	assert_false(dns_endpoint_remove(w->server, "c"));
	dns_stats(w->server, &stats);
	assert_int_equal(stats.in_flight, 0);
	close(fd);
}

static void bad_configuration(void **state)
{
	struct world *w = *state;
	const struct dns_endpoint_config c = { .key = "new" };
	const struct dns_name_config n = { .network = "x", .ipv4 = "10.0.0" };
	char **keys = dns_endpoint_keys(w->server);
	struct err e = ERR_INIT;

	assert_int_equal(strv_len(keys), 1);
	strv_free(keys);
	assert_int_equal(dns_endpoint_set(w->server, &c, NULL, &e), -ENOENT);
	assert_int_equal(dns_names_set(w->server, "k", "k", &n, 1, &e), -EINVAL);
	assert_null(dns_names_keys(w->server));
	assert_int_equal(dns_upstreams_set(w->server, NAMES((char *)"dns.example"), &e), -EINVAL);
	assert_int_equal(dns_upstreams_set(w->server, NAMES((char *)"1.1.1.1#0"), &e), -EINVAL);
	assert_int_equal(dns_upstreams_set(w->server, NAMES((char *)"fe80::1%2"), &e), 0);
	assert_int_equal(dns_upstreams_set(w->server, NAMES((char *)"::1#5353"), &e), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_on_my_networks),
		TEST(no_data_is_not_no_name),
		TEST(replicas_take_turns),
		TEST(many_replicas_are_truncated),
		TEST(reverse),
		TEST(links_are_private),
		TEST(internal_only_asks_nobody),
		TEST(forwarding),
		TEST(next_upstream_when_one_fails),
		TEST(bad_questions),
		TEST(tcp_framing),
		TEST(removed_while_asking),
		TEST(bad_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
