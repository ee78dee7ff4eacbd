/* The parser: what stands where, and what is said of mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"
#include "engine/build/dockerfile.h"

/* Everything of an instruction on one line, for comparison. */
static void show_list(struct buf *b, const char *what, char *const *list)
{
	if (!list)
		return;
	buf_printf(b, " %s", what);
	STRV_FOREACH (s, list)
		buf_printf(b, "<%s>", *s);
}

static void show_text(struct buf *b, const char *what, const char *text)
{
	if (text)
		buf_printf(b, " %s<%s>", what, text);
}

static void show_mount(struct buf *b, const struct run_mount *m)
{
	buf_printf(b, " mount%d", (int)m->type);
	show_text(b, "from", m->from);
	show_text(b, "src", m->source);
	show_text(b, "dst", m->target);
	show_text(b, "id", m->id);
	show_text(b, "env", m->env);
	buf_printf(b, "%s%s", m->readonly ? " ro" : " rw", m->required ? " required" : "");
	if (m->sharing)
		buf_printf(b, " sharing%d", (int)m->sharing);
	if (m->size)
		buf_printf(b, " size%ju", (uintmax_t)m->size);
	if (m->mode >= 0 || m->uid >= 0 || m->gid >= 0)
		buf_printf(b, " %jo:%jd:%jd", (uintmax_t)m->mode, (intmax_t)m->uid,
			   (intmax_t)m->gid);
}

static void show(struct buf *b, const struct instruction *i)
{
	buf_printf(b, "%s", instruction_name(i->kind));
	show_list(b, i->exec ? "exec" : "words", i->words);
	show_text(b, "text", i->text);
	for (size_t k = 0; k < i->n_pairs; k++)
		buf_printf(b, " %s%s%s", i->pairs[k].key, i->pairs[k].value ? "=" : "",
			   i->pairs[k].value ? i->pairs[k].value : "");
	show_text(b, "dest", i->dest);
	for (size_t k = 0; k < i->n_heredocs; k++)
		buf_printf(b, " <<%s%s%s(%u)[%s]", i->heredocs[k].chomp ? "-" : "",
			   i->heredocs[k].name, i->heredocs[k].expand ? "" : "'", i->heredocs[k].fd,
			   i->heredocs[k].content);
	show_list(b, "test", i->health.test);
	if (i->health.interval || i->health.start_interval || i->health.retries)
		buf_printf(b, " %ju/%ju/%ju/%ju/%jd", (uintmax_t)i->health.interval,
			   (uintmax_t)i->health.timeout, (uintmax_t)i->health.start_period,
			   (uintmax_t)i->health.start_interval, (intmax_t)i->health.retries);
	show_text(b, "from", i->from);
	show_text(b, "chown", i->chown);
	show_text(b, "chmod", i->chmod);
	show_text(b, "checksum", i->checksum);
	show_list(b, "exclude", i->excludes);
	buf_printf(b, "%s%s%s", i->link ? " link" : "", i->parents ? " parents" : "",
		   i->keep_git_dir ? " git" : "");
	if (i->unpack >= 0)
		buf_printf(b, " unpack%d", i->unpack);
	for (size_t k = 0; k < i->n_mounts; k++)
		show_mount(b, &i->mounts[k]);
	show_text(b, "network", i->network);
	show_text(b, "security", i->security);
}

