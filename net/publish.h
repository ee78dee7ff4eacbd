/* net/publish.h: the listening sockets of published ports, in the host's netns.
 *
 * A published port is a bound socket from before the container starts until
 * after it is gone, so nobody else can take it and a busy one is known at once,
 * with the name of its owner.
 */
#ifndef NET_PUBLISH_H
#define NET_PUBLISH_H

#include <netinet/in.h>
#include <sys/types.h>

#include "base/err.h"

struct publish_request {
	const char *host_ip;     /* NULL or "": 0.0.0.0 and [::] */
	uint16_t first, last;    /* 0, 0: any free port; first < last: the first free of these */
	const char *protocol;    /* "tcp" (NULL) or "udp" */
	uint16_t container_port; /* for the hint only; 0: leave it out */
};

struct publish_socket {
	int fd;                         /* non-blocking; TCP: listening */
	char address[INET6_ADDRSTRLEN]; /* what it is bound to: "0.0.0.0", "::" */
};

struct publish_result {
	struct publish_socket sockets[2];
	size_t n;
	uint16_t port; /* the one that was taken */
};

/**
 * publish_owner_fn - name a holder that is comp's own
 * @pid:  a process that holds the socket; 0 when it was not found
 * @text: out, e.g. "project demo (service wordpress)"
 *
 * Return: false when the holder is not known; it is then named by command and pid.
 */
typedef bool (*publish_owner_fn)(pid_t pid, const char *protocol, const char *host_ip,
				 uint16_t port, char *text, size_t n, void *data);

/**
 * publish_open() - take a port
 * @owner: may be NULL
 * @out:   on success the caller's: publish_result_done(), or take the fds
 *
 * IPv6 is left out without a word when the host has none and no address was asked for.
 *
 * Return: 0; -EADDRINUSE: "port 8000 is already in use by nginx (pid 1234)", with the
 *         next free port as hint; -EADDRNOTAVAIL: @host_ip is not this host's;
 *         -EACCES: a privileged port without the right to it; -EINVAL: no such
 *         address, protocol or range.
 */
int publish_open(const struct publish_request *q, publish_owner_fn owner, void *data,
		 struct publish_result *out, struct err *e);
void publish_result_done(struct publish_result *r);

/* Could all of these be had at this moment, together?  Takes and releases them;
 * for a check before anything is started.  Errors as publish_open(); *bad (may
 * be NULL) becomes the index of the request that failed.  Two requests for one
 * port are told apart from a foreign holder. */
int publish_check(const struct publish_request *q, size_t n, publish_owner_fn owner, void *data,
		  size_t *bad, struct err *e);

#endif
