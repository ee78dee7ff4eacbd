/* YAML to trees.  The scalar rows and error texts were compared with what Docker Compose 2.40 does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "compose/yaml.h"
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

/* Parse and write all documents down, one after another. */
static char *parse(struct arena *a, const char *text, bool positions)
{
	struct yaml_docs docs = { 0 };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	if (yaml_load(a, "c.yaml", text, strlen(text), &docs, &e) < 0) {
		buf_printf(&b, "%s:%d:%d: %s", e.file, e.line, e.col, e.msg);
		return buf_take(&b);
	}
	for (size_t i = 0; i < docs.n; i++) {
		buf_adds(&b, i ? " --- " : "");
		dump_node(&b, docs.roots[i], positions);
	}
	return buf_take(&b);
}

struct row {
	const char *text, *expected;
};

static void check_rows(struct arena *a, const struct row *rows, size_t n, bool positions)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(free_p) char *got = parse(a, rows[i].text, positions);

		if (!streq(got, rows[i].expected))
			print_error("input: %s\n", rows[i].text);
		assert_string_equal(got, rows[i].expected);
	}
}

static void test_scalars(void **state)
{
	static const struct row rows[] = {
		{ "a:", "{a: ~}" },
		{ "a: ~", "{a: ~}" },
		{ "a: null", "{a: ~}" },
		{ "a: NULL", "{a: ~}" },
		{ "a: nULL", "{a: \"nULL\"}" },
		{ "a: 'null'", "{a: \"null\"}" },
		{ "a: ''", "{a: \"\"}" },
		{ "a: true", "{a: true}" },
		{ "a: True", "{a: true}" },
		{ "a: FALSE", "{a: false}" },
		{ "a: tRue", "{a: \"tRue\"}" },
		{ "a: yes", "{a: \"yes\"}" },
		{ "a: on", "{a: \"on\"}" },
		{ "a: n", "{a: \"n\"}" },
		{ "a: 12", "{a: 12}" },
		{ "a: -12", "{a: -12}" },
		{ "a: +5", "{a: 5}" },
		{ "a: -0", "{a: 0}" },
		{ "a: 0x1F", "{a: 31}" },
		{ "a: -0x1f", "{a: -31}" },
		{ "a: 0o17", "{a: 15}" },
		{ "a: 0440", "{a: 288}" },
		{ "a: 08", "{a: f8}" },
		{ "a: 0b11", "{a: 3}" },
		{ "a: 0x", "{a: \"0x\"}" },
		{ "a: 0xg", "{a: \"0xg\"}" },
		{ "a: 1_000", "{a: 1000}" },
		{ "a: 1__0_", "{a: 10}" },
		{ "a: _1", "{a: \"_1\"}" },
		{ "a:\n  -", "{a: [~]}" },
		{ "a: -x", "{a: \"-x\"}" },
		{ "a: 9223372036854775807", "{a: 9223372036854775807}" },
		{ "a: -9223372036854775808", "{a: -9223372036854775808}" },
		{ "a: 18446744073709551615", "{a: f1.84467e+19}" },
		{ "a: 99999999999999999999999", "{a: f1e+23}" },
		{ "a: 1.5", "{a: f1.5}" },
		{ "a: 1.", "{a: f1}" },
		{ "a: .5", "{a: f0.5}" },
		{ "a: .", "{a: \".\"}" },
		{ "a: .1_0", "{a: \".1_0\"}" },
		{ "a: 1e3", "{a: f1000}" },
		{ "a: 1e400", "{a: \"1e400\"}" },
		{ "a: 1e", "{a: \"1e\"}" },
		{ "a: -.inf", "{a: f-inf}" },
		{ "a: .NaN", "{a: fnan}" },
		{ "a: 22:22", "{a: \"22:22\"}" },
		{ "a: 8000:80", "{a: \"8000:80\"}" },
		{ "a: 2001-01-01", "{a: \"2001-01-01\"}" },
		{ "a: 1.2.3", "{a: \"1.2.3\"}" },
		{ "a: 3.8-alpine", "{a: \"3.8-alpine\"}" },
		{ "a: '12'", "{a: \"12\"}" },
		{ "a: \"true\"", "{a: \"true\"}" },
		{ "a: |\n  12\n", "{a: \"12\n\"}" },
		{ "a: >-\n  x\n  y\n", "{a: \"x y\"}" },
		{ "a: \"t\\tq\\\"\\u00e9\"", "{a: \"t\tq\"\xc3\xa9\"}" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), false);
}

