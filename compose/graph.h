/* compose/graph.h: which service needs which.
 *
 * An edge a -> b means that a is started after b: depends_on, links,
 * volumes_from, and network_mode, ipc, pid, uts or cgroup: service:b.
 */
#ifndef COMPOSE_GRAPH_H
#define COMPOSE_GRAPH_H

#include "compose/diag.h"
#include "compose/project.h"

struct graph_edge {
	size_t to;              /* index into graph.nodes */
	const char *via;        /* "depends_on", "links", … : the key that says so */
	const char *condition;  /* "service_started", "service_healthy", … */
	bool restart, required; /* as in depends_on */
	bool shares;            /* namespaces or volumes of its container, be it @via or besides */
	const struct node *at;  /* what in the file says so */
};

struct graph_node {
	const char *name;
	const struct node *service;
	struct graph_edge *edges; /* in the file's order */
	size_t n_edges;
	size_t wave; /* longest way down: 0 = needs nobody */
};

struct graph {
	struct graph_node *nodes; /* sorted by name */
	size_t n;
	size_t n_waves;
};

/* Build it.  Edges to services that are not enabled are left out (the consistency
 * check has spoken about those).  A cycle: -ELOOP and
 * "dependency cycle detected: a -> b -> a", hint naming each edge's position. */
int graph_new(const struct project *p, struct graph **out, struct diag *diag);
void graph_free(struct graph *g);
static inline void graph_freep(struct graph **g)
{
	graph_free(*g);
}

/* Index of a service, or -1. */
ssize_t graph_find(const struct graph *g, const char *name);
/* Mark with true, in @set of g->n, what @names need (themselves included), or with
 * @reverse what needs them. */
void graph_closure(const struct graph *g, char *const *names, bool reverse, bool *set);

#endif
