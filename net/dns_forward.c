/* net/dns_forward.c: one socket per question, one timer for all.
 *
 * Every attempt has the same 2 s, so the list of forwards in the order in which
 * their attempt started is also the order of their deadlines: the timer looks
 * at the head only, and a new attempt moves to the tail.
 *
 * An attempt fails by time, by a socket error (ICMP "unreachable" arrives as
 * ECONNREFUSED on a connected socket), or by SERVFAIL/REFUSED/NOTIMP from the
 * server; the last such reply is handed on when nobody had a better one.
 */
#include "net/dns_forward.h"

#include <arpa/inet.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"
#include "net/dns_message.h"

#define MAX_UPSTREAMS 8
#define MAX_ATTEMPTS  3 /* of a list of three or more, else two: 4 s, less than clients wait */
#define ATTEMPT_NS    (2 * NSEC_PER_SEC)
#define SHUN_NS       (30 * NSEC_PER_SEC)

struct upstream {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
	uint64_t shunned_until; /* CLOCK_MONOTONIC ns: it did not answer lately */
};

struct dns_upstreams {
	unsigned int refs;
	size_t n;
	struct upstream servers[MAX_UPSTREAMS];
};

struct dns_forward {
	struct dns_forwarder *forwarder;
	struct dns_forward *prev, *next;
	struct dns_upstreams *upstreams;
	uint8_t order[MAX_ATTEMPTS]; /* which server each attempt asks */
	unsigned int attempt, max_attempts;
	uint64_t deadline;
	bool tcp;
	int fd;
	struct source *source;
	uint16_t client_id;
	struct buf query; /* over TCP with its two bytes of length in front */
	size_t sent;
	struct buf reply;   /* TCP: what has arrived */
	struct buf failure; /* an error reply, kept for when nobody has a better one */
	dns_forward_fn fn;
	void *data;
};

struct dns_forwarder {
	struct loop *loop;
	struct source *timer;
	struct dns_forward *head, *tail;
	size_t n, n_tcp;
	uint8_t buf[DNS_MESSAGE_MAX];
};

static bool parse_server(const char *text, struct upstream *u)
{
	_cleanup_(free_p) char *host = xstrndup(text, strcspn(text, "#"));
	const char *hash = strchr(text, '#');
	uint64_t port = 53, zone = 0;
	char *percent;

	if (hash && (!parse_u64(hash + 1, &port) || port == 0 || port > 65535))
		return false;
	if (inet_pton(AF_INET, host, &u->in.sin_addr) == 1) {
		u->in.sin_family = AF_INET;
		u->in.sin_port = htons((uint16_t)port);
		u->len = sizeof(u->in);
		return true;
	}
	percent = strchr(host, '%');
	if (percent) {
		*percent = '\0';
		if (!parse_u64(percent + 1, &zone) || zone > UINT32_MAX)
			return false;
	}
	if (inet_pton(AF_INET6, host, &u->in6.sin6_addr) != 1)
		return false;
	u->in6.sin6_family = AF_INET6;
	u->in6.sin6_port = htons((uint16_t)port);
	u->in6.sin6_scope_id = (uint32_t)zone;
	u->len = sizeof(u->in6);
	return true;
}

int dns_upstreams_new(char *const *servers, struct dns_upstreams **out, struct err *e)
{
	struct dns_upstreams *u = new0(struct dns_upstreams);

	u->refs = 1;
	STRV_FOREACH (s, servers) {
		struct upstream one = { 0 };

		if (!parse_server(*s, &one)) {
			free(u);
			return err_set(e, EINVAL, "\"%s\" is no address of a DNS server", *s);
		}
		if (u->n < MAX_UPSTREAMS)
			u->servers[u->n++] = one;
	}
	*out = u;
	return 0;
}

struct dns_upstreams *dns_upstreams_ref(struct dns_upstreams *u)
{
	u->refs++;
	return u;
}

void dns_upstreams_unref(struct dns_upstreams *u)
{
	if (u && --u->refs == 0)
		free(u);
}

size_t dns_upstreams_len(const struct dns_upstreams *u)
{
	return u ? u->n : 0;
}

