/* Container names: claimed, refused, stale, released, swept, and claimed by many at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/state/names.h"

#define ID_A "aaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbb"

static struct dirs d;

static int setup(void **state)
{
	char name[] = "/tmp/comp-test-XXXXXX";

	assert_non_null(mkdtemp(name));
	d.root = xstrdup(name);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(rm_rf(AT_FDCWD, d.root, NULL), 0);
	free(d.root);
	return 0;
}

static char *state_of(const char *project, const char *id)
{
	_cleanup_(free_p) char *dir = dirs_container(&d, project, id);

	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0700, NULL), 0);
	return path_join(dir, "state.json");
}

static void make(const char *project, const char *id)
{
	_cleanup_(free_p) char *path = state_of(project, id);

	assert_int_equal(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
}

static void lose(const char *project, const char *id)
{
	_cleanup_(free_p) char *path = state_of(project, id);

	assert_int_equal(unlink(path), 0);
}

static bool any(void)
{
	_cleanup_(free_p) char *path = path_join(d.root, "names");

	return access(path, F_OK) == 0;
}

static void test_refused(void **state)
{
	struct err e = ERR_INIT;

	make("one", ID_A);
	make("two", ID_B);
	assert_int_equal(names_check(&d, "db", "two", NULL), 0);
	assert_int_equal(names_claim(&d, "db", "one", ID_A, NULL), 0);
	assert_int_equal(names_claim(&d, "db", "one", ID_A, NULL), 0);
	assert_int_equal(names_check(&d, "db", "one", NULL), 0);
	assert_int_equal(names_check(&d, "db", "two", NULL), -EEXIST);
	assert_int_equal(names_check(&d, "db", "on", NULL), -EEXIST);
	assert_int_equal(names_claim(&d, "db", "two", ID_B, &e), -EEXIST);
	assert_string_equal(e.msg, "container name \"db\" is already in use by container "
				   "aaaaaaaaaaaa of project \"one\"");
	assert_non_null(strstr(e.hint, "comp -p one down"));
	assert_int_equal(names_claim(&d, "web", "two", ID_B, NULL), 0);
}

static void test_own_is_replaced(void **state)
{
	make("one", ID_A);
	make("one", ID_B);
	assert_int_equal(names_claim(&d, "db", "one", ID_A, NULL), 0);
	assert_int_equal(names_claim(&d, "db", "one", ID_B, NULL), 0);
	names_release(&d, "db", "one", ID_A); /* not its own any more */
	assert_int_equal(names_check(&d, "db", "two", NULL), -EEXIST);
	names_release(&d, "db", "one", ID_B);
	assert_int_equal(names_check(&d, "db", "two", NULL), 0);
}

static void test_stale(void **state)
{
	_cleanup_(free_p) char *odd = NULL;

	make("one", ID_A);
	make("two", ID_B);
	assert_int_equal(names_claim(&d, "db", "one", ID_A, NULL), 0);
	lose("one", ID_A);
	assert_int_equal(names_check(&d, "db", "two", NULL), 0);
	assert_int_equal(names_claim(&d, "db", "two", ID_B, NULL), 0);
	/* Nothing that somebody put there keeps a name for ever. */
	odd = xasprintf("%s/names/odd", d.root);
	assert_int_equal(mkdir(odd, 0700), 0);
	assert_int_equal(names_claim(&d, "odd", "two", ID_B, NULL), 0);
	assert_int_equal(unlink(odd), 0);
	assert_int_equal(symlink("nonsense", odd), 0);
	assert_int_equal(names_claim(&d, "odd", "two", ID_B, NULL), 0);
}

static void test_sweep(void **state)
{
	names_sweep(&d);
	make("one", ID_A);
	make("two", ID_B);
	assert_int_equal(names_claim(&d, "db", "one", ID_A, NULL), 0);
	assert_int_equal(names_claim(&d, "web", "two", ID_B, NULL), 0);
	lose("one", ID_A);
	names_sweep(&d);
	assert_int_equal(names_check(&d, "web", "one", NULL), -EEXIST);
	lose("two", ID_B);
	names_sweep(&d);
	assert_false(any());
	make("two", ID_B);
	assert_int_equal(names_claim(&d, "web", "two", ID_B, NULL), 0);
	names_release(&d, "web", "two", ID_B);
	names_sweep(&d);
	assert_false(any());
}

/* Many want one name, which a dead container still has. */
static void test_one_wins(void **state)
{
	pid_t pids[16];
	int winners = 0;

	for (int round = 0; round < 20; round++) {
		make("dead", ID_A);
		assert_int_equal(names_claim(&d, "db", "dead", ID_A, NULL), 0);
		lose("dead", ID_A);
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
			_cleanup_(free_p) char *project = xasprintf("p%zu", i);

			make(project, ID_B);
			pids[i] = fork();
			if (pids[i] == 0)
				_exit(names_claim(&d, "db", project, ID_B, NULL) == 0 ? 0 : 1);
		}
		winners = 0;
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
			int status;

			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			winners += status == 0;
		}
		assert_int_equal(winners, 1);
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
			_cleanup_(free_p) char *project = xasprintf("p%zu", i);

			names_release(&d, "db", project, ID_B);
		}
	}
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_refused), TEST(test_own_is_replaced), TEST(test_stale),
		TEST(test_sweep),   TEST(test_one_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
