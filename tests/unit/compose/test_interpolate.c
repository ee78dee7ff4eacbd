/* ${VARIABLES}.  The rows of test_forms() are what Docker Compose 2.40 makes of the same templates,
 * but for unused branches, which are silent here as in its later versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "compose/interpolate.h"
#include "compose/yaml.h"
#include "tests/unit/compose/dump.h"

struct fixture {
	struct arena *a;
	struct buf warned;
};

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);

	f->a = arena_new();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(f->a);
	buf_done(&f->warned);
	free(f);
	return 0;
}

static struct interp_value lookup(const char *name, void *data)
{
	(void)data;
	if (streq(name, "A"))
		return (struct interp_value){ "aa", ".env:1" };
	if (streq(name, "EMPTY"))
		return (struct interp_value){ "", "environment" };
	if (streq(name, "NUM"))
		return (struct interp_value){ "5", NULL };
	if (streq(name, "DOLLAR"))
		return (struct interp_value){ "$A", NULL };
	return (struct interp_value){ 0 };
}

static void warn(const char *name, const struct node *at, void *data)
{
	struct fixture *f = data;

	buf_printf(&f->warned, "%s", name);
	if (at)
		buf_printf(&f->warned, "@%d", at->line);
	buf_addc(&f->warned, ' ');
}

static const char *expand(struct fixture *f, const char *template, const char **origin)
{
	struct interp_vars vars = { .lookup = lookup, .warn = warn, .data = f };
	struct err e = ERR_INIT;
	const char *out;

	if (interpolate_text(f->a, template, &vars, &out, origin, &e) < 0)
		return arena_printf(f->a, "error: %s", e.msg);
	return out;
}

static void test_forms(void **state)
{
	static const struct {
		const char *template, *expected, *warned;
	} rows[] = {
		{ "", "", "" },
		{ "plain", "plain", "" },
		{ "$A", "aa", "" },
		{ "${A}", "aa", "" },
		{ "$A-x", "aa-x", "" },
		{ "$A$A", "aaaa", "" },
		{ "${U}", "", "U " },
		{ "$U?", "?", "U " },
		{ "${U:-d}", "d", "" },
		{ "${EMPTY:-d}", "d", "" },
		{ "${EMPTY-d}", "", "" },
		{ "${U-d}", "d", "" },
		{ "${A:+r}", "r", "" },
		{ "${U:+r}", "", "" },
		{ "${EMPTY:+r}", "", "" },
		{ "${EMPTY+r}", "r", "" },
		{ "${U+?}", "", "" },
		{ "${U:?msg}", "error: required variable U is missing a value: msg", "" },
		{ "${U?}", "error: required variable U is missing a value", "" },
		{ "${EMPTY:?}", "error: required variable EMPTY is missing a value", "" },
		{ "${EMPTY?}", "", "" },
		{ "${U:?m ${A} n}", "error: required variable U is missing a value: m aa n", "" },
		{ "${U?x${V?y}}", "error: required variable V is missing a value: y", "" },
		{ "${U?err}${A:-x}", "error: required variable U is missing a value: err", "" },
		{ "$$A", "$A", "" },
		{ "$$$A", "$aa", "" },
		{ "$${A}", "${A}", "" },
		{ "$$${A}", "$aa", "" },
		{ "$1", "$1", "" },
		{ "$(x)", "$(x)", "" },
		{ "$", "$", "" },
		{ "a$", "a$", "" },
		{ "$\xc3\x9c", "$\xc3\x9c", "" },
		{ "$_A", "", "_A " },
		{ "${", "error: Invalid template: \"${\"", "" },
		{ "${}", "error: Invalid template: \"${}\"", "" },
		{ "${ A}", "error: Invalid template: \"${ A}\"", "" },
		{ "${A }", "error: Invalid template: \"${A }\"", "" },
		{ "${A!}", "error: Invalid template: \"${A!}\"", "" },
		{ "${A:}", "error: Invalid template: \"${A:}\"", "" },
		{ "${A:x}", "error: Invalid template: \"${A:x}\"", "" },
		{ "${A.b}", "error: Invalid template: \"${A.b}\"", "" },
		{ "${1A}", "error: Invalid template: \"${1A}\"", "" },
		{ "${A", "error: Invalid template: \"${A\"", "" },
		{ "${A:", "error: Invalid template: \"${A:\"", "" },
		{ "${A:-", "error: Invalid template: \"${A:-\"", "" },
		{ "${U:-x", "error: Invalid template: \"${U:-x\"", "" },
		{ "${A} ${", "error: Invalid template: \"${A} ${\"", "" },
		{ "${U:-${}}", "error: Invalid template: \"${}\"", "" },
		{ "${U:-a\nb}", "error: Invalid template: \"${U:-a\nb}\"", "" },
		{ "${U:-${A}}", "aa", "" },
		{ "${U:-${A}}y", "aay", "" },
		{ "${U:-${U2:-${A}}}z${A}", "aazaa", "" },
		{ "${U:-a${A}b${NUM}c}d", "aaab5cd", "" },
		{ "${U:-${A:-x}:${NUM}}", "aa:5", "" },
		{ "${U:-${A}-${B}}", "aa-", "B " },
		{ "${BAR:-/non:-alpha}", "/non:-alpha", "" },
		{ "${U:-a?b}", "a?b", "" },
		{ "${U-a:-b}", "a:-b", "" },
		{ "${U:-:?}", ":?", "" },
		{ "${A}${U:-x}", "aax", "" },
		{ "${U:-x}${A}", "xaa", "" },
		{ "$A${U:-x}", "aax", "" },
		{ "${U:-{}", "{", "" },
		{ "${U:-{x}}", "{x}", "" },
		{ "${U:-{{x}}}", "{{x}}", "" },
		{ "${U:-{$A}}", "{aa}", "" },
		{ "${U:-a}b}", "ab}", "" },
		{ "{${A}}", "{aa}", "" },
		{ "${A}}", "aa}", "" },
		{ "} ${U:-x}", "} x", "" },
		{ "${A}{${NUM}}", "aa{5}", "" },
		{ "${U:-x}{${NUM}}", "x{5}", "" },
		{ "${U:-}", "", "" },
		{ "${U-}", "", "" },
		{ "${U:-$A}", "aa", "" },
		{ "${U:-$$A}", "$A", "" },
		{ "${U:-$${A}}", "${A}", "" },
		{ "${U:-\"q\"}", "\"q\"", "" },
		/* values are not templates */
		{ "$DOLLAR", "$A", "" },
		/* what is not needed is not looked at */
		{ "${A:-${U}}", "aa", "" },
		{ "${A:-${U?no}}", "aa", "" },
		{ "${A:-${}}", "aa", "" },
		{ "${U:+${V?y}}", "", "" },
		{ "${A:?${U}}", "aa", "" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got;

		buf_truncate(&f->warned, 0);
		got = expand(f, rows[i].template, NULL);
		if (!streq(got, rows[i].expected) || !streq(buf_str(&f->warned), rows[i].warned))
			print_error("template: %s\n", rows[i].template);
		assert_string_equal(got, rows[i].expected);
		assert_string_equal(buf_str(&f->warned), rows[i].warned);
	}
}