static const struct {
	const char *text, *want;
} lines[] = {
	{ "run echo hi", "RUN words<echo hi>" },
	{ "RUN  [\"a\", \"b c\"] ", "RUN exec<a><b c>" },
	{ "RUN [ -e x ] && y", "RUN words<[ -e x ] && y>" },
	{ "RUN a \\\n  b\\\nc", "RUN words<a   bc>" },
	{ "RUN a \\\n# comment\n\n  # another\n  b", "RUN words<a   b>" },
	{ "RUN a \\  \t\nb", "RUN words<a b>" },
	{ "RUN a \\\\\n", "RUN words<a \\\\>" },
	{ "RUN a # no comment", "RUN words<a # no comment>" },
	{ "RUN a \\", "RUN words<a>" },
	{ "\\\nRUN a", "RUN words<a>" },
	{ "RUN <<EOF\necho \"$x\"\n  b\nEOF\n", "RUN words<<<EOF> <<EOF(0)[echo \"$x\"\n  b\n]" },
	{ "RUN <<-'E O'\n\ta\n\t\tb\n\tE O\n", "RUN words<<<-'E O'> <<-E O'(0)[a\nb\n]" },
	{ "RUN cat 3<<A <<B && x\n1\nA\n2\nB\n",
	  "RUN words<cat 3<<A <<B && x> <<A(3)[1\n] <<B(0)[2\n]" },
	{ "RUN cat << EOF\nx\nEOF", "RUN words<cat << EOF> <<EOF(0)[x\n]" },
	{ "RUN cat <<<EOF", "RUN words<cat <<<EOF>" },
	{ "RUN echo '<<EOF'", "RUN words<echo '<<EOF'>" },
	{ "RUN echo $((1<<2))", "RUN words<echo $((1<<2))>" },
	{ "RUN [\"a\", \"<<EOF\"]", "RUN exec<a><<<EOF>" },
	{ "RUN --mount=target=/x a", "RUN words<a> mount0 dst</x> ro" },
	{ "RUN --mount=type=bind,from=b,source=/s,target=/x,rw a",
	  "RUN words<a> mount0 from<b> src</s> dst</x> rw" },
	{ "RUN --mount=type=cache,id=c,dst=/x,sharing=locked,mode=0755,uid=1,gid=2,ro a",
	  "RUN words<a> mount1 dst</x> id<c> ro sharing2 755:1:2" },
	{ "RUN --mount=type=tmpfs,target=/t,size=64m a",
	  "RUN words<a> mount2 dst</t> rw size67108864" },
	{ "RUN --mount=type=secret,id=s,env=TOKEN,required a",
	  "RUN words<a> mount3 id<s> env<TOKEN> ro required" },
	{ "RUN --mount=type=secret,source=s,target=/s,mode=0400 a",
	  "RUN words<a> mount3 dst</s> id<s> ro 400:-1:-1" },
	{ "RUN --mount=type=ssh a", "RUN words<a> mount4 ro" },
	{ "RUN --mount=type=ssh,required=true --network=none --security=insecure a",
	  "RUN words<a> mount4 ro required network<none> security<insecure>" },
	{ "RUN --mount='type=bind,\"target=/a,b\"' a", "RUN words<a> mount0 dst</a,b> ro" },
	{ "RUN --mount=type=cache,target=/c --mount=type=cache,target=/d a",
	  "RUN words<a> mount1 dst</c> rw mount1 dst</d> rw" },
	{ "RUN -- --x", "RUN words<--x>" },
	{ "CMD a b", "CMD words<a b>" },
	{ "CMD []", "CMD exec" },
	{ "CMD ['a']", "CMD words<['a']>" },
	{ "ENTRYPOINT [\"/e\", \"\\u00e4\"]", "ENTRYPOINT exec</e><\xc3\xa4>" },
	{ "ENTRYPOINT exec top", "ENTRYPOINT words<exec top>" },
	{ "SHELL [\"/bin/bash\",\"-ec\"]", "SHELL words</bin/bash><-ec>" },
	{ "COPY a b c/", "COPY words<a><b> dest<c/>" },
	{ "COPY [\"a b\", \"c\"]", "COPY exec<a b> dest<c>" },
	{ "COPY --from=x --chown=1:2 --chmod=u+x --link --parents --exclude=*.o --exclude=b a c",
	  "COPY words<a> dest<c> from<x> chown<1:2> chmod<u+x> exclude<*.o><b> link parents" },
	{ "COPY --link=false a c", "COPY words<a> dest<c>" },
	{ "COPY <<A <<\"B\" x /d/\n$1\nA\n$2\nB\n",
	  "COPY words<x> dest</d/> <<A(0)[$1\n] <<B'(0)[$2\n]" },
	{ "COPY <<A /f\r\nx\r\nA\r\n", "COPY words dest</f> <<A(0)[x\r\n]" },
	{ "ADD --checksum=sha256:ab --keep-git-dir --unpack=false http://x/y /z",
	  "ADD words<http://x/y> dest</z> checksum<sha256:ab> git unpack0" },
	{ "ADD --unpack a /z", "ADD words<a> dest</z> unpack1" },
	{ "ENV a=b c='d e' f=\"g\" h=i\\ j", "ENV a=b c='d e' f=\"g\" h=i\\ j" },
	{ "ENV a b  c", "ENV a=b  c" },
	{ "ENV a= b=", "ENV a= b=" },
	{ "LABEL \"a b\"=c d=\"e \\\n f\"", "LABEL \"a b\"=c d=\"e  f\"" },
	{ "ARG a b=c d=", "ARG a b=c d=" },
	{ "EXPOSE 80/tcp  $P 1-2", "EXPOSE words<80/tcp><$P><1-2>" },
	{ "VOLUME /a /b", "VOLUME words</a></b>" },
	{ "VOLUME [\"/a b\"]", "VOLUME exec</a b>" },
	{ "USER a:b", "USER text<a:b>" },
	{ "WORKDIR /a b", "WORKDIR text</a b>" },
	{ "STOPSIGNAL 9", "STOPSIGNAL text<9>" },
	{ "MAINTAINER A B <a@b>", "MAINTAINER text<A B <a@b>>" },
	{ "ONBUILD RUN --network=none x", "ONBUILD text<RUN --network=none x>" },
	{ "ONBUILD RUN <<E\nx\nE\n", "ONBUILD text<RUN <<E\nx\nE>" },
	{ "HEALTHCHECK NONE", "HEALTHCHECK test<NONE>" },
	{ "HEALTHCHECK CMD a b", "HEALTHCHECK test<CMD-SHELL><a b>" },
	{ "HEALTHCHECK --interval=5s --timeout=1m --start-period=2s --start-interval=1s "
	  "--retries=3 CMD [\"a\"]",
	  "HEALTHCHECK test<CMD><a> 5000000000/60000000000/2000000000/1000000000/3" },
};

