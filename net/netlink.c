/* net/netlink.c: queue, send, collect.
 *
 * libnl builds the messages; sending and receiving is done here, for libnl's
 * own calls wait for an answer after every request.  Of each run of up to
 * CHUNK requests only the last asks for an acknowledgement: the kernel handles
 * a datagram's requests strictly in order and reports errors whether asked to
 * or not (netlink(7)), so once the last is acknowledged, everything that was
 * not complained about has succeeded.  The size of a run also bounds how much
 * can pile up in the receive buffer.
 */
#include "net/netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/util.h"

#define CHUNK         64
#define RECEIVE_SIZE  (32 * 1024) /* what the kernel fills at most in one go of a dump */
#define DUMP_ATTEMPTS 8
#define BUFFER_SIZE   (200 * 1024) /* room for a run of errors; libnl's 32 KiB is not */

struct request {
	size_t offset, len; /* in netlink.out */
	int tolerate;
	char *what;
};

struct netlink {
	struct nl_sock *sock;
	int fd;
	uint32_t seq; /* of the first queued request */
	struct buf out;
	struct request *request;
	size_t n, cap;
};

int netlink_open_protocol(int protocol, struct netlink **out, struct err *e)
{
	_cleanup_(netlink_freep) struct netlink *nl = new0(struct netlink);
	int one = 1, r;

	nl->fd = -EBADF;
	nl->seq = 1;
	nl->sock = nl_socket_alloc();
	if (!nl->sock)
		return err_set(e, ENOMEM, "allocate a netlink socket");
	r = nl_connect(nl->sock, protocol);
	if (r < 0)
		return err_set(e, errno ? errno : EIO, "open a netlink socket: %s", nl_geterror(r));
	nl->fd = nl_socket_get_fd(nl->sock);
	(void)nl_socket_set_buffer_size(nl->sock, BUFFER_SIZE, BUFFER_SIZE); /* best effort */
	/* Readable errors, and no copy of the request in them.  Both are only comfort. */
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	*out = TAKE_PTR(nl);
	return 0;
}

int netlink_open(struct netlink **out, struct err *e)
{
	return netlink_open_protocol(NETLINK_ROUTE, out, e);
}

static void drop_requests(struct netlink *nl)
{
	for (size_t i = 0; i < nl->n; i++)
		free(nl->request[i].what);
	nl->n = 0;
	buf_truncate(&nl->out, 0);
}

void netlink_free(struct netlink *nl)
{
	if (!nl)
		return;
	drop_requests(nl);
	buf_done(&nl->out);
	free(nl->request);
	nl_socket_free(nl->sock);
	free(nl);
}

int netlink_fd(const struct netlink *nl)
{
	return nl->fd;
}

struct nl_msg *netlink_msg(int type, int flags, const void *header, size_t n_header)
{
	struct nl_msg *msg = nlmsg_alloc_size(2048);

	/* The only failure is memory, and that is handled as in xmalloc(). */
	if (!msg || !nlmsg_put(msg, 0, 0, type, 0, flags | NLM_F_REQUEST) ||
	    nlmsg_append(msg, (void *)header, n_header, NLMSG_ALIGNTO) < 0)
		out_of_memory();
	return msg;
}

static void add(struct netlink *nl, struct nl_msg *msg, int tolerate, const char *fmt, va_list ap)
{
	static const char zero[NLMSG_ALIGNTO];
	const struct nlmsghdr *h = nlmsg_hdr(msg);

	if (nl->n == nl->cap) {
		nl->cap = nl->cap ? 2 * nl->cap : 16;
		nl->request = xreallocarray(nl->request, nl->cap, sizeof(*nl->request));
	}
	nl->request[nl->n++] = (struct request){
		.offset = nl->out.len,
		.len = NLMSG_ALIGN(h->nlmsg_len),
		.tolerate = tolerate,
		.what = xvasprintf(fmt, ap),
	};
	buf_add(&nl->out, h, h->nlmsg_len);
	buf_add(&nl->out, zero, NLMSG_ALIGN(h->nlmsg_len) - h->nlmsg_len);
	nlmsg_free(msg);
}

void netlink_add(struct netlink *nl, struct nl_msg *msg, int tolerate, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(nl, msg, tolerate, fmt, ap);
	va_end(ap);
}

size_t netlink_pending(const struct netlink *nl)
{
	return nl->n;
}

