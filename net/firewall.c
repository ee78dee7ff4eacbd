/* net/firewall.c: the rule set as text, and its way into the kernel.
 *
 * Rules match bridges by name in a set, so a rule set is valid before a bridge
 * exists and survives its recreation.  A port is a map element and not a rule:
 * a packet costs one lookup, however many ports there are.  For each kind of port
 * there are two maps: keyed by address and port for ports bound to one address,
 * and by port alone (behind `fib daddr type local`) for those bound to all.
 *
 * Priorities are the conventional ones.  Where it matters which table comes
 * first, ours does not depend on it: the drops are final wherever they stand,
 * and a port that another table has redirected before us is not ours any more.
 */
#include "net/firewall.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/spawn.h"
#include "base/util.h"
#include "net/netlink.h"
#include "net/netns.h"

#define OUTPUT_MAX 4096

static bool is_safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

const char *firewall_table(const char *project, char buf[FIREWALL_TABLE_MAX])
{
	size_t n = 0;
	bool fits = strlen(project) <= 64;

	n = (size_t)snprintf(buf, FIREWALL_TABLE_MAX, "comp-");
	for (const char *c = project; *c && c < project + 64; c++) {
		fits = fits && is_safe(*c);
		buf[n++] = is_safe(*c) ? *c : '_';
	}
	buf[n] = '\0';
	if (!fits)
		(void)snprintf(buf + n, FIREWALL_TABLE_MAX - n, "-%016llx",
			       (unsigned long long)hash64(HASH64_INIT, project, strlen(project)));
	return buf;
}

/* A name between quotes: whatever could end the string is replaced. */
static void add_quoted(struct buf *out, const char *s)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < 64 && s[i]; i++)
		buf_addc(out, is_safe(s[i]) ? s[i] : '_');
	buf_addc(out, '"');
}

/* ` comment "comp demo: text"` and the end of the line. */
static void end_rule(struct buf *out, const struct firewall *f, const char *text)
{
	buf_adds(out, " comment \"comp ");
	for (size_t i = 0; i < 48 && f->project[i]; i++)
		buf_addc(out, is_safe(f->project[i]) ? f->project[i] : '_');
	buf_printf(out, ": %s\"\n", text);
}

static void add_ifname_set(struct buf *out, const struct firewall *f, const char *name,
			   bool only_internal)
{
	const char *sep = "\t\telements = { ";

	buf_printf(out, "\tset %s {\n\t\ttype ifname\n", name);
	for (size_t i = 0; i < f->n_networks; i++) {
		if (only_internal && !f->networks[i].internal)
			continue;
		buf_adds(out, sep);
		add_quoted(out, f->networks[i].ifname);
		sep = ", ";
	}
	buf_adds(out, *sep == ',' ? " }\n\t}\n" : "\t}\n");
}

/* ---- ports ------------------------------------------------------------------------ */

/* One of the maps: which ports it holds and how it is typed. */
struct port_map {
	const char *name, *family; /* "ip", "ip6" */
	int af;
	bool any;      /* keyed by protocol and port alone */
	bool nat_only; /* for connections from outside */
};

static const struct port_map output_maps[] = {
	{ "local4", "ip", AF_INET, false, false },
	{ "local4_any", "ip", AF_INET, true, false },
};

static const struct port_map prerouting_maps[] = {
	{ "nat4", "ip", AF_INET, false, true },
	{ "nat4_any", "ip", AF_INET, true, true },
	{ "nat6", "ip6", AF_INET6, false, true },
	{ "nat6_any", "ip6", AF_INET6, true, true },
};

static bool belongs(const struct port_map *m, const struct firewall_port *p)
{
	if (p->container_ip.family != m->af || ip_is_any(&p->host_ip) != m->any)
		return false;
	if (p->host_ip.family && p->host_ip.family != m->af)
		return false;
	/* Nothing from outside may be turned from a loopback address to a container:
	 * prerouting sees the packet before the kernel would call it a martian. */
	return !m->nat_only || (p->mode == FIREWALL_NAT && !ip_is_loopback(&p->host_ip));
}

