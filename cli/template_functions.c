/* cli/template_functions.c: what can be called in a template, one small function each. */
#include "cli/template_internal.h"

#include <ctype.h>
#include <errno.h>

#include "base/strv.h"

void template_print(json *v, struct buf *out)
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
			template_print(json_at(v, i), out);
		}
		buf_addc(out, ']');
	} else if (json_is_object(v)) {
		buf_adds(out, "map[");
		for (; json_each(v, &it); first = false) {
			buf_printf(out, "%s%s:", first ? "" : " ", it.key);
			template_print(it.value, out);
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
	template_print(v, &b);
	return json_new_str(buf_str(&b));
}

/* ---- functions: args are borrowed, the result is owned ------------------------------ */

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
	return json_new_int(json_is_object(v) ? (int64_t)json_count(v) : (int64_t)json_len(v));
}

static json *fn_join(struct call *c)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const char *sep = json_str(c->args[1]);

	for (size_t i = 0; i < json_len(c->args[0]); i++) {
		if (i)
			buf_adds(&b, sep ? sep : "");
		template_print(json_at(c->args[0], i), &b);
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
		template_print(c->args[i], b);
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
		template_print(v, &text);
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

int template_call(struct call *c, const char *name, json **out)
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
