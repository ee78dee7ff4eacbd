/* engine/supervise/connect.c: a container's place on its networks.
 *
 * The namespace is pinned under the container's id, made at the first start and
 * kept until removal, so neither a restart nor a crash of the container changes
 * its addresses, and `network_mode: service:x` neighbours keep theirs.  Each
 * step first looks whether its work is there already, which makes a start, a
 * restart and an adoption the same code.
 */
#include "engine/supervise/internal.h"

#include <fcntl.h>
#include <poll.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/proc.h"
#include "engine/supervise/supervisor.h"
#include "net/dns.h"
#include "net/endpoint.h"
#include "net/firewall.h"
#include "net/netns.h"

#define AWAIT_TRIES        14 /* with pauses of 1, 2, … ms: 91 ms in all */
#define FIREWALL_LINGER    (20 * NSEC_PER_MSEC)
#define FIREWALL_AGAIN     (100 * NSEC_PER_MSEC) /* after a failure; doubles to … */
#define FIREWALL_AGAIN_MAX (60 * NSEC_PER_SEC)

char *connect_pin_path(const struct supervisor *sv, const char *id)
{
	return xasprintf("%s/netns/%s", sv->run_dir, id);
}

/* ---- published ports ----------------------------------------------------------- */

/* Does @pid work for @project?  Sockets are opened by the supervisor and passed to
 * nethelper, its child. */
static bool works_for(pid_t pid, const struct dirs *d, const char *project)
{
	pid_t supervisor = supervisor_pid(d, project);
	uint64_t parent = 0;

	if (pid <= 0 || !supervisor || supervisor == getpid())
		return false;
	return pid == supervisor || (proc_status_number(pid, "PPid", &parent, NULL) == 0 &&
				     parent == (uint64_t)supervisor);
}

/* Which project has @port?  Looks at every record; only used for an error.  Of one
 * that is just starting no record tells, so look who has the socket. */
bool connect_port_owner(pid_t pid, const char *protocol, const char *host_ip, uint16_t port,
			char *text, size_t n, void *data)
{
	struct supervisor *sv = data;
	_cleanup_(strv_freep) char **projects = dirs_list_projects(sv->dirs);
	bool found = false;

	for (size_t p = 0; projects[p] && !found; p++) {
		struct record_list list;

		if (record_list_load(sv->dirs, projects[p], &list, NULL) < 0)
			continue;
		for (size_t i = 0; i < list.n && !found; i++) {
			const struct record *rec = list.items[i];

			for (size_t k = 0; k < rec->n_ports && !found; k++) {
				if (rec->ports[k].host_port != port ||
				    !streq(rec->ports[k].protocol, protocol ? protocol : "tcp"))
					continue;
				snprintf(text, n, "project %s (service %s)", rec->project,
					 rec->service);
				found = true;
			}
		}
		record_list_done(&list);
	}
	for (size_t p = 0; projects[p] && !found; p++) {
		found = works_for(pid, sv->dirs, projects[p]);
		if (found)
			snprintf(text, n, "project %s", projects[p]);
	}
	return found;
}

static void release_held(struct container *c)
{
	for (size_t i = 0; i < c->n_held; i++)
		publish_result_done(&c->held[i]);
	free(c->held);
	c->held = NULL;
	c->n_held = 0;
}

void connect_drop_held(struct supervisor *sv)
{
	MAP_FOREACH (entry, &sv->containers)
		release_held(entry->value);
}

/* Ports a start would have to take: those nethelper does not hold for us already. */
static bool publishes(const struct container *c)
{
	return c->spec->n_ports > 0 && c->spec->net.mode == NAMESPACE_PRIVATE && !c->rec->n_ports;
}

void connect_settle_ports(struct supervisor *sv)
{
	if (sv->nethelper)
		nethelper_settle(sv->nethelper);
}

bool connect_await_starts(struct supervisor *sv, int tries)
{
	uint64_t now, end = now_mono_ns() + NSEC_PER_SEC;
	bool any = false;

	MAP_FOREACH (entry, &sv->containers) {
		const struct container *c = entry->value;
		struct pollfd p = { .fd = c->m.error_fd, .events = POLLIN };

		if (c->m.error_fd < 0 || (now = now_mono_ns()) > end)
			continue;
		/* The other end is closed by the same exec that closes those copies… */
		(void)poll(&p, 1, (int)((end - now) / NSEC_PER_MSEC) + 1);
		any = true;
	}
	/* … but in the order of their numbers, and it may lose the processor in between. */
	if (any && tries > 0 && tries < AWAIT_TRIES)
		(void)poll(NULL, 0, tries);
	return any && tries < AWAIT_TRIES;
}

