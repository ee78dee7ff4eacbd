/* cli/options.c: one pass over argv, positionals moved to the front.
 *
 * Words and error texts follow pflag, Docker's flag library, because people
 * search for them and scripts match on them.
 */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>

#include "base/strv.h"
#include "cli/humanize.h"

#define SPEC_FOREACH(s, specs) for (const struct option_spec *s = (specs); s && s->name; s++)

static void *field(const struct option_spec *s, void *values)
{
	return (char *)values + s->offset;
}

/* "-t, --timeout", as errors name a flag. */
static const char *flag_text(const struct option_spec *s, char *buf, size_t n)
{
	if (s->letter)
		snprintf(buf, n, "-%c, --%s", s->letter, s->name);
	else
		snprintf(buf, n, "--%s", s->name);
	return buf;
}

static bool parse_bool(const char *v, bool *out)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (streq(v, yes[i]) || streq(v, no[i])) {
			*out = streq(v, yes[i]);
			return true;
		}
	}
	return false;
}

static int bad_value(const struct option_spec *s, const char *v, const char *why, struct err *e)
{
	char name[80];

	return err_set(e, EINVAL, "invalid argument \"%s\" for \"%s\" flag: %s", v,
		       flag_text(s, name, sizeof(name)), why);
}

static int set_value(const struct option_spec *s, void *values, const char *v, struct err *e)
{
	void *to = field(s, values);
	char why[160];

	switch (s->kind) {
	case OPTION_KIND_BOOL:
		if (parse_bool(v, to))
			return 0;
		snprintf(why, sizeof(why), "strconv.ParseBool: parsing \"%.60s\": invalid syntax",
			 v);
		return bad_value(s, v, why, e);
	case OPTION_KIND_STRING:
		*(const char **)to = v;
		return 0;
	case OPTION_KIND_STRINGS:
		strv_add(to, v);
		return 0;
	case OPTION_KIND_INT:
		if (parse_i64(v, to))
			return 0;
		snprintf(why, sizeof(why), "strconv.ParseInt: parsing \"%.60s\": invalid syntax",
			 v);
		return bad_value(s, v, why, e);
	case OPTION_KIND_DURATION:
		if (duration_parse(v, to) == 0)
			return 0;
		snprintf(why, sizeof(why), "time: invalid duration \"%.60s\"", v);
		return bad_value(s, v, why, e);
	}
	return 0;
}

void options_init(const struct option_spec *specs, void *values)
{
	SPEC_FOREACH(s, specs)
	if (s->fallback)
		(void)set_value(s, values, s->fallback, NULL); /* tables are right */
}

void options_done(const struct option_spec *specs, void *values)
{
	SPEC_FOREACH(s, specs)
	{
		char ***v = field(s, values);

		if (s->kind != OPTION_KIND_STRINGS)
			continue;
		strv_free(*v);
		*v = NULL;
	}
}

/* ---- finding --------------------------------------------------------------- */
static const struct option_spec *by_name(const struct option_spec *specs, const char *name,
					 size_t n)
{
	SPEC_FOREACH(s, specs)
	if (strlen(s->name) == n && memcmp(s->name, name, n) == 0)
		return s;
	return NULL;
}

static const struct option_spec *by_letter(const struct option_spec *specs, char letter)
{
	SPEC_FOREACH(s, specs)
	if (s->letter == letter)
		return s;
	return NULL;
}

static void suggest_name(const struct option_parser *p, const char *name, struct err *e)
{
	const char *words[128], *near;
	size_t n = 0;

	SPEC_FOREACH(s, p->own)
	if (!s->hidden && n < ARRAY_SIZE(words))
		words[n++] = s->name;
	SPEC_FOREACH(s, p->shared)
	if (!s->hidden && n < ARRAY_SIZE(words))
		words[n++] = s->name;
	near = nearest_word(name, words, n);
	if (near)
		(void)err_hint(e, "did you mean --%s?", near);
}

static int unknown_name(const struct option_parser *p, const char *name, size_t len, struct err *e)
{
	char text[80];

	snprintf(text, sizeof(text), "%.*s", (int)MIN(len, sizeof(text) - 1), name);
	err_set(e, EINVAL, "unknown flag: --%s", text);
	if (by_name(p->elsewhere, name, len))
		(void)err_hint(e, "--%s goes before the command's name", text);
	else
		suggest_name(p, text, e);
	return -EINVAL;
}

static int unknown_letter(const struct option_parser *p, char c, const char *arg, struct err *e)
{
	err_set(e, EINVAL, "unknown shorthand flag: '%c' in %s", c, arg);
	if (by_letter(p->elsewhere, c))
		(void)err_hint(e, "-%c goes before the command's name", c);
	return -EINVAL;
}

