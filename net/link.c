/* net/link.c: rtnetlink messages for links, addresses and routes; one function
 * per message.  rtnetlink(7); attribute nesting as in the kernel's if_link.h. */
#include "net/link.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "base/util.h"

#define ALIAS_PROJECT_MAX 100

const char *link_alias(const char *project, const char *object, char buf[LINK_ALIAS_MAX])
{
	(void)snprintf(buf, LINK_ALIAS_MAX, LINK_ALIAS_PREFIX "%.*s:%s", ALIAS_PROJECT_MAX,
		       project ? project : "", object);
	return buf;
}

/* ---- reading --------------------------------------------------------------- */

static void copy_text(char *to, size_t n, struct nlattr *a)
{
	to[0] = '\0';
	if (a)
		(void)nla_strlcpy(to, a, n);
}

static uint32_t u32_or_0(struct nlattr *a)
{
	return a && nla_len(a) >= 4 ? nla_get_u32(a) : 0;
}

static bool parse_link(const struct nlmsghdr *h, struct link_info *l)
{
	const struct ifinfomsg *i = NLMSG_DATA(h);
	struct nlattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];

	if (h->nlmsg_type != RTM_NEWLINK ||
	    nlmsg_parse((struct nlmsghdr *)h, sizeof(*i), a, IFLA_MAX, NULL) < 0)
		return false;
	*l = (struct link_info){
		.ifindex = i->ifi_index,
		.up = i->ifi_flags & IFF_UP,
		.mtu = (int)u32_or_0(a[IFLA_MTU]),
		.master = (int)u32_or_0(a[IFLA_MASTER]),
		.peer = (int)u32_or_0(a[IFLA_LINK]),
		.peer_is_elsewhere = a[IFLA_LINK_NETNSID] != NULL,
	};
	copy_text(l->name, sizeof(l->name), a[IFLA_IFNAME]);
	copy_text(l->alias, sizeof(l->alias), a[IFLA_IFALIAS]);
	if (a[IFLA_ADDRESS] && nla_len(a[IFLA_ADDRESS]) == MAC_LEN)
		memcpy(l->mac, nla_data(a[IFLA_ADDRESS]), MAC_LEN);
	if (a[IFLA_LINKINFO] && nla_parse_nested(info, IFLA_INFO_MAX, a[IFLA_LINKINFO], NULL) >= 0)
		copy_text(l->kind, sizeof(l->kind), info[IFLA_INFO_KIND]);
	return true;
}

static int take_link(const struct nlmsghdr *h, void *data)
{
	return parse_link(h, data) ? 0 : -EBADMSG;
}

int link_get(struct netlink *nl, const char *name, struct link_info *out, struct err *e)
{
	struct ifinfomsg i = { 0 };
	struct nl_msg *m;
	int r;

	*out = (struct link_info){ 0 };
	if (!*name || strlen(name) >= IFNAMSIZ)
		return err_set(e, ENODEV, "no interface \"%s\"", name);
	m = netlink_msg(RTM_GETLINK, 0, &i, sizeof(i));
	(void)nla_put_string(m, IFLA_IFNAME, name);
	r = netlink_query(nl, m, take_link, NULL, out, e);
	return r < 0 ? err_wrap(e, r, "look up interface %s", name) : 0;
}

