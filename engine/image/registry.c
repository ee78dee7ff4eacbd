/* engine/image/registry.c: see registry.h.
 *
 * A body comes through a pipe of its own, so back pressure, order and the end of it
 * are the kernel's; the helper never has a file of ours in its hands.  A call is over
 * when its pipe has ended and its last message is there, in whichever order.
 */
#include "engine/image/registry.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "engine/image/config.h"
#include "engine/image/fetch.h"
#include "engine/image/fetch_env.h"

#define CHUNK     (256U << 10)
#define PIPE_SIZE (1 << 20)
#define RUN_BYTES (4U << 20) /* of one body, before others get their turn */

struct registry_call {
	int64_t id;
	struct registry_request q;
	struct registry_answer a;
	struct hasher *hasher;
	int pipe; /* -EBADF: no body, or all of it is here */
	bool answered;
	struct registry_call *next;
};

struct registries {
	struct registry_config config;
	pid_t pid;
	int pidfd, sock;
	int64_t last_id;
	struct registry_call *calls;
	char *endpoints[FETCH_ENDPOINTS]; /* URLs */
	char *who[FETCH_ENDPOINTS];
	int n_endpoints;
	char *chunk;
};

int registries_new(struct registries **out, struct err *e)
{
	struct registries *r = new0(struct registries);
	int x = registry_config_load(&r->config, e);

	if (x < 0) {
		free(r);
		return x;
	}
	r->sock = r->pidfd = -EBADF;
	r->chunk = xmalloc(CHUNK);
	*out = r;
	return 0;
}

void registry_answer_done(struct registry_answer *a)
{
	buf_done(&a->body);
	free(a->type);
	free(a->said);
	*a = (struct registry_answer){ 0 };
}

static void call_free(struct registries *r, struct registry_call *c)
{
	struct registry_call **p = &r->calls;

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p)
		*p = c->next;
	fd_close(c->pipe);
	hasher_free(c->hasher);
	registry_answer_done(&c->a);
	free(c);
}

void registries_free(struct registries *r)
{
	if (!r)
		return;
	while (r->calls)
		call_free(r, r->calls);
	fd_close(r->sock); /* that ends it; the signal is for one that hangs */
	if (r->pid > 0) {
		(void)kill(r->pid, SIGKILL); /* ours and not yet waited for */
		(void)spawn_wait(r->pid);
	}
	fd_close(r->pidfd);
	for (int i = 0; i < r->n_endpoints; i++) {
		free(r->endpoints[i]);
		free(r->who[i]);
	}
	registry_config_done(&r->config);
	free(r->chunk);
	free(r);
}

const struct registry_config *registries_config(const struct registries *r)
{
	return &r->config;
}

const char *registries_who(const struct registries *r, int endpoint)
{
	return r->who[endpoint];
}

/* ---- the helper --------------------------------------------------------------------- */

char **fetch_environment(void)
{
	static const char *const names[] = { "http_proxy",   "https_proxy", "no_proxy",
					     "all_proxy",    "HTTP_PROXY",  "HTTPS_PROXY",
					     "NO_PROXY",     "ALL_PROXY",   "SSL_CERT_FILE",
					     "SSL_CERT_DIR", "ASAN_OPTIONS" };
	char **env = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (getenv(names[i]))
			strv_env_set(&env, names[i], getenv(names[i]));
	strv_add(&env, "PATH=/usr/bin:/bin");
	return env;
}

static int send_request(struct registries *r, json *o, const int *fds, size_t n_fds, struct err *e)
{
	const char *text = json_text(o);
	int x;

	if (strlen(text) > FETCH_MESSAGE_MAX)
		return err_set(e, EMSGSIZE, "a request to comp-fetch is too long");
	x = fd_send(r->sock, text, strlen(text), fds, n_fds);
	while (x == -EAGAIN) {
		struct pollfd p = { .fd = r->sock, .events = POLLOUT };

		(void)poll(&p, 1, 1000);
		x = fd_send(r->sock, text, strlen(text), fds, n_fds);
	}
	return x < 0 ? err_errno(e, -x, "speak to comp-fetch") : 0;
}

