/* cli/template.c: templates as a tree, run over JSON.
 *
 * The parser reads text and {{actions}} into a list of nodes; if, range and
 * with hold lists of their own.  A pipeline is a list of commands, a command a
 * list of operands whose first may be a function; the value of each command
 * becomes the last argument of the next, as in Go.  A value is a JSON value
 * with one reference; a missing one is NULL and prints as "<no value>".
 */
#include "cli/template.h"

#include <ctype.h>
#include <errno.h>

#include "base/strv.h"

enum operand_kind { OPERAND_DOT, OPERAND_VALUE, OPERAND_FUNCTION, OPERAND_PIPE };

struct pipeline;

struct operand {
	enum operand_kind kind;
	json *value;           /* OPERAND_VALUE */
	char *name;            /* OPERAND_FUNCTION */
	struct pipeline *pipe; /* OPERAND_PIPE */
	char **fields;         /* .A.B behind a dot or a parenthesis */
};

struct stage {
	struct operand *items;
	size_t n;
};

struct pipeline {
	struct stage *items;
	size_t n;
};

enum node_type { NODE_TEXT, NODE_PRINT, NODE_IF, NODE_RANGE, NODE_WITH };

struct tnode {
	enum node_type type;
	char *text;
	struct pipeline *pipe;
	struct tnode *body, *otherwise; /* lists */
	struct tnode *next;
};

struct template
{
	struct tnode *nodes;
};

/* ---- freeing ------------------------------------------------------------------ */
static void pipeline_free(struct pipeline *p)
{
	for (size_t i = 0; p && i < p->n; i++) {
		for (size_t j = 0; j < p->items[i].n; j++) {
			struct operand *o = &p->items[i].items[j];

			json_unref(o->value);
			free(o->name);
			pipeline_free(o->pipe);
			strv_free(o->fields);
		}
		free(p->items[i].items);
	}
	if (p)
		free(p->items);
	free(p);
}

static void nodes_free(struct tnode *n)
{
	while (n) {
		struct tnode *next = n->next;

		free(n->text);
		pipeline_free(n->pipe);
		nodes_free(n->body);
		nodes_free(n->otherwise);
		free(n);
		n = next;
	}
}

void template_free(struct template *t)
{
	if (!t)
		return;
	nodes_free(t->nodes);
	free(t);
}

/* ---- parsing -------------------------------------------------------------------- */
struct parser {
	const char *at; /* in the whole text, or inside an action */
	int depth;
	struct err *e;
};

static int parse_error(struct parser *p, const char *what)
{
	return err_set(p->e, EINVAL, "template parsing error: %s", what);
}

static void skip_space(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* At the end of an action: "}}" or "-}}". */
static bool at_end(struct parser *p)
{
	skip_space(p);
	return strncmp(p->at, "}}", 2) == 0 || strncmp(p->at, "-}}", 3) == 0;
}

static int parse_fields(struct parser *p, struct operand *o)
{
	while (*p->at == '.' && is_word_char(p->at[1])) {
		const char *start = ++p->at;

		while (is_word_char(*p->at))
			p->at++;
		strv_add_take(&o->fields, xstrndup(start, (size_t)(p->at - start)));
	}
	return 0;
}

static int parse_string(struct parser *p, struct operand *o)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	char quote = *p->at++;

	for (; *p->at && *p->at != quote; p->at++) {
		if (quote == '"' && *p->at == '\\' && p->at[1]) {
			p->at++;
			buf_addc(&text, *p->at == 'n' ? '\n' : *p->at == 't' ? '\t' : *p->at);
		} else {
			buf_addc(&text, *p->at);
		}
	}
	if (*p->at != quote)
		return parse_error(p, "unterminated quoted string");
	p->at++;
	o->kind = OPERAND_VALUE;
	o->value = json_new_str(buf_str(&text));
	return 0;
}

static int parse_word(struct parser *p, struct operand *o)
{
	const char *start = p->at;
	_cleanup_(free_p) char *word = NULL;
	int64_t number;

	p->at += *p->at == '-';
	while (is_word_char(*p->at))
		p->at++;
	word = xstrndup(start, (size_t)(p->at - start));
	o->kind = OPERAND_VALUE;
	if (parse_i64(word, &number)) {
		o->value = json_new_int(number);
	} else if (streq(word, "true") || streq(word, "false")) {
		o->value = json_new_bool(streq(word, "true"));
	} else if (isalpha((unsigned char)*word)) {
		o->kind = OPERAND_FUNCTION;
		o->name = TAKE_PTR(word);
	} else {
		return err_set(p->e, EINVAL, "template parsing error: unexpected \"%.10s\"", start);
	}
	return 0;
}

