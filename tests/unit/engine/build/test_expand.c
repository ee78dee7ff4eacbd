/* Variables, quotes and scopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "engine/build/expand.h"

static char *env[] = { "PWD=/home",    "SHELL=bash", "EMPTY=",   "A=one",
		       "F=a.tar.gz",   "P=/a/b/c",   "X=abcabc", "U=\xc3\xa4\xc3\xb6",
		       "S=two  words", "D=$A",       NULL };
static const struct build_input input = { .escape = '\\' };

static struct scope scope_with(char escape)
{
	struct scope s = { .escape = escape, .input = &input, .env = env };

	return s;
}

static const struct {
	const char *word, *want;
} good[] = {
	{ "", "" },
	{ "plain", "plain" },
	{ "two words", "two words" },
	{ "$A", "one" },
	{ "${A}", "one" },
	{ "x${A}y$A.", "xoney"
		       "one." },
	{ "$AB", "" },
	{ "$", "$" },
	{ "a$", "a$" },
	{ "$.", "$." },
	{ "$1x", "x" },
	{ "$$", "" },
	{ "'$A'", "$A" },
	{ "\"$A\"", "one" },
	{ "\"a'b\"", "a'b" },
	{ "'a\"b'", "a\"b" },
	{ "\\$A", "$A" },
	{ "\"\\$A\"", "$A" },
	{ "\\\\$A", "\\one" },
	{ "a\\nb", "anb" },
	{ "\"a\\nb\"", "a\\nb" },
	{ "\"a\\\"b\"", "a\"b" },
	{ "'a\\'", "a\\" },
	{ "a\\", "a" },
	{ "he'llo'wor\"ld\"", "helloworld" },
	{ "$D", "$A" }, /* a value is not looked at again */
	{ "${EMPTY:-x}", "x" },
	{ "${EMPTY-x}", "" },
	{ "${NONE:-x}", "x" },
	{ "${NONE-x}", "x" },
	{ "${NONE:-}", "" },
	{ "${A:-x}", "one" },
	{ "${A:+x}", "x" },
	{ "${A+x}", "x" },
	{ "${EMPTY:+x}", "" },
	{ "${EMPTY+x}", "x" },
	{ "${NONE:+x}", "" },
	{ "${NONE+x}", "" },
	{ "${NONE:-$A}", "one" },
	{ "${NONE:-${EMPTY:-deep $A}}", "deep one" },
	{ "${NONE:-'$A'}", "$A" },
	{ "${NONE:-\"}\"}", "}" },
	{ "${NONE:-a\\}b}", "a}b" },
	{ "${A:?no}", "one" },
	{ "${EMPTY?no}", "" },
	{ "${F#a.}", "tar.gz" },
	{ "${F#*.}", "tar.gz" },
	{ "${F##*.}", "gz" },
	{ "${F%.*}", "a.tar" },
	{ "${F%%.*}", "a" },
	{ "${F%.gz}", "a.tar" },
	{ "${F%x}", "a.tar.gz" },
	{ "${F#x}", "a.tar.gz" },
	{ "${F#}", "a.tar.gz" },
	{ "${P##*/}", "c" },
	{ "${P%/*}", "/a/b" },
	{ "${P%%/*}", "" },
	{ "${X#?b}", "cabc" },
	{ "${X%b?}", "abca" },
	{ "${X#\\*}", "abcabc" },
	{ "${X/b/-}", "a-cabc" },
	{ "${X//b/-}", "a-ca-c" },
	{ "${X/b*c/-}", "a-" },
	{ "${X//b/}", "acac" },
	{ "${X//?/z}", "zzzzzz" },
	{ "${P/\\//-}", "-a/b/c" },
	{ "${P//\\//-}", "-a-b-c" },
	{ "${X/$NONE/z}", "abcabc" },
	{ "${X//a/$A}", "onebconebc" },
	{ "${NONE/a/b}", "" },
	{ "${U#?}", "\xc3\xb6" },
	{ "${U%?}", "\xc3\xa4" },
	{ "${U//?/x}", "xx" },
	{ "<<EOF", "<<EOF" },
};

