/* engine/build/build.c: the builder: a process per stage, started when all it needs is
 * done, watched until the target is.
 *
 * The stages' processes only read what was planned before they were forked; the results
 * of stages come back through their sockets and are there for those that are forked
 * later.  The first error ends the others.
 */
#include "engine/build/build.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/build/agent.h"
#include "engine/build/internal.h"
#include "engine/image/store_internal.h"

#define TICK_MS 100

void build_result_done(struct build_result *r)
{
	strv_free(r->moved);
	free(r->failed);
	*r = (struct build_result){ 0 };
}

/* ---- stages at work -------------------------------------------------------------------- */

struct worker {
	pid_t pid; /* 0: not started; -1: done */
	int sock;
	unsigned int *vertices; /* by step */
	char *title;            /* of the step at hand */
	unsigned int n;
	bool open; /* the step at hand has begun and not ended */
};

struct crew {
	struct build *b;
	struct worker *workers; /* by stage */
	size_t n_running, n_done;
	struct build_result *out;
	bool failed;
};

static bool is_ready(const struct crew *c, size_t stage)
{
	const struct graph_node *node = &c->b->graph.nodes[stage];

	for (size_t i = 0; i < node->n_needs; i++)
		if (!c->b->results[node->needs[i]].done)
			return false;
	return c->workers[stage].pid == 0;
}

static int start_worker(struct crew *c, size_t stage, struct err *e)
{
	struct worker *w = &c->workers[stage];
	int p[2], r = fd_socketpair(SOCK_SEQPACKET, p, e);
	pid_t pid;

	if (r < 0)
		return r;
	fflush(NULL); /* or the child's copy of what is buffered would be written, too */
	pid = fork();
	if (pid < 0) {
		r = err_errno(e, errno, "fork");
		fd_close(p[0]);
		fd_close(p[1]);
		return r;
	}
	if (pid == 0) {
		fd_close(p[0]);
		exec_stage(c->b, stage, p[1]);
	}
	fd_close(p[1]);
	w->pid = pid;
	w->sock = p[0];
	c->n_running++;
	return 0;
}

static int start_ready(struct crew *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->b->graph.n_order; i++)
		if (is_ready(c, c->b->graph.order[i]))
			r = start_worker(c, c->b->graph.order[i], e);
	return r;
}

static void reap(struct crew *c, struct worker *w)
{
	while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	w->pid = -1;
	w->sock = fd_close(w->sock);
	c->n_running--;
}

static void begin_step(struct crew *c, struct worker *w, const struct link_message *m)
{
	w->vertices = xreallocarray(w->vertices, m->step + 1, sizeof(*w->vertices));
	w->vertices[m->step] = ++c->b->n_vertices;
	w->n = m->step;
	w->open = true;
	free(w->title);
	w->title = xstrndup(m->text, m->n);
}

static void pass_on(struct crew *c, struct worker *w, const struct link_message *m)
{
	struct build_event ev = { .kind = m->kind,
				  .text = m->text,
				  .n = m->n,
				  .is_stderr = m->is_stderr,
				  .elapsed = m->elapsed };

	if (m->kind == BUILD_STARTED)
		begin_step(c, w, m);
	else if (m->kind == BUILD_DONE || m->kind == BUILD_CACHED)
		w->open = false;
	ev.vertex = w->vertices ? w->vertices[w->n] : 0;
	c->b->h->event(c->b->h->data, &ev);
}

static int on_failure(struct crew *c, struct worker *w, const struct err *why, struct err *e)
{
	if (w->open) {
		plan_event(c->b, BUILD_FAILED, w->vertices[w->n], why->msg, 0);
		c->out->failed = TAKE_PTR(w->title);
		c->out->failed_vertex = w->vertices[w->n];
	}
	if (e)
		*e = *why;
	return why->code ? -why->code : -EIO;
}

