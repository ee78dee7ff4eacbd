/* engine/build/shell_pattern.h: the patterns of ${x#p} ${x%p} ${x/p/w}.
 *
 * `*` is any run of characters, '/' included, `?` one; the escape character quotes
 * them, itself, '}' and '/'.  There are no brackets.
 */
#ifndef ENGINE_BUILD_SHELL_PATTERN_H
#define ENGINE_BUILD_SHELL_PATTERN_H

#include "base/err.h"

/* What is left of @value without the part at its begin (end with @suffix) that
 * matches: the shortest one, or the longest when @pattern begins with a second # or
 * %.  *out is freed by the caller.  -EINVAL: a bad escape in the pattern. */
int shell_pattern_trim(const char *pattern, char escape, const char *value, bool suffix, char **out,
		       struct err *e);
/* The first match, or with @all each one, gives way to @word; matches are as long
 * as can be.  -E2BIG when that takes too long or gives too much. */
int shell_pattern_replace(const char *pattern, char escape, const char *value, const char *word,
			  bool all, char **out, struct err *e);

#endif