int connect_hold_ports(struct container *c, struct err *e)
{
	if (!publishes(c) || c->n_held)
		return 0;
	connect_settle_ports(c->sv);
	c->held = xcalloc(c->spec->n_ports, sizeof(*c->held));
	for (size_t i = 0; i < c->spec->n_ports; i++) {
		const struct port_spec *p = &c->spec->ports[i];
		struct publish_request q = { .host_ip = p->host_ip,
					     .first = p->host_first,
					     .last = p->host_last,
					     .protocol = p->protocol,
					     .container_port = p->container_port };
		int r = publish_open(&q, NULL, NULL, &c->held[i], NULL);

		for (int tries = 0; r == -EADDRINUSE && connect_await_starts(c->sv, tries); tries++)
			r = publish_open(&q, NULL, NULL, &c->held[i], NULL);
		if (r < 0) /* once more, to say why */
			r = publish_open(&q, connect_port_owner, c->sv, &c->held[i], e);
		if (r < 0) {
			release_held(c);
			return r;
		}
		c->n_held++;
	}
	return 0;
}

/* The network whose address ports and the default route use: the highest
 * gw_priority among those that lead outside, the first where they are equal. */
static int outward_network(const struct container *c)
{
	int best = -1, best_priority = 0;

	for (size_t i = 0; i < c->rec->n_networks; i++) {
		struct network *n = map_get(&c->sv->networks, c->rec->networks[i].network);
		int priority = i < c->spec->n_networks ? c->spec->networks[i].gw_priority : 0;

		if (!n || n->config->internal || (best >= 0 && priority <= best_priority))
			continue;
		best = (int)i;
		best_priority = priority;
	}
	return best;
}

static char *bare_address(const char *prefix)
{
	return prefix ? xstrndup(prefix, strcspn(prefix, "/")) : NULL;
}

static char *target_address(const struct container *c)
{
	int i = outward_network(c);

	if (i < 0)
		return NULL;
	return bare_address(c->rec->networks[i].ipv4 ? c->rec->networks[i].ipv4
						     : c->rec->networks[i].ipv6);
}

static int forward(struct container *c, const struct published_port *p, int fd, struct err *e)
{
	_cleanup_(free_p) char *target = target_address(c);
	_cleanup_(free_p) char *key = nethelper_forward_key(c->rec->id, p->protocol, p->host_ip,
							    p->host_port, p->container_port);
	struct nethelper_forward f = {
		.key = key, .protocol = p->protocol, .target = target, .port = p->container_port
	};

	return nethelper_forward_set(c->sv->nethelper, &f, fd, e);
}

static void add_port(struct record *rec, const char *ip, uint16_t host_port,
		     const struct port_spec *spec)
{
	rec->ports = xreallocarray(rec->ports, rec->n_ports + 1, sizeof(*rec->ports));
	rec->ports[rec->n_ports++] = (struct published_port){
		.host_ip = xstrdup(ip),
		.host_port = host_port,
		.container_port = spec->container_port,
		.protocol = xstrdup(spec->protocol ? spec->protocol : "tcp")
	};
}

static int publish(struct container *c, struct err *e)
{
	int r = connect_hold_ports(c, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n_held; i++) {
		for (size_t k = 0; k < c->held[i].n; k++) {
			struct publish_socket *s = &c->held[i].sockets[k];

			add_port(c->rec, s->address, c->held[i].port, &c->spec->ports[i]);
			r = forward(c, &c->rec->ports[c->rec->n_ports - 1], TAKE_FD(s->fd), e);
			if (r < 0)
				return r;
		}
		c->sv->firewall_dirty = true;
	}
	r = c->n_held ? record_save(c->rec, c->sv->dirs, false, e) : 0;
	release_held(c);
	return r;
}

static void unpublish(struct container *c)
{
	release_held(c);
	for (size_t i = 0; i < c->rec->n_ports; i++) {
		const struct published_port *p = &c->rec->ports[i];
		_cleanup_(free_p) char *key = nethelper_forward_key(
			c->rec->id, p->protocol, p->host_ip, p->host_port, p->container_port);

		if (c->sv->nethelper)
			(void)nethelper_forward_remove(c->sv->nethelper, key); /* absent is fine */
		c->sv->firewall_dirty = true;
	}
	record_clear_ports(c->rec);
}

