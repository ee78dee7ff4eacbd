/* engine/supervise/hooks.c: commands run in a container after its start and before its
 * stop.
 *
 * One after the other, each to its end; the first that fails ends the row.  A
 * container has at most one row under way (c->hook), and how it went is told from
 * the loop, never from within hooks_run().  The output is read so that no hook
 * blocks on it, and its beginning is kept for the words of a failure.
 *
 * Nothing here decides what a failure means: run.c and stop.c do.
 */
#include "engine/supervise/internal.h"

#include <signal.h>

#include "base/cleanup.h"
#include "engine/container/exec.h"

#define OUTPUT_KEPT 4096
#define CHUNK       4096

struct hook_run {
	struct container *c;
	const char *kind;
	const struct hook_spec *hooks;
	size_t n, i; /* the i-th runs */
	hooks_done_fn done;
	pid_t pid; /* 0: none runs */
	int pidfd, out_fd;
	struct source *exit_source, *out_source, *timer;
	struct buf output;
	uint64_t limit; /* ns for the whole row; 0: none */
	bool begun, timed_out;
	struct err err;
};

static void next(struct hook_run *h);

/* ---- one hook --------------------------------------------------------------------- */
static void close_one(struct hook_run *h)
{
	source_clear(&h->exit_source);
	source_clear(&h->out_source);
	h->pidfd = fd_close(h->pidfd);
	h->out_fd = fd_close(h->out_fd);
	h->pid = 0;
}

static void read_output(struct hook_run *h)
{
	char chunk[CHUNK];
	ssize_t n;

	while ((n = read(h->out_fd, chunk, sizeof(chunk))) > 0)
		if (h->output.len < OUTPUT_KEPT)
			buf_add(&h->output, chunk, MIN((size_t)n, OUTPUT_KEPT - h->output.len));
	if (n == 0)
		source_clear(&h->out_source); /* closed: no more events, please */
}

static void on_output(struct source *s, int fd, uint32_t events, void *data)
{
	read_output(data);
}

