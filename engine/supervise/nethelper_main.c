/* engine/supervise/nethelper_main.c: the program comp-nethelper.
 *
 * Descriptor 3 is the listening control socket.  Before anything is read the
 * process gives up all it does not need: it moves to an empty root directory,
 * to the user nobody without capabilities, and to a list of system calls that
 * has no open, no exec, no fork.  What is left can talk to the network and be
 * handed sockets.  The manual of the control protocol is nethelper.h.
 */
#include "engine/supervise/nethelper.h"

#include <signal.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/strv.h"
#include "net/dns.h"
#include "net/proxy.h"
#include "net/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
/* The leak check at exit attaches to us with ptrace(2), which the filter forbids. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

#define CONTROL_FD    3
#define MAX_PEERS     8
#define IDLE_NS       (60 * NSEC_PER_SEC)
#define HELLO_ENTRIES 256

struct peer {
	struct helper *helper;
	struct peer *next;
	int fd;
	struct source *source;
	struct buf out; /* the one answer that did not fit into the socket buffer */
	int out_fds[2];
	size_t n_out_fds;
};

struct helper {
	struct loop *loop;
	uid_t uid; /* whom we serve, beside root */
	struct dns_server *dns;
	struct proxy *proxy;
	struct peer *peers;
	size_t n_peers;
	struct source *idle;
	bool quit;
	char buf[NETHELPER_MSG_MAX + 1];
};

/* ---- requests ------------------------------------------------------------ */

/* What came with a request; a handler takes descriptors by TAKE_FD. */
struct request {
	json *in;
	json *out; /* the answer's object */
	const char *key;
	int fds[2];
	size_t n_fds;
	int out_fds[2]; /* borrowed, to be sent beside the answer */
	size_t n_out_fds;
};

static int need_key(struct request *q, struct err *e)
{
	int r = json_need_str(q->in, "key", &q->key, e);

	if (r == 0 && strlen(q->key) > NETHELPER_KEY_MAX)
		return err_set(e, EINVAL, "key too long");
	return r;
}

static void hold(char ***held, const char *kind, char **keys)
{
	STRV_FOREACH (key, keys)
		strv_addf(held, "%s:%s", kind, *key);
	strv_free(keys);
}

static int do_hello(struct helper *h, struct request *q, struct err *e)
{
	_cleanup_(strv_freep) char **held = NULL;
	uint64_t from = json_get_u64(q->in, "from", 0);
	json *list = json_new_array();
	size_t n, i;

	hold(&held, "dns", dns_endpoint_keys(h->dns));
	hold(&held, "forward", proxy_forward_keys(h->proxy));
	hold(&held, "names", dns_names_keys(h->dns));
	n = strv_len(held);
	for (i = from; i < n && i < from + HELLO_ENTRIES; i++)
		json_push_str(list, held[i]);
	json_put_int(q->out, "version", NETHELPER_VERSION);
	json_put_int(q->out, "pid", getpid());
	json_put(q->out, "held", list);
	if (i < n)
		json_put_u64(q->out, "next", i);
	return 0;
}

static int do_fetch(struct helper *h, struct request *q, struct err *e)
{
	const char *kind;
	int r = json_need_str(q->in, "kind", &kind, e);

	if (r == 0)
		r = need_key(q, e);
	if (r < 0)
		return r;
	if (streq(kind, "dns") && dns_endpoint_fds(h->dns, q->key, q->out_fds)) {
		q->n_out_fds = 2;
		return 0;
	}
	q->out_fds[0] = streq(kind, "forward") ? proxy_forward_fd(h->proxy, q->key) : -EBADF;
	if (q->out_fds[0] < 0)
		return err_set(e, ENOENT, "no sockets for %s %s", kind, q->key);
	q->n_out_fds = 1;
	return 0;
}

static int do_quit(struct helper *h, struct request *q, struct err *e)
{
	h->quit = true;
	return 0;
}

