/* net/endpoint.c: three batches for any number of endpoints.
 *
 *  1. on the host: all veth pairs, the peers straight into their namespaces;
 *  2. on the host: for those that are new: alias, bridge, up;
 *  3. in each namespace: sysctls and a netlink socket by one visit, then from
 *     outside through that socket: addresses, up, routes.
 *
 * That is the whole story for endpoints that do not exist yet.  Whatever the
 * first batch refuses goes through repair(), one at a time, which finds out
 * whether the pair is there and whole, or what is in the way.
 *
 * The host's ends get no IPv6 address: as bridge ports they need none, and a
 * hundred of them solicit their neighbours' attention for seconds otherwise.
 */
#include "net/endpoint.h"

#include <stdio.h>

#include "base/strv.h"
#include "base/util.h"
#include "net/link.h"
#include "net/netns.h"

void endpoint_host_ifname(const char *container, const char *network_id, char buf[IFNAMSIZ])
{
	uint64_t h = hash64(HASH64_INIT, container, strlen(container));

	h = hash64(h, "@", 1);
	h = hash64(h, network_id, strlen(network_id));
	h ^= h >> 44; /* fold what does not fit into the 44 bits that do */
	(void)snprintf(buf, IFNAMSIZ, "veth%011llx", (unsigned long long)(h & 0xfffffffffff));
}

static const char *host_alias(const struct endpoint_config *c, char buf[LINK_ALIAS_MAX])
{
	char object[32];

	(void)snprintf(object, sizeof(object), "%.12s@%.12s", c->container, c->network->id);
	return link_alias(c->network->config->project, object, buf);
}

static int wrap(struct err *e, int r, const struct endpoint_config *c)
{
	return err_wrap(e, r, "connect %.12s to network %s", c->container,
			c->network->config->name);
}

/* ---- the host's side ---------------------------------------------------------- */

static int endpoint_mtu(const struct endpoint_config *c)
{
	return c->mtu ? c->mtu : c->network->mtu;
}

static void queue_pair(struct netlink *nl, const struct endpoint_config *c)
{
	char name[IFNAMSIZ];

	endpoint_host_ifname(c->container, c->network->id, name);
	link_queue_veth(nl, &(struct link_veth){
				    .name = name,
				    .peer_name = c->ifname,
				    .netns_fd = c->netns_fd,
				    .mtu = endpoint_mtu(c),
				    .peer_mac = c->mac,
			    });
}

static void queue_attach(struct netlink *nl, const struct endpoint_config *c)
{
	char name[IFNAMSIZ], alias[LINK_ALIAS_MAX];

	endpoint_host_ifname(c->container, c->network->id, name);
	link_queue_change(nl, name,
			  &(struct link_change){
				  .alias = host_alias(c, alias),
				  .master = c->network->ifindex,
				  .no_ipv6_addr = true,
				  .up = true,
			  });
	if (!c->network->icc)
		link_queue_isolated(nl, name, true);
}

/* ---- the container's side ------------------------------------------------------ */

static int write_ipv6_conf(const char *ifname, const char *key, const char *value, struct err *e)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "net/ipv6/conf/%s/%s", ifname, key);
	r = netns_sysctl_write(path, value, e);
	return r == -ENOENT ? 0 : r; /* a kernel without IPv6 */
}

/* "net.ipv4.conf.IFNAME.log_martians=1" */
static int write_user_sysctl(const char *entry, const char *ifname, struct err *e)
{
	_cleanup_(free_p) char *key = xstrndup(entry, strcspn(entry, "="));
	_cleanup_(free_p) char *path = NULL;
	const char *value = strchr(entry, '='), *at = strstr(key, "IFNAME");

	if (!value)
		return err_set(e, EINVAL, "sysctl \"%s\" is not of the form key=value", entry);
	if (at)
		path = xasprintf("%.*s%s%s", (int)(at - key), key, ifname, at + strlen("IFNAME"));
	return netns_sysctl_write(path ? path : key, value + 1, e);
}

