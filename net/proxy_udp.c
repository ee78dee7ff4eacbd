/* net/proxy_udp.c: datagrams, and who is talking to whom.
 *
 * A client is known by its address and the local address it wrote to; each has
 * its own connected socket towards the container, so replies find their way
 * back by the descriptor they arrive on.  Clients hang in a hash table for
 * lookup and in a list by last use, whose head is the first to expire and the
 * one that makes room.
 *
 * Replies must leave from the address that was written to, which on a socket
 * bound to 0.0.0.0 the routing table would not always choose: hence
 * IP_PKTINFO both ways (ip(7), ipv6(7)).
 */
#include "net/proxy_relay.h"

#include <sys/uio.h>

#include "base/cleanup.h"

#define MAX_CLIENTS 1024
#define N_BUCKETS   1024
#define IDLE_NS     (90 * NSEC_PER_SEC)
#define BATCH       64 /* datagrams before others have a turn */
#define DATAGRAM    65535

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct local_address {
	int family; /* 0: not known */
	union {
		struct in_pktinfo v4;
		struct in6_pktinfo v6;
	};
};

struct client {
	struct udp_relay *relay;
	struct client *prev, *next; /* by last use */
	struct client *chain;       /* of its bucket */
	struct relay_address peer;
	struct local_address local;
	int fd;
	struct source *source;
	uint64_t last;
};

struct udp_relay {
	struct relay_pool *pool;
	int fd;
	struct source *source, *timer;
	struct relay_address target;
	struct client *head, *tail;
	struct client *buckets[N_BUCKETS];
	size_t n;
	uint8_t buf[DATAGRAM];
};

static size_t mix(size_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n--)
		h = (h ^ *b++) * 1099511628211u; /* FNV-1a */
	return h;
}

static size_t bucket_of(const struct relay_address *peer)
{
	size_t h = 14695981039346656037u;

	if (peer->sa.sa_family == AF_INET)
		h = mix(mix(h, &peer->in.sin_addr, 4), &peer->in.sin_port, 2);
	else
		h = mix(mix(h, &peer->in6.sin6_addr, 16), &peer->in6.sin6_port, 2);
	return (h ^ h >> 20) % N_BUCKETS;
}

static bool same_peer(const struct relay_address *a, const struct relay_address *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in.sin_port == b->in.sin_port &&
		       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	return a->in6.sin6_port == b->in6.sin6_port &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
	       memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
}

static bool same_local(const struct local_address *a, const struct local_address *b)
{
	if (a->family != b->family)
		return false;
	if (a->family == AF_INET)
		return a->v4.ipi_addr.s_addr == b->v4.ipi_addr.s_addr;
	return a->family == 0 || memcmp(&a->v6.ipi6_addr, &b->v6.ipi6_addr, 16) == 0;
}

/* ---- clients ------------------------------------------------------------- */

static void unlink_client(struct client *c)
{
	struct udp_relay *r = c->relay;

	*(c->prev ? &c->prev->next : &r->head) = c->next;
	*(c->next ? &c->next->prev : &r->tail) = c->prev;
}

static void append_client(struct client *c)
{
	struct udp_relay *r = c->relay;

	c->next = NULL;
	c->prev = r->tail;
	*(r->tail ? &r->tail->next : &r->head) = c;
	r->tail = c;
}

static void client_free(struct client *c)
{
	struct udp_relay *r = c->relay;
	struct client **p = &r->buckets[bucket_of(&c->peer)];

	while (*p != c)
		p = &(*p)->chain;
	*p = c->chain;
	unlink_client(c);
	source_free(c->source);
	fd_close(c->fd);
	r->n--;
	r->pool->n--;
	r->pool->stats.clients--;
	free(c);
}

static void touch(struct client *c)
{
	c->last = now_mono_ns();
	if (c->relay->tail != c) {
		unlink_client(c);
		append_client(c);
	}
}

static void on_reply(struct source *src, int fd, uint32_t events, void *data);

static struct client *client_new(struct udp_relay *r, const struct relay_address *peer,
				 const struct local_address *local)
{
	const struct relay_address *to = &r->target;
	_cleanup_(fd_closep) int fd = -EBADF;
	struct client *c;

	if (r->n >= MAX_CLIENTS || (r->head && r->pool->n >= r->pool->max))
		client_free(r->head);
	if (r->pool->n >= r->pool->max)
		return NULL;
	fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, &to->sa, to->len) < 0)
		return NULL;
	c = new0(struct client);
	c->relay = r;
	c->peer = *peer;
	c->local = *local;
	c->fd = fd;
	if (loop_add_fd(r->pool->loop, fd, EPOLLIN, on_reply, c, &c->source, NULL) < 0) {
		free(c);
		return NULL;
	}
	(void)TAKE_FD(fd); /* it is c->fd now */
	c->chain = r->buckets[bucket_of(peer)];
	r->buckets[bucket_of(peer)] = c;
	append_client(c);
	if (r->n++ == 0)
		source_set_timer(r->timer, IDLE_NS);
	r->pool->n++;
	r->pool->stats.clients++;
	return c;
}

