/* base/util.h: the few macros and allocation calls everything uses.
 *
 * Allocation: the x*() calls never return NULL.  When memory is exhausted they
 * write one line to stderr and _exit(1).  comp is crash-only (every process may
 * die at any instruction and the next one recovers from disk), so exiting is
 * as safe as any error path would be, and far better tested.
 */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) _a = (a);                                                            \
		__typeof__(b) _b = (b);                                                            \
		_a < _b ? _a : _b;                                                                 \
	})
#define MAX(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) _a = (a);                                                            \
		__typeof__(b) _b = (b);                                                            \
		_a > _b ? _a : _b;                                                                 \
	})
/* signal(7): what a slow file system, or a socket, returns when a signal came. */
#define retry_eintr(call)                                                                          \
	({                                                                                         \
		__typeof__(call) _r;                                                               \
		do {                                                                               \
			_r = (call);                                                               \
		} while (_r < 0 && errno == EINTR);                                                \
		_r;                                                                                \
	})
#define _printf_(f, a) __attribute__((format(printf, f, a)))
#define _unused_       __attribute__((unused))

#define NSEC_PER_SEC  UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

/* Say so, and end: also for a library that returned NULL for want of memory. */
_Noreturn void out_of_memory(void);
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size); /* zeroed; checks n * size for overflow */
void *xrealloc(void *p, size_t n);
void *xreallocarray(void *p, size_t n, size_t size);
void *xmemdup(const void *p, size_t n);
char *xstrdup(const char *s);
char *xstrdup_null(const char *s); /* NULL stays NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) _printf_(1, 2);
char *xvasprintf(const char *fmt, va_list ap) _printf_(1, 0);

#define new0(T) ((T *)xcalloc(1, sizeof(T)))

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Equal, where NULL equals only NULL. */
static inline bool streq_null(const char *a, const char *b)
{
	return a == b || (a && b && streq(a, b));
}

/* The part of @s after @prefix, or NULL when @s does not start with it. */
static inline const char *skip_prefix(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static inline bool is_empty(const char *s)
{
	return !s || !*s;
}

/* Replace an owned string: frees *p, stores a copy of s (NULL allowed). */
void str_set(char **p, const char *s);

/* Decimal number, nothing around it; false when not, or out of range. */
bool parse_u64(const char *s, uint64_t *out);
bool parse_i64(const char *s, int64_t *out);

uint64_t now_mono_ns(void); /* CLOCK_MONOTONIC: for intervals and timers */
uint64_t now_real_ns(void); /* CLOCK_REALTIME: for timestamps only */

/* RFC 3339 in UTC with nanoseconds, e.g. 2026-11-20T12:00:00.000000000Z.
 * format: @buf needs TIME_TEXT_MAX bytes.  parse: also takes numeric zones and
 * fewer or no fraction digits; returns 0 or -EINVAL. */
#define TIME_TEXT_MAX 36
char *time_format(uint64_t real_ns, char *buf);
int time_parse(const char *text, uint64_t *real_ns);

/* Fill @buf with @n random bytes as 2n lower-case hex digits and a NUL. */
void random_hex(char *buf, size_t n);

/* Edit distance (insert, delete, replace, swap neighbours), for did-you-mean. */
unsigned int edit_distance(const char *a, const char *b);

/* The candidate nearest to @word if it is near enough to suggest, else NULL. */
const char *nearest_word(const char *word, const char *const *candidates, size_t n);

#endif
