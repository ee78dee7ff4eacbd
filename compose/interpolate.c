/* compose/interpolate.c: see interpolate.h.
 *
 * One scanner cuts a template into pieces (text, a dollar, a reference) and
 * hands references over with name, operator and argument apart; expanding and
 * listing variables are two loops over it.  Arguments are slices of the
 * template and are scanned only when they are needed, which makes unused
 * branches silent.  The end of "${…}" is its balancing brace; where braces do
 * not balance ("${V:-{}") it is the last one on the line, as in Docker Compose.
 *
 * A tree is rebuilt only along the paths that change; everything else is shared
 * with the tree that came in.
 */
#include "compose/interpolate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/map.h"

#define BAD_TEMPLATE "Invalid template: "

/* ---- the scanner ------------------------------------------------------------------ */
enum piece_kind { PIECE_TEXT, PIECE_DOLLAR, PIECE_REF, PIECE_BAD };

struct piece {
	enum piece_kind kind;
	const char *text; /* PIECE_TEXT; of PIECE_REF the name */
	size_t n;
	char op;    /* PIECE_REF: '-', '?', '+' or 0 */
	bool colon; /* ":-" rather than "-": empty counts as unset */
	const char *arg;
	size_t n_arg;
};

static bool is_name_start(char c)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t name_length(const char *s, const char *end)
{
	const char *p = s;

	if (p == end || !is_name_start(*p))
		return 0;
	while (p < end && (is_name_start(*p) || (*p >= '0' && *p <= '9')))
		p++;
	return (size_t)(p - s);
}

/* The brace that closes the one before @s, or NULL. */
static const char *closing_brace(const char *s, const char *end)
{
	const char *last = NULL;
	size_t open = 1;

	for (; s < end && *s != '\n'; s++) {
		if (*s == '{')
			open++;
		if (*s != '}')
			continue;
		last = s;
		if (!--open)
			return s;
	}
	return last;
}

/* @s is behind "${".  Returns where scanning goes on. */
static const char *scan_braced(const char *s, const char *end, struct piece *p)
{
	const char *close;

	p->kind = PIECE_BAD;
	p->text = s;
	p->n = name_length(s, end);
	s += p->n;
	if (!p->n || s == end)
		return end;
	if (*s == '}') {
		p->kind = PIECE_REF;
		return s + 1;
	}
	p->colon = *s == ':';
	s += p->colon;
	if (s == end || (*s != '-' && *s != '?' && *s != '+'))
		return end;
	p->op = *s++;
	close = closing_brace(s, end);
	if (!close)
		return end;
	p->kind = PIECE_REF;
	p->arg = s;
	p->n_arg = (size_t)(close - s);
	return close + 1;
}

static const char *next_piece(const char *s, const char *end, struct piece *p)
{
	const char *dollar = memchr(s, '$', (size_t)(end - s));

	*p = (struct piece){ .kind = PIECE_TEXT, .text = s };
	if (dollar != s) {
		p->n = (size_t)((dollar ? dollar : end) - s);
		return s + p->n;
	}
	s++;
	if (s < end && *s == '$') {
		p->kind = PIECE_DOLLAR;
		return s + 1;
	}
	if (s < end && *s == '{')
		return scan_braced(s + 1, end, p);
	p->n = name_length(s, end);
	if (p->n) {
		p->kind = PIECE_REF;
		p->text = s;
		return s + p->n;
	}
	p->n = 1; /* a dollar before anything else is just that */
	return s;
}

/* ---- expanding ---------------------------------------------------------------------- */
struct expansion {
	struct arena *a;
	const struct interp_vars *vars;
	const struct node *at;
	struct buf *origins; /* NULL: nobody asks */
	int depth;
	struct err *e;
};

static int expand(struct expansion *x, const char *s, size_t n, struct buf *out);

static int fail_template(struct expansion *x, const char *s, size_t n)
{
	return err_set(x->e, EINVAL, BAD_TEMPLATE "\"%.*s\"", (int)MIN(n, (size_t)ERR_MSG_MAX), s);
}

bool interpolate_is_template_error(const struct err *e)
{
	return skip_prefix(e->msg, BAD_TEMPLATE) != NULL;
}