int link_index(struct netlink *nl, const char *name)
{
	struct ifreq q = { 0 };

	if (strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	memcpy(q.ifr_name, name, strlen(name));
	/* netdevice(7): any socket of the namespace will do, this kind too. */
	if (ioctl(netlink_fd(nl), SIOCGIFINDEX, &q) < 0)
		return -errno;
	return q.ifr_ifindex;
}

struct link_list {
	struct link_info *link;
	size_t n, cap;
};

static int list_link(const struct nlmsghdr *h, void *data)
{
	struct link_list *list = data;

	if (list->n == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 32;
		list->link = xreallocarray(list->link, list->cap, sizeof(*list->link));
	}
	if (parse_link(h, &list->link[list->n]))
		list->n++;
	return 0;
}

static void forget_links(void *data)
{
	((struct link_list *)data)->n = 0;
}

int link_each(struct netlink *nl, int (*fn)(const struct link_info *l, void *data), void *data,
	      struct err *e)
{
	struct ifinfomsg i = { 0 };
	struct link_list list = { 0 };
	int r;

	r = netlink_query(nl, netlink_msg(RTM_GETLINK, NLM_F_DUMP, &i, sizeof(i)), list_link,
			  forget_links, &list, e);
	for (size_t k = 0; r >= 0 && k < list.n; k++)
		r = fn(&list.link[k], data);
	free(list.link);
	return r < 0 ? r : 0;
}

/* ---- deleting -------------------------------------------------------------- */

int link_delete(struct netlink *nl, const char *name, struct err *e)
{
	struct ifinfomsg i = { 0 };
	struct nl_msg *m = netlink_msg(RTM_DELLINK, 0, &i, sizeof(i));

	(void)nla_put_string(m, IFLA_IFNAME, name);
	return netlink_do(nl, m, ENODEV, e, "delete interface %s", name);
}

/* A group number nobody uses: random, far from the small ones people pick. */
static uint32_t random_group(void)
{
	char hex[9];

	random_hex(hex, 4);
	return (uint32_t)strtoul(hex, NULL, 16) | 0x40000000;
}

int link_delete_many(struct netlink *nl, const char *const *names, size_t n, struct err *e)
{
	struct ifinfomsg i = { 0 };
	uint32_t group = random_group();
	struct nl_msg *m;

	if (n == 0)
		return 0;
	if (n == 1)
		return link_delete(nl, names[0], e);
	for (size_t k = 0; k < n; k++) {
		m = netlink_msg(RTM_SETLINK, 0, &i, sizeof(i));
		(void)nla_put_string(m, IFLA_IFNAME, names[k]);
		(void)nla_put_u32(m, IFLA_GROUP, group);
		netlink_add(nl, m, ENODEV, "delete interface %s", names[k]);
	}
	m = netlink_msg(RTM_DELLINK, 0, &i, sizeof(i));
	(void)nla_put_u32(m, IFLA_GROUP, group);
	return netlink_do(nl, m, ENODEV, e, "delete %zu interfaces", n);
}

struct sweep {
	char prefix[LINK_ALIAS_MAX];
	char **names;
};

static int pick_swept(const struct link_info *l, void *data)
{
	struct sweep *s = data;

	if (skip_prefix(l->alias, s->prefix))
		strv_add(&s->names, l->name);
	return 0;
}

int link_sweep(struct netlink *nl, const char *project, struct err *e)
{
	struct sweep s = { 0 };
	int r, n;

	(void)link_alias(project, "", s.prefix);
	r = link_each(nl, pick_swept, &s, e);
	n = (int)strv_len(s.names);
	if (r == 0)
		r = link_delete_many(nl, (const char *const *)s.names, (size_t)n, e);
	strv_free(s.names);
	return r < 0 ? r : n;
}

/* ---- making and changing ---------------------------------------------------- */

void link_queue_bridge(struct netlink *nl, const char *name, const uint8_t mac[MAC_LEN], int mtu)
{
	struct ifinfomsg i = { 0 };
	struct nl_msg *m = netlink_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof(i));
	struct nlattr *info, *data;

	(void)nla_put_string(m, IFLA_IFNAME, name);
	/* An address given here is kept; a bridge left to itself takes its
	 * ports' lowest one and changes it as they come and go. */
	(void)nla_put(m, IFLA_ADDRESS, MAC_LEN, mac);
	if (mtu)
		(void)nla_put_u32(m, IFLA_MTU, (uint32_t)mtu);
	info = nla_nest_start(m, IFLA_LINKINFO);
	(void)nla_put_string(m, IFLA_INFO_KIND, "bridge");
	data = nla_nest_start(m, IFLA_INFO_DATA);
	(void)nla_put_u32(m, IFLA_BR_STP_STATE, 0);
	(void)nla_put_u32(m, IFLA_BR_FORWARD_DELAY, 0);
	nla_nest_end(m, data);
	nla_nest_end(m, info);
	netlink_add(nl, m, 0, "create bridge %s", name);
}