static void test_origin(void **state)
{
	struct fixture *f = *state;
	const char *origin;

	expand(f, "x${A}y$NUM", &origin);
	assert_string_equal(origin, "${A} from .env:1, ${NUM} from environment");
	expand(f, "${U:-d}", &origin);
	assert_string_equal(origin, "${U} default");
	expand(f, "plain $$", &origin);
	assert_null(origin);
	expand(f, "${A:+x}", &origin);
	assert_string_equal(origin, "${A} from .env:1");
}

static void test_no_change_keeps_the_pointer(void **state)
{
	static const char text[] = "cost: $ 5";

	assert_ptr_equal(expand(*state, text, NULL), text);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (int i = 0; i < 200; i++)
		buf_adds(&b, "${U:-");
	for (int i = 0; i < 200; i++)
		buf_adds(&b, "}");
	assert_string_equal(expand(f, buf_str(&b), NULL),
			    "error: variables nested deeper than 50 levels");
	buf_truncate(&b, 0);
	for (int i = 0; i < 600000; i++)
		buf_adds(&b, "$A");
	assert_string_equal(expand(f, buf_str(&b), NULL), "error: value grows beyond 1 MiB");
}

/* ---- trees -------------------------------------------------------------------------- */
static int cast(struct arena *a, const struct interp_path *path, struct node *n, struct node **out,
		void *data, struct err *e)
{
	(void)data;
	if (!interp_path_matches(path, "services.*.scale"))
		return 0;
	if (!streq(n->text, "5"))
		return err_set(e, EINVAL, "invalid number: %s", n->text);
	*out = node_int(a, 5);
	return 0;
}

static struct node *load(struct fixture *f, const char *text)
{
	struct yaml_docs docs;

	assert_int_equal(yaml_load(f->a, "c.yaml", text, strlen(text), &docs, NULL), 0);
	return docs.roots[0];
}

static const char *tree(struct fixture *f, const char *text, struct node **out)
{
	struct interp_vars vars = { .lookup = lookup, .warn = warn, .data = f };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	const char *result;
	struct node *n;

	if (interpolate_tree(f->a, load(f, text), NULL, &vars, cast, NULL, &n, &e) < 0)
		return arena_printf(f->a, "%s:%d:%d: %s", e.file, e.line, e.col, e.msg);
	if (out)
		*out = n;
	dump_node(&b, n, false);
	result = arena_strdup(f->a, buf_str(&b));
	buf_done(&b);
	return result;
}

