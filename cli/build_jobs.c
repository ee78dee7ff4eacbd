/* cli/build_jobs.c: see build_jobs.h.
 *
 * A SOCK_SEQPACKET socket to each process.  Both ends are one program, so structs go as
 * they are.  We end a build by closing our direction of its socket, which is what it
 * watches as its cancel_fd; it does the same by itself when we are killed.
 */
#include "cli/build_jobs.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/strv.h"
#include "cli/build_view.h"
#include "engine/image/ref.h"

#define TICK_MS       100
#define AT_ONCE_LEAST 4 /* builds wait for networks and disks, too */

enum message_kind {
	MESSAGE_EVENT,   /* of build_run() */
	MESSAGE_FETCH,   /* the image @text is needed; waits for the answer */
	MESSAGE_FETCHED, /* the answer; err says how it went */
	MESSAGE_BUILT,   /* the last: @text is the image's id */
	MESSAGE_FAILED,  /* the last: err, and the vertex that failed */
};
struct message {
	uint32_t kind, event, vertex;
	bool is_stderr;
	uint64_t elapsed; /* ns */
	uint32_t n;       /* bytes of text */
	union {
		char text[32768];
		struct err err;
	};
};

struct worker {
	pid_t pid; /* 0: not started; -1: done */
	int sock;
	unsigned int *vertices; /* ours, by the build's own number */
	size_t n_vertices;
	bool built, told; /* told: how it ended */
	char *wants;      /* the image that it waits for; NULL: it does not wait */
};

struct build_jobs {
	struct context *ctx;
	struct build_job *jobs;
	struct worker *workers; /* as many as jobs */
	size_t n, n_running, n_waiting, most;
	struct build_view *view;
	bool quiet;
	unsigned int n_vertices, failed_vertex;
	char **fetched; /* "platform reference" */
};

static int send_message(int sock, const struct message *m)
{
	bool has_err = m->kind == MESSAGE_FETCHED || m->kind == MESSAGE_FAILED;
	size_t n = offsetof(struct message, text) + (has_err ? sizeof(m->err) : m->n);

	return fd_send(sock, m, n, NULL, 0);
}

static void set_text(struct message *m, const char *text, size_t n)
{
	m->n = (uint32_t)MIN(n, sizeof(m->text));
	memcpy(m->text, text, m->n);
}

/* 1, or 0 when the other end is gone. */
static int receive_message(int sock, struct message *m)
{
	size_t no_fds = 0;
	ssize_t n;

	do {
		n = fd_recv(sock, m, sizeof(*m), NULL, &no_fds);
	} while (n == -EINTR);
	return n > 0;
}

/* ---- in the build's process ------------------------------------------------------------- */

static void job_event(void *data, const struct build_event *ev)
{
	const int *sock = data;
	struct message m;

	m.kind = MESSAGE_EVENT;
	m.event = ev->kind;
	m.vertex = ev->vertex;
	m.is_stderr = ev->is_stderr;
	m.elapsed = ev->elapsed;
	set_text(&m, ev->text, ev->n);
	(void)send_message(*sock, &m); /* nobody there: cancel_fd says so, too */
}

static int job_fetch(void *data, const char *ref, struct err *e)
{
	const int *sock = data;
	struct message m;

	m.kind = MESSAGE_FETCH;
	set_text(&m, ref, strlen(ref));
	if (send_message(*sock, &m) < 0 || !receive_message(*sock, &m))
		return err_set(e, ECANCELED, "canceled");
	if (m.err.code && e)
		*e = m.err;
	return -m.err.code;
}

static _Noreturn void job_main(struct context *ctx, struct build_job *job, int sock)
{
	const struct build_handler h = { .event = job_event, .cancel_fd = sock, .data = &sock };
	struct build_result result = { 0 };
	struct message m = { .kind = MESSAGE_BUILT };
	struct err e = ERR_INIT;
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	r = builder_run_for(ctx, &job->builder, &h, job_fetch, &sock, &result, &e);
	if (r < 0) {
		m.kind = MESSAGE_FAILED;
		m.vertex = result.failed ? result.failed_vertex : 0;
		m.err = e;
	} else {
		set_text(&m, result.id, strlen(result.id));
	}
	(void)send_message(sock, &m); /* nobody there: nobody wants to know */
	_exit(r < 0);
}

/* ---- what comes from them --------------------------------------------------------------- */

