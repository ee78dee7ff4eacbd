/* engine/supervise/monitor_main.c: comp-monitor, what stays for each container.
 *
 * One epoll set with a handful of descriptors, all inherited at fixed numbers
 * (monitor.h).  One of these runs for every container, so it allocates nothing,
 * initialises no library, and gives its read buffer back to the kernel when a
 * burst of output is over.
 *
 * Order at the end: init is reaped first (everything in its pid namespace is
 * gone by then), then what is left in the pipes is drained into the log, then
 * the exit record is made durable, then somebody is seen to be there to read
 * it, and only then do we exit, which is what tells the supervisor.
 *
 *	comp-monitor NAME KEY=NUMBER… -- SUPERVISOR-ARGV…
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/util.h"
#include "engine/state/exits.h"
#include "engine/supervise/log_writer.h"
#include "engine/supervise/monitor.h"
#include "engine/supervise/successor.h"

#define BUFFER_SIZE   (512 * 1024)
#define PIPE_SIZE     (1024 * 1024)
#define PIPE_FULL     65536 /* of a pipe nobody enlarged; pipe(7) */
#define KEEP_SIZE     4096  /* of the buffer, while idle */
#define IDLE_NS       (500 * NSEC_PER_MSEC)
#define DRAIN_NS      (2 * NSEC_PER_SEC)
#define SETTLE_NS     (15 * NSEC_PER_SEC)
#define TERMINAL_LOOP 16

struct monitor {
	struct log_writer log;
	struct successor successor;
	int epoll;
	const char *id;
	uint32_t exit_slot;
	char *buffer;
	bool buffer_used; /* more than KEEP_SIZE of it holds pages */
	bool pipe_grown[LOG_SYSTEM];
	uint64_t started_at;
	bool container_gone;
};

static volatile sig_atomic_t got_hup, got_usr1;

static void on_signal(int sig)
{
	if (sig == SIGHUP)
		got_hup = 1;
	else
		got_usr1 = 1;
}

/* SIGHUP and SIGUSR1 arrive only inside epoll_pwait(2).  At a shutdown everybody
 * gets SIGTERM; we stay to write down how the container ended.  SIGXFSZ: a file
 * size limit is one more way for a disk to be full. */
static void set_signals(sigset_t *while_waiting)
{
	static const int ignored[] = { SIGTERM, SIGINT,  SIGQUIT, SIGPIPE, SIGXFSZ,
				       SIGALRM, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, note = { .sa_handler = on_signal };
	sigset_t blocked;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)sigaction(ignored[i], &ignore, NULL); /* cannot fail */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGHUP);
	sigaddset(&blocked, SIGUSR1);
	(void)sigprocmask(SIG_SETMASK, &blocked, NULL);
	(void)sigaction(SIGHUP, &note, NULL);
	(void)sigaction(SIGUSR1, &note, NULL);
	sigemptyset(while_waiting);
}

/* ---- descriptors ---------------------------------------------------------------- */
/* A slot that is not used holds /dev/null, which is our stdin: no file opened later
 * may get one of the fixed numbers. */
static void close_slot(struct monitor *m, int fd)
{
	(void)epoll_ctl(m->epoll, EPOLL_CTL_DEL, fd, NULL); /* may not be in the set */
	(void)dup3(STDIN_FILENO, fd, O_CLOEXEC);
}

