/* Which build contexts are git repositories, and which part of them is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/build/remote.h"

static const struct {
	const char *text;
	int result;
	const char *url, *ref, *subdir;
} cases[] = {
	{ "https://h/r.git", 1, "https://h/r.git", NULL, NULL },
	{ "https://h/r.git#main", 1, "https://h/r.git", "main", NULL },
	{ "https://h/r.git#main:a/b", 1, "https://h/r.git", "main", "a/b" },
	{ "https://h/r.git#:a", 1, "https://h/r.git", NULL, "a" },
	{ "https://h/r.git#", 1, "https://h/r.git", NULL, NULL },
	{ "https://h/r.git#main:", 1, "https://h/r.git", "main", NULL },
	{ "http://h/r.git#v1", 1, "http://h/r.git", "v1", NULL },
	{ "git://h/r", 1, "git://h/r", NULL, NULL },
	{ "ssh://git@h:22/r#x", 1, "ssh://git@h:22/r", "x", NULL },
	{ "git@h:u/r.git#x:y", 1, "git@h:u/r.git", "x", "y" },
	{ "github.com/u/r#pull/1/head", 1, "https://github.com/u/r", "pull/1/head", NULL },
	/* fetched as they are */
	{ "http://h/r#v1", 0, NULL, NULL, NULL },
	{ "https://h/r.tar.gz", 0, NULL, NULL, NULL },
	{ "https://h/.git/x", 0, NULL, NULL, NULL },
	/* of this machine */
	{ "./a.git", 0, NULL, NULL, NULL },
	{ "dir/git@h:r", 0, NULL, NULL, NULL },
	{ "file:///r.git", 0, NULL, NULL, NULL },
	{ "ext::sh -c x.git", 0, NULL, NULL, NULL },
	/* what git or ssh would take for an option */
	{ "ssh://-oProxyCommand=x/r", -EINVAL, NULL, NULL, NULL },
	{ "ssh://u@-oProxyCommand=x/r", -EINVAL, NULL, NULL, NULL },
	{ "git@-oProxyCommand=x:r", -EINVAL, NULL, NULL, NULL },
	{ "git://h/r#--upload-pack=x", -EINVAL, NULL, NULL, NULL },
};

static void assert_same(const char *text, const char *got, const char *wanted)
{
	if ((!got) != (!wanted) || (got && strcmp(got, wanted) != 0))
		fail_msg("%s: got %s, wanted %s", text, got ? got : "nothing",
			 wanted ? wanted : "nothing");
}

static void test_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct remote_git g;
		struct err e = ERR_INIT;

		if (remote_git_parse(cases[i].text, &g, &e) != cases[i].result)
			fail_msg("%s: not %d", cases[i].text, cases[i].result);
		assert_same(cases[i].text, g.url, cases[i].url);
		assert_same(cases[i].text, g.ref, cases[i].ref);
		assert_same(cases[i].text, g.subdir, cases[i].subdir);
		assert_int_equal(e.code != 0, cases[i].result < 0);
		remote_git_done(&g);
	}
}

static void test_is_remote(void **state)
{
	assert_true(remote_is("http://h/context.tar"));
	assert_true(remote_is("git@h:r"));
	assert_false(remote_is("."));
	assert_false(remote_is("/a/https:/b"));
	assert_false(remote_is("github.company/r"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_is_remote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
