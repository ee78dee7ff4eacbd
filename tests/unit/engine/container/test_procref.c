/* procref: whose cgroup a process is in, and who is not the process of a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/container/procref.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void test_cgroup_of(void **state)
{
	static const struct {
		const char *text;
		int want;
	} cases[] = {
		{ "0::/comp/demo." ID "\n", 1 },
		{ "0::/comp/demo." ID "/init.scope/x\n", 1 },
		{ "0::/comp/demo." ID " (deleted)\n", 0 },
		{ "12:pids:/comp/demo." ID "\n1:memory:/comp/demo." ID "\n0::/\n", 1 },
		{ "2:pids:/\n1:memory:/comp/demo." ID "\n", 1 },
		{ "0::/machine/my.slice/a.b." ID "\n", 1 }, /* cgroup_parent */
		{ "0::/comp/outer." OTHER "/comp/demo." ID "\n", 1 },
		{ "0::/comp/demo." OTHER "\n", -EXDEV },
		{ "12:pids:/\n1:memory:/comp/demo." OTHER "\n0::/\n", -EXDEV },
		{ "0::/\n", 0 },
		{ "0::/user.slice/user-0.slice/session-1.scope\n", 0 },
		{ "0::/docker/" OTHER "\n", 0 },
		{ "0::/x/" ID "\n", 0 },
		{ "0::/x/demo." ID "0\n", 0 },
		{ "", 0 },
		{ "no colons, no slashes", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (procref_cgroup_of(cases[i].text, ID) != cases[i].want)
			fail_msg("%s: %d", cases[i].text, procref_cgroup_of(cases[i].text, ID));
}

static void test_gone(void **state)
{
	const struct procref self = { .pid = getpid() }, nobody = { .pid = 0x7ffffff0 };

	assert_int_equal(procref_in_container(&nobody, ID, NULL), -ESRCH);
	assert_int_equal(procref_in_container(&self, ID, NULL), 0);
}

static void test_open(void **state)
{
	struct procref p;
	int fd;

	assert_int_equal(procref_of(getpid(), &p, NULL), 0);
	fd = procref_open(&p, NULL);
	assert_true(fd >= 0);
	fd_close(fd);
	p.start_ticks--;
	assert_int_equal(procref_open(&p, NULL), -ESRCH);
	assert_int_equal(procref_signal(&p, 0, NULL), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup_of),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