/* Runs in the namespace, before the interface is up. */
static int write_sysctls(const struct endpoint_config *c, struct err *e)
{
	int r;

	if (c->ipv6.family) {
		r = write_ipv6_conf(c->ifname, "disable_ipv6", "0", e);
		if (r == 0)
			r = write_ipv6_conf(c->ifname, "accept_dad", "0", e);
		if (r == 0)
			r = write_ipv6_conf(c->ifname, "accept_ra", "0", e);
	} else {
		r = write_ipv6_conf(c->ifname, "disable_ipv6", "1", e);
	}
	for (char *const *entry = c->sysctls; r == 0 && entry && *entry; entry++)
		r = write_user_sysctl(*entry, c->ifname, e);
	return r;
}

static void queue_gateway(struct netlink *inner, const struct endpoint_config *c, int ifindex,
			  const struct ip_addr *own, const struct ipam_pool *pool)
{
	if (c->default_route && !c->network->config->internal && own->family &&
	    pool->gateway.family)
		link_queue_default_route(inner, ifindex, &pool->gateway, c->ifname);
}

static int configure_inside(struct netlink *inner, const struct endpoint_config *c, struct err *e)
{
	const struct network *n = c->network;
	int ifindex = link_index(inner, c->ifname);

	if (ifindex < 0)
		return err_errno(e, -ifindex, "find interface %s of the container", c->ifname);
	if (c->ipv4.family)
		link_queue_addr(inner, ifindex, &c->ipv4, n->ipv4.subnet.len, c->ifname);
	if (c->ipv6.family)
		link_queue_addr(inner, ifindex, &c->ipv6, n->ipv6.subnet.len, c->ifname);
	for (size_t i = 0; i < c->n_link_local; i++)
		link_queue_addr(inner, ifindex, &c->link_local[i], ip_bits(c->link_local[i].family),
				c->ifname);
	link_queue_change(inner, c->ifname, &(struct link_change){ .up = true });
	queue_gateway(inner, c, ifindex, &c->ipv4, &n->ipv4);
	queue_gateway(inner, c, ifindex, &c->ipv6, &n->ipv6);
	return netlink_flush(inner, e);
}

/* A visit to one namespace for the configs [first, first + n). */
struct visit {
	struct endpoint_config *first;
	size_t n;
	struct netlink *inner;
	struct err *err; /* the first error of them all */
};

/* Record what became of one endpoint. */
static void note(struct endpoint_config *c, int r, const struct err *why, struct err *first)
{
	struct err copy = *why;

	if (r == 0)
		return;
	c->result = wrap(&copy, r, c);
	if (!first->code)
		*first = copy;
}

static int enter(void *data, struct err *e)
{
	struct visit *v = data;
	struct err why = ERR_INIT;
	int r = netlink_open(&v->inner, e);

	for (size_t i = 0; r == 0 && i < v->n; i++)
		if (v->first[i].result == 0)
			note(&v->first[i], write_sysctls(&v->first[i], &why), &why, v->err);
	return r;
}

static int open_inner(void *data, struct err *e)
{
	return netlink_open(data, e);
}

/* ---- repair ---------------------------------------------------------------------- */

/* The other end is in that namespace, under its name: 1 or 0. */
static int peer_matches(struct netlink *inner, const struct endpoint_config *c,
			const struct link_info *host, struct err *e)
{
	struct link_info peer;
	int r = link_get(inner, c->ifname, &peer, NULL);

	if (r < 0)
		return 0;
	r = peer.peer == host->ifindex && peer.peer_is_elsewhere &&
	    memcmp(peer.mac, c->mac, MAC_LEN) == 0;
	if (r > 0 && c->ipv4.family)
		r = link_has_addr(inner, peer.ifindex, &c->ipv4, c->network->ipv4.subnet.len, e);
	if (r > 0 && c->ipv6.family)
		r = link_has_addr(inner, peer.ifindex, &c->ipv6, c->network->ipv6.subnet.len, e);
	return r;
}

/* Is the host's end there?  1 ours, 0 none, -EEXIST a stranger's. A pair that
 * has no alias yet is from a run that died between the first two batches. */
static int find_host_end(struct netlink *nl, const struct endpoint_config *c,
			 struct link_info *host, struct err *e)
{
	char name[IFNAMSIZ], alias[LINK_ALIAS_MAX];
	int r;

