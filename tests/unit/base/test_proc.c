/* What /proc says about processes whose names are made to confuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"

static pid_t sleeper(const char *name)
{
	int p[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_NAME, name);
		(void)!write(p[1], "x", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	return pid;
}

static void test_own(void **state)
{
	uint64_t ticks, again, n;

	assert_int_equal(proc_start_ticks(getpid(), &ticks, NULL), 0);
	assert_int_equal(proc_start_ticks(getpid(), &again, NULL), 0);
	assert_true(ticks == again && ticks > 0);
	assert_int_equal(proc_state(getpid()), 'R');
	assert_int_equal(proc_status_number(getpid(), "PPid", &n, NULL), 0);
	assert_int_equal(n, getppid());
	assert_int_equal(proc_status_number(getpid(), "NoSuchField", &n, NULL), -ENOENT);
}

static void test_hostile_name(void **state)
{
	char comm[16];
	uint64_t ticks, own;
	pid_t pid = sleeper(") Z 1 1 1\n) (");

	assert_int_equal(proc_start_ticks(getpid(), &own, NULL), 0);
	assert_int_equal(proc_start_ticks(pid, &ticks, NULL), 0);
	assert_true(ticks >= own && ticks < own + 100000);
	assert_true(proc_state(pid) == 'S' || proc_state(pid) == 'R');
	assert_string_equal(proc_comm(pid, comm), ") Z 1 1 1");
	kill(pid, SIGKILL);
	/* A zombie still counts as there. */
	assert_int_equal(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_state(pid), 'Z');
	assert_int_equal(proc_start_ticks(pid, &own, NULL), 0);
	assert_true(own == ticks);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(proc_start_ticks(pid, &own, NULL), -ESRCH);
	assert_int_equal(proc_state(pid), -ESRCH);
	assert_string_equal(proc_comm(pid, comm), "?");
}

static void test_mask(void **state)
{
	uint64_t mask, bit = UINT64_C(1) << (SIGUSR2 - 1);

	(void)signal(SIGUSR2, SIG_DFL);
	assert_int_equal(proc_status_mask(getpid(), "SigCgt", &mask, NULL), 0);
	assert_false(mask & bit);
	(void)signal(SIGUSR2, SIG_IGN);
	assert_int_equal(proc_status_mask(getpid(), "SigIgn", &mask, NULL), 0);
	assert_true(mask & bit);
	(void)signal(SIGUSR2, SIG_DFL);
}

static void test_boot_id(void **state)
{
	char a[BOOT_ID_MAX], b[BOOT_ID_MAX];

	assert_int_equal(proc_boot_id(a, NULL), 0);
	assert_int_equal(proc_boot_id(b, NULL), 0);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_hostile_name),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_boot_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
