/* Tables and Go templates. */
#include "tests/unit/cli/capture.h"

#include "cli/format.h"
#include "cli/table.h"
#include "cli/template.h"

static const char *const row_text =
	"{\"Name\":\"demo-web-1\",\"State\":\"running\",\"N\":3,\"Up\":true,\"Empty\":\"\","
	"\"Labels\":{\"a\":\"1\",\"b.c\":\"2\"},"
	"\"Ports\":[{\"Target\":80,\"Host\":8080},{\"Target\":81,\"Host\":8081}],\"Null\":null}";

static json *parse_json(const char *text)
{
	json *j = NULL;

	assert_int_equal(json_parse(text, strlen(text), &j, NULL), 0);
	return j;
}

static void test_template(void **state)
{
	static const struct {
		const char *template, *out;
	} rows[] = {
		{ "plain\\ttext", "plain\ttext" },
		{ "{{.Name}}", "demo-web-1" },
		{ "{{ .Name }}:{{.State}}", "demo-web-1:running" },
		{ "{{json .Labels}}", "{\"a\":\"1\",\"b.c\":\"2\"}" },
		{ "{{json .Name}}", "\"demo-web-1\"" },
		{ "{{.Name | upper}}", "DEMO-WEB-1" },
		{ "{{upper .Name | lower | title}}", "Demo-web-1" },
		{ "{{truncate .Name 4}}", "demo" },
		{ "{{len .Ports}} {{len .Name}}", "2 10" },
		{ "{{index .Labels \"b.c\"}}", "2" },
		{ "{{(index .Ports 1).Host}}", "8081" },
		{ "{{.Labels.a}} {{.Labels.nope}}", "1 <no value>" },
		{ "{{join (split .Name \"-\") \"/\"}}", "demo/web/1" },
		{ "{{printf \"%-12s|%s|%d%%\" .Name .State .N}}", "demo-web-1  |running|3%" },
		{ "{{if eq .State \"running\"}}up{{else}}down{{end}}", "up" },
		{ "{{if .Empty}}a{{else if .Up}}b{{else}}c{{end}}", "b" },
		{ "{{if and .Up (not .Empty)}}y{{end}}", "y" },
		{ "{{if gt .N 2}}many{{end}}", "many" },
		{ "{{range .Ports}}{{.Target}},{{end}}", "80,81," },
		{ "{{range .Empty}}x{{else}}none{{end}}", "none" },
		{ "{{with .Labels}}{{.a}}{{end}}", "1" },
		{ "a {{- .N -}} b", "a3b" },
		{ "{{/* nothing */}}x", "x" },
		{ "{{`a\"b`}}", "a\"b" },
		{ "{{.Null}}", "<no value>" },
		{ "{{.Ports}}", "[map[Target:80 Host:8080] map[Target:81 Host:8081]]" },
		{ "{{pad .State 1 2}}|{{pad .Empty 1 2}}|", " running  ||" },
	};
	_cleanup_(json_unrefp) json *row = parse_json(row_text);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(template_freep) struct template *t = NULL;
		_cleanup_(buf_done) struct buf out = BUF_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(template_parse(rows[i].template, &t, &e), 0);
		assert_int_equal(template_run(t, row, false, &out, &e), 0);
		assert_string_equal(buf_str(&out), rows[i].out);
	}
}

static void test_template_errors(void **state)
{
	static const char *const broken[] = {
		"{{",
		"{{.Name",
		"{{.Name}",
		"{{end}}",
		"{{if .Up}}x",
		"{{else}}",
		"{{\"x}}",
		"{{(.Name}}",
		"{{}}",
		"{{.Name | }}",
		"{{/* x }}",
		"{{range}}{{end}}",
		"{{if .Up}}{{else}}{{else}}{{end}}",
		"{{$x}}",
	};
	static const char *const failing[] = {
		"{{.Nope}}",          "{{nope .Name}}", "{{.Name .State}}",
		"{{truncate .Name}}", "{{.State.Sub}}",
	};
	_cleanup_(json_unrefp) json *row = parse_json(row_text);

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		_cleanup_(template_freep) struct template *t = NULL;
		struct err e = ERR_INIT;

		assert_true(template_parse(broken[i], &t, &e) < 0);
		assert_ptr_equal(strstr(e.msg, "template parsing error: "), e.msg);
	}
	for (size_t i = 0; i < ARRAY_SIZE(failing); i++) {
		_cleanup_(template_freep) struct template *t = NULL;
		_cleanup_(buf_done) struct buf out = BUF_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(template_parse(failing[i], &t, &e), 0);
		assert_true(template_run(t, row, false, &out, &e) < 0);
		assert_true(e.msg[0] != '\0');
	}
}

static void test_deep(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct template *t = NULL;

	for (int i = 0; i < 10000; i++)
		buf_adds(&b, "{{if .Up}}");
	assert_true(template_parse(buf_str(&b), &t, NULL) < 0);
	buf_truncate(&b, 0);
	buf_adds(&b, "{{");
	for (int i = 0; i < 10000; i++)
		buf_adds(&b, "(");
	assert_true(template_parse(buf_str(&b), &t, NULL) < 0);
}

static const struct format_column columns[] = { { "Name", "NAME" },
						{ "State", "STATUS" },
						{ NULL } };
static const struct format_spec spec = { .columns = columns, .table = "{{.Name}}\t{{.State}}" };

static void test_formats(void **state)
{
	_cleanup_(json_unrefp)
		json *rows = parse_json("[{\"Name\":\"a\",\"State\":\"up\"},{\"Name\":\"a-long-"
					"name\",\"State\":\"down\"}]");
	_cleanup_(json_unrefp) json *none = json_new_array();
	struct format_spec array = spec;
	struct capture c;

	assert_int_equal(format_rows(capture_open(&c), &spec, NULL, rows, NULL), 0);
	capture_expect(&c, "NAME          STATUS\na             up\na-long-name   down\n");
	assert_int_equal(format_rows(capture_open(&c), &spec, "table", none, NULL), 0);
	capture_expect(&c, "NAME      STATUS\n");
	assert_int_equal(format_rows(capture_open(&c), &spec, "table {{upper .State}}", rows, NULL),
			 0);
	capture_expect(&c, "STATUS\nUP\nDOWN\n");
	assert_int_equal(format_rows(capture_open(&c), &spec, "json", rows, NULL), 0);
	capture_expect(&c, "{\"Name\":\"a\",\"State\":\"up\"}\n"
			   "{\"Name\":\"a-long-name\",\"State\":\"down\"}\n");
	assert_int_equal(format_rows(capture_open(&c), &spec, "json", none, NULL), 0);
	capture_expect(&c, "");
	assert_int_equal(format_rows(capture_open(&c), &spec, "{{.Name}}", rows, NULL), 0);
	capture_expect(&c, "a\na-long-name\n");
	array.json_array = true;
	assert_int_equal(format_rows(capture_open(&c), &array, "json", none, NULL), 0);
	capture_expect(&c, "[]\n");
}

static void test_width(void **state)
{
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("…é"), 2);
	assert_int_equal(text_width("日本"), 4);
	assert_int_equal(text_width("e\xcc\x81"), 1); /* combining */
	assert_int_equal(text_width("\xff\xc3"), 2);  /* malformed, and cut short */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template), cmocka_unit_test(test_template_errors),
		cmocka_unit_test(test_deep),     cmocka_unit_test(test_formats),
		cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
