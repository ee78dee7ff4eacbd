/* JSON: what is refused, and that readers answer for every type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/strv.h"

static json *parse(const char *text)
{
	struct err e = ERR_INIT;
	json *j = NULL;

	if (json_parse(text, strlen(text), &j, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return j;
}

static void test_documents(void **state)
{
	static const char *const good[] = {
		"{}", " [1, 2]\n", "\"x\"", "5", "-1.5e3", "true", "{\"a\":{\"b\":[null]}}", " 7 "
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		json_unref(parse(good[i]));
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",    "{",     "{} {}", "{}x",   "[1,]", "{a:1}",   "nul",
		"\"x", "[1 2]", "// x",  "tru e", "01",   "{\"a\"}", "\xff",
	};
	char deep[2 * JSON_MAX_DEPTH + 3];
	struct err e = ERR_INIT;
	json *j = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (json_parse(bad[i], strlen(bad[i]), &j, &e) == 0)
			fail_msg("%s was taken for JSON", bad[i]);
		assert_int_equal(e.code, EBADMSG);
	}
	assert_int_equal(json_parse("{}\0{}", 5, &j, &e), -EBADMSG);
	memset(deep, '[', JSON_MAX_DEPTH + 1);
	memset(deep + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
	deep[2 * JSON_MAX_DEPTH + 2] = '\0';
	assert_true(json_parse(deep, strlen(deep), &j, &e) < 0);
	assert_null(j);
}

static void test_getters(void **state)
{
	_cleanup_(json_unrefp) json *j = parse(
		"{\"s\":\"x\",\"i\":-5,\"u\":18446744073709551615,\"b\":true,\"d\":1.5,"
		"\"n\":null,\"v\":[\"a\",1,\"b\"],\"e\":[]}");
	_cleanup_(strv_freep) char **v = json_get_strv(j, "v"), **e = json_get_strv(j, "e");
	struct err err = ERR_INIT;
	const char *s;
	int64_t i;

	assert_string_equal(json_get_str(j, "s"), "x");
	assert_int_equal(json_get_int(j, "i", 1), -5);
	assert_true(json_get_u64(j, "u", 1) == UINT64_MAX);
	assert_true(json_get_bool(j, "b", false));
	assert_true(json_get_double(j, "d", 0) == 1.5);
	assert_true(json_get_double(j, "i", 0) == -5);
	assert_int_equal(strv_len(v), 2); /* what is no string is left out */
	assert_non_null(e);
	assert_int_equal(strv_len(e), 0);
	assert_null(json_get_strv(j, "s"));
	/* Another type is absence. */
	assert_null(json_get_str(j, "i"));
	assert_int_equal(json_get_int(j, "s", 9), 9);
	assert_int_equal(json_get_int(j, "d", 9), 9);
	assert_true(json_get_bool(j, "i", true));
	assert_null(json_get(j, "n"));
	assert_true(json_has(j, "n"));
	assert_false(json_has(j, "absent"));
	assert_null(json_get(NULL, "x"));
	assert_null(json_get(json_get(j, "v"), "x"));
	assert_int_equal(json_len(json_get(j, "v")), 3);
	assert_int_equal(json_len(j), 0);
	assert_null(json_at(json_get(j, "v"), 3));
	assert_int_equal(json_count(j), 8);
	assert_int_equal(json_need_str(j, "i", &s, &err), -EBADMSG);
	assert_string_equal(err.msg, "field \"i\" is missing or not a string");
	assert_int_equal(json_need_int(j, "s", &i, &err), -EBADMSG);
	assert_int_equal(json_need_int(j, "i", &i, &err), 0);
	assert_int_equal(i, -5);
}

static void test_write(void **state)
{
	_cleanup_(json_unrefp) json *j = json_new_object();
	_cleanup_(free_p) char *pretty = NULL;
	json *a = json_new_array();

	json_put_str(j, "s", "a/\"\n\x01");
	json_put_str(j, "null", NULL);
	json_put_u64(j, "u", UINT64_MAX);
	json_put_int(j, "i", INT64_MIN);
	json_put_strv(j, "none", NULL);
	json_put_strv(j, "empty", (char *[]){ NULL });
	json_push_str(a, "x");
	json_push(a, NULL);
	json_put(j, "a", a);
	assert_string_equal(json_text(j), "{\"s\":\"a/\\\"\\n\\u0001\",\"u\":18446744073709551615,"
					  "\"i\":-9223372036854775808,\"empty\":[],"
					  "\"a\":[\"x\",null]}");
	pretty = json_text_pretty(j);
	assert_int_equal(pretty[strlen(pretty) - 1], '\n');
	json_unref(parse(pretty));
}

static void test_each(void **state)
{
	_cleanup_(json_unrefp) json *j = parse("{\"z\":1,\"a\":null,\"m\":{}}");
	struct json_iter it = { 0 };
	char keys[8] = "";

	while (json_each(j, &it))
		strcat(keys, it.key);
	assert_string_equal(keys, "zam");
	it = (struct json_iter){ 0 };
	assert_false(json_each(NULL, &it));
	assert_false(json_each(json_get(j, "z"), &it));
	it = (struct json_iter){ 0 };
	assert_false(json_each(json_get(j, "m"), &it));
}

static void test_truth(void **state)
{
	_cleanup_(json_unrefp) json *j = parse("[false,0,0.0,\"\",[],{},null,true,1,0.5,\"x\",[0],"
					       "{\"a\":0}]");

	for (size_t i = 0; i < json_len(j); i++)
		assert_true(json_truth(json_at(j, i)) == (i >= 7));
}

static void test_file(void **state)
{
	char dir[] = "/tmp/comp-test-XXXXXX";
	_cleanup_(free_p) char *path = NULL;
	struct err e = ERR_INIT;
	json *j = NULL;

	assert_non_null(mkdtemp(dir));
	path = path_join(dir, "f.json");
	assert_int_equal(json_read_file(AT_FDCWD, path, 10, &j, &e), -ENOENT);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, "{\"a\": ", 6, 0600, false, &e), 0);
	assert_int_equal(json_read_file(AT_FDCWD, path, 10, &j, &e), -EBADMSG);
	assert_memory_equal(e.msg, path, strlen(path));
	assert_int_equal(json_read_file(AT_FDCWD, path, 5, &j, &e), -EFBIG);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, "{}", 2, 0600, false, &e), 0);
	assert_int_equal(json_read_file(AT_FDCWD, path, 10, &j, &e), 0);
	json_unref(j);
	assert_int_equal(rm_rf(AT_FDCWD, dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_getters),   cmocka_unit_test(test_write),
		cmocka_unit_test(test_each),      cmocka_unit_test(test_truth),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
