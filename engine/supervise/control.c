/* engine/supervise/control.c: framed JSON over a unix socket.
 *
 * The client blocks; the server never does.  A server connection reads into a
 * buffer until a frame is whole, holding the descriptors that came meanwhile,
 * and writes from a queue of frames, each with its own descriptors.
 */
#include "engine/supervise/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define HEADER_LEN 4
#define DRAIN_MS   1000 /* for a peer that is slow to read our last words */
#define LISTEN_AGAIN (100 * NSEC_PER_MSEC)

static void put_length(char *p, uint32_t n)
{
	for (int i = 0; i < HEADER_LEN; i++)
		p[i] = (char)(n >> (8 * i));
}

static uint32_t get_length(const char *p)
{
	uint32_t n = 0;

	for (int i = 0; i < HEADER_LEN; i++)
		n |= (uint32_t)(unsigned char)p[i] << (8 * i);
	return n;
}

static void make_frame(struct buf *b, json *message)
{
	const char *text = json_text(message);
	char header[HEADER_LEN];

	put_length(header, (uint32_t)strlen(text));
	buf_add(b, header, sizeof(header));
	buf_adds(b, text);
}

static int socket_address(const char *path, struct sockaddr_un *sa, struct err *e)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(sa->sun_path))
		return err_set(e, ENAMETOOLONG, "socket path is too long: %s", path);
	strcpy(sa->sun_path, path);
	return 0;
}

json *control_err_to_json(const struct err *e)
{
	json *o;

	if (!e->code)
		return NULL;
	o = json_new_object();
	json_put_int(o, "code", e->code);
	json_put_str(o, "msg", e->msg);
	json_put_str(o, "hint", e->hint);
	json_put_str(o, "file", e->file);
	json_put_int(o, "line", e->line);
	json_put_int(o, "col", e->col);
	return o;
}

static void copy_text(char *to, size_t n, json *j, const char *key)
{
	const char *s = json_get_str(j, key);

	snprintf(to, n, "%s", s ? s : "");
}

void control_err_from_json(json *j, struct err *e)
{
	*e = ERR_INIT;
	if (!json_is_object(j))
		return;
	e->code = (int)json_get_int(j, "code", EIO);
	e->line = (int)json_get_int(j, "line", 0);
	e->col = (int)json_get_int(j, "col", 0);
	copy_text(e->msg, sizeof(e->msg), j, "msg");
	copy_text(e->hint, sizeof(e->hint), j, "hint");
	copy_text(e->file, sizeof(e->file), j, "file");
}

/* ---- frames, as both ends read them ---------------------------------------- */
struct frames {
	struct buf in;
	int fds[FD_PASS_MAX];
	size_t n_fds;
	size_t fds_at; /* where in @in the frame starts that brought them */
};

static void frames_done(struct frames *f)
{
	for (size_t i = 0; i < f->n_fds; i++)
		fd_close(f->fds[i]);
	f->n_fds = 0;
	buf_done(&f->in);
}

/* Where the last frame starts that is here, be it whole or not.  Descriptors that
 * came with a read belong to it: recvmsg(2) ends its read behind the bytes they
 * rode on. unix(7) */
static size_t last_frame(const struct frames *f)
{
	size_t at = 0;

	while (f->in.len - at > HEADER_LEN) {
		size_t n = (size_t)HEADER_LEN + get_length(f->in.data + at);

		if (f->in.len - at <= n)
			break;
		at += n;
	}
	return at;
}

/* One read(2)'s worth.  Bytes read, 0 at the end of the stream, or -errno. */
static ssize_t frames_fill(struct frames *f, int sock)
{
	size_t room = FD_PASS_MAX - f->n_fds;
	ssize_t n;

	buf_reserve(&f->in, 65536);
	n = fd_recv(sock, f->in.data + f->in.len, f->in.cap - f->in.len - 1, f->fds + f->n_fds,
		    &room);
	if (n < 0)
		return n;
	f->in.len += (size_t)n;
	f->in.data[f->in.len] = '\0';
	if (room == 0)
		return n;
	if (f->n_fds == 0)
		f->fds_at = last_frame(f);
	f->n_fds += room;
	return f->fds_at == last_frame(f) ? n : -EPROTO;
}

