/* cli/relay.c: up to three pumps, each a buffer between two descriptors, in one
 * poll(2) loop.
 *
 * Our own ends of pipes and the pty master are non-blocking.  The user's
 * descriptors are not touched, as others share them: they are read and written
 * when poll(2) says so, in pieces small enough (PIPE_BUF) not to block.
 */
#include "cli/relay.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "cli/term.h"

#define PIPEFS_MAGIC 0x50495045
#define BUFFER       65536
#define DRAIN_MAX    (64u << 20) /* a process left behind may write for ever */

struct pump {
	int from, to; /* -EBADF: this direction is over */
	bool own_from, own_to;
	char *buf;
	size_t at, len; /* buf[at..len) waits to be written */
};

enum { PUMP_IN, PUMP_OUT, PUMP_ERR, N_PUMPS };

struct relay {
	struct pump pumps[N_PUMPS];
	int give[3];
	bool own_give[3];
	int winch_fd, master;
};

/* ---- pumps ------------------------------------------------------------------------- */
static void close_from(struct pump *p)
{
	if (p->own_from)
		fd_close(p->from);
	p->from = -EBADF;
}

static void close_to(struct pump *p)
{
	if (p->own_to)
		fd_close(p->to);
	p->to = -EBADF;
}

static void pump_fill(struct pump *p)
{
	ssize_t n = read(p->from, p->buf, BUFFER);

	if (n > 0) {
		p->at = 0;
		p->len = (size_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		/* A pty master says EIO once nobody holds the other side: tty_ioctl(4). */
		close_from(p);
		close_to(p);
	}
}

static void pump_write(struct pump *p)
{
	size_t most = p->own_to ? BUFFER : PIPE_BUF, left = p->len - p->at;
	ssize_t n = write(p->to, p->buf + p->at, MIN(most, left));

	if (n > 0) {
		p->at += (size_t)n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* The reader is gone: the writer shall notice, too. */
		p->at = p->len;
		close_from(p);
		close_to(p);
	}
}

static bool pump_full(const struct pump *p)
{
	return p->at < p->len;
}

static struct pollfd pump_poll(const struct pump *p)
{
	if (pump_full(p))
		return (struct pollfd){ .fd = p->to, .events = POLLOUT };
	return (struct pollfd){ .fd = p->from, .events = POLLIN };
}

static void pump_step(struct pump *p, short events)
{
	if (!events)
		return;
	if (pump_full(p))
		pump_write(p);
	else
		pump_fill(p);
}

/* All that is there right now; blocks on the user's side only. */
static void pump_drain(struct pump *p)
{
	size_t total = 0;

	while (p->to >= 0 && total < DRAIN_MAX) {
		if (!pump_full(p)) {
			struct pollfd f = { .fd = p->from, .events = POLLIN };

			if (p->from < 0 || poll(&f, 1, 0) <= 0)
				return;
			pump_fill(p);
			total += p->len;
		} else {
			struct pollfd f = { .fd = p->to, .events = POLLOUT };

			if (poll(&f, 1, -1) > 0)
				pump_write(p);
		}
	}
}

/* ---- making one ------------------------------------------------------------------------ */
static struct relay *relay_alloc(void)
{
	struct relay *r = new0(struct relay);

	for (int i = 0; i < N_PUMPS; i++) {
		r->pumps[i].from = r->pumps[i].to = -EBADF;
		r->give[i] = -EBADF;
	}
	r->winch_fd = r->master = -EBADF;
	return r;
}

void relay_given(struct relay *r)
{
	for (int i = 0; i < 3; i++) {
		if (r->own_give[i])
			fd_close(r->give[i]);
		r->give[i] = -EBADF;
	}
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	relay_given(r);
	for (int i = 0; i < N_PUMPS; i++) {
		close_from(&r->pumps[i]);
		close_to(&r->pumps[i]);
		free(r->pumps[i].buf);
	}
	if (r->master >= 0)
		term_restore();
	fd_close(r->master);
	fd_close(r->winch_fd);
	free(r);
}

static bool is_anonymous_pipe(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

static int make_pump(struct relay *r, int i, struct err *e)
{
	struct pump *p = &r->pumps[i];
	int ends[2], ret = fd_pipe(ends, e);

	if (ret < 0)
		return ret;
	p->buf = xmalloc(BUFFER);
	if (i == PUMP_IN) {
		r->give[i] = ends[0];
		*p = (struct pump){ .from = i, .to = ends[1], .own_to = true, .buf = p->buf };
	} else {
		r->give[i] = ends[1];
		*p = (struct pump){ .from = ends[0], .to = i, .own_from = true, .buf = p->buf };
	}
	r->own_give[i] = true;
	(void)fd_set_nonblock(i == PUMP_IN ? ends[1] : ends[0],
			      true); /* a fresh pipe: cannot fail */
	return 0;
}

int relay_new_pipes(bool with_stdin, struct relay **out, int give[3], struct err *e)
{
	_cleanup_(relay_freep) struct relay *r = relay_alloc();

	for (int i = 0; i < N_PUMPS; i++) {
		bool wanted = i != PUMP_IN || with_stdin;
		int ret;

		if (wanted && is_anonymous_pipe(i)) {
			r->give[i] = i;
			continue;
		}
		ret = make_pump(r, i, e);
		if (ret < 0)
			return ret;
		if (!wanted)
			close_to(&r->pumps[i]); /* end of file at once */
	}
	memcpy(give, r->give, sizeof(r->give));
	*out = TAKE_PTR(r);
	return 0;
}

/* /dev/null on a read-only mount of our own: it can be written to, but not
 * chmod'ed by root in the container. */
static int open_null(struct err *e)
{
	_cleanup_(fd_closep) int tree = -EBADF;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	char path[FD_PATH_MAX];
	int fd;

	tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/dev/null",
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_errno(e, errno, "open_tree /dev/null");
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_errno(e, errno, "mount_setattr /dev/null");
	fd = open(fd_path(tree, path), O_RDWR | O_CLOEXEC);
	return fd < 0 ? err_errno(e, errno, "open /dev/null") : fd;
}

int relay_new_null(struct relay **out, int give[3], struct err *e)
{
	struct relay *r;
	int fd = open_null(e);

	if (fd < 0)
		return fd;
	r = relay_alloc();
	r->give[0] = r->give[1] = r->give[2] = fd;
	r->own_give[0] = true;
	memcpy(give, r->give, sizeof(r->give));
	*out = r;
	return 0;
}

static int open_winch(struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, errno, "block SIGWINCH");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_errno(e, errno, "signalfd") : fd;
}

int relay_new_tty(int master, struct relay **out, struct err *e)
{
	_cleanup_(relay_freep) struct relay *r = relay_alloc();
	int ret;

	r->pumps[PUMP_IN] = (struct pump){
		.from = STDIN_FILENO,
		.to = master,
		.own_to = false,
		.buf = xmalloc(BUFFER),
	};
	r->pumps[PUMP_OUT] = (struct pump){
		.from = master,
		.to = STDOUT_FILENO,
		.own_from = false,
		.buf = xmalloc(BUFFER),
	};
	r->master = master;
	(void)fd_set_nonblock(master, true); /* if not, a stuck program stalls its own output */
	r->winch_fd = open_winch(e);
	if (r->winch_fd < 0)
		return r->winch_fd;
	ret = term_raw(STDIN_FILENO, e);
	if (ret < 0)
		return ret;
	*out = TAKE_PTR(r);
	return 0;
}

/* ---- running ------------------------------------------------------------------------------ */
static void on_winch(struct relay *r)
{
	struct signalfd_siginfo info;
	unsigned int rows, cols;

	while (read(r->winch_fd, &info, sizeof(info)) == sizeof(info))
		;
	if (term_real_size(STDIN_FILENO, &rows, &cols))
		term_set_size(r->master, rows, cols);
}

int relay_run(struct relay *r, struct control_client *c, json **message, struct err *e)
{
	int ret;

	while (!control_client_pending(c)) {
		struct pollfd p[2 + N_PUMPS] = {
			{ .fd = control_client_fd(c), .events = POLLIN },
			{ .fd = r->winch_fd, .events = POLLIN },
		};

		for (int i = 0; i < N_PUMPS; i++)
			p[2 + i] = pump_poll(&r->pumps[i]);
		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return err_errno(e, errno, "poll");
		for (int i = 0; i < N_PUMPS; i++)
			pump_step(&r->pumps[i], p[2 + i].revents);
		if (p[1].revents)
			on_winch(r);
		if (p[0].revents)
			break;
	}
	ret = control_receive(c, message, NULL, NULL, e);
	pump_drain(&r->pumps[PUMP_OUT]);
	pump_drain(&r->pumps[PUMP_ERR]);
	return ret;
}