/* One message of a stage's process, or its end. */
static int on_message(struct crew *c, size_t stage, struct err *e)
{
	struct worker *w = &c->workers[stage];
	static struct link_message m; /* large, and only one at a time */
	_cleanup_(fd_closep) int fd = -EBADF;
	struct err died = ERR_INIT;
	int r = link_receive(w->sock, &m, &fd, e);

	if (r < 0)
		return r;
	if (r == 0) {
		reap(c, w);
		if (c->b->results[stage].done)
			return 0;
		err_set(&died, EIO, "the process of stage %s died", c->b->graph.nodes[stage].name);
		return on_failure(c, w, &died, e);
	}
	if (m.kind == LINK_ERROR)
		return on_failure(c, w, &m.err, e);
	if (m.kind == LINK_RESULT)
		return link_read_result(fd, &c->b->results[stage], e);
	pass_on(c, w, &m);
	return 0;
}

static int wait_for_work(struct crew *c, struct err *e)
{
	size_t n = c->b->graph.n, used = 0;
	_cleanup_(free_p) struct pollfd *p = xcalloc(n + 1, sizeof(*p));
	_cleanup_(free_p) size_t *stages = xcalloc(n + 1, sizeof(*stages));
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		if (c->workers[i].pid <= 0)
			continue;
		stages[used] = i;
		p[used++] = (struct pollfd){ .fd = c->workers[i].sock, .events = POLLIN };
	}
	p[used] = (struct pollfd){ .fd = c->b->h->cancel_fd, .events = POLLIN };
	if (poll(p, used + 1, c->b->h->tick ? TICK_MS : -1) < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[used].revents)
		return err_set(e, ECANCELED, "canceled");
	for (size_t i = 0; r == 0 && i < used; i++)
		if (p[i].revents)
			r = on_message(c, stages[i], e);
	if (c->b->h->tick)
		c->b->h->tick(c->b->h->data);
	return r;
}

static void end_workers(struct crew *c)
{
	for (size_t i = 0; i < c->b->graph.n; i++) {
		struct worker *w = &c->workers[i];

		if (w->pid > 0) {
			(void)kill(w->pid, SIGKILL); /* ours, and not reaped: the pid is good */
			reap(c, w);
			if (w->open && w->title)
				plan_event(c->b, BUILD_CANCELED, w->vertices[w->n], "", 0);
		}
		free(w->vertices);
		free(w->title);
	}
	free(c->workers);
}

static int run_stages(struct build *b, struct build_result *out, struct err *e)
{
	struct crew c = { .b = b, .out = out };
	int r;

	c.workers = xcalloc(b->graph.n, sizeof(*c.workers));
	r = start_ready(&c, e);
	while (r == 0 && c.n_running > 0) {
		r = wait_for_work(&c, e);
		if (r == 0)
			r = start_ready(&c, e);
	}
	end_workers(&c);
	return r;
}

/* ---- a build's own directory ------------------------------------------------------------- */

static char *work_top(const struct dirs *d)
{
	return xasprintf("%s/build/work", d->root);
}

void build_sweep(const struct dirs *d)
{
	_cleanup_(free_p) char *top = work_top(d);
	_cleanup_(dir_closep) DIR *dir = opendir(top);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_(free_p) char *project = NULL;
		_cleanup_(fd_closep) int fd = -EBADF;

		if (entry->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), entry->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
			continue; /* its builder lives */
		project = xasprintf(RUNNER_PREFIX "%s", entry->d_name);
		if (runner_clean(d, project, true, NULL) == 0)
			(void)rm_rf(dirfd(dir), entry->d_name, NULL); /* else next time */
	}
}

/* Between mkdir(2) and flock(2) another build's sweep may take the directory for a dead
 * one's: 1 when it is ours and there, 0 when it is gone. */
static int lock_work(struct build *b, struct err *e)
{
	struct stat st;

	b->work_fd = open(b->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->work_fd < 0 && errno == ENOENT)
		return 0;
	if (b->work_fd < 0 || flock(b->work_fd, LOCK_EX) < 0 || fstat(b->work_fd, &st) < 0)
		return err_errno(e, errno, "lock %s", b->work);
	if (st.st_nlink > 0)
		return 1;
	b->work_fd = fd_close(b->work_fd);
	return 0;
}