static void test_tags(void **state)
{
	static const struct row rows[] = {
		{ "a: !!str 5", "{a: \"5\"}" },
		{ "a: !!str", "{a: \"\"}" },
		{ "a: !!int \"5\"", "{a: 5}" },
		{ "a: !!float 5", "{a: f5}" },
		{ "a: !!bool 'true'", "{a: true}" },
		{ "a: !!null ''", "{a: ~}" },
		{ "a: !foo 5", "{a: \"5\"}" },
		{ "a: ! 5", "{a: 5}" },
		{ "a: !!binary aGk=", "{a: \"hi\"}" },
		{ "a: !!binary |\n  aGVs\n  bG8=\n", "{a: \"hello\"}" },
		{ "a: !<tag:yaml.org,2002:str> 1", "{a: \"1\"}" },
		{ "a: !reset", "{a: !reset ~}" },
		{ "a: !reset null", "{a: !reset ~}" },
		{ "a: !reset []", "{a: !reset []}" },
		{ "a: !override {b: 1}", "{a: !override {b: 1}}" },
		{ "a: !override\n  - 1\n", "{a: !override [1]}" },
		{ "a: !override 5", "{a: !override 5}" },
		{ "x: &x {p: !reset [], q: 1}\ny: {<<: *x, z: 1}",
		  "{x: {p: !reset [], q: 1}, y: {z: 1, p: !reset [], q: 1}}" },
		{ "a: !!int abc", "c.yaml:1:4: failed to parse c.yaml: yaml: cannot decode !!str "
				  "`abc` as a !!int" },
		{ "a: !!int 1.5", "c.yaml:1:4: failed to parse c.yaml: yaml: cannot decode !!float "
				  "`1.5` as a !!int" },
		{ "a: !!null x",
		  "c.yaml:1:4: failed to parse c.yaml: yaml: cannot decode !!str `x` as a !!null" },
		{ "a: !!binary a", "c.yaml:1:4: failed to parse c.yaml: yaml: !!binary value "
				   "contains invalid base64 data" },
		{ "a: !!binary AAAA",
		  "c.yaml:1:4: failed to parse c.yaml: yaml: !!binary value contains a NUL byte" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), false);
}

static void test_aliases_and_merges(void **state)
{
	static const struct row rows[] = {
		{ "a: &x 1\nb: *x\n", "{a: 1, b: 1}" },
		{ "a: &x [1, &y 2]\nb: *y\nc: *x\n", "{a: [1, 2], b: 2, c: [1, 2]}" },
		{ "a: &x 1\nb: &x 2\nc: *x\n", "{a: 1, b: 2, c: 2}" },
		{ "x: &x {p: 1, q: 2}\ny:\n  q: 3\n  <<: *x\n  r: 4\n",
		  "{x: {p: 1, q: 2}, y: {q: 3, r: 4, p: 1}}" },
		{ "y: {<<: [{p: 1, q: 1}, {q: 2, r: 2}], r: 3}", "{y: {r: 3, p: 1, q: 1}}" },
		{ "x: &x [{p: 1}]\ny: {<<: *x}", "{x: [{p: 1}], y: {p: 1}}" },
		{ "a: &a {p: 1}\nb: &b {<<: *a, q: 2}\nc: {<<: *b}\n",
		  "{a: {p: 1}, b: {q: 2, p: 1}, c: {q: 2, p: 1}}" },
		{ "y: {\"<<\": {p: 1}}", "{y: {<<: {p: 1}}}" },
		{ "y: {<<: {}}", "{y: {}}" },
		{ "y: {<<: 1}",
		  "c.yaml:1:5: failed to parse c.yaml: yaml: map merge requires map or "
		  "sequence of maps as the value" },
		{ "y: {<<: [{}, 2]}",
		  "c.yaml:1:5: failed to parse c.yaml: yaml: map merge requires map "
		  "or sequence of maps as the value" },
		{ "y: {<<: {}, <<: {}}", "c.yaml:1:13: failed to parse c.yaml: line 1: mapping key "
					 "\"<<\" already defined at line 1" },
		{ "a: *x",
		  "c.yaml:1:4: failed to parse c.yaml: yaml: unknown anchor 'x' referenced" },
		{ "a: &x {b: *x}",
		  "c.yaml:1:11: failed to parse c.yaml: yaml: anchor 'x' value contains itself" },
		{ "a: &x 1\n---\nb: *x",
		  "c.yaml:3:4: failed to parse c.yaml: yaml: unknown anchor 'x' referenced" },
		{ "k: &k key\n*k : 1\n", "{k: \"key\", key: 1}" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), false);
}

