/* engine/image/fetch_client.c: takes comp's requests, and knows what is at work.
 */
#include "engine/image/fetch_client.h"

#include "base/fd.h"
#include "engine/image/fetch.h"
#include "engine/image/fetch_internal.h"

static struct call *find_call(struct fetch_client *c, int64_t id)
{
	for (struct call *k = c->calls; k; k = k->next)
		if (k->id == id)
			return k;
	return NULL;
}

static int new_call(struct fetch_client *c, json *q, int fd, struct call **out, struct err *e)
{
	int64_t n = json_get_int(q, "endpoint", -1);
	struct call *k;

	if (n < 0 || n >= FETCH_ENDPOINTS || !c->endpoints[n].used || c->n_calls >= FETCH_CALLS) {
		fd_close(fd);
		return err_set(e, EINVAL, "a bad request");
	}
	k = new0(struct call);
	k->client = c;
	k->id = json_get_int(q, "id", 0);
	k->endpoint = &c->endpoints[n];
	k->repo = xstrdup_null(json_get_str(q, "repo"));
	k->path = xstrdup_null(json_get_str(q, "path"));
	k->digest = xstrdup_null(json_get_str(q, "digest"));
	k->type = xstrdup_null(json_get_str(q, "type"));
	k->actions = xstrdup_null(json_get_str(q, "actions"));
	k->from = xstrdup_null(json_get_str(q, "from"));
	k->head = json_get_bool(q, "head", false);
	k->resume = json_get_bool(q, "resume", false);
	k->size = json_get_u64(q, "size", 0);
	k->max = json_get_u64(q, "max", 0);
	k->fd = fd;
	k->next = c->calls;
	c->calls = k;
	c->n_calls++;
	*out = k;
	return 0;
}

static int start_call(struct fetch_client *c, json *q, const char *op, int fd, struct err *e)
{
	struct call *k = NULL;
	int r = new_call(c, q, fd, &k, e);

	if (r < 0)
		return r;
	k->kind = streq(op, "get")      ? CALL_GET
		  : streq(op, "upload") ? CALL_UPLOAD
		  : streq(op, "put")    ? CALL_PUT
					: CALL_CHECK;
	if (k->kind == CALL_GET && k->fd >= 0)
		(void)fd_set_nonblock(k->fd, true);
	call_begin(k);
	return 0;
}

int fetch_client_request(struct fetch_client *c, json *q, int *fds, size_t n_fds, struct err *e)
{
	const char *op = json_get_str(q, "op");
	int r = 0, fd = -EBADF;

	if (streq_null(op, "endpoint")) {
		r = fetch_endpoint_set(c, q, fds, n_fds, e);
	} else if (streq_null(op, "setup")) {
		c->timeout = (unsigned int)json_get_int(q, "timeout", 30);
	} else if (streq_null(op, "cancel")) {
		struct call *k = find_call(c, json_get_int(q, "id", 0));

		if (k)
			call_free(k);
	} else if (streq_null(op, "get") || streq_null(op, "upload") || streq_null(op, "put") ||
		   streq_null(op, "check")) {
		if (n_fds) {
			fd = fds[0];
			fds[0] = -EBADF;
		}
		r = start_call(c, q, op, fd, e);
	} else {
		r = err_set(e, EINVAL, "an unknown request");
	}
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
	return r;
}

int fetch_client_tick(struct fetch_client *c)
{
	uint64_t now = now_mono_ns(), next = UINT64_MAX;

	for (struct call *k = c->calls, *after; k; k = after) {
		after = k->next;
		if (!k->wait_until)
			continue;
		if (k->wait_until > now) {
			next = MIN(next, k->wait_until - now);
			continue;
		}
		k->wait_until = 0;
		if (k->step == STEP_TOKEN)
			call_ask_token(k);
		else
			call_start(k);
	}
	return next == UINT64_MAX ? 1000 : (int)MIN(next / NSEC_PER_MSEC + 1, UINT64_C(1000));
}

struct fetch_client *fetch_client_new(struct http *h, fetch_send_fn send, void *data)
{
	struct fetch_client *c = new0(struct fetch_client);

	c->http = h;
	c->send = send;
	c->data = data;
	c->timeout = 30;
	return c;
}

void fetch_client_free(struct fetch_client *c)
{
	if (!c)
		return;
	while (c->calls)
		call_free(c->calls);
	for (size_t i = 0; i < FETCH_ENDPOINTS; i++)
		fetch_endpoint_done(&c->endpoints[i]);
	free(c);
}
