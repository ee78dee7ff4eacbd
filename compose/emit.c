/* compose/emit.c: YAML and JSON text; see emit.h.
 *
 * `config` is compared and diffed by people and scripts, so the text is the
 * very text Docker Compose writes: sequences indented below their key, plain
 * scalars where YAML would read the same string back, double quotes where the
 * type would change, single quotes where only the syntax is in the way, and
 * literal blocks for text of several lines.  The conditions are those of
 * libyaml's emitter, yaml_emitter_analyze_scalar().
 */
#include "compose/emit.h"

#include <stdio.h>

#include "compose/number.h"
#include "compose/yaml.h"

/* ---- UTF-8 ------------------------------------------------------------------------------- */

/* Length of the character at @s, its code in *code; 1 and -1 for a bad byte. */
static size_t decode(const char *s, int32_t *code)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80   ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;
	int32_t c = n == 1 ? p[0] : p[0] & (0xff >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			n = 0;
			break;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*code = n ? c : -1;
	return n ? n : 1;
}

static bool is_printable(int32_t c)
{
	return c == '\n' || (c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c <= 0xd7ff) ||
	       (c >= 0xe000 && c <= 0xfffd && c != 0xfeff);
}

static bool is_break(int32_t c)
{
	return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_blank(int32_t c)
{
	return c == ' ' || c == '\t' || c == 0 || is_break(c);
}

/* ---- order of keys ------------------------------------------------------------------------- */

static bool is_letter(int32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

static bool is_digit(int32_t c)
{
	return c >= '0' && c <= '9';
}

/* Two runs of digits, from where they start to differ; @lead: digits other than 0 stand before. */
static int compare_numbers(const char *a, const char *b, bool lead)
{
	bool zero = *a == '0' || *b == '0';
	uint64_t x = zero && lead, y = zero && lead;
	size_t i = 0, j = 0;

	for (; is_digit(a[i]); i++)
		x = x * 10 + (uint64_t)(a[i] - '0');
	for (; is_digit(b[j]); j++)
		y = y * 10 + (uint64_t)(b[j] - '0');
	if (x != y)
		return x < y ? -1 : 1;
	if (i != j)
		return i < j ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

int emit_compare_keys(const char *a, const char *b)
{
	const char *start = a;
	bool digits = false;

	while (*a && *b) {
		int32_t x, y;
		size_t n = decode(a, &x), m = decode(b, &y);
		bool lead = false, xl, yl;

		if (x == y) {
			digits = is_digit(x);
			a += n;
			b += m;
			continue;
		}
		xl = is_letter(x);
		yl = is_letter(y);
		if (xl && yl)
			return x < y ? -1 : 1;
		if (xl || yl)
			return (digits ? xl : yl) ? -1 : 1;
		for (const char *p = a; p > start && is_digit(p[-1]); p--)
			lead |= p[-1] != '0';
		return compare_numbers(a, b, lead);
	}
	return *a ? 1 : *b ? -1 : 0;
}

/* ---- scalars of YAML --------------------------------------------------------------------------
 */

enum style { PLAIN, SINGLE, DOUBLE, LITERAL };

struct shape {
	bool plain, single, block; /* what the syntax allows in block context */
};

static bool starts_document_marker(const char *s)
{
	return strncmp(s, "---", 3) == 0 || strncmp(s, "...", 3) == 0;
}

static bool is_indicator(int32_t c, int32_t next, bool first, bool after_blank)
{
	if (first && c > 0 && c < 128 && strchr("#,[]{}&*!|>'\"%@`", c))
		return true;
	if (first && (c == '?' || c == '-') && is_blank(next))
		return true;
	if (c == ':' && is_blank(next))
		return true;
	return c == '#' && after_blank;
}

static struct shape analyze(const char *s)
{
	bool indicators = starts_document_marker(s), breaks = false, tabs = false, special = false;
	bool space_break = false, break_space = false, after_blank = true;
	bool space = false, brk = false; /* the character before */
	struct shape shape = { true, true, true };
	bool edge = is_blank(*s) && *s != '\t', trailing_space = false;

	for (const char *p = s; *p;) {
		int32_t c, next;
		size_t n = decode(p, &c);

		decode(p + n, &next);
		indicators |= is_indicator(c, next, p == s, after_blank);
		tabs |= c == '\t';
		special |= c != '\t' && !is_printable(c);
		breaks |= is_break(c);
		space_break |= space && is_break(c);
		break_space |= brk && c == ' ';
		space = c == ' ';
		brk = is_break(c);
		after_blank = is_blank(c);
		p += n;
	}
	edge |= space || brk;
	trailing_space = space;
	shape.plain = !edge && !break_space && !space_break && !tabs && !special && !breaks &&
		      !indicators;
	shape.single = !break_space && !space_break && !tabs && !special;
	shape.block = !trailing_space && !space_break && !special;
	return shape;
}

/* What YAML 1.1 readers take for a base-60 number. */
static bool is_base60(const char *s)
{
	const char *p = s + (*s == '-' || *s == '+');
	bool colon = false;

	if (!is_digit(*p))
		return false;
	while (is_digit(*p) || *p == '_')
		p++;
	while (*p == ':' && is_digit(p[1])) {
		colon = true;
		p += p[1] <= '5' && is_digit(p[2]) ? 3 : 2;
	}
	if (colon && *p == '.')
		for (p++; is_digit(*p) || *p == '_';)
			p++;
	return colon && !*p;
}

/* 2006-1-2, also with a time behind it: go-yaml would make a time of it. */
static bool is_timestamp(const char *s)
{
	int year, month, day, hour, minute, second, n = 0, m = 0;

	if (!is_digit(s[0]) || !is_digit(s[1]) || !is_digit(s[2]) || !is_digit(s[3]) ||
	    s[4] != '-' || !is_digit(s[5]))
		return false;
	if (sscanf(s, "%4d-%2d-%2d%n", &year, &month, &day, &n) != 3 || month < 1 || month > 12 ||
	    day < 1 || day > 31)
		return false;
	s += n;
	if (!*s)
		return true;
	if (*s != 'T' && *s != 't' && *s != ' ')
		return false;
	return sscanf(s + 1, "%2d:%2d:%2d%n", &hour, &minute, &second, &m) == 3 && hour < 24 &&
	       minute < 60 && second < 60;
}

/* Most text is this: no number starts with a letter, no other type's name has more
 * than five, and nothing in it means anything to the syntax. */
static bool is_long_word(const char *s)
{
	const char *p = s;

	if (*s < 'A' || *s > 'z' || !is_letter(*s))
		return false;
	while (*p > 0 && *p < 0x7f && (is_letter(*p) || is_digit(*p) || strchr("_./-", *p)))
		p++;
	return !*p && p - s > 5;
}

static enum style choose_style(const char *s, bool key)
{
	struct shape shape;
	enum style style = DOUBLE;

	if (is_long_word(s))
		return PLAIN;
	shape = analyze(s);
	if (strchr(s, '\n'))
		style = LITERAL;
	else if (*s && !streq(s, "<<") && yaml_plain_is_string(s) && !is_base60(s) &&
		 !is_timestamp(s))
		style = PLAIN;
	if (style == LITERAL && (!shape.block || key))
		style = DOUBLE;
	if (style == PLAIN && !shape.plain)
		style = SINGLE;
	if (style == SINGLE && !shape.single)
		style = DOUBLE;
	return style;
}

static void escape(int32_t c, struct buf *out)
{
	static const struct {
		int32_t c;
		const char *text;
	} names[] = { { 0, "\\0" },    { 7, "\\a" },      { 8, "\\b" },     { 9, "\\t" },
		      { 10, "\\n" },   { 11, "\\v" },     { 12, "\\f" },    { 13, "\\r" },
		      { 27, "\\e" },   { '"', "\\\"" },   { '\\', "\\\\" }, { 0x85, "\\N" },
		      { 0xa0, "\\_" }, { 0x2028, "\\L" }, { 0x2029, "\\P" } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].c == c) {
			buf_adds(out, names[i].text);
			return;
		}
	if (c <= 0xff)
		buf_printf(out, "\\x%02X", (unsigned int)c);
	else if (c <= 0xffff)
		buf_printf(out, "\\u%04X", (unsigned int)c);
	else
		buf_printf(out, "\\U%08X", (unsigned int)c);
}

static void write_double(const char *s, struct buf *out)
{
	buf_addc(out, '"');
	while (*s) {
		int32_t c;
		size_t n = decode(s, &c);

		if (c < 0)
			buf_printf(out, "\\x%02X", (unsigned char)*s);
		else if (!is_printable(c) || is_break(c) || c == '"' || c == '\\')
			escape(c, out);
		else
			buf_add(out, s, n);
		s += n;
	}
	buf_addc(out, '"');
}

static void write_single(const char *s, struct buf *out)
{
	buf_addc(out, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			buf_addc(out, '\'');
		buf_addc(out, *s);
	}
	buf_addc(out, '\'');
}

static void pad(struct buf *out, int n)
{
	while (n-- > 0)
		buf_addc(out, ' ');
}

static void write_literal(const char *s, int indent, struct buf *out)
{
	size_t n = strlen(s);
	bool start = true;

	buf_addc(out, '|');
	if (*s == ' ' || *s == '\n')
		buf_addc(out, '2');
	if (s[n - 1] != '\n')
		buf_addc(out, '-');
	else if (n == 1 || s[n - 2] == '\n')
		buf_addc(out, '+');
	buf_addc(out, '\n');
	for (; *s; s++) {
		if (*s != '\n' && start)
			pad(out, indent);
		buf_addc(out, *s);
		start = *s == '\n';
	}
	if (out->data[out->len - 1] == '\n')
		buf_truncate(out, out->len - 1); /* the caller ends the line */
}

static void write_string(const char *s, int indent, bool key, struct buf *out)
{
	switch (choose_style(s, key)) {
	case PLAIN:
		buf_adds(out, s);
		break;
	case SINGLE:
		write_single(s, out);
		break;
	case DOUBLE:
		write_double(s, out);
		break;
	case LITERAL:
		write_literal(s, indent, out);
		break;
	}
}

static void write_scalar(const struct node *n, int indent, struct buf *out)
{
	char text[NUMBER_TEXT_MAX];

	switch (n->kind) {
	case NODE_BOOL:
		buf_adds(out, n->boolean ? "true" : "false");
		break;
	case NODE_INT:
		buf_printf(out, "%lld", (long long)n->integer);
		break;
	case NODE_FLOAT:
		number_text(n->real, (double)(float)n->real == n->real, text);
		buf_adds(out, streq(text, "+Inf")   ? ".inf"
			      : streq(text, "-Inf") ? "-.inf"
			      : streq(text, "NaN")  ? ".nan"
						    : text);
		break;
	case NODE_STRING:
		write_string(n->text, indent, false, out);
		break;
	default:
		buf_adds(out, "null");
	}
}

/* ---- YAML collections
 * ----------------------------------------------------------------------------- */

static void write_yaml(const struct node *n, int indent, struct buf *out);

/* A value behind "key:" or "-": on the same line when it fits there. */
static void write_map(const struct node *n, int indent, struct buf *out)
{
	for (size_t i = 0; i < n->n; i++) {
		const struct node *v = n->entries[i].value;

		if (i)
			pad(out, indent);
		write_string(n->entries[i].key, indent, true, out);
		buf_addc(out, ':');
		if ((v->kind == NODE_MAP || v->kind == NODE_SEQ) && v->n) {
			buf_addc(out, '\n');
			pad(out, indent + 2);
		} else {
			buf_addc(out, ' ');
		}
		write_yaml(v, indent + 2, out);
	}
}

static void write_seq(const struct node *n, int indent, struct buf *out)
{
	for (size_t i = 0; i < n->n; i++) {
		if (i)
			pad(out, indent);
		buf_adds(out, "- ");
		write_yaml(n->items[i], indent + 2, out);
	}
}

static void write_yaml(const struct node *n, int indent, struct buf *out)
{
	if (n->kind == NODE_MAP && n->n) {
		write_map(n, indent, out);
		return;
	}
	if (n->kind == NODE_SEQ && n->n) {
		write_seq(n, indent, out);
		return;
	}
	if (n->kind == NODE_MAP)
		buf_adds(out, "{}");
	else if (n->kind == NODE_SEQ)
		buf_adds(out, "[]");
	else
		write_scalar(n, indent, out);
	buf_addc(out, '\n');
}

void emit_yaml(const struct node *n, struct buf *out)
{
	write_yaml(n, 0, out);
}

void emit_yaml_scalar(const struct node *n, struct buf *out)
{
	if (node_is(n, NODE_STRING) && strchr(n->text, '\n'))
		write_double(n->text, out);
	else
		write_scalar(n, 0, out);
}

/* ---- JSON
 * ------------------------------------------------------------------------------------------ */

void emit_json_string(const char *s, struct buf *out)
{
	buf_addc(out, '"');
	while (*s) {
		int32_t c;
		size_t n = decode(s, &c);

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", (int)c);
		else if (c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f')
			buf_printf(out, "\\%c",
				   c == '\n'   ? 'n'
				   : c == '\r' ? 'r'
				   : c == '\t' ? 't'
				   : c == '\b' ? 'b'
					       : 'f');
		else if (c < 0)
			buf_adds(out, "\\ufffd");
		else if (c < 0x20 || c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029)
			buf_printf(out, "\\u%04x", (unsigned int)c);
		else
			buf_add(out, s, n);
		s += n;
	}
	buf_addc(out, '"');
}

static void json_line(int indent, int depth, struct buf *out)
{
	if (!indent)
		return;
	buf_addc(out, '\n');
	pad(out, indent * depth);
}

static void write_json(const struct node *n, int indent, int depth, struct buf *out)
{
	bool map = n->kind == NODE_MAP;
	char text[NUMBER_TEXT_MAX];

	if (n->kind == NODE_STRING) {
		emit_json_string(n->text, out);
	} else if (n->kind == NODE_FLOAT) {
		buf_adds(out, number_json(n->real, (double)(float)n->real == n->real, text));
	} else if (!map && n->kind != NODE_SEQ) {
		write_scalar(n, 0, out);
	} else {
		buf_addc(out, map ? '{' : '[');
		for (size_t i = 0; i < n->n; i++) {
			if (i)
				buf_addc(out, ',');
			json_line(indent, depth + 1, out);
			if (map) {
				emit_json_string(n->entries[i].key, out);
				buf_adds(out, indent ? ": " : ":");
			}
			write_json(map ? n->entries[i].value : n->items[i], indent, depth + 1, out);
		}
		if (n->n)
			json_line(indent, depth, out);
		buf_addc(out, map ? '}' : ']');
	}
}

void emit_json(const struct node *n, int indent, struct buf *out)
{
	write_json(n, indent, 0, out);
}
