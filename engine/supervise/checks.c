/* engine/supervise/checks.c: running health probes.
 *
 * health.c says when; this starts the probe in the container (or probe.c's, in
 * its network namespace), collects what it prints, and kills it with its process
 * group when its time is up.
 */
#include "engine/supervise/internal.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "engine/container/exec.h"
#include "engine/supervise/probe.h"

struct health_probe {
	struct container *c;
	pid_t pid;
	int pidfd, out_fd;
	struct source *exit_source, *out_source;
	struct buf output;
	bool timed_out;
};

static void schedule(struct container *c);

static void probe_free(struct health_probe *p)
{
	source_free(p->exit_source);
	source_free(p->out_source);
	fd_close(p->pidfd);
	fd_close(p->out_fd);
	buf_done(&p->output);
	free(p);
}

static void read_output(struct health_probe *p)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(p->out_fd, chunk, sizeof(chunk))) > 0)
		if (p->output.len < HEALTH_OUTPUT_MAX)
			buf_add(&p->output, chunk,
				MIN((size_t)n, HEALTH_OUTPUT_MAX - p->output.len));
	if (n == 0)
		source_clear(&p->out_source); /* closed: no more events, please */
}

static void on_output(struct source *s, int fd, uint32_t events, void *data)
{
	read_output(data);
}

static void note_status(struct container *c)
{
	if (c->rec->health == c->health.status)
		return;
	c->rec->health = c->health.status;
	container_save(c, false);
	/* Being stopped by the time it is told of, so that nobody who waits for it to
	 * get healthy takes this for its last word. */
	if (c->rec->health == HEALTH_UNHEALTHY && c->spec->health.restart_unhealthy &&
	    c->rec->status == CONTAINER_RUNNING) {
		supervisor_log(c->sv, "%s: unhealthy, restarting it", c->rec->name);
		container_restart(c, AGAIN_UNHEALTHY);
	}
	container_changed(c, "health_status");
}

static void on_probe_exit(struct source *s, int fd, uint32_t events, void *data)
{
	struct health_probe *p = data;
	struct container *c = p->c;
	int code = spawn_wait(p->pid);

	read_output(p);
	(void)health_probe_ended(&c->health, p->timed_out ? HEALTH_EXIT_TIMEOUT : code,
				 buf_str(&p->output), p->output.len, now_mono_ns(), now_real_ns());
	c->probe = NULL;
	probe_free(p);
	schedule(c);
	note_status(c);
}

static char **probe_argv(const struct container *c)
{
	char *const *test = c->spec->health.test;
	char **argv = NULL;

	if (streq(test[0], "CMD-SHELL")) {
		strv_add(&argv, "/bin/sh");
		strv_add(&argv, "-c");
		strv_add(&argv, test[1] ? test[1] : "");
		return argv;
	}
	return strv_copy(test + 1);
}

static int exec_probe(struct container *c, struct health_probe *p, int out, struct err *e)
{
	_cleanup_(strv_freep) char **argv = probe_argv(c);
	_cleanup_(fd_closep) int no_stdin = exec_no_stdin(e);
	struct exec_opts o = EXEC_OPTS_INIT;
	int r;

	if (no_stdin < 0)
		return no_stdin;
	o.target = (struct procref){ .pid = c->m.pid, .start_ticks = c->m.start_ticks };
	o.spec = c->spec;
	o.argv = argv;
	o.stdio[0] = no_stdin;
	o.stdio[1] = o.stdio[2] = out;
	o.cgroup = c->cgroup;
	r = seccomp_for_spec(c->sv->seccomp, c->spec, &o.seccomp, e);
	return r < 0 ? r : container_exec(&o, &p->pid, &p->pidfd, e);
}

static int ask_probe(struct container *c, struct health_probe *p, int out, struct err *e)
{
	if (c->netns_fd < 0 && c->spec->net.mode != NAMESPACE_HOST)
		return err_set(e, ENOENT, "its network namespace is not open");
	return probe_start(c->spec->health.test, c->netns_fd, out, &p->pid, &p->pidfd, e);
}

static int run_probe(struct container *c, struct health_probe *p, struct err *e)
{
	_cleanup_(fd_closep) int out_wr = -EBADF;
	int pipe_fds[2], r = fd_pipe(pipe_fds, e);

	if (r < 0)
		return r;
	p->out_fd = pipe_fds[0];
	out_wr = pipe_fds[1];
	(void)fd_set_nonblock(p->out_fd, true); /* a fresh pipe: cannot fail */
	r = probe_is_ours(c->spec->health.test) ? ask_probe(c, p, out_wr, e)
						: exec_probe(c, p, out_wr, e);
	if (r == 0)
		r = loop_add_fd(c->sv->loop, p->pidfd, EPOLLIN, on_probe_exit, p, &p->exit_source,
				e);
	if (r == 0)
		r = loop_add_fd(c->sv->loop, p->out_fd, EPOLLIN, on_output, p, &p->out_source, e);
	return r;
}

static void start_probe(struct container *c)
{
	struct health_probe *p = new0(struct health_probe);
	struct err e = ERR_INIT;

	p->c = c;
	p->pidfd = p->out_fd = -EBADF;
	health_probe_started(&c->health, now_mono_ns(), now_real_ns());
	if (run_probe(c, p, &e) == 0) {
		c->probe = p;
		return;
	}
	probe_free(p);
	(void)health_probe_ended(&c->health, HEALTH_EXIT_TIMEOUT, e.msg, strlen(e.msg),
				 now_mono_ns(), now_real_ns());
	note_status(c);
}

static void on_health_timer(struct source *s, void *data)
{
	struct container *c = data;

	if (c->probe) {
		c->probe->timed_out = true;
		/* Not reaped yet, so the pid still is this process; it leads its
		 * own group, which takes its children with it. */
		(void)kill(-c->probe->pid, SIGKILL);
		(void)kill(c->probe->pid, SIGKILL);
		return;
	}
	start_probe(c);
	schedule(c);
}

static void schedule(struct container *c)
{
	uint64_t next = health_next(&c->health), now = now_mono_ns();

	source_clear(&c->health_timer);
	if (next != HEALTH_NEVER)
		c->health_timer = loop_add_timer(c->sv->loop, next > now ? next - now : 0,
						 on_health_timer, c);
}

void checks_start(struct container *c)
{
	if (!c->health.enabled)
		return;
	if (c->rec->health == HEALTH_NONE)
		health_run_started(&c->health, now_mono_ns());
	else
		health_adopted(&c->health, c->rec->health, now_mono_ns(), now_mono_ns());
	c->rec->health = c->health.status;
	schedule(c);
}

void checks_stop(struct container *c)
{
	source_clear(&c->health_timer);
	health_run_ended(&c->health);
	if (!c->probe)
		return;
	(void)kill(-c->probe->pid, SIGKILL);
	(void)kill(c->probe->pid, SIGKILL);
	(void)spawn_wait(c->probe->pid); /* killed: at once */
	probe_free(c->probe);
	c->probe = NULL;
}
