/* net/dns_tcp.c: DNS over TCP (RFC 7766), in front of a container.
 *
 * A connection handles one question at a time and reads no further while that
 * is being answered, so what it can make us hold is one query and one reply.
 * conn_run() does all that can be done and then waits for exactly one thing:
 * room to write, a forwarded answer, or more to read.
 */
#include "net/dns_endpoint.h"

#include <sys/socket.h>

#include "base/cleanup.h"

#define ENDPOINT_CONNS  32
#define TCP_IDLE_NS     (10 * NSEC_PER_SEC)
#define ACCEPT_PAUSE_NS (100 * NSEC_PER_MSEC)

struct dns_conn {
	struct dns_endpoint *endpoint;
	struct dns_conn *prev, *next;
	int fd;
	struct source *source; /* NULL while there is nothing to wait for */
	struct source *timer;
	struct dns_request *request; /* the question being forwarded */
	struct buf in, out;
	bool eof;
};

void dns_conn_free(struct dns_conn *c)
{
	struct dns_endpoint *ep = c->endpoint;

	if (c->request)
		dns_request_free(c->request);
	source_free(c->source);
	source_free(c->timer);
	fd_close(c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	*(c->prev ? &c->prev->next : &ep->conns) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	ep->n_conns--;
	ep->server->stats.connections--;
	free(c);
}

static void conn_queue(struct dns_conn *c, const void *msg, size_t n)
{
	buf_addc(&c->out, (char)(n >> 8));
	buf_addc(&c->out, (char)n);
	buf_add(&c->out, msg, n);
}

/* The first whole message in c->in, or 0: more is to come; > DNS_QUERY_MAX: too long. */
static size_t message_len(const struct dns_conn *c)
{
	const uint8_t *p = (const uint8_t *)c->in.data;
	size_t n;

	if (c->in.len < 2)
		return 0;
	n = (size_t)(p[0] << 8 | p[1]);
	return n > DNS_QUERY_MAX || n < DNS_HEADER_LEN || c->in.len >= 2 + n ? MAX(n, (size_t)1)
									     : 0;
}

/* Take the next question if there is one; false: the client talks nonsense. */
static bool serve_message(struct dns_conn *c)
{
	struct dns_server *s = c->endpoint->server;
	const uint8_t *msg = (const uint8_t *)c->in.data + 2;
	size_t n = message_len(c), len = 0;
	enum dns_verdict verdict;
	struct dns_query q;

	if (n > DNS_QUERY_MAX || n < DNS_HEADER_LEN)
		return false;
	verdict = dns_judge(c->endpoint, msg, n, true, &q, &len);
	if (verdict == DNS_FORWARD) {
		c->request = dns_request_new(c->endpoint, msg, n, c);
		if (!c->request)
			verdict = dns_reply_code(s, msg, &q, DNS_SERVFAIL, &len);
	}
	if (verdict == DNS_REPLY)
		conn_queue(c, s->reply, len);
	buf_consume(&c->in, 2 + n);
	return verdict != DNS_DROP;
}

/* False: the connection is broken. */
static bool conn_flush(struct dns_conn *c)
{
	while (c->out.len > 0) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		buf_consume(&c->out, (size_t)n);
		source_set_timer(c->timer, TCP_IDLE_NS);
	}
	return true;
}

static bool conn_fill(struct dns_conn *c)
{
	size_t room = 2 + DNS_QUERY_MAX - c->in.len;
	char chunk[2 + DNS_QUERY_MAX];
	ssize_t n;

	if (c->eof || room == 0)
		return true;
	n = recv(c->fd, chunk, room, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->eof = n == 0;
	buf_add(&c->in, chunk, (size_t)n);
	return true;
}

static void on_conn(struct source *src, int fd, uint32_t events, void *data);

/* Wait for what can happen next.  With nothing to wait for the descriptor leaves
 * the loop: epoll reports EPOLLHUP whether asked or not, and would spin. */
static bool conn_watch(struct dns_conn *c)
{
	uint32_t events = c->out.len > 0 ? EPOLLOUT : c->request || c->eof ? 0 : EPOLLIN;

	if (!events) {
		source_clear(&c->source);
		return true;
	}
	if (c->source)
		return source_set_events(c->source, events) == 0;
	return loop_add_fd(c->endpoint->server->loop, c->fd, events, on_conn, c, &c->source,
			   NULL) == 0;
}

/* Go on as far as possible; the connection may be gone afterwards. */
static void conn_run(struct dns_conn *c)
{
	for (;;) {
		if (!conn_flush(c))
			break;
		if (c->out.len > 0 || c->request || message_len(c) == 0) {
			bool done = c->eof && c->out.len == 0 && !c->request;

			if (done || !conn_watch(c))
				break;
			return;
		}
		if (!serve_message(c))
			break;
	}
	dns_conn_free(c);
}

void dns_conn_reply(struct dns_conn *c, const uint8_t *msg, size_t n)
{
	if (n == 0) { /* nobody answered; a closed connection says so soonest */
		dns_conn_free(c);
		return;
	}
	conn_queue(c, msg, n);
	source_set_timer(c->timer, TCP_IDLE_NS);
	conn_run(c);
}

static void on_conn(struct source *src, int fd, uint32_t events, void *data)
{
	struct dns_conn *c = data;

	if ((events & EPOLLERR) || ((events & EPOLLIN) && !conn_fill(c))) {
		dns_conn_free(c);
		return;
	}
	conn_run(c);
}

static void on_idle(struct source *src, void *data)
{
	struct dns_conn *c = data;

	if (c->request)
		source_set_timer(c->timer, TCP_IDLE_NS); /* the forward has its own end */
	else
		dns_conn_free(c);
}

static void on_pause_over(struct source *src, void *data)
{
	struct dns_endpoint *ep = data;

	source_clear(&ep->pause);
	(void)source_set_events(ep->tcp_source, EPOLLIN); /* it is registered: cannot fail */
}

/* Without descriptors the listening socket stays readable: look away for a while. */
static void accept_failed(struct dns_endpoint *ep, int code)
{
	if (code != EMFILE && code != ENFILE && code != ENOBUFS && code != ENOMEM)
		return;
	(void)source_set_events(ep->tcp_source, 0);
	if (!ep->pause)
		ep->pause = loop_add_timer(ep->server->loop, ACCEPT_PAUSE_NS, on_pause_over, ep);
}

void dns_tcp_on_accept(struct source *src, int fd, uint32_t events, void *data)
{
	struct dns_endpoint *ep = data;
	struct dns_conn *c;
	int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (sock < 0) {
		accept_failed(ep, errno);
		return;
	}
	if (ep->n_conns >= ENDPOINT_CONNS) {
		fd_close(sock);
		return;
	}
	c = new0(struct dns_conn);
	c->endpoint = ep;
	c->fd = sock;
	c->timer = loop_add_timer(ep->server->loop, TCP_IDLE_NS, on_idle, c);
	c->next = ep->conns;
	if (c->next)
		c->next->prev = c;
	ep->conns = c;
	ep->n_conns++;
	ep->server->stats.connections++;
	if (!conn_watch(c))
		dns_conn_free(c);
}

void dns_conn_forget_request(struct dns_conn *c)
{
	c->request = NULL;
}
