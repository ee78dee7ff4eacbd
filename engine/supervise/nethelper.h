/* engine/supervise/nethelper.h: the project's DNS server and port proxy, seen
 * from the supervisor.
 *
 * comp-nethelper is one unprivileged process per project.  It parses bytes from
 * outside, so it holds no capability, sees an empty file system and a short list
 * of system calls; all it ever serves are sockets it was handed.  It outlives the
 * supervisor: containers keep resolving and published ports keep answering, and
 * the next supervisor finds it at <run dir>/nethelper.sock.
 *
 * `struct nethelper` is the supervisor's end.  It holds the *wanted* state with
 * its own copies of all sockets, and sees to it that the process agrees:
 *	- nothing here blocks on the process: messages are queued (at most 4 MiB);
 *	  one that does not acknowledge for 5 s, or lets the queue overflow, is killed;
 *	- when the process dies another is started at once (after repeated deaths
 *	  with a pause of up to 30 s) and gets everything again;
 *	- calls replace: the same call twice changes nothing.
 *
 * Starting a project:
 *	nethelper_start(loop, run_dir, fn, data, &h, e);
 *	nethelper_upstreams_set(h, nameservers_of_the_host, e);
 *	for each container, before it starts:
 *		dns_open_sockets(fds, e) inside its netns;	(net/dns.h)
 *		nethelper_dns_set(h, &dns, fds, e);
 *		publish_open(…) and nethelper_forward_set() for each socket; (net/publish.h)
 *	once its addresses are known:
 *		nethelper_names_set(h, id, name, nets, n, e);
 *	when it is gone for good: nethelper_remove_container(h, id).
 * Adopting a running project: the same calls, but sockets are opened only where
 * nethelper_has_dns()/nethelper_has_forward() say no, else pass NULL / -EBADF;
 * and nethelper_drop_unclaimed() when all containers were gone through.
 *
 * The protocol
 * ------------
 * AF_UNIX SOCK_SEQPACKET; one JSON object a message, at most NETHELPER_MSG_MAX
 * bytes, descriptors beside it as SCM_RIGHTS.  The process serves a peer whose
 * SO_PEERCRED uid is 0 or the one it was started with.  Every request has "op" and
 * "seq" and is answered in order by {"seq":N} with, on failure, "error" (text) and "code"
 * (errno).  Keys that are not known are ignored, so fields may be added; hello,
 * fetch and quit mean the same in every version, so a newer supervisor can
 * always take the sockets out of an older process and replace it.
 *
 *	hello  from (0)			-> "version", "pid", "held": ["dns:KEY", "forward:KEY",
 *					   "names:KEY", …] from that index on, and "next" when there
 *					   are more
 *	fetch  kind ("dns"/"forward"), key	-> the sockets, beside the answer
 *	quit				the process exits after the answer
 *	dns    key, networks[], internal_only, upstreams[], links["ALIAS=NAME"];
 *	       two descriptors, UDP and TCP, or none: change an existing one
 *	dns_remove  key
 *	names  key, canonical, networks[{network, names[], ipv4, ipv6}]
 *	names_remove  key
 *	upstreams  servers[]
 *	forward  key, protocol, target (absent: none), port; one descriptor or none
 *	forward_remove  key
 *	stats				-> counters, for tests and `comp doctor`
 *
 * Keys are at most 200 bytes.  The process exits by itself on quit, and when it has held nothing
 *and nobody was connected for 60 s.
 */
#ifndef ENGINE_SUPERVISE_NETHELPER_H
#define ENGINE_SUPERVISE_NETHELPER_H

#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"

#define NETHELPER_VERSION 1
#define NETHELPER_MSG_MAX 65536
#define NETHELPER_KEY_MAX 200
#define NETHELPER_SOCKET  "nethelper.sock"
#define NETHELPER_LOG     "nethelper.log" /* its stderr: empty unless it dies complaining */

struct nethelper;

enum nethelper_event {
	NETHELPER_RESTARTED, /* it had died; a new one runs and has everything; @e says how it died
			      */
	NETHELPER_FAILED,    /* it cannot be started at present; tried again later */
	NETHELPER_REFUSED,   /* it refused a message; @e holds its words */
};
/* Called from the loop, never from inside a call to this module; must not free @h. */
typedef void (*nethelper_fn)(struct nethelper *h, enum nethelper_event event, const struct err *e,
			     void *data);

