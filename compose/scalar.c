/* compose/scalar.c: the type of a plain scalar, by its text.
 *
 * The rules are those of Docker Compose's YAML library, which is the 1.2 core
 * schema with a few habits kept from 1.1: 0-prefixed octal, 0b, and `_`
 * anywhere in a number.  The first letter decides what to try, so that a
 * string, the usual case, costs one table look-up.
 */
#include "compose/scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define NUMBER_MAX 400 /* characters; a longer one is a string */

#define YAML_ORG "tag:yaml.org,2002:"

/* ---- words -------------------------------------------------------------------- */
static const struct word {
	const char *text;
	enum node_kind kind;
	bool boolean;
	double real;
} words[] = {
	{ "", NODE_NULL },
	{ "~", NODE_NULL },
	{ "null", NODE_NULL },
	{ "Null", NODE_NULL },
	{ "NULL", NODE_NULL },
	{ "true", NODE_BOOL, .boolean = true },
	{ "True", NODE_BOOL, .boolean = true },
	{ "TRUE", NODE_BOOL, .boolean = true },
	{ "false", NODE_BOOL },
	{ "False", NODE_BOOL },
	{ "FALSE", NODE_BOOL },
	{ ".nan", NODE_FLOAT, .real = NAN },
	{ ".NaN", NODE_FLOAT, .real = NAN },
	{ ".NAN", NODE_FLOAT, .real = NAN },
	{ ".inf", NODE_FLOAT, .real = INFINITY },
	{ ".Inf", NODE_FLOAT, .real = INFINITY },
	{ ".INF", NODE_FLOAT, .real = INFINITY },
	{ "+.inf", NODE_FLOAT, .real = INFINITY },
	{ "+.Inf", NODE_FLOAT, .real = INFINITY },
	{ "+.INF", NODE_FLOAT, .real = INFINITY },
	{ "-.inf", NODE_FLOAT, .real = -INFINITY },
	{ "-.Inf", NODE_FLOAT, .real = -INFINITY },
	{ "-.INF", NODE_FLOAT, .real = -INFINITY },
};

static const struct word *find_word(const char *text, size_t length)
{
	if (length > 5) /* "false", "+.inf" */
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (streq(words[i].text, text))
			return &words[i];
	return NULL;
}

/* ---- numbers -------------------------------------------------------------------- */
static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* The base that a prefix names; *s moves behind it. */
static unsigned int number_base(const char **s)
{
	if ((*s)[0] != '0' || !(*s)[1])
		return 10;
	switch ((*s)[1]) {
	case 'x':
	case 'X':
		*s += 2;
		return 16;
	case 'o':
	case 'O':
		*s += 2;
		return 8;
	case 'b':
	case 'B':
		*s += 2;
		return 2;
	default:
		*s += 1;
		return 8;
	}
}

/* -EINVAL: not an integer; -ERANGE: one that int64 cannot hold, *big is near it. */
static int parse_integer(const char *s, int64_t *out, double *big)
{
	bool negative = *s == '-', signed_text = negative || *s == '+', overflow = false;
	unsigned int base;
	uint64_t v = 0;

	s += signed_text;
	base = number_base(&s);
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		int digit = digit_value(*s);

		if (digit >= (int)base)
			return -EINVAL;
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit, &v))
			overflow = true;
	}
	if (overflow)
		return -EINVAL; /* a decimal one is a float, others are strings */
	if (v <= INT64_MAX || (negative && v == (uint64_t)INT64_MAX + 1)) {
		*out = negative ? (int64_t)(0 - v) : (int64_t)v;
		return 0;
	}
	if (signed_text)
		return -EINVAL;
	*big = (double)v;
	return -ERANGE;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_like_float(const char *s)
{
	size_t before, after = 0;

	if (*s == '-' || *s == '+')
		s++;
	before = strspn(s, "0123456789");
	s += before;
	if (*s == '.') {
		s++;
		after = strspn(s, "0123456789");
		s += after;
	}
	if (!before && !after)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '-' || *s == '+')
			s++;
		if (!isdigit((unsigned char)*s))
			return false;
		s += strspn(s, "0123456789");
	}
	return !*s;
}

static bool parse_number(const char *text, size_t length, struct node *n)
{
	char plain[NUMBER_MAX + 1], *to = plain;
	double big = 0;
	int r;

	if (length > NUMBER_MAX)
		return false;
	for (const char *s = text; *s; s++)
		if (*s != '_' || *text == '.') /* ".1_0" is no number to Docker Compose */
			*to++ = *s;
	*to = '\0';
	r = *text == '.' ? -EINVAL : parse_integer(plain, &n->integer, &big);
	if (r == 0) {
		n->kind = NODE_INT;
		return true;
	}
	if (r != -ERANGE) {
		if (!looks_like_float(plain))
			return false;
		big = strtod(plain, NULL);
		if (isinf(big)) /* out of range, so not a number either */
			return false;
	}
	n->kind = NODE_FLOAT;
	n->real = big;
	return true;
}

/* ---- resolving -------------------------------------------------------------------- */
static bool use_word(const char *text, size_t length, struct node *n)
{
	const struct word *word = find_word(text, length);

	if (!word)
		return false;
	n->kind = word->kind;
	if (word->kind == NODE_BOOL)
		n->boolean = word->boolean;
	else if (word->kind == NODE_FLOAT)
		n->real = word->real;
	return true;
}

