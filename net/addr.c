/* net/addr.c: addresses as byte strings in network order.  Both families go
 * through the same few loops over bytes and bits; nothing here allocates. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/util.h"

unsigned int ip_bits(int family)
{
	return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

size_t ip_bytes(int family)
{
	return ip_bits(family) / 8;
}

static bool parse_bare(const char *text, struct ip_addr *out)
{
	*out = (struct ip_addr){ 0 };
	if (inet_pton(AF_INET, text, out->bytes) == 1)
		out->family = AF_INET;
	else if (inet_pton(AF_INET6, text, out->bytes) == 1)
		out->family = AF_INET6;
	return out->family != 0;
}

int ip_parse(const char *text, struct ip_addr *out, struct err *e)
{
	size_t n = strlen(text);
	char bare[IP_TEXT_MAX];

	if (n > 2 && text[0] == '[' && text[n - 1] == ']' && n - 2 < sizeof(bare)) {
		memcpy(bare, text + 1, n - 2);
		bare[n - 2] = '\0';
		if (parse_bare(bare, out) && out->family == AF_INET6)
			return 0;
	} else if (parse_bare(text, out)) {
		return 0;
	}
	*out = (struct ip_addr){ 0 };
	return err_set(e, EINVAL, "\"%s\" is not an IP address", text);
}

int ip_prefix_parse(const char *text, struct ip_prefix *out, struct err *e)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char addr[IP_TEXT_MAX];
	uint64_t len;

	if (n < sizeof(addr)) {
		memcpy(addr, text, n);
		addr[n] = '\0';
		if (parse_bare(addr, &out->addr)) {
			len = ip_bits(out->addr.family);
			if (!slash ||
			    (parse_u64(slash + 1, &len) && len <= ip_bits(out->addr.family))) {
				out->len = (unsigned int)len;
				return 0;
			}
		}
	}
	*out = (struct ip_prefix){ 0 };
	return err_set(e, EINVAL, "\"%s\" is not an IP prefix such as 172.28.0.0/16", text);
}

const char *ip_text(const struct ip_addr *a, char buf[IP_TEXT_MAX])
{
	buf[0] = '\0';
	if (a->family)
		(void)inet_ntop(a->family, a->bytes, buf, IP_TEXT_MAX); /* always fits */
	return buf;
}

const char *ip_prefix_text(const struct ip_prefix *p, char buf[IP_TEXT_MAX])
{
	size_t n = strlen(ip_text(&p->addr, buf));

	if (n)
		(void)snprintf(buf + n, IP_TEXT_MAX - n, "/%u", p->len);
	return buf;
}

int ip_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, ip_bytes(a->family));
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_cmp(a, b) == 0;
}

bool ip_is_loopback(const struct ip_addr *a)
{
	if (a->family == AF_INET)
		return a->bytes[0] == 127;
	return a->family == AF_INET6 && memcmp(a->bytes, &in6addr_loopback, 16) == 0;
}

bool ip_is_any(const struct ip_addr *a)
{
	for (size_t i = 0; i < ip_bytes(a->family); i++)
		if (a->bytes[i])
			return false;
	return true;
}

struct ip_addr ip_add(const struct ip_addr *a, uint64_t n)
{
	struct ip_addr sum = *a;
	unsigned int carry = 0;

	for (size_t i = ip_bytes(a->family); i-- > 0 && (n || carry); n >>= 8) {
		unsigned int byte = sum.bytes[i] + (unsigned int)(n & 0xff) + carry;

		sum.bytes[i] = (uint8_t)byte;
		carry = byte >> 8;
	}
	return sum;
}

/* The mask of byte @i for a prefix of @len bits. */
static uint8_t mask_byte(unsigned int len, size_t i)
{
	if (len >= 8 * (i + 1))
		return 0xff;
	return len <= 8 * i ? 0 : (uint8_t)(0xff00 >> (len - 8 * i));
}

struct ip_addr ip_prefix_base(const struct ip_prefix *p)
{
	struct ip_addr a = p->addr;

	for (size_t i = 0; i < ip_bytes(a.family); i++)
		a.bytes[i] &= mask_byte(p->len, i);
	return a;
}

struct ip_addr ip_prefix_last(const struct ip_prefix *p)
{
	struct ip_addr a = p->addr;

	for (size_t i = 0; i < ip_bytes(a.family); i++)
		a.bytes[i] |= (uint8_t)~mask_byte(p->len, i);
	return a;
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	if (!p->addr.family || p->addr.family != a->family)
		return false;
	for (size_t i = 0; i < ip_bytes(a->family); i++)
		if ((p->addr.bytes[i] ^ a->bytes[i]) & mask_byte(p->len, i))
			return false;
	return true;
}

bool ip_prefix_within(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
	return inner->len >= outer->len && ip_prefix_contains(outer, &inner->addr);
}

bool ip_prefix_overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_prefix_within(a, b) || ip_prefix_within(b, a);
}

socklen_t ip_to_sockaddr(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)out;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	out->ss_family = (sa_family_t)a->family;
	if (a->family == AF_INET) {
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, a->bytes, 4);
		return sizeof(*sin);
	}
	sin6->sin6_port = htons(port);
	memcpy(&sin6->sin6_addr, a->bytes, 16);
	return sizeof(*sin6);
}

struct ip_addr ip_from_sockaddr(const struct sockaddr *sa, uint16_t *port)
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;
	struct ip_addr a = { 0 };
	uint16_t p = 0;

	if (sa->sa_family == AF_INET) {
		a.family = AF_INET;
		memcpy(a.bytes, &sin->sin_addr, 4);
		p = ntohs(sin->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		a.family = AF_INET6;
		memcpy(a.bytes, &sin6->sin6_addr, 16);
		p = ntohs(sin6->sin6_port);
	}
	if (port)
		*port = p;
	return a;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mac_parse(const char *text, uint8_t mac[MAC_LEN], struct err *e)
{
	static const uint8_t zero[MAC_LEN];

	if (strlen(text) != MAC_TEXT_MAX - 1)
		goto bad;
	for (size_t i = 0; i < MAC_LEN; i++) {
		int high = hex_value(text[3 * i]), low = hex_value(text[3 * i + 1]);
		char sep = text[3 * i + 2];

		if (high < 0 || low < 0 || (i < MAC_LEN - 1 && sep != ':' && sep != '-'))
			goto bad;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	if ((mac[0] & 1) || memcmp(mac, zero, MAC_LEN) == 0)
		return err_set(e, EINVAL, "\"%s\" is no MAC address an interface can have", text);
	return 0;
bad:
	return err_set(e, EINVAL, "\"%s\" is not a MAC address", text);
}

const char *mac_text(const uint8_t mac[MAC_LEN], char buf[MAC_TEXT_MAX])
{
	(void)snprintf(buf, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
	return buf;
}

void mac_from_ip(const struct ip_addr *a, uint8_t mac[MAC_LEN])
{
	uint64_t h;

	mac[0] = 0x02; /* locally administered, unicast */
	if (a->family == AF_INET) {
		mac[1] = 0x42;
		memcpy(mac + 2, a->bytes, 4);
		return;
	}
	h = hash64(HASH64_INIT, a->bytes, ip_bytes(a->family));
	for (size_t i = 1; i < MAC_LEN; i++, h >>= 8)
		mac[i] = (uint8_t)h;
}

uint64_t hash64(uint64_t h, const void *p, size_t n)
{
	const uint8_t *byte = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ byte[i]) * UINT64_C(0x100000001b3);
	return h;
}