void link_queue_veth(struct netlink *nl, const struct link_veth *v)
{
	struct ifinfomsg i = { 0 };
	struct nl_msg *m = netlink_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof(i));
	struct nlattr *info, *data, *peer;

	(void)nla_put_string(m, IFLA_IFNAME, v->name);
	if (v->mtu)
		(void)nla_put_u32(m, IFLA_MTU, (uint32_t)v->mtu);
	info = nla_nest_start(m, IFLA_LINKINFO);
	(void)nla_put_string(m, IFLA_INFO_KIND, "veth");
	data = nla_nest_start(m, IFLA_INFO_DATA);
	peer = nla_nest_start(m, VETH_INFO_PEER);
	(void)nlmsg_append(m, &i, sizeof(i), NLMSG_ALIGNTO);
	(void)nla_put_string(m, IFLA_IFNAME, v->peer_name);
	(void)nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t)v->netns_fd);
	if (v->mtu)
		(void)nla_put_u32(m, IFLA_MTU, (uint32_t)v->mtu);
	if (v->peer_mac)
		(void)nla_put(m, IFLA_ADDRESS, MAC_LEN, v->peer_mac);
	nla_nest_end(m, peer);
	nla_nest_end(m, data);
	nla_nest_end(m, info);
	netlink_add(nl, m, 0, "create veth %s", v->name);
}

static void put_no_ipv6_addr(struct nl_msg *m)
{
	struct nlattr *spec = nla_nest_start(m, IFLA_AF_SPEC);
	struct nlattr *inet6 = nla_nest_start(m, AF_INET6);

	(void)nla_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nla_nest_end(m, inet6);
	nla_nest_end(m, spec);
}

void link_queue_change(struct netlink *nl, const char *name, const struct link_change *c)
{
	struct ifinfomsg i = { 0 };
	struct nl_msg *m;

	if (c->up)
		i.ifi_flags = i.ifi_change = IFF_UP;
	m = netlink_msg(RTM_SETLINK, 0, &i, sizeof(i));
	(void)nla_put_string(m, IFLA_IFNAME, name);
	if (c->master)
		(void)nla_put_u32(m, IFLA_MASTER, (uint32_t)c->master);
	if (c->mtu)
		(void)nla_put_u32(m, IFLA_MTU, (uint32_t)c->mtu);
	if (c->alias)
		(void)nla_put_string(m, IFLA_IFALIAS, c->alias);
	if (c->mac)
		(void)nla_put(m, IFLA_ADDRESS, MAC_LEN, c->mac);
	if (c->no_ipv6_addr)
		put_no_ipv6_addr(m);
	netlink_add(nl, m, 0, "set up interface %s", name);
}

void link_queue_isolated(struct netlink *nl, const char *name, bool isolated)
{
	struct ifinfomsg i = { 0 };
	struct nl_msg *m = netlink_msg(RTM_NEWLINK, 0, &i, sizeof(i));
	struct nlattr *info, *data;

	(void)nla_put_string(m, IFLA_IFNAME, name);
	info = nla_nest_start(m, IFLA_LINKINFO);
	(void)nla_put_string(m, IFLA_INFO_SLAVE_KIND, "bridge");
	data = nla_nest_start(m, IFLA_INFO_SLAVE_DATA);
	(void)nla_put_u8(m, IFLA_BRPORT_ISOLATED, isolated);
	nla_nest_end(m, data);
	nla_nest_end(m, info);
	netlink_add(nl, m, 0, "isolate bridge port %s", name);
}

void link_queue_addr(struct netlink *nl, int ifindex, const struct ip_addr *a, unsigned int len,
		     const char *name)
{
	struct ifaddrmsg i = { .ifa_family = (uint8_t)a->family,
			       .ifa_prefixlen = (uint8_t)len,
			       .ifa_index = (uint32_t)ifindex };
	struct nl_msg *m = netlink_msg(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &i, sizeof(i));
	struct ip_prefix p = { .addr = *a, .len = len };
	int n = (int)ip_bytes(a->family);
	char text[IP_TEXT_MAX];

	(void)nla_put(m, IFA_LOCAL, n, a->bytes);
	(void)nla_put(m, IFA_ADDRESS, n, a->bytes);
	if (a->family == AF_INET6) {
		(void)nla_put_u32(m, IFA_FLAGS, IFA_F_NODAD);
	} else if (len < 31) {
		struct ip_addr broadcast = ip_prefix_last(&p);

		(void)nla_put(m, IFA_BROADCAST, n, broadcast.bytes);
	}
	netlink_add(nl, m, 0, "add address %s to %s", ip_prefix_text(&p, text), name);
}