static const char *ref_name(struct arena *a, const struct piece *p)
{
	char buf[256];

	if (p->n >= sizeof(buf))
		return arena_strndup(a, p->text, p->n);
	memcpy(buf, p->text, p->n);
	buf[p->n] = '\0';
	return arena_intern(a, buf);
}

static void note_origin(struct expansion *x, const char *name, const char *from)
{
	if (!x->origins)
		return;
	buf_printf(x->origins, "%s${%s} %s%s", x->origins->len ? ", " : "", name,
		   streq(from, "default") ? "" : "from ", from);
}

static int fail_required(struct expansion *x, const char *name, const struct piece *p)
{
	_cleanup_(buf_done) struct buf reason = BUF_INIT;
	int r = expand(x, p->arg, p->n_arg, &reason);

	if (r < 0)
		return r;
	return err_set(x->e, EINVAL, "required variable %s is missing a value%s%s", name,
		       reason.len ? ": " : "", buf_str(&reason));
}

static int expand_ref(struct expansion *x, const struct piece *p, struct buf *out)
{
	const char *name = ref_name(x->a, p);
	struct interp_value v = { 0 };
	bool present;

	if (x->vars && x->vars->lookup)
		v = x->vars->lookup(name, x->vars->data);
	present = v.value && !(p->colon && !*v.value);

	if (p->op == '?' && !present)
		return fail_required(x, name, p);
	if ((p->op == '-' && !present) || (p->op == '+' && present)) {
		note_origin(x, name,
			    p->op == '-' ? "default"
			    : v.origin   ? v.origin
					 : "environment");
		return expand(x, p->arg, p->n_arg, out);
	}
	if (v.value) {
		note_origin(x, name, v.origin ? v.origin : "environment");
		buf_adds(out, v.value);
		return 0;
	}
	if (!p->op && x->vars && x->vars->warn)
		x->vars->warn(name, x->at, x->vars->data);
	return 0;
}

static int expand(struct expansion *x, const char *s, size_t n, struct buf *out)
{
	const char *start = s, *end = s + n;
	int r = 0;

	if (++x->depth > INTERP_MAX_DEPTH)
		return err_set(x->e, E2BIG, "variables nested deeper than %d levels",
			       INTERP_MAX_DEPTH);
	while (s < end && r >= 0) {
		struct piece p;

		s = next_piece(s, end, &p);
		switch (p.kind) {
		case PIECE_TEXT:
			buf_add(out, p.text, p.n);
			break;
		case PIECE_DOLLAR:
			buf_addc(out, '$');
			break;
		case PIECE_REF:
			r = expand_ref(x, &p, out);
			break;
		case PIECE_BAD:
			r = fail_template(x, start, n);
			break;
		}
		if (r >= 0 && out->len > INTERP_MAX_SIZE)
			r = err_set(x->e, E2BIG, "value grows beyond %u MiB",
				    INTERP_MAX_SIZE >> 20);
	}
	x->depth--;
	return r;
}

static int expand_text(struct expansion *x, const char *template, const char **out,
		       const char **origin)
{
	_cleanup_(buf_done) struct buf origins = BUF_INIT;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r;

	if (origin) {
		*origin = NULL;
		x->origins = &origins;
	}
	*out = template;
	if (!strchr(template, '$'))
		return 0;
	r = expand(x, template, strlen(template), &text);
	if (r < 0)
		return r;
	if (!streq(buf_str(&text), template))
		*out = arena_strdup(x->a, buf_str(&text));
	if (origins.len)
		*origin = arena_strdup(x->a, buf_str(&origins));
	return 0;
}

int interpolate_text(struct arena *a, const char *template, const struct interp_vars *vars,
		     const char **out, const char **origin, struct err *e)
{
	struct expansion x = { .a = a, .vars = vars, .e = e };

	return expand_text(&x, template, out, origin);
}

/* ---- trees -------------------------------------------------------------------------- */
struct walk {
	struct arena *a;
	const struct interp_vars *vars;
	interp_cast_fn cast;
	void *cast_data;
	const char **parts; /* the path down to the value at hand */
	size_t n_parts, cap;
	size_t total; /* bytes of replaced values */
	struct err *e;
};

static int walk_node(struct walk *w, const struct node *in, struct node **out);

