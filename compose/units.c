/* compose/units.c: numbers with units; see units.h.
 *
 * Go's way of reading them, since that is what Compose files are written for,
 * but with every conversion checked: what int64 cannot hold is an error, where
 * the original has whatever the conversion yields.
 */
#include "compose/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 200 /* of user text in a message */

/* ---- decimals ------------------------------------------------------------------------ */
/* [+-]?digits[.digits][e[+-]digits], all of @n bytes; no hex, no words. */
static bool parse_decimal(const char *s, size_t n, double *out)
{
	char text[64], *end;
	size_t i = 0, digits = 0;

	if (!n || n >= sizeof(text))
		return false;
	i += s[0] == '+' || s[0] == '-';
	for (bool dot = false; i < n && (isdigit((unsigned char)s[i]) || (s[i] == '.' && !dot));
	     i++) {
		dot |= s[i] == '.';
		digits += s[i] != '.';
	}
	if (!digits || (i < n && s[i] != 'e' && s[i] != 'E'))
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	*out = strtod(text, &end);
	return end == text + n && isfinite(*out);
}

/* ---- bytes ----------------------------------------------------------------------------- */
/* "", b, or k m g t p with b or ib behind it; the factor, or 0. */
static double byte_factor(const char *suffix)
{
	static const char letters[] = "kmgtp";
	const char *letter;

	if (!*suffix || strcasecmp(suffix, "b") == 0)
		return 1;
	letter = strchr(letters, tolower((unsigned char)*suffix));
	if (!letter || !*letter)
		return 0;
	if (suffix[1] && strcasecmp(suffix + 1, "b") != 0 && strcasecmp(suffix + 1, "ib") != 0)
		return 0;
	return (double)(UINT64_C(1024) << 10 * (letter - letters));
}

int units_bytes(const char *text, int64_t *bytes, struct err *e)
{
	const char *space = strchr(text, ' '), *suffix;
	double number, factor;
	size_t n = strlen(text);

	if (parse_i64(text, bytes)) /* the one form that may be negative: -1 */
		return 0;
	if (space) {
		n = (size_t)(space - text);
		suffix = space + 1;
	} else {
		while (n && !isdigit((unsigned char)text[n - 1]) && text[n - 1] != '.')
			n--;
		suffix = text + n;
	}
	if (!parse_decimal(text, n, &number) || number < 0)
		return err_set(e, EINVAL, "invalid size: '%.*s'", TEXT_MAX, text);
	factor = byte_factor(suffix);
	if (factor == 0)
		return err_set(e, EINVAL, "invalid suffix: '%.*s'", TEXT_MAX, suffix);
	number *= factor;
	if (number >= 0x1p63)
		return err_set(e, EINVAL, "invalid size: '%.*s'", TEXT_MAX, text);
	*bytes = (int64_t)number;
	return 0;
}

/* ---- durations ------------------------------------------------------------------------- */
static const struct duration_unit {
	const char *name;
	int64_t ns;
} duration_units[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 }, /* U+00B5, micro sign */
	{ "\xce\xbcs", 1000 }, /* U+03BC, Greek mu */
	{ "ms", 1000000 },
	{ "s", 1000000000 },
	{ "m", INT64_C(60) * 1000000000 },
	{ "h", INT64_C(3600) * 1000000000 },
	{ "d", INT64_C(86400) * 1000000000 },
	{ "w", INT64_C(7) * 86400 * 1000000000 },
};

static int64_t unit_ns(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++)
		if (strlen(duration_units[i].name) == n &&
		    memcmp(duration_units[i].name, name, n) == 0)
			return duration_units[i].ns;
	return 0;
}

static int fail_duration(const char *text, struct err *e)
{
	return err_set(e, EINVAL, "time: invalid duration \"%.*s\"", TEXT_MAX, text);
}

/* Digits into *v, capped where int64 ends; how many there were. */
static size_t leading_digits(const char *s, int64_t *v, double *scale, bool *overflow)
{
	size_t n;

	*v = 0;
	*scale = 1;
	for (n = 0; isdigit((unsigned char)s[n]); n++) {
		int64_t more;

		if (*overflow || __builtin_mul_overflow(*v, INT64_C(10), &more) ||
		    __builtin_add_overflow(more, s[n] - '0', &more)) {
			*overflow = true;
			continue;
		}
		*v = more;
		*scale *= 10;
	}
	return n;
}

