/* Paths as Go cleans them, and trees made and removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/path.h"

typedef char *(*path_fn)(const char *);

static void check(path_fn fn, const char *const rows[][2], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(free_p) char *got = fn(rows[i][0]);

		if (!streq(got, rows[i][1]))
			fail_msg("\"%s\" became \"%s\", not \"%s\"", rows[i][0], got, rows[i][1]);
	}
}

/* The rows of Go's path/filepath tests. */
static void test_clean(void **state)
{
	static const char *const rows[][2] = {
		{ "", "." },
		{ "abc", "abc" },
		{ "abc/def", "abc/def" },
		{ ".", "." },
		{ "..", ".." },
		{ "../..", "../.." },
		{ "../../abc", "../../abc" },
		{ "/abc", "/abc" },
		{ "/", "/" },
		{ "abc/", "abc" },
		{ "abc/def/", "abc/def" },
		{ "./", "." },
		{ "../", ".." },
		{ "/abc/", "/abc" },
		{ "abc//def//ghi", "abc/def/ghi" },
		{ "//abc", "/abc" },
		{ "///abc//", "/abc" },
		{ "abc/./def", "abc/def" },
		{ "/./abc/def", "/abc/def" },
		{ "abc/.", "abc" },
		{ "abc/def/ghi/../jkl", "abc/def/jkl" },
		{ "abc/def/../ghi/../jkl", "abc/jkl" },
		{ "abc/def/..", "abc" },
		{ "abc/def/../..", "." },
		{ "/abc/def/../..", "/" },
		{ "abc/def/../../..", ".." },
		{ "/abc/def/../../..", "/" },
		{ "abc/def/../../../ghi/jkl/../../../mno", "../../mno" },
		{ "/../abc", "/abc" },
		{ "abc/./../def", "def" },
		{ "abc/../../././../def", "../../def" },
		{ "...", "..." },
		{ "a/.../b", "a/.../b" },
	};

	check(path_clean, rows, ARRAY_SIZE(rows));
}

static void test_base_and_dir(void **state)
{
	static const char *const bases[][2] = {
		{ "", "." },     { ".", "." },       { "/", "/" },
		{ "////", "/" }, { "a", "a" },       { "a/b", "b" },
		{ "a/b/", "b" }, { "a/b/.x", ".x" }, { "a/b/c.", "c." },
	};
	static const char *const dirs[][2] = {
		{ "", "." },         { ".", "." },        { "/.", "/" },    { "/", "/" },
		{ "/foo", "/" },     { "x/", "x" },       { "abc", "." },   { "abc/def", "abc" },
		{ "a/b/.x", "a/b" }, { "a/b/c.", "a/b" }, { "////a", "/" }, { "/a/../b", "/" },
		{ "a//b", "a" },
	};

	check(path_base, bases, ARRAY_SIZE(bases));
	check(path_dir, dirs, ARRAY_SIZE(dirs));
}

static void test_join(void **state)
{
	static const char *const rows[][3] = {
		{ "/a", "b", "/a/b" }, { "/a/", "b", "/a/b" }, { "/a", "/b", "/b" },
		{ "", "b", "b" },      { "/", "b", "/b" },
	};
	_cleanup_(free_p) char *up = path_absolute("/a/b", "../c/./d"),
			       *own = path_absolute("/a", "/x/../y");

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(free_p) char *got = path_join(rows[i][0], rows[i][1]);

		assert_string_equal(got, rows[i][2]);
	}
	assert_string_equal(up, "/a/c/d");
	assert_string_equal(own, "/y");
}

static void test_names(void **state)
{
	static const char *const bad[] = { "",    ".",   "..",  "-a",  "_a",     ".a",
					   "a/b", "a b", "a\n", "a:b", "abcdef", "\xc3\xa9" };

	assert_true(name_is_valid("a", 5));
	assert_true(name_is_valid("9.b-_", 5));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(name_is_valid(bad[i], 5));
}

/* ---- trees ---------------------------------------------------------------- */
struct tree {
	char path[32];
	int fd;
};

static int setup(void **state)
{
	struct tree *t = new0(struct tree);

	strcpy(t->path, "/tmp/comp-test-XXXXXX");
	assert_non_null(mkdtemp(t->path));
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	assert_int_equal(rm_rf(AT_FDCWD, t->path, NULL), 0);
	fd_close(t->fd);
	free(t);
	return 0;
}

static void touch(int dirfd, const char *name)
{
	_cleanup_(fd_closep) int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
}

