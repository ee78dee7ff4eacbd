/* engine/build/agent.c: see agent.h. */
#include "engine/build/agent.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/spawn.h"
#include "base/strv.h"

#define AGENT_WAIT (2 * NSEC_PER_SEC)
#define OUTPUT_MAX 1024

static int find(const char *program, char **path, struct err *e)
{
	*path = spawn_find(program);
	if (*path)
		return 0;
	err_set(e, ENOENT, "a key file needs %s, which is not installed", program);
	return err_hint(e, "install OpenSSH's client (apt install openssh-client), or give the "
			   "socket of an agent");
}

/* Until it listens. */
static int await_socket(const char *socket, int pidfd, struct err *e)
{
	uint64_t end = now_mono_ns() + AGENT_WAIT;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	struct stat st;

	while (stat(socket, &st) < 0) {
		if (poll(&p, 1, 5) > 0 || now_mono_ns() > end)
			return err_set(e, EIO, "ssh-agent did not start");
	}
	return 0;
}

static int add_key(const char *socket, const char *file, struct err *e)
{
	_cleanup_(free_p) char *path = NULL;
	_cleanup_(strv_freep) char **env = strv_copy(environ);
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	char *argv[] = { "ssh-add", "-q", "--", (char *)file, NULL };
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int r = find("ssh-add", &path, e);

	if (r < 0)
		return r;
	strv_env_set(&env, "SSH_AUTH_SOCK", socket);
	strv_env_set(&env, "SSH_ASKPASS_REQUIRE", "never");
	o.path = path;
	o.argv = argv;
	o.env = env;
	o.new_session = true; /* without a terminal it cannot ask for a passphrase */
	r = spawn_run(&o, "", 0, OUTPUT_MAX, &out, e);
	if (r <= 0)
		return r;
	err_set(e, EACCES, "ssh key %s: %.*s", file, (int)strcspn(buf_str(&out), "\n"),
		out.len ? buf_str(&out) : "it is protected by a passphrase");
	return err_hint(e, "load a key with a passphrase into an agent, and give its socket");
}

int agent_start(const char *socket, const char *file, pid_t *pid, struct err *e)
{
	_cleanup_(free_p) char *path = NULL;
	_cleanup_(fd_closep) int pidfd = -EBADF;
	char *argv[] = { "ssh-agent", "-D", "-a", (char *)socket, NULL };
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int r = find("ssh-agent", &path, e);

	if (r < 0)
		return r;
	o.path = path;
	o.argv = argv;
	o.stdout_fd = o.stderr_fd = SPAWN_NULL;
	o.new_session = true;
	o.die_with_parent = true;
	r = spawn_start(&o, pid, &pidfd, e);
	if (r < 0)
		return r;
	r = await_socket(socket, pidfd, e);
	if (r == 0)
		r = add_key(socket, file, e);
	if (r < 0)
		agent_stop(*pid);
	return r;
}

void agent_stop(pid_t pid)
{
	(void)kill(pid, SIGKILL); /* our child, not reaped */
	(void)spawn_wait(pid);
}
