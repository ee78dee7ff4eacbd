/* tests/unit/engine/supervise/test_monitor.c: the monitor's records, and how monitors
 * agree on a new supervisor.  Nothing is launched. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/supervise/monitor.h"
#include "engine/supervise/successor.h"

struct place {
	char path[32];
	int fd;
};

static int setup(void **state)
{
	struct place *p = new0(struct place);

	strcpy(p->path, "/tmp/comp-mon-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->fd < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	fd_close(p->fd);
	(void)rm_rf(AT_FDCWD, p->path, NULL);
	free(p);
	return 0;
}

static void save(int dirfd, const char *name, const char *text, size_t n)
{
	assert_int_equal(file_write_atomic(dirfd, name, text, n, 0600, false, NULL), 0);
}

/* ---- records -------------------------------------------------------------------- */
/* As the first version wrote it: nothing of pipes yet. */
static void test_first_version(void **state)
{
	static const char text[] =
		"{\"version\":1,\"boot_id\":\"00000000-0000-4000-8000-000000000001\",\"pid\":10,"
		"\"start_ticks\":1492670,\"monitor_pid\":9,\"monitor_ticks\":1492669,"
		"\"started_at\":1795233883624278559}";
	struct place *p = *state;
	struct monitor_record r;

	assert_int_equal(mkdirat(p->fd, MONITOR_RECORDS, 0700), 0);
	save(p->fd, MONITOR_RECORDS "/a", text, strlen(text));
	assert_int_equal(monitor_record_load(p->fd, "a", &r, NULL), 0);
	assert_string_equal(r.boot_id, "00000000-0000-4000-8000-000000000001");
	assert_int_equal(r.process.pid, 10);
	assert_int_equal(r.monitor.start_ticks, 1492669);
	assert_int_equal(r.started_at, UINT64_C(1795233883624278559));
	assert_int_equal(r.pipes[0], 0);
	assert_int_equal(r.pipes[1], 0);
}

static void test_foreign_records(void **state)
{
	static const char *const texts[] = {
		"[]",
		"3",
		"null",
		"{}",
		"{\"version\":1}",
		"{\"version\":1,\"boot_id\":\"b\",\"pid\":1,\"monitor_pid\":5}",
		"{\"version\":1,\"boot_id\":\"b\",\"pid\":5,\"monitor_pid\":-1}",
		"{\"version\":1,\"boot_id\":\"b\",\"pid\":99999999999,\"monitor_pid\":5}",
		"{\"version\":1,\"pid\":5,\"monitor_pid\":6}",
		"{\"version\":1,\"boot_id\":\"0123456789012345678901234567890123456789\","
		"\"pid\":5,\"monitor_pid\":6}",
	};
	struct place *p = *state;
	struct monitor_record r;

	assert_int_equal(mkdirat(p->fd, MONITOR_RECORDS, 0700), 0);
	assert_int_equal(monitor_record_load(p->fd, "a", &r, NULL), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		save(p->fd, MONITOR_RECORDS "/a", texts[i], strlen(texts[i]));
		assert_int_equal(monitor_record_load(p->fd, "a", &r, NULL), -EBADMSG);
	}
}

static const char some_id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static pid_t sleeper(int *pidfd)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	*pidfd = pidfd_open(pid, 0);
	assert_true(*pidfd >= 0);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* We are the monitor, a child of ours is the process. */
static void test_adopt(void **state)
{
	struct monitor_record r = { .started_at = 1 };
	int monitor, process, pidfd;
	pid_t pid = sleeper(&pidfd);

	assert_int_equal(proc_boot_id(r.boot_id, NULL), 0);
	assert_int_equal(procref_of(getpid(), &r.monitor, NULL), 0);
	assert_int_equal(procref_of(pid, &r.process, NULL), 0);
	assert_int_equal(monitor_adopt(&r, some_id, &monitor, &process, NULL), 0);
	assert_true(monitor >= 0 && process >= 0);
	fd_close(monitor);
	fd_close(process);
	r.process.start_ticks++; /* the pid belongs to another process now */
	assert_int_equal(monitor_adopt(&r, some_id, &monitor, &process, NULL), 0);
	assert_int_equal(process, -ESRCH);
	fd_close(monitor);
	r.monitor.start_ticks++;
	assert_int_equal(monitor_adopt(&r, some_id, &monitor, &process, NULL), -ESRCH);
	r.monitor.start_ticks--;
	r.boot_id[0] ^= 1;
	assert_int_equal(monitor_adopt(&r, some_id, &monitor, &process, NULL), -ESRCH);
	end(pid);
	fd_close(pidfd);
}