static void test_tree(void **state)
{
	struct fixture *f = *state;
	struct node *n, *scale;

	assert_string_equal(
		tree(f, "services:\n  w:\n    scale: ${NUM}\n    x: [1, '${A}', $U]\n", &n),
		"{services: {w: {scale: 5, x: [1, \"aa\", \"\"]}}}");
	assert_string_equal(buf_str(&f->warned), "U@4 ");
	scale = node_path(n, "services", "w", "scale", NULL);
	assert_int_equal(scale->line, 3);
	assert_int_equal(scale->col, 12);
	assert_string_equal(scale->file, "c.yaml");
	assert_string_equal(scale->origin, "${NUM} from environment");
}

static void test_tree_keys_stay(void **state)
{
	assert_string_equal(tree(*state, "${A}: $A\n", NULL), "{${A}: \"aa\"}");
}

static void test_tree_reset_is_skipped(void **state)
{
	assert_string_equal(tree(*state, "a: !reset {x: '${'}\n", NULL), "{a: !reset {x: \"${\"}}");
	assert_string_equal(tree(*state, "a: !override [$A]\n", NULL), "{a: !override [\"aa\"]}");
}

static void test_tree_errors(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(tree(f, "services:\n  a:\n    ports: ['${']\n", NULL),
			    "c.yaml:3:13: invalid interpolation format for services.a.ports.[].\n"
			    "You may need to escape any $ with another $.\n${");
	assert_string_equal(tree(f, "services:\n  a:\n    image: ${U?gone}\n", NULL),
			    "c.yaml:3:12: error while interpolating services.a.image: required "
			    "variable U is missing a value: gone");
	assert_string_equal(
		tree(f, "services:\n  a:\n    scale: 'x'\n", NULL),
		"c.yaml:3:12: error while interpolating services.a.scale: failed to cast "
		"to expected type: invalid number: x");
}

static void test_tree_shares_what_stays(void **state)
{
	struct fixture *f = *state;
	struct interp_vars vars = { .lookup = lookup, .warn = warn, .data = f };
	struct node *in = load(f, "a: {b: [1, x]}\nc: $A\n"), *out;

	assert_int_equal(interpolate_tree(f->a, in, NULL, &vars, NULL, NULL, &out, NULL), 0);
	assert_ptr_not_equal(in, out);
	assert_ptr_equal(node_get(in, "a"), node_get(out, "a"));
	assert_string_equal(node_get_str(in, "c"), "$A");
	assert_string_equal(node_get_str(out, "c"), "aa");
}

static void test_tree_below_a_path(void **state)
{
	static const char *const parts[] = { "services", "w" };
	struct interp_path at = { parts, 2 };
	struct fixture *f = *state;
	struct interp_vars vars = { .lookup = lookup };
	struct err e = ERR_INIT;
	struct node *out;

	assert_int_equal(interpolate_tree(f->a, load(f, "scale: '5'\nx: $U\n"), &at, &vars, cast,
					  NULL, &out, &e),
			 0);
	assert_int_equal(node_get_int(out, "scale", 0), 5);
	assert_string_equal(node_get_str(out, "x"), "");
}

static void test_path_matches(void **state)
{
	static const char *const parts[] = { "services", "a.b", "ports", "[]" };
	struct interp_path p = { parts, 4 };

	(void)state;
	assert_true(interp_path_matches(&p, "services.*.ports.[]"));
	assert_true(interp_path_matches(&p, "*.*.*.*"));
	assert_false(interp_path_matches(&p, "services.*.ports"));
	assert_false(interp_path_matches(&p, "services.*.ports.[].target"));
	assert_false(interp_path_matches(&p, "services.*.port.[]"));
	assert_false(interp_path_matches(&p, "services.*"));
	assert_false(interp_path_matches(&p, ""));
}

static void test_uses(void **state)
{
	struct fixture *f = *state;
	struct interp_use *uses;
	size_t n;

	interpolate_uses(f->a,
			 load(f, "a: $B ${A:-${Q:-1}} $$X ${\n"
				 "b: ['${C:+alt}', '${R:?need $Z}', $R]\n"
				 "c: ${A:-second}\n"),
			 &uses, &n);
	assert_int_equal(n, 5);
	assert_string_equal(uses[0].name, "A");
	assert_string_equal(uses[0].default_value, "${Q:-1}");
	assert_string_equal(uses[1].name, "B");
	assert_false(uses[1].required);
	assert_string_equal(uses[2].alternate, "alt");
	assert_string_equal(uses[3].name, "Q");
	assert_string_equal(uses[4].name, "R");
	assert_true(uses[4].required);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_forms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_origin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_change_keeps_the_pointer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree_keys_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree_reset_is_skipped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree_shares_what_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tree_below_a_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_path_matches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
