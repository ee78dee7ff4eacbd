/* registries.json: what is refused, who is insecure, in which order endpoints are asked;
 * and platforms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "engine/image/platform.h"
#include "engine/image/registry_config.h"

static const char *const bad[] = {
	"[]",
	"{\"x\": 1}",
	"{\"timeout\": 0}",
	"{\"timeout\": \"5\"}",
	"{\"max-concurrent-downloads\": 1000}",
	"{\"registry-mirrors\": \"https://a\"}",
	"{\"registry-mirrors\": [\"a.example\"]}",
	"{\"registry-mirrors\": [1]}",
	"{\"registry-mirrors\": [\"http:///\"]}",
	"{\"registry-mirrors\": [\"https://user@host\"]}",
	"{\"insecure-registries\": \"a\"}",
	"{\"registries\": {\"a\": 1}}",
	"{\"registries\": {\"a\": {\"insecure\": \"yes\"}}}",
	"{\"registries\": {\"a\": {\"mirrors\": [\"ftp://x\"]}}}",
	"{\"registries\": {\"a\": {\"unknown\": 1}}}",
	"{",
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct registry_config c;
		struct err e = ERR_INIT;

		if (registry_config_parse(bad[i], strlen(bad[i]), &c, &e) == 0)
			print_error("accepted: %s\n", bad[i]);
		assert_int_not_equal(e.code, 0);
	}
}

static void parse(const char *text, struct registry_config *c)
{
	assert_int_equal(registry_config_parse(text, strlen(text), c, NULL), 0);
}

static void test_insecure(void **state)
{
	struct registry_config c;

	parse("{\"insecure-registries\": [\"10.1.0.0/16\", \"reg.lan:5000\", \"old.lan\", "
	      "\"fd00::/8\"], \"registries\": {\"localhost:6000\": {\"insecure\": false}, "
	      "\"quay.io\": {\"insecure\": true}}}",
	      &c);
	assert_true(registry_config_is_insecure(&c, "localhost"));
	assert_true(registry_config_is_insecure(&c, "localhost:5000"));
	assert_false(registry_config_is_insecure(&c, "localhost:6000"));
	assert_true(registry_config_is_insecure(&c, "127.0.0.1:5000"));
	assert_true(registry_config_is_insecure(&c, "127.200.3.4"));
	assert_true(registry_config_is_insecure(&c, "[::1]:5000"));
	assert_false(registry_config_is_insecure(&c, "128.0.0.1"));
	assert_true(registry_config_is_insecure(&c, "10.1.255.3:5000"));
	assert_false(registry_config_is_insecure(&c, "10.2.0.1"));
	assert_true(registry_config_is_insecure(&c, "reg.lan:5000"));
	assert_false(registry_config_is_insecure(&c, "reg.lan:5001"));
	assert_true(registry_config_is_insecure(&c, "old.lan:77"));
	assert_true(registry_config_is_insecure(&c, "[fd12::1]:5000"));
	assert_true(registry_config_is_insecure(&c, "quay.io"));
	assert_false(registry_config_is_insecure(&c, "docker.io"));
	assert_false(registry_config_is_insecure(&c, "localhost.evil.example"));
	assert_false(registry_config_is_insecure(&c, "127.0.0.1.evil.example"));
	registry_config_done(&c);
}

static void test_endpoints(void **state)
{
	struct registry_endpoints l;
	struct registry_config c;

	parse("{\"registry-mirrors\": [\"https://m1/\", \"http://m2:80\"], \"registries\": "
	      "{\"quay.io\": {\"mirrors\": [\"https://q.lan/cache\"]}}}",
	      &c);
	registry_config_endpoints(&c, "docker.io", &l);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.items[0].url, "https://m1");
	assert_string_equal(l.items[0].domain, "m1"); /* its own credentials, not docker.io's */
	assert_false(l.items[0].insecure);
	assert_true(l.items[1].insecure);
	assert_string_equal(l.items[2].url, "https://registry-1.docker.io");
	assert_string_equal(l.items[2].domain, "docker.io");
	assert_false(l.items[2].mirror);
	registry_endpoints_done(&l);
	registry_config_endpoints(&c, "quay.io", &l);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.items[0].url, "https://q.lan/cache");
	assert_string_equal(l.items[0].domain, "q.lan");
	assert_string_equal(l.items[1].url, "https://quay.io");
	registry_endpoints_done(&l);
	registry_config_endpoints(&c, "ghcr.io", &l);
	assert_int_equal(l.n, 1);
	registry_endpoints_done(&l);
	registry_config_done(&c);
}

static void test_platform_names(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "amd64", "linux/amd64" },
		{ "x86_64", "linux/amd64" },
		{ "linux/aarch64", "linux/arm64" },
		{ "linux/arm64/v8", "linux/arm64" },
		{ "linux/arm", "linux/arm/v7" },
		{ "linux/arm/v6", "linux/arm/v6" },
		{ "armhf", "linux/arm/v7" },
		{ "windows/amd64", "windows/amd64" },
		{ "linux", NULL },
		{ "a/b/c/d", NULL },
		{ "linux//", NULL },
		{ "beos/amd64/v1", NULL },
		{ "a b", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(platform_done) struct platform p;
		_cleanup_(free_p) char *text = NULL;
		int r = platform_parse(rows[i].text, &p, NULL);

		if ((r == 0) != (rows[i].canonical != NULL))
			print_error("row %zu: %s\n", i, rows[i].text);
		assert_int_equal(r, rows[i].canonical ? 0 : -EINVAL);
		if (r < 0)
			continue;
		text = platform_text(&p);
		assert_string_equal(text, rows[i].canonical);
	}
}

static const struct descriptor *choose(const char *want, const struct image_index *x)
{
	_cleanup_(platform_done) struct platform p;

	assert_int_equal(platform_parse(want, &p, NULL), 0);
	return platform_choose(&p, x);
}

static void test_choose(void **state)
{
	struct descriptor items[] = {
		{ .os = "linux", .architecture = "arm", .variant = "v5" },
		{ .os = "linux", .architecture = "arm", .variant = "v6" },
		{ .os = "linux", .architecture = "amd64" },
		{ .os = "linux", .architecture = "arm64", .variant = "v8" },
		{ .os = "windows", .architecture = "amd64" },
		{ .os = "unknown", .architecture = "unknown", .attestation = true },
	};
	const struct image_index x = { .items = items, .n = ARRAY_SIZE(items) };
	_cleanup_(platform_done) struct platform p;
	struct err e = ERR_INIT;

	assert_ptr_equal(choose("linux/amd64", &x), &items[2]);
	assert_ptr_equal(choose("linux/arm64", &x), &items[3]);
	assert_ptr_equal(choose("linux/arm/v7", &x), &items[1]); /* the highest that runs */
	assert_ptr_equal(choose("linux/arm/v5", &x), &items[0]);
	assert_ptr_equal(choose("windows/amd64", &x), &items[4]);
	assert_null(choose("linux/s390x", &x));
	assert_int_equal(platform_parse("linux/s390x", &p, NULL), 0);
	assert_int_equal(platform_none(&p, &x, &e), -ENOENT);
	assert_string_equal(e.msg,
			    "no image for linux/s390x; there are: linux/arm/v5, linux/arm/v6, "
			    "linux/amd64, linux/arm64/v8, windows/amd64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad),       cmocka_unit_test(test_insecure),
		cmocka_unit_test(test_endpoints), cmocka_unit_test(test_platform_names),
		cmocka_unit_test(test_choose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
