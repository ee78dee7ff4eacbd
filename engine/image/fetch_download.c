/* engine/image/fetch_download.c: see fetch_download.h.
 *
 * No credentials are sent, so a redirect leaks none; from https it leads to https only.
 */
#include "engine/image/fetch_download.h"

#include "base/fd.h"
#include "base/json.h"
#include "engine/image/fetch.h"
#include "engine/image/fetch_client.h"
#include "engine/image/fetch_http.h"

#define REDIRECTS_MAX 10
#define TIMEOUT       60 /* seconds */

struct get {
	bool done;
	int status;
	char *location, *modified;
	struct err e;
};

static void on_done(void *data, struct http_answer *a)
{
	struct get *g = data;

	g->done = true;
	g->status = a->status;
	g->e = a->e;
	g->location = xstrdup_null(a->location);
	g->modified = xstrdup_null(a->modified);
}

static int get_once(struct http *h, const char *url, struct get *g, struct err *e)
{
	char *const headers[] = { (char *)"Accept: */*", NULL };
	const struct http_tls tls = { .insecure = false };
	const struct http_request q = { .method = "GET",
					.url = url,
					.tls = &tls,
					.headers = headers,
					.timeout = TIMEOUT,
					.body_fd = -EBADF,
					.out_fd = FETCH_BODY_FD,
					.out_max = INT64_MAX };
	struct http_transfer *t;
	int r = http_start(h, &q, on_done, NULL, g, &t, e);

	while (r == 0 && !g->done) {
		char byte;
		size_t n_fds = 0;

		r = http_run(h, FETCH_SOCKET_FD, 1000, e);
		/* Nothing comes on it but its end: comp is gone. */
		if (r == 0 && !g->done && fd_recv(FETCH_SOCKET_FD, &byte, 1, NULL, &n_fds) == 0)
			return -ECONNRESET;
	}
	return r;
}

static void get_done(struct get *g)
{
	free(g->location);
	free(g->modified);
	*g = (struct get){ 0 };
}

static void answer(const struct get *g, const char *error)
{
	_cleanup_(json_unrefp) json *o = json_new_object();

	json_put_int(o, "status", g->status);
	json_put_str(o, "modified", g->modified);
	json_put_str(o, "error", error);
	(void)fd_send(FETCH_SOCKET_FD, json_text(o), strlen(json_text(o)), NULL, 0);
}

static bool is_redirect(const struct get *g)
{
	return g->location && (g->status == 301 || g->status == 302 || g->status == 303 ||
			       g->status == 307 || g->status == 308);
}

int fetch_download(struct http *h, const char *url, struct err *e)
{
	_cleanup_(free_p) char *at = xstrdup(url);
	const char *error = "too many redirects";
	struct get g = { 0 };
	int r = 0;

	(void)fd_set_nonblock(FETCH_SOCKET_FD, true);
	for (int i = 0; i < REDIRECTS_MAX; i++) {
		char *next;

		get_done(&g);
		r = get_once(h, at, &g, e);
		if (r < 0)
			break;
		error = g.e.code ? g.e.msg : NULL;
		if (error || !is_redirect(&g))
			break;
		next = fetch_resolve_url(at, g.location);
		error = "too many redirects";
		if (!next || (skip_prefix(at, "https:") && !skip_prefix(next, "https:"))) {
			free(next);
			error = "it redirects to where nobody should follow";
			break;
		}
		free(at);
		at = next;
	}
	fd_close(FETCH_BODY_FD);
	if (r == 0)
		answer(&g, error);
	get_done(&g);
	return r;
}