static int make_work(struct build *b, struct err *e)
{
	_cleanup_(free_p) char *top = work_top(b->o->dirs);
	char id[17];
	int r;

	build_sweep(b->o->dirs);
	random_hex(id, 8);
	b->id = xstrdup(id);
	b->project = xasprintf(RUNNER_PREFIX "%s", id);
	b->work = path_join(top, id);
	b->digests = xasprintf("%s/build/digests", b->o->dirs->root);
	do {
		r = mkdir_p(AT_FDCWD, b->work, 0700, e);
		if (r == 0)
			r = lock_work(b, e);
	} while (r == 0);
	return MIN(r, 0);
}

static int open_store(struct build *b, struct err *e)
{
	_cleanup_(free_p) char *images = dirs_images(b->o->dirs);
	int r = store_open(images, &b->store, e);

	if (r < 0)
		return r;
	b->using_fd = store_lock(b->store, STORE_USING, LOCK_SH, e);
	return MIN(b->using_fd, 0);
}

static void close_build(struct build *b)
{
	for (size_t i = 0; i < b->n_contexts; i++) {
		fd_close(b->contexts[i].fd);
		free(b->contexts[i].path);
		free(b->contexts[i].image);
		free(b->contexts[i].ignore_name);
		ignore_free(b->contexts[i].ignore);
	}
	free(b->contexts);
	free(b->remote_dockerfile);
	strv_free(b->ssh);
	for (size_t i = 0; i < b->n_agents; i++)
		agent_stop(b->agents[i]);
	free(b->agents);
	strv_free(b->context_names);
	for (size_t i = 0; b->results && i < b->graph.n; i++) {
		image_config_done(&b->results[i].config);
		strv_free(b->results[i].args);
		strv_free(b->results[i].used);
		strv_free(b->results[i].steps);
	}
	free(b->results);
	graph_done(&b->graph);
	dockerfile_done(&b->file);
	map_done(&b->images);
	for (struct cache_dir **c = b->caches; c && *c; c++)
		cache_dir_free(*c);
	free(b->caches);
	fd_close(b->using_fd);
	store_close(b->store);
	free(b->id);
	free(b->work);
	free(b->digests);
	free(b->project);
}

/* One that is not there yet, or not readable, is a warning: the build can do without. */
static void open_caches(struct build *b)
{
	size_t n = 0;

	b->caches = xcalloc(strv_len(b->o->cache_from) + 1, sizeof(struct cache_dir *));
	STRV_FOREACH (path, b->o->cache_from) {
		struct err why = ERR_INIT;

		if (cache_dir_open(*path, &b->caches[n], &why) == 0)
			n++;
		else
			plan_event(b, BUILD_WARNING, 0, why.msg, 0);
	}
}

static int write_caches(struct build *b, struct err *e)
{
	_cleanup_(strv_freep) char **steps = NULL;
	int r = 0;

	for (size_t i = 0; i < b->graph.n; i++)
		strv_extend(&steps, b->results[i].steps);
	for (char *const *path = b->o->cache_to; r == 0 && path && *path; path++) {
		unsigned int vertex = ++b->n_vertices;
		uint64_t began = now_mono_ns();

		plan_event(b, BUILD_STARTED, vertex, "exporting cache", 0);
		r = cache_dir_write(*path, b->store, steps, e);
		plan_event(b, r < 0 ? BUILD_FAILED : BUILD_DONE, vertex, r < 0 && e ? e->msg : "",
			   now_mono_ns() - began);
	}
	return r;
}

static bool has_output(const struct build *b)
{
	return b->o->output || b->o->output_fd >= 0;
}

static void warn_unused_args(struct build *b)
{
	_cleanup_(free_p) struct scope *scopes = xcalloc(b->graph.n + 1, sizeof(*scopes));
	_cleanup_(free_p) const struct scope **list = xcalloc(b->graph.n + 2, sizeof(*list));
	_cleanup_(strv_freep) char **unused = NULL;
	_cleanup_(free_p) char *names = NULL, *text = NULL;
	size_t n = 0;

	list[n++] = &b->graph.global;
	for (size_t i = 0; i < b->graph.n; i++) {
		scopes[i].used = b->results[i].used;
		list[n++] = &scopes[i];
	}
	unused = scope_unused_args(&b->input, list, n);
	if (strv_len(unused) == 0)
		return;
	names = strv_join(unused, ", ");
	text = xasprintf("one or more build-args were not consumed: %s", names);
	plan_event(b, BUILD_WARNING, 0, text, 0);
}