/* Servers in order, those that are shunned behind the others. */
static void choose_order(struct dns_forward *q)
{
	const struct dns_upstreams *u = q->upstreams;
	uint8_t order[MAX_UPSTREAMS], n = 0;
	uint64_t now = now_mono_ns();

	for (int shunned = 0; shunned < 2; shunned++)
		for (uint8_t i = 0; i < u->n; i++)
			if ((u->servers[i].shunned_until > now) == shunned)
				order[n++] = i;
	q->max_attempts = n < MAX_ATTEMPTS ? MAX_ATTEMPTS - 1 : MAX_ATTEMPTS;
	for (unsigned int i = 0; i < q->max_attempts; i++)
		q->order[i] = order[i % n];
}

static void unlink_forward(struct dns_forward *q)
{
	struct dns_forwarder *f = q->forwarder;

	*(q->prev ? &q->prev->next : &f->head) = q->next;
	*(q->next ? &q->next->prev : &f->tail) = q->prev;
	q->prev = q->next = NULL;
}

static void append_forward(struct dns_forward *q)
{
	struct dns_forwarder *f = q->forwarder;

	q->prev = f->tail;
	*(f->tail ? &f->tail->next : &f->head) = q;
	f->tail = q;
	q->deadline = now_mono_ns() + ATTEMPT_NS;
	if (f->head == q)
		source_set_timer(f->timer, ATTEMPT_NS);
}

static void close_attempt(struct dns_forward *q)
{
	source_clear(&q->source);
	q->fd = fd_close(q->fd);
	q->reply.len = 0;
	q->sent = 0;
}

void dns_forward_cancel(struct dns_forward *q)
{
	if (!q)
		return;
	close_attempt(q);
	unlink_forward(q);
	q->forwarder->n--;
	q->forwarder->n_tcp -= q->tcp;
	dns_upstreams_unref(q->upstreams);
	buf_done(&q->query);
	buf_done(&q->reply);
	buf_done(&q->failure);
	free(q);
}

static uint8_t *query_message(struct dns_forward *q)
{
	return (uint8_t *)q->query.data + (q->tcp ? 2 : 0);
}

/* Hand the reply over; @reply may lie inside the forward. */
static void finish(struct dns_forward *q, uint8_t *reply, size_t n)
{
	struct buf own = q->tcp ? q->reply : BUF_INIT, failure = q->failure;
	dns_forward_fn fn = q->fn;
	void *data = q->data;

	if (q->tcp)
		q->reply = BUF_INIT;
	q->failure = BUF_INIT;
	if (n)
		dns_set_id(reply, q->client_id);
	dns_forward_cancel(q);
	fn(reply, n, data);
	buf_done(&own);
	buf_done(&failure);
}

static bool start_attempt(struct dns_forward *q);

static void shun(struct dns_forward *q)
{
	q->upstreams->servers[q->order[q->attempt]].shunned_until = now_mono_ns() + SHUN_NS;
}

static void next_attempt(struct dns_forward *q)
{
	do {
		close_attempt(q);
		if (++q->attempt == q->max_attempts) {
			finish(q, (uint8_t *)q->failure.data, q->failure.len);
			return;
		}
		unlink_forward(q);
		append_forward(q);
	} while (!start_attempt(q));
}

/* A reply that is ours: done, unless it is a failure another server may not have. */
static void take_reply(struct dns_forward *q, uint8_t *reply, size_t n)
{
	enum dns_rcode rcode = dns_reply_rcode(reply);

	if (rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN || q->attempt + 1 >= q->upstreams->n) {
		q->upstreams->servers[q->order[q->attempt]].shunned_until = 0;
		finish(q, reply, n);
		return;
	}
	q->failure.len = 0;
	buf_add(&q->failure, reply, n);
	next_attempt(q);
}

static void on_udp(struct source *s, int fd, uint32_t events, void *data)
{
	struct dns_forward *q = data;
	struct dns_forwarder *f = q->forwarder;

	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(fd, f->buf, sizeof(f->buf), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			shun(q);
			next_attempt(q);
			return;
		}
		if (dns_reply_matches(f->buf, (size_t)n, query_message(q), q->query.len)) {
			take_reply(q, f->buf, (size_t)n);
			return;
		}
	}
}