static int start_helper(struct registries *r, struct err *e)
{
	_cleanup_(free_p) char *path = spawn_helper_path("comp-fetch");
	_cleanup_(strv_freep) char **env = fetch_environment();
	_cleanup_(json_unrefp) json *setup = json_new_object();
	char *argv[] = { "comp-fetch", NULL };
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int pair[2], x;

	if (r->sock >= 0)
		return 0;
	x = fd_socketpair(SOCK_SEQPACKET, pair, e);
	if (x < 0)
		return x;
	o.path = path;
	o.argv = argv;
	o.env = env;
	o.pass = &pair[1];
	o.n_pass = 1;
	o.die_with_parent = true;
	o.new_session = true; /* a ^C is ours to hear */
	x = spawn_start(&o, &r->pid, &r->pidfd, e);
	fd_close(pair[1]);
	if (x < 0) {
		r->pid = 0;
		fd_close(pair[0]);
		return x;
	}
	r->sock = pair[0];
	(void)fd_set_nonblock(r->sock, true);
	json_put_str(setup, "op", "setup");
	json_put_u64(setup, "timeout", r->config.timeout);
	return send_request(r, setup, NULL, 0, e);
}

/* ---- endpoints ------------------------------------------------------------------------ */

static int find_credentials(const struct registry_endpoint *p, struct credentials *out,
			    struct err *e)
{
	int x = credentials_find(p->domain, out, e);

	if (x == -ENOENT) {
		if (e)
			*e = ERR_INIT;
		return 0;
	}
	return x < 0 ? err_wrap(e, x, "credentials for %s", p->domain) : 0;
}

static int add_cert(json *names, int *fds, size_t *n, const char *name, const struct buf *text,
		    struct err *e)
{
	int fd;

	if (!text->len)
		return 0;
	fd = memfd_sealed(name, text->data, text->len, e);
	if (fd < 0)
		return fd;
	json_push_str(names, name);
	fds[(*n)++] = fd;
	return 0;
}

static int send_endpoint(struct registries *r, const struct registry_endpoint *p,
			 const struct credentials *c, const struct registry_certs *certs,
			 struct err *e)
{
	_cleanup_(json_unrefp) json *o = json_new_object();
	json *names = json_new_array();
	int fds[3], x;
	size_t n = 0;

	json_put_str(o, "op", "endpoint");
	json_put_int(o, "n", r->n_endpoints);
	json_put_str(o, "url", p->url);
	json_put_bool(o, "insecure", p->insecure);
	json_put_str(o, "user", c->user);
	json_put_str(o, "secret", c->secret);
	json_put_str(o, "identity", c->identity);
	json_put_str(o, "token", c->token);
	json_put_str(o, "source", c->source);
	json_put(o, "certs", names);
	x = add_cert(names, fds, &n, "ca", &certs->ca, e);
	if (x == 0)
		x = add_cert(names, fds, &n, "cert", &certs->cert, e);
	if (x == 0)
		x = add_cert(names, fds, &n, "key", &certs->key, e);
	if (x == 0)
		x = send_request(r, o, fds, n, e);
	while (n)
		fd_close(fds[--n]);
	return x;
}

int registries_endpoint(struct registries *r, const struct registry_endpoint *p,
			const struct credentials *login, struct err *e)
{
	_cleanup_(credentials_done) struct credentials found = { 0 };
	_cleanup_(registry_certs_done) struct registry_certs certs = { 0 };
	int x;

	for (int i = 0; i < r->n_endpoints && !login; i++)
		if (streq(r->endpoints[i], p->url))
			return i;
	if (r->n_endpoints == FETCH_ENDPOINTS)
		return err_set(e, E2BIG, "more than %d registries in one command", FETCH_ENDPOINTS);
	x = start_helper(r, e);
	if (x == 0 && !login)
		x = find_credentials(p, &found, e);
	if (x == 0)
		x = registry_config_certs(&r->config, p, &certs, e);
	if (x == 0)
		x = send_endpoint(r, p, login ? login : &found, &certs, e);
	if (x < 0)
		return x;
	r->endpoints[r->n_endpoints] = xstrdup(p->url);
	r->who[r->n_endpoints] = xstrdup_null((login ? login : &found)->source);
	return r->n_endpoints++;
}

/* ---- calls ------------------------------------------------------------------------------ */

static const char *op_name(const struct registry_request *q)
{
	switch (q->op) {
	case REGISTRY_UPLOAD:
		return "upload";
	case REGISTRY_PUT:
		return "put";
	case REGISTRY_CHECK:
		return "check";
	default:
		return "get";
	}
}

