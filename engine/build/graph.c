/* engine/build/graph.c: names to stages, stages to an order.
 *
 * A name is looked up among the named contexts first, then the stages of the file,
 * and is an image otherwise.  FROM sees only stages above it; COPY --from and
 * mounts may name any, so the first thing to be sure of is that nothing goes round
 * in a circle, and the second that nothing below is needed.
 */
#include "engine/build/graph.h"

#include <strings.h>

#include "base/strv.h"

/* ---- names -------------------------------------------------------------------------------- */

static const char *find_context(const struct stage_graph *g, const char *name)
{
	STRV_FOREACH (c, g->contexts)
		if (strcasecmp(*c, name) == 0)
			return *c;
	return NULL;
}

/* The last stage of that name below @limit, or the one of that number; -1: none. */
static ssize_t find_stage(const struct stage_graph *g, const char *name, size_t limit)
{
	uint64_t n;

	for (size_t i = limit; i-- > 0;)
		if (g->file->stages[i].name && strcasecmp(g->file->stages[i].name, name) == 0)
			return (ssize_t)i;
	if (parse_u64(name, &n) && n < limit)
		return (ssize_t)n;
	return -1;
}

static int bad_name(const struct stage_graph *g, const char *what, const char *name, struct err *e)
{
	const char **names = xcalloc(g->file->n_stages, sizeof(*names)), *near;
	size_t n = 0;

	for (size_t i = 0; i < g->file->n_stages; i++)
		if (g->file->stages[i].name)
			names[n++] = g->file->stages[i].name;
	near = nearest_word(name, names, n);
	free(names);
	err_set(e, ENOENT, "%s \"%.200s\" could not be found in %s", what, name, g->file->name);
	return near ? err_hint(e, "did you mean %s?", near) : -ENOENT;
}

int graph_source(const struct stage_graph *g, size_t at, const char *from, struct source_ref *out,
		 struct err *e)
{
	const char *context;
	ssize_t stage;
	uint64_t n;

