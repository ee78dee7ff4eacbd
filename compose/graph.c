/* compose/graph.c: the dependency graph; see graph.h.
 *
 * Loading has already turned links, volumes_from and shared namespaces into
 * depends_on, so that is all there is to read; what an edge came from is told by
 * looking which of those keys names the service.  Cycles are found by a depth
 * first walk in the order of names, so the same file always shows the same one.
 */
#include "compose/graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/strv.h"

static int by_name(const void *x, const void *y)
{
	const struct graph_node *a = x, *b = y;

	return strcmp(a->name, b->name);
}

ssize_t graph_find(const struct graph *g, const char *name)
{
	const struct graph_node key = { .name = name };
	const struct graph_node *n = g->n ? bsearch(&key, g->nodes, g->n, sizeof(*g->nodes),
						    by_name)
					  : NULL;

	return n ? n - g->nodes : -1;
}

/* ---- edges ------------------------------------------------------------------------------- */

static bool names_service(const char *text, const char *name)
{
	size_t n = strlen(name);

	return strncmp(text, name, n) == 0 && (!text[n] || text[n] == ':');
}

static const char *const shared[] = { "network_mode", "ipc", "pid", "uts", "cgroup" };

static const char *origin_of(const struct node *service, const char *name, const struct node *dep)
{
	static const char *const lists[] = { "links", "volumes_from" };

	if (dep && dep->line) /* an implied one stands where its cause stands */
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
			const struct node *list = node_get(service, lists[i]);

			for (size_t j = 0; node_is(list, NODE_SEQ) && j < list->n; j++)
				if (list->items[j]->line == dep->line &&
				    names_service(list->items[j]->text, name))
					return lists[i];
		}
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		const struct node *n = node_get(service, shared[i]);
		const char *other = node_is(n, NODE_STRING) ? skip_prefix(n->text, "service:")
							    : NULL;

		if (other && streq(other, name) && dep && n->line == dep->line)
			return shared[i];
	}
	return "depends_on";
}

static bool shares_with(const struct node *service, const char *name)
{
	const struct node *from = node_get(service, "volumes_from");

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		const struct node *n = node_get(service, shared[i]);
		const char *other = node_is(n, NODE_STRING) ? skip_prefix(n->text, "service:")
							    : NULL;

		if (other && streq(other, name))
			return true;
	}
	for (size_t i = 0; node_is(from, NODE_SEQ) && i < from->n; i++)
		if (node_is(from->items[i], NODE_STRING) &&
		    names_service(from->items[i]->text, name))
			return true;
	return false;
}

static void add_edges(struct graph *g, struct graph_node *from)
{
	const struct node *deps = node_get(from->service, "depends_on");

	if (!node_is(deps, NODE_MAP))
		return;
	from->edges = xcalloc(deps->n + 1, sizeof(*from->edges));
	for (size_t i = 0; i < deps->n; i++) {
		const struct node *d = deps->entries[i].value;
		const char *name = deps->entries[i].key, *condition;
		ssize_t to = graph_find(g, name);

		if (to < 0)
			continue;
		condition = node_get_str(d, "condition");
		from->edges[from->n_edges++] = (struct graph_edge){
			.to = (size_t)to,
			.via = origin_of(from->service, name, d),
			.condition = condition ? condition : "service_started",
			.restart = node_get_bool(d, "restart", false),
			.required = node_get_bool(d, "required", true),
			.shares = shares_with(from->service, name),
			.at = d,
		};
	}
}

/* ---- cycles and waves ---------------------------------------------------------------------- */

struct walk {
	struct graph *g;
	struct diag *diag;
	size_t *path, depth;
	char *state; /* per node: 0 not seen, 1 on the path, 2 done */
};

static const struct graph_edge *edge_between(const struct graph *g, size_t from, size_t to)
{
	for (size_t i = 0; i < g->nodes[from].n_edges; i++)
		if (g->nodes[from].edges[i].to == to)
			return &g->nodes[from].edges[i];
	return NULL;
}

