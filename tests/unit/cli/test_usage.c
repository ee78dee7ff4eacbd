/* tests/unit/cli/test_usage.c: numbers out of /proc, and what top and stats make of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/strv.h"
#include "cli/process_row.h"
#include "cli/usage.h"

static void test_net(void **state)
{
	uint64_t rx, tx;

	usage_parse_net(
		"Inter-|   Receive                                                |  Transmit\n"
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes\n"
		"    lo:     100       1    0    0    0     0          0         0      100       "
		"1 "
		"0 0 0 0 0 0\n"
		"  eth0:    2000      20    0    0    0     0          0         0      300       "
		"3 "
		"0 0 0 0 0 0\n"
		"eth1:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n",
		&rx, &tx);
	assert_int_equal(rx, 2005);
	assert_int_equal(tx, 307);
	usage_parse_net("", &rx, &tx);
	assert_int_equal(rx + tx, 0);
	usage_parse_net("eth0: garbage\neth1:\n", &rx, &tx);
	assert_int_equal(rx + tx, 0);
}

static void test_cpu(void **state)
{
	struct usage a = { .at = 1000, .cpu_ns = 500 }, b = { .at = 2000, .cpu_ns = 2000 };

	assert_int_equal((int)usage_cpu_percent(&a, &b), 150);
	assert_int_equal((int)usage_cpu_percent(&b, &a), 0);
	assert_int_equal((int)usage_cpu_percent(&a, &a), 0);
}

static void test_times(void **state)
{
	static const char stat[] =
		"42 (a (b) c) S 7 42 42 34817 42 4194304 1 0 0 0 300 200 9 9 20 0 "
		"1 0 100000 1 1 1";
	struct process_times t;

	assert_true(process_times_parse(stat, 1020, 100, &t));
	assert_string_equal(t.comm, "a (b) c");
	assert_int_equal(t.ppid, 7);
	assert_int_equal(t.tty_nr, 34817);
	assert_int_equal(t.cpu_seconds, 5);
	assert_int_equal((int)t.age, 20);
	assert_int_equal(t.percent, 25);
	assert_false(process_times_parse("42 (x", 1, 100, &t));
	assert_false(process_times_parse("42 (x) S 1", 1, 100, &t));
	assert_false(process_times_parse("", 1, 100, &t));
}

static void test_row(void **state)
{
	_cleanup_(strv_freep) char **row = process_row(getpid());
	_cleanup_(free_p) char *pid = xasprintf("%d", getpid());

	assert_int_equal(strv_len(row), PROCESS_ROW_CELLS);
	assert_string_equal(row[1], pid);
	assert_non_null(strstr(row[7], "test_usage"));
	assert_null(process_row(0x7ffffff0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_net),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