/* /dev/null cannot be in an epoll set (EPERM): an unused slot is left out by itself. */
static void watch_fd(struct monitor *m, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	(void)epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static void open_slots(struct monitor *m)
{
	for (int fd = STDERR_FILENO + 1; fd < MONITOR_FD_END; fd++)
		if (fd_set_cloexec(fd, true) < 0)
			(void)dup3(STDIN_FILENO, fd, O_CLOEXEC); /* a slot we were not given */
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	(void)fd_set_nonblock(MONITOR_FD_STDOUT, true);
	(void)fd_set_nonblock(MONITOR_FD_STDERR, true);
	(void)fd_set_nonblock(MONITOR_FD_CONSOLE, true);
	watch_fd(m, MONITOR_FD_STDOUT, EPOLLIN);
	watch_fd(m, MONITOR_FD_STDERR, EPOLLIN);
	watch_fd(m, MONITOR_FD_CONSOLE, EPOLLIN);
	watch_fd(m, MONITOR_FD_CONTAINER, EPOLLIN);
	watch_fd(m, MONITOR_FD_SUPERVISOR, EPOLLIN);
}

/* init sends the terminal's master once; it takes the place of stdout.
 * Edge-triggered, because a master without an open slave is "hung up" until a
 * process in the container opens one again: level-triggered, we would spin. */
static void receive_console(struct monitor *m)
{
	int master = -EBADF;
	size_t n = 1;
	char byte;
	ssize_t r = fd_recv(MONITOR_FD_CONSOLE, &byte, 1, &master, &n);

	if (r > 0 && n == 1) {
		(void)dup3(master, MONITOR_FD_STDOUT, O_CLOEXEC);
		(void)fd_set_nonblock(MONITOR_FD_STDOUT, true);
		fd_close(master);
		watch_fd(m, MONITOR_FD_STDOUT, EPOLLIN | EPOLLET);
	}
	close_slot(m, MONITOR_FD_CONSOLE);
}

/* ---- output --------------------------------------------------------------------- */
static enum log_stream stream_of(int fd)
{
	return fd == MONITOR_FD_STDERR ? LOG_STDERR : LOG_STDOUT;
}

/* One read and one write.  Returns what read(2) did, as -errno if it failed. */
static ssize_t pump(struct monitor *m, int fd)
{
	enum log_stream stream = stream_of(fd);
	ssize_t n = read(fd, m->buffer, BUFFER_SIZE);

	if (n < 0)
		return -errno;
	if (n > KEEP_SIZE)
		m->buffer_used = true;
	/* A full pipe: its writer is waiting for us, so a larger one pays. */
	if (n >= PIPE_FULL && !m->pipe_grown[stream - 1]) {
		m->pipe_grown[stream - 1] = true;
		(void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE); /* not allowed: stays as it is */
	}
	log_writer_put(&m->log, stream, m->buffer, (size_t)n);
	return n;
}

static void pump_pipe(struct monitor *m, int fd)
{
	if (pump(m, fd) == 0)
		close_slot(m, fd); /* closed by all who had it; else the end would keep waking us */
}

static void pump_terminal(struct monitor *m)
{
	for (int i = 0; i < TERMINAL_LOOP; i++)
		if (pump(m, MONITOR_FD_STDOUT) <= 0)
			return; /* EAGAIN, or EIO: no slave open; the next edge tells */
	/* More to come, but others wait too: have epoll look at it afresh. */
	(void)epoll_ctl(
		m->epoll, EPOLL_CTL_MOD, MONITOR_FD_STDOUT,
		&(struct epoll_event){ .events = EPOLLIN | EPOLLET, .data.fd = MONITOR_FD_STDOUT });
}

static bool is_terminal(void)
{
	return isatty(MONITOR_FD_STDOUT);
}

static void drain(struct monitor *m)
{
	uint64_t until = now_mono_ns() + DRAIN_NS;

	receive_console(m); /* a run so short that we never saw it start */
	/* Bounded: with `pid: host` somebody may still be writing. */
	for (int fd = MONITOR_FD_STDOUT; fd <= MONITOR_FD_STDERR; fd++)
		while (pump(m, fd) > 0 && now_mono_ns() < until)
			;
	log_writer_end(&m->log);
}

/* Give the buffer's pages back once output has paused. */
static void release_buffer(struct monitor *m)
{
	(void)madvise(m->buffer + KEEP_SIZE, BUFFER_SIZE - KEEP_SIZE, MADV_DONTNEED);
	m->buffer_used = false;
}

/* ---- the exit record ------------------------------------------------------------- */
static int record_exit(struct monitor *m, const siginfo_t *how)
{
	bool killed = how->si_code != CLD_EXITED;
	const struct exit_record record = { .code = killed ? 128 + how->si_status : how->si_status,
					    .signal = killed ? how->si_status : 0,
					    .started_at = m->started_at,
					    .finished_at = now_real_ns(),
					    .log_lost = m->log.lost_total };
	int r = -EIO;

	for (int tries = 0; r < 0 && tries < 20; tries++) {
		if (tries > 0)
			(void)usleep(100000); /* a disk that fails: nothing to wait for but time */
		r = exit_slot_save(MONITOR_FD_EXITS, m->exit_slot, m->id, &record);
	}
	return r;
}

/* ---- the loop --------------------------------------------------------------------- */
static int timeout_ms(const struct monitor *m)
{
	uint64_t now = now_mono_ns(), due = successor_due(&m->successor);

	if (m->buffer_used && due > now + IDLE_NS)
		due = now + IDLE_NS;
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)((due - now) / NSEC_PER_MSEC) + 1;
}

