/* net/proxy.c: the forwards by key; the work is in proxy_tcp.c and proxy_udp.c. */
#include "net/proxy.h"

#include <arpa/inet.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/strv.h"
#include "net/proxy_relay.h"

/* Two sockets and, while both directions are stuck, two pipes. */
#define FDS_PER_CONN 6
#define FDS_RESERVED 256

struct forward {
	int fd; /* owned by the relay */
	struct tcp_relay *tcp;
	struct udp_relay *udp;
};

struct proxy {
	struct relay_pool pool;
	struct map forwards;
};

static void forward_free(struct forward *f)
{
	tcp_relay_free(f->tcp);
	udp_relay_free(f->udp);
	free(f);
}

struct proxy *proxy_new(struct loop *l)
{
	struct proxy *p = new0(struct proxy);
	struct rlimit limit = { .rlim_cur = 1024 };

	(void)getrlimit(RLIMIT_NOFILE, &limit); /* the value above is the kernel's default */
	p->pool.loop = l;
	p->pool.max = 16;
	if (limit.rlim_cur > FDS_RESERVED + 16 * FDS_PER_CONN)
		p->pool.max = (size_t)(limit.rlim_cur - FDS_RESERVED) / FDS_PER_CONN;
	p->forwards = MAP_INIT_FREE(forward_free);
	return p;
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	map_done(&p->forwards);
	while (p->pool.pipes) {
		struct relay_pipe *pipe = p->pool.pipes;

		p->pool.pipes = pipe->next;
		fd_close(pipe->rd);
		fd_close(pipe->wr);
		free(pipe);
	}
	free(p);
}

static int parse_target(const struct proxy_forward_config *c, struct relay_address *a,
			struct err *e)
{
	memset(a, 0, sizeof(*a)); /* all of it: targets are compared by bytes */
	if (!c->target)
		return 0;
	if (inet_pton(AF_INET, c->target, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(c->port);
		a->len = sizeof(a->in);
		return 0;
	}
	if (inet_pton(AF_INET6, c->target, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(c->port);
		a->len = sizeof(a->in6);
		return 0;
	}
	return err_set(e, EINVAL, "\"%s\" is no address to forward to", c->target);
}

static int forward_new(struct proxy *p, bool udp, int fd, struct forward **out, struct err *e)
{
	struct forward *f = new0(struct forward);
	int r;

	f->fd = fd;
	r = udp ? udp_relay_new(&p->pool, fd, &f->udp, e) : tcp_relay_new(&p->pool, fd, &f->tcp, e);
	if (r < 0) {
		free(f);
		return r;
	}
	*out = f;
	return 0;
}

int proxy_forward_set(struct proxy *p, const struct proxy_forward_config *c, int fd, struct err *e)
{
	_cleanup_(fd_closep) int own = fd;
	struct forward *f = map_get(&p->forwards, c->key);
	bool udp = streq(c->protocol, "udp");
	struct relay_address target;
	int r;

	if (!udp && !streq(c->protocol, "tcp"))
		return err_set(e, EINVAL, "cannot forward protocol \"%s\"", c->protocol);
	r = parse_target(c, &target, e);
	if (r < 0)
		return r;
	if (!f && fd < 0)
		return err_set(e, ENOENT, "no listening socket for %s", c->key);
	if (fd >= 0) {
		r = forward_new(p, udp, TAKE_FD(own), &f, e);
		if (r < 0)
			return r;
		map_put(&p->forwards, c->key, f);
	}
	if (f->udp)
		udp_relay_set_target(f->udp, &target);
	else
		tcp_relay_set_target(f->tcp, &target);
	return 0;
}

bool proxy_forward_remove(struct proxy *p, const char *key)
{
	return map_remove(&p->forwards, key);
}

int proxy_forward_fd(struct proxy *p, const char *key)
{
	const struct forward *f = map_get(&p->forwards, key);

	return f ? f->fd : -EBADF;
}

char **proxy_forward_keys(struct proxy *p)
{
	char **keys = NULL;

	MAP_FOREACH (entry, &p->forwards)
		strv_add(&keys, entry->key);
	return keys;
}

void proxy_stats(const struct proxy *p, struct proxy_stats *out)
{
	*out = p->pool.stats;
}