static int parse_pipeline(struct parser *p, struct pipeline **out);

static int parse_operand(struct parser *p, struct operand *o)
{
	int r;

	if (*p->at == '"' || *p->at == '`')
		return parse_string(p, o);
	if (*p->at == '(') {
		p->at++;
		r = parse_pipeline(p, &o->pipe);
		if (r < 0)
			return r;
		if (*p->at != ')')
			return parse_error(p, "unclosed left paren");
		p->at++;
		o->kind = OPERAND_PIPE;
		return parse_fields(p, o);
	}
	if (*p->at == '.') {
		o->kind = OPERAND_DOT;
		if (!is_word_char(p->at[1]))
			p->at++;
		return parse_fields(p, o);
	}
	return parse_word(p, o);
}

static int parse_stage(struct parser *p, struct pipeline *out)
{
	struct stage *s;

	out->items = xreallocarray(out->items, out->n + 1, sizeof(*out->items));
	s = &out->items[out->n++];
	*s = (struct stage){ 0 };
	while (!at_end(p) && *p->at && *p->at != '|' && *p->at != ')') {
		int r;

		s->items = xreallocarray(s->items, s->n + 1, sizeof(*s->items));
		s->items[s->n] = (struct operand){ 0 };
		r = parse_operand(p, &s->items[s->n++]);
		if (r < 0)
			return r;
	}
	return s->n ? 0 : parse_error(p, "missing value for command");
}

static int parse_pipeline(struct parser *p, struct pipeline **out)
{
	int r;

	if (++p->depth > TEMPLATE_MAX_DEPTH)
		return parse_error(p, "nested too deeply");
	*out = new0(struct pipeline);
	for (;;) {
		r = parse_stage(p, *out);
		if (r < 0)
			return r;
		if (*p->at != '|')
			break;
		p->at++;
	}
	p->depth--;
	return 0;
}

/* Past "}}"; a "-" before it eats the white space behind. */
static int close_action(struct parser *p)
{
	if (!at_end(p))
		return parse_error(p, "unclosed action");
	if (*p->at == '-') {
		p->at += 3;
		skip_space(p);
	} else {
		p->at += 2;
	}
	return 0;
}

static bool take_keyword(struct parser *p, const char *word)
{
	const char *after = skip_prefix(p->at, word);

	if (!after || is_word_char(*after))
		return false;
	p->at = after;
	skip_space(p);
	return true;
}

enum list_end { END_OF_TEXT, END_WORD, END_ELSE };

static int parse_list(struct parser *p, struct tnode **out, enum list_end *end);

/* if, range, with: pipeline, body, perhaps else.  The keyword is taken. */
static int parse_block(struct parser *p, struct tnode *n)
{
	enum list_end end;
	int r = parse_pipeline(p, &n->pipe);

	if (r < 0 || (r = close_action(p)) < 0 || (r = parse_list(p, &n->body, &end)) < 0)
		return r;
	if (end == END_ELSE) {
		if (take_keyword(p, "if")) { /* else if: an if alone in the else branch */
			n->otherwise = new0(struct tnode);
			n->otherwise->type = NODE_IF;
			return parse_block(p, n->otherwise);
		}
		r = close_action(p);
		if (r < 0 || (r = parse_list(p, &n->otherwise, &end)) < 0)
			return r;
	}
	if (end != END_WORD)
		return parse_error(p, "unexpected EOF, expected {{end}}");
	return close_action(p);
}

static int parse_action(struct parser *p, struct tnode *n)
{
	int r;

	n->type = NODE_PRINT;
	if (take_keyword(p, "if"))
		n->type = NODE_IF;
	else if (take_keyword(p, "range"))
		n->type = NODE_RANGE;
	else if (take_keyword(p, "with"))
		n->type = NODE_WITH;
	if (n->type != NODE_PRINT)
		return parse_block(p, n);
	r = parse_pipeline(p, &n->pipe);
	return r < 0 ? r : close_action(p);
}

