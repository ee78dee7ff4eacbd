/* net/network_plan.c: from what the user asked for and what the host uses to a
 * complete struct network.  Nothing here changes anything; a plan can be made,
 * shown and thrown away. */
#include <stdio.h>

#include "base/path.h"
#include "base/strv.h"
#include "base/util.h"
#include "net/link.h"
#include "net/network.h"
#include "net/resolv.h"

#define OPT "com.docker.network."

/* ---- what the host uses ----------------------------------------------------- */

static void use(struct network_host *h, const struct ip_prefix *p, const char *fmt, ...)
	_printf_(3, 4);
static void use(struct network_host *h, const struct ip_prefix *p, const char *fmt, ...)
{
	struct ipam_used *u;
	va_list ap;

	if (!p->addr.family)
		return;
	if (h->n_used == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 32;
		h->used = xreallocarray(h->used, h->cap, sizeof(*h->used));
	}
	u = &h->used[h->n_used++];
	u->prefix = *p;
	u->prefix.addr = ip_prefix_base(p);
	va_start(ap, fmt);
	(void)vsnprintf(u->what, sizeof(u->what), fmt, ap);
	va_end(ap);
}

/* The host's name servers are often reached over no route but the default one;
 * a bridge that takes their address would cut the host off from DNS. */
static void use_nameservers(struct network_host *h)
{
	_cleanup_(resolv_done) struct resolv_conf conf = { 0 };
	struct ip_prefix p;

	if (resolv_read_host(&conf, NULL) < 0)
		return; /* unreadable: then the host does not use them either */
	STRV_FOREACH (server, conf.nameservers)
		if (ip_parse(*server, &p.addr, NULL) == 0 && !ip_is_loopback(&p.addr)) {
			p.len = ip_bits(p.addr.family);
			use(h, &p, "name server in /etc/resolv.conf");
		}
}

static int read_mtu(struct netlink *nl, int *mtu, struct err *e)
{
	struct link_info link;
	char name[IFNAMSIZ];
	int ifindex = link_default(nl, AF_INET, e);

	*mtu = 1500;
	if (ifindex == 0)
		ifindex = link_default(nl, AF_INET6, e);
	if (ifindex < 0)
		return ifindex;
	if (ifindex && if_indextoname((unsigned int)ifindex, name) &&
	    link_get(nl, name, &link, NULL) == 0 && link.mtu > 0)
		*mtu = link.mtu;
	return 0;
}

int network_host_read(struct netlink *nl, struct network_host *h, struct err *e)
{
	_cleanup_(free_p) struct link_prefix *prefixes = NULL;
	char name[IFNAMSIZ];
	size_t n = 0;
	int r;

	*h = (struct network_host){ 0 };
	r = link_prefixes(nl, &prefixes, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *kind = prefixes[i].is_address ? "address of" : "route on";

		if (!if_indextoname((unsigned int)prefixes[i].ifindex, name))
			(void)snprintf(name, sizeof(name), "no interface");
		use(h, &prefixes[i].prefix, "%s %s", kind, name);
	}
	if (r == 0)
		r = read_mtu(nl, &h->mtu, e);
	if (r == 0)
		use_nameservers(h);
	else
		network_host_done(h);
	return r;
}

/* In front of what the kernel says: of a route and the network that it belongs to, the
 * network is what the user knows. */
static void use_network(struct network_host *h, const struct ip_prefix *p, const struct network *n)
{
	const char *project = n->config->project;
	size_t had = h->n_used;
	struct ipam_used last;

	use(h, p, "network %s%s%s", n->config->name, project ? " of project " : "",
	    project ? project : "");
	if (h->n_used == had)
		return;
	last = h->used[had];
	memmove(h->used + 1, h->used, had * sizeof(*h->used));
	h->used[0] = last;
}

void network_host_add(struct network_host *h, const struct network *n)
{
	use_network(h, &n->ipv4.subnet, n);
	use_network(h, &n->ipv6.subnet, n);
}

void network_host_done(struct network_host *h)
{
	free(h->used);
	*h = (struct network_host){ 0 };
}

/* ---- driver options ---------------------------------------------------------- */

static int parse_bool(const char *key, const char *value, bool *out, struct err *e)
{
	if (!strcasecmp(value, "true") || streq(value, "1"))
		*out = true;
	else if (!strcasecmp(value, "false") || streq(value, "0"))
		*out = false;
	else
		return err_set(e, EINVAL, "driver option %s: \"%s\" is neither true nor false", key,
			       value);
	return 0;
}