static json *request_of(const struct registry_call *c)
{
	const struct registry_request *q = &c->q;
	json *o = json_new_object();

	json_put_str(o, "op", op_name(q));
	json_put_int(o, "id", c->id);
	json_put_int(o, "endpoint", q->endpoint);
	json_put_str(o, "repo", q->repo);
	json_put_str(o, "path", q->path);
	json_put_str(o, "digest", q->digest);
	json_put_str(o, "from", q->from);
	json_put_str(o, "type", q->type);
	json_put_str(o, "actions", q->push ? "pull,push" : "pull");
	json_put_bool(o, "head", q->op == REGISTRY_HEAD);
	if (q->op == REGISTRY_GET) {
		json_put_u64(o, "max", q->size);
		json_put_bool(o, "resume", q->fd >= 0);
	} else {
		json_put_u64(o, "size", q->size);
	}
	return o;
}

int registry_start(struct registries *r, const struct registry_request *q,
		   struct registry_call **out, struct err *e)
{
	_cleanup_(fd_closep) int theirs = -EBADF;
	_cleanup_(json_unrefp) json *o = NULL;
	struct registry_call *c = new0(struct registry_call);
	int p[2], x = 0, pass = q->fd;

	c->id = ++r->last_id;
	c->q = *q;
	c->pipe = -EBADF;
	if (q->op == REGISTRY_GET) {
		x = fd_pipe(p, e);
		if (x == 0) {
			c->pipe = p[0];
			pass = theirs = p[1];
			c->hasher = hasher_new();
			(void)fd_set_nonblock(c->pipe, true);
			(void)fcntl(c->pipe, F_SETPIPE_SZ, PIPE_SIZE); /* smaller is slower */
		}
	}
	o = request_of(c);
	c->next = r->calls;
	r->calls = c;
	if (x == 0)
		x = send_request(r, o, &pass, pass >= 0 ? 1 : 0, e);
	if (x < 0) {
		call_free(r, c);
		return x;
	}
	*out = c;
	return 0;
}

void registry_cancel(struct registries *r, struct registry_call *c)
{
	_cleanup_(json_unrefp) json *o = json_new_object();

	if (!c)
		return;
	json_put_str(o, "op", "cancel");
	json_put_int(o, "id", c->id);
	call_free(r, c);
	(void)send_request(r, o, NULL, 0, NULL); /* a dead helper does nothing any more */
}

/* ---- bodies -------------------------------------------------------------------------------- */

static void fail_call(struct registry_call *c, int code, const char *text)
{
	if (!c->a.e.code)
		err_set(&c->a.e, code, "%s", text);
	c->pipe = fd_close(c->pipe);
}

static void take_chunk(struct registry_call *c, const char *p, size_t n)
{
	int x;

	if (c->a.size + n > c->q.size) {
		fail_call(c, EBADMSG, "the registry sends more than it announced");
		return;
	}
	hasher_add(c->hasher, p, n);
	c->a.size += n;
	if (c->q.fd < 0) {
		buf_add(&c->a.body, p, n);
		return;
	}
	x = fd_write_all(c->q.fd, p, n);
	if (x < 0) {
		err_errno(&c->a.e, -x, "write a layer");
		if (x == -ENOSPC)
			err_set(&c->a.e, ENOSPC, "no space left on device");
		c->pipe = fd_close(c->pipe);
	}
}

static void read_body(struct registries *r, struct registry_call *c)
{
	uint64_t before = c->a.size;

	while (c->pipe >= 0 && c->a.size - before < RUN_BYTES) {
		ssize_t n = read(c->pipe, r->chunk, CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n > 0)
			take_chunk(c, r->chunk, (size_t)n);
		else if (n == 0)
			c->pipe = fd_close(c->pipe);
		else
			fail_call(c, errno, "reading from comp-fetch failed");
	}
	if (c->a.size != before && c->q.progress && c->pipe >= 0)
		c->q.progress(c->q.data, c->a.size, NULL, 0);
}

/* ---- messages ------------------------------------------------------------------------------- */

static struct registry_call *find_call(struct registries *r, int64_t id)
{
	struct registry_call *c = r->calls;

	while (c && c->id != id)
		c = c->next;
	return c;
}

static char *copy_word(json *o, const char *key)
{
	const char *s = json_get_str(o, key);

	return s && strlen(s) < 256 ? xstrdup(s) : NULL;
}

static void on_end(struct registry_call *c, json *o, bool ok)
{
	const char *hint = json_get_str(o, "hint");
	int64_t code = json_get_int(o, "code", EIO);

	c->answered = true;
	c->a.status = (int)json_get_int(o, "status", 0);
	c->a.type = copy_word(o, "type");
	c->a.said = copy_word(o, "digest");
	c->a.exists = json_get_bool(o, "exists", false);
	if (ok || c->a.e.code)
		return;
	err_set(&c->a.e, code > 0 && code < 4096 ? (int)code : EIO, "%s",
		json_get_str(o, "text") ?: "it failed");
	if (hint)
		(void)err_hint(&c->a.e, "%s", hint);
}

