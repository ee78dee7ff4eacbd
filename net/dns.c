/* net/dns.c: endpoints, and the answer to one question.
 *
 * Every question goes through dns_judge(), which writes a reply, or says that it
 * is to be forwarded or dropped.  Two ways lead there: datagrams, of which a
 * bounded number is taken at a time so that one container's flood leaves the
 * loop to the others; and TCP connections (dns_tcp.c).
 *
 * A forwarded question is a `struct dns_request`, owned by its endpoint and, over
 * TCP, tied to its connection; when either goes away it is cancelled, so the
 * forwarder never calls back into something that is gone.
 */
#include "net/dns.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/strv.h"
#include "net/dns_endpoint.h"

#define UDP_BATCH        32  /* datagrams of one endpoint before the others have a turn */
#define ENDPOINT_FORWARD 256 /* of DNS_FORWARD_MAX */

/* ---- what is answered ---------------------------------------------------- */

/* @name without ".SUFFIX", into @out; false when it does not end so. */
static bool without_suffix(const char *name, const char *suffix, char *out)
{
	size_t n = strlen(name), m = strlen(suffix);

	if (n < m + 2 || name[n - m - 1] != '.' || !streq(name + n - m, suffix))
		return false;
	memcpy(out, name, n - m - 1);
	out[n - m - 1] = '\0';
	return true;
}

static struct dns_rrset *find_name(struct dns_endpoint *ep, const char *name)
{
	const char *link = map_get(&ep->links, name);
	char base[DNS_NAME_TEXT_MAX];
	struct dns_rrset *found;

	if (link)
		name = link;
	STRV_FOREACH (network, ep->networks) {
		found = dns_names_find(ep->server->names, *network, name);
		if (found)
			return found;
	}
	STRV_FOREACH (network, ep->networks) {
		if (!without_suffix(name, *network, base))
			continue;
		found = dns_names_find(ep->server->names, *network, base);
		if (found)
			return found;
	}
	return NULL;
}

static const char *find_reverse(struct dns_endpoint *ep, const char *name)
{
	uint8_t addr[16];
	int family = dns_reverse_parse(name, addr);
	const char *found;

	if (!family)
		return NULL;
	STRV_FOREACH (network, ep->networks) {
		found = dns_names_reverse(ep->server->names, *network, family, addr);
		if (found)
			return found;
	}
	return NULL;
}

static void add_addresses(struct dns_reply *r, struct dns_rrset *set, uint16_t type)
{
	size_t start = set->next++ % set->n;

	for (size_t i = 0; i < set->n; i++) {
		const struct dns_address *a = &set->addrs[(start + i) % set->n];

		if (a->has_v4 && (type == DNS_A || type == DNS_ANY))
			(void)dns_reply_add_a(r, DNS_TTL, &a->v4); /* full: TC says so */
		if (a->has_v6 && (type == DNS_AAAA || type == DNS_ANY))
			(void)dns_reply_add_aaaa(r, DNS_TTL, &a->v6);
	}
}

enum dns_verdict dns_reply_code(struct dns_server *s, const uint8_t *msg, const struct dns_query *q,
				enum dns_rcode rcode, size_t *len)
{
	struct dns_reply r;

	dns_reply_start(&r, s->reply, sizeof(s->reply), q->udp_size, msg, q, rcode);
	*len = dns_reply_finish(&r);
	return DNS_REPLY;
}

/* What we refuse to deal with, as a reply code; DNS_NOERROR: go on. */
static enum dns_rcode objection(const struct dns_query *q)
{
	enum { TYPE_IXFR = 251, TYPE_AXFR = 252 };

	if (q->opcode != 0)
		return DNS_NOTIMP;
	if (q->edns && q->edns_version > 0)
		return DNS_BADVERS;
	if (q->class != DNS_CLASS_IN && q->class != DNS_CLASS_ANY)
		return DNS_REFUSED;
	if (q->type == TYPE_IXFR || q->type == TYPE_AXFR)
		return DNS_REFUSED;
	return DNS_NOERROR;
}

