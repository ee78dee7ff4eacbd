/* References: normal forms and refusals, row by row as distribution decides them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/image/ref.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *text, *canonical, *familiar;
} good[] = {
	{ "busybox", "docker.io/library/busybox:latest", "busybox:latest" },
	{ "busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36" },
	{ "docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest" },
	{ "index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest" },
	{ "user/app:v1", "docker.io/user/app:v1", "user/app:v1" },
	{ "library/app", "docker.io/library/app:latest", "app:latest" },
	{ "library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest" },
	{ "localhost/app", "localhost/app:latest", "localhost/app:latest" },
	{ "localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c" },
	{ "host:5000/app", "host:5000/app:latest", "host:5000/app:latest" },
	{ "Host/app", "Host/app:latest", "Host/app:latest" },
	{ "quay.io/a__b/c-d---e.f:T.1-x_", "quay.io/a__b/c-d---e.f:T.1-x_",
	  "quay.io/a__b/c-d---e.f:T.1-x_" },
	{ "[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest" },
	{ "app@sha256:" HEX, "docker.io/library/app@sha256:" HEX, "app@sha256:" HEX },
	{ "app:1@sha256:" HEX, "docker.io/library/app@sha256:" HEX, "app@sha256:" HEX },
	{ "foo:5000", "docker.io/library/foo:5000", "foo:5000" },
};

static void test_good(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_(free_p) char *canonical = NULL, *familiar = NULL, *again = NULL;
		struct err e = ERR_INIT;
		struct image_ref r;

		if (ref_parse(good[i].text, &r, &e) < 0)
			fail_msg("%s: %s", good[i].text, e.msg);
		canonical = ref_canonical(&r);
		familiar = ref_familiar(&r);
		ref_done(&r);
		assert_string_equal(canonical, good[i].canonical);
		assert_string_equal(familiar, good[i].familiar);
		again = ref_shorten(canonical);
		assert_string_equal(again, familiar);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"@",
		"/",
		"a/",
		"/a",
		"a//b",
		"Busybox",
		"user/App",
		"a:",
		"a:.x",
		"a:-x",
		"a b",
		"a:b c",
		"a@",
		"a@sha256:12",
		"a@md5:" HEX,
		"a@sha256:" HEX "0",
		HEX,
		"a..b",
		"a.",
		"-a",
		"a-",
		"_a",
		"a___b",
		"a._b",
		"http://x/y",
		"x:y:z",
		"-host/a.b/c-",
		"host:port/app",
		"ho_st.com/app",
		"[::1/app",
		"../a",
		"a/../b",
		"a\n",
		"caf\xc3\xa9",
	};
	char longest[700];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;
		struct image_ref r;

		if (ref_parse(bad[i], &r, &e) != -EINVAL)
			fail_msg("accepted: \"%s\"", bad[i]);
		assert_non_null(strstr(e.msg, "invalid reference format"));
		assert_null(r.path);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(ref_parse(longest, &(struct image_ref){ 0 }, NULL), -EINVAL);
	longest[2] = ':';
	longest[3 + 129] = '\0';
	assert_int_equal(ref_parse(longest, &(struct image_ref){ 0 }, NULL), -EINVAL);
}

static void test_lowercase_is_named(void **state)
{
	struct err e = ERR_INIT;
	struct image_ref r;

	assert_int_equal(ref_parse("user/App", &r, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "must be lowercase"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_lowercase_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