static int do_dns(struct helper *h, struct request *q, struct err *e)
{
	_cleanup_(strv_freep) char **networks = json_get_strv(q->in, "networks");
	_cleanup_(strv_freep) char **upstreams = json_get_strv(q->in, "upstreams");
	_cleanup_(strv_freep) char **links = json_get_strv(q->in, "links");
	int r = need_key(q, e), fds[2];
	struct dns_endpoint_config c = {
		.key = q->key,
		.networks = networks,
		.internal_only = json_get_bool(q->in, "internal_only", false),
		.upstreams = upstreams,
		.links = links,
	};

	if (r < 0)
		return r;
	if (q->n_fds == 0)
		return dns_endpoint_set(h->dns, &c, NULL, e);
	if (q->n_fds != 2)
		return err_set(e, EINVAL, "a DNS endpoint needs two sockets");
	fds[0] = TAKE_FD(q->fds[0]);
	fds[1] = TAKE_FD(q->fds[1]);
	return dns_endpoint_set(h->dns, &c, fds, e);
}

static int do_dns_remove(struct helper *h, struct request *q, struct err *e)
{
	int r = need_key(q, e);

	if (r == 0)
		(void)dns_endpoint_remove(h->dns, q->key); /* gone already is as good */
	return r;
}

/* One entry of "networks" in a names request; @names is owned by the caller. */
static int read_place(json *j, struct dns_name_config *c, char ***names, struct err *e)
{
	int r = json_need_str(j, "network", &c->network, e);

	*names = json_get_strv(j, "names");
	c->names = *names;
	c->ipv4 = json_get_str(j, "ipv4");
	c->ipv6 = json_get_str(j, "ipv6");
	return r;
}

static int do_names(struct helper *h, struct request *q, struct err *e)
{
	json *list = json_get(q->in, "networks");
	size_t n = json_len(list), i;
	struct dns_name_config *nets = xcalloc(n + 1, sizeof(*nets));
	char ***names = xcalloc(n + 1, sizeof(*names));
	const char *canonical = "";
	int r = need_key(q, e);

	if (r == 0)
		r = json_need_str(q->in, "canonical", &canonical, e);
	for (i = 0; i < n && r == 0; i++)
		r = read_place(json_at(list, i), &nets[i], &names[i], e);
	if (r == 0)
		r = dns_names_set(h->dns, q->key, canonical, nets, n, e);
	for (i = 0; i < n; i++)
		strv_free(names[i]);
	free(names);
	free(nets);
	return r;
}

static int do_names_remove(struct helper *h, struct request *q, struct err *e)
{
	int r = need_key(q, e);

	if (r == 0)
		(void)dns_names_remove(h->dns, q->key); /* gone already is as good */
	return r;
}

static int do_upstreams(struct helper *h, struct request *q, struct err *e)
{
	_cleanup_(strv_freep) char **servers = json_get_strv(q->in, "servers");

	return dns_upstreams_set(h->dns, servers, e);
}

static int do_forward(struct helper *h, struct request *q, struct err *e)
{
	struct proxy_forward_config c = {
		.target = json_get_str(q->in, "target"),
		.port = (uint16_t)json_get_int(q->in, "port", 0),
	};
	int r = need_key(q, e);

	if (r == 0)
		r = json_need_str(q->in, "protocol", &c.protocol, e);
	if (r < 0)
		return r;
	c.key = q->key;
	return proxy_forward_set(h->proxy, &c, q->n_fds ? TAKE_FD(q->fds[0]) : -EBADF, e);
}

static int do_forward_remove(struct helper *h, struct request *q, struct err *e)
{
	int r = need_key(q, e);

	if (r == 0)
		(void)proxy_forward_remove(h->proxy, q->key); /* gone already is as good */
	return r;
}

