/* Where things are kept, as COMP_ROOT and COMP_RUN say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/state/dirs.h"

static char *folder;

static int setup(void **state)
{
	char path[] = "/tmp/comp-test-XXXXXX";

	assert_non_null(mkdtemp(path));
	folder = xstrdup(path);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(rm_rf(AT_FDCWD, folder, NULL), 0);
	free(folder);
	(void)unsetenv("COMP_ROOT");
	(void)unsetenv("COMP_RUN");
	return 0;
}

static struct dirs make(const char *root, const char *run)
{
	_cleanup_(free_p) char *a = path_join(folder, root), *b = path_join(folder, run);
	struct dirs d = { 0 };
	struct err e = ERR_INIT;

	assert_int_equal(setenv("COMP_ROOT", a, 1), 0);
	assert_int_equal(setenv("COMP_RUN", b, 1), 0);
	if (dirs_init(&d, &e) < 0)
		fail_msg("%s", e.msg);
	return d;
}

static void test_init(void **state)
{
	struct dirs d = make("a/./b/../root", "run/comp"), same = make("a/root/", "run/comp");
	struct dirs other = make("a/other", "run/comp");
	_cleanup_(free_p) char *root = path_join(folder, "a/root");
	struct stat st;

	assert_string_equal(d.root, root);
	assert_int_equal(stat(root, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(d.run, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* Two roots never meet in a cgroup, one root always does. */
	assert_string_equal(d.cgroup, same.cgroup);
	assert_string_not_equal(d.cgroup, other.cgroup);
	assert_true(name_is_valid(d.cgroup, 32));
	dirs_done(&d);
	dirs_done(&same);
	dirs_done(&other);
}

static void test_relative(void **state)
{
	_cleanup_(free_p) char *was = path_cwd(), *root = path_join(folder, "x");
	struct dirs d = { 0 };

	assert_int_equal(chdir(folder), 0);
	assert_int_equal(setenv("COMP_ROOT", "x", 1), 0);
	assert_int_equal(setenv("COMP_RUN", "y", 1), 0);
	assert_int_equal(dirs_init(&d, NULL), 0);
	assert_int_equal(chdir(was), 0);
	assert_string_equal(d.root, root);
	dirs_done(&d);
}

static void test_unusable(void **state)
{
	_cleanup_(free_p) char *file = path_join(folder, "file"),
			       *below = path_join(folder, "file/root");
	_cleanup_(fd_closep) int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct dirs d = { 0 };
	struct err e = ERR_INIT;

	assert_int_equal(setenv("COMP_ROOT", below, 1), 0);
	assert_int_equal(setenv("COMP_RUN", folder, 1), 0);
	assert_int_equal(dirs_init(&d, &e), -ENOTDIR);
	assert_non_null(strstr(e.msg, "file"));
	dirs_done(&d);
}

static void same(char *got, const struct dirs *d, const char *below)
{
	_cleanup_(free_p) char *want = path_join(d->root, below), *owned = got;

	assert_string_equal(owned, want);
}

static void test_paths(void **state)
{
	struct dirs d = make("root", "run");
	_cleanup_(free_p) char *run = dirs_project_run(&d, "p"), *want = path_join(d.run, "p");

	same(dirs_images(&d), &d, "images");
	same(dirs_volumes(&d), &d, "volumes");
	same(dirs_networks(&d), &d, "networks");
	same(dirs_projects(&d), &d, "projects");
	same(dirs_project(&d, "p"), &d, "projects/p");
	same(dirs_containers(&d, "p"), &d, "projects/p/containers");
	same(dirs_container(&d, "p", "i"), &d, "projects/p/containers/i");
	assert_string_equal(run, want);
	dirs_done(&d);
}

static void test_list(void **state)
{
	struct dirs d = make("root", "run");
	char **names = dirs_list_projects(&d);
	int root, run;

	assert_int_equal(strv_len(names), 0);
	strv_free(names);
	root = open(d.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	run = open(d.run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdir_p(root, "projects/b", 0700, NULL), 0);
	assert_int_equal(mkdir_p(root, "projects/both", 0700, NULL), 0);
	assert_int_equal(mkdir_p(root, "projects/.hidden", 0700, NULL), 0);
	assert_int_equal(mkdir_p(run, "both", 0700, NULL), 0);
	assert_int_equal(mkdir_p(run, "a", 0700, NULL), 0);
	fd_close(openat(root, "projects/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	fd_close(root);
	fd_close(run);
	names = dirs_list_projects(&d);
	assert_true(
		strv_equal(names, (char *[]){ (char *)"a", (char *)"b", (char *)"both", NULL }));
	strv_free(names);
	dirs_done(&d);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_init), T(test_relative), T(test_unusable), T(test_paths), T(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
