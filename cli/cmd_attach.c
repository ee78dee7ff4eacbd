/* cli/cmd_attach.c: `attach`: a running container's output here, our input there.
 *
 * The output is read from the log, as it was written and from now on, so an
 * attached terminal takes nothing from anybody.  The input goes into the pipe or the
 * terminal that the container's monitor holds, of which we borrow a copy.  Signals go
 * through the supervisor, which so knows who stopped what.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/command.h"
#include "cli/detach.h"
#include "cli/pick.h"
#include "cli/rows.h"
#include "cli/term.h"
#include "cli/watch.h"
#include "compose/plan.h"
#include "engine/supervise/log_reader.h"
#include "engine/supervise/monitor.h"

struct attach_options {
	bool no_stdin, sig_proxy;
	const char *detach_keys;
	int64_t index;
};
#define O struct attach_options

static const struct option_spec flags[] = {
	OPTION_STRING("detach-keys", 0, O, detach_keys, DETACH_KEYS_DEFAULT,
		      "Override the key sequence for detaching from a container."),
	OPTION_INT("index", 0, O, index, "0",
		   "index of the container if service has multiple replicas."),
	OPTION_BOOL("no-stdin", 0, O, no_stdin, "Do not attach STDIN"),
	OPTION_BOOL_TRUE("sig-proxy", 0, O, sig_proxy, "Proxy all received signals to the process"),
	OPTION_END,
};

struct attached {
	struct context *ctx;
	const struct record *rec;
	struct detach_keys keys;
	struct log_reader *log;
	int stdin_fd; /* the container's; -EBADF: none, or no more */
	int signal_fd;
	bool tty, raw, proxy, detached, ended;
	int code;
};

/* ---- output ----------------------------------------------------------------------- */
static int write_out(const struct log_record *rec, struct err *e)
{
	int fd = rec->stream == LOG_STDERR ? STDERR_FILENO : STDOUT_FILENO;
	int r = fd_write_all(fd, rec->data, rec->len);

	return r < 0 ? err_errno(e, -r, "write") : 0;
}

static int show_output(struct attached *a, struct err *e)
{
	struct log_record rec;
	int r;

	while (a->log && (r = log_reader_next(a->log, &rec, e)) != -EAGAIN) {
		if (r > 0 && rec.kind == LOG_REC_CHUNK)
			r = write_out(&rec, e);
		if (r < 0)
			return r;
		if (r == 0 && rec.kind != LOG_REC_CHUNK)
			break;
	}
	return 0;
}

static int open_log(struct attached *a, uint64_t since, struct err *e)
{
	_cleanup_(free_p) char *dir = dirs_container(&a->ctx->dirs, a->rec->project, a->rec->id);
	_cleanup_(fd_closep) int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct log_reader_opts o = LOG_READER_OPTS_INIT;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "open %s", dir);
	o.follow = o.raw = true;
	o.since = since;
	return log_reader_open(fd, &o, &a->log, e);
}

/* ---- input ------------------------------------------------------------------------ */
static int open_stdin(struct attached *a, const struct container_spec *spec, struct err *e)
{
	struct procref monitor = { .pid = a->rec->monitor_pid,
				   .start_ticks = a->rec->monitor_ticks };
	_cleanup_(fd_closep) int pidfd = -EBADF;

	if (!spec || (!spec->tty && !spec->stdin_open))
		return 0;
	pidfd = procref_open(&monitor, e);
	if (pidfd < 0)
		return pidfd;
	a->stdin_fd = monitor_get_stdin(pidfd, spec->tty, e);
	return a->stdin_fd == -ENOENT ? 0 : MIN(a->stdin_fd, 0);
}

/* poll(2) said there is room: so much never blocks, even on a pipe shared with the
 * monitor whose flags are not ours to change. */
static void send_input(struct attached *a)
{
	char in[PIPE_BUF - DETACH_KEYS_MAX], out[PIPE_BUF];
	ssize_t n = read(STDIN_FILENO, in, sizeof(in));
	size_t len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		a->stdin_fd = fd_close(a->stdin_fd);
		return;
	}
	len = detach_filter(&a->keys, in, (size_t)n, out, &a->detached);
	if (len && write(a->stdin_fd, out, len) < 0 && errno != EAGAIN && errno != EINTR)
		a->stdin_fd = fd_close(a->stdin_fd); /* it closed its end */
}

static void set_size(struct attached *a)
{
	unsigned int rows, cols;

	if (a->raw && term_real_size(STDIN_FILENO, &rows, &cols))
		term_set_size(a->stdin_fd, rows, cols);
}

static int make_raw(struct attached *a, struct err *e)
{
	int r;

	if (!a->tty || a->stdin_fd < 0 || !isatty(STDIN_FILENO))
		return 0;
	r = term_raw(STDIN_FILENO, e);
	a->raw = r == 0;
	set_size(a);
	return r;
}