static int set_ifname(struct network *n, const char *value, struct err *e)
{
	if (!name_is_valid(value, IFNAMSIZ - 1))
		return err_set(e, EINVAL,
			       "driver option " OPT "bridge.name: \"%s\" is no interface name "
			       "(letters, digits, '.', '_', '-'; at most 15)",
			       value);
	memcpy(n->ifname, value, strlen(value) + 1);
	return 0;
}

static int set_mtu(struct network *n, const char *value, struct err *e)
{
	uint64_t mtu, least = n->config->enable_ipv6 ? 1280 : 68; /* RFC 8200, RFC 791 */

	if (!parse_u64(value, &mtu) || mtu < least || mtu > 65535)
		return err_set(e, EINVAL,
			       "driver option " OPT
			       "driver.mtu: \"%s\" is not between %d and 65535",
			       value, (int)least);
	n->mtu = (int)mtu;
	return 0;
}

static int set_publish(struct network *n, const char *value, struct err *e)
{
	if (!streq(value, "auto") && !streq(value, "nat") && !streq(value, "proxy"))
		return err_set(e, EINVAL,
			       "driver option comp.publish: \"%s\" is none of auto, nat, proxy",
			       value);
	str_set(&n->publish, value);
	return 0;
}

static int set_host_binding(struct network *n, const char *value, struct err *e)
{
	if (ip_parse(value, &n->host_binding, NULL) < 0 || n->host_binding.family != AF_INET)
		return err_set(e, EINVAL,
			       "driver option " OPT
			       "bridge.host_binding_ipv4: \"%s\" is not an IPv4 address",
			       value);
	return 0;
}

static int set_option(struct network *n, const char *key, const char *value, struct err *e)
{
	if (streq(key, OPT "bridge.name"))
		return set_ifname(n, value, e);
	if (streq(key, OPT "driver.mtu"))
		return set_mtu(n, value, e);
	if (streq(key, OPT "bridge.enable_icc"))
		return parse_bool(key, value, &n->icc, e);
	if (streq(key, OPT "bridge.enable_ip_masquerade"))
		return parse_bool(key, value, &n->masquerade, e);
	if (streq(key, OPT "bridge.host_binding_ipv4"))
		return set_host_binding(n, value, e);
	if (streq(key, "comp.publish"))
		return set_publish(n, value, e);
	if (skip_prefix(key, "com.docker."))
		return 0;
	return err_set(e, EINVAL, "unknown driver option \"%s\"", key);
}

