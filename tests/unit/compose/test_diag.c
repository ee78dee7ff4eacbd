/* Errors are kept up to a number, warnings once each. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compose/diag.h"
#include "compose/spot.h"

static void test_errors_have_positions(void **state)
{
	struct arena *a = arena_new();
	struct diag d = DIAG_INIT;
	struct node *n = node_str(a, "x");

	n->file = "compose.yaml";
	n->line = 3;
	n->col = 7;
	assert_int_equal(diag_err(&d, n, EINVAL, "bad %s", "thing"), -EINVAL);
	assert_string_equal(d.errs[0].msg, "bad thing");
	assert_string_equal(d.errs[0].file, "compose.yaml");
	assert_int_equal(d.errs[0].line, 3);
	assert_int_equal(d.errs[0].col, 7);
	diag_hint(&d, "try %d", 1);
	assert_string_equal(d.errs[0].hint, "try 1");
	diag_err(&d, n, EINVAL, "bad thing"); /* said already */
	assert_int_equal(d.n, 1);
	assert_true(diag_failed(&d));
	diag_done(&d);
	assert_false(diag_failed(&d));
	arena_free(a);
}

static void test_ten_and_more(void **state)
{
	struct diag d = DIAG_INIT;

	for (int i = 0; i < 13; i++)
		diag_err(&d, NULL, EINVAL, "error %d", i);
	assert_int_equal(d.n, DIAG_MAX_ERRORS);
	assert_int_equal(d.n_more, 3);
	assert_string_equal(d.errs[9].msg, "error 9");
	diag_done(&d);
}

static void test_warnings_once(void **state)
{
	struct diag d = DIAG_INIT;

	diag_warn(&d, NULL, "a");
	diag_warn(&d, NULL, "b");
	diag_warn(&d, NULL, "a");
	assert_int_equal(d.n_warns, 2);
	assert_string_equal(d.warns[1].msg, "b");
	assert_false(diag_failed(&d));
	diag_done(&d);
}

static void test_suggestion(void **state)
{
	struct arena *a = arena_new();
	struct diag d = DIAG_INIT;
	struct node *map = node_map(a);

	node_put(a, map, "database", node_null(a));
	diag_err(&d, NULL, EINVAL, "x");
	diag_suggest(&d, "databse", map);
	assert_string_equal(d.errs[0].hint, "did you mean \"database\"?");
	diag_suggest(&d, "x", NULL);
	diag_err(&d, NULL, EINVAL, "y");
	diag_suggest(&d, "zzzzzzz", map);
	assert_string_equal(d.errs[1].hint, "");
	diag_done(&d);
	arena_free(a);
}

static void test_nobody_listens(void **state)
{
	assert_int_equal(diag_err(NULL, NULL, ENOENT, "x"), -ENOENT);
	diag_warn(NULL, NULL, "x");
	diag_hint(NULL, "x");
	diag_suggest(NULL, "x", NULL);
}

static void test_paths(void **state)
{
	struct spot top = SPOT_TOP, services = SPOT_KEY(&top, "services");
	struct spot web = SPOT_KEY(&services, "web"), ports = SPOT_KEY(&web, "ports");
	struct spot item = SPOT_ITEM(&ports, 12), target = SPOT_KEY(&item, "target");
	char buf[SPOT_TEXT_MAX], name[SPOT_TEXT_MAX * 2];
	struct spot deep;

	assert_string_equal(spot_text(&top, buf), "");
	assert_string_equal(spot_text(&target, buf), "services.web.ports[12].target");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	deep = SPOT_KEY(&target, name);
	assert_true(strlen(spot_text(&deep, buf)) < SPOT_TEXT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_have_positions), cmocka_unit_test(test_ten_and_more),
		cmocka_unit_test(test_warnings_once),         cmocka_unit_test(test_suggestion),
		cmocka_unit_test(test_nobody_listens),        cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
