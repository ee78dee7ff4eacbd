/* Vectors of strings; NULL is an empty one everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/strv.h"

static void expect(char **v, const char *joined)
{
	_cleanup_(free_p) char *text = strv_join(v, "|");

	assert_string_equal(text, joined);
	strv_free(v);
}

static void test_null(void **state)
{
	char **v = NULL;

	assert_int_equal(strv_len(NULL), 0);
	assert_null(strv_copy(NULL));
	assert_false(strv_has(NULL, "x"));
	assert_true(strv_equal(NULL, (char *[]){ NULL }));
	strv_sort(NULL);
	strv_extend(&v, NULL);
	assert_null(v);
	assert_null(strv_env_get(NULL, "A"));
	strv_env_set(&v, "A", NULL);
	assert_null(v);
	expect(NULL, "");
}

static void test_edit(void **state)
{
	char **v = NULL, **copy;

	strv_add(&v, "b");
	strv_addf(&v, "%d", 5);
	strv_add_take(&v, xstrdup("a"));
	strv_extend(&v, (char *[]){ (char *)"y", (char *)"z", NULL });
	copy = strv_copy(v);
	assert_true(strv_equal(v, copy));
	strv_remove(&copy, 4);
	strv_remove(&copy, 0);
	assert_false(strv_equal(v, copy));
	expect(copy, "5|a|y");
	strv_sort(v);
	assert_true(strv_has(v, "y"));
	assert_false(strv_has(v, ""));
	expect(v, "5|a|b|y|z");
}

static void test_split(void **state)
{
	expect(strv_split("a,b,,c,", ',', false), "a|b||c|");
	expect(strv_split(",a,b,,c,", ',', true), "a|b|c");
	expect(strv_split("", ',', true), "");
	assert_null(strv_split("", ',', true));
	{
		char **one = strv_split("", ',', false);

		assert_int_equal(strv_len(one), 1);
		strv_free(one);
	}
	expect(strv_split("whole", '\0', false), "whole");
}

static void test_env(void **state)
{
	char **env = NULL;

	strv_env_set(&env, "A", "1");
	strv_env_set(&env, "AB", "2");
	strv_env_set(&env, "A", "=3=");
	strv_add(&env, "BARE");
	assert_string_equal(strv_env_get(env, "A"), "=3=");
	assert_string_equal(strv_env_get(env, "AB"), "2");
	assert_null(strv_env_get(env, "BARE"));
	assert_null(strv_env_get(env, "B"));
	strv_env_set(&env, "A", NULL);
	strv_env_set(&env, "none", NULL);
	strv_env_set(&env, "E", "");
	assert_string_equal(strv_env_get(env, "E"), "");
	expect(env, "AB=2|BARE|E=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_env),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