static struct tnode *add_node(struct tnode ***tail)
{
	struct tnode *n = new0(struct tnode);

	**tail = n;
	*tail = &n->next;
	return n;
}

/* Text up to the next "{{", unescaped. */
static void add_text(struct parser *p, struct tnode ***tail)
{
	const char *start = p->at, *stop = strstr(start, "{{");
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	if (!stop)
		stop = start + strlen(start);
	p->at = stop;
	if (strncmp(stop, "{{-", 3) == 0 && isspace((unsigned char)stop[3]))
		while (stop > start && isspace((unsigned char)stop[-1]))
			stop--;
	for (; start < stop; start++) {
		bool escape = *start == '\\' && start + 1 < stop &&
			      (start[1] == 't' || start[1] == 'n');

		buf_addc(&text, !escape ? *start : start[1] == 't' ? '\t' : '\n');
		start += escape;
	}
	if (text.len)
		add_node(tail)->text = buf_take(&text);
}

static int skip_comment(struct parser *p)
{
	const char *stop = strstr(p->at, "*/");

	if (!stop)
		return parse_error(p, "unclosed comment");
	p->at = stop + 2;
	return close_action(p);
}

static int parse_list(struct parser *p, struct tnode **out, enum list_end *end)
{
	struct tnode **tail = out;
	int r = 0;

	if (++p->depth > TEMPLATE_MAX_DEPTH)
		return parse_error(p, "nested too deeply");
	*end = END_OF_TEXT;
	for (;;) {
		add_text(p, &tail);
		if (!*p->at)
			break;
		p->at += 2;
		p->at += *p->at == '-' && isspace((unsigned char)p->at[1]);
		skip_space(p);
		if (take_keyword(p, "end"))
			*end = END_WORD;
		else if (take_keyword(p, "else"))
			*end = END_ELSE;
		if (*end != END_OF_TEXT)
			break;
		r = strncmp(p->at, "/*", 2) == 0 ? skip_comment(p)
						 : parse_action(p, add_node(&tail));
		if (r < 0)
			return r;
	}
	p->depth--;
	return 0;
}

int template_parse(const char *text, struct template **out, struct err *e)
{
	_cleanup_(template_freep) struct template *t = new0(struct template);
	struct parser p = { .at = text, .e = e };
	enum list_end end;
	int r = parse_list(&p, &t->nodes, &end);

	if (r < 0)
		return r;
	if (end != END_OF_TEXT)
		return parse_error(&p,
				   end == END_WORD ? "unexpected {{end}}" : "unexpected {{else}}");
	*out = TAKE_PTR(t);
	return 0;
}

/* ---- running ---------------------------------------------------------------------- */
struct run {
	json *root; /* the row itself: its fields must exist */
	bool heading;
	struct err *e;
};

/* As Go's %v prints it. */
static void print_value(json *v, struct buf *out)
{
	struct json_iter it = { 0 };
	bool first = true;

	if (!v) {
		buf_adds(out, "<no value>");
	} else if (json_is_str(v)) {
		buf_adds(out, json_str(v));
	} else if (json_is_array(v)) {
		buf_addc(out, '[');
		for (size_t i = 0; i < json_len(v); i++) {
			if (i)
				buf_addc(out, ' ');
			print_value(json_at(v, i), out);
		}
		buf_addc(out, ']');
	} else if (json_is_object(v)) {
		buf_adds(out, "map[");
		for (; json_each(v, &it); first = false) {
			buf_printf(out, "%s%s:", first ? "" : " ", it.key);
			print_value(it.value, out);
		}
		buf_addc(out, ']');
	} else {
		buf_adds(out, json_text(v));
	}
}

static json *text_of(json *v)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (json_is_str(v))
		return json_ref(v);
	print_value(v, &b);
	return json_new_str(buf_str(&b));
}

static int run_pipeline(struct run *r, const struct pipeline *p, json *dot, json **out);

static int take_fields(struct run *r, json *v, char *const *fields, json **out)
{
	STRV_FOREACH (f, fields) {
		json *next = json_get(v, *f);

		if (!next && (v == r->root || !json_is_object(v)) &&
		    !json_has(v, *f))
			return err_set(r->e, EINVAL,
				       "template: can't evaluate field %s: there is no such field",
				       *f);
		v = next;
	}
	*out = json_ref(v);
	return 0;
}