enum dns_verdict dns_judge(struct dns_endpoint *ep, const uint8_t *msg, size_t n, bool tcp,
			   struct dns_query *q, size_t *len)
{
	struct dns_server *s = ep->server;
	const char *reverse = NULL;
	struct dns_rrset *set;
	struct dns_reply r;
	enum dns_rcode no;
	int ret;

	s->stats.queries++;
	ret = dns_query_parse(msg, n, q);
	if (ret < 0) {
		s->stats.bad++;
		return ret == -EBADMSG ? dns_reply_code(s, msg, q, DNS_FORMERR, len) : DNS_DROP;
	}
	no = objection(q);
	if (no != DNS_NOERROR) {
		s->stats.refused++;
		return dns_reply_code(s, msg, q, no, len);
	}
	set = find_name(ep, q->name);
	if (!set)
		reverse = find_reverse(ep, q->name);
	if (!set && !reverse) {
		if (!ep->internal_only)
			return DNS_FORWARD;
		s->stats.refused++;
		return dns_reply_code(s, msg, q, DNS_NXDOMAIN, len);
	}
	s->stats.local++;
	dns_reply_start(&r, s->reply, sizeof(s->reply), tcp ? DNS_MESSAGE_MAX : q->udp_size, msg, q,
			DNS_NOERROR);
	if (set)
		add_addresses(&r, set, q->type);
	else if (q->type == DNS_PTR || q->type == DNS_ANY)
		(void)dns_reply_add_ptr(&r, DNS_TTL, reverse); /* does not fit: TC says so */
	*len = dns_reply_finish(&r);
	return DNS_REPLY;
}

/* ---- forwarding ---------------------------------------------------------- */

void dns_request_free(struct dns_request *q)
{
	struct dns_endpoint *ep = q->endpoint;

	dns_forward_cancel(q->forward);
	*(q->prev ? &q->prev->next : &ep->requests) = q->next;
	if (q->next)
		q->next->prev = q->prev;
	if (q->conn)
		dns_conn_forget_request(q->conn);
	ep->n_requests--;
	free(q);
}

/* A full socket buffer or a client that has gone: datagrams get lost, clients ask again. */
static void send_udp(struct dns_endpoint *ep, const struct sockaddr_in *peer, const void *msg,
		     size_t n)
{
	(void)sendto(ep->udp, msg, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)peer,
		     sizeof(*peer));
}

/* Nobody answered: the client is told so, and stops waiting. */
static uint8_t *failure_of(const struct dns_request *q, size_t *len)
{
	struct dns_server *s = q->endpoint->server;
	struct dns_query query;

	(void)dns_query_parse(q->query, q->n, &query); /* it was parsed before */
	(void)dns_reply_code(s, q->query, &query, DNS_SERVFAIL, len);
	return s->reply;
}

static void on_forwarded(uint8_t *reply, size_t n, void *data)
{
	struct dns_request *q = data;
	struct dns_conn *conn = q->conn;

	q->forward = NULL; /* it has ended by calling us */
	if (conn) {
		dns_request_free(q);
		dns_conn_reply(conn, reply, n);
		return;
	}
	if (n == 0)
		reply = failure_of(q, &n);
	else if (n > q->max)
		n = dns_reply_truncate(reply, n);
	send_udp(q->endpoint, &q->peer, reply, n);
	dns_request_free(q);
}

struct dns_request *dns_request_new(struct dns_endpoint *ep, const void *msg, size_t n,
				    struct dns_conn *conn)
{
	struct dns_server *s = ep->server;
	struct dns_request *q;

	if (ep->n_requests >= ENDPOINT_FORWARD)
		return NULL;
	q = xcalloc(1, sizeof(*q) + (conn ? 0 : n));
	if (!conn) {
		memcpy(q->query, msg, n);
		q->n = n;
	}
	q->forward = dns_forward_start(s->forwarder, ep->upstreams ? ep->upstreams : s->upstreams,
				       conn != NULL, msg, n, on_forwarded, q);
	if (!q->forward) {
		free(q);
		return NULL;
	}
	q->endpoint = ep;
	q->conn = conn;
	q->next = ep->requests;
	if (q->next)
		q->next->prev = q;
	ep->requests = q;
	ep->n_requests++;
	s->stats.forwarded++;
	return q;
}