/* True while there is more to wait for, false when the attempt has failed. */
static bool tcp_send(struct dns_forward *q)
{
	while (q->sent < q->query.len) {
		ssize_t n = send(q->fd, q->query.data + q->sent, q->query.len - q->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		q->sent += (size_t)n;
	}
	return source_set_events(q->source, EPOLLIN) == 0;
}

/* Bytes still missing of the two of length and the message behind them. */
static size_t tcp_missing(const struct buf *b)
{
	const uint8_t *p = (const uint8_t *)b->data;

	return (b->len < 2 ? 2 : 2u + (size_t)(p[0] << 8 | p[1])) - b->len;
}

static bool tcp_receive(struct dns_forward *q)
{
	size_t missing;

	while ((missing = tcp_missing(&q->reply)) > 0) {
		ssize_t n = recv(q->fd, q->forwarder->buf, missing, MSG_DONTWAIT);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		buf_add(&q->reply, q->forwarder->buf, (size_t)n);
	}
	return true;
}

static void on_tcp(struct source *s, int fd, uint32_t events, void *data)
{
	struct dns_forward *q = data;
	uint8_t *msg;
	bool ok;

	ok = q->sent < q->query.len ? tcp_send(q) : tcp_receive(q);
	if (!ok) {
		shun(q);
		next_attempt(q);
		return;
	}
	if (q->reply.len < 2 || tcp_missing(&q->reply) > 0)
		return;
	msg = (uint8_t *)q->reply.data + 2;
	if (dns_reply_matches(msg, q->reply.len - 2, query_message(q), q->query.len - 2))
		take_reply(q, msg, q->reply.len - 2);
	else
		next_attempt(q);
}

static bool start_attempt(struct dns_forward *q)
{
	const struct upstream *u = &q->upstreams->servers[q->order[q->attempt]];
	int type = (q->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	uint16_t id;

	q->fd = socket(u->sa.sa_family, type, 0);
	if (q->fd < 0)
		return false;
	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return false;
	dns_set_id(query_message(q), id);
	if (connect(q->fd, &u->sa, u->len) < 0 && errno != EINPROGRESS)
		return false;
	if (!q->tcp && send(q->fd, q->query.data, q->query.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	return loop_add_fd(q->forwarder->loop, q->fd, q->tcp ? EPOLLOUT : EPOLLIN,
			   q->tcp ? on_tcp : on_udp, q, &q->source, NULL) == 0;
}

static void on_deadline(struct source *s, void *data)
{
	struct dns_forwarder *f = data;
	uint64_t now = now_mono_ns();

	while (f->head && f->head->deadline <= now) {
		struct dns_forward *q = f->head;

		shun(q);
		next_attempt(q);
	}
	if (f->head)
		source_set_timer(f->timer, f->head->deadline - now);
}

struct dns_forwarder *dns_forwarder_new(struct loop *l)
{
	struct dns_forwarder *f = new0(struct dns_forwarder);

	f->loop = l;
	f->timer = loop_add_timer(l, ATTEMPT_NS, on_deadline, f);
	return f;
}

void dns_forwarder_free(struct dns_forwarder *f)
{
	if (!f)
		return;
	while (f->head)
		dns_forward_cancel(f->head);
	source_free(f->timer);
	free(f);
}

size_t dns_forwarder_len(const struct dns_forwarder *f)
{
	return f->n;
}

struct dns_forward *dns_forward_start(struct dns_forwarder *f, struct dns_upstreams *u, bool tcp,
				      const void *query, size_t n, dns_forward_fn fn, void *data)
{
	struct dns_forward *q;

	if (dns_upstreams_len(u) == 0 || f->n >= DNS_FORWARD_MAX ||
	    (tcp && f->n_tcp >= DNS_FORWARD_MAX_TCP))
		return NULL;
	q = new0(struct dns_forward);
	q->forwarder = f;
	q->upstreams = dns_upstreams_ref(u);
	q->tcp = tcp;
	q->fd = -EBADF;
	q->client_id = dns_id(query);
	q->fn = fn;
	q->data = data;
	if (tcp) {
		buf_addc(&q->query, (char)(n >> 8));
		buf_addc(&q->query, (char)n);
	}
	buf_add(&q->query, query, n);
	choose_order(q);
	f->n++;
	f->n_tcp += tcp;
	append_forward(q);
	while (!start_attempt(q)) {
		close_attempt(q);
		if (++q->attempt == q->max_attempts) {
			dns_forward_cancel(q);
			return NULL;
		}
	}
	return q;
}
