/* Which stages a build needs, in which order. */
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
#include "engine/build/graph.h"

static const char three[] = "ARG V=1\n"
			    "FROM base:$V AS deps\n"
			    "RUN x\n"
			    "FROM deps AS build\n"
			    "RUN --mount=type=bind,from=tools,target=/t y\n"
			    "FROM img AS tools\n"
			    "FROM scratch AS unused\n"
			    "COPY --from=0 / /\n"
			    "FROM scratch\n"
			    "COPY --from=BUILD /a /\n"
			    "COPY --from=1 /b /\n"
			    "COPY --from=alpine:3 /c /\n";

static const struct {
	const char *text, *target, *contexts[3];
	const char *want; /* the order by name, or the error's part */
	int code;
} cases[] = {
	{ "FROM a\n", NULL, { NULL }, "stage-0", 0 },
	{ "FROM a AS x\nFROM b AS y\n", NULL, { NULL }, "y", 0 },
	{ "FROM a AS x\nFROM b AS y\n", "x", { NULL }, "x", 0 },
	{ "FROM a AS x\nFROM b AS y\n", "X", { NULL }, "x", 0 },
	{ "FROM a AS x\nFROM b AS y\n", "0", { NULL }, "x", 0 },
	{ "FROM a AS x\nFROM x AS y\n", NULL, { NULL }, "x y", 0 },
	{ "FROM x AS y\nFROM a AS x\n", NULL, { NULL }, "x", 0 }, /* x is an image for y */
	{ "FROM x AS x\n", NULL, { NULL }, "x", 0 },
	{ "FROM a AS x\nFROM b AS x\nFROM x\n", NULL, { NULL }, "x stage-2", 0 },
	{ "FROM a AS x\nFROM a\nCOPY --from=x / /\n", NULL, { "x" }, "stage-1", 0 },
	{ "FROM a\nCOPY --from=1 / /\nFROM b\n",
	  "0",
	  { NULL },
	  "stage \"stage-0\" needs \"stage-1\", which is defined only after it",
	  -EINVAL },
	{ "FROM a AS x\nCOPY --from=y / /\nFROM b AS y\nCOPY --from=x / /\n",
	  NULL,
	  { NULL },
	  "stages need each other: y -> x -> y",
	  -ELOOP },
	{ "FROM a AS x\nCOPY --from=x / /\n", NULL, { NULL }, "copy from itself", -ELOOP },
	{ "FROM a\nCOPY --from=7 / /\n", NULL, { NULL }, "there is no stage 7", -ENOENT },
	{ "FROM a AS prod\n",
	  "prdo",
	  { NULL },
	  "target stage \"prdo\" could not be found",
	  -ENOENT },
	{ "FROM a$NONE\n", NULL, { NULL }, "stage-0", 0 },
	{ "FROM $NONE\n", NULL, { NULL }, "should not be blank", -EINVAL },
	{ "FROM ${NONE:?unset}\n", NULL, { NULL }, "NONE: unset", -EINVAL },
	{ "FROM --platform=$NONE a\n", NULL, { NULL }, "empty platform", -EINVAL },
	{ three, NULL, { NULL }, NULL, 0 },
};

static void show_order(const struct stage_graph *g, struct buf *b)
{
	for (size_t i = 0; i < g->n_order; i++)
		buf_printf(b, "%s%s", i ? " " : "", g->nodes[g->order[i]].name);
}

static void test_orders(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(dockerfile_done) struct dockerfile d = { 0 };
		_cleanup_(buf_done) struct buf got = BUF_INIT;
		struct build_input in = { 0 };
		struct stage_graph g;
		struct err e = ERR_INIT;
		int r;

		assert_int_equal(dockerfile_parse("Dockerfile", cases[i].text,
						  strlen(cases[i].text), &d, &e),
				 0);
		r = graph_init(&g, &d, &in, (char *const *)cases[i].contexts, cases[i].target, &e);
		if (r != cases[i].code && cases[i].want)
			fail_msg("%s: %d %s", cases[i].text, r, e.msg);
		if (!cases[i].want) {
			/* build needs tools, which stands below it */
			assert_int_equal(r, -EINVAL);
			continue;
		}
		if (r < 0) {
			if (!strstr(e.msg, cases[i].want))
				fail_msg("%s: %s", cases[i].text, e.msg);
			continue;
		}
		show_order(&g, &got);
		assert_string_equal(buf_str(&got), cases[i].want);
		graph_done(&g);
	}
}

