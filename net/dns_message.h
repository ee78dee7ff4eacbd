/* net/dns_message.h: DNS messages, as bytes in and bytes out (RFC 1035, RFC 6891).
 *
 * Pure: no sockets, no allocation, no clock.  Everything parsed here comes from
 * a container or from the network, so every length is checked, compression
 * pointers may only point backwards, and a name is at most 255 bytes.
 *
 * Names in text form are lower-case, without the final dot ("" is the root);
 * bytes that are not printable ASCII, and dots and backslashes inside a label,
 * are written \DDD (RFC 4343), so a text name can never be mistaken for another.
 */
#ifndef NET_DNS_MESSAGE_H
#define NET_DNS_MESSAGE_H

#include <netinet/in.h>

#include "base/util.h"

#define DNS_HEADER_LEN    12
#define DNS_NAME_MAX      255                    /* on the wire */
#define DNS_NAME_TEXT_MAX (4 * DNS_NAME_MAX + 1) /* escaped, with NUL */
#define DNS_UDP_DEFAULT   512                    /* without EDNS */
#define DNS_UDP_MAX       4096                   /* what we honour with EDNS */
#define DNS_MESSAGE_MAX   65535

enum dns_type {
	DNS_A = 1,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_OPT = 41,
	DNS_ANY = 255,
};

enum { DNS_CLASS_IN = 1, DNS_CLASS_ANY = 255 };

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16, /* EDNS: the upper bits travel in the OPT record */
};

struct dns_query {
	uint16_t id;
	uint8_t opcode; /* 0: standard query */
	bool rd, cd;
	uint16_t type, class;
	char name[DNS_NAME_TEXT_MAX];
	size_t question_len; /* bytes of the question behind the header */
	bool edns, dnssec_ok;
	uint8_t edns_version;
	uint16_t udp_size; /* largest reply over UDP: 512 … DNS_UDP_MAX */
};

/**
 * dns_query_parse() - read a query
 *
 * Return: 0; -EBADMSG for a broken query, to be answered by FORMERR (@q then
 *         holds id, opcode and flags, and question_len 0); -EINVAL when nothing may be
 *         answered at all: shorter than a header, or itself a reply (two
 *         servers that answer replies would never stop).
 */
int dns_query_parse(const void *msg, size_t n, struct dns_query *q);

/* A reply under construction in the caller's buffer. */
struct dns_reply {
	uint8_t *p;
	size_t len, max;
	uint16_t n_answers;
	bool truncated;
	bool edns, dnssec_ok;
	enum dns_rcode rcode;
};

/**
 * dns_reply_start() - header and echoed question
 * @buf, @size: room for the reply; at least 12 + 255 + 4 + 11 bytes
 * @max:	largest reply the client takes (its UDP size, DNS_MESSAGE_MAX over TCP)
 * @msg:	the query's bytes; its question is copied as it is, so that the
 *		letter case a client chose comes back (draft-vixie-dnsext-dns0x20)
 */
void dns_reply_start(struct dns_reply *r, void *buf, size_t size, size_t max, const void *msg,
		     const struct dns_query *q, enum dns_rcode rcode);
/* Add an answer for the question's name.  False when it does not fit: TC is
 * then set, later ones are refused too, and the reply stays valid. */
bool dns_reply_add_a(struct dns_reply *r, uint32_t ttl, const struct in_addr *a);
bool dns_reply_add_aaaa(struct dns_reply *r, uint32_t ttl, const struct in6_addr *a);
bool dns_reply_add_ptr(struct dns_reply *r, uint32_t ttl, const char *name);
/* Finish: counts, TC, OPT.  Returns the length of the whole reply. */
size_t dns_reply_finish(struct dns_reply *r);

/**
 * dns_reply_matches() - is @reply the answer to @query?
 *
 * Same id, QR set, same opcode, same question (letter case aside).  A reply
 * without a question section matches when it reports an error, as servers that
 * could not read the query do.
 */
bool dns_reply_matches(const void *reply, size_t n, const void *query, size_t n_query);
/* Fields of a message of at least DNS_HEADER_LEN bytes. */
uint16_t dns_id(const void *msg);
void dns_set_id(void *msg, uint16_t id);
enum dns_rcode dns_reply_rcode(const void *msg);
/* Cut a reply down to header and question with TC set, for a client whose
 * limit it exceeds.  Returns the new length. */
size_t dns_reply_truncate(void *msg, size_t n);

/* "4.3.2.1.in-addr.arpa" or the ip6.arpa form to an address (RFC 1035 3.5,
 * RFC 3596 2.5).  Returns AF_INET (4 bytes), AF_INET6 (16 bytes), or 0. */
int dns_reverse_parse(const char *name, uint8_t addr[16]);

/* Text to wire form, plain names without escapes only; returns the length, 0
 * when it is no valid name. */
size_t dns_name_encode(const char *name, uint8_t out[DNS_NAME_MAX]);

#endif
