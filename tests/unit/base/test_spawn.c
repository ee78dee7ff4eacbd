/* Programs started: descriptors, signals, exit codes, and exec that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/spawn.h"

static int run(const char *script, const char *input, size_t max, struct buf *out, struct err *e)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	char *env[] = { (char *)"PATH=/usr/bin:/bin", (char *)"MARK=here", NULL };
	struct spawn_opts o = SPAWN_OPTS_INIT;

	o.path = "/bin/sh";
	o.argv = argv;
	o.env = env;
	return spawn_run(&o, input, strlen(input), max, out, e);
}

static void test_run(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	assert_int_equal(run("cat; echo $MARK; echo err >&2; exit 3", "in ", 100, &out, NULL), 3);
	assert_string_equal(buf_str(&out), "in here\nerr\n");
	buf_truncate(&out, 0);
	/* More than wanted is read and dropped, so the child ends. */
	assert_int_equal(run("head -c 200000 /dev/zero", "", 10, &out, NULL), 0);
	assert_int_equal(out.len, 10);
	assert_int_equal(run("kill -9 $$", "", 10, &out, NULL), 137);
	assert_int_equal(run("exit 0", "", 0, NULL, NULL), 0);
}

static void test_no_such_program(void **state)
{
	char *argv[] = { (char *)"x", NULL };
	struct spawn_opts o = SPAWN_OPTS_INIT;
	struct err e = ERR_INIT;
	int pidfd;
	pid_t pid;

	o.argv = argv;
	o.path = "/no/such/program";
	assert_int_equal(spawn_start(&o, &pid, &pidfd, &e), -ENOENT);
	assert_string_equal(e.msg, "run /no/such/program: No such file or directory");
	o.path = "/";
	assert_int_equal(spawn_start(&o, &pid, &pidfd, &e), -EACCES);
	o.path = NULL;
	assert_int_equal(spawn_start(&o, &pid, &pidfd, &e), -EBADF);
	o.n_pass = FD_PASS_MAX + 1;
	assert_int_equal(spawn_start(&o, &pid, &pidfd, &e), -EINVAL);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie stays */
}

static int start(struct spawn_opts o, const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	_cleanup_(fd_closep) int pidfd = -EBADF;
	struct pollfd p;
	struct err e = ERR_INIT;
	pid_t pid;

	o.argv = argv;
	if (o.exe_fd < 0)
		o.path = "/bin/sh";
	if (spawn_start(&o, &pid, &pidfd, &e) < 0)
		fail_msg("%s", e.msg);
	p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 10000), 1);
	return spawn_wait(pid);
}

/* Passed ones are 3, 4, … in order, even when their numbers are in each other's
 * way; everything else is closed. */
static void test_pass(void **state)
{
	_cleanup_(fd_closep) int leak = fcntl(0, F_DUPFD, 20), a = -EBADF, b = -EBADF;
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int p[2], pass[2];

	assert_true(leak >= 20);
	assert_int_equal(fd_pipe(p, NULL), 0);
	a = fcntl(p[0], F_DUPFD_CLOEXEC, 3);
	b = fcntl(p[1], F_DUPFD_CLOEXEC, 3);
	fd_close(p[0]);
	fd_close(p[1]);
	pass[0] = b;
	pass[1] = a;
	o.pass = pass;
	o.n_pass = 2;
	/* `ls` opens the directory itself: one more than 0 to 4. */
	assert_int_equal(start(o, "echo x >&3; read y <&4; test \"$y\" = x && "
				  "test \"$(ls /proc/self/fd | wc -l)\" -eq 6"),
			 0);
}

static void test_stdio(void **state)
{
	struct spawn_opts o = SPAWN_OPTS_INIT;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	int p[2];

	assert_int_equal(fd_pipe(p, NULL), 0);
	o.stdout_fd = p[1];
	o.stderr_fd = SPAWN_NULL;
	assert_int_equal(start(o, "readlink /proc/self/fd/0 /proc/self/fd/2; exec cat"), 0);
	fd_close(p[1]);
	assert_int_equal(fd_read_all(p[0], 100, &out), 0);
	fd_close(p[0]);
	assert_string_equal(buf_str(&out), "/dev/null\n/dev/null\n");
}

/* The child does not inherit what we block or ignore. */
static void test_signals(void **state)
{
	struct spawn_opts o = SPAWN_OPTS_INIT;
	sigset_t usr1, old;
	void (*handler)(int) = signal(SIGPIPE, SIG_IGN);

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	assert_int_equal(sigprocmask(SIG_BLOCK, &usr1, &old), 0);
	assert_int_equal(start(o, "grep -q '^SigBlk:\t0*$' /proc/self/status && "
				  "grep -qE '^SigIgn:\t0*(180000000)?$' /proc/self/status"),
			 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	(void)signal(SIGPIPE, handler);
}

static void test_session(void **state)
{
	struct spawn_opts o = SPAWN_OPTS_INIT;

	o.new_session = true;
	assert_int_equal(start(o, "set -- $(cat /proc/self/stat); test $$ = $6"), 0);
}

static void test_by_descriptor(void **state)
{
	_cleanup_(fd_closep) int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);
	_cleanup_(fd_closep) int copy = memfd_sealed_copy("sh", fd, NULL);
	struct spawn_opts o = SPAWN_OPTS_INIT;

	assert_true(copy >= 0);
	o.exe_fd = copy;
	assert_int_equal(start(o, "exit 9"), 9);
}

static void test_helper_path(void **state)
{
	_cleanup_(free_p) char *fixed = NULL, *found = NULL, *installed = NULL;

	assert_int_equal(setenv("COMP_LIBEXEC", "/x/y", 1), 0);
	fixed = spawn_helper_path("comp-z");
	assert_string_equal(fixed, "/x/y/comp-z");
	assert_int_equal(unsetenv("COMP_LIBEXEC"), 0);
	found = spawn_helper_path("test_spawn"); /* ourselves are beside ourselves */
	assert_int_equal(access(found, X_OK), 0);
	installed = spawn_helper_path("comp-none");
	assert_non_null(strstr(installed, "/../libexec/comp/comp-none"));
}

static void test_exit_code(void **state)
{
	assert_int_equal(spawn_exit_code(0), 0);
	assert_int_equal(spawn_exit_code(5 << 8), 5);
	assert_int_equal(spawn_exit_code(SIGKILL), 137);
	assert_int_equal(spawn_exit_code(SIGSEGV | 0x80), 139); /* with a core dump */
	assert_int_equal(spawn_wait(getpid()), -ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),           cmocka_unit_test(test_no_such_program),
		cmocka_unit_test(test_pass),          cmocka_unit_test(test_stdio),
		cmocka_unit_test(test_signals),       cmocka_unit_test(test_session),
		cmocka_unit_test(test_by_descriptor), cmocka_unit_test(test_helper_path),
		cmocka_unit_test(test_exit_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
