/* compose/yaml.c: libyaml's events become nodes; see yaml.h.
 *
 * A recursive descent over the event stream, one function per kind of node.
 * `ctx.path` holds the keys from the top down to where the parser is, for
 * error texts alone.  An alias yields its anchor's very node, so a file stays
 * as small in memory as it is on disk; what the aliases *stand for* is counted
 * while parsing (each anchor knows how many nodes its value unfolds to), so that
 * a few lines that unfold to billions are refused at the alias that crosses the
 * limit, before any stage walks the tree.  A `<<` is applied when its mapping
 * ends: by then every key written in the mapping itself is known, and wins.
 */
#include "compose/yaml.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/map.h"
#include "compose/scalar.h"

struct anchor {
	struct node *node;
	size_t unfolded; /* nodes below it, aliases followed */
	bool open;       /* its value is being read */
};

struct step {
	const char *key; /* NULL: item @index of a sequence */
	size_t index;
};

struct ctx {
	struct arena *a;
	const char *file;
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; owned */
	bool has_event;
	struct map anchors; /* name → struct anchor in the arena */
	struct step path[YAML_MAX_DEPTH + 1];
	size_t depth;
	size_t n_nodes;   /* written */
	size_t n_aliased; /* repeated by aliases */
	size_t n_anchors;
	struct err *e;
};

static int read_node(struct ctx *c, struct node **out, size_t *unfolded);

/* ---- errors ----------------------------------------------------------------- */
static int fail_at(struct ctx *c, int code, size_t line, size_t col, const char *fmt, ...)
	_printf_(5, 6);

static int fail_at(struct ctx *c, int code, size_t line, size_t col, const char *fmt, ...)
{
	_cleanup_(free_p) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	code = err_set(c->e, code, "%s", text);
	(void)err_at(c->e, c->file, (int)line, (int)col); /* returns the code we have */
	return code;
}

#define fail_mark(c, mark, ...) fail_at(c, EINVAL, (mark).line + 1, (mark).column + 1, __VA_ARGS__)