static void test_sources(void **state)
{
	static const char text[] = "ARG V=3\n"
				   "FROM --platform=$BUILDPLATFORM alpine:$V AS tools\n"
				   "FROM tools AS build\n"
				   "FROM ctx\n"
				   "RUN --mount=from=tools,target=/x --mount=from=img,target=/y z\n"
				   "COPY --from=build / /\n";
	_cleanup_(dockerfile_done) struct dockerfile d = { 0 };
	char *contexts[] = { "ctx", "img", NULL };
	char *args[] = { "V=4", NULL };
	struct build_input in = { .args = args, .platform = "linux/s390x" };
	struct source_ref ref;
	struct stage_graph g;

	assert_int_equal(dockerfile_parse("Dockerfile", text, strlen(text), &d, NULL), 0);
	assert_int_equal(graph_init(&g, &d, &in, contexts, NULL, NULL), 0);
	assert_string_equal(g.nodes[0].base_name, "alpine:4");
	assert_int_equal(g.nodes[0].base.kind, SOURCE_IMAGE);
	assert_string_not_equal(g.nodes[0].platform, "");
	assert_null(g.nodes[1].platform);
	assert_int_equal(g.nodes[1].base.kind, SOURCE_STAGE);
	assert_int_equal(g.nodes[2].base.kind, SOURCE_CONTEXT);
	assert_string_equal(g.nodes[2].base.name, "ctx");
	assert_int_equal(g.nodes[2].n_needs, 2);
	assert_int_equal(g.nodes[2].needs[0], 0);
	assert_int_equal(g.nodes[2].needs[1], 1);
	assert_true(g.nodes[0].wanted);
	assert_int_equal(graph_source(&g, 2, NULL, &ref, NULL), 0);
	assert_int_equal(ref.kind, SOURCE_MAIN);
	assert_int_equal(graph_source(&g, 2, "img", &ref, NULL), 0);
	assert_int_equal(ref.kind, SOURCE_CONTEXT);
	assert_int_equal(graph_source(&g, 2, "debian:12", &ref, NULL), 0);
	assert_int_equal(ref.kind, SOURCE_IMAGE);
	assert_int_equal(graph_source(&g, 2, "1", &ref, NULL), 0);
	assert_int_equal(ref.stage, 1);
	graph_done(&g);
}

/* A named context in a stage's place: its base and its steps do not count. */
static void test_replaced(void **state)
{
	static const char text[] =
		"FROM a AS deep\nFROM $NONE AS x\nCOPY --from=deep / /\nFROM x\n";
	_cleanup_(dockerfile_done) struct dockerfile d = { 0 };
	char *contexts[] = { "X", NULL };
	struct build_input in = { 0 };
	struct stage_graph g;

	assert_int_equal(dockerfile_parse("Dockerfile", text, strlen(text), &d, NULL), 0);
	assert_int_equal(graph_init(&g, &d, &in, contexts, NULL, NULL), 0);
	assert_true(g.nodes[1].replaced);
	assert_int_equal(g.nodes[1].base.kind, SOURCE_CONTEXT);
	assert_false(g.nodes[0].wanted);
	assert_int_equal(g.nodes[2].base.kind, SOURCE_CONTEXT);
	graph_done(&g);
}

/* A long chain must not need a deep stack. */
static void test_long(void **state)
{
	_cleanup_(dockerfile_done) struct dockerfile d = { 0 };
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct build_input in = { 0 };
	struct stage_graph g;

	buf_adds(&text, "FROM a AS s0\n");
	for (int i = 1; i < DOCKERFILE_MAX_STAGES; i++)
		buf_printf(&text, "FROM s%d AS s%d\n", i - 1, i);
	assert_int_equal(dockerfile_parse("Dockerfile", text.data, text.len, &d, NULL), 0);
	assert_int_equal(graph_init(&g, &d, &in, NULL, NULL, NULL), 0);
	assert_int_equal(g.n_order, DOCKERFILE_MAX_STAGES);
	assert_int_equal(g.order[0], 0);
	graph_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