static void test_lines(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_cleanup_(free_p) char *text = xasprintf("FROM x\n%s", lines[i].text);
		_cleanup_(dockerfile_done) struct dockerfile d = { 0 };
		_cleanup_(buf_done) struct buf got = BUF_INIT;
		struct err e = ERR_INIT;
		int r = dockerfile_parse("Dockerfile", text, strlen(text), &d, &e);

		if (r < 0)
			fail_msg("%s: %s", lines[i].text, e.msg);
		assert_int_equal(d.stages[0].n, 1);
		show(&got, &d.stages[0].instructions[0]);
		if (!streq(buf_str(&got), lines[i].want))
			fail_msg("%s:\n%s, not\n%s", lines[i].text, buf_str(&got), lines[i].want);
	}
}

/* ---- mistakes ---------------------------------------------------------------------------------
 */

static const struct {
	const char *text;
	int line;
	const char *msg, *hint;
} bad[] = {
	{ "", 1, "empty", NULL },
	{ "# only a comment\n", 1, "empty", NULL },
	{ "ARG a=1\n", 1, "no FROM", NULL },
	{ "RUN x\nFROM a\n", 1, "RUN before the first FROM", "only ARG" },
	{ "FROM\n", 1, "FROM: requires either one or three", "FROM IMAGE" },
	{ "FROM a AS\n", 1, "one or three", NULL },
	{ "FROM a b c\n", 1, "one or three", NULL },
	{ "FROM a AS 1x\n", 1, "invalid stage name", NULL },
	{ "FROM a AS b/c\n", 1, "invalid stage name", NULL },
	{ "FROM --platfrom=x a\n", 1, "unknown flag: --platfrom", "--platform" },
	{ "FROM x\n\nRUNN a\n", 3, "unknown instruction: RUNN", "RUN?" },
	{ "FROM x\nENTRYPIONT a\n", 2, "unknown instruction: ENTRYPIONT", "ENTRYPOINT?" },
	{ "FROM x\nxyzzy a\n", 2, "unknown instruction: xyzzy", NULL },
	{ "FROM x\nCOPY a\n", 2, "COPY: requires at least two", "COPY SOURCE" },
	{ "FROM x\nCOPY --form=a b c\n", 2, "COPY: unknown flag: --form", "--from?" },
	{ "FROM x\nCOPY --from b c\n", 2, "missing a value on flag: --from", NULL },
	{ "FROM x\nCOPY --from=a --from=b c d\n", 2, "duplicate flag", NULL },
	{ "FROM x\nCOPY --from=$a c d\n", 2, "variables cannot be used", "FROM $a AS" },
	{ "FROM x\nCOPY --link=maybe c d\n", 2, "neither true nor false", NULL },
	{ "FROM x\nCOPY --checksum=x c d\n", 2, "unknown flag: --checksum", NULL },
	{ "FROM x\nCOPY a <<E\nE\n", 2, "heredoc as a destination", NULL },
	{ "FROM x\nCOPY [\"a\", 1]\n", 2, "only strings", "quote" },
	{ "FROM x\nRUN\n", 2, "RUN: requires at least one", NULL },
	{ "FROM x\nRUN []\n", 2, "RUN: requires at least one", NULL },
	{ "FROM x\nRUN <<EOF\na\n", 2, "unterminated heredoc", "EOF" },
	{ "FROM x\nRUN --mount=type=bnid,target=/a x\n", 2, "mount type \"bnid\"", "bind?" },
	{ "FROM x\nRUN --mount=type=cache x\n", 2, "needs target", NULL },
	{ "FROM x\nRUN --mount=type=cache,target=/a,sharing=lock x\n", 2, "sharing", "locked?" },
	{ "FROM x\nRUN --mount=type=cache,traget=/a x\n", 2, "unexpected key \"traget\"",
	  "target?" },
	{ "FROM x\nRUN --mount=type=bind,target=/a,size=1 x\n", 2, "size is not for mounts", NULL },
	{ "FROM x\nRUN --mount=type=tmpfs,target=/a,size=lots x\n", 2, "not a size", NULL },
	{ "FROM x\nRUN --mount=type=cache,target=/a,mode=9 x\n", 2, "octal", NULL },
	{ "FROM x\nRUN --mount=type=cache,target=/a,uid=-1 x\n", 2, "not an id", NULL },
	{ "FROM x\nRUN --mount=type=secret x\n", 2, "secret needs id", NULL },
	{ "FROM x\nRUN --mount=type=bind,from=$a,target=/a x\n", 2, "variables", "FROM $a" },
	{ "FROM x\nRUN --mount=type=bind,target x\n", 2, "target needs a value", NULL },
	{ "FROM x\nRUN --mount='\"type=bind' x\n", 2, "quote without its end", NULL },
	{ "FROM x\nRUN --network=nnoe x\n", 2, "--network=nnoe", "none?" },
	{ "FROM x\nENV a\n", 2, "needs a value", NULL },
	{ "FROM x\nENV a=b c\n", 2, "\"c\" is not KEY=VALUE", NULL },
	{ "FROM x\nENV =b\n", 2, "name cannot be empty", NULL },
	{ "FROM x\nARG =b\n", 2, "name cannot be empty", NULL },
	{ "FROM x\nARG\n", 2, "at least one", NULL },
	{ "FROM x\nSHELL /bin/sh\n", 2, "JSON", NULL },
	{ "FROM x\nSHELL []\n", 2, "JSON", NULL },
	{ "FROM x\nHEALTHCHECK\n", 2, "unknown type", NULL },
	{ "FROM x\nHEALTHCHECK CMD\n", 2, "missing command", NULL },
	{ "FROM x\nHEALTHCHECK NONE x\n", 2, "takes no arguments", NULL },
	{ "FROM x\nHEALTHCHECK --interval=5 CMD x\n", 2, "not a duration", NULL },
	{ "FROM x\nHEALTHCHECK --intervall=5s CMD x\n", 2, "unknown flag", "--interval?" },
	{ "FROM x\nONBUILD FROM y\n", 2, "not allowed as a trigger", NULL },
	{ "FROM x\nONBUILD ONBUILD RUN y\n", 2, "not allowed as a trigger", NULL },
	{ "FROM x\nONBUILD RUNN y\n", 2, "unknown instruction", "RUN?" },
	{ "FROM x\nVOLUME [\"\"]\n", 2, "empty string", NULL },
	{ "FROM x\nCMD --x a\n", 2, "unknown flag: --x", NULL },
	{ "# escape=x\nFROM x\n", 1, "invalid escape token", NULL },
	{ "# escape=`\n# escape=`\nFROM x\n", 2, "only one escape", NULL },
	{ "FROM x\n\n\nRUN a \\\n b\nFOO\n", 6, "unknown instruction", NULL },
};