static struct client *client_get(struct udp_relay *r, const struct relay_address *peer,
				 const struct local_address *local)
{
	for (struct client *c = r->buckets[bucket_of(peer)]; c; c = c->chain)
		if (same_peer(&c->peer, peer) && same_local(&c->local, local))
			return c;
	return client_new(r, peer, local);
}

static void on_idle(struct source *src, void *data)
{
	struct udp_relay *r = data;
	uint64_t now = now_mono_ns();

	while (r->head && r->head->last + IDLE_NS <= now)
		client_free(r->head);
	if (r->head)
		source_set_timer(r->timer, r->head->last + IDLE_NS - now);
}

/* ---- datagrams ----------------------------------------------------------- */

static void read_local(struct msghdr *msg, struct local_address *out)
{
	*out = (struct local_address){ 0 };
	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
		if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
			out->family = AF_INET;
			memcpy(&out->v4, CMSG_DATA(h), sizeof(out->v4));
		} else if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
			out->family = AF_INET6;
			memcpy(&out->v6, CMSG_DATA(h), sizeof(out->v6));
		}
	}
}

/* The address to send from.  The interface is left to routing, but for link-local
 * addresses, which mean nothing without one. */
static void write_local(struct msghdr *msg, union control *control, const struct local_address *a)
{
	struct in_pktinfo v4 = { .ipi_spec_dst = a->v4.ipi_spec_dst };
	struct in6_pktinfo v6 = a->v6;
	size_t n = a->family == AF_INET ? sizeof(v4) : sizeof(v6);
	struct cmsghdr *h = &control->align;

	if (!a->family)
		return;
	if (a->family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&v6.ipi6_addr))
		v6.ipi6_ifindex = 0;
	memset(control, 0, sizeof(*control));
	h->cmsg_level = a->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	h->cmsg_type = a->family == AF_INET ? IP_PKTINFO : IPV6_PKTINFO;
	h->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(h), a->family == AF_INET ? (void *)&v4 : (void *)&v6, n);
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(n);
}

/* From the container to the client. */
static void on_reply(struct source *src, int fd, uint32_t events, void *data)
{
	struct client *c = data;
	struct udp_relay *r = c->relay;
	union control control;

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(fd, r->buf, sizeof(r->buf), MSG_DONTWAIT);
		struct iovec iov = { .iov_base = r->buf, .iov_len = (size_t)n };
		struct msghdr msg = { .msg_name = &c->peer.sa,
				      .msg_namelen = c->peer.len,
				      .msg_iov = &iov,
				      .msg_iovlen = 1 };

		if (n < 0)
			return; /* nothing more; or "port unreachable", now taken off */
		r->pool->stats.datagrams++;
		write_local(&msg, &control, &c->local);
		(void)sendmsg(r->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL); /* UDP may lose */
		touch(c);
	}
}

/* From a client to the container. */
static bool forward_one(struct udp_relay *r)
{
	struct relay_address peer = { .len = sizeof(peer.in6) };
	struct iovec iov = { .iov_base = r->buf, .iov_len = sizeof(r->buf) };
	union control control;
	struct msghdr msg = { .msg_name = &peer.sa,
			      .msg_namelen = peer.len,
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct local_address local;
	ssize_t n = recvmsg(r->fd, &msg, MSG_DONTWAIT);
	struct client *c;

	if (n < 0)
		return false;
	peer.len = msg.msg_namelen;
	r->pool->stats.datagrams++;
	if (!r->target.len)
		return true;
	read_local(&msg, &local);
	c = client_get(r, &peer, &local);
	if (!c) {
		r->pool->stats.refused++;
		return true;
	}
	(void)send(c->fd, r->buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL); /* UDP may lose */
	touch(c);
	return true;
}

static void on_datagram(struct source *src, int fd, uint32_t events, void *data)
{
	struct udp_relay *r = data;

	for (int i = 0; i < BATCH; i++)
		if (!forward_one(r))
			return;
}

int udp_relay_new(struct relay_pool *pool, int fd, struct udp_relay **out, struct err *e)
{
	struct udp_relay *r = new0(struct udp_relay);
	const int on = 1;
	int ret;

	r->pool = pool;
	r->fd = fd;
	/* One of the two fails, by the socket's family. */
	(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	r->timer = loop_add_timer(pool->loop, IDLE_NS, on_idle, r);
	ret = loop_add_fd(pool->loop, fd, EPOLLIN, on_datagram, r, &r->source, e);
	if (ret < 0) {
		udp_relay_free(r);
		return ret;
	}
	*out = r;
	return 0;
}

void udp_relay_free(struct udp_relay *r)
{
	if (!r)
		return;
	while (r->head)
		client_free(r->head);
	source_free(r->source);
	source_free(r->timer);
	fd_close(r->fd);
	free(r);
}

void udp_relay_set_target(struct udp_relay *r, const struct relay_address *target)
{
	if (r->target.len == target->len && memcmp(&r->target.in6, &target->in6, target->len) == 0)
		return;
	while (r->head)
		client_free(r->head);
	r->target = *target;
}
