/* net/network_record.c: the structs of network.h as owned values and as JSON.
 * A field that is absent from a file reads as "not set", so that older records
 * stay readable; an unknown one is ignored. */
#include "net/network.h"

#include "base/path.h"
#include "base/strv.h"
#include "base/util.h"

struct network_config *network_config_new(void)
{
	struct network_config *c = new0(struct network_config);

	c->enable_ipv4 = true;
	return c;
}

void network_config_free(struct network_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_ipam; i++) {
		free(c->ipam[i].subnet);
		free(c->ipam[i].gateway);
		free(c->ipam[i].ip_range);
		strv_free(c->ipam[i].aux);
	}
	free(c->ipam);
	free(c->name);
	free(c->project);
	free(c->driver);
	strv_free(c->labels);
	strv_free(c->driver_opts);
	free(c);
}

struct network_ipam *network_config_add_ipam(struct network_config *c)
{
	c->ipam = xreallocarray(c->ipam, c->n_ipam + 1, sizeof(*c->ipam));
	c->ipam[c->n_ipam] = (struct network_ipam){ 0 };
	return &c->ipam[c->n_ipam++];
}

struct network_config *network_config_copy(const struct network_config *c)
{
	struct network_config *copy = network_config_new();

	copy->name = xstrdup_null(c->name);
	copy->project = xstrdup_null(c->project);
	copy->driver = xstrdup_null(c->driver);
	copy->internal = c->internal;
	copy->enable_ipv4 = c->enable_ipv4;
	copy->enable_ipv6 = c->enable_ipv6;
	copy->labels = strv_copy(c->labels);
	copy->driver_opts = strv_copy(c->driver_opts);
	for (size_t i = 0; i < c->n_ipam; i++) {
		struct network_ipam *to = network_config_add_ipam(copy);

		to->subnet = xstrdup_null(c->ipam[i].subnet);
		to->gateway = xstrdup_null(c->ipam[i].gateway);
		to->ip_range = xstrdup_null(c->ipam[i].ip_range);
		to->aux = strv_copy(c->ipam[i].aux);
	}
	return copy;
}

json *network_config_to_json(const struct network_config *c)
{
	json *j = json_new_object(), *ipam = json_new_array();

	json_put_str(j, "name", c->name);
	json_put_str(j, "project", c->project);
	json_put_str(j, "driver", c->driver);
	json_put_bool(j, "internal", c->internal);
	json_put_bool(j, "enable_ipv4", c->enable_ipv4);
	json_put_bool(j, "enable_ipv6", c->enable_ipv6);
	for (size_t i = 0; i < c->n_ipam; i++) {
		json *entry = json_new_object();

		json_put_str(entry, "subnet", c->ipam[i].subnet);
		json_put_str(entry, "gateway", c->ipam[i].gateway);
		json_put_str(entry, "ip_range", c->ipam[i].ip_range);
		json_put_strv(entry, "aux_addresses", c->ipam[i].aux);
		json_push(ipam, entry);
	}
	json_put(j, "ipam", ipam);
	json_put_strv(j, "labels", c->labels);
	json_put_strv(j, "driver_opts", c->driver_opts);
	return j;
}

int network_config_from_json(json *j, struct network_config **out, struct err *e)
{
	_cleanup_(network_config_freep) struct network_config *c = network_config_new();
	json *ipam = json_get(j, "ipam");
	const char *name;
	int r = json_need_str(j, "name", &name, e);

	if (r < 0)
		return r;
	c->name = xstrdup(name);
	c->project = xstrdup_null(json_get_str(j, "project"));
	c->driver = xstrdup_null(json_get_str(j, "driver"));
	c->internal = json_get_bool(j, "internal", false);
	c->enable_ipv4 = json_get_bool(j, "enable_ipv4", true);
	c->enable_ipv6 = json_get_bool(j, "enable_ipv6", false);
	for (size_t i = 0; i < json_len(ipam); i++) {
		json *entry = json_at(ipam, i);
		struct network_ipam *to = network_config_add_ipam(c);

		to->subnet = xstrdup_null(json_get_str(entry, "subnet"));
		to->gateway = xstrdup_null(json_get_str(entry, "gateway"));
		to->ip_range = xstrdup_null(json_get_str(entry, "ip_range"));
		to->aux = json_get_strv(entry, "aux_addresses");
	}
	c->labels = json_get_strv(j, "labels");
	c->driver_opts = json_get_strv(j, "driver_opts");
	*out = TAKE_PTR(c);
	return 0;
}

void network_free(struct network *n)
{
	if (!n)
		return;
	network_config_free(n->config);
	ipam_pool_done(&n->ipv4);
	ipam_pool_done(&n->ipv6);
	free(n->publish);
	free(n);
}

static void put_addr(json *o, const char *key, const struct ip_addr *a)
{
	char text[IP_TEXT_MAX];

	if (a->family)
		json_put_str(o, key, ip_text(a, text));
}