static void test_bad(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct dockerfile d = { 0 };
		struct err e = ERR_INIT;

		if (dockerfile_parse("sub/Dockerfile", bad[i].text, strlen(bad[i].text), &d, &e) !=
		    -EINVAL)
			fail_msg("not refused: %s", bad[i].text);
		if (!strstr(e.msg, bad[i].msg) || (bad[i].hint && !strstr(e.hint, bad[i].hint)))
			fail_msg("%s: %s (%s)", bad[i].text, e.msg, e.hint);
		assert_string_equal(e.file, "sub/Dockerfile");
		assert_int_equal(e.line, bad[i].line);
	}
}

static void test_limits(void **state)
{
	struct dockerfile d = { 0 };
	struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	buf_adds(&b, "FROM x\n");
	for (int i = 0; i <= DOCKERFILE_MAX_INSTRUCTIONS; i++)
		buf_adds(&b, "ARG a\n");
	assert_int_equal(dockerfile_parse("D", b.data, b.len, &d, &e), -E2BIG);
	buf_truncate(&b, 0);
	for (int i = 0; i <= DOCKERFILE_MAX_STAGES; i++)
		buf_adds(&b, "FROM x\n");
	assert_int_equal(dockerfile_parse("D", b.data, b.len, &d, &e), -E2BIG);
	buf_truncate(&b, 0);
	buf_adds(&b, "FROM x\nRUN ");
	for (unsigned int i = 0; i < DOCKERFILE_MAX_LINE / 4 + 1; i++)
		buf_adds(&b, "aaa \\\n");
	assert_int_equal(dockerfile_parse("D", b.data, b.len, &d, &e), -EFBIG);
	assert_int_equal(e.line, 2);
	for (size_t k = 0; k < 4; k++) {
		static const char *const begin[] = { "EXPOSE", "ENV a=b", "COPY", "CMD [\"a\"" };

		buf_truncate(&b, 0);
		buf_printf(&b, "FROM x\n%s", begin[k]);
		for (int i = 0; i <= 2 * DOCKERFILE_MAX_WORDS; i++)
			buf_adds(&b, k == 3 ? ",\"\"" : " a=b");
		buf_adds(&b, k == 3 ? "]" : "");
		assert_int_equal(dockerfile_parse("D", b.data, b.len, &d, &e), -E2BIG);
	}
	assert_int_equal(dockerfile_parse("D", "x", DOCKERFILE_MAX_SIZE + 1, &d, &e), -EFBIG);
	assert_int_equal(dockerfile_parse("D", "FROM x\0", 7, &d, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "NUL"));
	buf_done(&b);
}

