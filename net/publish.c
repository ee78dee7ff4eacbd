/* net/publish.c: bind, or say who was faster.
 *
 * A port is taken for all its addresses or not at all.  When bind(2) says
 * EADDRINUSE, the tables under /proc/net show which socket stands in the way (by
 * inode) and the /proc/PID/fd links who holds it; that is slow (a walk over
 * every process) and happens only on the way to an error message.
 */
#include "net/publish.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"

#define NAMING_US    50000 /* of the last wait for who has a port */
#define BACKLOG      4096  /* the kernel cuts it to net.core.somaxconn */
#define PICK_TRIES   32
#define PROC_NET_MAX (64 * 1024 * 1024)

struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
	char text[INET6_ADDRSTRLEN];
};

struct job {
	bool udp;
	bool any; /* no address was asked for */
	struct address addrs[2];
	size_t n;
};

/* ---- addresses ----------------------------------------------------------- */

static bool parse_address(const char *text, struct address *a)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->len = sizeof(a->in);
	} else if (inet_pton(AF_INET6, text, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->len = sizeof(a->in6);
	} else {
		return false;
	}
	snprintf(a->text, sizeof(a->text), "%s", text);
	return true;
}

static void set_port(struct address *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else
		a->in6.sin6_port = htons(port);
}

static int job_init(struct job *j, const struct publish_request *q, struct err *e)
{
	char host[INET6_ADDRSTRLEN + 2] = "";
	size_t n;

	*j = (struct job){ .udp = q->protocol && streq(q->protocol, "udp"),
			   .any = is_empty(q->host_ip) };
	if (q->protocol && !j->udp && !streq(q->protocol, "tcp"))
		return err_set(e, EINVAL, "cannot publish protocol \"%s\"", q->protocol);
	if (q->first > q->last || (q->first == 0 && q->last != 0))
		return err_set(e, EINVAL, "invalid port range %u-%u", q->first, q->last);
	if (j->any) {
		(void)parse_address("0.0.0.0", &j->addrs[j->n++]); /* these two are addresses */
		(void)parse_address("::", &j->addrs[j->n++]);
		return 0;
	}
	/* "[::1]" is how an IPv6 address is written before a port. */
	n = strlen(q->host_ip);
	if (q->host_ip[0] == '[' && n > 2 && n < sizeof(host) && q->host_ip[n - 1] == ']')
		memcpy(host, q->host_ip + 1, n - 2);
	else
		snprintf(host, sizeof(host), "%s", q->host_ip);
	if (!parse_address(host, &j->addrs[j->n++]))
		return err_set(e, EINVAL, "\"%s\" is no IP address to publish on", q->host_ip);
	return 0;
}

/* ---- taking a port ------------------------------------------------------- */

void publish_result_done(struct publish_result *r)
{
	while (r->n > 0)
		fd_close(r->sockets[--r->n].fd);
}