/**
 * nethelper_start() - connect to the project's process, or start one
 * @run_dir: <COMP_RUN>/<project>, which exists; the socket is made there, 0600
 * @fn:      may be NULL
 *
 * A process that runs already is asked what it holds and for copies of its
 * sockets; that waits for it, 2 s at most, after which it is killed and a new
 * one started (its sockets are lost then, and has_*() says no).
 * Starting a new one waits for the exec, not for an answer.
 */
int nethelper_start(struct loop *l, const char *run_dir, nethelper_fn fn, void *data,
		    struct nethelper **out, struct err *e);
/* Only if one runs already, that an earlier supervisor left; *out is NULL if not. */
int nethelper_take_over(struct loop *l, const char *run_dir, nethelper_fn fn, void *data,
			struct nethelper **out, struct err *e);
/* Let go: the process keeps serving. NULL is allowed. */
void nethelper_free(struct nethelper *h);
/* Ask it to end, for a nethelper_stop() that then has less to wait for. NULL is allowed. */
void nethelper_quit(struct nethelper *h);
/* End the process, wait for that (1 s, then SIGKILL), remove its socket and free @h. */
int nethelper_stop(struct nethelper *h, struct err *e);
/* The same where there is no supervisor (`down` on its own); fine when none runs. */
int nethelper_stop_project(const char *run_dir, struct err *e);

/* Its pid while it runs, else 0; and whether it was found running by nethelper_start(). */
pid_t nethelper_pid(const struct nethelper *h);
bool nethelper_adopted(const struct nethelper *h);

/* Are the sockets of this container / forward held? */
bool nethelper_has_dns(const struct nethelper *h, const char *id);
bool nethelper_has_forward(const struct nethelper *h, const char *key);
/* Remove all that an adopted process held and nobody has set since. */
void nethelper_drop_unclaimed(struct nethelper *h);

struct nethelper_dns {
	const char *id;         /* container */
	char *const *networks;  /* it is attached to, in order of preference */
	bool internal_only;     /* all of them internal: forward nothing */
	char *const *upstreams; /* its own `dns:`; NULL: the project's */
	char *const *links;     /* "ALIAS=NAME" */
};

/* @fds: from dns_open_sockets(), taken over, also on failure; NULL: keep those held. */
int nethelper_dns_set(struct nethelper *h, const struct nethelper_dns *dns, const int *fds,
		      struct err *e);

struct nethelper_name {
	const char *network;
	char *const *names; /* service, container, short id, aliases */
	const char *ipv4, *ipv6;
};

/* All names of container @id; replaces.  @canonical: what its addresses are called (PTR). */
int nethelper_names_set(struct nethelper *h, const char *id, const char *canonical,
			const struct nethelper_name *nets, size_t n, struct err *e);
int nethelper_names_remove(struct nethelper *h, const char *id);

/* Addresses the host resolves with; loopback ones (127.0.0.53) work. */
int nethelper_upstreams_set(struct nethelper *h, char *const *servers, struct err *e);

struct nethelper_forward {
	const char *key;      /* from nethelper_forward_key() */
	const char *protocol; /* "tcp", "udp" */
	const char *target;   /* the container's address; NULL: hold the port, serve nobody */
	uint16_t port;        /* the container's */
};

/* "<container id>/tcp/0.0.0.0/8000/80"; caller frees. */
char *nethelper_forward_key(const char *id, const char *protocol, const char *address,
			    uint16_t host_port, uint16_t container_port);
/* @fd: from publish_open(), taken over, also on failure; -EBADF: keep the one held. */
int nethelper_forward_set(struct nethelper *h, const struct nethelper_forward *f, int fd,
			  struct err *e);
int nethelper_forward_remove(struct nethelper *h, const char *key);

/* DNS sockets, names and every forward whose key starts with "<id>/". */
void nethelper_remove_container(struct nethelper *h, const char *id);

/* True when everything sent was acknowledged: for tests, and before reporting "ready". */
bool nethelper_settled(const struct nethelper *h);
/* Wait for that, at most a second; what is acknowledged meanwhile may be told to the
 * callback from in here. */
void nethelper_settle(struct nethelper *h);

#endif
