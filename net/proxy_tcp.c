/* net/proxy_tcp.c: connections, and bytes that pass through pipes.
 *
 * A connection has two sides.  Towards each side there is at most one pipe, and
 * only while bytes wait in it: pump() fills an empty pipe from one socket and
 * empties it into the other, and a pipe that is empty again goes back to the
 * pool, which usually holds the one that everybody uses in turn.  Because a pipe
 * is only filled when empty, EAGAIN from the first splice always means "the
 * socket has no more" and from the second "the socket takes no more"; splice(2)
 * does not say which.
 *
 * Readiness is level-triggered, and a side is watched for exactly what it can
 * do next: read while nothing waits for the other side, write while something
 * waits for it.  A side that can do nothing leaves the loop, because epoll
 * reports EPOLLHUP unasked.
 *
 * The end: end of file from one side is passed on by shutdown(2) once its bytes
 * are through; when both have ended the connection is closed.  Any error resets both
 * (SO_LINGER 0), which is what the peers would have seen without us.
 */
#include "net/proxy_relay.h"

#include <fcntl.h>
#include <netinet/tcp.h>

#include "base/cleanup.h"

#define MAX_CONNS          16384 /* of one relay */
#define CONNECT_TIMEOUT_NS (10 * NSEC_PER_SEC)
#define ACCEPT_BATCH       16
#define PIPE_SIZE          (512 * 1024)
#define SPARE_PIPES        8
#define MUCH               (64 * 1024)
#define TURN_BYTES         (4 * 1024 * 1024) /* before other connections have a turn */

struct side {
	struct conn *conn;
	int fd;
	struct source *source;
	uint32_t events;
	bool ended;              /* read to the end */
	bool shut;               /* nothing more will be written to it */
	struct relay_pipe *pipe; /* bytes on their way to this side */
	size_t pending;
};

struct conn {
	struct tcp_relay *relay;
	struct conn *prev, *next;
	struct side client, server;
	bool connecting;
	struct source *timer; /* while connecting */
};

struct tcp_relay {
	struct relay_pool *pool;
	int fd;
	struct source *source, *pause;
	struct relay_address target;
	struct conn *conns;
	size_t n_conns;
};

/* ---- pipes --------------------------------------------------------------- */

static struct relay_pipe *pipe_get(struct relay_pool *pool)
{
	struct relay_pipe *pipe = pool->pipes;
	int p[2];

	if (pipe) {
		pool->pipes = pipe->next;
		pool->n_pipes--;
		return pipe;
	}
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return NULL;
	/* Past fs.pipe-user-pages-soft this is refused; then it is a smaller pipe. */
	(void)fcntl(p[1], F_SETPIPE_SZ, PIPE_SIZE);
	pipe = new0(struct relay_pipe);
	pipe->rd = p[0];
	pipe->wr = p[1];
	return pipe;
}

static void pipe_put(struct relay_pool *pool, struct relay_pipe *pipe, bool empty)
{
	if (!pipe)
		return;
	if (empty && pool->n_pipes < SPARE_PIPES) {
		pipe->next = pool->pipes;
		pool->pipes = pipe;
		pool->n_pipes++;
		return;
	}
	fd_close(pipe->rd);
	fd_close(pipe->wr);
	free(pipe);
}

/* ---- one connection ------------------------------------------------------ */

static void side_done(struct side *s, bool reset)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	source_free(s->source);
	if (reset && s->fd >= 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* else FIN */
	fd_close(s->fd);
	pipe_put(s->conn->relay->pool, s->pipe, s->pending == 0);
}

static void conn_free(struct conn *c, bool reset)
{
	struct tcp_relay *r = c->relay;

	side_done(&c->client, reset);
	side_done(&c->server, reset);
	source_free(c->timer);
	*(c->prev ? &c->prev->next : &r->conns) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	r->n_conns--;
	r->pool->n--;
	r->pool->stats.connections--;
	free(c);
}

static void on_side(struct source *src, int fd, uint32_t events, void *data);