static int bind_one(const struct job *j, const struct address *a)
{
	int type = (j->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	_cleanup_(fd_closep) int fd = socket(a->sa.sa_family, type, 0);
	const int on = 1;

	if (fd < 0)
		return -errno;
	if (a->sa.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	/* Over TCP: bind beside the TIME_WAIT of earlier connections.  Over UDP it
	 * would let two processes share the port, and the later one get it all. */
	if (!j->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, &a->sa, a->len) < 0 || (!j->udp && listen(fd, BACKLOG) < 0))
		return -errno;
	return TAKE_FD(fd);
}

static bool no_ipv6(int r)
{
	return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL || r == -EPROTONOSUPPORT;
}

static uint16_t port_of(int fd)
{
	struct address a = { .len = sizeof(a.in6) };

	if (getsockname(fd, &a.sa, &a.len) < 0)
		return 0;
	return ntohs(a.sa.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
}

/* All of the job's addresses on @port, 0 for any; @failed: the one that was not to be had. */
static int try_port(struct job *j, uint16_t port, struct publish_result *out,
		    const struct address **failed)
{
	*out = (struct publish_result){ .port = port };
	for (size_t i = 0; i < j->n; i++) {
		struct publish_socket *s = &out->sockets[out->n];
		int fd;

		set_port(&j->addrs[i], out->port);
		fd = bind_one(j, &j->addrs[i]);
		if (fd < 0 && j->any && j->addrs[i].sa.sa_family == AF_INET6 && no_ipv6(fd))
			continue;
		if (fd < 0) {
			publish_result_done(out);
			*failed = &j->addrs[i];
			return fd;
		}
		s->fd = fd;
		snprintf(s->address, sizeof(s->address), "%s", j->addrs[i].text);
		out->n++;
		if (out->port == 0)
			out->port = port_of(fd);
	}
	return 0;
}

/* ---- who has it ---------------------------------------------------------- */

struct holder {
	unsigned long inode; /* 0: not found */
	pid_t pid;           /* 0: not found */
};

static bool is_any(const struct address *a)
{
	static const struct in6_addr any = IN6ADDR_ANY_INIT;

	return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == 0
					  : memcmp(&a->in6.sin6_addr, &any, sizeof(any)) == 0;
}

/* An address as the tables print it: 32-bit words in host order, in hex (proc_pid_net(5)). */
static bool parse_hex(const char *hex, struct address *a)
{
	size_t words = strcspn(hex, ":") / 8;
	uint32_t word[4] = { 0 };

	if (words != 1 && words != 4)
		return false;
	for (size_t i = 0; i < words; i++) {
		char part[9] = "";

		memcpy(part, hex + 8 * i, 8);
		word[i] = (uint32_t)strtoul(part, NULL, 16);
	}
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = words == 1 ? AF_INET : AF_INET6;
	if (words == 1)
		a->in.sin_addr.s_addr = word[0];
	else
		memcpy(&a->in6.sin6_addr, word, sizeof(word));
	return true;
}

static bool overlap(const struct address *theirs, const struct address *ours)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *bytes = (const uint8_t *)&theirs->in6.sin6_addr;

	if (theirs->sa.sa_family == AF_INET6 && ours->sa.sa_family == AF_INET) {
		/* [::] without V6ONLY, or ::ffff:1.2.3.4 */
		return is_any(theirs) ||
		       (memcmp(bytes, mapped, sizeof(mapped)) == 0 &&
			(is_any(ours) || memcmp(bytes + 12, &ours->in.sin_addr, 4) == 0));
	}
	if (theirs->sa.sa_family != ours->sa.sa_family)
		return false;
	if (is_any(theirs) || is_any(ours))
		return true;
	return theirs->sa.sa_family == AF_INET
		       ? theirs->in.sin_addr.s_addr == ours->in.sin_addr.s_addr
		       : memcmp(bytes, &ours->in6.sin6_addr, 16) == 0;
}

/* One line; @listening: only sockets that listen (TCP), else any. */
static unsigned long match_line(const char *line, const struct address *ours, uint16_t port,
				bool listening)
{
	enum { STATE_LISTEN = 0x0a };
	char local[64], remote[64];
	unsigned int state;
	unsigned long inode;
	struct address theirs;
	const char *colon;

	if (sscanf(line, " %*d: %63s %63s %x %*s %*s %*s %*u %*u %lu", local, remote, &state,
		   &inode) != 4)
		return 0;
	colon = strchr(local, ':');
	if (!colon || strtoul(colon + 1, NULL, 16) != port || !parse_hex(local, &theirs))
		return 0;
	if ((listening && state != STATE_LISTEN) || !overlap(&theirs, ours))
		return 0;
	return inode;
}

static unsigned long scan_table(const char *path, const struct address *ours, uint16_t port,
				bool listening)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	unsigned long inode = 0;
	char *save = NULL;

	if (file_read_follow(AT_FDCWD, path, PROC_NET_MAX, &text, NULL) < 0)
		return 0;
	for (char *line = strtok_r(text.data, "\n", &save); line && !inode;
	     line = strtok_r(NULL, "\n", &save))
		inode = match_line(line, ours, port, listening);
	return inode;
}

