/* engine/supervise/session.c: `exec`: a process in a container for a client.
 *
 * Without a terminal the client's own descriptors become the process's stdio.
 * With one, the process makes a pty in the container and its master is passed
 * on to the client, which relays: no byte of a session goes through here.  The
 * process is our child, so its exit code is the real one.
 *
 * A client that is gone, however it went, is a terminal that hung up: SIGHUP, and
 * SIGKILL for what does not mind.  Docker lets such a process run on (moby#9098); who
 * wants that says so with -d.  A pty hangs up by itself as well, when the client's
 * descriptor of the master, the only one there is, closes with it (pty(7)).
 */
#include "engine/supervise/internal.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "engine/container/exec.h"

#define HANGUP_GRACE (5 * NSEC_PER_SEC)

struct session {
	struct supervisor *sv;
	struct control_conn *conn; /* NULL: the client went away */
	pid_t pid;
	int pidfd, console, error_fd;
	struct source *exit_source, *console_source, *error_source;
	struct winsize size;
	bool tty, started;
	bool attached; /* its process is to end with the client */
	struct source *hangup_timer;
	struct err err;
	struct session *next;
};

static void session_free(struct session *s)
{
	for (struct session **p = &s->sv->sessions; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			break;
		}
	}
	source_free(s->exit_source);
	source_free(s->console_source);
	source_free(s->error_source);
	source_free(s->hangup_timer);
	fd_close(s->pidfd);
	fd_close(s->console);
	fd_close(s->error_fd);
	free(s);
}

static void reply_end(struct control_conn *conn, const struct err *e, int exit_code)
{
	json *o = json_new_object(), *error = control_err_to_json(e);

	json_put_str(o, "type", "end");
	if (error)
		json_put(o, "error", error);
	json_put_int(o, "exit_code", exit_code);
	control_reply(conn, o, NULL, 0);
}

static void reply_started(struct session *s, int master)
{
	json *o;

	s->started = true;
	if (!s->conn)
		return;
	o = json_new_object();
	json_put_str(o, "type", "started");
	json_put_int(o, "pid", s->pid);
	control_reply(s->conn, o, &master, master >= 0 ? 1 : 0);
}

/* init's struct err, if there is one to read; true at end of file or after it. */
static bool read_error(struct session *s)
{
	struct err e;
	ssize_t n;

	if (s->error_fd < 0)
		return true;
	n = read(s->error_fd, &e, sizeof(e));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == (ssize_t)sizeof(e))
		s->err = e;
	source_clear(&s->error_source);
	s->error_fd = fd_close(s->error_fd);
	return true;
}

static void on_error_pipe(struct source *src, int fd, uint32_t events, void *data)
{
	struct session *s = data;

	if (read_error(s) && !s->err.code && !s->tty)
		reply_started(s, -EBADF);
}

static void receive_console(struct session *s)
{
	_cleanup_(fd_closep) int master = -EBADF;
	size_t n_fds = 1;
	char byte;

	if (s->console < 0 || fd_recv(s->console, &byte, 1, &master, &n_fds) < 0)
		return;
	source_clear(&s->console_source);
	s->console = fd_close(s->console);
	if (n_fds == 0)
		return;
	if (s->size.ws_row)
		(void)ioctl(master, TIOCSWINSZ, &s->size); /* a wrong size is no failure */
	reply_started(s, master);
}

static void on_console(struct source *src, int fd, uint32_t events, void *data)
{
	receive_console(data);
}

static void on_exit_event(struct source *src, int fd, uint32_t events, void *data)
{
	struct session *s = data;
	struct supervisor *sv = s->sv;
	int code = spawn_wait(s->pid);

	(void)read_error(s); /* the writer is gone: whatever there is, is there */
	if (!s->started && !s->err.code)
		receive_console(s);
	if (s->conn)
		reply_end(s->conn, &s->err, code);
	session_free(s);
	supervisor_check_idle(sv);
}

static struct container *find_target(struct supervisor *sv, json *message, struct err *e)
{
	const char *name = json_get_str(message, "container");
	struct container *c = name ? container_find(sv, name) : NULL;

	if (!c)
		err_set(e, ENOENT, "no such container: %s", name ? name : "");
	else if (c->rec->status == CONTAINER_PAUSED)
		err_set(e, EBUSY, "container %s is paused, unpause it first", name);
	else if (c->m.pid > 0 && container_is_active(c))
		return c;
	else
		err_set(e, ESRCH, "service \"%s\" is not running",
			c->rec->service ? c->rec->service : name);
	return NULL;
}

static char **session_env(const struct container *c, json *message)
{
	_cleanup_(strv_freep) char **more = json_get_strv(message, "env");
	char **env = strv_copy(c->spec->env);

	if (json_get_bool(message, "tty", false) && !strv_env_get(env, "TERM"))
		strv_add(&env, "TERM=xterm");
	STRV_FOREACH (assignment, more) {
		const char *equals = strchr(*assignment, '=');
		_cleanup_(free_p) char *key = NULL;

		if (!equals)
			continue;
		key = xstrndup(*assignment, (size_t)(equals - *assignment));
		strv_env_set(&env, key, equals + 1);
	}
	return env;
}