/* ---- names and files ------------------------------------------------------------ */
static char **names_on(const struct container *c, const struct network_spec *n)
{
	char **names = NULL;

	strv_add(&names, c->rec->name);
	if (!c->spec->oneoff && c->spec->service && !strv_has(names, c->spec->service))
		strv_add(&names, c->spec->service);
	strv_addf(&names, "%.12s", c->rec->id);
	STRV_FOREACH (alias, n->aliases)
		if (!strv_has(names, *alias))
			strv_add(&names, *alias);
	return names;
}

static int publish_names(struct container *c, struct err *e)
{
	size_t n = c->rec->n_networks;
	struct nethelper_name *names = xcalloc(n, sizeof(*names));
	int r;

	for (size_t i = 0; i < n; i++) {
		const struct attached_network *a = &c->rec->networks[i];

		names[i] = (struct nethelper_name){ .network = a->network,
						    .names = a->names,
						    .ipv4 = bare_address(a->ipv4),
						    .ipv6 = bare_address(a->ipv6) };
	}
	r = n ? nethelper_names_set(c->sv->nethelper, c->rec->id, c->rec->name, names, n, e) : 0;
	for (size_t i = 0; i < n; i++) {
		free((char *)names[i].ipv4);
		free((char *)names[i].ipv6);
	}
	free(names);
	return r;
}

static const char *hostname_of(const struct container *c, char short_id[13])
{
	snprintf(short_id, 13, "%s", c->rec->id);
	return c->spec->hostname ? c->spec->hostname : short_id;
}

static int hosts_text(const struct container *c, struct buf *text, struct err *e)
{
	char short_id[13];
	_cleanup_(strv_freep) char **addresses = NULL;
	struct hosts_container h = { .hostname = hostname_of(c, short_id),
				     .domainname = c->spec->domainname,
				     .extra_hosts = c->spec->extra_hosts };

	for (size_t i = 0; i < c->rec->n_networks; i++) {
		if (c->rec->networks[i].ipv4)
			strv_add_take(&addresses, bare_address(c->rec->networks[i].ipv4));
		if (c->rec->networks[i].ipv6)
			strv_add_take(&addresses, bare_address(c->rec->networks[i].ipv6));
		if (!h.host_gateway)
			h.host_gateway = c->rec->networks[i].gateway4;
	}
	h.addresses = addresses;
	if (c->spec->net.mode == NAMESPACE_HOST)
		h.host_gateway = "127.0.0.1";
	return hosts_container_text(&h, text, e);
}

static void resolv_text(const struct container *c, struct buf *text)
{
	static char *const none[] = { NULL };
	const struct resolv_conf *host = &c->sv->host_resolv;
	struct resolv_container r = { .search = c->spec->dns_search,
				      .options = c->spec->dns_opt,
				      .host = host };

	/* Without a server of ours in the namespace the real ones are named. */
	if (c->spec->net.mode != NAMESPACE_PRIVATE || !c->rec->n_networks)
		r.nameservers = c->spec->dns        ? c->spec->dns
				: host->nameservers ? host->nameservers
						    : none;
	resolv_container_text(&r, text);
}

void etc_texts_done(struct etc_texts *t)
{
	buf_done(&t->hosts);
	buf_done(&t->hostname);
	buf_done(&t->resolv_conf);
}

int connect_etc(struct container *c, struct etc_texts *t, struct err *e)
{
	/* network_mode: service:x, whose namespace it is, says whom names mean in it. */
	struct container *owner = c->spec->net.mode == NAMESPACE_CONTAINER
					  ? connect_namespace_owner(c, &c->spec->net)
					  : c;
	char short_id[13];

	if (!owner)
		return err_set(e, ENOENT, "%s has no network to join", c->spec->net.container);
	buf_printf(&t->hostname, "%s\n", hostname_of(c, short_id));
	resolv_text(owner, &t->resolv_conf);
	return hosts_text(owner, &t->hosts, e);
}

/* ---- addresses -------------------------------------------------------------------- */
static char *with_length(const struct ip_addr *a, const struct ip_prefix *subnet)
{
	struct ip_prefix p = { .addr = *a, .len = subnet->len };
	char text[IP_TEXT_MAX];

	return a->family ? xstrdup(ip_prefix_text(&p, text)) : NULL;
}

