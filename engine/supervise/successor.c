/* engine/supervise/successor.c: see successor.h.
 *
 * All monitors of a project notice the death at the same instant.  Each waits a
 * few random milliseconds and looks at `lock`: a living pid there that is not
 * the dead one is the successor, and that is the end of it.  Otherwise they
 * compete for `monitors.lock`.  Only the winner ever touches flock(2) on `lock`,
 * and only to see that it is free; it lets go of it before it starts the new
 * supervisor, which takes it itself, and keeps `monitors.lock` until the new one
 * shows.  So monitors never make a starting supervisor believe that another one
 * runs, and a winner that is killed frees the way for the next.
 */
#include "engine/supervise/successor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "engine/supervise/monitor.h"

#define POLL_NS      (20 * NSEC_PER_MSEC)
#define APPEAR_NS    (10 * NSEC_PER_SEC) /* a new supervisor has this long to take the lock */
#define PAUSE_MAX_NS (30 * NSEC_PER_SEC)

/* Some time between @ns and twice that, so that monitors do not move in step. */
static uint64_t jitter(uint64_t ns)
{
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK); /* then they move in step */
	return ns + (ns * (random >> 16) >> 16);
}

static void seek_after(struct successor *s, uint64_t ns)
{
	s->state = SUCCESSOR_SEEKING;
	s->next_at = now_mono_ns() + jitter(ns);
}

void successor_init(struct successor *s, int pidfd, pid_t pid, int exe_fd, int run_dir_fd,
		    char *const *argv, char *const *env)
{
	*s = (struct successor){
		.state = SUCCESSOR_WATCHING,
		.pidfd = pidfd,
		.pid = pid,
		.exe_fd = exe_fd,
		.run_dir_fd = run_dir_fd,
		.argv = argv,
		.env = env,
		.election_fd = -EBADF,
	};
}

/* ---- looking ------------------------------------------------------------------- */
/* The pid in `lock`; 0: unreadable or empty; -1: there is no such file any more. */
static pid_t named_in_lock(const struct successor *s)
{
	_cleanup_(fd_closep) int fd = openat(s->run_dir_fd, MONITOR_LOCK_NAME,
					     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[24];
	uint64_t pid;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -1 : 0;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	text[strcspn(text, " \n")] = '\0';
	return parse_u64(text, &pid) && pid > 1 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static bool is_alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

/* From now on start what @pid runs, if that is a sealed copy of comp. */
static void take_program(struct successor *s, pid_t pid)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	char path[40], target[16];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (readlink(path, target, sizeof(target)) < 7 || memcmp(target, "/memfd:", 7) != 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)dup3(fd, s->exe_fd, O_CLOEXEC); /* if not, the one we have will do */
}

static bool watch(struct successor *s, pid_t pid)
{
	_cleanup_(fd_closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 || !is_alive(fd) || dup3(fd, s->pidfd, O_CLOEXEC) < 0)
		return false;
	s->state = SUCCESSOR_WATCHING;
	s->pid = pid;
	s->failures = 0;
	s->election_fd = fd_close(s->election_fd);
	take_program(s, pid);
	return true;
}

/* ---- starting ------------------------------------------------------------------- */
static _Noreturn void exec_supervisor(const struct successor *s)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL); /* SIGKILL, SIGSTOP and glibc's own refuse */
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	(void)syscall(SYS_execveat, s->exe_fd, "", s->argv, s->env, AT_EMPTY_PATH);
	_exit(127);
}

/* Twice forked, so that the supervisor is nobody's child who would have to reap it. */
static bool start_supervisor(const struct successor *s)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return false;
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			exec_supervisor(s);
		_exit(pid < 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return status == 0;
}

/* Take an flock on @name and return the descriptor, or -errno. */
static int try_lock(const struct successor *s, const char *name, int flags)
{
	_cleanup_(fd_closep) int fd = openat(s->run_dir_fd, name,
					     O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void failed(struct successor *s)
{
	uint64_t pause = POLL_NS << MIN(s->failures, 12U);

	s->election_fd = fd_close(s->election_fd);
	s->failures++;
	seek_after(s, MIN(pause, (uint64_t)PAUSE_MAX_NS));
}

static void stand_for_election(struct successor *s)
{
	_cleanup_(fd_closep) int election = try_lock(s, MONITOR_ELECTION_NAME, O_CREAT);
	int lock;

	if (election < 0) {
		seek_after(s, POLL_NS);
		return;
	}
	/* Free?  If not, somebody took it and has yet to write his pid. */
	lock = try_lock(s, MONITOR_LOCK_NAME, 0);
	if (lock < 0) {
		seek_after(s, POLL_NS);
		return;
	}
	fd_close(lock);
	s->election_fd = TAKE_FD(election);
	if (!start_supervisor(s)) {
		failed(s);
		return;
	}
	s->state = SUCCESSOR_STARTING;
	s->give_up_at = now_mono_ns() + APPEAR_NS;
	s->next_at = now_mono_ns() + POLL_NS;
}

/* ---- the machine ---------------------------------------------------------------- */
void successor_lost(struct successor *s)
{
	if (s->argv)
		seek_after(s, NSEC_PER_MSEC);
	else
		s->state = SUCCESSOR_NONE;
}

bool successor_step(struct successor *s)
{
	pid_t pid;

	if (s->state != SUCCESSOR_SEEKING && s->state != SUCCESSOR_STARTING)
		return false;
	if (now_mono_ns() < s->next_at)
		return false;
	pid = named_in_lock(s);
	if (pid < 0) {
		s->election_fd = fd_close(s->election_fd);
		s->state = SUCCESSOR_NONE;
		return false;
	}
	if (pid > 0 && pid != s->pid && watch(s, pid))
		return true;
	if (s->state == SUCCESSOR_SEEKING)
		stand_for_election(s);
	else if (now_mono_ns() >= s->give_up_at)
		failed(s);
	else
		s->next_at = now_mono_ns() + POLL_NS;
	return false;
}

bool successor_look_again(struct successor *s)
{
	pid_t pid = named_in_lock(s);

	if (pid <= 0)
		return false;
	if (s->state == SUCCESSOR_WATCHING && pid == s->pid) {
		take_program(s, pid);
		return false;
	}
	return watch(s, pid);
}

uint64_t successor_due(const struct successor *s)
{
	bool moving = s->state == SUCCESSOR_SEEKING || s->state == SUCCESSOR_STARTING;

	return moving ? s->next_at : UINT64_MAX;
}

bool successor_settled(struct successor *s)
{
	if (s->state == SUCCESSOR_WATCHING && !is_alive(s->pidfd))
		successor_lost(s);
	return s->state == SUCCESSOR_WATCHING || s->state == SUCCESSOR_NONE;
}