static int run_operand(struct run *r, const struct operand *o, json *dot, json **out)
{
	_cleanup_(json_unrefp) json *v = NULL;
	int ret;

	switch (o->kind) {
	case OPERAND_DOT:
		return take_fields(r, dot, o->fields, out);
	case OPERAND_PIPE:
		ret = run_pipeline(r, o->pipe, dot, &v);
		return ret < 0 ? ret : take_fields(r, v, o->fields, out);
	default:
		*out = json_ref(o->value);
		return 0;
	}
}

/* ---- functions: args are borrowed, the result is owned ------------------------------ */
struct call {
	json *args[16];
	size_t n;
	struct run *run;
};

static json *fn_json(struct call *c)
{
	return json_new_str(c->args[0] ? json_text(c->args[0]) : "null");
}

static json *map_chars(json *v, int (*fn)(int), bool words_only)
{
	_cleanup_(json_unrefp) json *text = text_of(v);
	_cleanup_(free_p) char *s = xstrdup(json_str(text));

	for (char *p = s; *p; p++)
		if (!words_only || p == s || p[-1] == ' ')
			*p = (char)fn((unsigned char)*p);
	return json_new_str(s);
}

static json *fn_upper(struct call *c)
{
	return map_chars(c->args[0], toupper, false);
}

static json *fn_lower(struct call *c)
{
	return map_chars(c->args[0], tolower, false);
}

static json *fn_title(struct call *c)
{
	return map_chars(c->args[0], toupper, true);
}

/* truncate TEXT N */
static json *fn_truncate(struct call *c)
{
	_cleanup_(json_unrefp) json *text = text_of(c->args[0]);
	const char *s = json_str(text), *p = s;
	_cleanup_(free_p) char *cut = NULL;

	for (int64_t left = json_int(c->args[1]); *p && left > 0; left--)
		do
			p++;
		while ((*p & 0xc0) == 0x80);
	cut = xstrndup(s, (size_t)(p - s));
	return json_new_str(cut);
}

static int pad_width(json *v)
{
	int64_t n = json_int(v);

	return n < 0 ? 0 : n > 200 ? 200 : (int)n;
}

/* pad TEXT LEFT RIGHT: blanks around what is not empty */
static json *fn_pad(struct call *c)
{
	_cleanup_(json_unrefp) json *text = text_of(c->args[0]);
	_cleanup_(free_p) char *padded = NULL;
	int left = pad_width(c->args[1]), right = pad_width(c->args[2]);

	if (!*json_str(text))
		return json_ref(text);
	padded = xasprintf("%*s%s%*s", left, "", json_str(text), right, "");
	return json_new_str(padded);
}

static json *fn_len(struct call *c)
{
	json *v = c->args[0];

	if (json_is_str(v))
		return json_new_int((int64_t)strlen(json_str(v)));
	return json_new_int(json_is_object(v) ? (int64_t)json_count(v)
					      : (int64_t)json_len(v));
}

static json *fn_join(struct call *c)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *sep = json_str(c->args[1]);

	for (size_t i = 0; i < json_len(c->args[0]); i++) {
		if (i)
			buf_adds(&b, sep ? sep : "");
		print_value(json_at(c->args[0], i), &b);
	}
	return json_new_str(buf_str(&b));
}

static json *fn_split(struct call *c)
{
	_cleanup_(json_unrefp) json *text = text_of(c->args[0]);
	const char *s = json_str(text), *sep = json_str(c->args[1]), *hit;
	json *list = json_new_array();

	while (!is_empty(sep) && (hit = strstr(s, sep))) {
		_cleanup_(free_p) char *part = xstrndup(s, (size_t)(hit - s));

		json_push_str(list, part);
		s = hit + strlen(sep);
	}
	json_push_str(list, s);
	return list;
}

static json *fn_index(struct call *c)
{
	json *v = c->args[0];

	for (size_t i = 1; i < c->n; i++) {
		if (json_is_array(v)) {
			int64_t at = json_int(c->args[i]);

			v = at >= 0 && (size_t)at < json_len(v) ? json_at(v, (size_t)at) : NULL;
		} else {
			v = json_str(c->args[i]) ? json_get(v, json_str(c->args[i])) : NULL;
		}
	}
	return json_ref(v);
}

