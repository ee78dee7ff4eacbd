/* cli/humanize.c: numbers for people, with Docker's thresholds, since scripts
 * and eyes are used to "About a minute" and "1.09GB".
 */
#include "cli/humanize.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

char *human_duration(uint64_t ns, char buf[HUMAN_MAX])
{
	unsigned long long s = ns / NSEC_PER_SEC, m = s / 60;
	/* Hours round to the nearest, all other units are cut. */
	unsigned long long h = (s + 1800) / 3600;

	if (s < 1)
		snprintf(buf, HUMAN_MAX, "Less than a second");
	else if (s == 1)
		snprintf(buf, HUMAN_MAX, "1 second");
	else if (s < 60)
		snprintf(buf, HUMAN_MAX, "%llu seconds", s);
	else if (m == 1)
		snprintf(buf, HUMAN_MAX, "About a minute");
	else if (m < 60)
		snprintf(buf, HUMAN_MAX, "%llu minutes", m);
	else if (h == 1)
		snprintf(buf, HUMAN_MAX, "About an hour");
	else if (h < 48)
		snprintf(buf, HUMAN_MAX, "%llu hours", h);
	else if (h < 24 * 7 * 2)
		snprintf(buf, HUMAN_MAX, "%llu days", h / 24);
	else if (h < 24 * 30 * 2)
		snprintf(buf, HUMAN_MAX, "%llu weeks", h / 24 / 7);
	else if (h < 24 * 365 * 2)
		snprintf(buf, HUMAN_MAX, "%llu months", h / 24 / 30);
	else
		snprintf(buf, HUMAN_MAX, "%llu years", s / 3600 / 24 / 365);
	return buf;
}

char *human_ago(uint64_t real_ns, char buf[HUMAN_MAX])
{
	uint64_t now = now_real_ns();

	if (!real_ns) {
		snprintf(buf, HUMAN_MAX, "N/A");
		return buf;
	}
	human_duration(now > real_ns ? now - real_ns : 0, buf);
	strcat(buf, " ago"); /* the longest text above leaves room */
	return buf;
}

static char *with_unit(uint64_t bytes, double base, const char *const units[7], int digits,
		       char buf[HUMAN_MAX])
{
	double v = (double)bytes;
	size_t i = 0;

	while (v >= base && i < 6) {
		v /= base;
		i++;
	}
	snprintf(buf, HUMAN_MAX, "%.*g%s", digits, v, units[i]);
	return buf;
}

static const char *const decimal_units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };

char *human_size(uint64_t bytes, char buf[HUMAN_MAX])
{
	return with_unit(bytes, 1000, decimal_units, 4, buf);
}

char *human_size_short(uint64_t bytes, char buf[HUMAN_MAX])
{
	return with_unit(bytes, 1000, decimal_units, 3, buf);
}

char *human_bytes(uint64_t bytes, char buf[HUMAN_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

	return with_unit(bytes, 1024, units, 4, buf);
}

char *human_time(uint64_t real_ns, char buf[HUMAN_MAX])
{
	time_t t = (time_t)(real_ns / NSEC_PER_SEC);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(buf, HUMAN_MAX, "%Y-%m-%d %H:%M:%S %z %Z", &tm);
	return buf;
}

/* ---- reading ---------------------------------------------------------------- */
static double unit_seconds(const char *s, size_t *len)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {
		{ "ns", 1e-9 }, { "us", 1e-6 }, { "\xc2\xb5s", 1e-6 }, { "ms", 1e-3 },
		{ "s", 1 },     { "m", 60 },    { "h", 3600 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (skip_prefix(s, units[i].name)) {
			*len = strlen(units[i].name);
			return units[i].seconds;
		}
	return 0;
}

int duration_parse(const char *text, int64_t *ns)
{
	const char *s = text;
	double total = 0;
	bool negative = *s == '-';
	uint64_t seconds;

	s += *s == '-' || *s == '+';
	if (parse_u64(s, &seconds) && seconds < INT64_MAX / NSEC_PER_SEC) {
		*ns = (int64_t)(seconds * NSEC_PER_SEC) * (negative ? -1 : 1);
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		double v, unit;
		size_t len;
		char *end;

		if (!isdigit((unsigned char)*s) && *s != '.')
			return -EINVAL;
		if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) /* strtod would take it */
			return -EINVAL;
		v = strtod(s, &end);
		unit = end == s ? 0 : unit_seconds(end, &len);
		if (unit == 0)
			return -EINVAL;
		total += v * unit;
		s = end + len;
	}
	if (total > 9e9)
		return -EINVAL;
	*ns = (int64_t)(total * 1e9 + 0.5) * (negative ? -1 : 1);
	return 0;
}

/* "2013-01-02", "2013-01-02T13:23", "2013-01-02T13:23:37" in local time. */
static bool parse_local(const char *text, uint64_t *out)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		char *end = strptime(text, forms[i], &tm);
		time_t t;

		if (!end || *end)
			continue;
		t = mktime(&tm);
		if (t < 0)
			return false;
		*out = (uint64_t)t * NSEC_PER_SEC;
		return true;
	}
	return false;
}

/* "1136073845.000000001": seconds since 1970. */
static bool parse_epoch(const char *text, uint64_t *out)
{
	size_t digits = strspn(text, "0123456789");
	char whole[21];
	uint64_t s, frac = 0, scale = NSEC_PER_SEC;

	if (!digits || digits >= sizeof(whole) || (text[digits] && text[digits] != '.'))
		return false;
	memcpy(whole, text, digits);
	whole[digits] = '\0';
	if (!parse_u64(whole, &s) || s > UINT64_MAX / NSEC_PER_SEC - 1)
		return false;
	for (const char *p = text + digits + (text[digits] == '.'); *p; p++) {
		if (!isdigit((unsigned char)*p))
			return false;
		scale /= 10;
		frac += (uint64_t)(*p - '0') * scale;
	}
	*out = s * NSEC_PER_SEC + frac;
	return true;
}

int time_point_parse(const char *text, uint64_t now_ns, uint64_t *out, struct err *e)
{
	int64_t before;

	if (parse_epoch(text, out) || time_parse(text, out) == 0 || parse_local(text, out))
		return 0;
	if (duration_parse(text, &before) == 0) {
		*out = before > 0 && (uint64_t)before > now_ns ? 0 : now_ns - (uint64_t)before;
		return 0;
	}
	err_set(e, EINVAL, "failed to parse value as time or duration: \"%s\"", text);
	return err_hint(e, "use a time (2026-01-02T13:23:37Z) or how long ago (42m)");
}
