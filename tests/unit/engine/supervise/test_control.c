/* The control socket: frames in every shape, descriptors, peers that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/path.h"
#include "base/strv.h"
#include "engine/supervise/control.h"

struct world {
	char dir[32], *path;
	struct loop *loop;
	struct control_server *server;
	struct control_conn *last; /* that sent a message */
	char **log;                /* "op" or "op+N" with N descriptors, "closed" */
	int rounds;
	bool reply; /* answer each message with its own op */
};

static void on_message(struct control_conn *c, json *message, int *fds, size_t n_fds, void *data)
{
	struct world *w = data;
	const char *op = json_get_str(message, "op");

	w->last = c;
	if (n_fds)
		strv_addf(&w->log, "%s+%zu", op ? op : "?", n_fds);
	else
		strv_add(&w->log, op ? op : "?");
	if (w->reply)
		control_reply(c, json_ref(message), fds, n_fds);
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
}

static void on_closed(struct control_conn *c, void *data)
{
	struct world *w = data;

	strv_add(&w->log, "closed");
	if (w->last == c)
		w->last = NULL;
}

static int setup(void **state)
{
	struct world *w = new0(struct world);
	struct control_handler h = { on_message, on_closed, w };

	strcpy(w->dir, "/tmp/comp-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->path = path_join(w->dir, "control.sock");
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	assert_int_equal(control_listen(w->loop, w->path, &h, &w->server, NULL), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	control_server_free(w->server);
	loop_free(w->loop);
	strv_free(w->log);
	assert_int_equal(rm_rf(AT_FDCWD, w->dir, NULL), 0);
	free(w->path);
	free(w);
	return 0;
}

/* Due in every round, so that each round hears of whatever else is ready. */
static void on_round(struct source *s, void *data)
{
	struct world *w = data;

	if (--w->rounds > 0) {
		source_set_timer(s, 0);
		return;
	}
	source_free(s);
	loop_quit(w->loop, 0);
}

static void turn(struct world *w)
{
	w->rounds = 10;
	loop_add_timer(w->loop, 0, on_round, w);
	assert_int_equal(loop_run(w->loop, NULL), 0);
}

static void expect(struct world *w, const char *log)
{
	_cleanup_(free_p) char *text = strv_join(w->log, " ");

	assert_string_equal(text, log);
	strv_free(w->log);
	w->log = NULL;
}

static int dial(const struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, w->path);
	assert_int_equal(connect(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return sock;
}

static void frame(struct buf *b, const char *text)
{
	size_t n = strlen(text);
	char header[4] = { (char)n, (char)(n >> 8), (char)(n >> 16), (char)(n >> 24) };

	buf_add(b, header, sizeof(header));
	buf_adds(b, text);
}

static struct control_client *connect_to(const struct world *w)
{
	struct control_client *c = NULL;
	struct err e = ERR_INIT;

	if (control_connect(w->path, &c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

static void say(struct control_client *c, const char *op, const int *fds, size_t n_fds)
{
	_cleanup_(json_unrefp) json *j = json_new_object();

	json_put_str(j, "op", op);
	assert_int_equal(control_send(c, j, fds, n_fds, NULL), 0);
}

static void hear(struct control_client *c, const char *op)
{
	_cleanup_(json_unrefp) json *j = NULL;
	struct err e = ERR_INIT;

	if (control_receive(c, &j, NULL, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(json_get_str(j, "op"), op);
}

static void test_split_everywhere(void **state)
{
	struct world *w = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(fd_closep) int sock = dial(w);

	frame(&b, "{\"op\":\"one\"}");
	frame(&b, "{\"op\":\"two\"}");
	for (size_t at = 0; at <= b.len; at++) {
		assert_int_equal(fd_write_all(sock, b.data, at), 0);
		turn(w);
		assert_int_equal(fd_write_all(sock, b.data + at, b.len - at), 0);
		turn(w);
		expect(w, "one two");
	}
	for (size_t at = 0; at < b.len; at++) {
		assert_int_equal(fd_write_all(sock, b.data + at, 1), 0);
		turn(w);
	}
	expect(w, "one two");
}

static void test_bad_frames(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{ "\xff\xff\xff\xff", 4 }, /* longer than allowed */
		{ "\x01\0\0\x04{", 5 },    /* one byte longer */
		{ "\x02\0\0\0{x", 6 },     /* not JSON */
		{ "\0\0\0\0", 4 },         /* empty */
		{ "\x03\0\0\0{}}", 7 },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(fd_closep) int sock = dial(w);
		char c;

		assert_int_equal(fd_write_all(sock, bad[i].bytes, bad[i].n), 0);
		turn(w);
		expect(w, "closed");
		assert_int_equal(recv(sock, &c, 1, MSG_DONTWAIT), 0);
		assert_int_equal(control_server_connections(w->server), 0);
	}
	{
		/* Good ones before a bad one are still heard, and half a frame is none. */
		_cleanup_(fd_closep) int sock = dial(w);
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		frame(&b, "{\"op\":\"good\"}");
		frame(&b, "bad");
		frame(&b, "{\"op\":\"late\"}");
		assert_int_equal(fd_write_all(sock, b.data, b.len), 0);
		turn(w);
		expect(w, "good closed");
		sock = fd_close(sock);
		sock = dial(w);
		assert_int_equal(fd_write_all(sock, b.data, 5), 0);
		sock = fd_close(sock);
		turn(w);
		expect(w, "closed");
	}
}

static void test_large(void **state)
{
	struct world *w = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT, text = BUF_INIT;
	_cleanup_(fd_closep) int sock = dial(w);

	buf_adds(&text, "{\"op\":\"big\",\"x\":\"");
	for (int i = 0; i < 300000; i++)
		buf_addc(&text, 'x');
	buf_adds(&text, "\"}");
	frame(&b, buf_str(&text));
	assert_int_equal(fd_set_nonblock(sock, true), 0);
	for (size_t at = 0; at < b.len;) {
		ssize_t n = send(sock, b.data + at, b.len - at, MSG_NOSIGNAL);

		at += n > 0 ? (size_t)n : 0;
		turn(w);
	}
	expect(w, "big");
}

/* Descriptors belong to the frame they came with, also when an earlier one was
 * read together with it. */
static void test_descriptors(void **state)
{
	struct world *w = *state;
	_cleanup_(control_client_freep) struct control_client *c = connect_to(w);
	int fds[FD_PASS_MAX], got[FD_PASS_MAX];
	size_t n = FD_PASS_MAX;
	_cleanup_(json_unrefp) json *j = NULL;
	struct stat a, b;

	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fds[i] = 0;
	fds[1] = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	say(c, "plain", NULL, 0);
	say(c, "exec", fds, 3);
	say(c, "after", NULL, 0);
	turn(w);
	expect(w, "plain exec+3 after");
	say(c, "one", fds, 1);
	say(c, "two", fds, 2);
	say(c, "most", fds, FD_PASS_MAX);
	turn(w);
	expect(w, "one+1 two+2 most+16");
	/* And back to the client. */
	w->reply = true;
	say(c, "plain", NULL, 0);
	say(c, "back", fds, 2);
	turn(w);
	hear(c, "plain");
	assert_int_equal(control_receive(c, &j, got, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(fstat(fds[1], &a), 0);
	assert_int_equal(fstat(got[1], &b), 0);
	assert_true(a.st_ino == b.st_ino);
	fd_close(got[0]);
	fd_close(got[1]);
	/* A client without room for them does not keep them. */
	say(c, "back", fds, 2);
	turn(w);
	got[0] = dup(0);
	fd_close(got[0]);
	hear(c, "back");
	got[1] = dup(0);
	fd_close(got[1]);
	assert_true(got[1] <= got[0]);
	fd_close(fds[1]);
}

static void test_several(void **state)
{
	struct world *w = *state;
	struct control_client *c[3];

	w->reply = true;
	for (int i = 0; i < 3; i++)
		c[i] = connect_to(w);
	say(c[0], "a", NULL, 0);
	say(c[2], "c", NULL, 0);
	turn(w);
	assert_int_equal(control_server_connections(w->server), 3);
	hear(c[2], "c");
	hear(c[0], "a");
	control_client_free(c[0]);
	say(c[1], "b", NULL, 0);
	say(c[1], "b2", NULL, 0);
	turn(w);
	assert_int_equal(control_server_connections(w->server), 2);
	assert_int_equal(control_conn_pid(w->last), getpid());
	control_conn_set_data(w->last, w);
	assert_true(control_conn_data(w->last) == w);
	assert_false(control_client_pending(c[1]));
	hear(c[1], "b");
	assert_true(control_client_pending(c[1])); /* came with the first read */
	hear(c[1], "b2");
	control_client_free(c[1]);
	control_client_free(c[2]);
	turn(w);
	assert_int_equal(control_server_connections(w->server), 0);
}

static json *large_message(void)
{
	json *o = json_new_object();
	_cleanup_(free_p) char *text = xmalloc((1 << 20) + 1);

	memset(text, 'x', 1 << 20);
	text[1 << 20] = '\0';
	json_put_str(o, "x", text);
	return o;
}

/* A peer that does not read is dropped, but not under the feet of who replies. */
static void test_silent_peer(void **state)
{
	struct world *w = *state;
	_cleanup_(control_client_freep) struct control_client *c = connect_to(w), *d = NULL;

	say(c, "hello", NULL, 0);
	turn(w);
	expect(w, "hello");
	for (int i = 0; i < 20; i++)
		control_reply(w->last, large_message(), NULL, 0);
	control_finish(w->last);
	assert_non_null(w->last);
	assert_int_equal(control_server_connections(w->server), 1);
	d = connect_to(w);
	turn(w);
	expect(w, "closed");
	assert_int_equal(control_server_connections(w->server), 1);
	say(d, "other", NULL, 0);
	turn(w);
	expect(w, "other");
}

static void test_finish(void **state)
{
	struct world *w = *state;
	_cleanup_(control_client_freep) struct control_client *c = connect_to(w);
	json *j = NULL;
	struct err e = ERR_INIT;

	w->reply = true;
	say(c, "last", NULL, 0);
	turn(w);
	control_finish(w->last);
	turn(w);
	expect(w, "last closed");
	hear(c, "last");
	assert_int_equal(control_receive(c, &j, NULL, NULL, &e), -EPIPE);
}

static void test_connect_errors(void **state)
{
	struct world *w = *state;
	_cleanup_(free_p) char *absent = path_join(w->dir, "absent");
	char longer[200];
	struct control_client *c = NULL;
	struct err e = ERR_INIT;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(control_connect(absent, &c, &e), -ENOENT);
	assert_int_equal(control_connect(longer, &c, &e), -ENAMETOOLONG);
	assert_int_equal(control_listen(w->loop, longer, &(struct control_handler){ 0 }, NULL, &e),
			 -ENAMETOOLONG);
}

static void test_socket_file(void **state)
{
	struct world *w = *state;
	struct control_handler h = { on_message, on_closed, w };
	struct control_server *second = NULL;
	struct control_client *c = NULL;
	struct stat st;

	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* A successor takes the name over; the old one's end leaves it alone. */
	assert_int_equal(control_listen(w->loop, w->path, &h, &second, NULL), 0);
	control_server_free(w->server);
	assert_int_equal(access(w->path, F_OK), 0);
	w->server = second;
	c = connect_to(w);
	say(c, "hi", NULL, 0);
	turn(w);
	expect(w, "hi");
	control_client_free(c);
	control_server_free(w->server);
	w->server = NULL;
	assert_int_equal(access(w->path, F_OK), -1);
}

static void test_errors_travel(void **state)
{
	struct err e = ERR_INIT, back;
	_cleanup_(json_unrefp) json *j = NULL, *odd = json_new_object();

	assert_null(control_err_to_json(&e));
	(void)err_set(&e, ENOSPC, "disk \"full\"");
	(void)err_at(&e, "a.yaml", 3, 4);
	(void)err_hint(&e, "buy one");
	j = control_err_to_json(&e);
	control_err_from_json(j, &back);
	assert_memory_equal(&e, &back, sizeof(e));
	control_err_from_json(NULL, &back);
	assert_int_equal(back.code, 0);
	json_put_int(odd, "msg", 5);
	control_err_from_json(odd, &back); /* an error without a code is one all the same */
	assert_int_equal(back.code, EIO);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_split_everywhere), T(test_bad_frames),     T(test_large),
		T(test_descriptors),      T(test_several),        T(test_silent_peer),
		T(test_finish),           T(test_connect_errors), T(test_socket_file),
		T(test_errors_travel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
