/* net/dns_names.h: who is called what on which network; the table behind net/dns.h.
 *
 * Pure: no sockets.  Each container registers its names as one record that is
 * replaced or removed whole; lookups are by network, so a name is only visible
 * where its owner is attached.  Names and networks are compared without case.
 */
#ifndef NET_DNS_NAMES_H
#define NET_DNS_NAMES_H

#include <netinet/in.h>

#include "net/dns.h"

struct dns_address {
	const void *owner; /* the record it came from */
	struct in_addr v4;
	struct in6_addr v6;
	bool has_v4, has_v6;
};

/* All addresses of one name on one network. */
struct dns_rrset {
	struct dns_address *addrs;
	size_t n;
	size_t next; /* where the next answer starts, for round robin */
};

struct dns_names;

struct dns_names *dns_names_new(void);
void dns_names_free(struct dns_names *t);
/* As dns_names_set() and dns_names_remove() in net/dns.h. */
int dns_names_put(struct dns_names *t, const char *key, const char *canonical,
		  const struct dns_name_config *nets, size_t n, struct err *e);
bool dns_names_drop(struct dns_names *t, const char *key);
char **dns_names_list(struct dns_names *t);

/* Borrowed until the table changes.  @network and @name in lower case. */
struct dns_rrset *dns_names_find(struct dns_names *t, const char *network, const char *name);
/* "NAME.NETWORK" for an address (@family as dns_reverse_parse() returns it), or NULL. */
const char *dns_names_reverse(struct dns_names *t, const char *network, int family,
			      const uint8_t addr[16]);
/* A copy in lower case; caller frees. */
char *dns_names_fold(const char *s);

#endif
