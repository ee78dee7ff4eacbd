/* .dockerignore: which paths of a context count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/build/ignore.h"

static const struct {
	const char *file, *path;
	bool hidden;
} cases[] = {
	{ "", "a", false },
	{ "a", "a", true },
	{ "a", "a/b/c", true },
	{ "a", "b/a", false },
	{ "/a", "a", true },
	{ "./a//b/", "a/b", true },
	{ "a/../b", "b", true },
	{ "  a  \r\n", "a", true },
	{ "#a\nb", "a", false },
	{ " #a", "#a", true }, /* a comment begins in the first column */
	{ "\xef\xbb\xbf"
	  "a",
	  "a", true },
	{ "*.md", "README.md", true },
	{ "*.md", "doc/README.md", false },
	{ "*/*.md", "doc/README.md", true },
	{ "**/*.md", "a/b/README.md", true },
	{ "**/*.md", "README.md", true },
	{ "*.md\n!README.md", "README.md", false },
	{ "*.md\n!README.md", "x.md", true },
	{ "!README.md\n*.md", "README.md", true }, /* the last one decides */
	{ "*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true },
	{ "*.md\n!README*.md\nREADME-secret.md", "README-public.md", false },
	{ "docs\n!docs/a", "docs/a", false },
	{ "docs\n!docs/a", "docs/b", true },
	{ "docs\n!docs/a", "docs/a/deep", false },
	{ "docs/*\n!docs/a\ndocs/a/b", "docs/a/b/c", true },
	{ "docs/*\n!docs/a\ndocs/a/b", "docs/a/x", false },
	{ "*\n!src", "src/main.c", false },
	{ "*\n!src", "other", true },
	{ "**\n!src/**", "src/a/b", false },
	{ "**\n!src/**", "src", true }, // the directory is not below itself
	{ "*\n!src/**/*.c", "src/a/x.c", false },
	{ "*\n!src/**/*.c", "src/a/x.h", true },
	{ "node_modules", "a/node_modules/x", false },
	{ "**/node_modules", "a/node_modules/x", true },
	{ "**/node_modules/", "node_modules/x/y", true },
	{ "a?c", "abc", true },
	{ "a?c", "a/c", false },
	{ "[ab].txt", "a.txt", true },
	{ "[^ab].txt", "a.txt", false },
	{ "a\\*", "a*", true },
	{ "a\\*", "ab", false },
	{ ".", "a", false },
	{ "! a\na\n! a", "a", false },
	{ "..", "a", false },
	{ "a.b", "aXb", false },
};

static struct ignore *parse(const char *text)
{
	struct ignore *i = NULL;
	struct err e = ERR_INIT;

	if (ignore_parse(".dockerignore", text, strlen(text), &i, &e) < 0)
		fail_msg("%s", e.msg);
	return i;
}

/* The same answer by a walk that hands the parent's state down. */
static bool by_walk(const struct ignore *i, const char *path)
{
	struct ignore_state *parent = NULL;
	char part[100];
	bool hidden;

	for (size_t n = strcspn(path, "/");; n += 1 + strcspn(path + n + 1, "/")) {
		struct ignore_state *below;

		memcpy(part, path, n);
		part[n] = '\0';
		hidden = ignore_match_below(i, parent, part, &below);
		ignore_state_free(parent);
		parent = below;
		if (!path[n])
			break;
	}
	ignore_state_free(parent);
	return hidden;
}

static void test_cases(void **state)
{
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		_cleanup_(ignore_freep) struct ignore *i = parse(cases[k].file);

		if (ignore_match(i, cases[k].path) != cases[k].hidden)
			fail_msg("%zu: <%s> on %s", k, cases[k].file, cases[k].path);
		assert_int_equal(by_walk(i, cases[k].path), cases[k].hidden);
	}
}

static void test_culprit(void **state)
{
	_cleanup_(ignore_freep) struct ignore *i = parse("*.o\n\n# objects\nbuild/\n!build/keep");

	assert_string_equal(ignore_culprit(i, "build/x/y"), "build/");
	assert_string_equal(ignore_culprit(i, "a.o"), "*.o");
	assert_null(ignore_culprit(i, "build/keep/x"));
	assert_null(ignore_culprit(NULL, "a"));
	assert_true(ignore_empty(NULL));
	assert_false(ignore_empty(i));
}

static void test_descend(void **state)
{
	static const struct {
		const char *file, *dir;
		bool descend;
	} walks[] = {
		{ "a", "a", false },
		{ "a\n!a/b/c", "a", true },
		{ "a\n!a/b/c", "a/b", true },
		{ "a\n!a/b/c", "a/x", false },
		{ "a\n!b", "a", false },
		{ "*\n!**/*.c", "any/where", true },
		{ "*\n!src/*.c", "src", true },
		{ "*\n!src/*.c", "other", false },
	};

	for (size_t k = 0; k < ARRAY_SIZE(walks); k++) {
		_cleanup_(ignore_freep) struct ignore *i = parse(walks[k].file);

		if (ignore_may_hold_wanted(i, walks[k].dir) != walks[k].descend)
			fail_msg("<%s> in %s", walks[k].file, walks[k].dir);
	}
}

static void test_bad(void **state)
{
	struct ignore *i = NULL;
	struct err e = ERR_INIT;
	char *many = xmalloc(2 * IGNORE_MAX_PATTERNS + 3);

	assert_int_equal(ignore_parse("x.dockerignore", "a\nb\n[\n", 6, &i, &e), -EINVAL);
	assert_int_equal(e.line, 3);
	assert_string_equal(e.file, "x.dockerignore");
	assert_int_equal(ignore_parse(".dockerignore", "!", 1, &i, &e), -EINVAL);
	for (int k = 0; k <= IGNORE_MAX_PATTERNS; k++)
		memcpy(many + 2 * k, "a\n", 2);
	assert_int_equal(ignore_parse("f", many, 2 * IGNORE_MAX_PATTERNS + 2, &i, &e), -E2BIG);
	assert_int_equal(ignore_parse("f", "", IGNORE_MAX_SIZE + 1, &i, &e), -EFBIG);
	free(many);
}

static void test_exclude(void **state)
{
	char *patterns[] = { "*.txt", "#x", "!keep.txt", NULL };
	_cleanup_(ignore_freep) struct ignore *i = NULL;

	assert_int_equal(ignore_new(patterns, &i, NULL), 0);
	assert_true(ignore_match(i, "a.txt"));
	assert_true(ignore_match(i, "#x"));
	assert_false(ignore_match(i, "keep.txt"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),   cmocka_unit_test(test_culprit),
		cmocka_unit_test(test_descend), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_exclude),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