static void test_documents(void **state)
{
	static const struct row rows[] = {
		{ "a: 1\n---\nb: 2\n...\n---\nc: 3", "{a: 1} --- {b: 2} --- {c: 3}" },
		{ "---\na: 1\n---\n", "{a: 1}" },
		{ "---\n# nothing\n---\na: 1\n", "{a: 1}" },
		{ "", "c.yaml:1:1: empty compose file" },
		{ "# only a comment\n", "c.yaml:1:1: empty compose file" },
		{ "~", "c.yaml:1:1: top-level object must be a mapping" },
		{ "---\n---\n", "c.yaml:3:1: top-level object must be a mapping" },
		{ "- a\n", "c.yaml:1:1: top-level object must be a mapping" },
		{ "a: 1\n---\nhello", "c.yaml:3:1: top-level object must be a mapping" },
		{ "\xef\xbb\xbf"
		  "a: b",
		  "{a: \"b\"}" },
		{ "a: 1\r\nb: 2\r\n", "{a: 1, b: 2}" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), false);
}

static void test_positions(void **state)
{
	static const struct row rows[] = {
		{ "services:\n  web:\n    image: x\n    ports:\n      - 80\n      - \"81\"\n",
		  "@1:1 {services@1:1: @2:3 {web@2:3: @3:5 {image@3:5: @3:12 \"x\", "
		  "ports@4:5: @5:7 [@5:9 80, @6:9 \"81\"]}}}" },
		{ "\na: {b: [c]}", "@2:1 {a@2:1: @2:4 {b@2:5: @2:8 [@2:9 \"c\"]}}" },
		{ "x: &x {p: 1}\ny: {<<: *x}",
		  "@1:1 {x@1:1: @1:4 {p@1:8: @1:11 1}, y@2:1: @2:4 {p@1:8: @1:11 1}}" },
		{ "a: |\n  text\n", "@1:1 {a@1:1: @1:4 \"text\n\"}" },
		{ "a: 1\n---\nb: 2", "@1:1 {a@1:1: @1:4 1} --- @3:1 {b@3:1: @3:4 2}" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), true);
}