static const char *protocol_name(int protocol)
{
	return protocol == IPPROTO_UDP ? "udp" : "tcp";
}

static char *port_key(const struct port_map *m, const struct firewall_port *p)
{
	char text[IP_TEXT_MAX];

	if (m->any)
		return xasprintf("%s . %u", protocol_name(p->protocol), p->host_port);
	return xasprintf("%s . %s . %u", ip_text(&p->host_ip, text), protocol_name(p->protocol),
			 p->host_port);
}

/* Writes the map unless it would be empty; returns whether it did. */
static bool add_map(struct buf *out, const struct firewall *f, const struct port_map *m)
{
	struct map seen = MAP_INIT;
	char text[IP_TEXT_MAX];
	bool some;

	for (size_t i = 0; i < f->n_ports; i++) {
		const struct firewall_port *p = &f->ports[i];
		_cleanup_(free_p) char *key = NULL;

		if (!belongs(m, p))
			continue;
		key = port_key(m, p);
		if (map_has(&seen, key))
			continue;
		if (!map_len(&seen))
			buf_printf(out,
				   "\tmap %s {\n\t\ttype %sinet_proto . inet_service : "
				   "%s_addr . inet_service\n\t\telements = {\n",
				   m->name,
				   m->any             ? ""
				   : m->af == AF_INET ? "ipv4_addr . "
						      : "ipv6_addr . ",
				   m->af == AF_INET ? "ipv4" : "ipv6");
		map_put(&seen, key, (void *)p);
		buf_printf(out, "\t\t\t%s : %s . %u,\n", key, ip_text(&p->container_ip, text),
			   p->container_port);
	}
	some = map_len(&seen) > 0;
	if (some)
		buf_adds(out, "\t\t}\n\t}\n");
	map_done(&seen);
	return some;
}

static void add_dnat(struct buf *out, const struct firewall *f, const struct port_map *m)
{
	buf_adds(out, "\t\tmeta l4proto { tcp, udp } ");
	if (m->any)
		buf_printf(out, "meta nfproto %s fib daddr type local dnat %s to ",
			   m->af == AF_INET ? "ipv4" : "ipv6", m->family);
	else
		buf_printf(out, "dnat %s to %s daddr . ", m->family, m->family);
	buf_printf(out, "meta l4proto . th dport map @%s", m->name);
	end_rule(out, f, "published ports");
}

/* The maps of one nat chain and then the chain itself. */
static void add_dnat_chain(struct buf *out, const struct firewall *f, const char *hook,
			   const char *guard, const struct port_map *maps, size_t n_maps)
{
	bool some[4] = { 0 }, any = false;

	for (size_t i = 0; i < n_maps; i++)
		any |= some[i] = add_map(out, f, &maps[i]);
	if (!any)
		return;
	buf_printf(out, "\tchain %s {\n\t\ttype nat hook %s priority -100; policy accept;\n%s",
		   hook, hook, guard);
	for (size_t i = 0; i < n_maps; i++)
		if (some[i])
			add_dnat(out, f, &maps[i]);
	buf_adds(out, "\t}\n");
}

/* ---- chains ------------------------------------------------------------------------ */

static void add_early_chain(struct buf *out, const struct firewall *f)
{
	buf_adds(out, "\tchain early {\n"
		      "\t\ttype filter hook prerouting priority raw; policy accept;\n");
	buf_adds(out, "\t\tiifname @bridges ip saddr 127.0.0.0/8 drop");
	end_rule(out, f, "loopback source from a container");
	buf_adds(out, "\t\tiifname @bridges ip daddr 127.0.0.0/8 drop");
	end_rule(out, f, "loopback of the host from a container");
	buf_adds(out, "\t}\n");
}

