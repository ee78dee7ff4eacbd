/* engine/image/download.c: comp's side: the body comes through a pipe, and is hashed on
 * its way into the file; what the server said comes as one message after it.
 */
#include "engine/image/download.h"

#include <sys/socket.h>
#include <time.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "engine/image/fetch.h"
#include "engine/image/fetch_env.h"

#define CHUNK (256U << 10)

static int take_body(int from, int to, struct download *out, struct err *e)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(free_p) char *chunk = xmalloc(CHUNK);
	ssize_t n;

	while ((n = read(from, chunk, CHUNK)) != 0) {
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "read");
		hasher_add(h, chunk, (size_t)n);
		out->size += (uint64_t)n;
		r = fd_write_all(to, chunk, (size_t)n);
		if (r < 0)
			return err_errno(e, -r, "write");
	}
	hasher_end(h, out->digest);
	return 0;
}

static uint64_t http_time(const char *text)
{
	struct tm tm = { 0 };
	time_t t;

	if (!text || !strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		return 0;
	t = timegm(&tm);
	return t > 0 ? (uint64_t)t * NSEC_PER_SEC : 0;
}

static int take_answer(int sock, struct download *out, struct err *e)
{
	_cleanup_(free_p) char *text = xmalloc(FETCH_MESSAGE_MAX);
	_cleanup_(json_unrefp) json *m = NULL;
	size_t n_fds = 0;
	ssize_t n = fd_recv(sock, text, FETCH_MESSAGE_MAX, NULL, &n_fds);
	int64_t status;
	int r;

	if (n <= 0)
		return err_set(e, EIO, "comp-fetch died");
	r = json_parse(text, (size_t)n, &m, e);
	if (r < 0)
		return r;
	if (json_get_str(m, "error"))
		return err_set(e, EIO, "%.300s", json_get_str(m, "error"));
	status = json_get_int(m, "status", 0);
	if (status != 200)
		return err_set(e, status == 404 ? ENOENT : EIO, "invalid response status %d",
			       (int)status);
	out->modified = http_time(json_get_str(m, "modified"));
	return 0;
}

int download(const char *url, int fd, struct download *out, struct err *e)
{
	_cleanup_(free_p) char *path = spawn_helper_path("comp-fetch");
	_cleanup_(strv_freep) char **env = fetch_environment();
	_cleanup_(fd_closep) int sock = -EBADF, body = -EBADF, pidfd = -EBADF;
	char *argv[] = { (char *)"comp-fetch", (char *)"download", (char *)url, NULL };
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int pair[2], p[2], pass[2], r;
	pid_t pid;

	*out = (struct download){ 0 };
	r = fd_socketpair(SOCK_SEQPACKET, pair, e);
	if (r < 0)
		return r;
	sock = pair[0];
	r = fd_pipe(p, e);
	if (r < 0) {
		fd_close(pair[1]);
		return r;
	}
	body = p[0];
	pass[0] = pair[1];
	pass[1] = p[1];
	(void)fd_set_nonblock(p[1], true);
	o.path = path;
	o.argv = argv;
	o.env = env;
	o.pass = pass;
	o.n_pass = 2;
	o.die_with_parent = true;
	o.new_session = true; /* a ^C is ours to hear */
	r = spawn_start(&o, &pid, &pidfd, e);
	fd_close(pair[1]);
	fd_close(p[1]);
	if (r < 0)
		return r;
	r = take_body(body, fd, out, e);
	body = fd_close(body);
	if (r == 0)
		r = take_answer(sock, out, e);
	sock = fd_close(sock);
	(void)spawn_wait(pid);
	return r < 0 ? err_wrap(e, r, "%.300s", url) : 0;
}
