/* engine/supervise/nethelper.c: what is wanted, and a queue to the process.
 *
 * An *item* is one thing the process should hold (an endpoint, names, a forward,
 * the upstreams): the request that says so and our copies of its sockets.  Items
 * outlive processes: after a restart every item is simply sent again, in the
 * order in which they came to be.  An item found in an adopted process has
 * sockets but no request yet; it is "unclaimed" until somebody sets it.
 *
 * Messages are answered in order, so the queue of messages that were sent and
 * not yet acknowledged needs no search, and its head's age says whether the
 * process is alive.  Whatever goes wrong with the connection ends in one place:
 * the process is killed, its pidfd becomes readable, and on_death() starts over.
 */
#include "engine/supervise/nethelper.h"

#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/strv.h"
#include "engine/supervise/nethelper_process.h"

#define QUEUE_MAX   (4u * 1024 * 1024)
#define STUCK_NS    (5 * NSEC_PER_SEC)
#define SETTLE_NS   NSEC_PER_SEC
#define HEALTHY_NS  (10 * NSEC_PER_SEC) /* a life this long ends a series of deaths */
#define BACKOFF_MIN (100 * NSEC_PER_MSEC)
#define BACKOFF_MAX (30 * NSEC_PER_SEC)

struct item {
	json *request; /* NULL: unclaimed */
	int fds[2];
	size_t n_fds;
	bool held; /* the running process has the sockets */
};

struct message {
	struct message *next;
	uint64_t seq;
	char *text; /* NULL once sent */
	size_t len;
	char *label; /* for errors: "forward KEY" */
	int fds[2];  /* own copies */
	size_t n_fds;
};

struct nethelper {
	struct loop *loop;
	char *run_dir;
	nethelper_fn fn;
	void *data;
	struct nethelper_process process;
	struct source *sock_source, *death_source;
	struct source *stuck, *restart;
	uint64_t started, backoff;
	bool adopted;
	struct map items; /* "dns:ID", "names:ID", "forward:KEY", "upstreams:" */
	struct message *head, *tail, *unsent;
	uint64_t seq;
	size_t queued; /* bytes of messages not yet sent */
	struct err death;
};

static void item_free(struct item *i)
{
	json_unref(i->request);
	while (i->n_fds > 0)
		fd_close(i->fds[--i->n_fds]);
	free(i);
}

static void notify(struct nethelper *h, enum nethelper_event event, const struct err *e)
{
	if (h->fn)
		h->fn(h, event, e, h->data);
}

/* ---- the queue ----------------------------------------------------------- */

static void message_free(struct message *m)
{
	while (m->n_fds > 0)
		fd_close(m->fds[--m->n_fds]);
	free(m->text);
	free(m->label);
	free(m);
}

static void clear_queue(struct nethelper *h)
{
	while (h->head) {
		struct message *m = h->head;

		h->head = m->next;
		message_free(m);
	}
	h->tail = h->unsent = NULL;
	h->queued = 0;
	source_stop_timer(h->stuck);
}

static bool connected(const struct nethelper *h)
{
	return h->sock_source; /* gone as soon as the connection is, or the process */
}

/* 0: sent; -EAGAIN: no room at present. */
static int send_message(struct nethelper *h, struct message *m)
{
	int r = fd_send(h->process.sock, m->text, m->len, m->fds, m->n_fds);

	if (r < 0)
		return r;
	h->queued -= m->len;
	free(TAKE_PTR(m->text));
	while (m->n_fds > 0)
		fd_close(m->fds[--m->n_fds]);
	return 0;
}

/* Send what the socket takes.  A broken one is left to the pidfd: the process
 * has died, or is made to. */
static void flush(struct nethelper *h)
{
	while (h->unsent) {
		int r = send_message(h, h->unsent);

		if (r < 0 && r != -EAGAIN)
			nethelper_process_kill(&h->process);
		if (r < 0)
			break;
		h->unsent = h->unsent->next;
	}
	(void)source_set_events(h->sock_source, EPOLLIN | (h->unsent ? EPOLLOUT : 0));
}