static void add_forward_chain(struct buf *out, const struct firewall *f)
{
	buf_adds(out, "\tchain forward {\n"
		      "\t\ttype filter hook forward priority filter; policy accept;\n");
	for (size_t i = 0; i < f->n_networks; i++) {
		const struct firewall_network *n = &f->networks[i];

		buf_adds(out, "\t\tiifname ");
		add_quoted(out, n->ifname);
		buf_adds(out, " oifname ");
		add_quoted(out, n->ifname);
		buf_adds(out, n->icc ? " accept" : " drop");
		end_rule(out, f, n->icc ? "within a network" : "within a network without icc");
	}
	buf_adds(out, "\t\tiifname @internal drop");
	end_rule(out, f, "from an internal network");
	buf_adds(out, "\t\toifname @internal drop");
	end_rule(out, f, "to an internal network");
	buf_adds(out, "\t\tiifname @bridges ct state established,related accept");
	end_rule(out, f, "replies of containers");
	buf_adds(out, "\t\toifname @bridges ct state established,related accept");
	end_rule(out, f, "replies to containers");
	buf_adds(out, "\t\toifname @bridges ct status dnat accept");
	end_rule(out, f, "published by nat");
	buf_adds(out, "\t\toifname @bridges drop");
	end_rule(out, f, "from other networks or routed directly");
	buf_adds(out, "\t\tiifname @bridges accept");
	end_rule(out, f, "containers to the outside");
	buf_adds(out, "\t}\n");
}

static void add_masquerade(struct buf *out, const struct firewall *f,
			   const struct firewall_network *n, const struct ip_prefix *subnet)
{
	char text[IP_TEXT_MAX];

	if (!subnet->addr.family || !n->masquerade || n->internal)
		return;
	buf_printf(out,
		   "\t\t%s saddr %s oifname != ", subnet->addr.family == AF_INET ? "ip" : "ip6",
		   ip_prefix_text(subnet, text));
	add_quoted(out, n->ifname);
	buf_adds(out, " masquerade");
	end_rule(out, f, "containers to the outside");
}

static void add_postrouting_chain(struct buf *out, const struct firewall *f)
{
	buf_adds(out, "\tchain postrouting {\n"
		      "\t\ttype nat hook postrouting priority srcnat; policy accept;\n");
	/* The host's own connections to published ports come from 127.0.0.1, or
	 * from an address that a container with no or another default route could
	 * not answer; from the bridge's address it always can. */
	buf_adds(out, "\t\toifname @bridges ct status dnat fib saddr type local masquerade");
	end_rule(out, f, "the host to published ports");
	for (size_t i = 0; i < f->n_networks; i++) {
		add_masquerade(out, f, &f->networks[i], &f->networks[i].ipv4);
		add_masquerade(out, f, &f->networks[i], &f->networks[i].ipv6);
	}
	buf_adds(out, "\t}\n");
}

static void add_table(struct buf *out, const struct firewall *f)
{
	char table[FIREWALL_TABLE_MAX];

	buf_printf(out, "table inet %s {\n", firewall_table(f->project, table));
	add_ifname_set(out, f, "bridges", false);
	add_ifname_set(out, f, "internal", true);
	add_early_chain(out, f);
	add_forward_chain(out, f);
	add_dnat_chain(out, f, "output", "", output_maps, ARRAY_SIZE(output_maps));
	add_dnat_chain(out, f, "prerouting",
		       "\t\tiifname @bridges return\n\t\tip daddr 127.0.0.0/8 return\n",
		       prerouting_maps, ARRAY_SIZE(prerouting_maps));
	add_postrouting_chain(out, f);
	buf_adds(out, "}\n");
}

void firewall_text(const struct firewall *f, struct buf *out)
{
	firewall_remove_text(f->project, out);
	add_table(out, f);
}