static int open_channels(struct session *s, struct exec_opts *o, struct err *e)
{
	int p[2], r = fd_pipe(p, e);

	if (r < 0)
		return r;
	s->error_fd = p[0];
	o->error_fd = p[1];
	(void)fd_set_nonblock(s->error_fd, true); /* a fresh pipe: cannot fail */
	if (!s->tty)
		return 0;
	r = fd_socketpair(SOCK_STREAM, p, e);
	if (r < 0)
		return r;
	s->console = p[0];
	o->console_sock = p[1];
	(void)fd_set_nonblock(s->console, true);
	return 0;
}

static int start(struct session *s, struct container *c, json *message, const int *fds,
		 struct err *e)
{
	_cleanup_(strv_freep) char **argv = json_get_strv(message, "argv");
	_cleanup_(strv_freep) char **env = session_env(c, message);
	struct exec_opts o = EXEC_OPTS_INIT;
	int r;

	if (!argv || !argv[0])
		return err_set(e, EINVAL, "no command given");
	o.target = (struct procref){ .pid = c->m.pid, .start_ticks = c->m.start_ticks };
	o.spec = c->spec;
	o.argv = argv;
	o.env = env;
	o.user = json_get_str(message, "user");
	o.cwd = json_get_str(message, "cwd");
	o.tty = s->tty;
	o.privileged = json_get_bool(message, "privileged", false);
	o.cgroup = c->cgroup;
	for (int i = 0; i < 3 && !s->tty; i++)
		o.stdio[i] = fds[i];
	r = seccomp_for_spec(c->sv->seccomp, c->spec, &o.seccomp, e);
	if (r == 0)
		r = open_channels(s, &o, e);
	if (r == 0)
		r = container_exec(&o, &s->pid, &s->pidfd, e);
	fd_close(o.error_fd);
	fd_close(o.console_sock);
	if (r < 0)
		return r;
	r = loop_add_fd(s->sv->loop, s->pidfd, EPOLLIN, on_exit_event, s, &s->exit_source, e);
	if (r == 0)
		r = loop_add_fd(s->sv->loop, s->error_fd, EPOLLIN, on_error_pipe, s,
				&s->error_source, e);
	if (r == 0 && s->tty)
		r = loop_add_fd(s->sv->loop, s->console, EPOLLIN, on_console, s, &s->console_source,
				e);
	return r;
}

void session_request(struct supervisor *sv, struct control_conn *conn, json *message, int *fds,
		     size_t n_fds)
{
	struct session *s = new0(struct session);
	struct err e = ERR_INIT;
	struct container *c;
	int r = -EINVAL;

	s->sv = sv;
	s->conn = conn;
	s->pidfd = s->console = s->error_fd = -EBADF;
	s->tty = json_get_bool(message, "tty", false);
	s->attached = json_get_bool(message, "attached", false); /* older ones do not say */
	s->size.ws_row = (unsigned short)json_get_int(message, "rows", 0);
	s->size.ws_col = (unsigned short)json_get_int(message, "cols", 0);
	s->next = sv->sessions;
	sv->sessions = s;
	c = find_target(sv, message, &e);
	if (c && !s->tty && n_fds != 3)
		err_set(&e, EINVAL, "exec needs three descriptors, got %zu", n_fds);
	else if (c)
		r = start(s, c, message, fds, &e);
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
	if (r < 0) {
		reply_end(conn, &e, 125);
		session_free(s);
	}
}

/* To the process and what it started in the foreground.  It leads a session (setsid(2)),
 * so it cannot leave its process group; and while it is our child and not reaped, which
 * on_exit_event() does, nobody else has that number.  Before its setsid there is no such
 * group. */
static void signal_group(const struct session *s, int sig)
{
	assert(s->pid > 1);
	if (kill(-s->pid, sig) < 0)
		(void)syscall(SYS_pidfd_send_signal, s->pidfd, sig, NULL, 0); /* gone: as well */
}

static void on_hangup_timer(struct source *src, void *data)
{
	signal_group(data, SIGKILL);
}

static void hang_up(struct session *s)
{
	signal_group(s, SIGHUP);
	signal_group(s, SIGCONT); /* one that is stopped would not see it */
	s->hangup_timer = loop_add_timer(s->sv->loop, HANGUP_GRACE, on_hangup_timer, s);
}

void session_conn_closed(struct supervisor *sv, struct control_conn *conn)
{
	for (struct session *s = sv->sessions; s; s = s->next) {
		if (s->conn != conn)
			continue;
		s->conn = NULL;
		if (s->attached)
			hang_up(s);
	}
}