static int send_all(struct netlink *nl, const void *p, size_t n, struct err *e)
{
	ssize_t sent;

	do {
		sent = send(nl->fd, p, n, 0); /* a datagram: whole or not at all */
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? err_errno(e, errno, "send to netlink") : 0;
}

static ssize_t receive(struct netlink *nl, void *p, size_t n, struct err *e)
{
	struct sockaddr_nl from = { 0 };
	socklen_t n_from = sizeof(from);
	ssize_t got;

	do {
		got = recvfrom(nl->fd, p, n, 0, (struct sockaddr *)&from, &n_from);
		/* Any process may send to our port; only port 0 is the kernel. */
	} while ((got < 0 && errno == EINTR) || (got >= 0 && from.nl_pid != 0));
	return got < 0 ? err_errno(e, errno, "receive from netlink") : got;
}

/* The kernel's own words on an error, or NULL: NLMSGERR_ATTR_MSG. */
static const char *extended_text(const struct nlmsghdr *h)
{
	const struct nlmsgerr *err = NLMSG_DATA(h);
	size_t skip = sizeof(*err);
	struct nlattr *a;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(err->msg.nlmsg_len) - sizeof(err->msg);
	a = nlmsg_find_attr((struct nlmsghdr *)h, (int)skip, NLMSGERR_ATTR_MSG);
	if (!a || nla_len(a) < 1 || ((const char *)nla_data(a))[nla_len(a) - 1] != '\0')
		return NULL;
	return nla_data(a);
}

static int set_error(struct err *e, int code, const char *what, const struct nlmsghdr *h)
{
	const char *text = extended_text(h);

	return text ? err_set(e, code, "%s: %s (%s)", what, strerror(code), text)
		    : err_errno(e, code, "%s", what);
}

/* What became of requests [first, first + n), and the first real error among them. */
struct outcome {
	size_t first, n;
	int *result; /* for all requests, may be NULL */
	int code;
	struct err *e;
};

/* One NLMSG_ERROR.  Returns whether it answers the last request of the run. */
static bool take_answer(struct netlink *nl, const struct nlmsghdr *h, struct outcome *o)
{
	const struct nlmsgerr *err = NLMSG_DATA(h);
	size_t i = h->nlmsg_seq - nl->seq; /* of another batch: wraps to something huge */
	const struct request *q;

	if (i < o->first || i >= o->first + o->n)
		return false;
	q = &nl->request[i];
	if (o->result)
		o->result[i] = err->error;
	if (err->error && -err->error != q->tolerate && !o->code)
		o->code = set_error(o->e, -err->error, q->what, h);
	return i == o->first + o->n - 1;
}

static int collect(struct netlink *nl, struct outcome *o)
{
	_Alignas(struct nlmsghdr) char in[8192];

	for (;;) {
		ssize_t n = receive(nl, in, sizeof(in), o->e);

		if (n < 0)
			return (int)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)in; NLMSG_OK(h, (size_t)n);
		     h = NLMSG_NEXT(h, n))
			if (h->nlmsg_type == NLMSG_ERROR && take_answer(nl, h, o))
				return 0;
	}
}

/* Send requests [first, first + n) as one datagram and wait for the last one's answer. */
static int run(struct netlink *nl, struct outcome *o)
{
	struct request *q = &nl->request[o->first];
	size_t from = q->offset, to = q[o->n - 1].offset + q[o->n - 1].len;
	int r;

	for (size_t i = 0; i < o->n; i++) {
		struct nlmsghdr *h = (struct nlmsghdr *)(nl->out.data + q[i].offset);

		h->nlmsg_seq = nl->seq + (uint32_t)(o->first + i);
		if (i == o->n - 1)
			h->nlmsg_flags |= NLM_F_ACK;
	}
	r = send_all(nl, nl->out.data + from, to - from, o->e);
	return r < 0 ? r : collect(nl, o);
}

int netlink_flush_results(struct netlink *nl, int *result, struct err *e)
{
	struct outcome o = { .result = result, .e = e };
	int r = 0;

	if (result)
		memset(result, 0, nl->n * sizeof(*result));
	for (; r == 0 && o.first < nl->n; o.first += CHUNK) {
		o.n = MIN(nl->n - o.first, (size_t)CHUNK);
		r = run(nl, &o);
	}
	nl->seq += (uint32_t)nl->n;
	drop_requests(nl);
	return r < 0 ? r : o.code;
}

int netlink_flush(struct netlink *nl, struct err *e)
{
	return netlink_flush_results(nl, NULL, e);
}

int netlink_do(struct netlink *nl, struct nl_msg *msg, int tolerate, struct err *e, const char *fmt,
	       ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(nl, msg, tolerate, fmt, ap);
	va_end(ap);
	return netlink_flush(nl, e);
}

struct walk {
	netlink_each_fn fn;
	void *data;
	bool dump, done, interrupted;
	int r;
};

static void walk_message(struct walk *w, const struct nlmsghdr *h, struct err *e)
{
	const struct nlmsgerr *err = NLMSG_DATA(h);

	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		w->interrupted = true;
	if (h->nlmsg_type == NLMSG_DONE) {
		w->done = true;
	} else if (h->nlmsg_type == NLMSG_ERROR) {
		w->done = true;
		if (err->error && w->r == 0)
			w->r = set_error(e, -err->error, "query netlink", h);
	} else {
		if (w->r == 0)
			w->r = w->fn(h, w->data);
		if (!w->dump && !(h->nlmsg_flags & NLM_F_MULTI))
			w->done = true;
	}
}

static int walk_once(struct netlink *nl, struct nlmsghdr *h, struct walk *w, char *in,
		     struct err *e)
{
	int r;

	h->nlmsg_seq = nl->seq++;
	w->done = w->interrupted = false;
	w->r = 0;
	r = send_all(nl, h, h->nlmsg_len, e);
	while (r == 0 && !w->done) {
		ssize_t n = receive(nl, in, RECEIVE_SIZE, e);

		if (n < 0)
			return (int)n;
		for (struct nlmsghdr *m = (struct nlmsghdr *)in; NLMSG_OK(m, (size_t)n);
		     m = NLMSG_NEXT(m, n))
			if (m->nlmsg_seq == h->nlmsg_seq && !w->done)
				walk_message(w, m, e);
	}
	return r;
}

int netlink_query(struct netlink *nl, struct nl_msg *msg, netlink_each_fn fn,
		  void (*restart)(void *data), void *data, struct err *e)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct walk w = { .fn = fn,
			  .data = data,
			  .dump = (h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP };
	_cleanup_(free_p) char *in = xmalloc(RECEIVE_SIZE);
	int r, attempt = 0;

	/* A dump can be interrupted by changes for ever on a busy machine; the
	 * last attempt stands as it is rather than failing an `up`. */
	do {
		if (restart)
			restart(data);
		r = walk_once(nl, h, &w, in, e);
	} while (r == 0 && w.r == 0 && w.interrupted && ++attempt < DUMP_ATTEMPTS);
	nlmsg_free(msg);
	return r < 0 ? r : w.r;
}