static void on_message(struct registries *r, json *o)
{
	struct registry_call *c = find_call(r, json_get_int(o, "id", 0));
	const char *event = json_get_str(o, "event");

	if (!c || !event || c->answered)
		return; /* of a call that was cancelled */
	if (streq(event, "done") || streq(event, "error"))
		on_end(c, o, streq(event, "done"));
	else if (streq(event, "sent") && c->q.progress)
		c->q.progress(c->q.data, json_get_u64(o, "bytes", 0), NULL, 0);
	else if (streq(event, "retry") && c->q.progress)
		c->q.progress(c->q.data, c->a.size, json_get_str(o, "text") ?: "",
			      json_get_u64(o, "delay", 0));
}

static int read_messages(struct registries *r, struct err *e)
{
	_cleanup_(free_p) char *text = xmalloc(FETCH_MESSAGE_MAX);

	for (;;) {
		_cleanup_(json_unrefp) json *o = NULL;
		size_t none = 0;
		ssize_t n = fd_recv(r->sock, text, FETCH_MESSAGE_MAX, NULL, &none);

		if (n == -EAGAIN)
			return 0;
		if (n <= 0)
			return err_set(e, EPIPE, "comp-fetch ended unexpectedly");
		if (json_parse(text, (size_t)n, &o, NULL) < 0 || !json_is_object(o))
			return err_set(e, EPROTO, "comp-fetch sent a message that makes no sense");
		on_message(r, o);
	}
}

static bool finish_one(struct registries *r)
{
	for (struct registry_call *c = r->calls; c; c = c->next) {
		bool broken = c->a.e.code && c->pipe < 0;
		struct registry_answer a;
		registry_done_fn done = c->q.done;
		void *data = c->q.data;

		if (!broken && (!c->answered || c->pipe >= 0))
			continue;
		if (c->hasher)
			hasher_end(c->hasher, c->a.digest);
		a = c->a;
		c->a = (struct registry_answer){ 0 };
		if (c->answered)
			call_free(r, c);
		else
			registry_cancel(r, c);
		done(data, &a);
		registry_answer_done(&a);
		return true;
	}
	return false;
}

size_t registries_poll(struct registries *r, struct pollfd *p, size_t max)
{
	size_t n = 0;

	if (r->sock >= 0 && n < max)
		p[n++] = (struct pollfd){ .fd = r->sock, .events = POLLIN };
	for (struct registry_call *c = r->calls; c && n < max; c = c->next)
		if (c->pipe >= 0)
			p[n++] = (struct pollfd){ .fd = c->pipe, .events = POLLIN };
	return n;
}

int registries_run(struct registries *r, struct err *e)
{
	int x = r->sock >= 0 ? read_messages(r, e) : 0;

	for (struct registry_call *c = r->calls; c; c = c->next)
		if (c->pipe >= 0)
			read_body(r, c);
	while (finish_one(r))
		;
	return x;
}

struct waiter {
	struct registry_answer *a;
	bool done;
};

static void on_waited(void *data, struct registry_answer *a)
{
	struct waiter *w = data;

	*w->a = *a;
	*a = (struct registry_answer){ 0 };
	w->done = true;
}

int registry_ask(struct registries *r, const struct registry_request *request, int cancel_fd,
		 struct registry_answer *a, struct err *e)
{
	struct waiter w = { .a = a };
	struct registry_request q = *request;
	struct registry_call *call = NULL;
	int x;

	*a = (struct registry_answer){ 0 };
	q.done = on_waited;
	q.data = &w;
	q.progress = NULL;
	x = registry_start(r, &q, &call, e);
	while (x == 0 && !w.done) {
		struct pollfd p[8] = { { .fd = cancel_fd, .events = POLLIN } };
		size_t n = 1 + registries_poll(r, p + 1, ARRAY_SIZE(p) - 1);

		(void)poll(p, n, -1); /* EINTR: look again */
		if (p[0].revents & POLLIN)
			x = -ECANCELED;
		else
			x = registries_run(r, e);
	}
	if (x < 0 && !w.done)
		registry_cancel(r, call);
	if (x == 0 && a->e.code) {
		if (e)
			*e = a->e;
		x = -a->e.code;
	}
	return x;
}