bool interp_path_matches(const struct interp_path *p, const char *pattern)
{
	for (size_t i = 0; i < p->n; i++) {
		size_t n = strcspn(pattern, ".");
		const char *part = p->parts[i];

		if (!n || (i && !*part))
			return false;
		if (!(n == 1 && *pattern == '*') &&
		    (strlen(part) != n || memcmp(part, pattern, n) != 0))
			return false;
		pattern += n;
		if (*pattern == '.')
			pattern++;
		else if (i + 1 < p->n)
			return false;
	}
	return !*pattern;
}

static char *path_text(const struct walk *w)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < w->n_parts; i++)
		buf_printf(&b, "%s%s", i ? "." : "", w->parts[i]);
	return buf_take(&b);
}

static int fail_value(struct walk *w, const struct node *n, int r, bool cast)
{
	_cleanup_(free_p) char *path = path_text(w);
	_cleanup_(free_p) char *why = NULL;
	size_t length;

	if (!w->e)
		return r;
	if (cast || !interpolate_is_template_error(w->e)) {
		r = err_wrap(w->e, r, "error while interpolating %s%s", path,
			     cast ? ": failed to cast to expected type" : "");
	} else {
		why = xstrdup(w->e->msg + strlen(BAD_TEMPLATE "\""));
		length = strlen(why);
		if (length && why[length - 1] == '"')
			why[length - 1] = '\0';
		r = err_set(w->e, EINVAL,
			    "invalid interpolation format for %s.\n"
			    "You may need to escape any $ with another $.\n%s",
			    path, why);
	}
	if (n->file)
		(void)err_at(w->e, n->file, n->line, n->col); /* returns the code we have */
	return r;
}

static void push(struct walk *w, const char *part)
{
	if (w->n_parts == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 32;
		w->parts = xreallocarray(w->parts, w->cap, sizeof(*w->parts));
	}
	w->parts[w->n_parts++] = part;
}

static int walk_string(struct walk *w, const struct node *in, struct node **out)
{
	struct expansion x = { .a = w->a, .vars = w->vars, .at = in, .e = w->e };
	const char *text = in->text, *origin = NULL;
	struct interp_path path;
	struct node *n, *cast;
	int r;

	r = strchr(text, '$') ? expand_text(&x, text, &text, &origin) : 0;
	if (r < 0)
		return fail_value(w, in, r, false);
	n = (struct node *)in;
	if (text != in->text || origin) {
		w->total += strlen(text);
		if (w->total > INTERP_MAX_TOTAL) {
			r = err_set(w->e, E2BIG, "values grow beyond %u MiB",
				    INTERP_MAX_TOTAL >> 20);
			return fail_value(w, in, r, false);
		}
		n = arena_alloc(w->a, sizeof(*n));
		*n = *in;
		n->text = text;
		n->origin = origin ? origin : in->origin;
	}
	*out = n;
	if (!w->cast)
		return 0;
	path = (struct interp_path){ .parts = w->parts, .n = w->n_parts };
	cast = n;
	r = w->cast(w->a, &path, n, &cast, w->cast_data, w->e);
	if (r < 0)
		return fail_value(w, in, r, true);
	if (cast != n) {
		node_at(cast, in);
		cast->tag = in->tag;
		cast->origin = n->origin;
	}
	*out = cast;
	return 0;
}

static int walk_seq(struct walk *w, const struct node *in, struct node **out)
{
	struct node *copy = NULL, *item;
	int r = 0;

	push(w, "[]");
	for (size_t i = 0; i < in->n && r >= 0; i++) {
		r = walk_node(w, in->items[i], &item);
		if (r < 0 || item == in->items[i])
			continue;
		if (!copy) {
			copy = arena_alloc(w->a, sizeof(*copy));
			*copy = *in;
			copy->cap = in->n;
			copy->items = arena_alloc(w->a, in->n * sizeof(*copy->items));
			memcpy(copy->items, in->items, in->n * sizeof(*copy->items));
		}
		copy->items[i] = item;
	}
	w->n_parts--;
	*out = copy ? copy : (struct node *)in;
	return r;
}

