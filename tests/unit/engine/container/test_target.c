#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/container/setup.h"

struct fixture {
	char dir[40];
	int root; /* <dir>/root; <dir>/canary beside it must stay empty */
};

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);

	strcpy(f->dir, "/tmp/comp-test-target-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	_cleanup_(free_p) char *root = path_join(f->dir, "root"),
			       *canary = path_join(f->dir, "canary");
	assert_int_equal(mkdir(root, 0755), 0);
	assert_int_equal(mkdir(canary, 0755), 0);
	f->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	_cleanup_(free_p) char *canary = path_join(f->dir, "canary");
	int r = rmdir(canary); /* fails when something was put there */

	close(f->root);
	assert_int_equal(rm_rf(AT_FDCWD, f->dir, NULL), 0);
	free(f);
	return r;
}

static bool is(struct fixture *f, const char *path, mode_t type)
{
	struct stat st;

	return fstatat(f->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (st.st_mode & S_IFMT) == type;
}

static void open_ok(struct fixture *f, const char *path, bool directory)
{
	struct err e = ERR_INIT;
	int fd = target_open(f->root, path, directory, &e);

	if (fd < 0)
		fail_msg("%s: %s", path, e.msg);
	close(fd);
}

static void makes_what_is_missing(void **state)
{
	struct fixture *f = *state;

	open_ok(f, "/a/b/c", true);
	open_ok(f, "/a/b/file", false);
	open_ok(f, "/a/b/file", false);
	open_ok(f, "/", true);
	assert_true(is(f, "a/b/c", S_IFDIR));
	assert_true(is(f, "a/b/file", S_IFREG));
	assert_int_equal(target_open(f->root, "/a/b/file", true, NULL), -ENOTDIR);
	assert_int_equal(target_open(f->root, "/a/b/c", false, NULL), -EISDIR);
	assert_int_equal(target_open(f->root, "/a/b/file/x", true, NULL), -ENOTDIR);
}

static void stays_inside(void **state)
{
	struct fixture *f = *state;
	_cleanup_(free_p) char *canary = path_join(f->dir, "canary");

	open_ok(f, "/../../x", true);
	assert_true(is(f, "x", S_IFDIR));
	assert_int_equal(symlinkat(canary, f->root, "abs"), 0);
	assert_int_equal(symlinkat("../canary", f->root, "rel"), 0);
	open_ok(f, "/abs/new", true); /* the link's path, below the root */
	open_ok(f, "/rel/new", false);
	assert_true(is(f, "canary/new", S_IFREG));
}

static void follows_dangling_links(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdirat(f->root, "etc", 0755), 0);
	assert_int_equal(symlinkat("../run/x/resolv.conf", f->root, "etc/resolv.conf"), 0);
	open_ok(f, "/etc/resolv.conf", false);
	assert_true(is(f, "run/x/resolv.conf", S_IFREG));
	assert_int_equal(symlinkat("/lib/deep", f->root, "link"), 0);
	open_ok(f, "/link/more/dir", true);
	assert_true(is(f, "lib/deep/more/dir", S_IFDIR));
	assert_int_equal(symlinkat("loop", f->root, "loop"), 0);
	assert_int_equal(target_open(f->root, "/loop", true, NULL), -ELOOP);
	assert_int_equal(symlinkat("b", f->root, "a"), 0);
	assert_int_equal(symlinkat("a/x", f->root, "b"), 0);
	assert_int_equal(target_open(f->root, "/a", true, NULL), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_what_is_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(stays_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(follows_dangling_links, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