/* ---- the whole file
 * ------------------------------------------------------------------------------ */

static void parse(const char *text, struct dockerfile *d)
{
	struct err e = ERR_INIT;

	if (dockerfile_parse("Dockerfile", text, strlen(text), d, &e) < 0)
		fail_msg("%s", e.msg);
}

static void test_stages(void **state)
{
	_cleanup_(dockerfile_done) struct dockerfile d = { 0 };

	parse("\xef\xbb\xbf# syntax=docker/dockerfile:1\r\n"
	      "# check=skip=all\r\n"
	      "ARG V=1 \\\r\n  W=2\r\n"
	      "FROM --platform=$BUILDPLATFORM golang:$V AS Build\r\n"
	      "RUN a\r\n"
	      "\r\n"
	      "FROM scratch\r\n"
	      "COPY --from=build <<E /x /\r\n"
	      "body\r\n"
	      "E\r\n"
	      "CMD [\"/x\"]\r\n",
	      &d);
	assert_string_equal(d.syntax, "docker/dockerfile:1");
	assert_string_equal(d.check, "skip=all");
	assert_int_equal(d.n_globals, 1);
	assert_int_equal(d.globals[0].n_pairs, 2);
	assert_int_equal(d.globals[0].line, 3);
	assert_int_equal(d.globals[0].end_line, 4);
	assert_int_equal(d.n_stages, 2);
	assert_string_equal(d.stages[0].name, "build");
	assert_string_equal(d.stages[0].base, "golang:$V");
	assert_string_equal(d.stages[0].platform, "$BUILDPLATFORM");
	assert_int_equal(d.stages[0].line, 5);
	assert_null(d.stages[1].name);
	assert_int_equal(d.stages[1].n, 2);
	assert_int_equal(d.stages[1].instructions[0].line, 9);
	assert_int_equal(d.stages[1].instructions[0].end_line, 11);
	assert_string_equal(d.stages[1].instructions[0].original, "COPY --from=build <<E /x /");
	assert_int_equal(d.stages[1].instructions[1].line, 12);
	assert_non_null(strstr(dockerfile_line(&d, 9), "COPY --from"));
	assert_null(dockerfile_line(&d, 99));
	assert_null(dockerfile_line(&d, 0));
}