static int walk_map(struct walk *w, const struct node *in, struct node **out)
{
	struct node *copy = NULL, *value;
	int r = 0;

	for (size_t i = 0; i < in->n && r >= 0; i++) {
		push(w, in->entries[i].key);
		r = walk_node(w, in->entries[i].value, &value);
		w->n_parts--;
		if (r < 0 || value == in->entries[i].value)
			continue;
		if (!copy) {
			copy = arena_alloc(w->a, sizeof(*copy));
			*copy = *in;
			copy->cap = in->n;
			copy->index = NULL; /* an index has one owner, which may grow it */
			copy->entries = arena_alloc(w->a, in->n * sizeof(*copy->entries));
			memcpy(copy->entries, in->entries, in->n * sizeof(*copy->entries));
		}
		copy->entries[i].value = value;
	}
	*out = copy ? copy : (struct node *)in;
	return r;
}

static int walk_node(struct walk *w, const struct node *in, struct node **out)
{
	*out = (struct node *)in;
	if (in->tag == TAG_RESET) /* its value is thrown away, whatever it says */
		return 0;
	switch (in->kind) {
	case NODE_STRING:
		return walk_string(w, in, out);
	case NODE_SEQ:
		return walk_seq(w, in, out);
	case NODE_MAP:
		return walk_map(w, in, out);
	default:
		return 0;
	}
}

int interpolate_tree(struct arena *a, const struct node *in, const struct interp_path *at,
		     const struct interp_vars *vars, interp_cast_fn cast, void *cast_data,
		     struct node **out, struct err *e)
{
	struct walk w = { .a = a, .vars = vars, .cast = cast, .cast_data = cast_data, .e = e };
	int r;

	for (size_t i = 0; at && i < at->n; i++)
		push(&w, at->parts[i]);
	r = walk_node(&w, in, out);
	free(w.parts);
	return r;
}

/* ---- config --variables ---------------------------------------------------------------- */
struct uses {
	struct arena *a;
	struct map by_name; /* → struct interp_use in the arena */
};

/* Mentions of one variable are put together; what the first ones say stays. */
static void note_use(struct uses *u, const struct piece *p)
{
	const char *name = ref_name(u->a, p);
	struct interp_use *use = map_get(&u->by_name, name);

	if (!use) {
		use = arena_alloc(u->a, sizeof(*use));
		*use = (struct interp_use){ .name = name, .default_value = "", .alternate = "" };
		map_put(&u->by_name, name, use);
	}
	use->required |= p->op == '?';
	if (p->op == '-' && !*use->default_value)
		use->default_value = arena_strndup(u->a, p->arg, p->n_arg);
	if (p->op == '+' && !*use->alternate)
		use->alternate = arena_strndup(u->a, p->arg, p->n_arg);
}

static void text_uses(struct uses *u, const char *s, size_t n, int depth)
{
	const char *end = s + n;

	while (s < end) {
		struct piece p;

		s = next_piece(s, end, &p);
		if (p.kind != PIECE_REF)
			continue;
		note_use(u, &p);
		if (p.n_arg && p.op != '?' && depth < INTERP_MAX_DEPTH)
			text_uses(u, p.arg, p.n_arg, depth + 1);
	}
}

static void node_uses(struct uses *u, const struct node *n)
{
	if (n->kind == NODE_STRING && strchr(n->text, '$'))
		text_uses(u, n->text, strlen(n->text), 0);
	for (size_t i = 0; n->kind == NODE_SEQ && i < n->n; i++)
		node_uses(u, n->items[i]);
	for (size_t i = 0; n->kind == NODE_MAP && i < n->n; i++)
		node_uses(u, n->entries[i].value);
}

static int by_name(const void *a, const void *b)
{
	const struct interp_use *x = a, *y = b;

	return strcmp(x->name, y->name);
}

void interpolate_uses(struct arena *a, const struct node *in, struct interp_use **out, size_t *n)
{
	struct uses u = { .a = a, .by_name = MAP_INIT };
	size_t i = 0;

	node_uses(&u, in);
	*n = map_len(&u.by_name);
	*out = arena_alloc(a, (*n + 1) * sizeof(**out));
	MAP_FOREACH (entry, &u.by_name)
		(*out)[i++] = *(struct interp_use *)entry->value;
	qsort(*out, *n, sizeof(**out), by_name);
	map_done(&u.by_name);
}