static void test_errors(void **state)
{
	static const struct row rows[] = {
		{ "services:\n\ta: b\n", "c.yaml:2:1: failed to parse c.yaml: yaml: line 2: found "
					 "character that cannot start any token" },
		{ "services:\n  a: {image: b\n",
		  "c.yaml:3:1: failed to parse c.yaml: yaml: line 3: did "
		  "not find expected ',' or '}'" },
		{ "a:\n  b: 1\n c: 2\n",
		  "c.yaml:3:2: failed to parse c.yaml: yaml: line 3: did not find expected key" },
		{ "a: 'x\n",
		  "c.yaml:2:1: failed to parse c.yaml: yaml: line 2: found unexpected end of "
		  "stream" },
		{ "a: b: c\n",
		  "c.yaml:1:5: failed to parse c.yaml: yaml: line 1: mapping values are "
		  "not allowed in this context" },
		{ "a: 1\nb: \xff\n",
		  "c.yaml:2:4: failed to parse c.yaml: yaml: line 2: invalid leading UTF-8 octet" },
		{ "a: 1\n\x01",
		  "c.yaml:2:1: failed to parse c.yaml: yaml: line 2: control characters are not "
		  "allowed" },
		{ "s:\n  w:\n    image: b\n    image: c\n",
		  "c.yaml:4:5: failed to parse c.yaml: line 4: mapping key \"image\" already "
		  "defined at "
		  "line 3" },
		{ "a: \"x\\0y\"", "c.yaml:1:4: failed to parse c.yaml: value contains a NUL byte" },
		{ "123: x", "c.yaml:1:1: non-string key at top level: 123" },
		{ "true: x", "c.yaml:1:1: non-string key at top level: true" },
		{ "~: x", "c.yaml:1:1: non-string key at top level: <nil>" },
		{ "1.5: x", "c.yaml:1:1: non-string key at top level: 1.5" },
		{ "services:\n  123: {}\n", "c.yaml:2:3: non-string key in services: 123" },
		{ "x-a: [[], {b: {1: 2}}]", "c.yaml:1:16: non-string key in x-a[1].b: 1" },
		{ "[a]: x",
		  "c.yaml:1:1: failed to parse c.yaml: yaml: invalid map key: a sequence" },
		{ "? {a: b}\n: x",
		  "c.yaml:1:3: failed to parse c.yaml: yaml: invalid map key: a mapping" },
		{ "a: &a [1]\n*a : x",
		  "c.yaml:2:1: failed to parse c.yaml: yaml: invalid map key: a sequence" },
	};

	check_rows(*state, rows, ARRAY_SIZE(rows), false);
}

static void test_duplicate_key_in_large_mapping(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(free_p) char *got = NULL;

	for (int i = 0; i < 500; i++)
		buf_printf(&b, "k%d: %d\n", i, i);
	buf_adds(&b, "k3: again\n");
	got = parse(*state, buf_str(&b), false);
	assert_string_equal(got,
			    "c.yaml:501:1: failed to parse c.yaml: line 501: mapping key \"k3\" "
			    "already defined at line 4");
}

/* ---- limits --------------------------------------------------------------------- */
static void test_billion_laughs(void **state)
{
	struct arena *a = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(free_p) char *got = NULL;

	buf_adds(&b, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
	for (int i = 1; i < 20; i++) {
		buf_printf(&b, "a%d: &a%d [", i, i);
		for (int j = 0; j < 9; j++)
			buf_printf(&b, "*a%d,", i - 1);
		buf_adds(&b, "]\n");
	}
	got = parse(a, buf_str(&b), false);
	assert_non_null(strstr(got, "document contains excessive aliasing"));
	assert_true(arena_used(a) < 100000);
}

static void test_merge_bomb(void **state)
{
	struct arena *a = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(free_p) char *got = NULL;

	buf_adds(&b, "a: &a {");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "k%d: 1,", i);
	buf_adds(&b, "}\n");
	for (int i = 0; i < 2000; i++)
		buf_printf(&b, "b%d: {<<: *a}\n", i);
	got = parse(a, buf_str(&b), false);
	assert_non_null(strstr(got, "document contains excessive aliasing"));
	assert_true(arena_used(a) < 50u << 20);
}

/* @n times @item between @before and @after. */
static char *repeat(struct arena *a, const char *before, const char *item, int n, const char *after)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	buf_adds(&b, before);
	for (int i = 0; i < n; i++)
		buf_printf(&b, item, i);
	buf_adds(&b, after);
	return parse(a, buf_str(&b), false);
}

static void test_values(void **state)
{
	_cleanup_(free_p) char *values = NULL, *keys = NULL, *anchors = NULL, *docs = NULL;

	values = repeat(*state, "a: [", "x,", YAML_MAX_NODES, "]");
	assert_string_equal(values, "c.yaml:1:299999: failed to parse c.yaml: more than 150000 "
				    "values in one file");
	keys = repeat(*state, "a: {", "k%d: ,", YAML_MAX_NODES, "}");
	assert_non_null(strstr(keys, "more than 150000 values in one file"));
	docs = repeat(*state, "a: 1\n", "---\na: 1\n", YAML_MAX_NODES / 3, "");
	assert_non_null(strstr(docs, "more than 150000 values in one file"));
	anchors = repeat(*state, "a:\n", "- &a%d x\n", 1000000, "");
	assert_string_equal(anchors, "c.yaml:20002:3: failed to parse c.yaml: more than 20000 "
				     "anchors in one file");
}