void link_queue_default_route(struct netlink *nl, int ifindex, const struct ip_addr *gateway,
			      const char *name)
{
	struct rtmsg i = { .rtm_family = (uint8_t)gateway->family,
			   .rtm_table = RT_TABLE_MAIN,
			   .rtm_protocol = RTPROT_STATIC,
			   .rtm_scope = RT_SCOPE_UNIVERSE,
			   .rtm_type = RTN_UNICAST };
	struct nl_msg *m = netlink_msg(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &i, sizeof(i));
	char text[IP_TEXT_MAX];

	(void)nla_put(m, RTA_GATEWAY, (int)ip_bytes(gateway->family), gateway->bytes);
	(void)nla_put_u32(m, RTA_OIF, (uint32_t)ifindex);
	netlink_add(nl, m, 0, "set the default route over %s to %s", name, ip_text(gateway, text));
}

/* ---- prefixes in use -------------------------------------------------------- */

struct prefix_list {
	struct link_prefix *prefix;
	size_t n, cap;
	size_t keep; /* results of earlier queries: a restart must not drop them */
};

static void add_prefix(struct prefix_list *list, const struct link_prefix *p)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 64;
		list->prefix = xreallocarray(list->prefix, list->cap, sizeof(*list->prefix));
	}
	list->prefix[list->n++] = *p;
}

static void forget_prefixes(void *data)
{
	struct prefix_list *list = data;

	list->n = list->keep;
}

static bool get_addr(struct nlattr *a, int family, struct ip_addr *out)
{
	*out = (struct ip_addr){ .family = family };
	if (!a || !ip_bytes(family) || (size_t)nla_len(a) != ip_bytes(family))
		return false;
	memcpy(out->bytes, nla_data(a), ip_bytes(family));
	return true;
}

static bool is_link_local_v6(const struct ip_addr *a)
{
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

static int route_link(struct nlattr *const *a)
{
	const struct rtnexthop *hop;

	if (a[RTA_OIF])
		return (int)u32_or_0(a[RTA_OIF]);
	if (!a[RTA_MULTIPATH] || nla_len(a[RTA_MULTIPATH]) < (int)sizeof(*hop))
		return 0;
	hop = nla_data(a[RTA_MULTIPATH]);
	return hop->rtnh_ifindex;
}

/* Attributes of a route somebody configured; false for the kernel's own business. */
static bool parse_route(const struct nlmsghdr *h, struct nlattr **a, uint32_t *table)
{
	const struct rtmsg *i = NLMSG_DATA(h);

	if (h->nlmsg_type != RTM_NEWROUTE || (i->rtm_flags & RTM_F_CLONED) ||
	    nlmsg_parse((struct nlmsghdr *)h, sizeof(*i), a, RTA_MAX, NULL) < 0)
		return false;
	*table = a[RTA_TABLE] ? u32_or_0(a[RTA_TABLE]) : i->rtm_table;
	return *table != RT_TABLE_LOCAL && i->rtm_type != RTN_LOCAL &&
	       i->rtm_type != RTN_BROADCAST && i->rtm_type != RTN_MULTICAST &&
	       i->rtm_type != RTN_ANYCAST;
}

static int take_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *i = NLMSG_DATA(h);
	struct nlattr *a[RTA_MAX + 1];
	struct link_prefix p = { 0 };
	uint32_t table;

	if (!parse_route(h, a, &table) || i->rtm_dst_len < 8 ||
	    !get_addr(a[RTA_DST], i->rtm_family, &p.prefix.addr) ||
	    is_link_local_v6(&p.prefix.addr))
		return 0;
	p.prefix.len = i->rtm_dst_len;
	p.ifindex = route_link(a);
	add_prefix(data, &p);
	return 0;
}

