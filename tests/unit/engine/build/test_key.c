/* Keys of build steps: everything counts, nothing runs together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/build/key.h"

static char *const none[] = { NULL };

static char *key_of(const char *kind, char *const *layers, const char *name, const char *value)
{
	struct key k;

	key_init(&k, kind, layers);
	key_add(&k, name, value);
	return key_end(&k);
}

static void differs(char *a, char *b)
{
	assert_true(digest_hex_is_valid(a));
	assert_string_not_equal(a, b);
	free(a);
	free(b);
}

static void test_same(void **state)
{
	_cleanup_(free_p) char *a = key_of("run", none, "argv", "x");
	_cleanup_(free_p) char *b = key_of("run", none, "argv", "x");

	assert_string_equal(a, b);
}

static void test_everything_counts(void **state)
{
	char *const one[] = { (char *)"sha256:aa", NULL };
	char *const two[] = { (char *)"sha256:aa", (char *)"sha256:aa", NULL };

	differs(key_of("run", none, "a", "b"), key_of("copy", none, "a", "b"));
	differs(key_of("run", none, "a", "b"), key_of("run", one, "a", "b"));
	differs(key_of("run", one, "a", "b"), key_of("run", two, "a", "b"));
	differs(key_of("run", none, "a", "b"), key_of("run", none, "ab", ""));
	differs(key_of("run", none, "a", ""), key_of("run", none, "a", NULL));
}

static void test_lists(void **state)
{
	char *const ab[] = { (char *)"a", (char *)"b", NULL };
	char *const joined[] = { (char *)"ab", NULL };
	struct key k1, k2, k3;

	key_init(&k1, "run", none);
	key_init(&k2, "run", none);
	key_init(&k3, "run", none);
	key_add_strv(&k1, "argv", ab);
	key_add_strv(&k2, "argv", joined);
	key_add_strv(&k3, "argv", NULL);
	_cleanup_(free_p) char *third = key_end(&k3);
	differs(key_end(&k1), key_end(&k2));
	assert_true(digest_hex_is_valid(third));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_everything_counts),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
