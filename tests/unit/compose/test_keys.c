/* The key table: found by name and by path, complete, and in itself sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <regex.h>

#include "compose/diag.h"
#include "compose/keys.h"

static const struct key *at(const char *const *parts, size_t n)
{
	return key_at(&(struct interp_path){ parts, n });
}
#define AT(...)                                                                                    \
	at((const char *const[]){ __VA_ARGS__ },                                                   \
	   sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void test_finds_rows(void **state)
{
	assert_string_equal(AT("services", "web", "healthcheck", "interval")->name, "interval");
	assert_string_equal(AT("services", "web", "ports", "[]", "target")->name, "target");
	assert_int_equal(AT("services", "web", "ports", "[]", "target")->cast, CAST_INT);
	assert_ptr_equal(AT("services", "web", "x-a", "b", "[]"), &key_extension);
	assert_null(AT("services", "web", "imagee"));
	assert_null(AT("nothing"));
	assert_null(AT("services", "a b"));
	assert_non_null(AT("services", "web", "environment", "a b"));
	assert_null(AT("services", "web", "depends_on", "db", "x"));
	assert_null(AT("services", "web", "extends", "x-a"));
}

static void test_type_names(void **state)
{
	char buf[128];

	assert_string_equal(key_type_names(AT("services", "w", "image"), buf, sizeof(buf)),
			    "string");
	assert_string_equal(key_type_names(AT("services", "w", "init"), buf, sizeof(buf)),
			    "boolean or string");
	assert_string_equal(
		key_type_names(AT("services", "w", "environment", "A"), buf, sizeof(buf)),
		"boolean, null, number or string");
	assert_string_equal(key_type_names(AT("services", "w", "command"), buf, sizeof(buf)),
			    "null");
}

/* What must hold for every row. */
static void check_row(const char *path, const struct key *k, void *data)
{
	size_t *n = data;
	regex_t re;

	(*n)++;
	assert_true(k->types != 0);
	if (k->name[0] != '*' && k->name[0] != '[')
		assert_non_null(k->help);
	if (k->help)
		assert_true(k->help[strlen(k->help) - 1] != '\n');
	if (k->value == KV_LIST)
		assert_non_null(k->item);
	if (k->value == KV_OBJECT || k->value == KV_OBJECTS)
		assert_non_null(k->sub);
	if (k->unique)
		assert_true(k->types & (KT_SEQ | KT_MAP));
	if (k->cast)
		assert_true(k->types & KT_STR);
	if (k->pattern) {
		assert_int_equal(regcomp(&re, k->pattern, REG_EXTENDED | REG_NOSUB), 0);
		regfree(&re);
	}
	for (size_t i = 0; k->sub && i < k->sub->n; i++) {
		const char *name = k->sub->keys[i].name;

		assert_ptr_equal(key_child(k, name), &k->sub->keys[i]); /* no name twice */
	}
	assert_non_null(path);
}

static void test_every_row_is_sound(void **state)
{
	size_t n = 0;

	key_walk(check_row, &n);
	assert_true(n > 300);
}

static int cast(struct arena *a, enum key_cast how, const char *text, struct node **out,
		struct diag *diag)
{
	struct err e = ERR_INIT;
	int r = key_cast(a, how, node_str(a, text), out, diag, &e);

	assert_true(r == 0 || e.msg[0]);
	return r;
}

static void test_casts(void **state)
{
	static const char *const yes[] = { "true", "TRUE", "y", "Yes", "on" };
	static const char *const no[] = { "false", "n", "NO", "off" };
	struct arena *a = arena_new();
	struct diag diag = DIAG_INIT;
	struct node *n;

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		assert_int_equal(cast(a, CAST_BOOL, yes[i], &n, &diag), 0);
		assert_true(n->boolean);
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		assert_int_equal(cast(a, CAST_BOOL, no[i], &n, &diag), 0);
		assert_false(n->boolean);
	}
	assert_int_equal(diag.n_warns, 6); /* all but true and false */
	assert_true(cast(a, CAST_BOOL, "maybe", &n, &diag) < 0);
	assert_int_equal(cast(a, CAST_INT, "-5", &n, &diag), 0);
	assert_int_equal(n->integer, -5);
	assert_int_equal(cast(a, CAST_INT, "+5", &n, &diag), 0);
	assert_true(cast(a, CAST_INT, "", &n, &diag) < 0);
	assert_true(cast(a, CAST_INT, "5x", &n, &diag) < 0);
	assert_true(cast(a, CAST_INT, "+-5", &n, &diag) < 0);
	assert_int_equal(cast(a, CAST_FLOAT, "1.5", &n, &diag), 0);
	assert_true(n->real == 1.5);
	assert_true(cast(a, CAST_FLOAT, "1.5.", &n, &diag) < 0);
	assert_true(cast(a, CAST_FLOAT, "", &n, &diag) < 0);
	diag_done(&diag);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_rows),
		cmocka_unit_test(test_type_names),
		cmocka_unit_test(test_every_row_is_sound),
		cmocka_unit_test(test_casts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
