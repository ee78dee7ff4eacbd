/* WWW-Authenticate and Retry-After as registries write them, and as they must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "engine/image/challenge.h"

static const struct {
	const char *value;
	int result;
	enum challenge_kind kind;
	const char *realm, *service, *scope;
} rows[] = {
	{ "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
	  "scope=\"repository:library/x:pull\"",
	  0, CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io",
	  "repository:library/x:pull" },
	{ "Basic realm=\"Registry Realm\"", 0, CHALLENGE_BASIC, "Registry Realm", NULL, NULL },
	{ "basic realm=x", 0, CHALLENGE_BASIC, "x", NULL, NULL },
	{ "BEARER REALM=\"a\" , Service = b", 0, CHALLENGE_BEARER, "a", "b", NULL },
	/* several in one line: the better one counts, wherever it stands */
	{ "Basic realm=\"b\", Bearer realm=\"t\",service=\"s\"", 0, CHALLENGE_BEARER, "t", "s",
	  NULL },
	{ "Bearer realm=\"t\",service=\"s\", Basic realm=\"b\"", 0, CHALLENGE_BEARER, "t", "s",
	  NULL },
	{ "Negotiate, Basic realm=\"b\"", 0, CHALLENGE_BASIC, "b", NULL, NULL },
	{ "Negotiate YIIab+/==, Basic realm=\"b\"", 0, CHALLENGE_BASIC, "b", NULL, NULL },
	{ "Digest realm=\"d\", nonce=\"n\"", 0, CHALLENGE_NONE, NULL, NULL, NULL },
	{ "", 0, CHALLENGE_NONE, NULL, NULL, NULL },
	{ "Bearer", 0, CHALLENGE_BEARER, NULL, NULL, NULL },
	{ "Bearer realm=\"a\\\"b\\\\c\"", 0, CHALLENGE_BEARER, "a\"b\\c", NULL, NULL },
	{ "Bearer realm=\"a, b=c\",service=\"d\"", 0, CHALLENGE_BEARER, "a, b=c", "d", NULL },
	{ "Bearer realm=\"first\",realm=\"second\"", 0, CHALLENGE_BEARER, "first", NULL, NULL },
	{ "Bearer realm=\"\"", 0, CHALLENGE_BEARER, "", NULL, NULL },
	{ "Bearer realm=\"open", -EBADMSG, CHALLENGE_NONE, NULL, NULL, NULL },
	{ "Bearer realm=\"a\r\nX: y\"", -EBADMSG, CHALLENGE_NONE, NULL, NULL, NULL },
	{ "Bearer realm=", -EBADMSG, CHALLENGE_NONE, NULL, NULL, NULL },
	{ "\"quoted\"", -EBADMSG, CHALLENGE_NONE, NULL, NULL, NULL },
	{ "=x", -EBADMSG, CHALLENGE_NONE, NULL, NULL, NULL },
};

static void same(const char *got, const char *want)
{
	if (!want)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct challenge c = { 0 };
		int r = challenge_parse(rows[i].value, &c, NULL);

		if (r != rows[i].result || c.kind != rows[i].kind)
			print_error("row %zu: %s\n", i, rows[i].value);
		assert_int_equal(r, rows[i].result);
		assert_int_equal(c.kind, rows[i].kind);
		same(c.realm, rows[i].realm);
		same(c.service, rows[i].service);
		same(c.scope, rows[i].scope);
		challenge_done(&c);
	}
}

static void test_several_headers(void **state)
{
	struct challenge c = { 0 };

	assert_int_equal(challenge_parse("Basic realm=\"b\"", &c, NULL), 0);
	assert_int_equal(challenge_parse("Bearer realm=\"t\",error=\"invalid_token\"", &c, NULL),
			 0);
	assert_int_equal(challenge_parse("Basic realm=\"b2\"", &c, NULL), 0);
	assert_int_equal(c.kind, CHALLENGE_BEARER);
	assert_string_equal(c.realm, "t");
	assert_string_equal(c.error, "invalid_token");
	challenge_done(&c);
}

static void test_too_long(void **state)
{
	_cleanup_(free_p) char *text = xmalloc(CHALLENGE_MAX + 2);
	struct challenge c = { 0 };

	memset(text, 'a', CHALLENGE_MAX + 1);
	text[CHALLENGE_MAX + 1] = '\0';
	assert_int_equal(challenge_parse(text, &c, NULL), -EBADMSG);
}

static void test_retry_after(void **state)
{
	/* Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples */
	const uint64_t then = UINT64_C(784111777) * NSEC_PER_SEC;
	uint64_t wait;

	assert_int_equal(retry_after_parse("120", then, &wait), 0);
	assert_int_equal(wait, 120 * NSEC_PER_SEC);
	assert_int_equal(retry_after_parse("0", then, &wait), 0);
	assert_int_equal(wait, 0);
	assert_int_equal(retry_after_parse("Sun, 06 Nov 1994 08:49:47 GMT", then, &wait), 0);
	assert_int_equal(wait, 10 * NSEC_PER_SEC);
	assert_int_equal(retry_after_parse("Sunday, 06-Nov-94 08:49:47 GMT", then, &wait), 0);
	assert_int_equal(wait, 10 * NSEC_PER_SEC);
	assert_int_equal(retry_after_parse("Sun Nov  6 08:49:47 1994", then, &wait), 0);
	assert_int_equal(wait, 10 * NSEC_PER_SEC);
	/* in the past: at once */
	assert_int_equal(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", then + 5, &wait), 0);
	assert_int_equal(wait, 0);
	/* huge: no overflow */
	assert_int_equal(retry_after_parse("18446744073709551615", then, &wait), 0);
	assert_true(wait > 3600 * NSEC_PER_SEC);
	assert_int_equal(retry_after_parse("soon", then, &wait), -EINVAL);
	assert_int_equal(retry_after_parse("-1", then, &wait), -EINVAL);
	assert_int_equal(retry_after_parse("", then, &wait), -EINVAL);
	assert_int_equal(retry_after_parse("1.5", then, &wait), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_several_headers),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