static int do_stats(struct helper *h, struct request *q, struct err *e)
{
	struct dns_stats d;
	struct proxy_stats p;

	dns_stats(h->dns, &d);
	proxy_stats(h->proxy, &p);
	json_put_u64(q->out, "queries", d.queries);
	json_put_u64(q->out, "local", d.local);
	json_put_u64(q->out, "forwarded", d.forwarded);
	json_put_u64(q->out, "refused", d.refused);
	json_put_u64(q->out, "bad", d.bad);
	json_put_u64(q->out, "in_flight", d.in_flight);
	json_put_u64(q->out, "dns_connections", d.connections);
	json_put_u64(q->out, "accepted", p.accepted);
	json_put_u64(q->out, "proxy_refused", p.refused);
	json_put_u64(q->out, "datagrams", p.datagrams);
	json_put_u64(q->out, "connections", p.connections);
	json_put_u64(q->out, "clients", p.clients);
	return 0;
}

static const struct {
	const char *op;
	int (*fn)(struct helper *h, struct request *q, struct err *e);
} handlers[] = {
	{ "hello", do_hello },
	{ "fetch", do_fetch },
	{ "quit", do_quit },
	{ "dns", do_dns },
	{ "dns_remove", do_dns_remove },
	{ "names", do_names },
	{ "names_remove", do_names_remove },
	{ "upstreams", do_upstreams },
	{ "forward", do_forward },
	{ "forward_remove", do_forward_remove },
	{ "stats", do_stats },
};

static int handle(struct helper *h, struct request *q, struct err *e)
{
	const char *op = json_get_str(q->in, "op");

	for (size_t i = 0; op && i < ARRAY_SIZE(handlers); i++)
		if (streq(op, handlers[i].op))
			return handlers[i].fn(h, q, e);
	return err_set(e, EOPNOTSUPP, "unknown request \"%s\"", op ? op : "");
}

/* ---- peers --------------------------------------------------------------- */

static bool holds_nothing(struct helper *h)
{
	_cleanup_(strv_freep) char **dns = dns_endpoint_keys(h->dns);
	_cleanup_(strv_freep) char **forwards = proxy_forward_keys(h->proxy);

	return !dns && !forwards;
}

static void on_idle(struct source *s, void *data)
{
	struct helper *h = data;

	loop_quit(h->loop, 0);
}

static void watch_idle(struct helper *h)
{
	if (h->n_peers == 0 && holds_nothing(h))
		source_set_timer(h->idle, IDLE_NS);
	else
		source_stop_timer(h->idle);
}

static void drop_answer(struct peer *p)
{
	buf_truncate(&p->out, 0);
	while (p->n_out_fds > 0)
		fd_close(p->out_fds[--p->n_out_fds]);
}

static void peer_free(struct peer *p)
{
	struct helper *h = p->helper;
	struct peer **at = &h->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	h->n_peers--;
	drop_answer(p);
	buf_done(&p->out);
	source_free(p->source);
	fd_close(p->fd);
	free(p);
	watch_idle(h);
}

/* Keep the answer until there is room, and take no further request meanwhile. */
static int defer_answer(struct peer *p, const char *text, size_t n, const int *fds, size_t n_fds)
{
	buf_add(&p->out, text, n);
	for (size_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return -errno;
		p->out_fds[p->n_out_fds++] = fd;
	}
	return source_set_events(p->source, EPOLLOUT);
}

static int answer(struct peer *p, struct request *q)
{
	const char *text = json_text(q->out);
	int r = fd_send(p->fd, text, strlen(text), q->out_fds, q->n_out_fds);

	if (r == -EAGAIN)
		r = defer_answer(p, text, strlen(text), q->out_fds, q->n_out_fds);
	return r;
}

static int flush_answer(struct peer *p)
{
	int r = fd_send(p->fd, p->out.data, p->out.len, p->out_fds, p->n_out_fds);

	if (r == -EAGAIN)
		return 0;
	drop_answer(p);
	return r < 0 ? r : source_set_events(p->source, EPOLLIN);
}