static int set_options(struct network *n, struct err *e)
{
	STRV_FOREACH (option, n->config->driver_opts) {
		size_t len = strcspn(*option, "=");
		_cleanup_(free_p) char *key = xstrndup(*option, len);
		int r = set_option(n, key, (*option)[len] ? *option + len + 1 : "", e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- subnets ----------------------------------------------------------------- */

/* The family an ipam entry is about; 0 when its texts make no sense. */
static int entry_family(const struct network_ipam *c)
{
	const char *text = c->subnet ? c->subnet : c->ip_range ? c->ip_range : c->gateway;
	struct ip_prefix p;

	if (!text)
		return AF_INET;
	return ip_prefix_parse(text, &p, NULL) == 0 ? p.addr.family : 0;
}

static int parse_subnet(const char *text, struct ip_prefix *out, struct err *e)
{
	struct ip_prefix base;
	char want[IP_TEXT_MAX];
	int r = ip_prefix_parse(text, out, e);

	if (r < 0)
		return r;
	base = *out;
	base.addr = ip_prefix_base(out);
	if (!ip_equal(&base.addr, &out->addr))
		return err_set(e, EINVAL, "subnet %s has host bits set, it should be %s", text,
			       ip_prefix_text(&base, want));
	if (out->len < 8 || out->len > ip_bits(out->addr.family) - 2)
		return err_set(e, EINVAL, "subnet %s is too %s for a network", text,
			       out->len < 8 ? "large" : "small");
	return 0;
}

/* An address that has to lie in the pool's subnet. */
static int parse_member(const struct ipam_pool *p, const char *what, const char *text,
			struct ip_addr *out, struct err *e)
{
	char subnet[IP_TEXT_MAX];
	int r = ip_parse(text, out, e);

	if (r < 0)
		return err_wrap(e, r, "%s", what);
	if (!ip_prefix_contains(&p->subnet, out))
		return err_set(e, EINVAL, "%s %s is not in subnet %s", what, text,
			       ip_prefix_text(&p->subnet, subnet));
	return 0;
}

static int add_aux(struct ipam_pool *p, const char *entry, struct err *e)
{
	const char *equals = strchr(entry, '=');
	struct ip_addr a;
	int r = parse_member(p, "auxiliary address", equals ? equals + 1 : entry, &a, e);

	if (r < 0)
		return r;
	p->aux = xreallocarray(p->aux, p->n_aux + 1, sizeof(*p->aux));
	p->aux[p->n_aux++] = a;
	return 0;
}

/* What the entry says beside the subnet; @c may be NULL. */
static int fill_pool(struct ipam_pool *p, const struct network_ipam *c, struct err *e)
{
	char subnet[IP_TEXT_MAX];
	int r;

	if (c && c->ip_range) {
		r = ip_prefix_parse(c->ip_range, &p->range, e);
		if (r < 0)
			return r;
		if (!ip_prefix_within(&p->subnet, &p->range))
			return err_set(e, EINVAL, "ip_range %s is not in subnet %s", c->ip_range,
				       ip_prefix_text(&p->subnet, subnet));
		p->range.addr = ip_prefix_base(&p->range);
	}
	if (c)
		STRV_FOREACH (entry, c->aux) {
			r = add_aux(p, *entry, e);
			if (r < 0)
				return r;
		}
	if (c && c->gateway)
		return parse_member(p, "gateway", c->gateway, &p->gateway, e);
	p->gateway = ipam_default_gateway(p);
	return 0;
}

static int choose_subnet(struct network *n, int family, const struct network_ipam *c,
			 const struct network_host *h, struct ip_prefix *out, struct err *e)
{
	int r;

	if (c && c->subnet) {
		r = parse_subnet(c->subnet, out, e);
		return r < 0 ? r : ipam_check_subnet(out, h->used, h->n_used, e);
	}
	if (c && (c->gateway || c->ip_range))
		return err_set(e, EINVAL, "ipam: a gateway or ip_range needs a subnet");
	return family == AF_INET ? ipam_pick_subnet(n->config->name, h->used, h->n_used, out, e)
				 : ipam_pick_ula(n->id, h->used, h->n_used, out, e);
}

static int plan_family(struct network *n, int family, const struct network_host *h,
		       struct ipam_pool *p, struct err *e)
{
	const struct network_config *c = n->config;
	const struct network_ipam *entry = NULL;
	int r;

	for (size_t i = 0; i < c->n_ipam; i++) {
		if (entry_family(&c->ipam[i]) != family)
			continue;
		if (entry)
			return err_set(e, ENOTSUP,
				       "a bridge has at most one IPv4 and one IPv6 subnet");
		entry = &c->ipam[i];
	}
	r = choose_subnet(n, family, entry, h, &p->subnet, e);
	return r < 0 ? r : fill_pool(p, entry, e);
}

static int plan_subnets(struct network *n, const struct network_host *h, struct err *e)
{
	const struct network_config *c = n->config;
	int r = 0;

	if (!c->enable_ipv4 && !c->enable_ipv6)
		return err_set(e, EINVAL, "IPv4 and IPv6 are both turned off");
	for (size_t i = 0; i < c->n_ipam; i++) /* of no family: say why */
		if (entry_family(&c->ipam[i]) == 0)
			return err_set(e, EINVAL, "ipam: \"%s\" is not an IP prefix",
				       c->ipam[i].subnet     ? c->ipam[i].subnet
				       : c->ipam[i].ip_range ? c->ipam[i].ip_range
							     : c->ipam[i].gateway);
	if (c->enable_ipv4)
		r = plan_family(n, AF_INET, h, &n->ipv4, e);
	if (r == 0 && c->enable_ipv6)
		r = plan_family(n, AF_INET6, h, &n->ipv6, e);
	return r;
}

int network_plan(const struct network_config *c, const struct network_host *h, struct network **out,
		 struct err *e)
{
	_cleanup_(network_freep) struct network *n = new0(struct network);
	int r;

	if (c->driver && !streq(c->driver, "bridge") && !streq(c->driver, "default"))
		return err_set(e, ENOTSUP, "network %s: driver \"%s\" is not supported", c->name,
			       c->driver);
	n->config = network_config_copy(c);
	random_hex(n->id, NETWORK_ID_LEN / 2);
	(void)snprintf(n->ifname, sizeof(n->ifname), "br-%.12s", n->id);
	n->created = now_real_ns();
	n->mtu = h->mtu > 0 && h->mtu < 1500 ? h->mtu : 1500;
	n->icc = n->masquerade = true;
	r = set_options(n, e);
	if (r == 0)
		r = plan_subnets(n, h, e);
	if (r < 0)
		return err_wrap(e, r, "network %s", c->name);
	*out = TAKE_PTR(n);
	return 0;
}