static unsigned int vertex_of(struct build_jobs *b, struct worker *w, unsigned int number)
{
	if (number == 0)
		return 0;
	if (number >= w->n_vertices) {
		w->vertices = xreallocarray(w->vertices, number + 1, sizeof(*w->vertices));
		memset(w->vertices + w->n_vertices, 0,
		       (number + 1 - w->n_vertices) * sizeof(*w->vertices));
		w->n_vertices = number + 1;
	}
	if (!w->vertices[number])
		w->vertices[number] = ++b->n_vertices;
	return w->vertices[number];
}

static void on_event(struct build_jobs *b, size_t job, const struct message *m)
{
	const struct build_event ev = { .kind = m->event,
					.vertex = vertex_of(b, &b->workers[job], m->vertex),
					.text = m->text,
					.n = m->n,
					.is_stderr = m->is_stderr,
					.elapsed = m->elapsed };

	build_view_event(b->view, b->jobs[job].label, &ev);
}

static void on_fetch(struct build_jobs *b, struct worker *w, const struct message *m)
{
	w->wants = xstrndup(m->text, m->n);
	b->n_waiting++;
}

static void on_built(struct build_jobs *b, size_t job, const struct message *m)
{
	snprintf(b->jobs[job].id, sizeof(b->jobs[job].id), "%.*s", (int)m->n, m->text);
	b->workers[job].built = b->workers[job].told = true;
}

static int on_failed(struct build_jobs *b, size_t job, const struct message *m, struct err *e)
{
	struct worker *w = &b->workers[job];
	struct err why = m->err;

	w->told = true;
	b->failed_vertex = vertex_of(b, w, m->vertex);
	if (!why.line)
		(void)err_wrap(&why, -why.code, "build %s", b->jobs[job].label);
	if (e)
		*e = why;
	return why.code ? -why.code : -EIO;
}

static void reap(struct build_jobs *b, struct worker *w)
{
	while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	w->pid = -1;
	w->sock = fd_close(w->sock);
	b->n_running--;
	if (w->wants)
		b->n_waiting--;
	free(TAKE_PTR(w->wants));
}

static int on_message(struct build_jobs *b, size_t job, struct err *e)
{
	static struct message m; /* large, and only one at a time */
	struct worker *w = &b->workers[job];

	if (!receive_message(w->sock, &m)) {
		reap(b, w);
		return w->told ? 0
			       : err_set(e, EIO, "build %s: its process died", b->jobs[job].label);
	}
	switch ((enum message_kind)m.kind) {
	case MESSAGE_EVENT:
		on_event(b, job, &m);
		return 0;
	case MESSAGE_FETCH:
		on_fetch(b, w, &m);
		return 0;
	case MESSAGE_BUILT:
		on_built(b, job, &m);
		return 0;
	case MESSAGE_FAILED:
		return on_failed(b, job, &m, e);
	case MESSAGE_FETCHED:
		break;
	}
	return err_set(e, EPROTO, "build %s: message %u", b->jobs[job].label, m.kind);
}

/* ---- the images they need --------------------------------------------------------------- */

/* The job that makes @ref, which is as a Dockerfile says it; NULL: none. */
static const struct worker *maker_of(const struct build_jobs *b, const char *ref)
{
	_cleanup_(ref_done) struct image_ref parsed = { 0 };
	_cleanup_(free_p) char *canonical = NULL;

	if (ref_parse(ref, &parsed, NULL) < 0)
		return NULL; /* the fetching will say so */
	canonical = ref_canonical(&parsed);
	for (size_t i = 0; i < b->n; i++)
		if (strv_has(b->jobs[i].builder.tags, canonical))
			return &b->workers[i];
	return NULL;
}

/* What was built here, or fetched for another, need not be fetched. */
static int answer(struct build_jobs *b, size_t job, struct err *e)
{
	struct worker *w = &b->workers[job];
	const char *platform = b->jobs[job].builder.o.platform;
	_cleanup_(free_p) char *ref = TAKE_PTR(w->wants);
	_cleanup_(free_p) char *key = xasprintf("%s %s", platform ?: "", ref);
	const struct worker *maker = maker_of(b, ref);
	struct message m = { .kind = MESSAGE_FETCHED };
	int r = 0;

	b->n_waiting--;
	if (!(maker && maker->built) && !strv_has(b->fetched, key)) {
		build_view_break(b->view);
		r = builder_fetch(b->ctx, ref, platform, b->quiet, &m.err);
		if (r == 0)
			strv_add(&b->fetched, key);
	}
	if (r == -ECANCELED) { /* ^C came to the fetching */
		if (e)
			*e = m.err;
		return r;
	}
	(void)send_message(w->sock, &m); /* gone: its end is read next */
	return 0;
}

