/* engine/supervise/ensure.c: the command's side of it: find the project's supervisor,
 * start one, or put ours in the place of an older one.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/version.h"
#include "engine/state/lock.h"
#include "engine/supervise/internal.h"
#include "engine/supervise/supervisor.h"

#define START_TIMEOUT_MS  10000
#define ANSWER_TIMEOUT_MS 8000
#define HOLDER_LOOK_MS    5 /* how often to try a supervisor that does not answer yet */

extern char **environ;

char *supervisor_socket(const struct dirs *d, const char *project)
{
	return xasprintf("%s/%s/control.sock", d->run, project);
}

/* ---- find one or start one ------------------------------------------------------------- */
int supervisor_connect(const struct dirs *d, const char *project, struct control_client **out,
		       struct err *e)
{
	_cleanup_(free_p) char *path = supervisor_socket(d, project);
	int r = control_connect(path, out, e);

	return r == -ECONNREFUSED ? -ENOENT : r;
}

/* What a supervisor should see of the environment: not the user's secrets. */
static char **clean_env(void)
{
	static const char *const keep[] = { "COMP_", "PATH=", "HOME=", "ASAN_", "UBSAN_",
					    "LSAN_", "TZ=",   "LANG=", "GCOV_" };
	_cleanup_(free_p) char *monitor = spawn_helper_path("comp-monitor");
	_cleanup_(free_p) char *libexec = path_dir(monitor);
	char **env = NULL;

	STRV_FOREACH (assignment, environ)
		for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
			if (skip_prefix(*assignment, keep[i]))
				strv_add(&env, *assignment);
	strv_env_set(&env, "COMP_LIBEXEC", libexec); /* a memfd has no directory to look in */
	return env;
}

static int wait_ready(int fd, const char *log, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct err told;
	ssize_t n;

	if (poll(&p, 1, START_TIMEOUT_MS) <= 0)
		return err_set(e, ETIMEDOUT, "the supervisor did not start; see %s", log);
	n = read(fd, &told, sizeof(told));
	if (n == 1)
		return 0;
	if (n == (ssize_t)sizeof(told)) {
		if (e)
			*e = told;
		return -told.code;
	}
	return err_set(e, EPIPE, "the supervisor died while starting; see %s", log);
}

static int start_supervisor(const struct dirs *d, const char *project, struct err *e)
{
	_cleanup_(free_p) char *run_dir = dirs_project_run(d, project);
	_cleanup_(free_p) char *log = path_join(run_dir, "supervisor.log");
	_cleanup_(strv_freep) char **env = clean_env();
	_cleanup_(fd_closep) int self = -EBADF, exe = -EBADF, log_fd = -EBADF, rd = -EBADF,
				 wr = -EBADF;
	_cleanup_(fd_closep) int pidfd = -EBADF;
	char *argv[] = {
		"comp", "supervise", "--project", (char *)project, "--ready-fd", "3", NULL
	};
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int p[2], r;
	pid_t pid;

	r = mkdir_p(AT_FDCWD, run_dir, 0700, e);
	if (r < 0)
		return r;
	log_fd = retry_eintr(
		open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
	self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (log_fd < 0 || self < 0)
		return err_errno(e, errno, "open %s", log_fd < 0 ? log : "/proc/self/exe");
	exe = memfd_sealed_copy("comp", self, e);
	if (exe < 0)
		return exe;
	r = fd_pipe(p, e);
	if (r < 0)
		return r;
	rd = p[0];
	wr = p[1];
	o.exe_fd = exe;
	o.argv = argv;
	o.env = env;
	o.stdout_fd = o.stderr_fd = log_fd;
	o.pass = &wr;
	o.n_pass = 1;
	o.new_session = true;
	r = spawn_start(&o, &pid, &pidfd, e);
	if (r < 0)
		return r;
	wr = fd_close(wr);
	return wait_ready(rd, log, e);
}

/* Wait for the supervisor that holds the lock but does not answer: it is leaving
 * and will be gone, or it was just elected by a monitor and is about to serve. */
static void wait_holder(const struct dirs *d, const char *project)
{
	pid_t holder = supervisor_pid(d, project);
	_cleanup_(fd_closep) int pidfd = holder ? (int)syscall(SYS_pidfd_open, holder, 0) : -EBADF;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	for (int ms = 0; pidfd >= 0 && ms < START_TIMEOUT_MS; ms += HOLDER_LOOK_MS) {
		_cleanup_(control_client_freep) struct control_client *c = NULL;

		if (poll(&p, 1, HOLDER_LOOK_MS) != 0 ||
		    supervisor_connect(d, project, &c, NULL) == 0)
			return;
	}
}

pid_t supervisor_pid(const struct dirs *d, const char *project)
{
	_cleanup_(free_p) char *lock = xasprintf("%s/%s/%s", d->run, project, MONITOR_LOCK_NAME);

	return lock_holder(lock);
}

/* It may be stopped, or hang: that is for a person to look at. */
static int wait_answer(const struct dirs *d, const char *project, struct control_client *c,
		       struct err *e)
{
	struct pollfd p = { .fd = control_client_fd(c), .events = POLLIN };

	if (poll(&p, 1, ANSWER_TIMEOUT_MS) != 0)
		return 0;
	err_set(e, ETIMEDOUT, "the supervisor of project %s (pid %d) does not answer", project,
		supervisor_pid(d, project));
	err_hint(e, "killing it loses nothing: the next command starts another");
	return -ETIMEDOUT;
}

/* ---- upgrade in place --------------------------------------------------------------- */
static bool wait_gone(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, ANSWER_TIMEOUT_MS) > 0;
}

