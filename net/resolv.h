/* net/resolv.h: resolv.conf and hosts files: the host's in, a container's out.
 *
 * All pure but resolv_read_host(). */
#ifndef NET_RESOLV_H
#define NET_RESOLV_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"

#define RESOLV_DNS_ADDRESS "127.0.0.11" /* comp's server in each container; many files name it */

struct resolv_conf {
	char **nameservers; /* addresses; IPv6 may carry a zone: fe80::1%eth0 */
	char **search;
	char **options; /* "ndots:2", "edns0" */
};
void resolv_done(struct resolv_conf *r);

/* Parse resolv.conf(5).  Never fails: what is not understood is skipped, as the
 * C library does.  At most 16 name servers, 32 search domains and 32 options. */
void resolv_parse(const char *text, size_t n, struct resolv_conf *out);
/* Does it only point at systemd-resolved's stub, 127.0.0.53? */
bool resolv_is_stub(const struct resolv_conf *r);

/* /etc/resolv.conf, and behind a stub systemd's /run/systemd/resolve/resolv.conf
 * for the servers (search and options are the same in both).  A missing file
 * gives an empty result, no error. */
int resolv_read_host(struct resolv_conf *out, struct err *e);

/* What a container's resolv.conf is made from; all borrowed. */
struct resolv_container {
	char *const *nameservers;       /* NULL: RESOLV_DNS_ADDRESS */
	char *const *search;            /* dns_search; NULL: the host's; "." alone: none */
	char *const *options;           /* dns_opt; NULL: the host's */
	const struct resolv_conf *host; /* may be NULL */
};
/* "ndots:0" is added when no ndots is set and the server is comp's own: names of
 * services have no dots and must be asked for as they are. */
void resolv_container_text(const struct resolv_container *c, struct buf *out);

/* What a container's /etc/hosts is made from; all borrowed. */
struct hosts_container {
	char *const *addresses;   /* its own, in order of the networks */
	const char *hostname;     /* NULL: no lines of its own */
	const char *domainname;   /* NULL, or put behind the hostname */
	char *const *names;       /* further names for its own addresses */
	char *const *extra_hosts; /* "name=address" or "name:address" */
	const char *host_gateway; /* what "host-gateway" stands for; may be NULL */
	bool no_ipv6;             /* leave the ::1 lines out */
};
/* -EINVAL for an extra_hosts entry that is none, or "host-gateway" when there
 * is nothing to put in its place. */
int hosts_container_text(const struct hosts_container *c, struct buf *out, struct err *e);

#endif