static bool exists(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_mkdir(void **state)
{
	struct tree *t = *state;
	struct err e = ERR_INIT;
	struct stat st;
	_cleanup_(fd_closep) int fd = -EBADF;

	assert_int_equal(mkdir_p(t->fd, "a/b//c/", 0700, &e), 0);
	assert_int_equal(mkdir_p(t->fd, "a/b", 0755, &e), 0);
	assert_int_equal(fstatat(t->fd, "a/b", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700); /* an existing one keeps its mode */
	fd = open_dir_p(t->fd, "a/d/e", 0700, &e);
	assert_true(fd >= 0);
	touch(t->fd, "file");
	assert_true(mkdir_p(t->fd, "file/x", 0700, &e) < 0);
	assert_non_null(strstr(e.msg, "file"));
	assert_true(open_dir_p(t->fd, "file", 0700, &e) < 0);
}

static void test_remove(void **state)
{
	struct tree *t = *state;

	assert_int_equal(rm_rf(t->fd, "absent", NULL), 0);
	touch(t->fd, "f");
	assert_int_equal(rm_rf(t->fd, "f", NULL), 0);
	assert_int_equal(mkdir_p(t->fd, "d/e/f", 0700, NULL), 0);
	touch(t->fd, "d/e/x");
	assert_int_equal(mkfifoat(t->fd, "d/pipe", 0600), 0); /* would hang who opens it */
	assert_int_equal(fchmodat(t->fd, "d/e", 0500, 0), 0);
	if (geteuid() != 0)
		assert_int_equal(fchmodat(t->fd, "d/e", 0700, 0), 0);
	assert_int_equal(rm_rf(t->fd, "d", NULL), 0);
	assert_false(exists(t->fd, "d"));
}

static void test_remove_keeps_link_targets(void **state)
{
	struct tree *t = *state;

	assert_int_equal(mkdir_p(t->fd, "keep", 0700, NULL), 0);
	touch(t->fd, "keep/file");
	assert_int_equal(mkdir_p(t->fd, "d", 0700, NULL), 0);
	assert_int_equal(symlinkat("../keep", t->fd, "d/link"), 0);
	assert_int_equal(symlinkat("../keep/file", t->fd, "d/to-file"), 0);
	assert_int_equal(symlinkat("keep", t->fd, "top"), 0);
	assert_int_equal(rm_rf(t->fd, "d", NULL), 0);
	assert_int_equal(rm_rf(t->fd, "top", NULL), 0);
	assert_false(exists(t->fd, "d"));
	assert_true(exists(t->fd, "keep/file"));
}

/* Deeper than there are descriptors. */
static void test_remove_deep(void **state)
{
	struct tree *t = *state;
	struct rlimit old, few = { 100, 0 };
	int fd = dup(t->fd);
	struct err e = ERR_INIT;

	assert_int_equal(mkdirat(t->fd, "deep", 0700), 0);
	for (int i = 0; i < 200; i++) {
		int next;

		assert_int_equal(i ? mkdirat(fd, "x", 0700) : 0, 0);
		touch(fd, "f");
		next = openat(fd, i ? "x" : "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		fd_close(fd);
		fd = next;
	}
	fd_close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	if (rm_rf(t->fd, "deep", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_false(exists(t->fd, "deep"));
}

/* In a child with a mount namespace of its own; 77 where that is not allowed. */
static int try_mount_point(const struct tree *t)
{
	struct err e = ERR_INIT;

	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return 77;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || chdir(t->path) < 0 ||
	    mount("keep", "d/sub/here", NULL, MS_BIND, NULL) < 0)
		return 77;
	if (rm_rf(AT_FDCWD, "d", &e) != -EBUSY || !strstr(e.msg, "d/sub/here is a mount point"))
		return 1;
	return exists(t->fd, "keep/file") ? 0 : 2;
}

/* A bind mount from the same file system has the same device number. */
static void test_remove_stops_at_mounts(void **state)
{
	struct tree *t = *state;
	int status;
	pid_t pid;

	assert_int_equal(mkdir_p(t->fd, "keep", 0700, NULL), 0);
	touch(t->fd, "keep/file");
	assert_int_equal(mkdir_p(t->fd, "d/sub/here", 0700, NULL), 0);
	pid = fork();
	if (pid == 0)
		_exit(try_mount_point(t));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(exists(t->fd, "keep/file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_base_and_dir),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_mkdir, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_keeps_link_targets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_deep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_stops_at_mounts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
