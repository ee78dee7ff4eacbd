/* The map against what a plain array would say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/map.h"

#define MANY 5000

static char *key_of(int i, char buf[32])
{
	snprintf(buf, 32, "key-%d", i);
	return buf;
}

static void test_many(void **state)
{
	_cleanup_(map_done) struct map m = MAP_INIT;
	char key[32];
	int at = 0;

	for (int i = 0; i < MANY; i++)
		map_put(&m, key_of(i, key), (void *)(intptr_t)(i + 1));
	assert_int_equal(map_len(&m), MANY);
	for (int i = 0; i < MANY; i++)
		assert_true(map_get(&m, key_of(i, key)) == (void *)(intptr_t)(i + 1));
	assert_false(map_has(&m, "key-"));
	MAP_FOREACH (entry, &m)
		assert_string_equal(entry->key, key_of(at++, key));
	assert_int_equal(at, MANY);
}

static void test_order(void **state)
{
	_cleanup_(map_done) struct map m = MAP_INIT;
	char order[8] = "";

	map_put(&m, "b", NULL);
	map_put(&m, "a", NULL);
	map_put(&m, "c", NULL);
	map_put(&m, "b", &m); /* replaced in its place */
	assert_true(map_remove(&m, "a"));
	assert_false(map_remove(&m, "a"));
	map_put(&m, "a", NULL); /* new: at the end */
	MAP_FOREACH (entry, &m)
		strcat(order, entry->key);
	assert_string_equal(order, "bca");
	assert_true(map_has(&m, "a"));
	assert_null(map_get(&m, "a"));
	assert_true(map_get(&m, "b") == &m);
}

static void test_remove_while_iterating(void **state)
{
	_cleanup_(map_done) struct map m = MAP_INIT;
	char key[32];
	size_t seen = 0;

	for (int i = 0; i < 100; i++)
		map_put(&m, key_of(i, key), NULL);
	MAP_FOREACH (entry, &m) {
		if (seen++ % 2) {
			char copy[32];

			snprintf(copy, sizeof(copy), "%s", entry->key);
			assert_true(map_remove(&m, copy));
		}
	}
	assert_int_equal(seen, 100);
	assert_int_equal(map_len(&m), 50);
	for (int i = 0; i < 100; i++)
		assert_true(map_has(&m, key_of(i, key)) == (i % 2 == 0));
	MAP_FOREACH (entry, &m)
		assert_true(map_remove(&m, entry->key)); /* by its own key, which goes away */
	assert_int_equal(map_len(&m), 0);
}

static void test_break(void **state)
{
	_cleanup_(map_done) struct map m = MAP_INIT;
	int seen = 0;

	map_put(&m, "a", NULL);
	map_put(&m, "b", NULL);
	MAP_FOREACH (entry, &m) {
		seen++;
		break;
	}
	assert_int_equal(seen, 1);
}

/* A map that is used as a queue keeps its size. */
static void test_churn(void **state)
{
	_cleanup_(map_done) struct map m = MAP_INIT;
	char key[32];

	for (int i = 0; i < MANY; i++) {
		map_put(&m, key_of(i, key), NULL);
		if (i >= 10)
			assert_true(map_remove(&m, key_of(i - 10, key)));
	}
	assert_int_equal(map_len(&m), 10);
	assert_true(m.cap <= 64);
}

static int freed;

static void count_free(void *p)
{
	freed += p != NULL;
}

static void test_free_function(void **state)
{
	struct map m = MAP_INIT_FREE(count_free);
	int x, y;

	map_put(&m, "a", &x);
	map_put(&m, "a", &x); /* the same again is not freed under our feet */
	assert_int_equal(freed, 0);
	map_put(&m, "a", &y);
	assert_int_equal(freed, 1);
	map_put(&m, "b", &x);
	map_remove(&m, "a");
	assert_int_equal(freed, 2);
	map_done(&m);
	assert_int_equal(freed, 3);
	map_put(&m, "c", &x); /* usable after, with the same function */
	map_done(&m);
	assert_int_equal(freed, 4);
}

static void test_empty(void **state)
{
	struct map m = MAP_INIT;

	assert_null(map_get(&m, "x"));
	assert_false(map_remove(&m, "x"));
	MAP_FOREACH (entry, &m)
		fail();
	map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_remove_while_iterating),
		cmocka_unit_test(test_break),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_free_function),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
