/* net/network.h: a network: a bridge with its subnets.
 *
 * Made in two steps, so that nothing exists in the kernel that is not on disk:
 *
 *	network_host_read(nl, &host, e)		what the host uses already
 *	network_host_add(&host, other)		for each network record on disk
 *	network_plan(config, &host, &net, e)	decide id, bridge name, subnets
 *	… write network_to_json(net) to networks/<id>.json …
 *	network_create(nl, net, e)		make it so
 *
 * network_create() looks again after it has put the addresses on the bridge.  If
 * another link got an overlapping prefix meanwhile, the bridge is removed and the
 * call returns -EADDRINUSE: read the host and plan again, a few times at most.
 *
 * Taking a whole project's networks away is cheapest in one go: link_sweep() deletes
 * its bridges and all host ends of its endpoints together.  Each deletion makes the
 * kernel wait some 30 to 60 ms, whether of one link or of a hundred.
 *
 * Drivers other than bridge ("none", "host") have no struct network.
 *
 * Side effects outside the network itself: net.ipv4.ip_forward (and for IPv6
 * networks net.ipv6.conf.all.forwarding) is set to 1 if it was 0, and stays so,
 * as with Docker: other programs may have come to rely on it.  A link with the
 * host's IPv6 default route and accept_ra=1 gets accept_ra=2 before, since a
 * forwarding host ignores router advertisements otherwise.  These calls read and
 * write /proc/sys, so @nl must be of the namespace the caller is in.
 */
#ifndef NET_NETWORK_H
#define NET_NETWORK_H

#include "base/json.h"
#include "net/ipam.h"
#include "net/netlink.h"

#define NETWORK_ID_LEN 64 /* lower-case hex digits */

/* One entry of ipam.config, as the user wrote it. */
struct network_ipam {
	char *subnet;   /* NULL: choose one of the gateway's family, or IPv4 */
	char *gateway;  /* NULL: the first host address */
	char *ip_range; /* NULL: the whole subnet */
	char **aux;     /* "name=address" */
};

/* What is asked for.  Owned strings; NULL or 0: not set. */
struct network_config {
	char *name;    /* full: demo_default */
	char *project; /* NULL for one that belongs to no project */
	char *driver;  /* NULL: bridge */
	bool internal;
	bool enable_ipv4, enable_ipv6; /* network_config_new(): true, false */
	struct network_ipam *ipam;
	size_t n_ipam;
	char **labels;      /* KEY=value */
	char **driver_opts; /* KEY=value; understood ones: see network_plan() */
};
struct network_config *network_config_new(void);
void network_config_free(struct network_config *c);
DEFINE_CLEANUP(struct network_config *, network_config_free, network_config_freep);
struct network_config *network_config_copy(const struct network_config *c);
/* An ipam entry more, zeroed, to be filled in. */
struct network_ipam *network_config_add_ipam(struct network_config *c);
json *network_config_to_json(const struct network_config *c);
int network_config_from_json(json *j, struct network_config **out, struct err *e);

struct network {
	struct network_config *config;
	char id[NETWORK_ID_LEN + 1];
	char ifname[IFNAMSIZ]; /* "br-" and 12 digits of the id, or bridge.name */
	int ifindex;           /* 0 until created or adopted; not stored */
	uint64_t created;      /* CLOCK_REALTIME, ns */
	struct ipam_pool ipv4, ipv6;
	int mtu;
	bool icc, masquerade;        /* from driver_opts; default true */
	struct ip_addr host_binding; /* publish ports here by default; family 0: everywhere */
	char *publish;               /* "auto", "nat", "proxy" from driver_opts; NULL: not set */
};
void network_free(struct network *n);
DEFINE_CLEANUP(struct network *, network_free, network_freep);
json *network_to_json(const struct network *n);
int network_from_json(json *j, struct network **out, struct err *e);

/* What the host uses: routes, addresses, its own name servers. */
struct network_host {
	struct ipam_used *used;
	size_t n_used, cap;
	int mtu; /* of the link with the default route; 1500 if there is none */
};
int network_host_read(struct netlink *nl, struct network_host *h, struct err *e);
void network_host_add(struct network_host *h, const struct network *n);
void network_host_done(struct network_host *h);

/* Decide everything about a new network (pure but for the random id).  driver_opts understood:
 *	com.docker.network.bridge.name			bridge's interface name
 *	com.docker.network.driver.mtu			default: the host's, at most 1500
 *	com.docker.network.bridge.enable_icc		containers may talk to each other
 *	com.docker.network.bridge.enable_ip_masquerade	source NAT on the way out
 *	com.docker.network.bridge.host_binding_ipv4	default host address of ports
 *	comp.publish					auto, nat or proxy
 * Other com.docker.* options are ignored; anything else is -EINVAL. */
int network_plan(const struct network_config *c, const struct network_host *h, struct network **out,
		 struct err *e);

/* Make the bridge.  What exists under this name with our alias is taken over,
 * anybody else's is -EEXIST.  Sets n->ifindex. */
int network_create(struct netlink *nl, struct network *n, struct err *e);

/* A recorded network: find the bridge and put right what differs (down,
 * address, MTU); make it again when it is gone, then *recreated is set and
 * endpoints have to be made again too (endpoint_create_many() does that).
 * Returns 1 when something was repaired, 0 when all was well. */
int network_adopt(struct netlink *nl, struct network *n, bool *recreated, struct err *e);

/* Remove the bridge, if it is ours; absent is success. */
int network_remove(struct netlink *nl, struct network *n, struct err *e);

#endif