	*out = (struct source_ref){ .kind = SOURCE_MAIN };
	if (is_empty(from))
		return 0;
	*out = (struct source_ref){ .kind = SOURCE_IMAGE, .name = from };
	context = find_context(g, from);
	stage = find_stage(g, from, g->file->n_stages);
	if (context) {
		*out = (struct source_ref){ .kind = SOURCE_CONTEXT, .name = context };
	} else if (strcasecmp(from, "scratch") == 0) {
		out->kind = SOURCE_SCRATCH;
	} else if (stage >= 0) {
		if ((size_t)stage == at)
			return err_set(e, ELOOP, "stage \"%.100s\" cannot copy from itself", from);
		*out = (struct source_ref){ .kind = SOURCE_STAGE, .stage = (size_t)stage };
	} else if (parse_u64(from, &n)) {
		return err_set(e, ENOENT, "there is no stage %s: %s has %zu, from 0", from,
			       g->file->name, g->file->n_stages);
	}
	return 0;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static void add_need(struct graph_node *node, size_t stage)
{
	size_t i;

	for (i = 0; i < node->n_needs && node->needs[i] < stage; i++)
		;
	if (i < node->n_needs && node->needs[i] == stage)
		return;
	node->needs = xreallocarray(node->needs, node->n_needs + 1, sizeof(size_t));
	memmove(node->needs + i + 1, node->needs + i, (node->n_needs - i) * sizeof(size_t));
	node->needs[i] = stage;
	node->n_needs++;
}

static int resolve_base(struct stage_graph *g, size_t at, struct err *e)
{
	const struct build_stage *s = &g->file->stages[at];
	struct graph_node *node = &g->nodes[at];
	const char *context = s->name ? find_context(g, s->name) : NULL;
	ssize_t stage;
	int r = expand_word(&g->global, s->base, &node->base_name, e);

	if (r == 0 && !*node->base_name && !context) {
		r = err_set(e, EINVAL, "FROM: base name (%.200s) should not be blank", s->base);
		err_hint(e, "give the ARG before FROM a default, or pass --build-arg");
	}
	if (r == 0 && s->platform)
		r = expand_word(&g->global, s->platform, &node->platform, e);
	if (r == 0 && node->platform && !*node->platform)
		r = err_set(e, EINVAL, "FROM: empty platform from %.200s", s->platform);
	if (r < 0)
		return r;
	node->replaced = context != NULL;
	if (!context)
		context = find_context(g, node->base_name);
	stage = find_stage(g, node->base_name, at);
	node->base = (struct source_ref){ .kind = SOURCE_IMAGE, .name = node->base_name };
	if (context)
		node->base = (struct source_ref){ .kind = SOURCE_CONTEXT, .name = context };
	else if (streq(node->base_name, "scratch"))
		node->base.kind = SOURCE_SCRATCH;
	/* A number is no stage here: FROM 0 is an image called 0. */
	else if (stage >= 0 && g->file->stages[stage].name &&
		 strcasecmp(g->file->stages[stage].name, node->base_name) == 0)
		node->base = (struct source_ref){ .kind = SOURCE_STAGE, .stage = (size_t)stage };
	if (node->base.kind == SOURCE_STAGE)
		add_need(node, node->base.stage);
	return 0;
}

static int need_source(struct stage_graph *g, size_t at, const struct instruction *i,
		       const char *from, struct err *e)
{
	struct source_ref src;
	int r = graph_source(g, at, from, &src, e);

	if (r < 0) {
		err_wrap(e, r, "%s", instruction_name(i->kind));
		err_at(e, g->file->name, i->line, 0);
		return r;
	}
	if (src.kind == SOURCE_STAGE)
		add_need(&g->nodes[at], src.stage);
	return 0;
}

static int find_needs(struct stage_graph *g, size_t at, struct err *e)
{
	const struct build_stage *s = &g->file->stages[at];
	int r = 0;

	for (size_t k = 0; k < s->n && r == 0; k++) {
		const struct instruction *i = &s->instructions[k];

		if (i->kind == INS_COPY)
			r = need_source(g, at, i, i->from, e);
		for (size_t m = 0; m < i->n_mounts && r == 0; m++)
			r = need_source(g, at, i, i->mounts[m].from, e);
	}
	return r;
}

static int make_node(struct stage_graph *g, size_t at, struct err *e)
{
	const struct build_stage *s = &g->file->stages[at];
	int r;

	g->nodes[at].name = s->name ? xstrdup(s->name) : xasprintf("stage-%zu", at);
	r = resolve_base(g, at, e);
	if (r < 0) {
		err_at(e, g->file->name, s->line, 0);
		return r;
	}
	return g->nodes[at].replaced ? 0 : find_needs(g, at, e);
}

/* ---- order ------------------------------------------------------------------------------------
 */

enum mark { UNSEEN, OPEN, DONE };

/* The open stages from @at on are a circle. */
static int circle(const struct stage_graph *g, const size_t *path, size_t depth, size_t at,
		  struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	size_t i = 0;

	while (path[i] != at)
		i++;
	for (; i < depth; i++)
		buf_printf(&text, "%s -> ", g->nodes[path[i]].name);
	err_set(e, ELOOP, "stages need each other: %.500s%s", buf_str(&text), g->nodes[at].name);
	return err_at(e, g->file->name, g->file->stages[at].line, 0);
}

/* Depth first without recursion (there may be many stages): a stage enters the order
 * when all it needs has. */
static int sort(struct stage_graph *g, struct err *e)
{
	_cleanup_(free_p) unsigned char *marks = xcalloc(g->n, 1);
	_cleanup_(free_p) size_t *path = xcalloc(g->n, sizeof(size_t));
	_cleanup_(free_p) size_t *next = xcalloc(g->n, sizeof(size_t));
	size_t depth = 1;

	path[0] = g->target;
	marks[g->target] = OPEN;
	while (depth > 0) {
		size_t at = path[depth - 1], need;
		struct graph_node *node = &g->nodes[at];

		if (next[at] == node->n_needs) {
			marks[at] = DONE;
			node->wanted = true;
			g->order[g->n_order++] = at;
			depth--;
			continue;
		}
		need = node->needs[next[at]++];
		if (marks[need] == OPEN)
			return circle(g, path, depth, need, e);
		if (marks[need] == UNSEEN) {
			marks[need] = OPEN;
			path[depth++] = need;
		}
	}
	return 0;
}

/* No circle: then what stands below is still not to be had from above. */
static int check_below(const struct stage_graph *g, struct err *e)
{
	for (size_t k = 0; k < g->n_order; k++) {
		const struct graph_node *node = &g->nodes[g->order[k]];
		size_t last = node->n_needs ? node->needs[node->n_needs - 1] : 0;

		if (node->n_needs == 0 || last < g->order[k])
			continue;
		err_set(e, EINVAL,
			"stage \"%.100s\" needs \"%.100s\", which is defined only after it",
			node->name, g->nodes[last].name);
		return err_at(e, g->file->name, g->file->stages[g->order[k]].line, 0);
	}
	return 0;
}

static int find_target(struct stage_graph *g, const char *target, struct err *e)
{
	ssize_t stage;

	g->target = g->n - 1;
	if (is_empty(target))
		return 0;
	stage = find_stage(g, target, g->n);
	if (stage < 0)
		return bad_name(g, "target stage", target, e);
	g->target = (size_t)stage;
	return 0;
}

static int declare_globals(struct stage_graph *g, struct err *e)
{
	for (size_t i = 0; i < g->file->n_globals; i++) {
		int r = scope_declare(&g->global, &g->file->globals[i], e);

		if (r < 0) {
			err_at(e, g->file->name, g->file->globals[i].line, 0);
			return r;
		}
	}
	return 0;
}

int graph_init(struct stage_graph *g, const struct dockerfile *d, const struct build_input *input,
	       char *const *contexts, const char *target, struct err *e)
{
	int r;

	*g = (struct stage_graph){ .file = d, .contexts = contexts, .n = d->n_stages };
	scope_init_global(&g->global, input);
	g->global.escape = d->escape;
	g->nodes = xcalloc(g->n, sizeof(*g->nodes));
	g->order = xcalloc(g->n, sizeof(*g->order));
	r = declare_globals(g, e);
	for (size_t i = 0; i < g->n && r == 0; i++)
		r = make_node(g, i, e);
	if (r == 0)
		r = find_target(g, target, e);
	if (r == 0)
		r = sort(g, e);
	if (r == 0)
		r = check_below(g, e);
	if (r < 0)
		graph_done(g);
	return r;
}

void graph_done(struct stage_graph *g)
{
	for (size_t i = 0; g->nodes && i < g->n; i++) {
		free(g->nodes[i].name);
		free(g->nodes[i].base_name);
		free(g->nodes[i].platform);
		free(g->nodes[i].needs);
	}
	free(g->nodes);
	free(g->order);
	scope_done(&g->global);
	*g = (struct stage_graph){ 0 };
}