	endpoint_host_ifname(c->container, c->network->id, name);
	r = link_get(nl, name, host, NULL);
	if (r == -ENODEV)
		return 0;
	if (r < 0)
		return err_errno(e, -r, "look up %s", name);
	if (!streq(host->kind, "veth") ||
	    (*host->alias && !streq(host->alias, host_alias(c, alias))))
		return err_set(e, EEXIST, "interface %s exists and is not comp's", name);
	return 1;
}

/* Make one pair, whatever there is already. */
static int repair(struct netlink *nl, const struct endpoint_config *c, struct err *e)
{
	_cleanup_(netlink_freep) struct netlink *inner = NULL;
	struct link_info host;
	int r, found = find_host_end(nl, c, &host, e);

	if (found < 0)
		return found;
	r = netns_run(c->netns_fd, open_inner, &inner, e);
	if (r < 0)
		return r;
	r = found ? peer_matches(inner, c, &host, e) : 0;
	if (r == 0) {
		if (found)
			r = link_delete(nl, host.name, e);
		if (r == 0) /* the namespace is ours: what has the name there is a leftover */
			r = link_delete(inner, c->ifname, e);
		if (r < 0)
			return r;
		queue_pair(nl, c);
	}
	if (r < 0)
		return r;
	queue_attach(nl, c);
	return netlink_flush(nl, e);
}

/* ---- all of it -------------------------------------------------------------------- */

static void prepare(struct endpoint_config *c)
{
	static const uint8_t zero[MAC_LEN];

	c->result = 0;
	if (memcmp(c->mac, zero, MAC_LEN) == 0)
		mac_from_ip(c->ipv4.family ? &c->ipv4 : &c->ipv6, c->mac);
}

static void make_pairs(struct netlink *nl, struct endpoint_config *c, size_t n, struct err *first)
{
	_cleanup_(free_p) int *made = xcalloc(n, sizeof(*made));
	struct err why = ERR_INIT;

	for (size_t i = 0; i < n; i++)
		queue_pair(nl, &c[i]);
	(void)netlink_flush_results(nl, made, NULL); /* refused ones are looked at below */
	for (size_t i = 0; i < n; i++)
		if (made[i] == 0)
			queue_attach(nl, &c[i]);
	if (netlink_flush(nl, NULL) < 0) /* which one? repair() finds out */
		memset(made, 0xff, n * sizeof(*made));
	for (size_t i = 0; i < n; i++)
		if (made[i] < 0)
			note(&c[i], repair(nl, &c[i], &why), &why, first);
}

static void visit(struct visit *v)
{
	struct err why = ERR_INIT;
	int r = netns_run(v->first->netns_fd, enter, v, &why);

	for (size_t i = 0; i < v->n; i++) {
		struct endpoint_config *c = &v->first[i];

		if (c->result == 0)
			note(c, r < 0 ? r : configure_inside(v->inner, c, &why), &why, v->err);
	}
	netlink_free(v->inner);
}

int endpoint_create_many(struct netlink *nl, struct endpoint_config *c, size_t n, struct err *e)
{
	struct err first = ERR_INIT;
	size_t end;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		prepare(&c[i]);
	make_pairs(nl, c, n, &first);
	for (size_t i = 0; i < n; i = end) {
		struct visit v = { .first = &c[i], .err = &first };

		for (end = i; end < n && c[end].netns_fd == c[i].netns_fd; end++)
			v.n++;
		visit(&v);
	}
	if (first.code && e)
		*e = first;
	return -first.code;
}

int endpoint_check(struct netlink *nl, const struct endpoint_config *c, struct err *e)
{
	_cleanup_(netlink_freep) struct netlink *inner = NULL;
	struct endpoint_config copy = *c;
	struct link_info host;
	int r = find_host_end(nl, c, &host, e);

	if (r <= 0)
		return r;
	if (!host.up || host.master != c->network->ifindex)
		return 0;
	prepare(&copy);
	r = netns_run(c->netns_fd, open_inner, &inner, e);
	return r < 0 ? r : peer_matches(inner, &copy, &host, e);
}

int endpoint_remove(struct netlink *nl, const char *container, const char *network_id,
		    struct err *e)
{
	char name[IFNAMSIZ];

	endpoint_host_ifname(container, network_id, name);
	return link_delete(nl, name, e);
}

int endpoint_remove_many(struct netlink *nl, const char *const *host_ifnames, size_t n,
			 struct err *e)
{
	return link_delete_many(nl, host_ifnames, n, e);
}