static void put_prefix(json *o, const char *key, const struct ip_prefix *p)
{
	char text[IP_TEXT_MAX];

	if (p->addr.family)
		json_put_str(o, key, ip_prefix_text(p, text));
}

static void put_pool(json *o, const char *key, const struct ipam_pool *p)
{
	json *pool, *aux;
	char text[IP_TEXT_MAX];

	if (!p->subnet.addr.family)
		return;
	pool = json_new_object();
	put_prefix(pool, "subnet", &p->subnet);
	put_prefix(pool, "ip_range", &p->range);
	put_addr(pool, "gateway", &p->gateway);
	aux = json_new_array();
	for (size_t i = 0; i < p->n_aux; i++)
		json_push_str(aux, ip_text(&p->aux[i], text));
	json_put(pool, "aux_addresses", aux);
	json_put(o, key, pool);
}

json *network_to_json(const struct network *n)
{
	json *j = json_new_object();

	json_put_int(j, "version", 1);
	json_put_str(j, "id", n->id);
	json_put_u64(j, "created", n->created);
	json_put_str(j, "interface", n->ifname);
	json_put_int(j, "mtu", n->mtu);
	put_pool(j, "ipv4", &n->ipv4);
	put_pool(j, "ipv6", &n->ipv6);
	json_put_bool(j, "icc", n->icc);
	json_put_bool(j, "masquerade", n->masquerade);
	put_addr(j, "host_binding", &n->host_binding);
	json_put_str(j, "publish", n->publish);
	json_put(j, "config", network_config_to_json(n->config));
	return j;
}

static int get_addr(json *o, const char *key, int family, struct ip_addr *out, struct err *e)
{
	const char *text = json_get_str(o, key);
	int r = text ? ip_parse(text, out, e) : 0;

	if (r == 0 && text && out->family != family)
		r = err_set(e, EINVAL, "%s is of the wrong family", key);
	return r;
}

static int get_prefix(json *o, const char *key, int family, struct ip_prefix *out, struct err *e)
{
	const char *text = json_get_str(o, key);
	int r = text ? ip_prefix_parse(text, out, e) : 0;

	if (r == 0 && text && out->addr.family != family)
		r = err_set(e, EINVAL, "%s is of the wrong family", key);
	return r;
}

static int get_pool(json *o, const char *key, int family, struct ipam_pool *p, struct err *e)
{
	json *pool = json_get(o, key), *aux = json_get(pool, "aux_addresses");
	const char *subnet;
	int r;

	if (!pool)
		return 0;
	r = json_need_str(pool, "subnet", &subnet, e);
	if (r == 0)
		r = get_prefix(pool, "subnet", family, &p->subnet, e);
	if (r == 0)
		r = get_prefix(pool, "ip_range", family, &p->range, e);
	if (r == 0)
		r = get_addr(pool, "gateway", family, &p->gateway, e);
	for (size_t i = 0; r == 0 && i < json_len(aux); i++) {
		const char *text = json_str(json_at(aux, i));

		p->aux = xreallocarray(p->aux, p->n_aux + 1, sizeof(*p->aux));
		r = ip_parse(text ? text : "", &p->aux[p->n_aux], e);
		p->n_aux += r == 0;
	}
	return r < 0 ? err_wrap(e, r, "%s", key) : 0;
}

/* A text that must be there and be a name of at most @max bytes, into @to. */
static int get_name(json *j, const char *key, size_t max, char *to, struct err *e)
{
	const char *text;
	int r = json_need_str(j, key, &text, e);

	if (r < 0)
		return r;
	if (!name_is_valid(text, max))
		return err_set(e, EINVAL, "%s: bad name", key);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

int network_from_json(json *j, struct network **out, struct err *e)
{
	_cleanup_(network_freep) struct network *n = new0(struct network);
	int r = network_config_from_json(json_get(j, "config"), &n->config, e);

	if (r == 0)
		r = get_name(j, "id", NETWORK_ID_LEN, n->id, e);
	if (r == 0)
		r = get_name(j, "interface", IFNAMSIZ - 1, n->ifname, e);
	if (r == 0)
		r = get_pool(j, "ipv4", AF_INET, &n->ipv4, e);
	if (r == 0)
		r = get_pool(j, "ipv6", AF_INET6, &n->ipv6, e);
	if (r == 0)
		r = get_addr(j, "host_binding", AF_INET, &n->host_binding, e);
	if (r < 0)
		return err_wrap(e, r, "network record");
	n->created = json_get_u64(j, "created", 0);
	n->mtu = (int)json_get_int(j, "mtu", 1500);
	n->icc = json_get_bool(j, "icc", true);
	n->masquerade = json_get_bool(j, "masquerade", true);
	n->publish = xstrdup_null(json_get_str(j, "publish"));
	*out = TAKE_PTR(n);
	return 0;
}