static void test_directives(void **state)
{
	_cleanup_(dockerfile_done) struct dockerfile d = { 0 }, f = { 0 };

	parse("#ESCAPE = `\nFROM x\nRUN a `\nb\nRUN c:\\\nRUN d\n", &d);
	assert_int_equal(d.escape, '`');
	assert_int_equal(d.stages[0].n, 3);
	assert_string_equal(d.stages[0].instructions[0].words[0], "a b");
	assert_string_equal(d.stages[0].instructions[1].words[0], "c:\\");
	/* After anything else it is a comment. */
	parse("# a comment\n# escape=`\nFROM x\nRUN a `\n", &f);
	assert_int_equal(f.escape, '\\');
	assert_string_equal(f.stages[0].instructions[0].words[0], "a `");
}

static void test_warnings(void **state)
{
	_cleanup_(dockerfile_done) struct dockerfile d = { 0 };

	parse("FROM x AS a\nRUN a \\\n\n b\nCMD ['x']\nFROM y AS A\n", &d);
	assert_int_equal(strv_len(d.warnings), 3);
	assert_non_null(strstr(d.warnings[0], "Dockerfile:4: an empty line"));
	assert_non_null(strstr(d.warnings[1], "Dockerfile:5: ['"));
	assert_non_null(strstr(d.warnings[2], "Dockerfile:6: a stage of this name"));
}

