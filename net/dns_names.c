/* net/dns_names.c: records by owner, zones by network.
 *
 * A zone maps names to address sets and addresses to names; a record remembers
 * what it put where, so that it can be taken out again without a search.  A
 * zone or set that becomes empty goes away: the table is as large as what is
 * registered at the moment, whatever came and went before.
 */
#include "net/dns_names.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/strv.h"
#include "net/dns_message.h"

struct reverse {
	const void *owner;
	char *name; /* NAME.NETWORK */
};

struct zone {
	struct map names;   /* name → struct dns_rrset */
	struct map reverse; /* address as text → struct reverse */
};

struct place {
	char *network;
	char **names;
	struct dns_address addr;
};

struct record {
	char *canonical;
	struct place *places;
	size_t n;
};

struct dns_names {
	struct map records; /* key → struct record */
	struct map zones;   /* network → struct zone */
};

static void rrset_free(struct dns_rrset *s)
{
	free(s->addrs);
	free(s);
}

static void reverse_free(struct reverse *r)
{
	free(r->name);
	free(r);
}

static void zone_free(struct zone *z)
{
	map_done(&z->names);
	map_done(&z->reverse);
	free(z);
}

static void record_free(struct record *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->places[i].network);
		strv_free(r->places[i].names);
	}
	free(r->places);
	free(r->canonical);
	free(r);
}
DEFINE_CLEANUP(struct record *, record_free, record_freep);

struct dns_names *dns_names_new(void)
{
	struct dns_names *t = new0(struct dns_names);

	t->records = MAP_INIT_FREE(record_free);
	t->zones = MAP_INIT_FREE(zone_free);
	return t;
}

void dns_names_free(struct dns_names *t)
{
	if (!t)
		return;
	map_done(&t->records);
	map_done(&t->zones);
	free(t);
}

char *dns_names_fold(const char *s)
{
	char *copy = xstrdup(s);

	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static struct zone *zone_get(struct dns_names *t, const char *network)
{
	struct zone *z = map_get(&t->zones, network);

	if (!z) {
		z = new0(struct zone);
		z->names = MAP_INIT_FREE(rrset_free);
		z->reverse = MAP_INIT_FREE(reverse_free);
		map_put(&t->zones, network, z);
	}
	return z;
}

static void add_name(struct zone *z, const char *name, const struct dns_address *a)
{
	struct dns_rrset *s = map_get(&z->names, name);

	if (!s) {
		s = new0(struct dns_rrset);
		map_put(&z->names, name, s);
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->addrs[i].owner == a->owner)
			return; /* one container, one name given twice */
	s->addrs = xreallocarray(s->addrs, s->n + 1, sizeof(*s->addrs));
	s->addrs[s->n++] = *a;
}

static void remove_name(struct zone *z, const char *name, const void *owner)
{
	struct dns_rrset *s = map_get(&z->names, name);

	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		if (s->addrs[i].owner != owner)
			continue;
		memmove(s->addrs + i, s->addrs + i + 1, (s->n - i - 1) * sizeof(*s->addrs));
		s->n--;
		break;
	}
	if (s->n == 0)
		map_remove(&z->names, name);
}

static void add_reverse(struct zone *z, int family, const void *addr, const struct record *r,
			const char *network)
{
	struct reverse *rev = new0(struct reverse);
	char text[INET6_ADDRSTRLEN];

	rev->owner = r;
	rev->name = xasprintf("%s.%s", r->canonical, network);
	map_put(&z->reverse, inet_ntop(family, addr, text, sizeof(text)), rev);
}

static void remove_reverse(struct zone *z, int family, const void *addr, const void *owner)
{
	char text[INET6_ADDRSTRLEN];
	struct reverse *rev;

	rev = map_get(&z->reverse, inet_ntop(family, addr, text, sizeof(text)));
	/* The address may belong to a newer container already. */
	if (rev && rev->owner == owner)
		map_remove(&z->reverse, text);
}

