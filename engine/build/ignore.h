/* engine/build/ignore.h: .dockerignore and NAME.dockerignore, and COPY --exclude.
 *
 * Patterns are Go's filepath.Match per component, plus `**` for any number of
 * components.  They are cleaned (`./a//b/`, `/a` and `a` are one).  The last
 * pattern that matches decides; `!pattern` takes back.  A pattern that matches a
 * directory matches all below it, unless a later `!` pattern says otherwise.
 * '#' begins a comment line.
 */
#ifndef ENGINE_BUILD_IGNORE_H
#define ENGINE_BUILD_IGNORE_H

#include "base/err.h"

#define IGNORE_MAX_SIZE     (1U << 20) /* bytes of the file */
#define IGNORE_MAX_PATTERNS 10000

struct ignore;

/* @text: the file's @n bytes; @name: what errors call it.  -EINVAL names the line. */
int ignore_parse(const char *name, const char *text, size_t n, struct ignore **out, struct err *e);
/* From patterns that stand alone (COPY --exclude=…); no comments. */
int ignore_new(char *const *patterns, struct ignore **out, struct err *e);
void ignore_free(struct ignore *i);
static inline void ignore_freep(struct ignore **i)
{
	ignore_free(*i);
}
bool ignore_empty(const struct ignore *i); /* true for NULL: nothing is ever ignored */

/* Is @path (relative to the context, '/' between parts, no leading "./") ignored?
 * Its parents are looked at too, so any path may be asked for on its own. */
bool ignore_match(const struct ignore *i, const char *path);
/* The line of the pattern that hides @path, as written; NULL: it is not hidden. */
const char *ignore_culprit(const struct ignore *i, const char *path);
/* For a walk: @dir is ignored; can something below it still be wanted (because of a
 * `!` pattern)?  If not, do not descend. */
bool ignore_may_hold_wanted(const struct ignore *i, const char *dir);

/* A walk without matching each parent again: @parent is the state of the directory
 * that holds @path (NULL at the top), *state comes out for what is below @path when
 * it is a directory.  Free with ignore_state_free(). */
struct ignore_state;
bool ignore_match_below(const struct ignore *i, const struct ignore_state *parent, const char *path,
			struct ignore_state **state);
void ignore_state_free(struct ignore_state *s);

#endif