static void test_merge_chain(void **state)
{
	_cleanup_(free_p) char *got = NULL;

	/* Each merges the one before, nine times over. */
	got = repeat(*state,
		     "a0: &a {b: 1, c: 2}\n"
		     "a1: &b {<<: [*a, *a, *a, *a, *a, *a, *a, *a, *a]}\n",
		     "n%d: {<<: [*b, *b, *b, *b, *b, *b, *b, *b, *b]}\n", 1000, "");
	assert_string_equal(got, "c.yaml:769:17: failed to parse c.yaml: yaml: document contains "
				 "excessive aliasing");
}

static void test_aliases_share(void **state)
{
	static const char text[] = "a: &a {b: 1}\nc: *a\n";
	struct yaml_docs docs;

	assert_int_equal(yaml_load(*state, "f", text, strlen(text), &docs, NULL), 0);
	assert_ptr_equal(node_get(docs.roots[0], "a"), node_get(docs.roots[0], "c"));
}

static void test_depth(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(free_p) char *deep = NULL, *ok = NULL;

	buf_adds(&b, "a: ");
	for (int i = 0; i < YAML_MAX_DEPTH - 1; i++)
		buf_addc(&b, '[');
	for (int i = 0; i < YAML_MAX_DEPTH - 1; i++)
		buf_addc(&b, ']');
	ok = parse(*state, buf_str(&b), false);
	assert_null(strstr(ok, "c.yaml"));

	buf_truncate(&b, 3);
	for (int i = 0; i < 100000; i++)
		buf_addc(&b, '[');
	deep = parse(*state, buf_str(&b), false);
	assert_string_equal(deep,
			    "c.yaml:1:103: failed to parse c.yaml: nested deeper than 100 levels");
}

static void test_size(void **state)
{
	_cleanup_(free_p) char *text = xmalloc(YAML_MAX_SIZE + 1);
	struct err e = ERR_INIT;
	struct yaml_docs docs;

	memset(text, '\n', YAML_MAX_SIZE + 1);
	assert_int_equal(yaml_load(*state, "c.yaml", text, YAML_MAX_SIZE + 1, &docs, &e), -E2BIG);
	assert_string_equal(e.msg, "failed to parse c.yaml: larger than 16 MiB");
}

static void test_utf16(void **state)
{
	static const char text[] = "\xff\xfe"
				   "a\0:\0 \0\xe9\0\n";
	struct yaml_docs docs;
	struct err e = ERR_INIT;

	assert_int_equal(yaml_load(*state, "f", text, sizeof(text), &docs, &e), 0);
	assert_string_equal(node_get_str(docs.roots[0], "a"), "\xc3\xa9");
}

static void test_hint_names_the_beginning(void **state)
{
	static const char text[] = "a: {b: 1,\n c: 2\nd: 3\n";
	struct yaml_docs docs;
	struct err e = ERR_INIT;

	assert_true(yaml_load(*state, "f", text, strlen(text), &docs, &e) < 0);
	assert_string_equal(e.hint, "while parsing a flow mapping that starts at line 1");
}

/* ---- writing ---------------------------------------------------------------------- */
static void test_plain_is_string(void **state)
{
	static const char *const strings[] = { "web", "1.2.3", "80:a", "nope", "-", "a:b", "tcp" };
	static const char *const others[] = { "",   "~",     "true",       "12",   "0x1f", "1e3",
					      "no", "22:22", "2001-01-01", ".inf", "<<" };

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		assert_true(yaml_plain_is_string(strings[i]));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(yaml_plain_is_string(others[i]));
	assert_true(yaml_plain_is_string("8000:80")); /* 80 is no base 60 digit */
	assert_int_equal(yaml_scalar(*state, "0x10")->integer, 16);
	assert_int_equal(yaml_scalar(*state, "")->kind, NODE_NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_scalars, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aliases_and_merges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_documents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_positions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duplicate_key_in_large_mapping, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_billion_laughs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merge_bomb, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merge_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aliases_share, setup, teardown),
		cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_utf16, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hint_names_the_beginning, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain_is_string, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
