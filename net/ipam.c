/* net/ipam.c: first fit over tables and lists, nothing remembered.
 *
 * A range of candidate subnets is walked in steps of the subnet's size from a
 * starting slot and around.  Addresses go by "next behind the last one": a
 * scan needs at most as many steps as there are addresses in use or reserved,
 * and then one more, so it is short also in a /64.
 */
#include "net/ipam.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

struct range {
	uint32_t first, last; /* IPv4 addresses, host order */
	bool spread;          /* begin at a slot derived from the seed */
};

static const struct range ranges[] = {
	{ 0xac120000, 0xac1fffff, true },  /* 172.18.0.0 – 172.31.255.255 */
	{ 0xc0a80000, 0xc0a8ffff, false }, /* 192.168.0.0/16 */
	{ 0xac110000, 0xac11ffff, false }, /* 172.17.0.0/16 */
	{ 0x0a400000, 0x0a7fffff, false }, /* 10.64.0.0/10 */
};

#define TRIED "172.17.0.0 to 172.31.255.255, 192.168.0.0/16, 10.64.0.0/10"

static struct ip_prefix prefix4(uint32_t addr, unsigned int len)
{
	struct ip_prefix p = { .addr.family = AF_INET, .len = len };

	for (int i = 0; i < 4; i++)
		p.addr.bytes[i] = (uint8_t)(addr >> (24 - 8 * i));
	return p;
}

static const struct ipam_used *find_overlap(const struct ip_prefix *p, const struct ipam_used *used,
					    size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ip_prefix_overlap(p, &used[i].prefix))
			return &used[i];
	return NULL;
}

static bool pick_in_range(const struct range *range, unsigned int len, uint64_t hash,
			  const struct ipam_used *used, size_t n, struct ip_prefix *out)
{
	uint32_t slots = (range->last - range->first + 1) >> (32 - len);
	uint32_t start = range->spread ? (uint32_t)(hash % slots) : 0;

	for (uint32_t i = 0; i < slots; i++) {
		uint32_t slot = (start + i) % slots;

		*out = prefix4(range->first + (slot << (32 - len)), len);
		if (!find_overlap(out, used, n))
			return true;
	}
	return false;
}

int ipam_pick_subnet(const char *seed, const struct ipam_used *used, size_t n,
		     struct ip_prefix *out, struct err *e)
{
	static const unsigned int lens[] = { 20, 24 };
	uint64_t hash = hash64(HASH64_INIT, seed, strlen(seed));

	hash ^= hash >> 32; /* FNV mixes its low bits least */
	for (size_t k = 0; k < ARRAY_SIZE(lens); k++)
		for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
			if (pick_in_range(&ranges[i], lens[k], hash, used, n, out))
				return 0;
	*out = (struct ip_prefix){ 0 };
	(void)err_set(e, ENOSPC,
		      "no free subnet for network %s: all of " TRIED
		      " overlaps routes or networks of this host",
		      seed);
	(void)err_hint(e, "remove unused networks, or give this one a subnet (ipam.config)");
	return -ENOSPC;
}

int ipam_check_subnet(const struct ip_prefix *want, const struct ipam_used *used, size_t n,
		      struct err *e)
{
	const struct ipam_used *u = find_overlap(want, used, n);
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX];

	if (!u)
		return 0;
	(void)err_set(e, EADDRINUSE, "subnet %s overlaps %s (%s)", ip_prefix_text(want, a),
		      ip_prefix_text(&u->prefix, b), u->what);
	(void)err_hint(e, "choose another subnet, or leave it out and a free one is taken");
	return -EADDRINUSE;
}

int ipam_pick_ula(const char *seed, const struct ipam_used *used, size_t n, struct ip_prefix *out,
		  struct err *e)
{
	uint64_t hash = hash64(HASH64_INIT, seed, strlen(seed));

	for (int attempt = 0; attempt < 64; attempt++) {
		*out = (struct ip_prefix){ .addr = { .family = AF_INET6, .bytes = { 0xfd } },
					   .len = 64 };
		for (int i = 0; i < 5; i++) /* RFC 4193, 3.2: 40 bits of global id */
			out->addr.bytes[1 + i] = (uint8_t)(hash >> (8 * i + 24));
		if (!find_overlap(out, used, n))
			return 0;
		hash = hash64(hash, &attempt, sizeof(attempt));
	}
	*out = (struct ip_prefix){ 0 };
	return err_set(e, ENOSPC, "no free IPv6 subnet for network %s", seed);
}

