/* The lock between processes: held, free, crashed, replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "engine/state/lock.h"

static char *folder, *path;

static int setup(void **state)
{
	char name[] = "/tmp/comp-test-XXXXXX";

	assert_non_null(mkdtemp(name));
	folder = xstrdup(name);
	path = path_join(folder, "lock");
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(rm_rf(AT_FDCWD, folder, NULL), 0);
	free(folder);
	free(path);
	return 0;
}

/* A process that holds the lock until it is killed. */
static pid_t holder(void)
{
	int p[2];
	char c;
	pid_t pid;

	assert_int_equal(fd_pipe(p, NULL), 0);
	pid = fork();
	if (pid == 0) {
		if (lock_take(path, true, NULL, NULL) < 0)
			_exit(1);
		(void)!write(p[1], "x", 1);
		pause();
		_exit(0);
	}
	fd_close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	fd_close(p[0]);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_take(void **state)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	struct stat st;

	assert_int_equal(lock_holder(path), 0); /* absent */
	fd = lock_take(path, false, NULL, NULL);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(lock_holder(path), getpid());
	fd = fd_close(fd);
	assert_int_equal(lock_holder(path), 0);
}

static void test_held(void **state)
{
	pid_t other = holder(), who = 0;
	struct err e = ERR_INIT;
	int fd;

	assert_int_equal(lock_take(path, false, &who, &e), -EWOULDBLOCK);
	assert_int_equal(who, other);
	assert_int_equal(lock_holder(path), other);
	end(other); /* a crash frees it */
	assert_int_equal(lock_holder(path), 0);
	fd = lock_take(path, false, &who, &e);
	assert_true(fd >= 0);
	fd_close(fd);
}

/* Looking at a free lock takes it for a moment; that must not leave a pid behind. */
static void test_looked_at(void **state)
{
	_cleanup_(fd_closep) int fd = lock_take(path, true, NULL, NULL), again = -EBADF;
	struct stat st;

	fd = fd_close(fd);
	assert_int_equal(lock_holder(path), 0);
	again = lock_take(path, false, NULL, NULL);
	assert_true(again >= 0);
	assert_int_equal(fstat(again, &st), 0);
	assert_true(st.st_size > 0);
}

static void test_fork_keeps_it(void **state)
{
	int fd = lock_take(path, false, NULL, NULL), p[2];
	pid_t pid, who = 0;

	assert_int_equal(fd_pipe(p, NULL), 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	fd_close(fd);
	assert_int_equal(lock_take(path, false, &who, NULL), -EWOULDBLOCK);
	assert_int_equal(who, getpid());
	end(pid);
	fd = lock_take(path, false, NULL, NULL);
	assert_true(fd >= 0);
	fd_close(fd);
	fd_close(p[0]);
	fd_close(p[1]);
}

/* Who waits on a file that is unlinked meanwhile must not get a lock that nobody
 * else can see. */
static void test_replaced(void **state)
{
	pid_t first = holder(), waiter;
	int p[2], fd;
	struct stat st, now;

	assert_int_equal(fd_pipe(p, NULL), 0);
	waiter = fork();
	if (waiter == 0) {
		fd = lock_take(path, true, NULL, NULL);
		if (fd < 0 || fstat(fd, &st) < 0)
			_exit(1);
		(void)!write(p[1], &st.st_ino, sizeof(st.st_ino));
		pause();
		_exit(0);
	}
	usleep(20000); /* it blocks by now, or will open the new one: right either way */
	assert_int_equal(unlink(path), 0);
	end(first);
	assert_int_equal(read(p[0], &st.st_ino, sizeof(st.st_ino)), (int)sizeof(st.st_ino));
	assert_int_equal(stat(path, &now), 0);
	assert_true(now.st_ino == st.st_ino);
	assert_int_equal(lock_take(path, false, NULL, NULL), -EWOULDBLOCK);
	end(waiter);
	fd_close(p[0]);
	fd_close(p[1]);
}

/* Many at once, some of which unlink the file when done: never two inside. */
static void test_race(void **state)
{
	_cleanup_(free_p) char *inside = path_join(folder, "inside");
	pid_t pids[8];
	int bad = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		for (int round = 0; round < 25; round++) {
			int fd = lock_take(path, true, NULL, NULL), in;

			if (fd < 0)
				_exit(1);
			in = open(inside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
			if (in < 0)
				_exit(2); /* somebody is in here with us */
			(void)sched_yield();
			(void)unlink(inside);
			if ((round + (int)i) % 3 == 0)
				(void)unlink(path);
			fd_close(in);
			fd_close(fd);
		}
		_exit(0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		bad += status != 0;
	}
	assert_int_equal(bad, 0);
}

static void test_planted(void **state)
{
	_cleanup_(free_p) char *victim = path_join(folder, "victim");
	struct err e = ERR_INIT;
	struct stat st;

	fd_close(open(victim, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(symlink("victim", path), 0);
	assert_int_equal(lock_take(path, false, NULL, &e), -ELOOP);
	assert_int_equal(lock_holder(path), 0);
	assert_int_equal(stat(victim, &st), 0);
	assert_int_equal(st.st_size, 0);
}

static void test_no_pid_in_it(void **state)
{
	_cleanup_(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	pid_t who = 5;

	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(lock_take(path, false, &who, NULL), -EWOULDBLOCK);
	assert_int_equal(who, 0);
	assert_int_equal(pwrite(fd, "rubbish", 7, 0), 7);
	assert_int_equal(lock_holder(path), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_take),     T(test_held), T(test_looked_at), T(test_fork_keeps_it),
		T(test_replaced), T(test_race), T(test_planted),   T(test_no_pid_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