/* 1: it goes; 0: it has something to do that it must finish, or is too old to know how. */
static int ask_to_leave(struct control_client *c, struct err *e)
{
	_cleanup_(json_unrefp) json *leave = json_new_object(), *end = NULL;
	int r;

	json_put_int(leave, "v", CONTROL_VERSION);
	json_put_str(leave, "op", "leave");
	r = control_send(c, leave, NULL, 0, e);
	if (r == 0)
		r = control_receive(c, &end, NULL, NULL, e);
	if (r < 0)
		return r;
	return json_get(end, "error") ? 0 : 1;
}

/* Put ours in the place of the supervisor behind @c.  1: done. 0: it stays for now.
 * Meanwhile no monitor starts one: it would be of the old version. */
static int replace(const struct dirs *d, const char *project, struct control_client *c, bool force,
		   struct err *e)
{
	_cleanup_(free_p) char *election = xasprintf("%s/%s/" MONITOR_ELECTION_NAME, d->run,
						     project);
	pid_t pid = supervisor_pid(d, project);
	_cleanup_(fd_closep) int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -EBADF;
	_cleanup_(fd_closep) int lock = lock_take(election, true, NULL, e);
	int r = lock < 0 ? lock : 1;

	if (r < 0 || pidfd < 0)
		return r; /* gone by itself */
	if (!force)
		r = ask_to_leave(c, e);
	else if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		r = err_errno(e, errno, "end the supervisor of project %s", project);
	if (r <= 0)
		return r;
	if (!wait_gone(pidfd))
		return err_set(e, ETIMEDOUT, "the supervisor of project %s (pid %d) does not leave",
			       project, pid);
	r = start_supervisor(d, project, e);
	return r < 0 ? r : 1;
}

/* What is to be done about a supervisor that says @pong?  As replace(). */
static int settle_versions(const struct dirs *d, const char *project, struct control_client *c,
			   json *pong, struct err *e)
{
	const char *theirs = json_get_str(pong, "version");
	int64_t v = json_get_int(pong, "v", 0);

	if (v > CONTROL_VERSION) {
		err_set(e, EPROTO,
			"project %s is looked after by comp %s, which this comp (%s) cannot talk "
			"to",
			project, theirs ? theirs : "of another version", COMP_VERSION);
		err_hint(e, "use that one: it was installed later");
		return -EPROTO;
	}
	if (v < CONTROL_VERSION)
		return replace(d, project, c, true, e);
	if (!theirs || strverscmp(theirs, COMP_VERSION) < 0)
		return replace(d, project, c, false, e);
	return 0;
}

int supervisor_ensure(const struct dirs *d, const char *project, struct control_client **out,
		      struct err *e)
{
	/* One that is just leaving may take the connection down with it, hence again. */
	for (int attempt = 0; attempt < 20; attempt++) {
		_cleanup_(control_client_freep) struct control_client *c = NULL;
		_cleanup_(json_unrefp) json *ping = json_new_object(), *pong = NULL;
		int r = supervisor_connect(d, project, &c, e);

		if (r == -ENOENT) {
			if (attempt > 0)
				wait_holder(d, project);
			r = start_supervisor(d, project, e);
			if (r < 0)
				return r;
			continue;
		}
		if (r < 0)
			return r;
		json_put_int(ping, "v", CONTROL_VERSION);
		json_put_str(ping, "op", "ping");
		r = control_send(c, ping, NULL, 0, e);
		if (r == 0)
			r = wait_answer(d, project, c, e);
		if (r == 0)
			r = control_receive(c, &pong, NULL, NULL, e);
		if (r == 0)
			r = settle_versions(d, project, c, pong, e);
		if (r == 1)
			continue; /* to the new one */
		if (r == 0) {
			*out = TAKE_PTR(c);
			return 0;
		}
		if (r != -EPIPE && r != -ECONNRESET)
			return r;
	}
	return err_set(e, EAGAIN, "project %s: its supervisor keeps leaving", project);
}
