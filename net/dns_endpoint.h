/* net/dns_endpoint.h: what net/dns.c and net/dns_tcp.c share; nobody else's. */
#ifndef NET_DNS_ENDPOINT_H
#define NET_DNS_ENDPOINT_H

#include <netinet/in.h>

#include "base/buf.h"
#include "base/map.h"
#include "net/dns.h"
#include "net/dns_forward.h"
#include "net/dns_message.h"
#include "net/dns_names.h"

#define DNS_QUERY_MAX 4096

/* A question that is being forwarded. */
struct dns_request {
	struct dns_endpoint *endpoint;
	struct dns_request *prev, *next;
	struct dns_forward *forward;
	struct dns_conn *conn; /* NULL: over UDP, then @peer and @max count */
	struct sockaddr_in peer;
	size_t max;
	size_t n;        /* of @query, kept for the SERVFAIL at the end */
	uint8_t query[]; /* UDP only */
};

struct dns_endpoint {
	struct dns_server *server;
	int udp, tcp;
	struct source *udp_source, *tcp_source;
	struct source *pause; /* accepting stopped for want of descriptors */
	char **networks;      /* lower case */
	struct map links;
	bool internal_only;
	struct dns_upstreams *upstreams; /* NULL: the server's */
	struct dns_request *requests;
	struct dns_conn *conns;
	size_t n_requests, n_conns;
};

struct dns_server {
	struct loop *loop;
	struct map endpoints;
	struct dns_names *names;
	struct dns_upstreams *upstreams;
	struct dns_forwarder *forwarder;
	struct dns_stats stats;
	uint8_t query[DNS_QUERY_MAX + 1], reply[DNS_MESSAGE_MAX];
};

enum dns_verdict { DNS_DROP, DNS_REPLY, DNS_FORWARD };

/* What to do with one question.  A reply goes to server->reply, its length to *len. */
enum dns_verdict dns_judge(struct dns_endpoint *ep, const uint8_t *msg, size_t n, bool tcp,
			   struct dns_query *q, size_t *len);
/* A reply that says only @rcode; returns DNS_REPLY. */
enum dns_verdict dns_reply_code(struct dns_server *s, const uint8_t *msg, const struct dns_query *q,
				enum dns_rcode rcode, size_t *len);
/* @conn: NULL over UDP.  NULL: could not be forwarded. */
struct dns_request *dns_request_new(struct dns_endpoint *ep, const void *msg, size_t n,
				    struct dns_conn *conn);
void dns_request_free(struct dns_request *q);

/* dns_tcp.c */
void dns_tcp_on_accept(struct source *src, int fd, uint32_t events, void *endpoint);
void dns_conn_free(struct dns_conn *c);
/* The request of this connection has ended; n = 0: nobody answered. */
void dns_conn_reply(struct dns_conn *c, const uint8_t *msg, size_t n);
void dns_conn_forget_request(struct dns_conn *c);

#endif