/* 1, a message and the descriptors that came with it when a frame is whole, 0 when
 * not yet, -errno when it never will be. */
static int frames_next(struct frames *f, json **message, int fds[FD_PASS_MAX], size_t *n_fds,
		       struct err *e)
{
	uint32_t n;
	int r;

	if (f->in.len < HEADER_LEN)
		return 0;
	n = get_length(f->in.data);
	if (n > CONTROL_REQUEST_MAX)
		return err_set(e, EMSGSIZE, "a message of %u bytes is too long", n);
	if (f->in.len - HEADER_LEN < n)
		return 0;
	r = json_parse(f->in.data + HEADER_LEN, n, message, e);
	if (r < 0)
		return err_wrap(e, r, "control message");
	*n_fds = 0;
	if (f->n_fds && f->fds_at == 0) {
		memcpy(fds, f->fds, sizeof(f->fds));
		*n_fds = f->n_fds;
		f->n_fds = 0;
	}
	buf_consume(&f->in, HEADER_LEN + n);
	if (f->n_fds)
		f->fds_at -= HEADER_LEN + n;
	return 1;
}

/* ---- client ------------------------------------------------------------------ */
struct control_client {
	int sock;
	struct frames frames;
};

int control_connect(const char *path, struct control_client **out, struct err *e)
{
	_cleanup_(fd_closep) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa;
	int r;

	if (sock < 0)
		return err_errno(e, errno, "create socket");
	r = socket_address(path, &sa, e);
	if (r < 0)
		return r;
	if (connect(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_errno(e, errno, "connect to %s", path);
	*out = new0(struct control_client);
	(*out)->sock = TAKE_FD(sock);
	return 0;
}

void control_client_free(struct control_client *c)
{
	if (!c)
		return;
	fd_close(c->sock);
	frames_done(&c->frames);
	free(c);
}

int control_client_fd(const struct control_client *c)
{
	return c->sock;
}

bool control_client_pending(const struct control_client *c)
{
	const struct buf *in = &c->frames.in;

	return in->len >= HEADER_LEN && in->len - HEADER_LEN >= get_length(in->data);
}

int control_send(struct control_client *c, json *message, const int *fds, size_t n_fds,
		 struct err *e)
{
	_cleanup_(buf_done) struct buf frame = BUF_INIT;
	int r;

	make_frame(&frame, message);
	r = fd_send(c->sock, frame.data, frame.len, fds, n_fds);
	return r < 0 ? err_errno(e, -r, "send to the supervisor") : 0;
}

int control_receive(struct control_client *c, json **message, int *fds, size_t *n_fds,
		    struct err *e)
{
	size_t room = n_fds ? *n_fds : 0, given = 0, n_came;
	int came[FD_PASS_MAX];

	for (;;) {
		struct pollfd p = { .fd = c->sock, .events = POLLIN };
		int r = frames_next(&c->frames, message, came, &n_came, e);
		ssize_t n;

		if (r < 0)
			return r;
		if (r > 0)
			break;
		if (poll(&p, 1, -1) < 0)
			return err_errno(e, errno, "wait for the supervisor");
		n = frames_fill(&c->frames, c->sock);
		if (n < 0)
			return err_errno(e, (int)-n, "read from the supervisor");
		if (n == 0)
			return err_set(e, EPIPE, "the supervisor went away before it had finished");
	}
	for (size_t i = 0; i < n_came; i++) {
		if (given < room)
			fds[given++] = came[i];
		else
			fd_close(came[i]);
	}
	if (n_fds)
		*n_fds = given;
	return 0;
}

/* ---- server ------------------------------------------------------------------ */
struct out_frame {
	struct buf data;
	size_t sent;
	int fds[FD_PASS_MAX];
	size_t n_fds;
	struct out_frame *next;
};

struct control_conn {
	struct control_server *server;
	struct control_conn *next, *prev;
	int sock;
	pid_t pid;
	struct source *source;
	struct frames frames;
	struct out_frame *out, **out_end;
	size_t queued;
	bool finishing, closed, in_callback;
	void *data;
};

struct control_server {
	struct loop *loop;
	char *path;
	ino_t inode; /* of the socket's file */
	int sock;
	struct source *source;
	struct source *again; /* timer: see pause_listening() */
	struct control_handler handler;
	struct control_conn *conns;
	size_t n_conns;
};

static void out_frame_free(struct out_frame *f)
{
	for (size_t i = 0; i < f->n_fds; i++)
		fd_close(f->fds[i]);
	buf_done(&f->data);
	free(f);
}

static void drop_output(struct control_conn *c)
{
	while (c->out) {
		struct out_frame *next = c->out->next;

		out_frame_free(c->out);
		c->out = next;
	}
	c->out_end = &c->out;
	c->queued = 0;
}

static void conn_free(struct control_conn *c)
{
	source_free(c->source);
	fd_close(c->sock);
	frames_done(&c->frames);
	drop_output(c);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->server->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->server->n_conns--;
	free(c);
}

/* While a handler runs on the connection its memory must stay: the close is
 * noted and done when the handler returns. */
static void conn_close(struct control_conn *c)
{
	if (c->in_callback) {
		c->closed = true;
		return;
	}
	c->in_callback = true;
	if (c->server->handler.closed)
		c->server->handler.closed(c, c->server->handler.data);
	conn_free(c);
}

/* For a peer that does not read.  Whoever is replying may go on using @c, so it is
 * closed by the loop, which the shutdown wakes. */
static void conn_doom(struct control_conn *c)
{
	c->closed = true;
	drop_output(c);
	(void)shutdown(c->sock, SHUT_RDWR); /* fails only when the peer is gone: the same event */
}

static void conn_flush(struct control_conn *c)
{
	while (c->out) {
		struct out_frame *f = c->out;
		struct iovec iov = { f->data.data + f->sent, f->data.len - f->sent };
		ssize_t n;

		if (f->sent == 0 && f->n_fds > 0) {
			/* One byte carries the descriptors; fd_send() must not meet a
			 * short write on a non-blocking socket. */
			int r = fd_send(c->sock, iov.iov_base, 1, f->fds, f->n_fds);

			n = r < 0 ? r : 1;
		} else {
			n = send(c->sock, iov.iov_base, iov.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0)
				n = -errno;
		}
		if (n == -EAGAIN || n == -EINTR) {
			(void)source_set_events(c->source, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			conn_close(c);
			return;
		}
		f->sent += (size_t)n;
		c->queued -= (size_t)n;
		if (f->sent < f->data.len)
			continue;
		c->out = f->next;
		if (!c->out)
			c->out_end = &c->out;
		out_frame_free(f);
	}
	(void)source_set_events(c->source, EPOLLIN);
	if (c->finishing)
		conn_close(c);
}

void control_reply(struct control_conn *c, json *message, const int *fds, size_t n_fds)
{
	struct out_frame *f;

	if (c->closed) {
		json_unref(message);
		return;
	}
	f = new0(struct out_frame);
	make_frame(&f->data, message);
	json_unref(message);
	for (size_t i = 0; i < n_fds && i < FD_PASS_MAX; i++)
		f->fds[f->n_fds++] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	c->queued += f->data.len;
	*c->out_end = f;
	c->out_end = &f->next;
	if (c->queued > CONTROL_OUTPUT_MAX) {
		conn_doom(c);
		return;
	}
	/* Not flushed here: the caller may still be using the connection, and
	 * several replies in a row then leave in one go. */
	(void)source_set_events(c->source, EPOLLIN | EPOLLOUT);
}

void control_finish(struct control_conn *c)
{
	c->finishing = true;
	(void)source_set_events(c->source, EPOLLIN | EPOLLOUT);
}

pid_t control_conn_pid(const struct control_conn *c)
{
	return c->pid;
}

void control_conn_set_data(struct control_conn *c, void *data)
{
	c->data = data;
}

void *control_conn_data(const struct control_conn *c)
{
	return c->data;
}

/* Hand every whole frame to the handler. */
static void conn_dispatch(struct control_conn *c)
{
	c->in_callback = true;
	while (!c->closed) {
		_cleanup_(json_unrefp) json *message = NULL;
		size_t n_fds = 0;
		int fds[FD_PASS_MAX], r = frames_next(&c->frames, &message, fds, &n_fds, NULL);

		if (r < 0)
			c->closed = true;
		if (r <= 0)
			break;
		c->server->handler.message(c, message, fds, n_fds, c->server->handler.data);
	}
	c->in_callback = false;
	if (c->closed)
		conn_close(c);
}

static void on_conn(struct source *s, int fd, uint32_t events, void *data)
{
	struct control_conn *c = data;

	if (c->closed) {
		conn_close(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t n = frames_fill(&c->frames, fd);

		if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)) {
			conn_close(c);
			return;
		}
		if (n > 0) {
			conn_dispatch(c);
			return; /* @c may be gone; output waits for the next round */
		}
	}
	if (events & EPOLLOUT)
		conn_flush(c);
}

static void on_listen_again(struct source *s, void *data)
{
	struct control_server *server = data;

	(void)source_set_events(server->source, EPOLLIN); /* nothing to allocate for that */
}

/* Out of descriptors: the client waits in the queue, and epoll would tell of it at once,
 * again and again. */
static void pause_listening(struct control_server *server)
{
	(void)source_set_events(server->source, 0);
	if (!server->again)
		server->again = loop_add_timer(server->loop, LISTEN_AGAIN, on_listen_again, server);
	else
		source_set_timer(server->again, LISTEN_AGAIN);
}

static void on_listen(struct source *s, int fd, uint32_t events, void *data)
{
	struct control_server *server = data;
	int sock = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_conn *c;
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (sock < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		pause_listening(server);
	if (sock < 0)
		return; /* or a client that left */
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0 ||
	    (cred.uid != 0 && cred.uid != geteuid())) {
		fd_close(sock);
		return;
	}
	c = new0(struct control_conn);
	c->server = server;
	c->sock = sock;
	c->pid = cred.pid;
	c->out_end = &c->out;
	c->next = server->conns;
	if (c->next)
		c->next->prev = c;
	server->conns = c;
	server->n_conns++;
	if (loop_add_fd(server->loop, sock, EPOLLIN, on_conn, c, &c->source, NULL) < 0)
		conn_free(c);
}

int control_listen(struct loop *loop, const char *path, const struct control_handler *h,
		   struct control_server **out, struct err *e)
{
	_cleanup_(fd_closep) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
					       0);
	struct control_server *s;
	struct sockaddr_un sa;
	struct stat st;
	int r;

	if (sock < 0)
		return err_errno(e, errno, "create socket");
	r = socket_address(path, &sa, e);
	if (r < 0)
		return r;
	(void)unlink(path); /* of a supervisor that was killed */
	if (bind(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(path, 0600) < 0 ||
	    listen(sock, 64) < 0 || stat(path, &st) < 0)
		return err_errno(e, errno, "listen on %s", path);
	s = new0(struct control_server);
	s->loop = loop;
	s->path = xstrdup(path);
	s->inode = st.st_ino;
	s->handler = *h;
	s->sock = TAKE_FD(sock);
	r = loop_add_fd(loop, s->sock, EPOLLIN, on_listen, s, &s->source, e);
	if (r < 0) {
		control_server_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void control_server_drain(struct control_server *s)
{
	for (struct control_conn *c = s ? s->conns : NULL; c; c = c->next) {
		struct pollfd p = { .fd = c->sock, .events = POLLOUT };

		c->in_callback = true; /* it stays until control_server_free() */
		while (c->out && !c->closed && poll(&p, 1, DRAIN_MS) > 0)
			conn_flush(c);
	}
}

void control_server_free(struct control_server *s)
{
	struct stat st;

	if (!s)
		return;
	while (s->conns)
		conn_free(s->conns);
	source_free(s->source);
	source_free(s->again);
	fd_close(s->sock);
	/* The directory may have been removed and made again by a successor. */
	if (stat(s->path, &st) == 0 && st.st_ino == s->inode)
		(void)unlink(s->path);
	free(s->path);
	free(s);
}

size_t control_server_connections(const struct control_server *s)
{
	return s->n_conns;
}