static void print_all(struct call *c, size_t from, const char *sep, struct buf *b)
{
	for (size_t i = from; i < c->n; i++) {
		if (i > from)
			buf_adds(b, sep);
		print_value(c->args[i], b);
	}
}

static json *fn_print(struct call *c)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	print_all(c, 0, "", &b);
	return json_new_str(buf_str(&b));
}

static json *fn_println(struct call *c)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	print_all(c, 0, " ", &b);
	buf_addc(&b, '\n');
	return json_new_str(buf_str(&b));
}

/* One verb of printf: the flags and width are kept, the value is always text. */
static const char *print_verb(const char *verb, json *v, struct buf *b)
{
	size_t n = strspn(verb, "-0123456789.");
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int width = atoi(verb + (*verb == '-')), precision = -1;
	const char *dot = memchr(verb, '.', n);

	if (dot)
		precision = atoi(dot + 1);
	width = MIN(width, 1000) * (*verb == '-' ? -1 : 1);
	if (verb[n] == 'q')
		buf_adds(&text, v ? json_text(v) : "null");
	else
		print_value(v, &text);
	buf_printf(b, "%*.*s", width, precision, buf_str(&text));
	return verb[n] ? verb + n : verb + n - 1;
}

static json *fn_printf(struct call *c)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *s = json_str(c->args[0]);
	size_t next = 1;

	for (; s && *s; s++) {
		if (*s != '%')
			buf_addc(&b, *s);
		else if (s[1] == '%')
			buf_addc(&b, *s++);
		else if (next < c->n)
			s = print_verb(s + 1, c->args[next++], &b);
		else
			buf_adds(&b, "%!(MISSING)");
	}
	return json_new_str(buf_str(&b));
}

static int compare(json *a, json *b)
{
	_cleanup_(json_unrefp) json *x = NULL, *y = NULL;

	if (json_kind(a) == JSON_INT && json_kind(b) == JSON_INT)
		return (json_int(a) > json_int(b)) - (json_int(a) < json_int(b));
	x = text_of(a);
	y = text_of(b);
	return strcmp(json_str(x), json_str(y));
}

static json *fn_eq(struct call *c)
{
	for (size_t i = 1; i < c->n; i++)
		if (compare(c->args[0], c->args[i]) == 0)
			return json_new_bool(true);
	return json_new_bool(false);
}

static json *fn_ne(struct call *c)
{
	return json_new_bool(compare(c->args[0], c->args[1]) != 0);
}

static json *fn_lt(struct call *c)
{
	return json_new_bool(compare(c->args[0], c->args[1]) < 0);
}

static json *fn_le(struct call *c)
{
	return json_new_bool(compare(c->args[0], c->args[1]) <= 0);
}

static json *fn_gt(struct call *c)
{
	return json_new_bool(compare(c->args[0], c->args[1]) > 0);
}

static json *fn_ge(struct call *c)
{
	return json_new_bool(compare(c->args[0], c->args[1]) >= 0);
}

static json *first_with(struct call *c, bool wanted)
{
	for (size_t i = 0; i + 1 < c->n; i++)
		if (json_truth(c->args[i]) == wanted)
			return json_ref(c->args[i]);
	return json_ref(c->args[c->n - 1]);
}

static json *fn_and(struct call *c)
{
	return first_with(c, false);
}

static json *fn_or(struct call *c)
{
	return first_with(c, true);
}

static json *fn_not(struct call *c)
{
	return json_new_bool(!json_truth(c->args[0]));
}

static const struct function {
	const char *name;
	json *(*fn)(struct call *c);
	size_t min_args;
} functions[] = {
	{ "json", fn_json, 1 },     { "upper", fn_upper, 1 }, { "lower", fn_lower, 1 },
	{ "title", fn_title, 1 },   { "pad", fn_pad, 3 },     { "truncate", fn_truncate, 2 },
	{ "len", fn_len, 1 },       { "join", fn_join, 2 },   { "split", fn_split, 2 },
	{ "index", fn_index, 1 },   { "print", fn_print, 0 }, { "println", fn_println, 0 },
	{ "printf", fn_printf, 1 }, { "eq", fn_eq, 2 },       { "ne", fn_ne, 2 },
	{ "lt", fn_lt, 2 },         { "le", fn_le, 2 },       { "gt", fn_gt, 2 },
	{ "ge", fn_ge, 2 },         { "and", fn_and, 1 },     { "or", fn_or, 1 },
	{ "not", fn_not, 1 },
};