void firewall_remove_text(const char *project, struct buf *out)
{
	char table[FIREWALL_TABLE_MAX];

	(void)firewall_table(project, table);
	/* Deleting what is not there is an error; what was just added is there. */
	buf_printf(out, "add table inet %s\ndelete table inet %s\n", table, table);
}

/* ---- into the kernel ---------------------------------------------------------------- */

int firewall_start(const struct buf *text, int nft_fd, struct firewall_job *job, struct err *e)
{
	_cleanup_(free_p) char *path = nft_fd >= 0 ? NULL : spawn_helper_path("comp-nft");
	_cleanup_(fd_closep) int input = -EBADF, rd = -EBADF, wr = -EBADF;
	struct spawn_opts o = SPAWN_OPTS_INIT;
	char name[] = "comp-nft";
	char *argv[] = { name, NULL };
	int p[2], r;

	*job = (struct firewall_job){ .pidfd = -EBADF, .output = -EBADF };
	input = memfd_sealed("rules", buf_str(text), text->len, e);
	if (input < 0)
		return err_wrap(e, input, "apply firewall rules");
	r = fd_pipe(p, e);
	if (r < 0)
		return r;
	rd = p[0];
	wr = p[1];
	o.path = path;
	o.exe_fd = nft_fd;
	o.argv = argv;
	o.stdin_fd = input;
	o.stdout_fd = o.stderr_fd = wr;
	r = spawn_start(&o, &job->pid, &job->pidfd, e);
	if (r < 0)
		return err_wrap(e, r, "apply firewall rules");
	job->output = TAKE_FD(rd);
	return 0;
}