static unsigned long find_inode(bool udp, const struct address *ours, uint16_t port)
{
	static const char *const tables[2][2] = { { "/proc/net/tcp", "/proc/net/tcp6" },
						  { "/proc/net/udp", "/proc/net/udp6" } };

	/* A listener first; over TCP an outgoing connection may have the port as well. */
	for (int listening = !udp; listening >= 0; listening--) {
		for (int i = 0; i < 2; i++) {
			unsigned long inode = scan_table(tables[udp][i], ours, port, listening);

			if (inode)
				return inode;
		}
	}
	return 0;
}

static bool holds(pid_t pid, const char *link)
{
	_cleanup_(dir_closep) DIR *d = NULL;
	char path[64], target[64];
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (streq(target, link))
			return true;
	}
	return false;
}

/* Call @fn for each process that has the socket, until it says true. */
static bool each_holder(unsigned long inode, bool (*fn)(pid_t pid, void *data), void *data)
{
	_cleanup_(dir_closep) DIR *proc = opendir("/proc");
	struct dirent *entry;
	char link[64];
	uint64_t pid;

	snprintf(link, sizeof(link), "socket:[%lu]", inode);
	while (proc && (entry = readdir(proc)))
		if (isdigit(entry->d_name[0]) && parse_u64(entry->d_name, &pid) &&
		    holds((pid_t)pid, link) && fn((pid_t)pid, data))
			return true;
	return false;
}

struct naming {
	const struct publish_request *q;
	uint16_t port;
	publish_owner_fn owner;
	void *data;
	pid_t first; /* holder, when none is comp's own */
	char text[256];
};

static bool ask_owner(pid_t pid, struct naming *n)
{
	return n->owner && n->owner(pid, n->q->protocol ? n->q->protocol : "tcp", n->q->host_ip,
				    n->port, n->text, sizeof(n->text), n->data);
}

static bool try_holder(pid_t pid, void *data)
{
	struct naming *n = data;

	if (!n->first)
		n->first = pid;
	return ask_owner(pid, n);
}

static bool find_owner(const struct job *j, const struct address *failed, struct naming *n)
{
	unsigned long inode = find_inode(j->udp, failed, n->port);

	return (inode && each_holder(inode, try_holder, n)) || (!n->first && ask_owner(0, n));
}

static int busy(const struct job *j, const struct address *failed, struct naming *n, struct err *e)
{
	const char *what = j->udp ? "UDP port" : "port";
	bool found = find_owner(j, failed, n);
	char comm[16];

	/* A socket that is bound and does not listen yet is in no table, and one on its way
	 * through another socket is in no process: look again, for 60 ms or so. */
	for (useconds_t us = 1000; n->owner && !found && !n->first && us < NAMING_US; us *= 2) {
		(void)usleep(us);
		found = find_owner(j, failed, n);
	}
	if (found)
		return err_set(e, EADDRINUSE, "%s %u is already in use by %s", what, n->port,
			       n->text);
	if (n->first == getpid())
		return err_set(e, EADDRINUSE, "%s %u is already in use by this project", what,
			       n->port);
	if (n->first)
		return err_set(e, EADDRINUSE, "%s %u is already in use by %s (pid %d)", what,
			       n->port, proc_comm(n->first, comm), n->first);
	return err_set(e, EADDRINUSE, "%s %u is already in use", what, n->port);
}

/* ---- the calls ----------------------------------------------------------- */

/* The next port that could be had instead, 0 when none is near. */
static uint16_t suggest(struct job *j, uint16_t port)
{
	struct publish_result r;
	const struct address *failed;

	for (int i = 0; i < 200 && port < 65535; i++) {
		if (try_port(j, ++port, &r, &failed) < 0)
			continue;
		publish_result_done(&r);
		return port;
	}
	return 0;
}