static int call_function(struct call *c, const char *name, json **out)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		if (!streq(functions[i].name, name))
			continue;
		if (c->n < functions[i].min_args)
			return err_set(c->run->e, EINVAL,
				       "template: wrong number of args for %s: want %zu, got %zu",
				       name, functions[i].min_args, c->n);
		/* A heading goes through unchanged, whatever is done to its values. */
		*out = c->run->heading && c->n ? json_ref(c->args[0]) : functions[i].fn(c);
		return 0;
	}
	return err_set(c->run->e, EINVAL, "template parsing error: function \"%s\" not defined",
		       name);
}

static int run_stage(struct run *r, const struct stage *s, json *dot, bool piped, json *last,
		     json **out)
{
	struct call c = { .run = r };
	bool function = s->items[0].kind == OPERAND_FUNCTION;
	int ret = 0;

	if (!function && (s->n > 1 || piped))
		return err_set(r->e, EINVAL, "template: can't give argument to non-function");
	if (!function)
		return run_operand(r, &s->items[0], dot, out);
	if (s->n > ARRAY_SIZE(c.args) - 1)
		return err_set(r->e, EINVAL, "template: too many arguments");
	for (size_t i = 1; i < s->n && ret == 0; i++) {
		const struct operand *o = &s->items[i];

		if (o->kind == OPERAND_FUNCTION) {
			struct call inner = { .run = r };

			ret = call_function(&inner, o->name, &c.args[c.n]);
		} else {
			ret = run_operand(r, o, dot, &c.args[c.n]);
		}
		c.n += ret == 0;
	}
	if (ret == 0 && piped)
		c.args[c.n++] = json_ref(last);
	if (ret == 0)
		ret = call_function(&c, s->items[0].name, out);
	for (size_t i = 0; i < c.n; i++)
		json_unref(c.args[i]);
	return ret;
}

static int run_pipeline(struct run *r, const struct pipeline *p, json *dot, json **out)
{
	_cleanup_(json_unrefp) json *value = NULL;

	for (size_t i = 0; i < p->n; i++) {
		json *next = NULL;
		int ret = run_stage(r, &p->items[i], dot, i > 0, value, &next);

		if (ret < 0)
			return ret;
		json_unref(value);
		value = next;
	}
	*out = TAKE_PTR(value);
	return 0;
}

static int run_nodes(struct run *r, const struct tnode *n, json *dot, struct buf *out);

static int run_range(struct run *r, const struct tnode *n, json *dot, json *over, struct buf *out)
{
	struct json_iter it = { 0 };
	int ret = 0;

	if (!json_truth(over))
		return run_nodes(r, n->otherwise, dot, out);
	for (size_t i = 0; i < json_len(over) && ret == 0; i++)
		ret = run_nodes(r, n->body, json_at(over, i), out);
	while (json_is_object(over) && ret == 0 && json_each(over, &it))
		ret = run_nodes(r, n->body, it.value, out);
	return ret;
}

static int run_node(struct run *r, const struct tnode *n, json *dot, struct buf *out)
{
	_cleanup_(json_unrefp) json *v = NULL;
	int ret;

	if (n->type == NODE_TEXT) {
		buf_adds(out, n->text);
		return 0;
	}
	ret = run_pipeline(r, n->pipe, dot, &v);
	if (ret < 0)
		return ret;
	switch (n->type) {
	case NODE_RANGE:
		return run_range(r, n, dot, v, out);
	case NODE_IF:
		return run_nodes(r, json_truth(v) ? n->body : n->otherwise, dot, out);
	case NODE_WITH:
		return json_truth(v) ? run_nodes(r, n->body, v, out)
				: run_nodes(r, n->otherwise, dot, out);
	default:
		print_value(v, out);
		return 0;
	}
}

static int run_nodes(struct run *r, const struct tnode *n, json *dot, struct buf *out)
{
	int ret = 0;

	for (; n && ret == 0; n = n->next)
		ret = run_node(r, n, dot, out);
	return ret;
}

int template_run(const struct template *t, json *data, bool heading, struct buf *out, struct err *e)
{
	struct run r = { .root = data, .heading = heading, .e = e };

	return run_nodes(&r, t->nodes, data, out);
}
