/* compose/number.c: shortest decimal text of a float; see number.h.
 *
 * printf(3) with growing precision until the text reads back as the same
 * number; then the digits are laid out by the rules of strconv.FormatFloat().
 */
#include "compose/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct decimal {
	char digits[24]; /* no trailing zeros */
	int n, exp;      /* value = d.ddd × 10^exp */
	bool negative;
};

static void shortest(double v, bool single, struct decimal *d)
{
	char buf[40], *e;

	for (int precision = 0; precision < 17; precision++) {
		snprintf(buf, sizeof(buf), "%.*e", precision, fabs(v));
		if (single ? strtof(buf, NULL) == (float)fabs(v) : strtod(buf, NULL) == fabs(v))
			break;
	}
	d->negative = signbit(v);
	e = strchr(buf, 'e');
	d->exp = atoi(e + 1);
	d->n = 0;
	for (char *p = buf; p < e && d->n < 20; p++)
		if (*p != '.')
			d->digits[d->n++] = *p;
	while (d->n > 1 && d->digits[d->n - 1] == '0')
		d->n--;
	d->digits[d->n] = '\0';
}

static void exponent_form(const struct decimal *d, char *buf)
{
	snprintf(buf, NUMBER_TEXT_MAX, "%s%c%s%se%c%02d", d->negative ? "-" : "", d->digits[0],
		 d->n > 1 ? "." : "", d->digits + 1, d->exp < 0 ? '-' : '+', abs(d->exp));
}

static void plain_form(const struct decimal *d, char *buf)
{
	char *p = buf;

	if (d->negative)
		*p++ = '-';
	if (d->exp < 0) {
		p += sprintf(p, "0.");
		for (int i = -1; i > d->exp; i--)
			*p++ = '0';
		sprintf(p, "%s", d->digits);
		return;
	}
	for (int i = 0; i <= MAX(d->exp, d->n - 1); i++) {
		if (i == d->exp + 1)
			*p++ = '.';
		*p++ = i < d->n ? d->digits[i] : '0';
	}
	*p = '\0';
}

char *number_text(double v, bool single, char buf[NUMBER_TEXT_MAX])
{
	struct decimal d;

	if (isnan(v) || isinf(v)) {
		snprintf(buf, NUMBER_TEXT_MAX, "%s", isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf");
		return buf;
	}
	shortest(v, single, &d);
	if (d.exp < -4 || d.exp >= 6)
		exponent_form(&d, buf);
	else
		plain_form(&d, buf);
	return buf;
}

char *number_json(double v, bool single, char buf[NUMBER_TEXT_MAX])
{
	struct decimal d;

	if (isnan(v) || isinf(v)) {
		snprintf(buf, NUMBER_TEXT_MAX, "null");
		return buf;
	}
	shortest(v, single, &d);
	if (v != 0 && (d.exp < -6 || d.exp >= 21)) {
		exponent_form(&d, buf);
		/* encoding/json writes e-9 for e-09. */
		if (d.exp < 0 && d.exp > -10)
			memmove(strchr(buf, 'e') + 2, strchr(buf, 'e') + 3, 2);
	} else {
		plain_form(&d, buf);
	}
	return buf;
}