/* Queue @request, with copies of @fds. */
static void submit(struct nethelper *h, json *request, const int *fds, size_t n_fds)
{
	const char *key = json_get_str(request, "key");
	struct message *m;

	if (!connected(h))
		return; /* the items will be sent when there is a process again */
	m = new0(struct message);
	m->seq = ++h->seq;
	json_put_u64(request, "seq", m->seq);
	m->text = xstrdup(json_text(request));
	m->len = strlen(m->text);
	m->label = xasprintf("%s %s", json_get_str(request, "op"), key ? key : "");
	for (size_t i = 0; i < n_fds; i++) {
		m->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (m->fds[i] >= 0)
			m->n_fds++; /* the process refuses an incomplete set, and says so */
	}
	if (!h->head)
		source_set_timer(h->stuck, STUCK_NS);
	*(h->tail ? &h->tail->next : &h->head) = m;
	h->tail = m;
	if (!h->unsent)
		h->unsent = m;
	h->queued += m->len;
	flush(h);
	if (h->queued > QUEUE_MAX)
		nethelper_process_kill(&h->process);
}

static void on_stuck(struct source *s, void *data)
{
	struct nethelper *h = data;

	(void)err_set(&h->death, ETIMEDOUT, "comp-nethelper (pid %d) did not answer for %u s",
		      h->process.pid, (unsigned int)(STUCK_NS / NSEC_PER_SEC));
	nethelper_process_kill(&h->process);
}

static void take_answer(struct nethelper *h, json *answer)
{
	struct message *m = h->head;
	const char *error = json_get_str(answer, "error");
	struct err e = ERR_INIT;

	if (!m || m == h->unsent || json_get_u64(answer, "seq", 0) != m->seq)
		return; /* the rest of a conversation that timed out */
	h->head = m->next;
	if (!h->head)
		h->tail = NULL;
	if (h->head)
		source_set_timer(h->stuck, STUCK_NS);
	else
		source_stop_timer(h->stuck);
	if (error)
		(void)err_set(&e, (int)json_get_int(answer, "code", EIO), "comp-nethelper: %s: %s",
			      m->label, error);
	message_free(m);
	if (error)
		notify(h, NETHELPER_REFUSED, &e);
}

static void on_sock(struct source *s, int fd, uint32_t events, void *data)
{
	struct nethelper *h = data;
	char text[4096];

	if (events & EPOLLOUT)
		flush(h);
	for (int i = 0; i < 64 && fd == h->process.sock; i++) {
		_cleanup_(json_unrefp) json *answer = NULL;
		size_t no_fds = 0;
		ssize_t n = fd_recv(fd, text, sizeof(text), NULL, &no_fds);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			source_clear(&h->sock_source);
			nethelper_process_kill(&h->process);
			return;
		}
		if (json_parse(text, (size_t)n, &answer, NULL) == 0)
			take_answer(h, answer);
	}
}

/* ---- the process --------------------------------------------------------- */

static void on_death(struct source *s, int fd, uint32_t events, void *data);

static int watch_process(struct nethelper *h, struct err *e)
{
	int r = loop_add_fd(h->loop, h->process.pidfd, EPOLLIN, on_death, h, &h->death_source, e);

	if (r == 0)
		r = loop_add_fd(h->loop, h->process.sock, EPOLLIN, on_sock, h, &h->sock_source, e);
	h->started = now_mono_ns();
	return r;
}

static void unwatch_process(struct nethelper *h)
{
	source_clear(&h->sock_source);
	source_clear(&h->death_source);
	clear_queue(h);
}

static void send_item(struct nethelper *h, struct item *i)
{
	submit(h, i->request, i->fds, i->held ? 0 : i->n_fds);
	i->held = i->n_fds > 0 && connected(h);
}