static int explain(int code, struct job *j, const struct address *failed,
		   const struct publish_request *q, uint16_t port, publish_owner_fn owner,
		   void *data, struct err *e)
{
	struct naming n = { .q = q, .port = port, .owner = owner, .data = data };
	uint16_t other;

	if (!e)
		return code;
	switch (code) {
	case -EADDRINUSE:
		(void)busy(j, failed, &n, e); /* fills @e */
		other = suggest(j, port);
		if (other && q->container_port)
			err_hint(e, "port %u is free: \"%u:%u%s\"", other, other, q->container_port,
				 j->udp ? "/udp" : "");
		else if (other)
			err_hint(e, "port %u is free", other);
		return code;
	case -EADDRNOTAVAIL:
		err_set(e, EADDRNOTAVAIL,
			"cannot publish port %u: %s is not an address of this host", port,
			failed->text);
		return code;
	case -EACCES:
		err_set(e, EACCES, "no permission to publish port %u", port);
		err_hint(e, "ports below net.ipv4.ip_unprivileged_port_start need root");
		return code;
	default:
		return err_errno(e, -code, "publish port %u on %s", port, failed->text);
	}
}

static bool next_may_work(int r)
{
	return r == -EADDRINUSE;
}

int publish_open(const struct publish_request *q, publish_owner_fn owner, void *data,
		 struct publish_result *out, struct err *e)
{
	const struct address *failed = NULL;
	uint32_t port = q->first;
	struct job j;
	int r;

	r = job_init(&j, q, e);
	if (r < 0)
		return r;
	if (port == 0) {
		/* Free for IPv4 does not say free for IPv6: the kernel picks again. */
		for (int i = 0; i < PICK_TRIES; i++) {
			r = try_port(&j, 0, out, &failed);
			if (!next_may_work(r))
				break;
		}
	} else {
		do {
			r = try_port(&j, (uint16_t)port, out, &failed);
		} while (next_may_work(r) && port++ < q->last);
	}
	if (r == 0)
		return 0;
	if (q->first < q->last && next_may_work(r)) {
		r = err_set(e, EADDRINUSE, "all ports from %u to %u are already in use", q->first,
			    q->last);
		return r;
	}
	return explain(r, &j, failed, q, (uint16_t)MIN(port, (uint32_t)q->last), owner, data, e);
}

/* Do these two ask for the same port, so that only one can have it? */
static bool clash(const struct publish_request *a, const struct publish_request *b)
{
	bool same_ip = is_empty(a->host_ip) || is_empty(b->host_ip) ||
		       streq(a->host_ip, b->host_ip);

	return a->first && a->first == a->last && a->first == b->first && b->first == b->last &&
	       streq(a->protocol ? a->protocol : "tcp", b->protocol ? b->protocol : "tcp") &&
	       same_ip;
}

static int check_one(const struct publish_request *q, size_t i, publish_owner_fn owner, void *data,
		     struct publish_result *out, struct err *e)
{
	int r;

	for (size_t k = 0; k < i; k++)
		if (clash(&q[k], &q[i]))
			return err_set(e, EADDRINUSE, "port %u is published twice in this project",
				       q[i].first);
	r = publish_open(&q[i], owner, data, out, e);
	if (r < 0)
		out->n = 0;
	return r;
}

int publish_check(const struct publish_request *q, size_t n, publish_owner_fn owner, void *data,
		  size_t *bad, struct err *e)
{
	struct publish_result *held = xcalloc(n ? n : 1, sizeof(*held));
	size_t i;
	int r = 0;

	for (i = 0; i < n && r == 0; i++) {
		r = check_one(q, i, owner, data, &held[i], e);
		if (r < 0 && bad)
			*bad = i;
	}
	while (i-- > 0)
		publish_result_done(&held[i]);
	free(held);
	return r;
}
