/* Buffers that grow, shrink and are handed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_grow(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_string_equal(buf_str(&b), "");
	for (int i = 0; i < 1000; i++) {
		buf_addc(&b, 'a');
		assert_int_equal(b.data[b.len], '\0');
		assert_true(b.len < b.cap);
	}
	assert_int_equal(b.len, 1000);
	buf_add(&b, "\0x", 2);
	assert_int_equal(b.len, 1002);
	buf_add(&b, NULL, 0);
	assert_int_equal(b.len, 1002);
}

static void test_printf(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	buf_printf(&b, "%s", "");
	assert_string_equal(buf_str(&b), "");
	buf_printf(&b, "%d-%s", 5, "x");
	buf_printf(&b, "%0200d", 1);
	assert_int_equal(b.len, 203);
	assert_memory_equal(b.data, "5-x000", 6);
}

static void test_consume(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	buf_consume(&b, 5);
	buf_truncate(&b, 0);
	buf_adds(&b, "abcdef");
	buf_consume(&b, 2);
	assert_string_equal(buf_str(&b), "cdef");
	buf_truncate(&b, 9);
	assert_string_equal(buf_str(&b), "cdef");
	buf_truncate(&b, 3);
	assert_string_equal(buf_str(&b), "cde");
	buf_consume(&b, 3);
	assert_string_equal(buf_str(&b), "");
	buf_consume(&b, 1);
	assert_int_equal(b.len, 0);
}

static void test_take(void **state)
{
	struct buf b = BUF_INIT;
	char *s = buf_take(&b);

	assert_string_equal(s, "");
	free(s);
	buf_adds(&b, "x");
	s = buf_take(&b);
	assert_string_equal(s, "x");
	assert_int_equal(b.len, 0);
	assert_null(b.data);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_consume),
		cmocka_unit_test(test_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