/* ---- UDP ----------------------------------------------------------------- */

static void serve_datagram(struct dns_endpoint *ep, size_t n, const struct sockaddr_in *peer)
{
	struct dns_server *s = ep->server;
	struct dns_query q;
	struct dns_request *req;
	size_t len = 0;

	switch (dns_judge(ep, s->query, n, false, &q, &len)) {
	case DNS_DROP:
		return;
	case DNS_FORWARD:
		req = dns_request_new(ep, s->query, n, NULL);
		if (req) {
			req->peer = *peer;
			req->max = q.udp_size;
			return;
		}
		(void)dns_reply_code(s, s->query, &q, DNS_SERVFAIL, &len);
		break;
	case DNS_REPLY:
		break;
	}
	send_udp(ep, peer, s->reply, len);
}

static void on_udp(struct source *src, int fd, uint32_t events, void *data)
{
	struct dns_endpoint *ep = data;
	struct dns_server *s = ep->server;

	for (int i = 0; i < UDP_BATCH; i++) {
		struct sockaddr_in peer;
		socklen_t peer_len = sizeof(peer);
		ssize_t n = recvfrom(fd, s->query, sizeof(s->query), MSG_DONTWAIT,
				     (struct sockaddr *)&peer, &peer_len);

		if (n < 0)
			return; /* EAGAIN; or a pending ICMP error, which is now taken off */
		if (n <= DNS_QUERY_MAX)
			serve_datagram(ep, (size_t)n, &peer);
		else
			s->stats.bad++;
	}
}

/* ---- endpoints ----------------------------------------------------------- */

