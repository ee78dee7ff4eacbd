/* A Dockerfile from anywhere: parsed, its stages put in order, its instructions
 * expanded and applied.  What parses must survive all of it. */
#include <stdint.h>

#include "base/strv.h"
#include "engine/build/graph.h"

static void use(const struct stage_graph *g, const struct build_stage *s)
{
	_cleanup_(image_config_done) struct image_config c = { 0 };
	struct scope scope;

	scope_init_stage(&scope, &g->global, NULL);
	for (size_t i = 0; i < s->n; i++) {
		struct instruction x;

		if (s->instructions[i].kind == INS_ARG)
			(void)scope_declare(&scope, &s->instructions[i], NULL);
		if (instruction_expand(&s->instructions[i], &scope, &x, NULL) < 0)
			continue;
		if (x.kind == INS_ENV)
			scope_set_env(&scope, &x);
		(void)instruction_apply(&x, &c, NULL);
		if (x.kind == INS_RUN && !x.exec)
			free(instruction_script(&x));
		instruction_done(&x);
	}
	strv_free(scope_run_env(&scope));
	scope_done(&scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(dockerfile_done) struct dockerfile d = { 0 };
	char *args[] = { "A=given", "EMPTY=", NULL };
	struct build_input in = { .args = args, .platform = "linux/arm/v7" };
	struct stage_graph g;

	if (dockerfile_parse("Dockerfile", (const char *)data, size, &d, NULL) < 0)
		return 0;
	in.escape = d.escape;
	if (graph_init(&g, &d, &in, NULL, NULL, NULL) < 0)
		return 0;
	for (size_t i = 0; i < g.n_order; i++)
		use(&g, &d.stages[g.order[i]]);
	graph_done(&g);
	return 0;
}