/* A key file gets an agent, in the build's own directory. */
static int open_ssh(struct build *b, struct err *e)
{
	size_t n = strv_len(b->o->ssh);
	int r = 0;

	b->agents = xcalloc(n + 1, sizeof(*b->agents));
	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_(free_p) char *id = xstrndup(b->o->ssh[i], strcspn(b->o->ssh[i], "="));
		_cleanup_(free_p) char *socket = xasprintf("%s/agent-%zu", b->work, i);
		const char *path = b->o->ssh[i] + strlen(id) + 1;
		struct stat st;

		if (stat(path, &st) < 0)
			return err_errno(e, errno, "ssh %s: %s", id, path);
		if (!S_ISSOCK(st.st_mode)) {
			r = agent_start(socket, path, &b->agents[b->n_agents], e);
			b->n_agents += r == 0;
		}
		strv_env_set(&b->ssh, id, S_ISSOCK(st.st_mode) ? path : socket);
	}
	return r;
}

static int build(struct build *b, struct build_result *out, struct err *e)
{
	unsigned int vertex;
	int r = make_work(b, e);

	if (r == 0)
		r = open_store(b, e);
	if (r < 0)
		return r;
	vertex = ++b->n_vertices;
	plan_event(b, BUILD_STARTED, vertex, "[internal] load build definition from Dockerfile", 0);
	r = plan_contexts(b, e);
	if (r == 0)
		r = plan_dockerfile(b, e);
	if (r < 0) {
		plan_event(b, BUILD_FAILED, vertex, e ? e->msg : "", 0);
		return r;
	}
	plan_event(b, BUILD_DONE, vertex, "", 0);
	b->results = xcalloc(b->graph.n, sizeof(*b->results));
	if (b->o->check)
		return 0;
	open_caches(b);
	r = open_ssh(b, e);
	if (r == 0)
		r = plan_images(b, e);
	if (r == 0)
		r = run_stages(b, out, e);
	if (r < 0)
		return r;
	warn_unused_args(b);
	r = write_caches(b, e);
	if (r < 0)
		return r;
	return has_output(b) ? output_write(b, e) : result_commit(b, out, e);
}

int build_run(const struct build_options *o, const struct build_handler *h,
	      struct build_result *out, struct err *e)
{
	struct build b = { .o = o,
			   .h = h,
			   .work_fd = -EBADF,
			   .using_fd = -EBADF,
			   .images = MAP_INIT_FREE(image_free),
			   .now = now_real_ns() };
	struct err gone = ERR_INIT;
	int r, r2;

	*out = (struct build_result){ 0 };
	r = build(&b, out, e);
	if (b.work_fd >= 0) {
		r2 = runner_clean(o->dirs, b.project, r < 0, &gone);
		err_keep_first(&r, e, r2, &gone);
		(void)rm_rf(AT_FDCWD, b.work, NULL); /* else the next build's sweep */
		fd_close(b.work_fd);
	}
	close_build(&b);
	return r;
}

/* ---- the cache ---------------------------------------------------------------------------- */

int build_prune(const struct dirs *d, uint64_t before, bool mounts_too, size_t *n, uint64_t *freed,
		struct err *e)
{
	_cleanup_(free_p) char *images = dirs_images(d);
	_cleanup_(free_p) char *mounts = xasprintf("%s/build/mounts", d->root);
	_cleanup_(free_p) char *digests = xasprintf("%s/build/digests", d->root);
	_cleanup_(store_closep) struct store *s = NULL;
	int r;

	build_sweep(d);
	r = store_open(images, &s, e);
	if (r == 0)
		r = steps_prune(s, before, n, freed, e);
	if (r == 0 && mounts_too) {
		r = rm_rf(AT_FDCWD, mounts, e);
		(void)unlink(digests); /* costs time at the next build, nothing else */
	}
	return r;
}
