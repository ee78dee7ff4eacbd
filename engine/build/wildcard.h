/* engine/build/wildcard.h: wildcards of COPY and ADD sources and of ignore patterns.
 *
 * Go's filepath.Match: `*` and `?` do not match '/', [a-z], [^a-z], `\` quotes.
 * With @deep, `**` also matches any number of components (COPY --parents, ignore
 * patterns).  Bytes that are not UTF-8 match themselves alone.
 */
#ifndef ENGINE_BUILD_WILDCARD_H
#define ENGINE_BUILD_WILDCARD_H

#include "base/err.h"

/* A pattern made ready to be matched many times; matching takes time in the product
 * of both lengths at most, so no pattern can hang.  @deep as above. -EINVAL as
 * wildcard_check(). */
struct wildcard;
int wildcard_new(const char *pattern, bool deep, struct wildcard **out, struct err *e);
void wildcard_free(struct wildcard *w);
static inline void wildcard_freep(struct wildcard **w)
{
	wildcard_free(*w);
}
bool wildcard_test(const struct wildcard *w, const char *name);

/* Does @name match as a whole?  False also for a bad pattern. */
bool wildcard_match(const char *pattern, const char *name);
bool wildcard_match_deep(const char *pattern, const char *path);
/* Are there wildcards in it at all?  (A plain path is looked up, not searched.) */
bool wildcard_is_pattern(const char *s);
/* -EINVAL: an open [, an empty range, a `\` at the end. */
int wildcard_check(const char *pattern, struct err *e);
/* A path in which every special character is quoted; caller frees. */
char *wildcard_quote(const char *path);
/* Leading components without wildcards: how deep a search must start, e.g. "a/b"
 * of "a/b/ *.c" (without the blank), "" when the first has one.  Caller frees. */
char *wildcard_fixed_part(const char *pattern);

#endif
