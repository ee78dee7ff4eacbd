/* cli/template.c: a template's text as a tree.
 *
 * The parser reads text and {{actions}} into a list of nodes; if, range and
 * with hold lists of their own.  A pipeline is a list of commands, a command a
 * list of operands whose first may be a function.
 */
#include "cli/template_internal.h"

#include <ctype.h>
#include <errno.h>

#include "base/strv.h"

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