bool scalar_is_string(const char *text, size_t length, struct node *n)
{
	switch (text[0]) {
	case '\0':
	case '~':
	case 'n':
	case 'N':
	case 't':
	case 'T':
	case 'f':
	case 'F':
		return !use_word(text, length, n);
	case '.':
	case '+':
	case '-':
	case '0' ... '9':
		return !use_word(text, length, n) && !parse_number(text, length, n);
	default:
		return true;
	}
}

void scalar_string(struct arena *a, struct node *n, const char *text, size_t length)
{
	n->kind = NODE_STRING;
	n->text = length ? arena_strndup(a, text, length) : "";
}

void scalar_resolve(struct arena *a, struct node *n, const char *text, size_t length)
{
	if (scalar_is_string(text, length, n))
		n->kind = NODE_STRING;
	n->text = NULL;
	if (n->kind != NODE_NULL)
		n->text = length ? arena_strndup(a, text, length) : "";
}

/* ---- writing -------------------------------------------------------------------- */
/* [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?: "22:22" was 1342 in YAML 1.1. */
static bool is_base60(const char *s)
{
	const char *start;

	s += *s == '-' || *s == '+';
	if (*s < '0' || *s > '9')
		return false;
	s += strspn(s, "0123456789_");
	for (start = s; *s == ':'; s++) {
		size_t digits = strspn(s + 1, "0123456789");

		if (digits < 1 || digits > 2 || (digits == 2 && s[1] > '5'))
			return false;
		s += digits;
	}
	if (s == start)
		return false;
	return !*s || (*s == '.' && !s[1 + strspn(s + 1, "0123456789_")]);
}

/* YYYY-M-D, whatever follows: a date or a timestamp in YAML 1.1. */
static bool is_date(const char *s)
{
	size_t month, day;

	if (strspn(s, "0123456789") != 4 || s[4] != '-')
		return false;
	month = strspn(s + 5, "0123456789");
	if (month < 1 || month > 2 || s[5 + month] != '-')
		return false;
	day = strspn(s + 6 + month, "0123456789");
	return day >= 1 && day <= 2;
}

static bool is_old_bool(const char *s)
{
	static const char *const names[] = {
		"y", "Y", "yes", "Yes", "YES", "on",  "On",  "ON",
		"n", "N", "no",  "No",  "NO",  "off", "Off", "OFF",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names) && *s && strchr("yYnNoO", *s); i++)
		if (streq(s, names[i]))
			return true;
	return false;
}

bool scalar_is_safe(const char *text)
{
	struct node n = { 0 };

	return scalar_is_string(text, strlen(text), &n) && !is_base60(text) && !is_date(text) &&
	       !is_old_bool(text) && !streq(text, "<<");
}

/* ---- tags ------------------------------------------------------------------------- */
/* RFC 4648, section 4. */
static int base64_value(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

static int decode_base64(struct arena *a, const char *text, size_t length, char **out)
{
	char *bytes = arena_alloc(a, length / 4 * 3 + 4);
	size_t n = 0, n_digits = 0, n_pad = 0;
	uint32_t group = 0;

	for (; *text; text++) {
		int v = *text == '=' ? 0 : base64_value(*text);

		if (*text == '\n' || *text == '\r')
			continue;
		if (v < 0 || (n_pad && *text != '='))
			return -EINVAL;
		n_pad += *text == '=';
		group = group << 6 | (uint32_t)v;
		if (++n_digits % 4)
			continue;
		for (int shift = 16; shift >= 0; shift -= 8)
			bytes[n++] = (char)(group >> shift);
	}
	if (n_digits % 4 || n_pad > 2)
		return -EINVAL;
	bytes[n - MIN(n, n_pad)] = '\0';
	*out = bytes;
	return strlen(bytes) == n - MIN(n, n_pad) ? 0 : -EILSEQ;
}

static int resolve_binary(struct arena *a, struct node *n, const char *text, size_t length,
			  struct err *e)
{
	char *bytes;
	int r = decode_base64(a, text, length, &bytes);

	if (r == -EINVAL)
		return err_set(e, EINVAL, "!!binary value contains invalid base64 data");
	if (r < 0)
		return err_set(e, EINVAL, "!!binary value contains a NUL byte");
	n->kind = NODE_STRING;
	n->text = bytes;
	return 0;
}

static const char *kind_tag(enum node_kind kind)
{
	switch (kind) {
	case NODE_NULL:
		return "null";
	case NODE_BOOL:
		return "bool";
	case NODE_INT:
		return "int";
	case NODE_FLOAT:
		return "float";
	default:
		return "str";
	}
}

int scalar_resolve_tagged(struct arena *a, struct node *n, const char *tag, const char *text,
			  size_t length, struct err *e)
{
	const char *type = skip_prefix(tag, YAML_ORG);

	if (type && streq(type, "binary"))
		return resolve_binary(a, n, text, length, e);
	if (!type || (!streq(type, "null") && !streq(type, "bool") && !streq(type, "int") &&
		      !streq(type, "float"))) {
		/* !!str, !!timestamp and whatever the user made up */
		scalar_string(a, n, text, length);
		n->quoted = true;
		return 0;
	}
	scalar_resolve(a, n, text, length);
	n->quoted = false;
	if (n->kind == NODE_INT && streq(type, "float")) {
		n->kind = NODE_FLOAT;
		n->real = (double)n->integer;
	}
	if (!streq(kind_tag(n->kind), type))
		return err_set(e, EINVAL, "cannot decode !!%s `%s` as a !!%s", kind_tag(n->kind),
			       text, type);
	return 0;
}
