/* net/addr.h: IP addresses, prefixes and MAC addresses as plain values.
 *
 * All pure.  A value with family 0 means "none"; the zeroed struct is that.
 * Bytes are in network order, so memcmp() orders addresses of one family.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct ip_addr {
	int family; /* AF_INET, AF_INET6; 0: none */
	uint8_t bytes[16];
};

struct ip_prefix {
	struct ip_addr addr; /* as written; ip_prefix_base() clears the host bits */
	unsigned int len;    /* bits */
};

#define IP_TEXT_MAX  (INET6_ADDRSTRLEN + 4) /* an address or prefix with its NUL */
#define MAC_LEN      6
#define MAC_TEXT_MAX 18

/* "10.0.0.1", "fd00::1", "[fd00::1]".  Zones ("%eth0") are refused.  -EINVAL. */
int ip_parse(const char *text, struct ip_addr *out, struct err *e);
/* "10.0.0.0/8"; without "/n" the whole length.  Host bits are kept. */
int ip_prefix_parse(const char *text, struct ip_prefix *out, struct err *e);
/* Into @buf of IP_TEXT_MAX bytes; returns @buf; "" for none. */
const char *ip_text(const struct ip_addr *a, char buf[IP_TEXT_MAX]);
const char *ip_prefix_text(const struct ip_prefix *p, char buf[IP_TEXT_MAX]);

unsigned int ip_bits(int family); /* 32, 128; 0 for none */
size_t ip_bytes(int family);      /* 4, 16; 0 for none */
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
int ip_cmp(const struct ip_addr *a, const struct ip_addr *b); /* by family, then value */
bool ip_is_loopback(const struct ip_addr *a);
bool ip_is_any(const struct ip_addr *a); /* 0.0.0.0, ::, or none */
/* a + n, wrapping at the end of the address space. */
struct ip_addr ip_add(const struct ip_addr *a, uint64_t n);

struct ip_addr ip_prefix_base(const struct ip_prefix *p); /* host bits 0 */
struct ip_addr ip_prefix_last(const struct ip_prefix *p); /* host bits 1: IPv4 broadcast */
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a);
bool ip_prefix_within(const struct ip_prefix *outer, const struct ip_prefix *inner);
bool ip_prefix_overlap(const struct ip_prefix *a, const struct ip_prefix *b);

/* To and from what socket calls want.  Returns the length used. */
socklen_t ip_to_sockaddr(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *out);
struct ip_addr ip_from_sockaddr(const struct sockaddr *sa, uint16_t *port); /* @port may be NULL */

/* "02:42:ac:12:00:02", ':' or '-'; multicast and all-zero are refused. */
int mac_parse(const char *text, uint8_t mac[MAC_LEN], struct err *e);
const char *mac_text(const uint8_t mac[MAC_LEN], char buf[MAC_TEXT_MAX]);
/* 02:42 and the IPv4 address, as Docker did for ten years: a container that
 * comes back with its address comes back with its MAC, so no neighbour cache
 * is stale.  From an IPv6 address: 02 and five bytes of a hash of it. */
void mac_from_ip(const struct ip_addr *a, uint8_t mac[MAC_LEN]);

/* FNV-1a over @n bytes, continuing from @h (start with HASH64_INIT).  For names
 * and slots, never against an adversary. */
#define HASH64_INIT UINT64_C(0xcbf29ce484222325)
uint64_t hash64(uint64_t h, const void *p, size_t n);

#endif