static int spawn_process(struct nethelper *h, struct err *e)
{
	int r = nethelper_process_spawn(h->run_dir, &h->process, e);

	if (r < 0)
		return r;
	r = watch_process(h, e);
	if (r < 0) {
		unwatch_process(h);
		(void)nethelper_process_end(&h->process, NULL); /* the first error is the one */
		return r;
	}
	MAP_FOREACH (entry, &h->items) {
		struct item *i = entry->value;

		i->held = false;
		if (i->request)
			send_item(h, i);
	}
	return 0;
}

static void lengthen_backoff(struct nethelper *h)
{
	h->backoff = h->backoff ? MIN(h->backoff * 2, BACKOFF_MAX) : BACKOFF_MIN;
}

static void try_restart(struct nethelper *h)
{
	struct err e = ERR_INIT, death = h->death;

	if (spawn_process(h, &e) == 0) {
		h->death = ERR_INIT;
		notify(h, NETHELPER_RESTARTED, &death);
		return;
	}
	lengthen_backoff(h);
	source_set_timer(h->restart, h->backoff);
	notify(h, NETHELPER_FAILED, &e);
}

static void on_restart(struct source *s, void *data)
{
	try_restart(data);
}

static void on_death(struct source *s, int fd, uint32_t events, void *data)
{
	struct nethelper *h = data;
	char text[64];

	nethelper_process_reap(&h->process, text, sizeof(text));
	if (!h->death.code)
		(void)err_set(&h->death, ESRCH, "comp-nethelper (pid %d) %s", h->process.pid, text);
	unwatch_process(h);
	nethelper_process_done(&h->process);
	if (now_mono_ns() - h->started >= HEALTHY_NS)
		h->backoff = 0;
	/* The first one is replaced at once, the next ones after a while. */
	source_set_timer(h->restart, h->backoff);
	lengthen_backoff(h);
}

/* ---- adopting ------------------------------------------------------------ */

/* Note an item the process holds, with copies of its sockets. */
static int adopt_item(struct nethelper *h, const char *name, uint64_t deadline, struct err *e)
{
	_cleanup_(json_unrefp) json *request = json_new_object(), *answer = NULL;
	const char *key = skip_prefix(name, "dns:");
	const char *kind = key ? "dns" : "forward";
	struct item *i = new0(struct item);
	int r;

	i->n_fds = ARRAY_SIZE(i->fds);
	i->held = true;
	if (!key)
		key = skip_prefix(name, "forward:");
	if (!key) { /* names have no sockets */
		i->n_fds = 0;
		map_put(&h->items, name, i);
		return 0;
	}
	json_put_str(request, "op", "fetch");
	json_put_str(request, "kind", kind);
	json_put_str(request, "key", key);
	r = nethelper_process_ask(&h->process, request, deadline, &answer, i->fds, &i->n_fds, e);
	if (r < 0) {
		i->n_fds = 0;
		item_free(i);
		return r;
	}
	map_put(&h->items, name, i);
	return 0;
}

/* One page of what the process holds; *next becomes -1 on the last one. */
static int adopt_page(struct nethelper *h, int64_t *next, int64_t *version, uint64_t deadline,
		      struct err *e)
{
	_cleanup_(json_unrefp) json *request = json_new_object(), *answer = NULL;
	json *held;
	int r;

	json_put_str(request, "op", "hello");
	json_put_int(request, "from", *next);
	r = nethelper_process_ask(&h->process, request, deadline, &answer, NULL, NULL, e);
	if (r < 0)
		return r;
	*version = json_get_int(answer, "version", 0);
	*next = json_get_int(answer, "next", -1);
	held = json_get(answer, "held");
	for (size_t k = 0; k < json_len(held) && r == 0; k++)
		if (json_str(json_at(held, k)))
			r = adopt_item(h, json_str(json_at(held, k)), deadline, e);
	return r;
}

