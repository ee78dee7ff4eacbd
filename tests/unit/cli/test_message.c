/* Errors with their place in the file, warnings in two forms. */
#include "tests/unit/cli/capture.h"

#include <unistd.h>

#include "cli/message.h"
#include "compose/diag.h"

static const struct message_style plain = { 0 };

static void test_error(void **state)
{
	struct err e = ERR_INIT;
	struct capture c;

	message_error(capture_open(&c), &plain, &e);
	capture_expect(&c, "");
	err_set(&e, EINVAL, "no such service: x");
	message_error(capture_open(&c), &plain, &e);
	capture_expect(&c, "comp: no such service: x\n");
	(void)err_hint(&e, "did you mean \"y\"?");
	message_error(capture_open(&c), &plain, &e);
	capture_expect(&c, "comp: no such service: x\nhint: did you mean \"y\"?\n");
}

static void test_source(void **state)
{
	char path[] = "/tmp/comp-test-message-XXXXXX";
	static const char text[] = "services:\n\tw\xc3\xa9"
				   "b: \x1b[1m8\r\n";
	int fd = mkstemp(path);
	struct err e = ERR_INIT;
	struct capture c;
	char expected[256];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	err_set(&e, EINVAL, "bad");
	(void)err_at(&e, path, 2, 7);
	message_error(capture_open(&c), &plain, &e);
	snprintf(expected, sizeof(expected),
		 "comp: %s:2:7: bad\n    2 | \tw\xc3\xa9"
		 "b: ?[1m8\n      | \t     ^\n",
		 path);
	capture_expect(&c, expected);
	unlink(path);
	message_error(capture_open(&c), &plain, &e); /* the file is gone: no line, no complaint */
	snprintf(expected, sizeof(expected), "comp: %s:2:7: bad\n", path);
	capture_expect(&c, expected);
}

static void test_json(void **state)
{
	struct message_style s = { .json = true };
	struct err e = ERR_INIT;
	struct capture c;

	err_set(&e, EINVAL, "say \"x\"");
	message_error(capture_open(&c), &s, &e);
	capture_expect(&c, "{\"error\":true,\"message\":\"say \\\"x\\\"\"}\n");
}

static void test_warning(void **state)
{
	struct message_style tty = { .tty = true };
	struct capture c;

	tty.started = now_mono_ns();
	message_warning(capture_open(&c), &tty, "watch out");
	capture_expect(&c, "WARN[0000] watch out\n");
	message_warning(capture_open(&c), &plain, "a \"b\"\n");
	fclose(c.f);
	assert_ptr_equal(strstr(c.text, "time=\"20"), c.text);
	assert_non_null(strstr(c.text, "Z\" level=warning msg=\"a \\\"b\\\"\\n\"\n"));
	free(c.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