void ipam_pool_done(struct ipam_pool *p)
{
	free(p->aux);
	*p = (struct ipam_pool){ 0 };
}

/* First and last address of @p a host may have.  A /31 has no network and
 * broadcast addresses (RFC 3021), nor has a single address. */
static void host_bounds(const struct ip_prefix *p, struct ip_addr *first, struct ip_addr *last)
{
	unsigned int host_bits = ip_bits(p->addr.family) - p->len;

	*first = ip_prefix_base(p);
	*last = ip_prefix_last(p);
	if (host_bits < 2)
		return;
	*first = ip_add(first, 1); /* IPv6: the subnet-router anycast address */
	if (p->addr.family == AF_INET)
		*last = ip_add(last, UINT64_MAX); /* - 1: the broadcast address */
}

struct ip_addr ipam_default_gateway(const struct ipam_pool *p)
{
	struct ip_addr first, last;

	host_bounds(p->range.addr.family ? &p->range : &p->subnet, &first, &last);
	return first;
}

static bool among(const struct ip_addr *a, const struct ip_addr *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ip_equal(a, &list[i]))
			return true;
	return false;
}

/* Where automatic addresses come from: the range, but not the subnet's own
 * network and broadcast addresses. */
static void auto_bounds(const struct ipam_pool *p, struct ip_addr *first, struct ip_addr *last)
{
	struct ip_addr subnet_first, subnet_last;

	host_bounds(&p->subnet, &subnet_first, &subnet_last);
	*first = subnet_first;
	*last = subnet_last;
	if (!p->range.addr.family)
		return;
	*first = ip_prefix_base(&p->range);
	*last = ip_prefix_last(&p->range);
	if (ip_cmp(first, &subnet_first) < 0)
		*first = subnet_first;
	if (ip_cmp(last, &subnet_last) > 0)
		*last = subnet_last;
}

int ipam_next(const struct ipam_pool *p, const struct ip_addr *used, size_t n_used,
	      const struct ip_addr *after, struct ip_addr *out, struct err *e)
{
	size_t steps = n_used + p->n_aux + 2; /* one more than can be in the way */
	struct ip_addr first, last, a;
	char text[IP_TEXT_MAX];

	auto_bounds(p, &first, &last);
	a = first;
	if (after && ip_cmp(after, &first) >= 0 && ip_cmp(after, &last) < 0)
		a = ip_add(after, 1);
	for (size_t i = 0; i < steps; i++) {
		if (!ip_equal(&a, &p->gateway) && !among(&a, p->aux, p->n_aux) &&
		    !among(&a, used, n_used)) {
			*out = a;
			return 0;
		}
		a = ip_equal(&a, &last) ? first : ip_add(&a, 1);
	}
	return err_set(e, ENOSPC, "no free address in %s",
		       ip_prefix_text(p->range.addr.family ? &p->range : &p->subnet, text));
}

int ipam_check_static(const struct ipam_pool *p, const struct ip_addr *want,
		      const struct ip_addr *used, size_t n_used, struct err *e)
{
	struct ip_addr first, last;
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX];

	(void)ip_text(want, a);
	(void)ip_prefix_text(&p->subnet, b);
	if (!p->subnet.addr.family || !ip_prefix_contains(&p->subnet, want))
		return err_set(e, EINVAL, "address %s is not in the network's subnet%s%s", a,
			       *b ? " " : "", b);
	host_bounds(&p->subnet, &first, &last);
	if (ip_cmp(want, &first) < 0 || ip_cmp(want, &last) > 0)
		return err_set(e, EINVAL, "address %s is no host address of %s", a, b);
	if (ip_equal(want, &p->gateway))
		return err_set(e, EINVAL, "address %s is the gateway of %s", a, b);
	if (among(want, used, n_used))
		return err_set(e, EADDRINUSE, "address %s is already in use", a);
	return 0;
}
