/* The arena and the tree's own operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>

#include "compose/node.h"
#include "tests/unit/compose/dump.h"

static int setup(void **state)
{
	*state = arena_new();
	return 0;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

static void assert_dump(const struct node *n, const char *expected)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	dump_node(&b, n, false);
	assert_string_equal(buf_str(&b), expected);
}

static void test_arena(void **state)
{
	struct arena *a = *state;
	char *big = arena_alloc(a, 1 << 20), *small = arena_alloc(a, 3);

	for (size_t i = 0; i < 1 << 20; i++)
		assert_int_equal(big[i], 0);
	assert_int_equal((uintptr_t)small % _Alignof(max_align_t), 0);
	assert_string_equal(arena_strndup(a, "hello", 2), "he");
	assert_string_equal(arena_strndup(a, "he", 20), "he");
	assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
	assert_true(arena_used(a) > 1 << 20);
	arena_free(NULL);
}

static void test_intern(void **state)
{
	struct arena *a = *state;
	const char *first = arena_intern(a, "key 7");

	for (int i = 0; i < 1000; i++)
		arena_intern(a, arena_printf(a, "key %d", i));
	assert_ptr_equal(arena_intern(a, "key 7"), first);
	assert_string_equal(arena_intern(a, "key 999"), "key 999");
}

static struct node *large_map(struct arena *a, int n)
{
	struct node *map = node_map(a);

	for (int i = 0; i < n; i++)
		node_put(a, map, arena_printf(a, "k%d", i), node_int(a, i));
	return map;
}

static void test_map_of_any_size(void **state)
{
	struct arena *a = *state;

	for (int n = 0; n < 300; n += 7) {
		struct node *map = large_map(a, n);

		for (int i = 0; i < n; i++)
			assert_int_equal(node_get_int(map, arena_printf(a, "k%d", i), -1), i);
		assert_null(node_get(map, "k-1"));
		node_put(a, map, "k0", node_int(a, 42));
		assert_int_equal(node_get_int(map, "k0", -1), 42);
		assert_int_equal(map->n, n ? n : 1);
	}
}

static void test_remove_keeps_order(void **state)
{
	struct arena *a = *state;
	struct node *map = large_map(a, 40);

	for (int i = 0; i < 40; i += 2)
		assert_true(node_remove(map, arena_printf(a, "k%d", i)));
	assert_false(node_remove(map, "k0"));
	for (int i = 0; i < 20; i++)
		assert_int_equal(map->entries[i].value->integer, i * 2 + 1);
	assert_int_equal(node_get_int(map, "k39", 0), 39);
	node_put(a, map, "k0", node_null(a));
	assert_true(node_is_null(node_get(map, "k0")));
	assert_int_equal(map->n, 21);
}

static void test_getters_answer_fallbacks(void **state)
{
	struct arena *a = *state;
	struct node *map = node_map(a), *inner = node_map(a);

	node_put(a, map, "s", node_str(a, "text"));
	node_put(a, map, "b", node_bool(a, true));
	node_put(a, map, "f", node_float(a, 1.5));
	node_put(a, map, "m", inner);
	node_put(a, inner, "i", node_int(a, -3));
	assert_string_equal(node_get_str(map, "s"), "text");
	assert_null(node_get_str(map, "b"));
	assert_true(node_get_bool(map, "b", false));
	assert_true(node_get_bool(map, "s", true));
	assert_true(node_get_float(map, "f", 0) == 1.5);
	assert_true(node_get_float(inner, "i", 0) == -3);
	assert_int_equal(node_get_int(NULL, "x", 5), 5);
	assert_int_equal(node_path(map, "m", "i", NULL)->integer, -3);
	assert_null(node_path(map, "m", "x", "y", NULL));
	assert_null(node_path(map, "s", "i", NULL));
	assert_null(node_get(node_seq(a), "x"));
}

static void test_scalar_text(void **state)
{
	struct arena *a = *state;

	assert_string_equal(node_scalar_text(a, node_bool(a, false)), "false");
	assert_string_equal(node_scalar_text(a, node_int(a, INT64_MIN)), "-9223372036854775808");
	assert_string_equal(node_scalar_text(a, node_float(a, 0.1)), "0.1");
	assert_string_equal(node_scalar_text(a, node_float(a, 1e300)), "1e+300");
	assert_string_equal(node_scalar_text(a, node_float(a, -INFINITY)), "-.inf");
	assert_string_equal(node_scalar_text(a, node_float(a, NAN)), ".nan");
	assert_string_equal(node_scalar_text(a, node_str(a, "x")), "x");
	assert_null(node_scalar_text(a, node_null(a)));
	assert_null(node_scalar_text(a, node_map(a)));
	assert_null(node_scalar_text(a, NULL));
}

static struct node *sample(struct arena *a)
{
	struct node *map = node_map(a), *seq = node_seq(a);

	for (int i = 0; i < 6; i++)
		node_push(a, seq, node_int(a, i));
	node_put(a, map, "z", seq);
	node_put(a, map, "a", node_strf(a, "%d", 5));
	return map;
}

static void test_copy_is_deep(void **state)
{
	struct arena *a = *state, *other = arena_new();
	struct node *map = sample(a), *copy = node_copy(other, map);

	assert_true(node_equal(map, copy));
	node_push(other, node_get(copy, "z"), node_null(other));
	node_sort_keys(copy);
	assert_dump(copy, "{a: \"5\", z: [0, 1, 2, 3, 4, 5, ~]}");
	assert_dump(map, "{z: [0, 1, 2, 3, 4, 5], a: \"5\"}");
	assert_false(node_equal(map, copy));
	arena_free(other);
}

static void test_equal(void **state)
{
	struct arena *a = *state;
	struct node *x = sample(a), *y = sample(a);

	node_sort_keys(y); /* order is no difference */
	assert_true(node_equal(x, y));
	node_put(a, y, "a", node_int(a, 5));
	assert_false(node_equal(x, y));
	assert_true(node_equal(NULL, node_null(a)));
	assert_false(node_equal(NULL, x));
	assert_true(node_equal(node_float(a, NAN), node_float(a, NAN)));
	assert_false(node_equal(node_bool(a, true), node_bool(a, false)));
}

static void test_err_has_position(void **state)
{
	struct arena *a = *state;
	struct node at = { .file = "f.yaml", .line = 3, .col = 7 };
	struct node *n = node_at(node_str(a, "x"), &at);
	struct err e = ERR_INIT;

	assert_int_equal(node_err(&e, n, EINVAL, "bad %s", "thing"), -EINVAL);
	assert_string_equal(e.msg, "bad thing");
	assert_string_equal(e.file, "f.yaml");
	assert_int_equal(e.line, 3);
	assert_int_equal(e.col, 7);
	assert_int_equal(node_err(&e, NULL, ENOENT, "x"), -ENOENT);
	assert_int_equal(e.line, 0);
	assert_string_equal(node_kind_name(NODE_MAP), "mapping");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_arena, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intern, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_of_any_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_keeps_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_getters_answer_fallbacks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scalar_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy_is_deep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_equal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_err_has_position, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
