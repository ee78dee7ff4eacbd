/* Bytes on the control socket, in reads of any size: frames, the messages in them and the action
 * lists in those.  The first byte is the size of the pieces they arrive in. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/path.h"
#include "engine/supervise/action.h"
#include "engine/supervise/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/comp-fuzz-XXXXXX";
static char path[sizeof(dir) + 8];
static struct loop *loop;
static struct control_server *server;

static void on_message(struct control_conn *c, json *message, int *fds, size_t n_fds, void *data)
{
	struct action_list l;
	struct err e;

	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
	if (action_list_from_json(json_get(message, "actions"), &l, NULL) == 0)
		action_list_done(&l);
	control_err_from_json(json_get(message, "error"), &e);
	control_reply(c, json_ref(message), NULL, 0);
	if (json_get_bool(message, "finish", false))
		control_finish(c);
}

/* Due in every round, so that each round hears of whatever else is ready. */
static void on_round(struct source *s, void *data)
{
	int *rounds = data;

	if (--*rounds > 0) {
		source_set_timer(s, 0);
		return;
	}
	source_free(s);
	loop_quit(loop, 0);
}

static void turn(void)
{
	int rounds = 3; /* accept, read, write */

	loop_add_timer(loop, 0, on_round, &rounds);
	assert(loop_run(loop, NULL) == 0);
}

static void clean_up(void)
{
	control_server_free(server);
	loop_free(loop);
	(void)rm_rf(AT_FDCWD, dir, NULL); /* a folder of the fuzzer's in /tmp */
}

static void set_up(void)
{
	struct control_handler h = { .message = on_message };

	assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert(loop_new(&loop, NULL) == 0);
	assert(control_listen(loop, path, &h, &server, NULL) == 0);
	(void)atexit(clean_up); /* else the folder stays, which is harmless */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock;
	size_t piece;

	if (!server)
		set_up();
	if (size < 2 || size > 65536)
		return 0;
	piece = (size_t)*data + 1 + size / 64; /* at most some 64 of them */
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strcpy(sa.sun_path, path);
	assert(connect(sock, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	for (size_t at = 1; at < size; at += piece) {
		if (send(sock, data + at, MIN(piece, size - at), MSG_NOSIGNAL) < 0)
			break; /* it would hear no more */
		turn();
	}
	close(sock);
	while (control_server_connections(server))
		turn();
	return 0;
}
