/* net/ipam.h: which subnet for a network, which address for a container.
 *
 * Pure: what is in use comes in as lists.  Subnets that comp chooses itself
 * are /20s (4093 containers) from, in this order,
 *
 *	172.18.0.0 – 172.31.255.255	starting at a slot derived from the name, so
 *					that a project tends to get the same again,
 *					and two that start at once do not collide
 *	192.168.0.0/16
 *	172.17.0.0/16			docker0's place, used only when it is free
 *	10.64.0.0/10
 *
 * and when all that is taken, /24s that fit into the gaps of the same ranges.
 * Docker takes a /16 each and has none left after 31 networks; all of these
 * but the last are inside the ranges that firewall rules for Docker name.
 */
#ifndef NET_IPAM_H
#define NET_IPAM_H

#include "net/addr.h"

/* A prefix that is taken, and by what, in words for the user. */
struct ipam_used {
	struct ip_prefix prefix;
	char what[80]; /* "route on wg0", "address of eth0", "network demo_default" */
};

/* An IPv4 subnet that overlaps none of @used.  @seed: the network's full name.
 * -ENOSPC "no free subnet …" names the ranges tried and gives a hint. */
int ipam_pick_subnet(const char *seed, const struct ipam_used *used, size_t n,
		     struct ip_prefix *out, struct err *e);
/* A subnet the user asked for.  -EADDRINUSE "subnet 10.1.0.0/16 overlaps
 * 10.0.0.0/8 (route on wg0)". */
int ipam_check_subnet(const struct ip_prefix *want, const struct ipam_used *used, size_t n,
		      struct err *e);
/* A unique local /64 (RFC 4193) out of a hash of @seed, clear of @used. */
int ipam_pick_ula(const char *seed, const struct ipam_used *used, size_t n, struct ip_prefix *out,
		  struct err *e);

/* What the addresses of one family of one network are taken from. */
struct ipam_pool {
	struct ip_prefix subnet; /* host bits 0; family 0: the network has none */
	struct ip_prefix range;  /* automatic addresses come from here; family 0: subnet */
	struct ip_addr gateway;  /* the bridge's own */
	struct ip_addr *aux;     /* never given out; owned */
	size_t n_aux;
};
void ipam_pool_done(struct ipam_pool *p);

/* The gateway when none was asked for: the first host address of the range, or
 * of the subnet. */
struct ip_addr ipam_default_gateway(const struct ipam_pool *p);

/* The next free address behind @after (NULL: from the start), wrapping once;
 * network, broadcast, gateway and aux addresses are never given out.
 * -ENOSPC "no free address in 172.18.0.0/20". */
int ipam_next(const struct ipam_pool *p, const struct ip_addr *used, size_t n_used,
	      const struct ip_addr *after, struct ip_addr *out, struct err *e);
/* May a container have @want?  -EINVAL outside the subnet or reserved,
 * -EADDRINUSE taken.  Aux addresses are allowed: reserving them for such use
 * is what they are for. */
int ipam_check_static(const struct ipam_pool *p, const struct ip_addr *want,
		      const struct ip_addr *used, size_t n_used, struct err *e);

#endif