/* An image that another service is about to build is waited for, unless all wait. */
static int answer_those_who_wait(struct build_jobs *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n; i++) {
		const struct worker *w = &b->workers[i];
		const struct worker *maker = w->wants ? maker_of(b, w->wants) : NULL;
		bool is_coming = maker && !maker->built && maker != w;

		if (w->wants && (!is_coming || b->n_waiting == b->n_running))
			r = answer(b, i, e);
	}
	return r;
}

/* ---- running ---------------------------------------------------------------------------- */

static bool is_ready(const struct build_jobs *b, size_t job)
{
	const struct build_job *j = &b->jobs[job];

	for (size_t i = 0; i < j->n_needs; i++)
		if (!b->workers[j->needs[i]].built)
			return false;
	return b->workers[job].pid == 0;
}

static int start(struct build_jobs *b, size_t job, struct err *e)
{
	struct worker *w = &b->workers[job];
	int p[2], r = fd_socketpair(SOCK_SEQPACKET, p, e);

	if (r < 0)
		return r;
	fflush(NULL); /* or the child's copy of what is buffered would be written, too */
	w->pid = fork();
	if (w->pid < 0) {
		r = err_errno(e, errno, "fork");
		w->pid = 0;
		fd_close(p[0]);
		fd_close(p[1]);
		return r;
	}
	if (w->pid == 0) {
		fd_close(p[0]);
		for (size_t i = 0; i < b->n; i++) /* or theirs would not end with us */
			if (b->workers[i].pid > 0)
				fd_close(b->workers[i].sock);
		job_main(b->ctx, &b->jobs[job], p[1]);
	}
	fd_close(p[1]);
	w->sock = p[0];
	b->n_running++;
	return 0;
}

static int start_ready(struct build_jobs *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n && b->n_running - b->n_waiting < b->most; i++)
		if (is_ready(b, i))
			r = start(b, i, e);
	return r;
}

/* @cancel: -EBADF while they end and nothing else is waited for. */
static int wait_for_work(struct build_jobs *b, const struct build_handler *h, int cancel,
			 struct err *e)
{
	_cleanup_(free_p) struct pollfd *p = xcalloc(b->n + 1, sizeof(*p));
	_cleanup_(free_p) size_t *jobs = xcalloc(b->n + 1, sizeof(*jobs));
	size_t used = 0;
	int r = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (b->workers[i].pid <= 0)
			continue;
		jobs[used] = i;
		p[used++] = (struct pollfd){ .fd = b->workers[i].sock, .events = POLLIN };
	}
	p[used] = (struct pollfd){ .fd = cancel, .events = POLLIN };
	if (poll(p, used + 1, h->tick ? TICK_MS : -1) < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[used].revents)
		return err_set(e, ECANCELED, "canceled");
	for (size_t i = 0; r == 0 && i < used; i++)
		if (p[i].revents)
			r = on_message(b, jobs[i], e);
	if (h->tick)
		h->tick(h->data);
	return r;
}

/* They take down what they run before they go. */
static void end_all(struct build_jobs *b, const struct build_handler *h)
{
	unsigned int failed = b->failed_vertex;

	for (size_t i = 0; i < b->n; i++)
		if (b->workers[i].pid > 0)
			(void)shutdown(b->workers[i].sock, SHUT_WR);
	while (b->n_running > 0)
		(void)wait_for_work(b, h, -EBADF, NULL); /* the first error is the one to show */
	b->failed_vertex = failed;
}

static size_t most_at_once(const struct context *ctx)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (ctx->global.parallel > 0)
		return (size_t)ctx->global.parallel;
	return (size_t)MAX(2 * processors, AT_ONCE_LEAST);
}

int build_jobs_run(struct context *ctx, struct build_job *jobs, size_t n, const char *mode,
		   bool quiet, struct err *e)
{
	struct build_jobs b = { .ctx = ctx, .jobs = jobs, .n = n, .quiet = quiet };
	struct build_handler h;
	int r = builder_display(ctx, mode, quiet, &b.view, &h, e);

	if (r < 0)
		return r;
	b.most = most_at_once(ctx);
	b.workers = xcalloc(n, sizeof(*b.workers));
	r = start_ready(&b, e);
	while (r == 0 && b.n_running > 0) {
		r = wait_for_work(&b, &h, h.cancel_fd, e);
		if (r == 0)
			r = start_ready(&b, e);
		if (r == 0)
			r = answer_those_who_wait(&b, e);
	}
	end_all(&b, &h);
	if (r < 0)
		build_view_excerpt(b.view, b.failed_vertex);
	build_view_free(b.view);
	for (size_t i = 0; i < n; i++)
		free(b.workers[i].vertices);
	free(b.workers);
	strv_free(b.fetched);
	return r;
}