/* The place of byte @offset, for errors of the reader, which has no marks. */
static yaml_mark_t mark_of_offset(const char *text, size_t n, size_t offset)
{
	yaml_mark_t mark = { 0 };

	for (size_t i = 0; i < MIN(n, offset); i++) {
		mark.column++;
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static int fail_parser(struct ctx *c)
{
	const yaml_parser_t *p = &c->parser;
	const char *problem = p->problem ? p->problem : "unknown problem parsing YAML content";
	yaml_mark_t mark = p->problem_mark;
	int r;

	if (p->error == YAML_READER_ERROR)
		mark = mark_of_offset((const char *)p->input.string.start,
				      (size_t)(p->input.string.end - p->input.string.start),
				      p->problem_offset);
	r = fail_mark(c, mark, "failed to parse %s: yaml: line %zu: %s", c->file, mark.line + 1,
		      problem);
	/* libyaml(3) keeps what it was doing apart from what went wrong. */
	if (p->context && p->context_mark.line != mark.line)
		(void)err_hint(c->e, "%s that starts at line %zu", p->context,
			       p->context_mark.line + 1);
	return r;
}

/* "services.web[0]", or "" at the top. */
static void path_text(const struct ctx *c, size_t depth, struct buf *out)
{
	for (size_t i = 0; i < depth; i++) {
		if (!c->path[i].key)
			buf_printf(out, "[%zu]", c->path[i].index);
		else
			buf_printf(out, "%s%s", i ? "." : "", c->path[i].key);
	}
}

static int fail_key(struct ctx *c, const struct node *key)
{
	_cleanup_(buf_done) struct buf where = BUF_INIT;
	const char *text = node_scalar_text(c->a, key);

	path_text(c, c->depth - 1, &where);
	return fail_at(c, EINVAL, (size_t)key->line, (size_t)key->col, "non-string key %s%s: %s",
		       where.len ? "in " : "at top level", buf_str(&where), text ? text : "<nil>");
}

/* ---- events ------------------------------------------------------------------- */
static void drop_event(struct ctx *c)
{
	if (c->has_event)
		yaml_event_delete(&c->event);
	c->has_event = false;
}

static int next_event(struct ctx *c)
{
	drop_event(c);
	if (!yaml_parser_parse(&c->parser, &c->event))
		return fail_parser(c);
	c->has_event = true;
	return 0;
}

/* ---- anchors ------------------------------------------------------------------ */
/* *out is NULL when there is no @name. */
static int define_anchor(struct ctx *c, const yaml_char_t *name, struct node *n,
			 struct anchor **out)
{
	*out = NULL;
	if (!name)
		return 0;
	if (++c->n_anchors > YAML_MAX_ANCHORS)
		return fail_at(c, E2BIG, (size_t)n->line, (size_t)n->col,
			       "failed to parse %s: more than %d anchors in one file", c->file,
			       YAML_MAX_ANCHORS);
	*out = arena_alloc(c->a, sizeof(**out));
	(*out)->node = n;
	(*out)->open = true;
	map_put(&c->anchors, (const char *)name, *out);
	return 0;
}

static void close_anchor(struct anchor *anchor, size_t unfolded)
{
	if (!anchor)
		return;
	anchor->unfolded = unfolded;
	anchor->open = false;
}

static int read_alias(struct ctx *c, struct node **out, size_t *unfolded)
{
	const char *name = (const char *)c->event.data.alias.anchor;
	const struct anchor *anchor = map_get(&c->anchors, name);
	yaml_mark_t mark = c->event.start_mark;

	if (!anchor)
		return fail_mark(c, mark,
				 "failed to parse %s: yaml: unknown anchor '%s' referenced",
				 c->file, name);
	if (anchor->open)
		return fail_mark(c, mark,
				 "failed to parse %s: yaml: anchor '%s' value contains itself",
				 c->file, name);
	c->n_aliased += anchor->unfolded;
	if (c->n_aliased > YAML_MAX_ALIAS)
		return fail_at(c, E2BIG, mark.line + 1, mark.column + 1,
			       "failed to parse %s: yaml: document contains excessive aliasing",
			       c->file);
	*out = anchor->node;
	*unfolded = anchor->unfolded;
	return 0;
}

/* ---- nodes ---------------------------------------------------------------------- */
static int new_node(struct ctx *c, enum node_kind kind, struct node **out)
{
	yaml_mark_t mark = c->event.start_mark;
	struct node *n;

	if (++c->n_nodes > YAML_MAX_NODES)
		return fail_at(c, E2BIG, mark.line + 1, mark.column + 1,
			       "failed to parse %s: more than %d values in one file", c->file,
			       YAML_MAX_NODES);
	n = node_null(c->a);
	n->kind = kind;
	n->file = c->file;
	n->line = (int)mark.line + 1;
	n->col = (int)mark.column + 1;
	*out = n;
	return 0;
}

static enum node_tag tag_of(const yaml_char_t *tag)
{
	if (!tag || tag[0] != '!')
		return TAG_NONE;
	if (streq((const char *)tag, "!reset"))
		return TAG_RESET;
	return streq((const char *)tag, "!override") ? TAG_OVERRIDE : TAG_NONE;
}

static int type_scalar(struct ctx *c, struct node *n, const char *value, size_t length)
{
	const char *tag = (const char *)c->event.data.scalar.tag;
	bool plain = c->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	yaml_mark_t mark = c->event.start_mark;
	struct err e = ERR_INIT;

	/* Strings end in NUL here, as arguments and environment do in the kernel. */
	if (strlen(value) != length)
		return fail_mark(c, mark, "failed to parse %s: value contains a NUL byte", c->file);
	n->tag = tag_of(c->event.data.scalar.tag);
	n->quoted = !plain;
	if (n->tag != TAG_NONE || !tag || streq(tag, "!")) {
		if (plain)
			scalar_resolve(c->a, n, value, length);
		else
			scalar_string(c->a, n, value, length);
		return 0;
	}
	if (scalar_resolve_tagged(c->a, n, tag, value, length, &e) < 0)
		return fail_mark(c, mark, "failed to parse %s: yaml: %s", c->file, e.msg);
	return 0;
}

static int read_scalar(struct ctx *c, struct node **out, size_t *unfolded)
{
	struct anchor *anchor;
	struct node *n;
	int r = new_node(c, NODE_STRING, &n);

	if (r == 0)
		r = define_anchor(c, c->event.data.scalar.anchor, n, &anchor);
	if (r < 0)
		return r;
	close_anchor(anchor, 1);
	r = type_scalar(c, n, (const char *)c->event.data.scalar.value,
			c->event.data.scalar.length);
	*out = n;
	*unfolded = 1;
	return r;
}

static int enter(struct ctx *c, const struct node *n)
{
	if (c->depth == YAML_MAX_DEPTH)
		return fail_at(c, E2BIG, (size_t)n->line, (size_t)n->col,
			       "failed to parse %s: nested deeper than %d levels", c->file,
			       YAML_MAX_DEPTH);
	c->path[c->depth++] = (struct step){ 0 };
	return 0;
}

/* The node of a sequence or mapping, with its tag and anchor, entered. */
static int begin_collection(struct ctx *c, enum node_kind kind, const yaml_char_t *tag,
			    const yaml_char_t *name, struct node **n, struct anchor **anchor)
{
	int r = new_node(c, kind, n);

	if (r == 0)
		r = enter(c, *n);
	if (r < 0)
		return r;
	(*n)->tag = tag_of(tag);
	return define_anchor(c, name, *n, anchor);
}

static int read_seq(struct ctx *c, struct node **out, size_t *unfolded)
{
	struct anchor *anchor;
	struct node *n, *item;
	size_t sum = 1, below;
	int r;

	r = begin_collection(c, NODE_SEQ, c->event.data.sequence_start.tag,
			     c->event.data.sequence_start.anchor, &n, &anchor);
	if (r < 0)
		return r;
	for (;;) {
		r = next_event(c);
		if (r < 0)
			return r;
		if (c->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		c->path[c->depth - 1].index = n->n;
		r = read_node(c, &item, &below);
		if (r < 0)
			return r;
		node_push(c->a, n, item);
		sum += below;
	}
	c->depth--;
	close_anchor(anchor, sum);
	*out = n;
	*unfolded = sum;
	return 0;
}

/* ---- mappings --------------------------------------------------------------------- */
struct merge {
	struct node *value; /* of `<<`; NULL when there is none */
	int line, col;      /* of the `<<` */
};

/* `<<` as a plain scalar merges, "<<" in quotes is a key. */
static bool at_merge_key(const struct ctx *c)
{
	const char *tag;

	if (c->event.type != YAML_SCALAR_EVENT ||
	    !streq((const char *)c->event.data.scalar.value, "<<"))
		return false;
	tag = (const char *)c->event.data.scalar.tag;
	if (tag && !streq(tag, "!"))
		return streq(tag, "tag:yaml.org,2002:merge");
	return c->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static int read_key(struct ctx *c, struct node_entry *entry)
{
	yaml_mark_t mark = c->event.start_mark;
	struct node *key;
	size_t unfolded;
	int r;

	if (c->event.type != YAML_SCALAR_EVENT && c->event.type != YAML_ALIAS_EVENT)
		return fail_mark(
			c, mark, "failed to parse %s: yaml: invalid map key: a %s", c->file,
			c->event.type == YAML_MAPPING_START_EVENT ? "mapping" : "sequence");
	r = read_node(c, &key, &unfolded);
	if (r < 0)
		return r;
	if (key->kind == NODE_SEQ || key->kind == NODE_MAP)
		return fail_mark(c, mark, "failed to parse %s: yaml: invalid map key: a %s",
				 c->file, node_kind_name(key->kind));
	if (key->kind != NODE_STRING)
		return fail_key(c, key);
	entry->key = arena_intern(c->a, key->text);
	entry->line = (int)mark.line + 1;
	entry->col = (int)mark.column + 1;
	return 0;
}

static int fail_duplicate(struct ctx *c, const char *key, int line, int col, int first_line,
			  int first_col)
{
	int r = fail_at(
		c, EINVAL, (size_t)line, (size_t)col,
		"failed to parse %s: line %d: mapping key \"%s\" already defined at line %d",
		c->file, line, key, first_line);

	(void)err_hint(c->e, "the first one is at %d:%d; keep one of them", first_line, first_col);
	return r;
}

/* Add the entries of a merged mapping that are not there yet. */
static int merge_map(struct ctx *c, struct node *into, const struct node *from,
		     const struct merge *merge)
{
	if (from->kind != NODE_MAP)
		return fail_at(
			c, EINVAL, (size_t)merge->line, (size_t)merge->col,
			"failed to parse %s: yaml: map merge requires map or sequence of maps as "
			"the value",
			c->file);
	for (size_t i = 0; i < from->n; i++)
		if (!node_entry_get(into, from->entries[i].key))
			node_put_at(c->a, into, from->entries[i].key, from->entries[i].value,
				    &from->entries[i]);
	return 0;
}

static int apply_merge(struct ctx *c, struct node *map, const struct merge *merge)
{
	const struct node *value = merge->value;

	if (value->kind != NODE_SEQ)
		return merge_map(c, map, value, merge);
	for (size_t i = 0; i < value->n; i++) {
		int r = merge_map(c, map, value->items[i], merge);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_merge(struct ctx *c, struct merge *merge, size_t *below)
{
	yaml_mark_t mark = c->event.start_mark;
	int r;

	if (merge->value)
		return fail_duplicate(c, "<<", (int)mark.line + 1, (int)mark.column + 1,
				      merge->line, merge->col);
	merge->line = (int)mark.line + 1;
	merge->col = (int)mark.column + 1;
	c->path[c->depth - 1].key = "<<";
	r = next_event(c);
	if (r < 0)
		return r;
	return read_node(c, &merge->value, below);
}

static int read_entry(struct ctx *c, struct node *map, size_t *below)
{
	struct node_entry entry = { 0 };
	const struct node_entry *first;
	int r;

	r = read_key(c, &entry);
	if (r < 0)
		return r;
	first = node_entry_get(map, entry.key);
	if (first)
		return fail_duplicate(c, entry.key, entry.line, entry.col, first->line, first->col);
	c->path[c->depth - 1].key = entry.key;
	r = next_event(c);
	if (r < 0)
		return r;
	r = read_node(c, &entry.value, below);
	if (r < 0)
		return r;
	node_put_at(c->a, map, entry.key, entry.value, &entry);
	return 0;
}

static int read_map(struct ctx *c, struct node **out, size_t *unfolded)
{
	struct merge merge = { 0 };
	struct anchor *anchor;
	size_t sum = 1, below;
	struct node *n;
	int r;

	r = begin_collection(c, NODE_MAP, c->event.data.mapping_start.tag,
			     c->event.data.mapping_start.anchor, &n, &anchor);
	if (r < 0)
		return r;
	for (;;) {
		r = next_event(c);
		if (r < 0)
			return r;
		if (c->event.type == YAML_MAPPING_END_EVENT)
			break;
		r = at_merge_key(c) ? read_merge(c, &merge, &below) : read_entry(c, n, &below);
		if (r < 0)
			return r;
		sum += below;
	}
	if (merge.value) {
		r = apply_merge(c, n, &merge);
		if (r < 0)
			return r;
	}
	c->depth--;
	close_anchor(anchor, sum);
	*out = n;
	*unfolded = sum;
	return 0;
}

static int read_node(struct ctx *c, struct node **out, size_t *unfolded)
{
	switch (c->event.type) {
	case YAML_ALIAS_EVENT:
		return read_alias(c, out, unfolded);
	case YAML_SCALAR_EVENT:
		return read_scalar(c, out, unfolded);
	case YAML_SEQUENCE_START_EVENT:
		return read_seq(c, out, unfolded);
	case YAML_MAPPING_START_EVENT:
		return read_map(c, out, unfolded);
	default: /* libyaml's grammar lets nothing else stand here */
		return fail_mark(c, c->event.start_mark,
				 "failed to parse %s: yaml: unexpected event", c->file);
	}
}

/* ---- documents -------------------------------------------------------------------- */
static int read_document(struct ctx *c, struct node **out)
{
	size_t unfolded;
	int r;

	map_done(&c->anchors); /* anchors end with their document */
	r = next_event(c);
	if (r < 0)
		return r;
	r = read_node(c, out, &unfolded);
	if (r < 0)
		return r;
	return next_event(c); /* document end */
}

static int fail_top(struct ctx *c, const struct node *root)
{
	return fail_at(c, EINVAL, (size_t)root->line, (size_t)root->col,
		       "top-level object must be a mapping");
}

static int read_stream(struct ctx *c, struct yaml_docs *out)
{
	struct node *list = node_seq(c->a), *null_root = NULL, *root;
	int r;

	for (;;) {
		r = next_event(c);
		if (r < 0)
			return r;
		if (c->event.type == YAML_STREAM_END_EVENT)
			break;
		if (c->event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		r = read_document(c, &root);
		if (r < 0)
			return r;
		if (root->kind == NODE_NULL) {
			null_root = root;
			continue;
		}
		if (root->kind != NODE_MAP)
			return fail_top(c, root);
		node_push(c->a, list, root);
	}
	if (!list->n && null_root)
		return fail_top(c, null_root);
	if (!list->n)
		return fail_at(c, EINVAL, 1, 1, "empty compose file");
	out->roots = list->items;
	out->n = list->n;
	return 0;
}

int yaml_load(struct arena *a, const char *file, const char *text, size_t n, struct yaml_docs *out,
	      struct err *e)
{
	struct err unwanted = ERR_INIT;
	struct ctx c = { .a = a, .e = e ? e : &unwanted, .anchors = MAP_INIT };
	int r;

	c.file = arena_intern(a, file);
	if (n > YAML_MAX_SIZE)
		return fail_at(&c, E2BIG, 1, 1, "failed to parse %s: larger than %u MiB", c.file,
			       YAML_MAX_SIZE >> 20);
	if (!yaml_parser_initialize(&c.parser))
		return err_set(e, ENOMEM, "failed to parse %s: out of memory", c.file);
	yaml_parser_set_input_string(&c.parser, (const unsigned char *)text, n);
	r = read_stream(&c, out);
	drop_event(&c);
	yaml_parser_delete(&c.parser);
	map_done(&c.anchors);
	return r;
}

struct node *yaml_scalar(struct arena *a, const char *text)
{
	struct node *n = node_null(a);

	scalar_resolve(a, n, text, strlen(text));
	return n;
}

bool yaml_plain_is_string(const char *text)
{
	return scalar_is_safe(text);
}