/* One message.  0, or -errno when the peer is to be dropped. */
static int serve(struct peer *p, size_t n, const int *fds, size_t n_fds)
{
	_cleanup_(json_unrefp) json *in = NULL, *out = json_new_object();
	struct request q = { .out = out, .fds = { -EBADF, -EBADF } };
	struct err e = ERR_INIT;
	int r;

	for (; q.n_fds < n_fds; q.n_fds++)
		q.fds[q.n_fds] = fds[q.n_fds];
	r = n > NETHELPER_MSG_MAX ? err_set(&e, EMSGSIZE, "request too long")
				  : json_parse(p->helper->buf, n, &in, &e);
	if (r == 0) {
		q.in = in;
		json_put_u64(out, "seq", json_get_u64(in, "seq", 0));
		r = handle(p->helper, &q, &e);
	}
	if (r < 0) {
		json_put_str(out, "error", e.msg);
		json_put_int(out, "code", -r);
		q.n_out_fds = 0;
	}
	r = answer(p, &q);
	fd_close(q.fds[0]);
	fd_close(q.fds[1]);
	return r;
}

static void on_peer(struct source *s, int fd, uint32_t events, void *data)
{
	struct peer *p = data;
	struct helper *h = p->helper;
	size_t n_fds = 2;
	int fds[2], r;
	ssize_t n;

	if (p->out.len > 0) {
		r = flush_answer(p);
	} else {
		n = fd_recv(fd, h->buf, sizeof(h->buf), fds, &n_fds);
		if (n == -EAGAIN)
			return;
		r = n > 0 ? serve(p, (size_t)n, fds, n_fds) : -ECONNRESET;
	}
	if (r < 0)
		peer_free(p);
	else
		watch_idle(h);
	if (h->quit)
		loop_quit(h->loop, 0);
}

static bool may_connect(const struct helper *h, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == 0 || cred.uid == h->uid);
}

static void on_connect(struct source *s, int fd, uint32_t events, void *data)
{
	struct helper *h = data;
	_cleanup_(fd_closep) int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer *p;

	if (sock < 0 || h->n_peers >= MAX_PEERS || !may_connect(h, sock))
		return;
	p = new0(struct peer);
	p->helper = h;
	p->fd = sock;
	if (loop_add_fd(h->loop, sock, EPOLLIN, on_peer, p, &p->source, NULL) < 0) {
		free(p);
		return;
	}
	(void)TAKE_FD(sock); /* it is p->fd now */
	p->next = h->peers;
	h->peers = p;
	h->n_peers++;
	watch_idle(h);
}

/* ---- the program --------------------------------------------------------- */

static int run(struct helper *h, struct err *e)
{
	struct source *listening;
	int r;

	sandbox_raise_nofile();
	r = sandbox_drop_privileges(e);
	if (r < 0)
		return r;
	r = loop_new(&h->loop, e);
	if (r < 0)
		return r;
	h->dns = dns_server_new(h->loop);
	h->proxy = proxy_new(h->loop);
	h->idle = loop_add_timer(h->loop, IDLE_NS, on_idle, h);
	/* Once more, after the supervisor did: SO_PEERCRED of those who connect now says who
	 * we are, unix(7), so that the next supervisor can find and watch this process. */
	if (fd_set_nonblock(CONTROL_FD, true) < 0 || listen(CONTROL_FD, MAX_PEERS) < 0)
		return err_errno(e, errno, "listen on the control socket");
	r = loop_add_fd(h->loop, CONTROL_FD, EPOLLIN, on_connect, h, &listening, e);
	if (r == 0)
		r = sandbox_install_filter(e);
	if (r == 0)
		r = loop_run(h->loop, e);
	while (h->peers)
		peer_free(h->peers);
	proxy_free(h->proxy);
	dns_server_free(h->dns);
	loop_free(h->loop);
	return r;
}

int main(int argc, char **argv)
{
	struct helper *h = new0(struct helper);
	json *warm_up = json_new_object();
	struct err e = ERR_INIT;
	int r;

	fd_ensure_stdio();
	/* json-c seeds its hash with the first key it stores, and wants a file for that. */
	json_put_int(warm_up, "seed", 1);
	json_unref(warm_up);
	(void)signal(SIGPIPE, SIG_IGN); /* a valid signal */
	h->uid = getuid();
	r = run(h, &e);
	free(h);
	if (r < 0)
		fprintf(stderr, "comp-nethelper: %s\n", e.msg);
	return r < 0 ? 1 : r;
}
