/* net/proxy_relay.h: the two kinds of forwards behind net/proxy.h.
 *
 * A relay owns its listening socket and all that came of it.  `struct
 * relay_pool` is what the relays of a process share: the budget of descriptors,
 * spare pipes, counters.
 */
#ifndef NET_PROXY_RELAY_H
#define NET_PROXY_RELAY_H

#include <netinet/in.h>

#include "net/proxy.h"

#define RELAY_PAUSE_NS (100 * NSEC_PER_MSEC) /* of accepting, when out of descriptors */

struct relay_address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len; /* 0: none */
};

struct relay_pipe {
	int rd, wr;
	struct relay_pipe *next;
};

struct relay_pool {
	struct loop *loop;
	struct relay_pipe *pipes; /* empty ones */
	size_t n_pipes;
	size_t n, max; /* connections and UDP clients of all relays */
	struct proxy_stats stats;
};

struct tcp_relay;
/* Takes @fd over, also on failure. */
int tcp_relay_new(struct relay_pool *pool, int fd, struct tcp_relay **out, struct err *e);
void tcp_relay_free(struct tcp_relay *r); /* resets its connections */
void tcp_relay_set_target(struct tcp_relay *r, const struct relay_address *target);

struct udp_relay;
int udp_relay_new(struct relay_pool *pool, int fd, struct udp_relay **out, struct err *e);
void udp_relay_free(struct udp_relay *r);
void udp_relay_set_target(struct udp_relay *r, const struct relay_address *target);

#endif