static int adopt(struct nethelper *h, struct err *e)
{
	uint64_t deadline = now_mono_ns() + NETHELPER_ANSWER_NS;
	int64_t next = 0, version = 0;
	int r = 0;

	while (r == 0 && next >= 0)
		r = adopt_page(h, &next, &version, deadline, e);
	if (r == 0 && version == NETHELPER_VERSION) {
		h->adopted = true;
		return watch_process(h, e);
	}
	/* Hung in the middle, or of another version: its sockets, as far as we have
	 * copies, go to a new one. */
	r = nethelper_process_end(&h->process, e);
	return r < 0 ? r : spawn_process(h, e);
}

/* ---- the interface ------------------------------------------------------- */

static struct nethelper *new_nethelper(struct loop *l, const char *run_dir, nethelper_fn fn,
				       void *data)
{
	struct nethelper *h = new0(struct nethelper);

	h->loop = l;
	h->run_dir = xstrdup(run_dir);
	h->fn = fn;
	h->data = data;
	h->process = NETHELPER_PROCESS_INIT;
	h->items = MAP_INIT_FREE(item_free);
	h->stuck = loop_add_timer(l, STUCK_NS, on_stuck, h);
	h->restart = loop_add_timer(l, 0, on_restart, h);
	source_stop_timer(h->stuck);
	source_stop_timer(h->restart);
	return h;
}

int nethelper_take_over(struct loop *l, const char *run_dir, nethelper_fn fn, void *data,
			struct nethelper **out, struct err *e)
{
	struct nethelper *h = new_nethelper(l, run_dir, fn, data);
	int r = nethelper_process_find(run_dir, &h->process, e);

	*out = NULL;
	if (r == 0)
		r = adopt(h, e);
	if (r == 0) {
		*out = h;
		return 0;
	}
	nethelper_free(h);
	if (r == -ENOENT && e)
		*e = ERR_INIT;
	return r == -ENOENT ? 0 : err_wrap(e, r, "find comp-nethelper");
}

int nethelper_start(struct loop *l, const char *run_dir, nethelper_fn fn, void *data,
		    struct nethelper **out, struct err *e)
{
	struct nethelper *h = new_nethelper(l, run_dir, fn, data);
	int r = nethelper_process_find(run_dir, &h->process, e);

	if (r == 0)
		r = adopt(h, e);
	else if (r == -ENOENT)
		r = spawn_process(h, e);
	if (r < 0) {
		nethelper_free(h);
		return err_wrap(e, r, "start comp-nethelper");
	}
	if (e)
		*e = ERR_INIT; /* what find() said about there being none */
	*out = h;
	return 0;
}

void nethelper_free(struct nethelper *h)
{
	if (!h)
		return;
	unwatch_process(h);
	source_free(h->stuck);
	source_free(h->restart);
	nethelper_process_done(&h->process);
	map_done(&h->items);
	free(h->run_dir);
	free(h);
}

void nethelper_quit(struct nethelper *h)
{
	if (h)
		nethelper_process_quit(&h->process);
}

int nethelper_stop(struct nethelper *h, struct err *e)
{
	int r;

	if (!h)
		return 0;
	unwatch_process(h);
	r = nethelper_process_end(&h->process, e);
	if (r == 0)
		nethelper_process_clean(h->run_dir);
	nethelper_free(h);
	return r;
}

int nethelper_stop_project(const char *run_dir, struct err *e)
{
	struct nethelper_process p = NETHELPER_PROCESS_INIT;
	int r = nethelper_process_find(run_dir, &p, e);

	if (r == 0)
		r = nethelper_process_end(&p, e);
	nethelper_process_done(&p);
	if (r < 0 && r != -ENOENT)
		return r;
	nethelper_process_clean(run_dir);
	if (e)
		*e = ERR_INIT;
	return 0;
}

pid_t nethelper_pid(const struct nethelper *h)
{
	return h->process.pid;
}