static void dispatch(struct monitor *m, int fd)
{
	switch (fd) {
	case MONITOR_FD_STDOUT:
	case MONITOR_FD_STDERR:
		if (fd == MONITOR_FD_STDOUT && is_terminal())
			pump_terminal(m);
		else
			pump_pipe(m, fd);
		break;
	case MONITOR_FD_CONSOLE:
		receive_console(m);
		break;
	case MONITOR_FD_CONTAINER:
		m->container_gone = true;
		break;
	case MONITOR_FD_SUPERVISOR:
		close_slot(m, fd);
		successor_lost(&m->successor);
		break;
	default:
		break;
	}
}

static void handle_signals(struct monitor *m)
{
	bool again = got_hup && successor_look_again(&m->successor);

	got_hup = 0;
	if (again)
		watch_fd(m, MONITOR_FD_SUPERVISOR, EPOLLIN);
	if (got_usr1)
		close_slot(m, MONITOR_FD_STDIN);
	got_usr1 = 0;
}

static void run(struct monitor *m, const sigset_t *while_waiting)
{
	struct epoll_event ev[8];

	while (!m->container_gone) {
		int n = epoll_pwait(m->epoll, ev, ARRAY_SIZE(ev), timeout_ms(m), while_waiting);

		if (n < 0)
			handle_signals(m);
		if (n == 0 && m->buffer_used)
			release_buffer(m);
		for (int i = 0; i < n; i++)
			dispatch(m, ev[i].data.fd);
		if (successor_step(&m->successor))
			watch_fd(m, MONITOR_FD_SUPERVISOR, EPOLLIN);
	}
}

/* The record is of use only to a supervisor: have one before we go. */
static void settle(struct monitor *m)
{
	uint64_t until = now_mono_ns() + SETTLE_NS;

	while (!successor_settled(&m->successor) && now_mono_ns() < until) {
		(void)successor_step(&m->successor);
		(void)usleep(2000);
	}
}

static int finish(struct monitor *m)
{
	siginfo_t how = { 0 };
	int r;

	while (waitid(P_PIDFD, MONITOR_FD_CONTAINER, &how, WEXITED) < 0 && errno == EINTR)
		;
	drain(m);
	r = record_exit(m, &how);
	settle(m);
	return r < 0;
}

/* ---- arguments -------------------------------------------------------------------- */
struct arguments {
	const char *id;
	uint64_t started, exit_slot, epoch, max_size, max_files, supervisor;
	bool log;
	char **supervisor_argv; /* NULL: none */
};

static bool parse_arguments(char **argv, struct arguments *a)
{
	const struct {
		const char *key;
		uint64_t *value;
	} known[] = {
		{ "started=", &a->started },     { "exit-slot=", &a->exit_slot },
		{ "epoch=", &a->epoch },         { "max-size=", &a->max_size },
		{ "max-files=", &a->max_files }, { "supervisor=", &a->supervisor },
	};

	a->log = true;
	for (; *argv && !streq(*argv, "--"); argv++) {
		const char *id = skip_prefix(*argv, "id=");
		bool found = id || streq(*argv, "log=none");

		if (id)
			a->id = id;
		else if (found)
			a->log = false;
		for (size_t i = 0; i < ARRAY_SIZE(known) && !found; i++) {
			const char *value = skip_prefix(*argv, known[i].key);

			found = value && parse_u64(value, known[i].value);
		}
		if (!found)
			return false;
	}
	if (*argv && argv[1])
		a->supervisor_argv = argv + 1;
	return a->id && a->exit_slot <= UINT32_MAX;
}

int main(int argc, char **argv)
{
	struct monitor m = { 0 };
	struct arguments a = { 0 };
	sigset_t while_waiting;

	if (argc < 2 || !parse_arguments(argv + 2, &a)) {
		static const char text[] = "comp-monitor is started by comp, not by hand\n";

		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		return 2;
	}
	set_signals(&while_waiting);
	open_slots(&m);
	m.id = a.id;
	m.started_at = a.started;
	m.exit_slot = (uint32_t)a.exit_slot;
	m.buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	if (m.epoll < 0 || m.buffer == MAP_FAILED)
		return 1;
	log_writer_init(&m.log, a.log ? MONITOR_FD_DIR : -EBADF, a.max_size,
			(uint32_t)MIN(a.max_files, (uint64_t)INT32_MAX), a.epoch);
	successor_init(&m.successor, MONITOR_FD_SUPERVISOR, (pid_t)a.supervisor,
		       MONITOR_FD_SUPERVISOR_EXE, MONITOR_FD_RUN, a.supervisor_argv, environ);
	run(&m, &while_waiting);
	return finish(&m);
}
