/* cli/template_run.c: a template's tree, run over JSON.
 *
 * The value of each command of a pipeline becomes the last argument of the
 * next, as in Go.  A value is a JSON value with one reference; a missing one is
 * NULL and prints as "<no value>".
 */
#include "cli/template_internal.h"

#include <errno.h>

#include "base/strv.h"

static int run_pipeline(struct run *r, const struct pipeline *p, json *dot, json **out);

static int take_fields(struct run *r, json *v, char *const *fields, json **out)
{
	STRV_FOREACH (f, fields) {
		json *next = json_get(v, *f);

		if (!next && (v == r->root || !json_is_object(v)) && !json_has(v, *f))
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

			ret = template_call(&inner, o->name, &c.args[c.n]);
		} else {
			ret = run_operand(r, o, dot, &c.args[c.n]);
		}
		c.n += ret == 0;
	}
	if (ret == 0 && piped)
		c.args[c.n++] = json_ref(last);
	if (ret == 0)
		ret = template_call(&c, s->items[0].name, out);
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
		template_print(v, out);
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
