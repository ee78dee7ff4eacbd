/* net/network.c: the bridge in the kernel.
 *
 * Two programs that choose a subnet at the same time may choose the same.  So
 * every creator first adds its address and then looks at all prefixes of the
 * host: of two that do this, at least one sees the other's, and whoever sees an
 * overlap takes its bridge away again.  Both may give way; the caller's retry
 * settles it.  Looking first and adding then could let both stay.
 *
 * A bridge is ours if its alias says so: it holds project and network id.
 */
#include "net/network.h"

#include <stdio.h>

#include "base/util.h"
#include "net/link.h"
#include "net/netns.h"

static const char *bridge_alias(const struct network *n, char buf[LINK_ALIAS_MAX])
{
	return link_alias(n->config->project, n->id, buf);
}

static bool is_ours(const struct network *n, const struct link_info *l)
{
	char alias[LINK_ALIAS_MAX];

	return streq(l->kind, "bridge") && streq(l->alias, bridge_alias(n, alias));
}

/* net.ipv6.conf.<bridge>.@key; a host without IPv6 has no such thing. */
static int set_ipv6_conf(const struct network *n, const char *key, const char *value, struct err *e)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "net/ipv6/conf/%s/%s", n->ifname, key);
	r = netns_sysctl_write(path, value, e);
	return r == -ENOENT ? 0 : r;
}

/* Before the bridge is up: without IPv6 it must not get a link-local address,
 * through which containers would reach every service of the host; with it, the
 * host must not believe a container's router advertisements (CVE-2020-13401). */
static int set_ipv6_confs(const struct network *n, struct err *e)
{
	int r;

	if (!n->ipv6.subnet.addr.family)
		return set_ipv6_conf(n, "disable_ipv6", "1", e);
	r = set_ipv6_conf(n, "accept_ra", "0", e);
	if (r == 0)
		r = set_ipv6_conf(n, "accept_dad", "0", e);
	/* A host that turned IPv6 off by default still gets what the network asks for. */
	return r == 0 ? set_ipv6_conf(n, "disable_ipv6", "0", e) : r;
}

static void queue_addresses(struct netlink *nl, const struct network *n)
{
	if (n->ipv4.subnet.addr.family)
		link_queue_addr(nl, n->ifindex, &n->ipv4.gateway, n->ipv4.subnet.len, n->ifname);
	if (n->ipv6.subnet.addr.family)
		link_queue_addr(nl, n->ifindex, &n->ipv6.gateway, n->ipv6.subnet.len, n->ifname);
}

static int make_link(struct netlink *nl, struct network *n, struct err *e)
{
	char alias[LINK_ALIAS_MAX];
	uint8_t mac[MAC_LEN];
	int r;

	mac_from_ip(n->ipv4.subnet.addr.family ? &n->ipv4.gateway : &n->ipv6.gateway, mac);
	link_queue_bridge(nl, n->ifname, mac, n->mtu);
	link_queue_change(nl, n->ifname, &(struct link_change){ .alias = bridge_alias(n, alias) });
	r = netlink_flush(nl, e);
	if (r < 0)
		return r;
	n->ifindex = link_index(nl, n->ifname);
	return n->ifindex < 0 ? err_errno(e, -n->ifindex, "find bridge %s", n->ifname) : 0;
}

/* Addresses, MTU, up: whatever is so already stays so. */
static int configure(struct netlink *nl, struct network *n, struct err *e)
{
	int r = set_ipv6_confs(n, e);

	if (r < 0)
		return r;
	queue_addresses(nl, n);
	link_queue_change(nl, n->ifname, &(struct link_change){ .up = true, .mtu = n->mtu });
	return netlink_flush(nl, e);
}

static const struct link_prefix *find_rival(const struct network *n, const struct link_prefix *p,
					    size_t n_prefixes)
{
	for (size_t i = 0; i < n_prefixes; i++)
		if (p[i].ifindex != n->ifindex &&
		    (ip_prefix_overlap(&p[i].prefix, &n->ipv4.subnet) ||
		     ip_prefix_overlap(&p[i].prefix, &n->ipv6.subnet)))
			return &p[i];
	return NULL;
}

static int check_rivals(struct netlink *nl, const struct network *n, struct err *e)
{
	_cleanup_(free_p) struct link_prefix *prefixes = NULL;
	const struct link_prefix *rival;
	char name[IFNAMSIZ] = "no interface", text[IP_TEXT_MAX];
	size_t n_prefixes;
	int r = link_prefixes(nl, &prefixes, &n_prefixes, e);

	if (r < 0)
		return r;
	rival = find_rival(n, prefixes, n_prefixes);
	if (!rival)
		return 0;
	(void)if_indextoname((unsigned int)rival->ifindex, name); /* else it stays as set above */
	return err_set(e, EADDRINUSE, "subnet overlaps %s (%s %s), which appeared meanwhile",
		       ip_prefix_text(&rival->prefix, text),
		       rival->is_address ? "address of" : "route on", name);
}

/* A host that forwards ignores router advertisements where accept_ra is 1; that
 * must not cost it its own default route (ip-sysctl.rst, accept_ra). */