static void test_single(void **state)
{
	struct instruction i, copy;
	struct err e = ERR_INIT;

	assert_int_equal(instruction_parse("RUN <<E\nx\nE", true, &i, &e), 0);
	instruction_copy(&i, &copy);
	instruction_done(&i);
	assert_string_equal(copy.heredocs[0].content, "x\n");
	instruction_done(&copy);
	assert_int_equal(instruction_parse("RUN a\nRUN b", false, &i, &e), -EINVAL);
	assert_int_equal(instruction_parse("FROM a", false, &i, &e), -EINVAL);
	assert_int_equal(instruction_parse("ONBUILD RUN a", true, &i, &e), -EINVAL);
	assert_int_equal(instruction_parse("  ", false, &i, &e), -EINVAL);
	assert_int_equal(instruction_parse("# escape=`", false, &i, &e), -EINVAL);
}

static void test_script(void **state)
{
	static const struct {
		const char *text, *script;
	} scripts[] = {
		{ "RUN a b", "a b" },
		{ "RUN <<E\nx\ny\nE", "x\ny\n" },
		{ "RUN cat <<E >f\nx\nE", "cat <<E >f\nx\nE" },
		{ "RUN cat <<A <<B\n1\nA\n2\nB", "cat <<A <<B\n1\nA\n2\nB" },
		{ "RUN <<E\n#!/bin/awk -f\nE", NULL },
	};

	for (size_t k = 0; k < ARRAY_SIZE(scripts); k++) {
		_cleanup_(free_p) char *got = NULL;
		struct instruction i;

		assert_int_equal(instruction_parse(scripts[k].text, false, &i, NULL), 0);
		got = instruction_script(&i);
		if (!streq_null(got, scripts[k].script))
			fail_msg("%s: %s", scripts[k].text, got);
		instruction_done(&i);
	}
}

/* ---- configuration
 * ------------------------------------------------------------------------------- */

static void test_apply(void **state)
{
	static const char *const said[] = {
		"SHELL [\"/bin/ash\", \"-ec\"]",
		"CMD x y",
		"ENTRYPOINT [\"/e\"]",
		"ENV A=1 B=2",
		"ENV A=3",
		"LABEL l=m",
		"EXPOSE 80 90-91/UDP",
		"VOLUME /v /v /w",
		"USER u:g",
		"WORKDIR /a",
		"WORKDIR b",
		"STOPSIGNAL SIGUSR1",
		"HEALTHCHECK --retries=2 CMD t",
		"ONBUILD RUN z",
		"MAINTAINER me",
	};
	_cleanup_(image_config_done) struct image_config c = { 0 };
	_cleanup_(json_unrefp) json *j = NULL;
	struct err e = ERR_INIT;
	struct instruction i;

	for (size_t k = 0; k < ARRAY_SIZE(said); k++) {
		assert_int_equal(instruction_parse(said[k], false, &i, &e), 0);
		if (instruction_apply(&i, &c, &e) < 0)
			fail_msg("%s: %s", said[k], e.msg);
		instruction_done(&i);
	}
	j = image_config_runtime_json(&c);
	assert_string_equal(
		json_text(j),
		"{\"User\":\"u:g\",\"ExposedPorts\":{\"80/tcp\":{},\"90/udp\":{},\"91/udp\":{}},"
		"\"Env\":[\"A=3\",\"B=2\"],\"Entrypoint\":[\"/e\"],"
		"\"Cmd\":[\"/bin/ash\",\"-ec\",\"x y\"],"
		"\"Volumes\":{\"/v\":{},\"/w\":{}},\"WorkingDir\":\"/a/b\","
		"\"Labels\":{\"l\":\"m\"},\"StopSignal\":\"SIGUSR1\","
		"\"Shell\":[\"/bin/ash\",\"-ec\"],\"OnBuild\":[\"RUN z\"],"
		"\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"t\"],\"Retries\":2}}");
	assert_string_equal(c.author, "me");
	assert_int_equal(instruction_parse("STOPSIGNAL NONSENSE", false, &i, &e), 0);
	assert_int_equal(instruction_apply(&i, &c, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "STOPSIGNAL: "));
	instruction_done(&i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),      cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limits),     cmocka_unit_test(test_stages),
		cmocka_unit_test(test_directives), cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_single),     cmocka_unit_test(test_script),
		cmocka_unit_test(test_apply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