static int take_address(const struct nlmsghdr *h, void *data)
{
	const struct ifaddrmsg *i = NLMSG_DATA(h);
	struct nlattr *a[IFA_MAX + 1];
	struct link_prefix p = { .is_address = true };

	if (h->nlmsg_type != RTM_NEWADDR ||
	    nlmsg_parse((struct nlmsghdr *)h, sizeof(*i), a, IFA_MAX, NULL) < 0 ||
	    !get_addr(a[IFA_ADDRESS], i->ifa_family, &p.prefix.addr) ||
	    is_link_local_v6(&p.prefix.addr) || ip_is_loopback(&p.prefix.addr))
		return 0;
	p.prefix.len = i->ifa_prefixlen;
	p.ifindex = (int)i->ifa_index;
	add_prefix(data, &p);
	return 0;
}

static int dump_routes(struct netlink *nl, int family, netlink_each_fn fn, void (*restart)(void *),
		       void *data, struct err *e)
{
	struct rtmsg i = { .rtm_family = (uint8_t)family };
	int r = netlink_query(nl, netlink_msg(RTM_GETROUTE, NLM_F_DUMP, &i, sizeof(i)), fn, restart,
			      data, e);

	return r < 0 ? err_wrap(e, r, "read the host's routes") : r;
}

int link_prefixes(struct netlink *nl, struct link_prefix **out, size_t *n, struct err *e)
{
	struct ifaddrmsg any = { 0 };
	struct prefix_list list = { 0 };
	int r;

	r = dump_routes(nl, AF_INET, take_route, forget_prefixes, &list, e);
	list.keep = list.n;
	if (r >= 0)
		r = dump_routes(nl, AF_INET6, take_route, forget_prefixes, &list, e);
	list.keep = list.n;
	if (r >= 0)
		r = netlink_query(nl, netlink_msg(RTM_GETADDR, NLM_F_DUMP, &any, sizeof(any)),
				  take_address, forget_prefixes, &list, e);
	if (r < 0) {
		free(list.prefix);
		return r;
	}
	*out = list.prefix;
	*n = list.n;
	return 0;
}

struct best_default {
	int ifindex;
	uint32_t metric;
};

static int take_default(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *i = NLMSG_DATA(h);
	struct best_default *best = data;
	struct nlattr *a[RTA_MAX + 1];
	uint32_t table, metric;

	if (!parse_route(h, a, &table) || table != RT_TABLE_MAIN || i->rtm_dst_len != 0 ||
	    i->rtm_type != RTN_UNICAST)
		return 0;
	metric = u32_or_0(a[RTA_PRIORITY]);
	if (!best->ifindex || metric < best->metric)
		*best = (struct best_default){ route_link(a), metric };
	return 0;
}

static void forget_default(void *data)
{
	*(struct best_default *)data = (struct best_default){ 0 };
}

int link_default(struct netlink *nl, int family, struct err *e)
{
	struct best_default best = { 0 };
	int r = dump_routes(nl, family, take_default, forget_default, &best, e);

	return r < 0 ? r : best.ifindex;
}

struct wanted_addr {
	int ifindex;
	const struct ip_addr *addr;
	unsigned int len;
	bool found;
};

static int match_addr(const struct nlmsghdr *h, void *data)
{
	const struct ifaddrmsg *i = NLMSG_DATA(h);
	struct wanted_addr *w = data;
	struct nlattr *a[IFA_MAX + 1];
	struct ip_addr local;

	if (h->nlmsg_type != RTM_NEWADDR || (int)i->ifa_index != w->ifindex ||
	    i->ifa_prefixlen != w->len ||
	    nlmsg_parse((struct nlmsghdr *)h, sizeof(*i), a, IFA_MAX, NULL) < 0)
		return 0;
	if (get_addr(a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS], i->ifa_family, &local) &&
	    ip_equal(&local, w->addr))
		w->found = true;
	return 0;
}

int link_has_addr(struct netlink *nl, int ifindex, const struct ip_addr *a, unsigned int len,
		  struct err *e)
{
	struct ifaddrmsg i = { .ifa_family = (uint8_t)a->family };
	struct wanted_addr w = { .ifindex = ifindex, .addr = a, .len = len };
	int r = netlink_query(nl, netlink_msg(RTM_GETADDR, NLM_F_DUMP, &i, sizeof(i)), match_addr,
			      NULL, &w, e);

	return r < 0 ? r : w.found;
}
