/* compose/translate_networks.c: the namespaces of a service and how it is reached.
 *
 * Networks go in order of priority: the first one becomes eth0 and gets the
 * service's own MAC address.
 */
#include "compose/translate_internal.h"

#include "base/strv.h"
#include "compose/values.h"

static void set_namespace(struct namespace_spec *ns, const char *mode)
{
	if (!mode)
		return;
	if (streq(mode, "host"))
		ns->mode = NAMESPACE_HOST;
	else if (streq(mode, "none"))
		ns->mode = NAMESPACE_NONE;
	else if (skip_prefix(mode, "service:") || skip_prefix(mode, "container:")) {
		ns->mode = NAMESPACE_CONTAINER;
		ns->container = xstrdup(mode);
	}
}

static int by_priority(const void *a, const void *b)
{
	const struct network_spec *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return strcmp(x->network, y->network);
}

/* Docker's `bridge` is one network for the whole machine; here each project has its own. */
bool translate_uses_bridge(const struct node *service)
{
	const char *mode = node_get_str(service, "network_mode");

	return mode && (streq(mode, "bridge") || streq(mode, "default"));
}

static int set_networks(struct job *j)
{
	const struct node *networks = node_get(j->service, "networks");
	const char *mode = node_get_str(j->service, "network_mode");
	struct container_spec *s = j->spec;

	set_namespace(&s->net, mode);
	if (translate_uses_bridge(j->service)) {
		s->networks = xcalloc(1, sizeof(*s->networks));
		s->networks[s->n_networks++].network = xstrdup(
			translate_full_name(j->p, "networks", "default"));
	} else if (!is_empty(mode) && s->net.mode == NAMESPACE_PRIVATE) {
		return diag_err(j->diag, node_get(j->service, "network_mode"), ENOTSUP,
				"services.%s.network_mode: \"%s\" is not supported; use one of "
				"'bridge', 'host', 'none', 'service:NAME' or 'container:NAME'",
				j->name, mode);
	}
	if (s->net.mode != NAMESPACE_PRIVATE || !node_is(networks, NODE_MAP))
		return 0;
	s->networks = xcalloc(networks->n, sizeof(*s->networks));
	for (size_t i = 0; i < networks->n; i++) {
		const struct node *o = networks->entries[i].value;
		const char *key = networks->entries[i].key;

		s->networks[s->n_networks++] = (struct network_spec){
			.network = xstrdup(translate_full_name(j->p, "networks", key)),
			.aliases = translate_strings(node_get(o, "aliases")),
			.ipv4 = xstrdup_null(node_get_str(o, "ipv4_address")),
			.ipv6 = xstrdup_null(node_get_str(o, "ipv6_address")),
			.mac = xstrdup_null(node_get_str(o, "mac_address")),
			.interface = xstrdup_null(node_get_str(o, "interface_name")),
			.priority = (int)value_int(o, "priority", 0),
			.gw_priority = (int)value_int(o, "gw_priority", 0),
		};
	}
	qsort(s->networks, s->n_networks, sizeof(*s->networks), by_priority);
	if (s->n_networks && !s->networks[0].mac)
		s->networks[0].mac = translate_string_of(j, "mac_address");
	return 0;
}

static bool parse_port(const char *text, uint16_t *port)
{
	uint64_t v;

	if (!parse_u64(text, &v) || v > UINT16_MAX)
		return false;
	*port = (uint16_t)v;
	return true;
}

static int add_port(struct job *j, const struct node *n)
{
	const struct node *published = node_get(n, "published");
	const char *host_ip = node_get_str(n, "host_ip"), *protocol = node_get_str(n, "protocol");
	_cleanup_(free_p) char *first = xstrdup(published && published->text ? published->text
									     : "0");
	char *last = strchr(first, '-');
	int64_t target = value_int(n, "target", 0);
	struct port_spec port = { 0 };

	if (last)
		*last++ = '\0';
	port.container_port = (uint16_t)target;
	if (!parse_port(*first ? first : "0", &port.host_first) ||
	    !parse_port(last     ? last
			: *first ? first
				 : "0",
			&port.host_last) ||
	    port.host_last < port.host_first || target < 1 || target > UINT16_MAX)
		return diag_err(j->diag, n, EINVAL, "services.%s.ports: invalid port", j->name);
	if (protocol && !streq(protocol, "tcp") && !streq(protocol, "udp"))
		return diag_err(j->diag, n, ENOTSUP,
				"services.%s.ports: protocol %s is not supported", j->name,
				protocol);
	port.host_ip = is_empty(host_ip) ? NULL : xstrdup(host_ip);
	port.protocol = xstrdup(protocol ? protocol : "tcp");
	j->spec->ports = xreallocarray(j->spec->ports, j->spec->n_ports + 1, sizeof(port));
	j->spec->ports[j->spec->n_ports++] = port;
	return 0;
}

int translate_connections(struct job *j)
{
	const struct node *ports = node_get(j->service, "ports");
	_cleanup_(strv_freep) char **external = translate_strings_of(j, "external_links");
	struct container_spec *s = j->spec;
	int r = set_networks(j);

	for (size_t i = 0; r == 0 && node_is(ports, NODE_SEQ) && i < ports->n; i++)
		r = add_port(j, ports->items[i]);
	if (r < 0)
		return r;
	s->expose = translate_strings_of(j, "expose");
	s->extra_hosts = translate_strings_of(j, "extra_hosts");
	s->dns = translate_strings_of(j, "dns");
	s->dns_search = translate_strings_of(j, "dns_search");
	s->dns_opt = translate_strings_of(j, "dns_opt");
	s->links = translate_strings_of(j, "links");
	strv_extend(&s->links, external);
	set_namespace(&s->pid, node_get_str(j->service, "pid"));
	set_namespace(&s->ipc, node_get_str(j->service, "ipc"));
	set_namespace(&s->uts, node_get_str(j->service, "uts"));
	set_namespace(&s->cgroup, node_get_str(j->service, "cgroup"));
	set_namespace(&s->user_ns, node_get_str(j->service, "userns_mode"));
	return 0;
}