static char *gateway_text(const struct network *n, const struct ip_addr *gateway)
{
	char text[IP_TEXT_MAX];

	return gateway->family && !n->config->internal ? xstrdup(ip_text(gateway, text)) : NULL;
}

static int attach(struct container *c, const struct network_spec *spec, size_t i, struct err *e)
{
	struct attached_network *a;
	struct ip_addr v4, v6;
	char host_ifname[IFNAMSIZ];
	struct network *n;
	int r = networks_get(c->sv, spec->network, &n, e);

	if (r == 0)
		r = networks_take_address(c->sv, n, AF_INET, c->rec->id, spec->ipv4, &v4, e);
	if (r == 0)
		r = networks_take_address(c->sv, n, AF_INET6, c->rec->id, spec->ipv6, &v6, e);
	if (r < 0)
		return r;
	c->rec->networks = xreallocarray(c->rec->networks, i + 1, sizeof(*c->rec->networks));
	a = &c->rec->networks[i];
	endpoint_host_ifname(c->rec->id, n->id, host_ifname);
	*a = (struct attached_network){
		.network = xstrdup(spec->network),
		.ipv4 = with_length(&v4, &n->ipv4.subnet),
		.ipv6 = with_length(&v6, &n->ipv6.subnet),
		.gateway4 = gateway_text(n, &n->ipv4.gateway),
		.gateway6 = gateway_text(n, &n->ipv6.gateway),
		.mac = xstrdup_null(spec->mac),
		.ifname = spec->interface ? xstrdup(spec->interface) : xasprintf("eth%zu", i),
		.host_ifname = xstrdup(host_ifname),
		.names = names_on(c, spec),
	};
	c->rec->n_networks = i + 1;
	return 0;
}

