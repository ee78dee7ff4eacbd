/* net/firewall.h: one nftables table per project, written as text.
 *
 * The table "inet comp-<project>" holds everything and is replaced as a whole
 * in one transaction (`add table; delete table; table {…}`); no other table is
 * ever named, nothing is ever flushed.  firewall_text() is pure; comp-nft, a
 * short-lived program that links libnftables, applies the text.
 *
 * What it does, for the project's bridges:
 *  - forward: replies, and new connections from containers to anywhere that is
 *    not another bridge of comp; nothing new towards a container, neither from
 *    other networks or projects nor routed directly from outside, except ports
 *    published in nat mode; nothing at all from and to internal networks.
 *  - prerouting: packets that arrive on a bridge with a loopback source or
 *    destination are dropped (CVE-2020-8558), for the bridges need
 *    route_localnet for the next item.
 *  - output: connections from the host itself to a published IPv4 port go
 *    straight to the container (one map lookup).
 *  - prerouting nat: the same for everybody, for ports in nat mode.
 *  - postrouting: masquerade for what leaves the subnets, and for loopback
 *    sources on their way to a container.
 *
 * Limits.  In nftables an "accept" ends only the chain it stands in, a "drop"
 * is final: another table's drop still wins.  Docker sets iptables' FORWARD
 * policy to DROP, so while Docker runs, comp's containers reach the outside only
 * if the administrator accepts their bridges there (chain DOCKER-USER); the same
 * goes for ufw and firewalld with forwarding denied.  Published ports in auto and
 * proxy mode do not depend on it: they are not forwarded.  And where the
 * br_netfilter module is loaded, frames between two ports of one bridge pass
 * the forward hook too; this table accepts them, another may not.
 */
#ifndef NET_FIREWALL_H
#define NET_FIREWALL_H

#include <sys/types.h>

#include "base/buf.h"
#include "net/addr.h"

struct firewall_network {
	const char *name;            /* for comments */
	const char *ifname;          /* bridge */
	struct ip_prefix ipv4, ipv6; /* family 0: none */
	bool internal, masquerade, icc;
};

enum firewall_mode {
	FIREWALL_LOCAL, /* connections from the host itself only (publish mode auto) */
	FIREWALL_NAT,   /* everybody's (publish mode nat) */
};

/* A published port.  Ports in proxy mode have no entry.  An IPv6 container_ip
 * counts in FIREWALL_NAT only: over IPv6 the proxy serves the host itself. */
struct firewall_port {
	enum firewall_mode mode;
	struct ip_addr host_ip; /* any or none: every address of the host */
	uint16_t host_port;
	int protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	struct ip_addr container_ip;
	uint16_t container_port;
	const char *ifname; /* bridge the container is behind */
};

struct firewall {
	const char *project;
	const struct firewall_network *networks;
	size_t n_networks;
	const struct firewall_port *ports;
	size_t n_ports;
};

/* "comp-demo"; a name that does not fit or has other characters is replaced by
 * its beginning and a hash.  FIREWALL_TABLE_MAX bytes. */
#define FIREWALL_TABLE_MAX 128
const char *firewall_table(const char *project, char buf[FIREWALL_TABLE_MAX]);

/* The whole transaction.  Two ports with the same key: the first one counts. */
void firewall_text(const struct firewall *f, struct buf *out);
/* The same for taking the table away; succeeds when it is not there. */
void firewall_remove_text(const char *project, struct buf *out);

/* Apply a rule set that firewall_text() wrote: runs comp-nft and blocks, for
 * about 5 ms when nothing is deleted and 20 ms otherwise: after a deletion the
 * kernel makes the closing of the socket wait for an RCU grace period, although
 * the new rules are in force by then.  On failure the old ones are, whole.
 * @nft_fd, here and below: the program comp-nft, for who opened it (O_PATH) while it
 * was there and may outlive its file; -EBADF: look for it. */
int firewall_apply_text(const struct buf *text, int nft_fd, struct err *e);
/* The same in two halves, for a caller that has other things to do meanwhile.
 * job->pidfd becomes readable when it is time to finish; finish blocks until then. */
struct firewall_job {
	pid_t pid;
	int pidfd, output;
};
int firewall_start(const struct buf *text, int nft_fd, struct firewall_job *job, struct err *e);
int firewall_finish(struct firewall_job *job, struct err *e);

/* Is the project's table there?  1 or 0. */
int firewall_exists(const char *project, struct err *e);
/* Put the rule set in force, quickly when the table is not there yet; then
 * route_localnet=1 on the bridges that need it: in this order, so that there is
 * no moment in which a container could reach the host's 127.0.0.1.  Bridges
 * need not exist yet; call again when there are ports and they do. */
int firewall_apply(const struct firewall *f, int nft_fd, struct err *e);
int firewall_remove(const char *project, int nft_fd, struct err *e);

/* Notice that somebody deletes our table (`nft flush ruleset`, a firewalld
 * restart).  The fd becomes readable on any change of any rule set;
 * firewall_watch_read() then drains it and returns 1 when something of the
 * project's table was deleted and not put back (apply again), 0 when not.
 * Our own firewall_apply() does not count: it ends by putting things back. */
int firewall_watch_open(struct err *e); /* non-blocking, close() it */
int firewall_watch_read(int fd, const char *project, struct err *e);

#endif
