/* base/util.c: allocation that exits when there is no memory, numbers, time. */
#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

_Noreturn void out_of_memory(void)
{
	static const char text[] = "comp: out of memory\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1); /* nowhere else to say it */
	_exit(1);
}

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xreallocarray(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n ? n : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xmemdup(const void *p, size_t n)
{
	void *copy = xmalloc(n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

char *xstrdup_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = xmalloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		out_of_memory();
	return s;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

void str_set(char **p, const char *s)
{
	char *copy = xstrdup_null(s); /* first: @s may point into *p */

	free(*p);
	*p = copy;
}

bool parse_u64(const char *s, uint64_t *out)
{
	unsigned long long v;
	char *end;

	if (*s < '0' || *s > '9')
		return false; /* strtoull(3) would take spaces and signs */
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *end)
		return false;
	*out = v;
	return true;
}

bool parse_i64(const char *s, int64_t *out)
{
	bool negative = *s == '-';
	uint64_t v;

	if (!parse_u64(s + negative, &v))
		return false;
	if (v > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(~v + 1) : (int64_t)v;
	return true;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts); /* cannot fail for these clocks */
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t now_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t now_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

char *time_format(uint64_t real_ns, char *buf)
{
	time_t sec = (time_t)(real_ns / NSEC_PER_SEC);
	struct tm tm;
	size_t n;

	gmtime_r(&sec, &tm);
	n = strftime(buf, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, TIME_TEXT_MAX - n, ".%09uZ", (unsigned int)(real_ns % NSEC_PER_SEC));
	return buf;
}

int time_parse(const char *text, uint64_t *real_ns)
{
	struct tm tm = { 0 };
	uint64_t frac = 0;
	int64_t sec, zone = 0;
	const char *p;

	p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!p)
		return -EINVAL;
	if (*p == '.') {
		uint64_t unit = NSEC_PER_SEC / 10;

		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
			frac += (uint64_t)(*p - '0') * unit;
	}
	if (*p == 'Z') {
		p++;
	} else if (*p == '+' || *p == '-') {
		unsigned int h, m;
		int used = 0;

		if (sscanf(p + 1, "%2u:%2u%n", &h, &m, &used) != 2 || used != 5)
			return -EINVAL;
		zone = (int64_t)(h * 3600 + m * 60) * (*p == '-' ? -1 : 1);
		p += 1 + used;
	}
	if (*p)
		return -EINVAL;
	sec = timegm(&tm) - zone;
	if (sec < 0 || (uint64_t)sec >= UINT64_MAX / NSEC_PER_SEC)
		return -EINVAL; /* before 1970, or after July 2554: no uint64_t for it */
	*real_ns = (uint64_t)sec * NSEC_PER_SEC + frac;
	return 0;
}

void random_hex(char *buf, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char byte;

	for (size_t i = 0; i < n; i++) {
		/* getrandom(2) of one byte cannot fail once the pool is up. */
		while (getrandom(&byte, 1, 0) != 1)
			;
		buf[2 * i] = digits[byte >> 4];
		buf[2 * i + 1] = digits[byte & 15];
	}
	buf[2 * n] = '\0';
}

/* Words longer than this are never offered a suggestion. */
#define EDIT_MAX 64

unsigned int edit_distance(const char *a, const char *b)
{
	/* Optimal string alignment, three rolling rows. */
	unsigned int rows[3][EDIT_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > EDIT_MAX || m > EDIT_MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned int *cur = rows[i % 3], *prev = rows[(i + 2) % 3],
			     *prev2 = rows[(i + 1) % 3];

		cur[0] = (unsigned int)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned int best = prev[j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, prev[j] + 1);
			best = MIN(best, cur[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, prev2[j - 2] + 1);
			cur[j] = best;
		}
	}
	return rows[n % 3][m];
}

const char *nearest_word(const char *word, const char *const *candidates, size_t n)
{
	unsigned int limit = (unsigned int)MIN(strlen(word) / 3 + 1, (size_t)3), best = limit + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned int d = edit_distance(word, candidates[i]);

		if (d < best && d < strlen(candidates[i])) {
			best = d;
			found = candidates[i];
		}
	}
	return found;
}