/* One "12.5ms" at *s; adds to *sum. */
static int duration_part(const char **s, const char *text, int64_t *sum, struct err *e)
{
	bool too_large = false, too_precise = false;
	int64_t whole, fraction = 0, unit, part;
	double scale = 1;
	size_t digits, n;

	digits = leading_digits(*s, &whole, &scale, &too_large);
	*s += digits;
	scale = 1;
	if (**s == '.') {
		n = leading_digits(++*s, &fraction, &scale, &too_precise);
		*s += n;
		digits += n;
	}
	if (!digits || too_large)
		return fail_duration(text, e);
	n = strcspn(*s, ".0123456789");
	if (!n)
		return err_set(e, EINVAL, "time: missing unit in duration \"%.*s\"", TEXT_MAX,
			       text);
	unit = unit_ns(*s, n);
	if (!unit)
		return err_set(e, EINVAL, "time: unknown unit \"%.*s\" in duration \"%.*s\"",
			       (int)MIN(n, (size_t)TEXT_MAX), *s, TEXT_MAX, text);
	*s += n;
	if (__builtin_mul_overflow(whole, unit, &part) ||
	    __builtin_add_overflow(part, (int64_t)((double)fraction * ((double)unit / scale)),
				   &part) ||
	    __builtin_add_overflow(*sum, part, sum))
		return fail_duration(text, e);
	return 0;
}

int units_duration(const char *text, int64_t *ns, struct err *e)
{
	bool negative = *text == '-';
	const char *s = text + (negative || *text == '+');
	int64_t sum = 0;

	*ns = 0;
	if (streq(s, "0"))
		return 0;
	if (!*s)
		return fail_duration(text, e);
	while (*s) {
		int r = duration_part(&s, text, &sum, e);

		if (r < 0)
			return r;
	}
	*ns = negative ? -sum : sum;
	return 0;
}

/* @value / @unit with up to nine fraction digits and no zeros behind them. */
static void print_fraction(char *buf, size_t size, uint64_t value, uint64_t unit, const char *name)
{
	char digits[24] = "";
	uint64_t rest = value % unit;
	size_t n = 0;

	if (rest)
		digits[n++] = '.';
	for (uint64_t place = unit / 10; rest && place; place /= 10) {
		digits[n++] = (char)('0' + rest / place);
		rest %= place;
	}
	snprintf(buf, size, "%" PRIu64 "%s%s", value / unit, digits, name);
}

char *units_duration_text(int64_t ns, char buf[DURATION_TEXT_MAX])
{
	uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, minutes;
	const char *sign = ns < 0 ? "-" : "";
	char seconds[32];

	if (!u)
		snprintf(seconds, sizeof(seconds), "0s");
	else if (u < 1000)
		print_fraction(seconds, sizeof(seconds), u, 1, "ns");
	else if (u < 1000000)
		print_fraction(seconds, sizeof(seconds), u, 1000, "\xc2\xb5s");
	else if (u < NSEC_PER_SEC)
		print_fraction(seconds, sizeof(seconds), u, 1000000, "ms");
	else
		print_fraction(seconds, sizeof(seconds), u % (60 * NSEC_PER_SEC), NSEC_PER_SEC,
			       "s");
	minutes = u / (60 * NSEC_PER_SEC);
	if (minutes >= 60)
		snprintf(buf, DURATION_TEXT_MAX, "%s%" PRIu64 "h%" PRIu64 "m%s", sign, minutes / 60,
			 minutes % 60, seconds);
	else if (minutes)
		snprintf(buf, DURATION_TEXT_MAX, "%s%" PRIu64 "m%s", sign, minutes, seconds);
	else
		snprintf(buf, DURATION_TEXT_MAX, "%s%s", sign, seconds);
	return buf;
}

/* ---- modes, CPUs ----------------------------------------------------------------------- */
int units_mode(const char *text, uint32_t *mode, struct err *e)
{
	const char *s = text;
	uint32_t v = 0;

	if (s[0] == '0' && (s[1] == 'o' || s[1] == 'O'))
		s += 2;
	if (!*s)
		return err_set(e, EINVAL, "invalid mode: '%.*s'", TEXT_MAX, text);
	for (; *s; s++) {
		if (*s < '0' || *s > '7' || (v = v * 8 + (uint32_t)(*s - '0')) > 07777)
			return err_set(e, EINVAL, "invalid mode: '%.*s'", TEXT_MAX, text);
	}
	*mode = v;
	return 0;
}

int units_cpus(const char *text, int64_t *nano, struct err *e)
{
	double v;

	if (!parse_decimal(text, strlen(text), &v) || v < 0 || v > 1e9)
		return err_set(e, EINVAL, "invalid number of CPUs: '%.*s'", TEXT_MAX, text);
	*nano = (int64_t)(v * 1e9 + 0.5);
	return 0;
}
