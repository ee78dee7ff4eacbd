/* net/netlink.h: a route netlink socket (rtnetlink(7)) and batches on it.
 *
 * Requests are queued and then sent many to a sendmsg(2); the kernel works
 * through them in order and acknowledges each, and an error of one does not
 * stop the rest.  The text given with a request becomes the error:
 * "create bridge br-0123456789ab: File exists (…what the kernel added…)".
 *
 * A socket belongs to the network namespace it was opened in, whatever its
 * owner does later, so one can be opened inside a container's namespace and
 * used from outside.  Calls block, but only on the kernel.
 *
 * This folder is the front door to libnl-3; others see struct netlink only.
 */
#ifndef NET_NETLINK_H
#define NET_NETLINK_H

#include "base/cleanup.h"
#include "base/err.h"

struct nl_msg;
struct nlmsghdr;
struct netlink;

/* Open in the namespace the caller is in. */
int netlink_open(struct netlink **out, struct err *e);
/* The same for another family: NETLINK_NETFILTER … */
int netlink_open_protocol(int protocol, struct netlink **out, struct err *e);
void netlink_free(struct netlink *nl); /* NULL allowed; queued requests are dropped */
DEFINE_CLEANUP(struct netlink *, netlink_free, netlink_freep);
int netlink_fd(const struct netlink *nl);

/* A request that is being built; @type: RTM_*, @flags: NLM_F_CREATE … (REQUEST
 * and ACK are added).  @header is the fixed part (struct ifinfomsg …). */
struct nl_msg *netlink_msg(int type, int flags, const void *header, size_t n_header);

/* Queue @msg, which is freed.  @tolerate: an errno that counts as success
 * (EEXIST for "make it so", ENODEV for "be gone"), or 0.  The text says what
 * is being done, without a period. */
void netlink_add(struct netlink *nl, struct nl_msg *msg, int tolerate, const char *fmt, ...)
	_printf_(4, 5);
size_t netlink_pending(const struct netlink *nl);

/* Send what is queued and collect every acknowledgement.  Returns 0 or the
 * first error that was not tolerated.  @result, when not NULL, gets one entry
 * per request in order: 0 or -errno, tolerated ones included; the caller gave
 * it netlink_pending() entries. */
int netlink_flush_results(struct netlink *nl, int *result, struct err *e);
int netlink_flush(struct netlink *nl, struct err *e);

/* Queue one request and flush (what was queued before goes along). */
int netlink_do(struct netlink *nl, struct nl_msg *msg, int tolerate, struct err *e, const char *fmt,
	       ...) _printf_(5, 6);

/* Send a GET request and hand every answer to @fn; a negative return of @fn
 * ends the walk and is returned (the rest is read and dropped).  With
 * NLM_F_DUMP in the request's flags this is a dump, started again when the
 * kernel says that it changed under way (eight times at most, then the last one
 * stands); @restart is called before each start. */
typedef int (*netlink_each_fn)(const struct nlmsghdr *h, void *data);
int netlink_query(struct netlink *nl, struct nl_msg *msg, netlink_each_fn fn,
		  void (*restart)(void *data), void *data, struct err *e);

#endif
