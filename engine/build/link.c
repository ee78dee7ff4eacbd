/* engine/build/link.c: a SOCK_SEQPACKET socket between a stage's process and the builder.
 *
 * Both are one program, forked, so structs go as they are.  The result may be larger
 * than a message: it goes as a file.
 */
#include <sys/socket.h>

#include "base/fd.h"
#include "base/strv.h"
#include "engine/build/internal.h"

#define RESULT_MAX (2 * CONFIG_MAX_SIZE)

static size_t message_size(const struct link_message *m)
{
	return offsetof(struct link_message, text) +
	       (m->kind == LINK_ERROR ? sizeof(m->err) : m->n);
}

void link_send(int sock, enum build_event_kind kind, unsigned int step, bool is_stderr,
	       const char *text, size_t n, uint64_t elapsed)
{
	struct link_message m;

	m.kind = kind;
	m.step = step;
	m.is_stderr = is_stderr;
	m.n = (uint32_t)MIN(n, sizeof(m.text));
	m.elapsed = elapsed;
	memcpy(m.text, text, m.n);
	(void)fd_send(sock, &m, message_size(&m), NULL, 0); /* nobody there: we are dying too */
}

void link_send_error(int sock, unsigned int step, const struct err *e)
{
	struct link_message m = { .kind = LINK_ERROR, .step = step };

	m.err = *e;
	(void)fd_send(sock, &m, message_size(&m), NULL, 0);
}

int link_send_result(const struct run *run, struct err *e)
{
	_cleanup_(json_unrefp) json *o = json_new_object();
	_cleanup_(fd_closep) int fd = -EBADF;
	struct link_message m = { .kind = LINK_RESULT };
	int r;

	json_put(o, "config", image_config_to_json(&run->config));
	json_put_strv(o, "args", run->scope.args);
	json_put_strv(o, "used", run->scope.used);
	json_put_strv(o, "steps", run->steps);
	fd = memfd_sealed("result", json_text(o), strlen(json_text(o)), e);
	if (fd < 0)
		return fd;
	r = fd_send(run->sock, &m, message_size(&m), &fd, 1);
	return r < 0 ? err_errno(e, -r, "hand over a stage") : 0;
}

int link_receive(int sock, struct link_message *m, int *fd, struct err *e)
{
	size_t n_fds = 1;
	ssize_t n;

	*fd = -EBADF;
	do {
		n = fd_recv(sock, m, sizeof(*m), fd, &n_fds);
	} while (n == -EINTR);
	if (n == 0 || n == -ECONNRESET)
		return 0;
	if (n < 0)
		return err_errno(e, (int)-n, "read from a stage");
	return 1;
}

int link_read_result(int fd, struct stage_result *out, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(json_unrefp) json *o = NULL;
	const char *config;
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, errno, "read a stage's result");
	r = fd_read_all(fd, RESULT_MAX, &text);
	if (r < 0)
		return err_errno(e, -r, "read a stage's result");
	r = json_parse(buf_str(&text), text.len, &o, e);
	if (r < 0)
		return r;
	config = json_text(json_get(o, "config"));
	r = image_config_parse(config, strlen(config), &out->config, e);
	if (r < 0)
		return r;
	out->args = json_get_strv(o, "args");
	out->used = json_get_strv(o, "used");
	out->steps = json_get_strv(o, "steps");
	out->done = true;
	return 0;
}