/* The last line that says something; its end in *n. */
static const char *last_line(const struct buf *b, size_t *n)
{
	const char *start = buf_str(b), *end = start + b->len, *p;

	while (end > start && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
		end--;
	for (p = end; p > start && p[-1] != '\n';)
		p--;
	*n = (size_t)(end - p);
	return p;
}

static const char *service_of(const struct hook_run *h)
{
	return h->c->rec->service ? h->c->rec->service : h->c->rec->name;
}

static void set_failure(struct hook_run *h, int code)
{
	const char *service = service_of(h), *line;
	size_t n;

	if (h->timed_out) {
		err_set(&h->err, ETIMEDOUT, "service \"%s\": %s hook took too long", service,
			h->kind);
		return;
	}
	line = last_line(&h->output, &n);
	err_set(&h->err, ECHILD, "service \"%s\": %s hook exited with status %d%s%.*s", service,
		h->kind, code, n ? ": " : "", (int)MIN(n, (size_t)300), line);
}

static void on_hook_exit(struct source *s, int fd, uint32_t events, void *data)
{
	struct hook_run *h = data;
	int code = spawn_wait(h->pid);

	read_output(h);
	close_one(h);
	if (code != 0)
		set_failure(h, code);
	h->i++;
	next(h);
}

static char **hook_env(const struct container *c, const struct hook_spec *hook)
{
	char **env = strv_copy(c->spec->env);

	STRV_FOREACH (assignment, hook->env) {
		const char *equals = strchr(*assignment, '=');
		_cleanup_(free_p) char *key = NULL;

		if (!equals)
			continue;
		key = xstrndup(*assignment, (size_t)(equals - *assignment));
		strv_env_set(&env, key, equals + 1);
	}
	return env;
}

static int exec_hook(struct hook_run *h, const struct hook_spec *hook, int out, struct err *e)
{
	_cleanup_(strv_freep) char **env = hook_env(h->c, hook);
	_cleanup_(fd_closep) int no_stdin = exec_no_stdin(e);
	struct container *c = h->c;
	struct exec_opts o = EXEC_OPTS_INIT;
	int r;

	if (no_stdin < 0)
		return no_stdin;
	if (!hook->argv || !hook->argv[0])
		return err_set(e, EINVAL, "%s: no command", h->kind);
	o.target = (struct procref){ .pid = c->m.pid, .start_ticks = c->m.start_ticks };
	o.spec = c->spec;
	o.argv = hook->argv;
	o.env = env;
	o.user = hook->user;
	o.cwd = hook->cwd;
	o.privileged = hook->privileged;
	o.stdio[0] = no_stdin;
	o.stdio[1] = o.stdio[2] = out;
	o.cgroup = c->cgroup;
	r = seccomp_for_spec(c->sv->seccomp, c->spec, &o.seccomp, e);
	return r < 0 ? r : container_exec(&o, &h->pid, &h->pidfd, e);
}

static int start_one(struct hook_run *h, struct err *e)
{
	_cleanup_(fd_closep) int out_wr = -EBADF;
	struct loop *loop = h->c->sv->loop;
	int p[2], r = fd_pipe(p, e);

	if (r < 0)
		return r;
	h->out_fd = p[0];
	out_wr = p[1];
	(void)fd_set_nonblock(h->out_fd, true); /* a fresh pipe: cannot fail */
	buf_truncate(&h->output, 0);
	r = exec_hook(h, &h->hooks[h->i], out_wr, e);
	if (r == 0)
		r = loop_add_fd(loop, h->pidfd, EPOLLIN, on_hook_exit, h, &h->exit_source, e);
	if (r == 0)
		r = loop_add_fd(loop, h->out_fd, EPOLLIN, on_output, h, &h->out_source, e);
	return r;
}

/* ---- the row ------------------------------------------------------------------------ */
static void kill_one(struct hook_run *h)
{
	if (!h->pid)
		return;
	(void)kill(-h->pid, SIGKILL); /* not reaped yet, so the number is its own */
	(void)kill(h->pid, SIGKILL);
}

static void hook_free(struct hook_run *h)
{
	if (h->pid) {
		kill_one(h);
		(void)spawn_wait(h->pid); /* killed: at once */
	}
	close_one(h);
	source_free(h->timer);
	buf_done(&h->output);
	free(h);
}

static void finish(struct hook_run *h)
{
	struct container *c = h->c;
	hooks_done_fn done = h->done;
	struct err e = h->err;

	c->hook = NULL;
	hook_free(h);
	done(c, &e);
}

static void next(struct hook_run *h)
{
	if (!h->err.code && h->i < h->n) {
		if (start_one(h, &h->err) == 0)
			return;
		err_wrap(&h->err, -h->err.code, "service \"%s\": %s hook", service_of(h), h->kind);
	}
	finish(h);
}

static void on_timer(struct source *s, void *data)
{
	struct hook_run *h = data;

	if (h->begun) {
		h->timed_out = true;
		kill_one(h);
		return;
	}
	h->begun = true;
	if (h->limit)
		source_set_timer(h->timer, h->limit);
	next(h);
}

void hooks_run(struct container *c, enum hook_kind kind, uint64_t limit_ns, hooks_done_fn done)
{
	struct hook_run *h = new0(struct hook_run);
	bool after = kind == HOOK_POST_START;

	h->c = c;
	h->kind = after ? "post_start" : "pre_stop";
	h->hooks = after ? c->spec->post_start : c->spec->pre_stop;
	h->n = after ? c->spec->n_post_start : c->spec->n_pre_stop;
	h->limit = limit_ns;
	h->done = done;
	h->pidfd = h->out_fd = -EBADF;
	h->timer = loop_add_timer(c->sv->loop, 0, on_timer, h);
	c->hook = h;
}

void hooks_cancel(struct container *c)
{
	if (!c->hook)
		return;
	hook_free(c->hook);
	c->hook = NULL;
	c->pre_stop = false;
}
