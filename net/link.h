/* net/link.h: links, their addresses and the routes over them.
 *
 * link_queue_*() put requests into a netlink batch; the others talk to the
 * kernel at once.  Everything comp makes carries an alias that starts with
 * LINK_ALIAS_PREFIX and names project and object, so that a sweep can find it
 * and nobody else's link is ever taken for ours.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "net/addr.h"
#include "net/netlink.h"

#define LINK_ALIAS_PREFIX "comp:"
#define LINK_ALIAS_MAX    256

/* "comp:<project>:<object>", long projects cut, into @buf; returns @buf. */
const char *link_alias(const char *project, const char *object, char buf[LINK_ALIAS_MAX]);

struct link_info {
	int ifindex;
	char name[IFNAMSIZ];
	char kind[16];              /* "bridge", "veth", …; "" for a device */
	char alias[LINK_ALIAS_MAX]; /* "" when none */
	uint8_t mac[MAC_LEN];
	int mtu;
	int master; /* ifindex; 0: none */
	int peer;   /* veth: ifindex of the other end, in its own namespace; 0: unknown */
	bool up;    /* administratively */
	bool peer_is_elsewhere; /* veth: the other end is in another namespace */
};

/* -ENODEV when there is none. */
int link_get(struct netlink *nl, const char *name, struct link_info *out, struct err *e);
/* ifindex by name, or -ENODEV: one ioctl, no dump. */
int link_index(struct netlink *nl, const char *name);
/* Every link of the namespace; a negative return of @fn ends the walk. */
int link_each(struct netlink *nl, int (*fn)(const struct link_info *l, void *data), void *data,
	      struct err *e);

/* Delete by name; absent is success. */
int link_delete(struct netlink *nl, const char *name, struct err *e);
/* Delete many in one go: they are moved to a group number of their own and the
 * group is deleted, so the kernel waits for one RCU grace period, not for n.
 * Names that do not exist are fine.  Deleting a veth end takes the other along. */
int link_delete_many(struct netlink *nl, const char *const *names, size_t n, struct err *e);
/* Delete every link whose alias is "comp:<project>:…"; returns how many. */
int link_sweep(struct netlink *nl, const char *project, struct err *e);

/* A bridge without spanning tree and forwarding delay. */
void link_queue_bridge(struct netlink *nl, const char *name, const uint8_t mac[MAC_LEN], int mtu);
/* A veth pair; the peer appears in @netns_fd under its final name. */
struct link_veth {
	const char *name, *peer_name;
	int netns_fd;
	int mtu; /* 0: the kernel's default */
	const uint8_t *peer_mac;
};
void link_queue_veth(struct netlink *nl, const struct link_veth *v);
/* Change the link @name: members that are 0 or NULL stay as they are. */
struct link_change {
	bool up;
	int master; /* ifindex */
	int mtu;
	const char *alias;
	const uint8_t *mac;
	bool no_ipv6_addr; /* no link-local address of its own (IN6_ADDR_GEN_MODE_NONE) */
};
void link_queue_change(struct netlink *nl, const char *name, const struct link_change *c);
/* A bridge port that may talk to the bridge but not to its fellow isolated ports. */
void link_queue_isolated(struct netlink *nl, const char *name, bool isolated);

/* Add or replace an address with its prefix length; IPv6 without duplicate
 * address detection, which would delay its use by a second. */
void link_queue_addr(struct netlink *nl, int ifindex, const struct ip_addr *a, unsigned int len,
		     const char *name);
/* Default route of the gateway's family; replaces the one that is there. */
void link_queue_default_route(struct netlink *nl, int ifindex, const struct ip_addr *gateway,
			      const char *name);

/* Is this address, with this prefix length, on that link?  1 or 0. */
int link_has_addr(struct netlink *nl, int ifindex, const struct ip_addr *a, unsigned int len,
		  struct err *e);

/* Every prefix the namespace uses: routes of all tables but "local", and the
 * prefixes of addresses (also of links that are down).  Routes shorter than /8
 * are left out: they are default routes, or halves of one as VPN clients make. */
struct link_prefix {
	struct ip_prefix prefix;
	int ifindex; /* 0: none (blackhole, multipath) */
	bool is_address;
};
int link_prefixes(struct netlink *nl, struct link_prefix **out, size_t *n, struct err *e);
/* The link of the main table's default route; 0 when there is none. */
int link_default(struct netlink *nl, int family, struct err *e);

#endif
