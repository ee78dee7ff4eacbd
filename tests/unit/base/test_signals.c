/* Signals as users write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/signals.h"
#include "base/util.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int sig;
	} rows[] = {
		{ "SIGTERM", SIGTERM }, { "term", SIGTERM },   { "sigKill", SIGKILL },
		{ "15", 15 },           { "64", 64 },          { "HUP", SIGHUP },
		{ "IOT", SIGABRT },     { "SIGIOT", SIGABRT }, { "WINCH", SIGWINCH },
	};
	static const char *const bad[] = { "",         "0",        "65",      "-1",      "SIG",
					   "SIG15",    "SIGNOPE",  "TERMX",   " TERM",   "RTMIN3",
					   "RTMIN+",   "RTMIN+99", "RTMAX+1", "RTMIN-1", "RTMIN++1",
					   "RTMIN+-1", "RTMAX--1", "RTMINX" };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(signal_parse(rows[i].text), rows[i].sig);
	assert_int_equal(signal_parse("RTMIN"), SIGRTMIN);
	assert_int_equal(signal_parse("SIGRTMIN+3"), SIGRTMIN + 3);
	assert_int_equal(signal_parse("rtmax-1"), SIGRTMAX - 1);
	assert_int_equal(signal_parse("SIGRTMAX"), SIGRTMAX);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (signal_parse(bad[i]) != -EINVAL)
			fail_msg("\"%s\" is signal %d", bad[i], signal_parse(bad[i]));
}

static void test_names(void **state)
{
	assert_string_equal(signal_name(SIGTERM), "SIGTERM");
	assert_string_equal(signal_name(SIGRTMIN), "SIGRTMIN");
	assert_string_equal(signal_name(SIGRTMIN + 1), "SIGRTMIN+1");
	assert_string_equal(signal_name(SIGRTMAX - 1), "SIGRTMAX-1");
	assert_string_equal(signal_name(SIGRTMAX), "SIGRTMAX");
	assert_string_equal(signal_name(SIGRTMIN - 1), "signal 33"); /* the C library's own */
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		assert_int_equal(signal_parse(signal_name(sig)), sig);
	for (int sig = 1; sig < SIGRTMIN - 2; sig++)
		assert_int_equal(signal_parse(signal_name(sig)), sig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