static int attach_all(struct container *c, struct err *e)
{
	for (size_t i = c->rec->n_networks; i < c->spec->n_networks; i++) {
		int r = attach(c, &c->spec->networks[i], i, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_prefix(const char *text, struct ip_addr *out)
{
	struct ip_prefix p = { 0 };

	if (text && ip_prefix_parse(text, &p, NULL) < 0)
		return -EINVAL;
	*out = p.addr;
	return 0;
}

static void note_macs(struct container *c, const struct endpoint_config *configs)
{
	for (size_t i = 0; i < c->rec->n_networks; i++) {
		char text[MAC_TEXT_MAX];

		str_set(&c->rec->networks[i].mac, mac_text(configs[i].mac, text));
	}
}

static int make_endpoints(struct container *c, struct err *e)
{
	size_t n = c->rec->n_networks;
	_cleanup_(free_p) struct endpoint_config *configs = xcalloc(n, sizeof(*configs));
	int outward, r;

	for (size_t i = 0; i < n; i++) {
		const struct attached_network *a = &c->rec->networks[i];
		struct network *net;

		r = networks_get(c->sv, a->network, &net, e);
		if (r < 0)
			return r;
		configs[i] = (struct endpoint_config){ .container = c->rec->id,
						       .network = net,
						       .netns_fd = c->netns_fd,
						       .ifname = a->ifname };
		if (parse_prefix(a->ipv4, &configs[i].ipv4) < 0 ||
		    parse_prefix(a->ipv6, &configs[i].ipv6) < 0 ||
		    (a->mac && mac_parse(a->mac, configs[i].mac, NULL) < 0))
			return err_set(e, EBADMSG, "network %s: bad address on record", a->network);
	}
	outward = outward_network(c);
	if (outward >= 0)
		configs[outward].default_route = true;
	r = n ? endpoint_create_many(c->sv->nl, configs, n, e) : 0;
	if (r == 0)
		note_macs(c, configs);
	return r;
}

int connect_again(struct container *c, struct err *e)
{
	return make_endpoints(c, e);
}

/* ---- the namespace ------------------------------------------------------------------ */
static int open_dns(void *data, struct err *e)
{
	return dns_open_sockets(data, e);
}

static char **network_names(const struct container *c, bool *internal_only)
{
	char **names = NULL;

	*internal_only = true;
	for (size_t i = 0; i < c->spec->n_networks; i++) {
		struct network *n;

		strv_add(&names, c->spec->networks[i].network);
		if (networks_get(c->sv, c->spec->networks[i].network, &n, NULL) == 0 &&
		    !n->config->internal)
			*internal_only = false;
	}
	return names;
}

static char **link_names(const struct container *c)
{
	char **links = NULL;

	STRV_FOREACH (l, c->spec->links) {
		const char *colon = strchr(*l, ':');

		if (colon)
			strv_addf(&links, "%s=%.*s", colon + 1, (int)(colon - *l), *l);
	}
	return links;
}

static int serve_dns(struct container *c, int *fds, struct err *e)
{
	bool internal_only;
	_cleanup_(strv_freep) char **names = network_names(c, &internal_only);
	_cleanup_(strv_freep) char **links = link_names(c);
	struct nethelper_dns dns = { .id = c->rec->id,
				     .networks = names,
				     .internal_only = internal_only,
				     .upstreams = c->spec->dns,
				     .links = links };

	return nethelper_dns_set(c->sv->nethelper, &dns, fds, e);
}

/* Open the pinned namespace or make one; with DNS sockets in it if it needs them. */
static int enter_namespace(struct container *c, bool with_dns, struct err *e)
{
	_cleanup_(free_p) char *pin = connect_pin_path(c->sv, c->rec->id);
	int fds[2] = { -EBADF, -EBADF }, r;
	bool fresh = false;

	if (c->netns_fd < 0)
		c->netns_fd = netns_open(pin, NULL);
	if (c->netns_fd < 0) {
		c->netns_fd = netns_create(pin, with_dns ? open_dns : NULL, fds, e);
		fresh = true;
	}
	if (c->netns_fd < 0)
		return c->netns_fd;
	if (!with_dns)
		return 0;
	if (!fresh && !nethelper_has_dns(c->sv->nethelper, c->rec->id)) {
		r = netns_run(c->netns_fd, open_dns, fds, e);
		if (r < 0)
			return r;
	}
	return serve_dns(c, fds[0] >= 0 ? fds : NULL, e);
}

struct container *connect_namespace_owner(struct container *c, const struct namespace_spec *ns)
{
	const char *service = skip_prefix(ns->container, "service:");
	const char *name = skip_prefix(ns->container, "container:");

	MAP_FOREACH (entry, &c->sv->containers) {
		struct container *other = entry->value;

		if ((service && streq_null(other->rec->service, service)) ||
		    (name && (streq(other->rec->name, name) ||
			      strncmp(other->rec->id, name, strlen(name)) == 0)))
			return other;
	}
	return NULL;
}

/* network_mode: service:x. */
static int join_namespace(struct container *c, struct err *e)
{
	struct container *owner = connect_namespace_owner(c, &c->spec->net);

	if (!owner || owner->netns_fd < 0)
		return err_set(e, ENOENT, "%s has no network to join", c->spec->net.container);
	if (c->netns_fd >= 0)
		c->netns_fd = fd_close(c->netns_fd);
	c->netns_fd = fcntl(owner->netns_fd, F_DUPFD_CLOEXEC, 3);
	if (c->netns_fd < 0)
		return err_errno(e, errno, "join the network of %s", owner->rec->name);
	return 0;
}

int connect_container(struct container *c, struct err *e)
{
	enum namespace_mode mode = c->spec->net.mode;
	bool networked = mode == NAMESPACE_PRIVATE && c->spec->n_networks > 0;
	int r = 0;

	if (networked)
		r = networks_nethelper(c->sv, e);
	if (r == 0 && networked)
		r = attach_all(c, e);
	/* What will be made, addresses above all, is on record before it is. */
	if (r == 0)
		r = record_save(c->rec, c->sv->dirs, false, e);
	if (r < 0 || mode == NAMESPACE_HOST)
		return r;
	if (mode == NAMESPACE_CONTAINER)
		return join_namespace(c, e);
	r = enter_namespace(c, networked, e);
	if (r == 0 && networked)
		r = make_endpoints(c, e);
	if (r == 0 && networked)
		r = publish(c, e);
	return r == 0 && networked ? publish_names(c, e) : r;
}

static void on_firewall_due(struct source *s, void *data)
{
	struct supervisor *sv = data;
	struct err e = ERR_INIT;

	if (!sv->applies && connect_firewall(sv, &e) < 0) /* an apply does it at its end */
		supervisor_log(sv, "%s", e.msg);
}

static void firewall_later(struct supervisor *sv, uint64_t delay)
{
	if (sv->firewall_due)
		source_set_timer(sv->firewall_due, delay);
	else
		sv->firewall_due = loop_add_timer(sv->loop, delay, on_firewall_due, sv);
}

void connect_release(struct container *c)
{
	struct supervisor *sv = c->sv;

	unpublish(c);
	/* The port is anybody's now, so the rules must not lead to us any more.  Not
	 * at once: where one container ends, others often do. */
	if (sv->firewall_dirty)
		firewall_later(sv, FIREWALL_LINGER);
	if (c->sv->nethelper)
		(void)nethelper_names_remove(c->sv->nethelper, c->rec->id); /* absent is fine */
}

int connect_remove(struct container *c, struct err *e)
{
	_cleanup_(free_p) char *pin = connect_pin_path(c->sv, c->rec->id);
	int r = 0;

	connect_release(c);
	if (c->sv->nethelper)
		nethelper_remove_container(c->sv->nethelper, c->rec->id);
	for (size_t i = 0; i < c->rec->n_networks; i++) {
		const struct attached_network *a = &c->rec->networks[i];
		const char *names[] = { a->host_ifname };
		struct err e2 = ERR_INIT;

		if (a->host_ifname)
			err_keep_first(&r, e, networks_drop_links(c->sv, names, 1, &e2), &e2);
		if (a->ipv4)
			networks_release_address(c->sv, a->network, a->ipv4);
		if (a->ipv6)
			networks_release_address(c->sv, a->network, a->ipv6);
	}
	record_clear_networks(c->rec);
	c->netns_fd = fd_close(c->netns_fd);
	if (c->spec->net.mode == NAMESPACE_PRIVATE || c->spec->net.mode == NAMESPACE_NONE) {
		struct err e2 = ERR_INIT;

		err_keep_first(&r, e, netns_remove(pin, &e2), &e2);
	}
	return r;
}

void connect_adopt(struct container *c)
{
	bool networked = c->spec->net.mode == NAMESPACE_PRIVATE && c->spec->n_networks > 0;
	struct err e = ERR_INIT;
	int r = 0;

	if (c->spec->net.mode == NAMESPACE_HOST)
		return;
	if (c->spec->net.mode == NAMESPACE_CONTAINER) {
		(void)join_namespace(c, &e); /* it runs; only its next start needs this */
		return;
	}
	if (networked)
		r = networks_nethelper(c->sv, &e);
	if (r == 0)
		r = enter_namespace(c, networked, &e);
	if (r == 0 && networked)
		r = make_endpoints(c, &e);
	for (size_t i = 0; r == 0 && i < c->rec->n_ports; i++) {
		const struct published_port *p = &c->rec->ports[i];
		_cleanup_(free_p) char *key = nethelper_forward_key(
			c->rec->id, p->protocol, p->host_ip, p->host_port, p->container_port);
		struct publish_request q = { .host_ip = p->host_ip,
					     .first = p->host_port,
					     .last = p->host_port,
					     .protocol = p->protocol,
					     .container_port = p->container_port };
		struct publish_result got = { 0 };
		int fd = -EBADF;

		if (!nethelper_has_forward(c->sv->nethelper, key)) {
			r = publish_open(&q, connect_port_owner, c->sv, &got, &e);
			if (r == 0 && got.n)
				fd = TAKE_FD(got.sockets[0].fd);
		}
		if (r == 0)
			r = forward(c, p, fd, &e);
		publish_result_done(&got);
	}
	if (r == 0 && networked)
		r = publish_names(c, &e);
	if (r < 0)
		supervisor_log(c->sv, "%s: adopt its network: %s", c->rec->name, e.msg);
	c->sv->firewall_dirty = true;
}

/* ---- the project's nft table ---------------------------------------------------------- */
static enum firewall_mode firewall_mode(const struct network *n, bool *none)
{
	const char *mode = n->publish ? n->publish : getenv("COMP_PUBLISH");

	*none = mode && streq(mode, "proxy");
	return mode && streq(mode, "nat") ? FIREWALL_NAT : FIREWALL_LOCAL;
}

static void add_firewall_ports(const struct container *c, struct firewall_port **ports, size_t *n)
{
	int i = outward_network(c);
	_cleanup_(free_p) char *target = target_address(c);
	struct network *net = i < 0 ? NULL : map_get(&c->sv->networks, c->rec->networks[i].network);
	struct ip_addr container_ip, host_ip;
	bool none;
	enum firewall_mode mode;

	if (!net || !target || ip_parse(target, &container_ip, NULL) < 0)
		return;
	mode = firewall_mode(net, &none);
	for (size_t k = 0; k < c->rec->n_ports && !none; k++) {
		const struct published_port *p = &c->rec->ports[k];

		if (ip_parse(p->host_ip, &host_ip, NULL) < 0)
			continue;
		*ports = xreallocarray(*ports, *n + 1, sizeof(**ports));
		(*ports)[(*n)++] = (struct firewall_port){
			.mode = mode,
			.host_ip = host_ip,
			.host_port = p->host_port,
			.protocol = streq(p->protocol, "udp") ? IPPROTO_UDP : IPPROTO_TCP,
			.container_ip = container_ip,
			.container_port = p->container_port,
			.ifname = net->ifname,
		};
	}
}

static void on_firewall_change(struct source *s, int fd, uint32_t events, void *data)
{
	struct supervisor *sv = data;
	struct err e = ERR_INIT;

	if (firewall_watch_read(fd, sv->table, &e) <= 0 || !map_len(&sv->networks))
		return; /* without networks it was us */
	supervisor_log(sv, "the nft table was deleted by somebody else; putting it back");
	sv->firewall_dirty = true;
	if (connect_firewall(sv, &e) < 0)
		supervisor_log(sv, "nft: %s", e.msg);
}

static void watch_firewall(struct supervisor *sv)
{
	struct err e = ERR_INIT;

	if (sv->firewall_watch >= 0)
		return;
	sv->firewall_watch = firewall_watch_open(&e);
	if (sv->firewall_watch < 0 ||
	    loop_add_fd(sv->loop, sv->firewall_watch, EPOLLIN, on_firewall_change, sv,
			&sv->firewall_source, &e) < 0)
		supervisor_log(sv, "cannot watch nft: %s", e.msg); /* it still works, unwatched */
}

bool connect_firewall_begin(struct supervisor *sv, struct firewall_job *job)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	if (!sv->firewall_dirty || map_len(&sv->networks))
		return false;
	firewall_remove_text(sv->table, &text);
	return firewall_start(&text, sv->nft_fd, job, NULL) == 0;
}

/* What runs shall not stay cut off until somebody comes with a change. */
static int try_firewall_again(struct supervisor *sv, int r, struct err *e)
{
	sv->firewall_again = sv->firewall_again ? MIN(2 * sv->firewall_again, FIREWALL_AGAIN_MAX)
						: FIREWALL_AGAIN;
	firewall_later(sv, sv->firewall_again);
	return err_wrap(e, r, "firewall");
}

int connect_firewall_end(struct supervisor *sv, struct firewall_job *job, struct err *e)
{
	int r = firewall_finish(job, e);

	if (r < 0)
		return try_firewall_again(sv, r, e);
	sv->firewall_dirty = false;
	sv->firewall_again = 0;
	return 0;
}

int connect_firewall(struct supervisor *sv, struct err *e)
{
	_cleanup_(free_p) struct firewall_network *networks = NULL;
	_cleanup_(free_p) struct firewall_port *ports = NULL;
	struct firewall fw = { .project = sv->table };
	int r;

	if (!sv->firewall_dirty)
		return 0;
	networks = xcalloc(map_len(&sv->networks), sizeof(*networks));
	MAP_FOREACH (entry, &sv->networks) {
		const struct network *n = entry->value;

		networks[fw.n_networks++] = (struct firewall_network){
			.name = n->config->name,
			.ifname = n->ifname,
			.ipv4 = n->ipv4.subnet,
			.ipv6 = n->ipv6.subnet,
			.internal = n->config->internal,
			.masquerade = n->masquerade,
			.icc = n->icc
		};
	}
	MAP_FOREACH (entry, &sv->containers)
		add_firewall_ports(entry->value, &ports, &fw.n_ports);
	fw.networks = networks;
	fw.ports = ports;
	r = fw.n_networks ? firewall_apply(&fw, sv->nft_fd, e)
			  : firewall_remove(sv->table, sv->nft_fd, e);
	if (r < 0)
		return try_firewall_again(sv, r, e);
	sv->firewall_dirty = false;
	sv->firewall_again = 0;
	if (fw.n_networks) {
		watch_firewall(sv);
		mend_watch(sv);
	}
	return 0;
}
