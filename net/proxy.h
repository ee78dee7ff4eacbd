/* net/proxy.h: published ports: from a listening socket to a container.
 *
 * A *forward* is a listening TCP socket or a bound UDP socket and the address
 * behind it.  It may be without a target (the container is between two runs, or
 * not yet started): connections are then reset and datagrams dropped, while the
 * port stays ours.
 *
 * TCP: accept, connect without blocking, then bytes move through a pipe by
 * splice(2), never through this process.  An end of file on one side becomes
 * shutdown(SHUT_WR) on the other, a reset or a refused connection a reset.  An
 * idle connection costs two descriptors; pipes are held only while bytes wait in
 * them.  Connecting may take 10 s.
 * UDP: one connected socket for each client address, forgotten after 90 s
 * without a datagram; replies leave from the address the client wrote to.
 *
 * Limits: 16384 connections and 1024 UDP clients a forward (the longest idle one
 * makes room), and a total that RLIMIT_NOFILE allows.  Out of descriptors,
 * accepting pauses for 100 ms; the kernel's backlog holds what arrives.
 */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include <sys/socket.h>

#include "base/err.h"
#include "base/loop.h"

struct proxy;

/* Reads RLIMIT_NOFILE: raise it before.  SIGPIPE must be ignored by the process:
 * splice(2) has no MSG_NOSIGNAL. */
struct proxy *proxy_new(struct loop *l);
void proxy_free(struct proxy *p);

struct proxy_forward_config {
	const char *key;
	const char *protocol; /* "tcp", "udp" */
	const char *target;   /* IPv4 or IPv6 address; NULL: none at present */
	uint16_t port;        /* of the target */
};

/* Add or change.  @fd (taken over, also on failure) may be -EBADF for a forward
 * that exists: then -ENOENT when it does not.  Open TCP connections stay with
 * the target they have; UDP clients are moved to the new one. */
int proxy_forward_set(struct proxy *p, const struct proxy_forward_config *c, int fd, struct err *e);
/* Closes the socket and all its connections. */
bool proxy_forward_remove(struct proxy *p, const char *key);
/* Borrow the listening socket; -EBADF when there is no such forward. */
int proxy_forward_fd(struct proxy *p, const char *key);
char **proxy_forward_keys(struct proxy *p); /* caller frees with strv_free() */

struct proxy_stats {
	uint64_t accepted, refused, datagrams;
	size_t connections, clients;
};
void proxy_stats(const struct proxy *p, struct proxy_stats *out);

#endif