bool nethelper_adopted(const struct nethelper *h)
{
	return h->adopted;
}

bool nethelper_settled(const struct nethelper *h)
{
	return connected(h) && !h->head;
}

void nethelper_settle(struct nethelper *h)
{
	uint64_t now, end = now_mono_ns() + SETTLE_NS;

	while (connected(h) && h->head && (now = now_mono_ns()) < end) {
		struct pollfd p = { .fd = h->process.sock,
				    .events = (short)(POLLIN | (h->unsent ? POLLOUT : 0)) };

		if (poll(&p, 1, (int)((end - now) / NSEC_PER_MSEC) + 1) > 0)
			on_sock(h->sock_source, h->process.sock, (uint32_t)p.revents, h);
	}
}

static struct item *item_at(const struct nethelper *h, const char *kind, const char *key)
{
	_cleanup_(free_p) char *name = xasprintf("%s:%s", kind, key);

	return map_get(&h->items, name);
}

static bool has_sockets(const struct nethelper *h, const char *kind, const char *key)
{
	const struct item *i = item_at(h, kind, key);

	return i && i->n_fds > 0;
}

bool nethelper_has_dns(const struct nethelper *h, const char *id)
{
	return has_sockets(h, "dns", id);
}

bool nethelper_has_forward(const struct nethelper *h, const char *key)
{
	return has_sockets(h, "forward", key);
}

/* Make @request what is wanted; takes @request and the @n_fds descriptors (0: keep). */
static int set_item(struct nethelper *h, const char *kind, const char *key, json *request,
		    const int *fds, size_t n_fds, struct err *e)
{
	_cleanup_(free_p) char *name = xasprintf("%s:%s", kind, key);
	struct item *i = map_get(&h->items, name);

	if (strlen(key) > NETHELPER_KEY_MAX ||
	    strlen(json_text(request)) > NETHELPER_MSG_MAX - 64) {
		for (size_t k = 0; k < n_fds; k++)
			fd_close(fds[k]);
		json_unref(request);
		return err_set(e, EMSGSIZE, "too much to tell comp-nethelper about %s %.64s", kind,
			       key);
	}
	if (!i) {
		i = new0(struct item);
		map_put(&h->items, name, i);
	}
	if (n_fds > 0) {
		while (i->n_fds > 0)
			fd_close(i->fds[--i->n_fds]);
		memcpy(i->fds, fds, n_fds * sizeof(*fds));
		i->n_fds = n_fds;
		i->held = false;
	}
	json_unref(i->request);
	i->request = request;
	send_item(h, i);
	return 0;
}

static void remove_item(struct nethelper *h, const char *name)
{
	_cleanup_(json_unrefp) json *request = json_new_object();
	_cleanup_(free_p) char *kind = xstrndup(name, strcspn(name, ":"));
	_cleanup_(free_p) char *op = xasprintf("%s_remove", kind);
	_cleanup_(free_p) char *key = xstrdup(name + strlen(kind) + 1);

	if (!map_remove(&h->items, name))
		return;
	json_put_str(request, "op", op);
	json_put_str(request, "key", key);
	submit(h, request, NULL, 0);
}

void nethelper_drop_unclaimed(struct nethelper *h)
{
	_cleanup_(strv_freep) char **names = NULL;

	MAP_FOREACH (entry, &h->items) {
		const struct item *i = entry->value;

		if (!i->request)
			strv_add(&names, entry->key);
	}
	STRV_FOREACH (name, names)
		remove_item(h, *name);
}

static json *new_request(const char *op, const char *key)
{
	json *request = json_new_object();

	json_put_str(request, "op", op);
	json_put_str(request, "key", key);
	return request;
}

