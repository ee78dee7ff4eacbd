/* net/endpoint.h: a container's end of a network: a veth pair.
 *
 * The host's end is a port of the network's bridge and carries a name derived
 * from (container, network); the other is created straight into the container's
 * network namespace under its final name and configured there.
 */
#ifndef NET_ENDPOINT_H
#define NET_ENDPOINT_H

#include "net/network.h"

/* All pointers borrowed for the call. */
struct endpoint_config {
	const char *container;         /* id */
	const struct network *network; /* created or adopted */
	int netns_fd;
	struct ip_addr ipv4, ipv6; /* from ipam; family 0: none */
	uint8_t mac[MAC_LEN];      /* all zero: filled in from the address */
	const char *ifname;        /* inside; "eth0" */
	bool default_route;        /* its gateways become the container's; ignored if internal */
	int mtu;                   /* 0: the network's */
	char *const *sysctls;      /* "net.ipv4.conf.IFNAME.log_martians=1"; IFNAME is replaced */
	const struct ip_addr *link_local; /* further addresses, whole-length */
	size_t n_link_local;

	int result; /* out: 0 or -errno for this one */
};

/* "veth" and 11 hex digits of a hash of both names: the same at every call, so
 * the caller can record it before the link exists. */
void endpoint_host_ifname(const char *container, const char *network_id, char buf[IFNAMSIZ]);

/* Make or repair @n endpoints.  Configs of one namespace that stand next to
 * each other share one visit to it.  An endpoint that is there and whole is
 * left as it is; leftovers in its way are removed.  All are tried; returns the
 * first error, with container and network named, and sets @result in each. */
int endpoint_create_many(struct netlink *nl, struct endpoint_config *c, size_t n, struct err *e);

/* Is it all there: host end up on its bridge, other end in @c->netns_fd with its
 * address?  1 yes, 0 no. */
int endpoint_check(struct netlink *nl, const struct endpoint_config *c, struct err *e);

/* Remove by container and network; absent is success. */
int endpoint_remove(struct netlink *nl, const char *container, const char *network_id,
		    struct err *e);
/* Remove many by the host ends' names (link_delete_many()). */
int endpoint_remove_many(struct netlink *nl, const char *const *host_ifnames, size_t n,
			 struct err *e);

#endif