/* ---- signals ------------------------------------------------------------------------ */
static int open_signals(bool proxy, struct err *e)
{
	static const int proxied[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	for (size_t i = 0; proxy && i < ARRAY_SIZE(proxied); i++)
		sigaddset(&set, proxied[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, errno, "block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_errno(e, errno, "signalfd") : fd;
}

static int pass_on(struct attached *a, int sig, struct err *e)
{
	_cleanup_(plan_done) struct plan plan = { 0 };
	size_t i = action_add(&plan.actions, ACTION_KILL, a->rec->name);

	plan.actions.items[i].signal = sig;
	plan.actions.items[i].by_user = plan.actions.items[i].quiet = true;
	a->ctx->generation = -1; /* good for any */
	return ctx_apply(a->ctx, "attach", &plan, e);
}

static int on_signal(struct attached *a, struct err *e)
{
	struct signalfd_siginfo info;

	if (read(a->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo != SIGWINCH)
		return pass_on(a, (int)info.ssi_signo, e);
	set_size(a);
	return 0;
}

/* ---- the loop ------------------------------------------------------------------------- */
static void on_exited(const struct record *r, bool restarting, void *data)
{
	struct attached *a = data;

	if (!streq(r->id, a->rec->id))
		return;
	a->ended = true;
	a->code = r->exit_code;
}

static bool is_gone(const struct attached *a, const struct record_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->items[i]->id, a->rec->id))
			return !record_is_active(l->items[i]);
	return true;
}

static int step(struct attached *a, struct watch *w, struct err *e)
{
	struct pollfd room = { .fd = a->stdin_fd, .events = POLLOUT };
	struct pollfd p[] = {
		{ .fd = a->signal_fd, .events = POLLIN },
		{ .fd = watch_fd(w), .events = POLLIN },
		{ .fd = a->log ? log_reader_fd(a->log) : -1, .events = POLLIN },
		{ .fd = a->stdin_fd >= 0 ? STDIN_FILENO : -1, .events = POLLIN },
	};
	int r = 0, n = poll(p, ARRAY_SIZE(p), watch_pending(w) ? 0 : watch_timeout(w));

	if (n < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[0].revents)
		r = on_signal(a, e);
	if (r == 0 && p[3].revents && poll(&room, 1, 1000) > 0)
		send_input(a);
	if (r == 0 && (p[1].revents || watch_pending(w) || n == 0))
		r = watch_update(w, e);
	if (r == 0)
		r = show_output(a, e);
	return r;
}

static int run_loop(struct attached *a, struct err *e)
{
	const struct watch_handler h = { .exited = on_exited, .data = a };
	_cleanup_(watch_freep) struct watch *w = NULL;
	int r = watch_new(&a->ctx->dirs, a->ctx->project_name, &h, &w, e);

	if (r == 0 && is_gone(a, watch_records(w)))
		a->ended = true;
	while (r == 0 && !a->ended && !a->detached)
		r = step(a, w, e);
	return r == 0 ? show_output(a, e) : r; /* its log is complete before its end is told */
}

static int attach_to(struct attached *a, const struct attach_options *o, struct err *e)
{
	_cleanup_(spec_freep) struct container_spec *spec = record_spec(&a->ctx->dirs, a->rec);
	int r = open_log(a, now_real_ns(), e);

	a->tty = spec && spec->tty;
	/* With a terminal the keys that make signals are the container's to see. */
	a->proxy = o->sig_proxy && !a->tty;
	a->signal_fd = open_signals(a->proxy, e);
	if (r == 0 && a->signal_fd < 0)
		r = a->signal_fd;
	if (r == 0 && !o->no_stdin)
		r = open_stdin(a, spec, e);
	if (r == 0)
		r = make_raw(a, e);
	if (r == 0)
		r = run_loop(a, e);
	if (a->raw)
		term_restore();
	if (r == 0 && a->detached)
		fprintf(a->ctx->err, "read escape sequence\n");
	return r;
}

static int run_attach(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct attach_options *o = in->options;
	_cleanup_(record_list_done) struct record_list l = { 0 };
	struct attached a = { .ctx = ctx, .stdin_fd = -EBADF, .signal_fd = -EBADF };
	int r = ctx_need_root(ctx, e);

	if (r == 0)
		r = detach_keys_parse(o->detach_keys, &a.keys, e);
	if (r == 0)
		r = pick_container(ctx, in->argv[0], o->index, &l, &a.rec, e);
	if (r == 0)
		r = attach_to(&a, o, e);
	log_reader_free(a.log);
	fd_close(a.stdin_fd);
	fd_close(a.signal_fd);
	return r < 0 ? r : a.code;
}

const struct command cmd_attach = {
	.name = "attach",
	.args = "[OPTIONS] SERVICE",
	.summary = "Attach local standard streams to a service's running container",
	.options = flags,
	.options_size = sizeof(struct attach_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_attach,
};
