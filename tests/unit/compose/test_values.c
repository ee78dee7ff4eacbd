/* Numbers out of canonical nodes: each kind of scalar, and what cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "compose/values.h"
#include "compose/yaml.h"

struct sample {
	struct arena *arena;
	struct node *map;
};

static int setup(void **state)
{
	static const char text[] = "int: 7\n"
				   "negative: -3\n"
				   "number: '42'\n"
				   "octal: '0440'\n"
				   "mode: 0644\n"
				   "half: 0.5\n"
				   "cpus: '1.25'\n"
				   "size: 64m\n"
				   "time: 1m30s\n"
				   "past: -5s\n"
				   "word: plenty\n"
				   "empty: ''\n"
				   "none:\n"
				   "list: [1]\n"
				   "table: {a: 1}\n"
				   "truth: true\n";
	struct sample *s = new0(struct sample);
	struct yaml_docs docs;

	s->arena = arena_new();
	assert_int_equal(yaml_load(s->arena, "f", text, strlen(text), &docs, NULL), 0);
	s->map = docs.roots[0];
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct sample *s = *state;

	arena_free(s->arena);
	free(s);
	return 0;
}

static const char *const unreadable[] = { "word",  "empty", "none",  "list",
					  "table", "truth", "absent" };

static void test_int(void **state)
{
	const struct node *m = ((struct sample *)*state)->map;

	assert_int_equal(value_int(m, "int", 99), 7);
	assert_int_equal(value_int(m, "negative", 99), -3);
	assert_int_equal(value_int(m, "number", 99), 42);
	assert_int_equal(value_int(m, "half", 99), 99);
	assert_int_equal(value_int(NULL, "int", 99), 99);
	for (size_t i = 0; i < ARRAY_SIZE(unreadable); i++)
		assert_int_equal(value_int(m, unreadable[i], 99), 99);
}

static void test_bytes(void **state)
{
	const struct node *m = ((struct sample *)*state)->map;

	assert_int_equal(value_bytes(m, "size", 99), 64 << 20);
	assert_int_equal(value_bytes(m, "int", 99), 7);
	assert_int_equal(value_bytes(m, "number", 99), 42);
	for (size_t i = 0; i < ARRAY_SIZE(unreadable); i++)
		assert_int_equal(value_bytes(m, unreadable[i], 99), 99);
}

static void test_duration(void **state)
{
	const struct node *m = ((struct sample *)*state)->map;

	assert_int_equal(value_duration(m, "time", 99), 90 * NSEC_PER_SEC);
	assert_int_equal(value_duration(m, "past", 99), 99);
	for (size_t i = 0; i < ARRAY_SIZE(unreadable); i++)
		assert_int_equal(value_duration(m, unreadable[i], 99), 99);
}

static void test_cpus(void **state)
{
	const struct node *m = ((struct sample *)*state)->map;

	assert_int_equal(value_cpus(m, "half"), 500000000);
	assert_int_equal(value_cpus(m, "cpus"), 1250000000);
	assert_int_equal(value_cpus(m, "int"), 7000000000);
	for (size_t i = 0; i < ARRAY_SIZE(unreadable); i++)
		assert_int_equal(value_cpus(m, unreadable[i]), 0);
}

static void test_mode(void **state)
{
	const struct node *m = ((struct sample *)*state)->map;

	assert_int_equal(value_mode(m, "octal", 99), 0440);
	assert_int_equal(value_mode(m, "mode", 99), 0644);
	for (size_t i = 0; i < ARRAY_SIZE(unreadable); i++)
		assert_int_equal(value_mode(m, unreadable[i], 99), 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_int, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duration, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