static int open_socket(int type, struct err *e)
{
	const struct sockaddr_in addr = { .sin_family = AF_INET,
					  .sin_port = htons(53),
					  .sin_addr.s_addr = inet_addr(DNS_SERVER_ADDRESS) };
	_cleanup_(fd_closep) int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0)
		return err_errno(e, errno, "open a DNS socket");
	/* Reuse: a container's own server may bind 0.0.0.0:53 over UDP beside ours.
	 * Freebind: "lo" may still be down in a netns this young. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 64) < 0))
		return err_errno(e, errno, "listen on %s:53 in the container", DNS_SERVER_ADDRESS);
	return TAKE_FD(fd);
}

int dns_open_sockets(int fds[2], struct err *e)
{
	_cleanup_(fd_closep) int udp = open_socket(SOCK_DGRAM, e);
	int tcp;

	if (udp < 0)
		return udp;
	tcp = open_socket(SOCK_STREAM, e);
	if (tcp < 0)
		return tcp;
	fds[0] = TAKE_FD(udp);
	fds[1] = tcp;
	return 0;
}

static void endpoint_free(struct dns_endpoint *ep)
{
	while (ep->conns)
		dns_conn_free(ep->conns);
	while (ep->requests)
		dns_request_free(ep->requests);
	source_free(ep->udp_source);
	source_free(ep->tcp_source);
	source_free(ep->pause);
	fd_close(ep->udp);
	fd_close(ep->tcp);
	strv_free(ep->networks);
	map_done(&ep->links);
	dns_upstreams_unref(ep->upstreams);
	free(ep);
}
DEFINE_CLEANUP(struct dns_endpoint *, endpoint_free, endpoint_freep);

static int endpoint_new(struct dns_server *s, const int *fds, struct dns_endpoint **out,
			struct err *e)
{
	_cleanup_(endpoint_freep) struct dns_endpoint *ep = new0(struct dns_endpoint);
	int r;

	ep->server = s;
	ep->udp = fds[0];
	ep->tcp = fds[1];
	ep->links = MAP_INIT_FREE(free);
	r = loop_add_fd(s->loop, ep->udp, EPOLLIN, on_udp, ep, &ep->udp_source, e);
	if (r == 0)
		r = loop_add_fd(s->loop, ep->tcp, EPOLLIN, dns_tcp_on_accept, ep, &ep->tcp_source,
				e);
	if (r < 0)
		return r;
	*out = TAKE_PTR(ep);
	return 0;
}

static int endpoint_configure(struct dns_endpoint *ep, const struct dns_endpoint_config *c,
			      struct err *e)
{
	struct dns_upstreams *upstreams = NULL;

	if (c->upstreams && *c->upstreams) {
		int r = dns_upstreams_new(c->upstreams, &upstreams, e);

		if (r < 0)
			return r;
	}
	dns_upstreams_unref(ep->upstreams);
	ep->upstreams = upstreams;
	ep->internal_only = c->internal_only;
	strv_free(TAKE_PTR(ep->networks));
	STRV_FOREACH (network, c->networks)
		strv_add_take(&ep->networks, dns_names_fold(*network));
	map_done(&ep->links);
	ep->links = MAP_INIT_FREE(free);
	STRV_FOREACH (link, c->links) {
		_cleanup_(free_p) char *alias = dns_names_fold(*link);
		char *eq = strchr(alias, '=');

		if (!eq)
			continue;
		*eq = '\0';
		map_put(&ep->links, alias, xstrdup(eq + 1));
	}
	return 0;
}

int dns_endpoint_set(struct dns_server *s, const struct dns_endpoint_config *c, const int *fds,
		     struct err *e)
{
	struct dns_endpoint *ep = map_get(&s->endpoints, c->key);
	_cleanup_(endpoint_freep) struct dns_endpoint *fresh = NULL;
	int r;

	if (!ep && !fds)
		return err_set(e, ENOENT, "no DNS endpoint for container %.12s", c->key);
	if (fds) {
		r = endpoint_new(s, fds, &fresh, e);
		if (r < 0)
			return r;
	}
	r = endpoint_configure(fresh ? fresh : ep, c, e);
	if (r < 0)
		return r;
	if (fresh)
		map_put(&s->endpoints, c->key, TAKE_PTR(fresh));
	return 0;
}

bool dns_endpoint_remove(struct dns_server *s, const char *key)
{
	return map_remove(&s->endpoints, key);
}

bool dns_endpoint_fds(struct dns_server *s, const char *key, int fds[2])
{
	const struct dns_endpoint *ep = map_get(&s->endpoints, key);

	if (!ep)
		return false;
	fds[0] = ep->udp;
	fds[1] = ep->tcp;
	return true;
}

char **dns_endpoint_keys(struct dns_server *s)
{
	char **keys = NULL;

	MAP_FOREACH (entry, &s->endpoints)
		strv_add(&keys, entry->key);
	return keys;
}

/* ---- the server ---------------------------------------------------------- */

struct dns_server *dns_server_new(struct loop *l)
{
	struct dns_server *s = new0(struct dns_server);

	s->loop = l;
	s->endpoints = MAP_INIT_FREE(endpoint_free);
	s->names = dns_names_new();
	s->forwarder = dns_forwarder_new(l);
	return s;
}

void dns_server_free(struct dns_server *s)
{
	if (!s)
		return;
	map_done(&s->endpoints);
	dns_forwarder_free(s->forwarder);
	dns_upstreams_unref(s->upstreams);
	dns_names_free(s->names);
	free(s);
}

int dns_names_set(struct dns_server *s, const char *key, const char *canonical,
		  const struct dns_name_config *nets, size_t n, struct err *e)
{
	return dns_names_put(s->names, key, canonical, nets, n, e);
}

bool dns_names_remove(struct dns_server *s, const char *key)
{
	return dns_names_drop(s->names, key);
}

char **dns_names_keys(struct dns_server *s)
{
	return dns_names_list(s->names);
}

int dns_upstreams_set(struct dns_server *s, char *const *upstreams, struct err *e)
{
	struct dns_upstreams *fresh;
	int r = dns_upstreams_new(upstreams, &fresh, e);

	if (r < 0)
		return r;
	dns_upstreams_unref(s->upstreams);
	s->upstreams = fresh;
	return 0;
}

void dns_stats(const struct dns_server *s, struct dns_stats *out)
{
	*out = s->stats;
	out->in_flight = dns_forwarder_len(s->forwarder);
}