static const char *const bad[] = {
	"'open",  "\"open",  "${",        "${}",      "${:}",
	"${{A}",  "${A",     "${A:",      "${A:-x",   "${A!x}",
	"${A:x}", "${A:#x}", "${NONE:?}", "${NONE?}", "${EMPTY:?why not}",
	"${A/x}", "${A/x/y", "${A#\\a}",  "${A:-'}",  "${A b}",
};

static void test_words(void **state)
{
	struct scope s = scope_with('\\');

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_(free_p) char *got = NULL;
		struct err e = ERR_INIT;

		if (expand_word(&s, good[i].word, &got, &e) < 0)
			fail_msg("%s: %s", good[i].word, e.msg);
		if (!streq(got, good[i].want))
			fail_msg("%s: %s, not %s", good[i].word, got, good[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *got = NULL;
		struct err e = ERR_INIT;

		if (expand_word(&s, bad[i], &got, &e) != -EINVAL)
			fail_msg("%s is taken: %s", bad[i], got ? got : e.msg);
		assert_null(got);
	}
}

static void test_messages(void **state)
{
	struct scope s = scope_with('\\');
	struct err e = ERR_INIT;
	char *got = NULL;

	expand_word(&s, "${EMPTY:?why not}", &got, &e);
	assert_non_null(strstr(e.msg, "EMPTY: why not"));
	expand_word(&s, "${NONE?}", &got, &e);
	assert_non_null(strstr(e.msg, "NONE: is not allowed to be unset"));
}

static void test_escape(void **state)
{
	struct scope s = scope_with('`');
	_cleanup_(free_p) char *got = NULL;

	assert_int_equal(expand_word(&s, "c:\\x\\$A`$A\"`\"\"", &got, NULL), 0);
	assert_string_equal(got, "c:\\x\\one$A\"");
}

static void test_split(void **state)
{
	struct scope s = scope_with('\\');
	static const struct {
		const char *text, *words;
	} splits[] = {
		{ "a b", "a|b" },
		{ "  $S  x ", "two|words|x" },
		{ "\"$S\"", "two  words" },
		{ "a\\ b c", "a b|c" },
		{ "'' x", "|x" },
		{ "$NONE", "" },
		{ "p${NONE:-80}q", "p80q" },
		{ "a$S", "atwo|words" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(splits); i++) {
		_cleanup_(strv_freep) char **words = NULL;
		_cleanup_(free_p) char *joined = NULL;

		assert_int_equal(expand_words(&s, splits[i].text, &words, NULL), 0);
		joined = strv_join(words, "|");
		assert_string_equal(joined, splits[i].words);
	}
}

static void test_heredoc_text(void **state)
{
	struct scope s = scope_with('`'); /* bodies have \ whatever the directive says */
	_cleanup_(free_p) char *got = NULL;

	assert_int_equal(expand_text(&s, "\"$A\" '$A' \\$A \\\\\n", &got, NULL), 0);
	assert_string_equal(got, "\"one\" 'one' $A \\\n");
}

/* What comes out is bounded, however it is nested. */
static void test_bombs(void **state)
{
	struct scope s = scope_with('\\');
	char *big[2] = { xmalloc(EXPAND_MAX / 2 + 16), NULL }, *got = NULL;
	struct err e = ERR_INIT;
	char deep[500] = "";

	memset(big[0], 'a', EXPAND_MAX / 2 + 15);
	big[0][EXPAND_MAX / 2 + 15] = '\0';
	memcpy(big[0], "B=", 2);
	s.env = big;
	assert_int_equal(expand_word(&s, "$B$B$B", &got, &e), -EFBIG);
	assert_int_equal(expand_word(&s, "${B//a/bbbb}", &got, &e), -E2BIG);
	assert_int_equal(expand_word(&s, "${B//a*b/c}", &got, &e), -E2BIG);
	assert_int_equal(expand_word(&s, "${B%*b}", &got, &e), -E2BIG);
	for (int i = 0; i < 40; i++)
		strcat(deep, "${N:-");
	for (int i = 0; i < 40; i++)
		strcat(deep, "}");
	assert_int_equal(expand_word(&s, deep, &got, &e), -E2BIG);
	free(big[0]);
}

/* ---- scopes --------------------------------------------------------------------------------- */

static void say(struct scope *s, const char *line)
{
	struct instruction i, x;
	struct err e = ERR_INIT;

	if (instruction_parse(line, false, &i, &e) < 0)
		fail_msg("%s: %s", line, e.msg);
	if (i.kind == INS_ARG) {
		assert_int_equal(scope_declare(s, &i, &e), 0);
	} else {
		assert_int_equal(instruction_expand(&i, s, &x, &e), 0);
		scope_set_env(s, &x);
		instruction_done(&x);
	}
	instruction_done(&i);
}

static void test_scopes(void **state)
{
	char *args[] = { "GIVEN=cli", "OVER=cli", "http_proxy=http://p", "LOST=1", NULL };
	struct build_input in = { .args = args, .platform = "linux/arm/v7", .escape = '\\' };
	char *image[] = { "PATH=/bin", "BASE=image", NULL };
	struct scope global, s;
	const struct scope *all[] = { &global, &s };
	char **list;

	scope_init_global(&global, &in);
	assert_string_equal(scope_get(&global, "TARGETPLATFORM"), "linux/arm/v7");
	assert_string_equal(scope_get(&global, "TARGETVARIANT"), "v7");
	assert_string_equal(scope_get(&global, "TARGETSTAGE"), "default");
	say(&global, "ARG VERSION=1.2");
	say(&global, "ARG GIVEN=file TAG=v$VERSION");
	assert_string_equal(scope_get(&global, "TAG"), "v1.2");
	assert_string_equal(scope_get(&global, "GIVEN"), "cli");

	scope_init_stage(&s, &global, image);
	assert_null(scope_get(&s, "VERSION"));
	assert_null(scope_get(&s, "TARGETARCH"));
	say(&s, "ARG VERSION");
	say(&s, "ARG TARGETARCH");
	say(&s, "ARG TAG=local");
	say(&s, "ARG NOTHING");
	assert_string_equal(scope_get(&s, "VERSION"), "1.2");
	assert_string_equal(scope_get(&s, "TARGETARCH"), "arm");
	assert_string_equal(scope_get(&s, "TAG"), "local");
	assert_null(scope_get(&s, "NOTHING"));
	say(&s, "ARG BASE=arg");
	assert_string_equal(scope_get(&s, "BASE"), "arg"); /* the later one */
	say(&s, "ARG OVER=file");
	assert_string_equal(scope_get(&s, "OVER"), "cli");
	say(&s, "ENV OVER=env$OVER");
	assert_string_equal(scope_get(&s, "OVER"), "envcli");
	say(&s, "ENV P=1 Q=$P");
	assert_string_equal(scope_get(&s, "Q"), ""); /* one line, one moment */

	list = scope_run_env(&s);
	assert_string_equal(strv_env_get(list, "OVER"), "envcli");
	assert_string_equal(strv_env_get(list, "TAG"), "local");
	assert_string_equal(strv_env_get(list, "BASE"), "arg");
	assert_string_equal(strv_env_get(list, "HTTP_PROXY"), "http://p");
	assert_string_equal(strv_env_get(list, "http_proxy"), "http://p");
	strv_free(list);
	list = scope_run_args(&s);
	assert_null(strv_env_get(list, "OVER"));
	assert_null(strv_env_get(list, "http_proxy"));
	assert_string_equal(strv_env_get(list, "TAG"), "local");
	strv_free(list);
	list = scope_unused_args(&in, all, 2);
	assert_int_equal(strv_len(list), 1);
	assert_string_equal(list[0], "LOST");
	strv_free(list);
	scope_done(&s);
	scope_done(&global);
}

static void test_host_platform(void **state)
{
	struct build_input in = { .escape = '\\', .target = "prod" };
	struct scope g;

	scope_init_global(&g, &in);
	assert_string_equal(scope_get(&g, "BUILDPLATFORM"), scope_get(&g, "TARGETPLATFORM"));
	assert_non_null(skip_prefix(scope_get(&g, "BUILDPLATFORM"), "linux/"));
	assert_string_equal(scope_get(&g, "TARGETSTAGE"), "prod");
	scope_done(&g);
}

/* ---- what expands where ------------------------------------------------------------------------
 */

static void check(const char *line, void (*look)(const struct instruction *x))
{
	struct scope s = scope_with('\\');
	struct instruction i, x;
	struct err e = ERR_INIT;

	if (instruction_parse(line, false, &i, &e) < 0 || instruction_expand(&i, &s, &x, &e) < 0)
		fail_msg("%s: %s", line, e.msg);
	look(&x);
	instruction_done(&i);
	instruction_done(&x);
}

static void copy_is(const struct instruction *x)
{
	assert_string_equal(x->words[0], "one/x");
	assert_string_equal(x->dest, "/d/one");
	assert_string_equal(x->chown, "one:one");
	assert_string_equal(x->chmod, "one");
	assert_string_equal(x->excludes[0], "$A"); /* not expanded by BuildKit either */
	assert_string_equal(x->heredocs[0].content, "one \"x\"\n");
	assert_string_equal(x->heredocs[1].content, "$A\n");
}

static void run_is(const struct instruction *x)
{
	assert_string_equal(x->words[0], "echo $A");
	assert_string_equal(x->mounts[0].target, "/one");
	assert_int_equal(x->mounts[0].uid, -1);
	assert_string_equal(x->mounts[1].id, "one");
}

static void port_is(const struct instruction *x)
{
	assert_int_equal(strv_len(x->words), 3);
	assert_string_equal(x->words[0], "two");
	assert_string_equal(x->words[2], "80");
}

static void env_is(const struct instruction *x)
{
	assert_string_equal(x->pairs[0].key, "one");
	assert_string_equal(x->pairs[0].value, "$A x");
	assert_string_equal(x->pairs[1].value, "one");
}

static void cmd_is(const struct instruction *x)
{
	assert_string_equal(x->words[0], "echo \"$A\"");
}

static void onbuild_is(const struct instruction *x)
{
	assert_string_equal(x->text, "ENV X=$A");
}

static void workdir_is(const struct instruction *x)
{
	assert_string_equal(x->text, "/srv/one dir");
}

static void test_instructions(void **state)
{
	check("COPY --chown=$A:$A --chmod=$A --exclude=$A $A/x <<E <<'F' /d/$A\n$A "
	      "\"x\"\nE\n$A\nF\n",
	      copy_is);
	check("RUN --mount=type=cache,target=/$A --mount=type=secret,id=$A echo $A", run_is);
	check("EXPOSE $S 80", port_is);
	check("ENV $A='$A x' B=\"$A\"", env_is);
	check("CMD echo \"$A\"", cmd_is);
	check("ONBUILD ENV X=$A", onbuild_is);
	check("WORKDIR /srv/\"$A dir\"", workdir_is);
}

static void test_mount_values_later(void **state)
{
	struct scope s = scope_with('\\');
	struct instruction i, x;
	struct err e = ERR_INIT;

	assert_int_equal(
		instruction_parse("RUN --mount=type=cache,target=/c,uid=$A true", false, &i, &e),
		0);
	assert_int_equal(instruction_expand(&i, &s, &x, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "uid=one is not an id"));
	instruction_done(&i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),        cmocka_unit_test(test_messages),
		cmocka_unit_test(test_escape),       cmocka_unit_test(test_split),
		cmocka_unit_test(test_heredoc_text), cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_scopes),       cmocka_unit_test(test_host_platform),
		cmocka_unit_test(test_instructions), cmocka_unit_test(test_mount_values_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
