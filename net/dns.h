/* net/dns.h: the embedded DNS server, 127.0.0.11:53 in every container's netns.
 *
 * One `struct dns_server` serves all containers of a project on one event loop.
 * An *endpoint* is a container's pair of sockets and what it may see; the *names*
 * are what containers are called on which network.
 *
 * What is answered here, for the networks an endpoint is attached to (the first
 * one that knows the name wins):
 *	- NAME and NAME.NETWORK, also through the endpoint's own links: A and AAAA
 *	  with every address, starting at another one each time; other types, and
 *	  AAAA where there is only IPv4, get an empty answer (NODATA) and never
 *	  NXDOMAIN, which would make a client give up on the A record as well;
 *	- reverse names of addresses on those networks: NAME.NETWORK.
 * TTL is 600 s, as Docker's.  Search domains are the client's business (it is
 * told them in resolv.conf): names are taken as asked, so nothing here can hide
 * a real db.example.com behind a service called db.
 *
 * The rest is forwarded from this process's netns: a fresh connected UDP socket
 * with a random id for each query (or TCP when the client came by TCP), the next
 * upstream after 2 s or a failure, two attempts (three with three upstreams), then
 * SERVFAIL to a datagram or the end of a connection.  An upstream that did not answer is tried
 * last for 30 s.  An endpoint that is internal_only gets NXDOMAIN at once
 * (CVE-2024-29018): SERVFAIL and REFUSED would be as true, but musl waits five
 * seconds on either.
 *
 * Limits: 1024 forwarded queries in flight, 256 of them for one endpoint (above:
 * SERVFAIL); 32 TCP connections an endpoint, 10 s idle; queries up to 4096 bytes.
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "base/err.h"
#include "base/loop.h"

#define DNS_SERVER_ADDRESS "127.0.0.11"
#define DNS_TTL            600

struct dns_server;

struct dns_server *dns_server_new(struct loop *l);
/* Closes every socket it was given. */
void dns_server_free(struct dns_server *s);

/**
 * dns_open_sockets() - open the two sockets of an endpoint
 * @fds: out: UDP socket, TCP listening socket; the caller's to close
 *
 * To be called inside the container's netns; the sockets belong to that netns
 * for ever.  Non-blocking, so ready to be handed to dns_endpoint_set().
 */
int dns_open_sockets(int fds[2], struct err *e);

struct dns_endpoint_config {
	const char *key;        /* container id */
	char *const *networks;  /* in order of preference */
	bool internal_only;     /* forward nothing */
	char *const *upstreams; /* addresses; NULL or empty: the server's */
	char *const *links;     /* "ALIAS=NAME": ALIAS means NAME for this container alone */
};

/* Add or change.  @fds (taken over, also on failure) may be NULL for an
 * endpoint that exists: then -ENOENT when it does not. */
int dns_endpoint_set(struct dns_server *s, const struct dns_endpoint_config *c, const int *fds,
		     struct err *e);
bool dns_endpoint_remove(struct dns_server *s, const char *key);
/* Borrow the sockets; false when there is no such endpoint. */
bool dns_endpoint_fds(struct dns_server *s, const char *key, int fds[2]);

/* One container's place on one network. */
struct dns_name_config {
	const char *network;
	char *const *names;      /* service, container, short id, aliases; in any case */
	const char *ipv4, *ipv6; /* NULL: none */
};

/* Replace what is known of container @key.  @canonical is the name given for
 * its addresses (PTR).  Refuses bad addresses (-EINVAL), changing nothing then. */
int dns_names_set(struct dns_server *s, const char *key, const char *canonical,
		  const struct dns_name_config *nets, size_t n, struct err *e);
bool dns_names_remove(struct dns_server *s, const char *key);

/* Where the rest goes: IPv4 or IPv6 addresses, optionally "ADDRESS#PORT"; an
 * IPv6 zone is an interface number (fe80::1%2).  The first eight count.  Refuses
 * bad ones (-EINVAL). */
int dns_upstreams_set(struct dns_server *s, char *const *upstreams, struct err *e);

/* Keys, for telling a supervisor what is held; caller frees with strv_free(). */
char **dns_endpoint_keys(struct dns_server *s);
char **dns_names_keys(struct dns_server *s);

struct dns_stats {
	uint64_t queries, local, forwarded, refused, bad;
	size_t in_flight, connections;
};
void dns_stats(const struct dns_server *s, struct dns_stats *out);

#endif