static void publish(struct dns_names *t, const struct record *r)
{
	for (const struct place *p = r->places; p < r->places + r->n; p++) {
		struct zone *z = zone_get(t, p->network);

		STRV_FOREACH (name, p->names)
			add_name(z, *name, &p->addr);
		if (p->addr.has_v4)
			add_reverse(z, AF_INET, &p->addr.v4, r, p->network);
		if (p->addr.has_v6)
			add_reverse(z, AF_INET6, &p->addr.v6, r, p->network);
	}
}

static void withdraw(struct dns_names *t, const struct record *r)
{
	for (const struct place *p = r->places; p < r->places + r->n; p++) {
		struct zone *z = map_get(&t->zones, p->network);

		if (!z)
			continue;
		STRV_FOREACH (name, p->names)
			remove_name(z, *name, r);
		if (p->addr.has_v4)
			remove_reverse(z, AF_INET, &p->addr.v4, r);
		if (p->addr.has_v6)
			remove_reverse(z, AF_INET6, &p->addr.v6, r);
		if (map_len(&z->names) == 0 && map_len(&z->reverse) == 0)
			map_remove(&t->zones, p->network);
	}
}

static int place_init(struct place *p, const struct record *r, const struct dns_name_config *c,
		      struct err *e)
{
	uint8_t wire[DNS_NAME_MAX];

	p->network = dns_names_fold(c->network);
	p->addr.owner = r;
	if (c->ipv4 && inet_pton(AF_INET, c->ipv4, &p->addr.v4) != 1)
		return err_set(e, EINVAL, "\"%s\" is no IPv4 address", c->ipv4);
	if (c->ipv6 && inet_pton(AF_INET6, c->ipv6, &p->addr.v6) != 1)
		return err_set(e, EINVAL, "\"%s\" is no IPv6 address", c->ipv6);
	p->addr.has_v4 = c->ipv4;
	p->addr.has_v6 = c->ipv6;
	STRV_FOREACH (name, c->names) {
		/* A name that no query can carry (a label of 70 letters) is no harm here. */
		if (dns_name_encode(*name, wire) > 1)
			strv_add_take(&p->names, dns_names_fold(*name));
	}
	return 0;
}

int dns_names_put(struct dns_names *t, const char *key, const char *canonical,
		  const struct dns_name_config *nets, size_t n, struct err *e)
{
	_cleanup_(record_freep) struct record *r = new0(struct record);
	int ret;

	r->canonical = dns_names_fold(canonical);
	r->places = xcalloc(n ? n : 1, sizeof(*r->places));
	for (; r->n < n; r->n++) {
		ret = place_init(&r->places[r->n], r, &nets[r->n], e);
		if (ret < 0) {
			r->n++;
			return err_wrap(e, ret, "names of %s on network %s", canonical,
					nets[r->n - 1].network);
		}
	}
	dns_names_drop(t, key);
	publish(t, r);
	map_put(&t->records, key, TAKE_PTR(r));
	return 0;
}

bool dns_names_drop(struct dns_names *t, const char *key)
{
	struct record *r = map_get(&t->records, key);

	if (!r)
		return false;
	withdraw(t, r);
	return map_remove(&t->records, key);
}

char **dns_names_list(struct dns_names *t)
{
	char **keys = NULL;

	MAP_FOREACH (entry, &t->records)
		strv_add(&keys, entry->key);
	return keys;
}

struct dns_rrset *dns_names_find(struct dns_names *t, const char *network, const char *name)
{
	struct zone *z = map_get(&t->zones, network);

	return z ? map_get(&z->names, name) : NULL;
}

const char *dns_names_reverse(struct dns_names *t, const char *network, int family,
			      const uint8_t addr[16])
{
	struct zone *z = map_get(&t->zones, network);
	char text[INET6_ADDRSTRLEN];
	struct reverse *rev;

	if (!z)
		return NULL;
	rev = map_get(&z->reverse, inet_ntop(family, addr, text, sizeof(text)));
	return rev ? rev->name : NULL;
}