static int report_cycle(struct walk *w, size_t to)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT, where = BUF_INIT;
	const struct graph_edge *first = NULL;
	size_t start = 0;

	while (w->path[start] != to)
		start++;
	for (size_t i = start; i < w->depth; i++) {
		size_t next = i + 1 < w->depth ? w->path[i + 1] : to;
		const struct graph_edge *e = edge_between(w->g, w->path[i], next);

		first = first ? first : e;
		buf_printf(&text, "%s -> ", w->g->nodes[w->path[i]].name);
		buf_printf(&where, "%s%s -> %s", where.len ? ", " : "",
			   w->g->nodes[w->path[i]].name, w->g->nodes[next].name);
		if (e->at && e->at->file)
			buf_printf(&where, " at %s:%d:%d", e->at->file, e->at->line, e->at->col);
	}
	diag_err(w->diag, first ? first->at : NULL, ELOOP, "dependency cycle detected: %s%s",
		 buf_str(&text), w->g->nodes[to].name);
	diag_hint(w->diag, "%s", buf_str(&where));
	return -ELOOP;
}

static int visit(struct walk *w, size_t i)
{
	struct graph_node *n = &w->g->nodes[i];
	int r = 0;

	w->state[i] = 1;
	w->path[w->depth++] = i;
	for (size_t j = 0; r == 0 && j < n->n_edges; j++) {
		size_t to = n->edges[j].to;

		if (w->state[to] == 1)
			return report_cycle(w, to);
		if (w->state[to] == 0)
			r = visit(w, to);
		n->wave = MAX(n->wave, w->g->nodes[to].wave + 1);
	}
	w->depth--;
	w->state[i] = 2;
	w->g->n_waves = MAX(w->g->n_waves, n->wave + 1);
	return r;
}

int graph_new(const struct project *p, struct graph **out, struct diag *diag)
{
	const struct node *services = project_section(p, "services");
	_cleanup_(graph_freep) struct graph *g = new0(struct graph);
	struct walk w = { .g = g, .diag = diag };
	int r = 0;

	*out = NULL;
	g->nodes = xcalloc(services ? services->n + 1 : 1, sizeof(*g->nodes));
	for (size_t i = 0; services && i < services->n; i++)
		g->nodes[g->n++] = (struct graph_node){ .name = services->entries[i].key,
							.service = services->entries[i].value };
	if (g->n)
		qsort(g->nodes, g->n, sizeof(*g->nodes), by_name);
	for (size_t i = 0; i < g->n; i++)
		add_edges(g, &g->nodes[i]);
	w.path = xcalloc(g->n + 1, sizeof(*w.path));
	w.state = xcalloc(g->n + 1, 1);
	for (size_t i = 0; r == 0 && i < g->n; i++)
		if (!w.state[i])
			r = visit(&w, i);
	free(w.path);
	free(w.state);
	if (r == 0)
		*out = TAKE_PTR(g);
	return r;
}

void graph_free(struct graph *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++)
		free(g->nodes[i].edges);
	free(g->nodes);
	free(g);
}

static bool needs_marked(const struct graph_node *n, const bool *set)
{
	for (size_t i = 0; i < n->n_edges; i++)
		if (set[n->edges[i].to])
			return true;
	return false;
}

void graph_closure(const struct graph *g, char *const *names, bool reverse, bool *set)
{
	bool changed = true;

	memset(set, 0, g->n * sizeof(*set));
	STRV_FOREACH (name, names) {
		ssize_t i = graph_find(g, *name);

		if (i >= 0)
			set[i] = true;
	}
	while (changed) {
		changed = false;
		for (size_t i = 0; i < g->n; i++) {
			if (reverse && !set[i] && needs_marked(&g->nodes[i], set))
				changed = set[i] = true;
			for (size_t j = 0; !reverse && set[i] && j < g->nodes[i].n_edges; j++)
				if (!set[g->nodes[i].edges[j].to])
					changed = set[g->nodes[i].edges[j].to] = true;
		}
	}
}