/* Both are there, and as old as they should be, but have nothing to do with each other. */
static void test_adopt_strangers(void **state)
{
	struct monitor_record r = { .started_at = 1 };
	int monitor = -EBADF, process = -EBADF, one_fd, other_fd;
	pid_t one = sleeper(&one_fd), other = sleeper(&other_fd);
	struct err e = ERR_INIT;

	assert_int_equal(proc_boot_id(r.boot_id, NULL), 0);
	assert_int_equal(procref_of(one, &r.monitor, NULL), 0);
	assert_int_equal(procref_of(other, &r.process, NULL), 0);
	assert_int_equal(monitor_adopt(&r, some_id, &monitor, &process, &e), -EXDEV);
	assert_non_null(strstr(e.msg, "is not a child of"));
	assert_true(monitor < 0 && process < 0);
	end(one);
	end(other);
	fd_close(one_fd);
	fd_close(other_fd);
}

/* ---- the successor ----------------------------------------------------------------- */
static void save_pid(int dirfd, pid_t pid)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", pid);
	int fd = openat(dirfd, MONITOR_LOCK_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, (size_t)n), n);
	fd_close(fd);
}

/* Let it do what is due, without waiting for the clock. */
static bool step(struct successor *s)
{
	s->next_at = 0;
	return successor_step(s);
}

static void test_successor_found(void **state)
{
	static char *argv[] = { "true", NULL };
	struct place *p = *state;
	struct successor s;
	int pidfd, other_fd, exe = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid = sleeper(&pidfd), other;

	successor_init(&s, pidfd, pid, exe, p->fd, argv, NULL);
	save_pid(p->fd, pid);
	assert_true(successor_settled(&s));
	assert_int_equal(successor_due(&s), UINT64_MAX);
	end(pid);
	assert_false(successor_settled(&s)); /* notices by itself, too */
	assert_int_equal(s.state, SUCCESSOR_SEEKING);
	assert_true(successor_due(&s) < UINT64_MAX);

	other = sleeper(&other_fd);
	save_pid(p->fd, other);
	assert_true(step(&s));
	assert_int_equal(s.state, SUCCESSOR_WATCHING);
	assert_int_equal(s.pid, other);
	assert_int_equal(s.pidfd, pidfd); /* the number stays */
	end(other);
	successor_lost(&s);
	/* The project is taken down. */
	assert_int_equal(unlinkat(p->fd, MONITOR_LOCK_NAME, 0), 0);
	assert_false(step(&s));
	assert_int_equal(s.state, SUCCESSOR_NONE);
	assert_true(successor_settled(&s));
	fd_close(pidfd);
	fd_close(other_fd);
	fd_close(exe);
}

static void test_successor_elects(void **state)
{
	static char *argv[] = { "true", NULL };
	struct place *p = *state;
	struct successor s, t;
	int pidfd, exe = open("/bin/true", O_RDONLY | O_CLOEXEC), lock;
	pid_t pid = sleeper(&pidfd);

	save_pid(p->fd, pid);
	end(pid);
	successor_init(&s, pidfd, pid, exe, p->fd, argv, argv + 1);
	successor_init(&t, pidfd, pid, exe, p->fd, argv, argv + 1);
	successor_lost(&s);
	successor_lost(&t);
	/* Somebody holds the lock and has yet to write his pid: wait for him. */
	lock = openat(p->fd, MONITOR_LOCK_NAME, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	step(&s);
	assert_int_equal(s.state, SUCCESSOR_SEEKING);
	fd_close(lock);
	/* Nobody does: one starts, the other stands back. */
	step(&s);
	assert_int_equal(s.state, SUCCESSOR_STARTING);
	step(&t);
	assert_int_equal(t.state, SUCCESSOR_SEEKING);
	/* What was started came to nothing; pauses grow. */
	s.give_up_at = 0;
	step(&s);
	assert_int_equal(s.state, SUCCESSOR_SEEKING);
	assert_int_equal(s.failures, 1);
	/* The process started holds a copy of the lock until its exec. */
	for (int i = 0; i < 1000 && t.state == SUCCESSOR_SEEKING; i++) {
		step(&t);
		(void)usleep(1000);
	}
	assert_int_equal(t.state, SUCCESSOR_STARTING);
	t.give_up_at = 0;
	step(&t);
	fd_close(pidfd);
	fd_close(exe);
}

static void test_successor_without_argv(void **state)
{
	struct place *p = *state;
	struct successor s;
	int pidfd;
	pid_t pid = sleeper(&pidfd);

	successor_init(&s, pidfd, pid, -EBADF, p->fd, NULL, NULL);
	end(pid);
	assert_true(successor_settled(&s));
	assert_int_equal(s.state, SUCCESSOR_NONE);
	fd_close(pidfd);
}

int main(void)
{
#define MONITOR_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		MONITOR_TEST(test_first_version),
		MONITOR_TEST(test_foreign_records),
		MONITOR_TEST(test_adopt),         MONITOR_TEST(test_adopt_strangers),
		MONITOR_TEST(test_successor_found),
		MONITOR_TEST(test_successor_elects),
		MONITOR_TEST(test_successor_without_argv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