static bool side_watch(struct side *s, uint32_t events)
{
	struct loop *l = s->conn->relay->pool->loop;

	if (events == s->events)
		return true;
	s->events = events;
	if (!events) {
		source_clear(&s->source);
		return true;
	}
	if (s->source)
		return source_set_events(s->source, events) == 0;
	return loop_add_fd(l, s->fd, events, on_side, s, &s->source, NULL) == 0;
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Fill the empty pipe towards @to.  Returns bytes, 0 when there is nothing more
 * at present or for ever (@from->ended), -1 when the connection is broken. */
static ssize_t fill(struct side *from, struct side *to)
{
	struct relay_pool *pool = from->conn->relay->pool;
	ssize_t n;

	if (!to->pipe)
		to->pipe = pipe_get(pool);
	if (!to->pipe)
		return -1;
	n = splice(from->fd, NULL, to->pipe->wr, NULL, PIPE_SIZE,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		to->pending = (size_t)n;
		return n;
	}
	if (n == 0)
		from->ended = true;
	else if (!would_block())
		return -1;
	pipe_put(pool, TAKE_PTR(to->pipe), true);
	return 0;
}

/* Empty the pipe into @to.  False: broken. */
static bool drain(struct side *to)
{
	while (to->pending > 0) {
		ssize_t n = splice(to->pipe->rd, NULL, to->fd, NULL, to->pending,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n < 0)
			return would_block();
		if (n == 0)
			return false;
		to->pending -= (size_t)n;
	}
	return true;
}

/* Move what can be moved from @from to @to.  False: broken. */
static bool pump(struct side *from, struct side *to)
{
	for (size_t turn = 0; turn < TURN_BYTES;) {
		ssize_t n;

		if (to->pending > 0 && !drain(to))
			return false;
		if (to->pending > 0)
			return true;
		if (from->ended)
			break;
		n = fill(from, to);
		if (n < 0)
			return false;
		if (n == 0)
			break;
		if (!drain(to))
			return false;
		if ((size_t)n < MUCH)
			break; /* most likely all there was: epoll knows better than a try */
		turn += (size_t)n;
	}
	if (to->pending == 0)
		pipe_put(from->conn->relay->pool, TAKE_PTR(to->pipe), true);
	if (!from->ended || to->pending > 0 || to->shut)
		return true;
	to->shut = true;
	return shutdown(to->fd, SHUT_WR) == 0;
}

static bool watch_both(struct conn *c)
{
	struct side *a = &c->client, *b = &c->server;
	bool read_a = !a->ended && b->pending == 0, read_b = !b->ended && a->pending == 0;

	return side_watch(a, (read_a ? EPOLLIN : 0) | (a->pending ? EPOLLOUT : 0)) &&
	       side_watch(b, (read_b ? EPOLLIN : 0) | (b->pending ? EPOLLOUT : 0));
}

/* @s can be read or written, so its two directions may go on. */
static void conn_run(struct conn *c, struct side *s, uint32_t events)
{
	struct side *a = &c->client, *b = &c->server, *other = s == a ? b : a;
	bool readable = events & (EPOLLIN | EPOLLHUP | EPOLLERR);

	if ((readable && !pump(s, other)) || ((events & ~EPOLLIN) && !pump(other, s)))
		conn_free(c, true);
	else if (a->ended && b->ended && a->pending == 0 && b->pending == 0)
		conn_free(c, false);
	else if (!watch_both(c))
		conn_free(c, true);
}

/* ---- connecting ---------------------------------------------------------- */

static void refuse(struct conn *c)
{
	c->relay->pool->stats.refused++;
	conn_free(c, true);
}

static void on_connect_timeout(struct source *src, void *data)
{
	refuse(data);
}

static void connected(struct conn *c)
{
	socklen_t len = sizeof(int);
	int code = 0;

	if (getsockopt(c->server.fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0 || code != 0) {
		refuse(c);
		return;
	}
	c->connecting = false;
	source_clear(&c->timer);
	conn_run(c, &c->client, EPOLLIN); /* what the client has said meanwhile */
}

static void on_side(struct source *src, int fd, uint32_t events, void *data)
{
	struct side *s = data;

	if (s->conn->connecting)
		connected(s->conn);
	else
		conn_run(s->conn, s, events);
}

/* Small writes leave at once, as they came; and a peer that vanished without a
 * word is noticed in four minutes, not never. */
static void tune(int fd)
{
	const int on = 1, idle = 120, interval = 30, count = 4;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* all of these are */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)); /* improvements, not */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)); /* conditions */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static bool start_connect(struct conn *c)
{
	const struct relay_address *to = &c->relay->target;

	if (!to->len)
		return false;
	c->server.fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->server.fd < 0)
		return false;
	tune(c->server.fd);
	if (connect(c->server.fd, &to->sa, to->len) < 0 && errno != EINPROGRESS)
		return false;
	c->connecting = true;
	c->timer = loop_add_timer(c->relay->pool->loop, CONNECT_TIMEOUT_NS, on_connect_timeout, c);
	return side_watch(&c->server, EPOLLOUT);
}

static void conn_new(struct tcp_relay *r, int fd)
{
	struct conn *c = new0(struct conn);

	c->relay = r;
	c->client = (struct side){ .conn = c, .fd = fd };
	c->server = (struct side){ .conn = c, .fd = -EBADF };
	c->next = r->conns;
	if (c->next)
		c->next->prev = c;
	r->conns = c;
	r->n_conns++;
	r->pool->n++;
	r->pool->stats.connections++;
	r->pool->stats.accepted++;
	tune(fd);
	if (!start_connect(c))
		refuse(c);
}

/* ---- listening ----------------------------------------------------------- */

static void on_pause_over(struct source *src, void *data)
{
	struct tcp_relay *r = data;

	source_clear(&r->pause);
	(void)source_set_events(r->source, EPOLLIN); /* it is registered: cannot fail */
}

/* The socket stays readable, so look away from it; the backlog holds what comes. */
static void pause_accepting(struct tcp_relay *r)
{
	(void)source_set_events(r->source, 0);
	if (!r->pause)
		r->pause = loop_add_timer(r->pool->loop, RELAY_PAUSE_NS, on_pause_over, r);
}

static void on_accept(struct source *src, int fd, uint32_t events, void *data)
{
	struct tcp_relay *r = data;

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int sock;

		if (r->n_conns >= MAX_CONNS || r->pool->n >= r->pool->max) {
			pause_accepting(r);
			return;
		}
		sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (sock < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
			pause_accepting(r);
		if (sock < 0)
			return;
		conn_new(r, sock);
	}
}

int tcp_relay_new(struct relay_pool *pool, int fd, struct tcp_relay **out, struct err *e)
{
	struct tcp_relay *r = new0(struct tcp_relay);
	int ret;

	r->pool = pool;
	r->fd = fd;
	ret = loop_add_fd(pool->loop, fd, EPOLLIN, on_accept, r, &r->source, e);
	if (ret < 0) {
		tcp_relay_free(r);
		return ret;
	}
	*out = r;
	return 0;
}

void tcp_relay_free(struct tcp_relay *r)
{
	if (!r)
		return;
	while (r->conns)
		conn_free(r->conns, true);
	source_free(r->source);
	source_free(r->pause);
	fd_close(r->fd);
	free(r);
}

void tcp_relay_set_target(struct tcp_relay *r, const struct relay_address *target)
{
	r->target = *target;
}