static int keep_router_advertisements(struct netlink *nl, struct err *e)
{
	char name[IFNAMSIZ], path[64];
	int ifindex = link_default(nl, AF_INET6, e), value;

	if (ifindex <= 0 || !if_indextoname((unsigned int)ifindex, name))
		return MIN(ifindex, 0);
	(void)snprintf(path, sizeof(path), "net/ipv6/conf/%s/accept_ra", name);
	if (netns_sysctl_read(path, &value, NULL) < 0 || value != 1)
		return 0;
	return netns_sysctl_write(path, "2", e);
}

/* Returns 1 if it had to be turned on. */
static int enable_forwarding(struct netlink *nl, const struct network *n, struct err *e)
{
	int value, r = 0, changed = 0;

	if (n->config->internal)
		return 0;
	if (n->ipv4.subnet.addr.family) {
		r = netns_sysctl_read("net.ipv4.ip_forward", &value, e);
		if (r == 0 && value == 0) {
			r = netns_sysctl_write("net.ipv4.ip_forward", "1", e);
			changed = 1;
		}
	}
	if (r == 0 && n->ipv6.subnet.addr.family) {
		r = netns_sysctl_read("net.ipv6.conf.all.forwarding", &value, e);
		if (r == 0 && value == 0) {
			r = keep_router_advertisements(nl, e);
			if (r == 0)
				r = netns_sysctl_write("net.ipv6.conf.all.forwarding", "1", e);
			changed = 1;
		}
	}
	return r < 0 ? r : changed;
}

/* Is there a link of our name?  1 ours, 0 none, -EEXIST somebody else's. */
static int find_bridge(struct netlink *nl, const struct network *n, struct link_info *l,
		       struct err *e)
{
	struct err lookup = ERR_INIT;
	int r = link_get(nl, n->ifname, l, &lookup);

	if (r == -ENODEV)
		return 0;
	if (r < 0) {
		if (e)
			*e = lookup;
		return r;
	}
	if (!is_ours(n, l))
		return err_set(e, EEXIST, "interface %s exists and was not made for this network",
			       n->ifname);
	return 1;
}

static int create(struct netlink *nl, struct network *n, struct err *e)
{
	struct link_info link;
	int r = find_bridge(nl, n, &link, e);

	if (r < 0)
		return r;
	n->ifindex = link.ifindex;
	if (r == 0)
		r = make_link(nl, n, e);
	else
		r = 0;
	if (r == 0)
		r = configure(nl, n, e);
	if (r == 0)
		r = check_rivals(nl, n, e);
	if (r == 0)
		r = MIN(enable_forwarding(nl, n, e), 0);
	return r;
}

int network_create(struct netlink *nl, struct network *n, struct err *e)
{
	int r = create(nl, n, e);

	if (r == 0)
		return 0;
	(void)network_remove(nl, n, NULL); /* the error at hand says more */
	return err_wrap(e, r, "network %s", n->config->name);
}

/* Does the bridge look as configure() leaves it? */
static int is_intact(struct netlink *nl, const struct network *n, const struct link_info *l,
		     struct err *e)
{
	int r = l->up && l->mtu == n->mtu;

	if (r > 0 && n->ipv4.subnet.addr.family)
		r = link_has_addr(nl, l->ifindex, &n->ipv4.gateway, n->ipv4.subnet.len, e);
	if (r > 0 && n->ipv6.subnet.addr.family)
		r = link_has_addr(nl, l->ifindex, &n->ipv6.gateway, n->ipv6.subnet.len, e);
	return r;
}

static int adopt(struct netlink *nl, struct network *n, bool *recreated, struct err *e)
{
	struct link_info link;
	int intact = 0, forwarding, r;

	r = find_bridge(nl, n, &link, e);
	if (r < 0)
		return r;
	if (r == 0) {
		*recreated = true;
		r = create(nl, n, e);
		return r < 0 ? r : 1;
	}
	n->ifindex = link.ifindex;
	intact = is_intact(nl, n, &link, e);
	r = intact < 0 ? intact : intact ? 0 : configure(nl, n, e);
	if (r < 0)
		return r;
	forwarding = enable_forwarding(nl, n, e);
	return forwarding < 0 ? forwarding : !intact || forwarding;
}

int network_adopt(struct netlink *nl, struct network *n, bool *recreated, struct err *e)
{
	int r;

	*recreated = false;
	r = adopt(nl, n, recreated, e);
	return r < 0 ? err_wrap(e, r, "network %s", n->config->name) : r;
}

int network_remove(struct netlink *nl, struct network *n, struct err *e)
{
	struct link_info link;
	int r = link_get(nl, n->ifname, &link, NULL);

	n->ifindex = 0;
	if (r == -ENODEV || (r == 0 && !is_ours(n, &link)))
		return 0;
	if (r == 0)
		r = link_delete(nl, n->ifname, e);
	else
		(void)err_errno(e, -r, "look up %s", n->ifname);
	return r < 0 ? err_wrap(e, r, "network %s", n->config->name) : 0;
}
