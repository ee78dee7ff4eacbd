/* Errors: their words, and that they are cut rather than overrun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

static void test_words(void **state)
{
	struct err e = ERR_INIT;

	assert_int_equal(err_set(&e, EINVAL, "port %d is taken", 80), -EINVAL);
	assert_string_equal(e.msg, "port 80 is taken");
	assert_int_equal(err_errno(&e, EACCES, "open %s", "/x"), -EACCES);
	assert_string_equal(e.msg, "open /x: Permission denied");
	assert_int_equal(err_wrap(&e, -EACCES, "service \"%s\"", "web"), -EACCES);
	assert_string_equal(e.msg, "service \"web\": open /x: Permission denied");
	assert_int_equal(e.code, EACCES);
	assert_int_equal(err_hint(&e, "do %s", "this"), -EACCES);
	assert_string_equal(e.hint, "do this");
	/* A new error forgets the old one's hint and position. */
	(void)err_at(&e, "a.yaml", 3, 4);
	(void)err_set(&e, EIO, "x");
	assert_string_equal(e.hint, "");
	assert_int_equal(e.line, 0);
}

static void test_null(void **state)
{
	assert_int_equal(err_set(NULL, EIO, "x"), -EIO);
	assert_int_equal(err_errno(NULL, EIO, "x"), -EIO);
	assert_int_equal(err_wrap(NULL, -5, "x"), -5);
	assert_true(err_at(NULL, "f", 1, 1) < 0);
	assert_true(err_hint(NULL, "x") < 0);
}

static void test_position(void **state)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, EINVAL, "bad");
	(void)err_at(&e, "a.yaml", 3, 4);
	(void)err_at(&e, "b.yaml", 5, 6); /* the innermost one knows best */
	assert_string_equal(e.file, "a.yaml");
	assert_int_equal(e.line, 3);
	assert_int_equal(e.col, 4);
}

static void test_cut(void **state)
{
	char words[2 * ERR_MSG_MAX];
	struct err e = ERR_INIT;

	memset(words, 'x', sizeof(words));
	words[sizeof(words) - 1] = '\0';
	(void)err_errno(&e, EIO, "%s", words);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	(void)err_wrap(&e, -EIO, "outer");
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(e.msg, "outer: xxx", 10);
	(void)err_wrap(&e, -EIO, "%s", words);
	assert_int_equal(strlen(e.msg), ERR_MSG_MAX - 1);
	(void)err_at(&e, words, 1, 1);
	assert_int_equal(strlen(e.file), ERR_FILE_MAX - 1);
	(void)err_hint(&e, "%s", words);
	assert_int_equal(strlen(e.hint), ERR_HINT_MAX - 1);
}

static void test_zero_code(void **state)
{
	struct err e = ERR_INIT;

	assert_int_equal(err_set(&e, 0, "no reason"), -EINVAL); /* never success by accident */
	e = ERR_INIT;
	assert_int_equal(err_wrap(&e, -ENOENT, "x"), -ENOENT);
	assert_int_equal(e.code, ENOENT);
}

static void test_keep_first(void **state)
{
	struct err e = ERR_INIT, other = ERR_INIT;
	int r = 0;

	err_keep_first(&r, &e, 0, &other);
	assert_int_equal(r, 0);
	err_keep_first(&r, &e, err_set(&other, EIO, "first"), &other);
	err_keep_first(&r, &e, err_set(&other, EPERM, "second"), &other);
	assert_int_equal(r, -EIO);
	assert_string_equal(e.msg, "first");
	r = 0;
	err_keep_first(&r, NULL, -EIO, NULL);
	assert_int_equal(r, -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),     cmocka_unit_test(test_null),
		cmocka_unit_test(test_position),  cmocka_unit_test(test_cut),
		cmocka_unit_test(test_zero_code), cmocka_unit_test(test_keep_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