/* Interface names become numbers here: the process has no way to look them up. */
static char **with_zone_numbers(char *const *servers)
{
	char **out = NULL;

	STRV_FOREACH (s, servers) {
		const char *zone = strchr(*s, '%');
		unsigned int index = zone ? if_nametoindex(zone + 1) : 0;

		if (index)
			strv_addf(&out, "%.*s%%%u", (int)(zone - *s), *s, index);
		else
			strv_add(&out, *s);
	}
	return out;
}

int nethelper_dns_set(struct nethelper *h, const struct nethelper_dns *dns, const int *fds,
		      struct err *e)
{
	_cleanup_(strv_freep) char **upstreams = with_zone_numbers(dns->upstreams);
	json *request;

	if (!fds && !nethelper_has_dns(h, dns->id))
		return err_set(e, ENOENT, "no DNS sockets are held for container %.12s", dns->id);
	request = new_request("dns", dns->id);
	json_put_strv(request, "networks", dns->networks);
	json_put_bool(request, "internal_only", dns->internal_only);
	json_put_strv(request, "upstreams", upstreams);
	json_put_strv(request, "links", dns->links);
	return set_item(h, "dns", dns->id, request, fds, fds ? 2 : 0, e);
}

int nethelper_names_set(struct nethelper *h, const char *id, const char *canonical,
			const struct nethelper_name *nets, size_t n, struct err *e)
{
	json *request = new_request("names", id), *list = json_new_array();

	json_put_str(request, "canonical", canonical);
	for (const struct nethelper_name *net = nets; net < nets + n; net++) {
		json *place = json_new_object();

		json_put_str(place, "network", net->network);
		json_put_strv(place, "names", net->names);
		json_put_str(place, "ipv4", net->ipv4);
		json_put_str(place, "ipv6", net->ipv6);
		json_push(list, place);
	}
	json_put(request, "networks", list);
	return set_item(h, "names", id, request, NULL, 0, e);
}

int nethelper_names_remove(struct nethelper *h, const char *id)
{
	_cleanup_(free_p) char *name = xasprintf("names:%s", id);

	remove_item(h, name);
	return 0;
}

int nethelper_upstreams_set(struct nethelper *h, char *const *servers, struct err *e)
{
	_cleanup_(strv_freep) char **numbered = with_zone_numbers(servers);
	json *request = new_request("upstreams", NULL);

	json_put_strv(request, "servers", numbered);
	return set_item(h, "upstreams", "", request, NULL, 0, e);
}

char *nethelper_forward_key(const char *id, const char *protocol, const char *address,
			    uint16_t host_port, uint16_t container_port)
{
	return xasprintf("%s/%s/%s/%u/%u", id, protocol, address, host_port, container_port);
}

int nethelper_forward_set(struct nethelper *h, const struct nethelper_forward *f, int fd,
			  struct err *e)
{
	json *request;

	if (fd < 0 && !nethelper_has_forward(h, f->key))
		return err_set(e, ENOENT, "no listening socket is held for %s", f->key);
	request = new_request("forward", f->key);
	json_put_str(request, "protocol", f->protocol);
	json_put_str(request, "target", f->target);
	json_put_int(request, "port", f->port);
	return set_item(h, "forward", f->key, request, &fd, fd >= 0 ? 1 : 0, e);
}

int nethelper_forward_remove(struct nethelper *h, const char *key)
{
	_cleanup_(free_p) char *name = xasprintf("forward:%s", key);

	remove_item(h, name);
	return 0;
}

void nethelper_remove_container(struct nethelper *h, const char *id)
{
	_cleanup_(free_p) char *dns = xasprintf("dns:%s", id), *names = xasprintf("names:%s", id);
	_cleanup_(free_p) char *prefix = xasprintf("forward:%s/", id);
	_cleanup_(strv_freep) char **forwards = NULL;

	MAP_FOREACH (entry, &h->items)
		if (skip_prefix(entry->key, prefix))
			strv_add(&forwards, entry->key);
	STRV_FOREACH (name, forwards)
		remove_item(h, *name);
	remove_item(h, names);
	remove_item(h, dns);
}
