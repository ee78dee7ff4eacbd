/* net/dns_forward.h: questions that other servers answer; see net/dns.h for the rules.
 *
 * A *forward* is one question on its way: over its own connected socket, with a
 * random id and, by connect(2), a random source port, so that a forged reply has
 * 32 bits to guess (RFC 5452).  It ends in exactly one call back, unless it is
 * cancelled before.
 */
#ifndef NET_DNS_FORWARD_H
#define NET_DNS_FORWARD_H

#include "base/err.h"
#include "base/loop.h"

#define DNS_FORWARD_MAX     1024 /* in flight */
#define DNS_FORWARD_MAX_TCP 128  /* of these, over TCP: a reply may take 64 KiB */

/* Servers to ask, in order; shared and counted, because a forward may outlive
 * the configuration it was started with. */
struct dns_upstreams;
/* "ADDRESS[#PORT]", the first eight.  An IPv6 zone is an interface number. */
int dns_upstreams_new(char *const *servers, struct dns_upstreams **out, struct err *e);
struct dns_upstreams *dns_upstreams_ref(struct dns_upstreams *u);
void dns_upstreams_unref(struct dns_upstreams *u);       /* NULL is allowed */
size_t dns_upstreams_len(const struct dns_upstreams *u); /* of NULL: 0 */

struct dns_forwarder;
struct dns_forward;
/* @reply carries the client's id again and may be changed; NULL, 0 when nobody
 * answered.  The forward is gone when this is called. */
typedef void (*dns_forward_fn)(uint8_t *reply, size_t n, void *data);

struct dns_forwarder *dns_forwarder_new(struct loop *l);
/* Cancels what is in flight. */
void dns_forwarder_free(struct dns_forwarder *f);
size_t dns_forwarder_len(const struct dns_forwarder *f);

/* Ask.  @query is copied.  NULL when there is nobody to ask or too much in
 * flight; @fn is not called then, nor from inside this call. */
struct dns_forward *dns_forward_start(struct dns_forwarder *f, struct dns_upstreams *u, bool tcp,
				      const void *query, size_t n, dns_forward_fn fn, void *data);
void dns_forward_cancel(struct dns_forward *q);

#endif