/* ---- parsing --------------------------------------------------------------- */
struct cursor {
	int i, argc;
	char **argv;
};

/* --name, --name=value, --name value */
static int parse_long(struct option_parser *p, struct cursor *c, struct err *e)
{
	const char *name = c->argv[c->i] + 2, *eq = strchr(name, '='), *value;
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	void *values = p->values;
	const struct option_spec *s = by_name(p->own, name, len);

	if (!s) {
		s = by_name(p->shared, name, len);
		values = p->shared_values;
	}
	if (!s) {
		if (len == 4 && memcmp(name, "help", 4) == 0) {
			p->help = true;
			return 0;
		}
		return unknown_name(p, name, len, e);
	}
	if (eq)
		value = eq + 1;
	else if (s->kind == OPTION_KIND_BOOL)
		value = "true";
	else if (c->i + 1 < c->argc)
		value = c->argv[++c->i];
	else
		return err_set(e, EINVAL, "flag needs an argument: --%s", s->name);
	return set_value(s, values, value, e);
}

/* -abc, -n5, -n=5, -n 5 */
static int parse_short(struct option_parser *p, struct cursor *c, struct err *e)
{
	const char *arg = c->argv[c->i];

	for (const char *at = arg + 1; *at; at++) {
		void *values = p->values;
		const struct option_spec *s = by_letter(p->own, *at);
		const char *value;
		int r;

		if (!s) {
			s = by_letter(p->shared, *at);
			values = p->shared_values;
		}
		if (!s && *at == 'h') {
			p->help = true;
			continue;
		}
		if (!s)
			return unknown_letter(p, *at, arg, e);
		if (s->kind == OPTION_KIND_BOOL && at[1] != '=') {
			*(bool *)field(s, values) = true;
			continue;
		}
		if (at[1])
			value = at + 1 + (at[1] == '=');
		else if (c->i + 1 < c->argc)
			value = c->argv[++c->i];
		else
			return err_set(e, EINVAL, "flag needs an argument: '%c' in %s", *at, arg);
		r = set_value(s, values, value, e);
		return r;
	}
	return 0;
}

int options_parse(struct option_parser *p, int argc, char **argv, struct err *e)
{
	struct cursor c = { .argc = argc, .argv = argv };
	int n = 0, r = 0;

	for (; c.i < argc; c.i++) {
		const char *arg = argv[c.i];

		if (arg[0] != '-' || !arg[1]) {
			argv[n++] = argv[c.i];
			if (!p->stop_at_first)
				continue;
			c.i++;
			break;
		}
		if (streq(arg, "--")) {
			c.i++;
			break;
		}
		r = arg[1] == '-' ? parse_long(p, &c, e) : parse_short(p, &c, e);
		if (r < 0)
			return r;
	}
	while (c.i < argc)
		argv[n++] = argv[c.i++];
	argv[n] = NULL;
	return n;
}

/* ---- help ------------------------------------------------------------------- */
static const char *kind_text(enum option_kind k)
{
	switch (k) {
	case OPTION_KIND_STRING:
		return " string";
	case OPTION_KIND_STRINGS:
		return " stringArray";
	case OPTION_KIND_INT:
		return " int";
	case OPTION_KIND_DURATION:
		return " duration";
	default:
		return "";
	}
}

#define HELP_WIDTH 80

void help_wrap(FILE *out, const char *text, size_t at, size_t column)
{
	const char *word = text;

	if (at >= column && at > 0) {
		fprintf(out, "\n");
		at = 0;
	}
	fprintf(out, "%*s", (int)(column - at), "");
	at = column;
	while (*word) {
		size_t n = strcspn(word, " ");

		if (at > column && at + 1 + n > HELP_WIDTH) {
			fprintf(out, "\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		fwrite(word, 1, n, out);
		at += n;
		word += n;
		word += strspn(word, " ");
	}
	fputc('\n', out);
}

static size_t label(const struct option_spec *s, char *buf, size_t n)
{
	char letter[8] = "    ";

	if (s->letter)
		snprintf(letter, sizeof(letter), "-%c, ", s->letter);
	return (size_t)snprintf(buf, n, "  %s--%s%s", letter, s->name, kind_text(s->kind));
}

void options_help(FILE *out, const struct option_spec *specs)
{
	size_t column = 0;
	char text[80];

	SPEC_FOREACH(s, specs)
	if (!s->hidden)
		column = MAX(column, label(s, text, sizeof(text)) + 3);
	if (!column)
		return;
	column = MIN(column, (size_t)34);
	fprintf(out, "\nOptions:\n");
	SPEC_FOREACH(s, specs)
	{
		size_t n;

		if (s->hidden)
			continue;
		n = label(s, text, sizeof(text));
		fputs(text, out);
		help_wrap(out, s->help, n, column);
	}
}