/* All there is, for a full pipe would block the program, but no more than is worth keeping. */
static void collect_output(int fd, struct buf *out)
{
	char text[1024];
	ssize_t n;

	do {
		n = read(fd, text, sizeof(text));
		if (n > 0 && out->len < OUTPUT_MAX)
			buf_add(out, text, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
}

int firewall_finish(struct firewall_job *job, struct err *e)
{
	_cleanup_(buf_done) struct buf said = BUF_INIT;
	int r;

	collect_output(job->output, &said);
	job->output = fd_close(job->output);
	r = spawn_wait(job->pid);
	job->pidfd = fd_close(job->pidfd);
	if (r <= 0)
		return r < 0 ? err_errno(e, -r, "apply firewall rules") : 0;
	if (!said.len)
		return err_set(e, EIO, "apply firewall rules: comp-nft ended with code %d", r);
	buf_truncate(&said, strcspn(buf_str(&said), "\n"));
	return err_set(e, EIO, "apply firewall rules: %s", buf_str(&said));
}

int firewall_apply_text(const struct buf *text, int nft_fd, struct err *e)
{
	struct firewall_job job;
	int r = firewall_start(text, nft_fd, &job, e);

	return r < 0 ? r : firewall_finish(&job, e);
}

static int ignore_answer(const struct nlmsghdr *h, void *data)
{
	return 0;
}

int firewall_exists(const char *project, struct err *e)
{
	_cleanup_(netlink_freep) struct netlink *nl = NULL;
	struct nfgenmsg g = { .nfgen_family = NFPROTO_INET };
	char table[FIREWALL_TABLE_MAX];
	struct err why = ERR_INIT;
	struct nl_msg *m;
	int r = netlink_open_protocol(NETLINK_NETFILTER, &nl, e);

	if (r < 0)
		return r;
	m = netlink_msg(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, 0, &g, sizeof(g));
	(void)nla_put_string(m, NFTA_TABLE_NAME, firewall_table(project, table));
	r = netlink_query(nl, m, ignore_answer, NULL, NULL, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0 && e)
		*e = why;
	return r < 0 ? r : 1;
}

/* For a table that does not exist: nothing to delete, so nothing to wait for.
 * Should it have appeared meanwhile, `create` fails and so does all of it. */
static int apply_fresh(const struct firewall *f, int nft_fd, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	char table[FIREWALL_TABLE_MAX];

	buf_printf(&text, "create table inet %s\n", firewall_table(f->project, table));
	add_table(&text, f);
	return firewall_apply_text(&text, nft_fd, e);
}

static int apply_rules(const struct firewall *f, int nft_fd, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	if (firewall_exists(f->project, NULL) == 0 && apply_fresh(f, nft_fd, NULL) == 0)
		return 0;
	firewall_text(f, &text);
	return firewall_apply_text(&text, nft_fd, e);
}

static bool needs_route_localnet(const struct firewall *f, const struct firewall_network *n)
{
	for (size_t i = 0; i < f->n_ports; i++) {
		const struct firewall_port *p = &f->ports[i];

		if (p->container_ip.family == AF_INET && streq(p->ifname, n->ifname) &&
		    (ip_is_any(&p->host_ip) || ip_is_loopback(&p->host_ip)))
			return true;
	}
	return false;
}

static int set_route_localnet(const struct firewall *f, const struct firewall_network *n,
			      struct err *e)
{
	int want = needs_route_localnet(f, n), value;
	char path[64];

	(void)snprintf(path, sizeof(path), "net/ipv4/conf/%s/route_localnet", n->ifname);
	if (netns_sysctl_read(path, &value, NULL) < 0 || value == want)
		return 0; /* no such bridge yet: the next call will see it */
	return netns_sysctl_write(path, want ? "1" : "0", e);
}

int firewall_apply(const struct firewall *f, int nft_fd, struct err *e)
{
	int r = apply_rules(f, nft_fd, e);

	for (size_t i = 0; r == 0 && i < f->n_networks; i++)
		r = set_route_localnet(f, &f->networks[i], e);
	return r;
}

int firewall_remove(const char *project, int nft_fd, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	firewall_remove_text(project, &text);
	return firewall_apply_text(&text, nft_fd, e);
}

/* ---- watching ------------------------------------------------------------------------ */

int firewall_watch_open(struct err *e)
{
	_cleanup_(fd_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
					     NETLINK_NETFILTER);
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int group = NFNLGRP_NFTABLES;

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_errno(e, errno, "watch the firewall");
	return TAKE_FD(fd);
}

/* 1: something of the table was deleted; 0: added; -1: not about it.  The name of
 * the table is attribute 1 of every kind of message. */
static int judge(const struct nlmsghdr *h, const char *table)
{
	const struct nfgenmsg *g = NLMSG_DATA(h);
	struct nlattr *name;

	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || h->nlmsg_len < NLMSG_LENGTH(sizeof(*g)) ||
	    g->nfgen_family != NFPROTO_INET)
		return -1;
	name = nlmsg_find_attr((struct nlmsghdr *)h, sizeof(*g), NFTA_TABLE_NAME);
	if (!name || nla_strcmp(name, table) != 0)
		return -1;
	switch (h->nlmsg_type & 0xff) {
	case NFT_MSG_DELTABLE:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_DELRULE:
	case NFT_MSG_DELSET:
	case NFT_MSG_DELSETELEM:
		return 1;
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_NEWRULE:
		return 0;
	default:
		return -1;
	}
}

int firewall_watch_read(int fd, const char *project, struct err *e)
{
	_Alignas(struct nlmsghdr) char in[16384];
	char table[FIREWALL_TABLE_MAX];
	int lost = 0;

	(void)firewall_table(project, table);
	for (;;) {
		ssize_t n = recv(fd, in, sizeof(in), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) { /* events were dropped: assume the worst */
			lost = 1;
			continue;
		}
		if (n < 0 && errno == EAGAIN)
			return lost;
		if (n < 0)
			return err_errno(e, errno, "watch the firewall");
		for (struct nlmsghdr *h = (struct nlmsghdr *)in; NLMSG_OK(h, (size_t)n);
		     h = NLMSG_NEXT(h, n)) {
			int verdict = judge(h, table);

			if (verdict >= 0)
				lost = verdict;
		}
	}
}
