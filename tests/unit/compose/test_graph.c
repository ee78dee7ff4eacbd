/* Waves, closures, and cycles with the position of each edge. */
#include <errno.h>

#include "compose/graph.h"
#include "tests/unit/compose/loading.h"

static int setup(void **state)
{
	struct folder *f = new0(struct folder);

	folder_make(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	folder_done(*state);
	free(*state);
	return 0;
}

static const char stack[] =
	"services:\n"
	"  web: {image: x, depends_on: [app], links: ['cache:c']}\n"
	"  app: {image: x, depends_on: {db: {condition: service_healthy, restart: true}}}\n"
	"  db: {image: x}\n"
	"  cache: {image: x}\n"
	"  side: {image: x, network_mode: 'service:web', volumes_from: ['db:ro']}\n";

static const struct graph_edge *edge(const struct graph *g, const char *from, const char *to)
{
	const struct graph_node *n = &g->nodes[graph_find(g, from)];

	for (size_t i = 0; i < n->n_edges; i++)
		if (n->edges[i].to == (size_t)graph_find(g, to))
			return &n->edges[i];
	return NULL;
}

static void test_waves_and_edges(void **state)
{
	_cleanup_(graph_freep) struct graph *g = NULL;
	struct folder *f = *state;

	folder_write(f, "compose.yaml", stack);
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	assert_int_equal(graph_new(f->p, &g, &f->diag), 0);
	assert_int_equal(g->n, 5);
	assert_int_equal(g->n_waves, 4);
	assert_int_equal(g->nodes[graph_find(g, "db")].wave, 0);
	assert_int_equal(g->nodes[graph_find(g, "app")].wave, 1);
	assert_int_equal(g->nodes[graph_find(g, "web")].wave, 2);
	assert_int_equal(g->nodes[graph_find(g, "side")].wave, 3);
	assert_int_equal(graph_find(g, "nope"), -1);
	assert_string_equal(edge(g, "app", "db")->condition, "service_healthy");
	assert_true(edge(g, "app", "db")->restart);
	assert_string_equal(edge(g, "web", "app")->via, "depends_on");
	assert_string_equal(edge(g, "web", "cache")->via, "links");
	assert_string_equal(edge(g, "side", "web")->via, "network_mode");
	assert_string_equal(edge(g, "side", "db")->via, "volumes_from");
	assert_false(edge(g, "side", "db")->restart);
	assert_null(edge(g, "db", "web"));
}

static void test_closures(void **state)
{
	_cleanup_(graph_freep) struct graph *g = NULL;
	struct folder *f = *state;
	char *app[] = { "app", "nope", NULL };
	bool set[5];

	folder_write(f, "compose.yaml", stack);
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	assert_int_equal(graph_new(f->p, &g, &f->diag), 0);
	graph_closure(g, app, false, set);
	assert_true(set[graph_find(g, "app")] && set[graph_find(g, "db")]);
	assert_false(set[graph_find(g, "web")] || set[graph_find(g, "cache")]);
	graph_closure(g, app, true, set);
	assert_true(set[graph_find(g, "web")] && set[graph_find(g, "side")]);
	assert_false(set[graph_find(g, "db")]);
}

static void test_cycle(void **state)
{
	struct folder *f = *state;

	folder_write(f, "compose.yaml",
		     "services:\n"
		     "  a: {image: x, depends_on: [b]}\n"
		     "  b: {image: x, links: [c]}\n"
		     "  c: {image: x, depends_on: {a: {condition: service_started}}}\n");
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), -ELOOP);
	assert_string_equal(f->diag.errs[0].msg, "dependency cycle detected: a -> b -> c -> a");
	assert_int_equal(f->diag.errs[0].line, 2);
	assert_string_equal(f->diag.errs[0].hint,
			    "a -> b at compose.yaml:2:30, b -> c at compose.yaml:3:25, "
			    "c -> a at compose.yaml:4:33");
}

static void test_nothing(void **state)
{
	_cleanup_(graph_freep) struct graph *g = NULL;
	struct folder *f = *state;

	folder_write(f, "compose.yaml", "services: {}\n");
	assert_int_equal(folder_load(f, (struct project_options){ 0 }), 0);
	assert_int_equal(graph_new(f->p, &g, &f->diag), 0);
	assert_int_equal(g->n, 0);
	graph_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waves_and_edges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cycle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
