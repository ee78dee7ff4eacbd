/* compose/interpolate.h: ${VARIABLES} in values.
 *
 *	$V ${V}			value; empty and a warning when unset
 *	${V:-d} ${V-d}		d when unset or empty / when unset
 *	${V:?e} ${V?e}		error e when unset or empty / when unset
 *	${V:+r} ${V+r}		r when set and not empty / when set, else the value
 *	$$			a dollar
 *
 * d, e and r are templates themselves, looked at only when they are needed.  A
 * dollar before anything else stays ("$1", "$(x)", "$ "); "${" that does not
 * start one of these forms is an error.
 */
#ifndef COMPOSE_INTERPOLATE_H
#define COMPOSE_INTERPOLATE_H

#include "base/err.h"
#include "compose/node.h"

#define INTERP_MAX_DEPTH 50          /* templates inside each other */
#define INTERP_MAX_SIZE  (1u << 20)  /* bytes one value may grow to */
#define INTERP_MAX_TOTAL (64u << 20) /* bytes all replaced values of a tree may grow to */

struct interp_value {
	const char *value;  /* NULL: not set.  Must live as long as the arena */
	const char *origin; /* where it came from: ".env:3", "environment"; may be NULL */
};

/* Where values come from and who hears about the others. */
struct interp_vars {
	struct interp_value (*lookup)(const char *name, void *data);
	/* Called for every use of an unset variable without a default; the
	 * caller keeps the set of those it told the user about already.  The
	 * user's text: The "V" variable is not set. Defaulting to a blank string.
	 * @at: the node (tree) or NULL (text).  May be NULL. */
	void (*warn)(const char *name, const struct node *at, void *data);
	void *data;
};

/* One template.
 * *out: the text, in @a; the template's own pointer when nothing was replaced
 * *origin (may be NULL): "${V} from .env:3", several joined by ", "; NULL when
 *       no variable took part
 * Return: 0; -EINVAL with "required variable V is missing a value[: e]" or
 * "Invalid template: \"…\"" (interpolate_is_template_error() tells them apart).
 */
int interpolate_text(struct arena *a, const char *template, const struct interp_vars *vars,
		     const char **out, const char **origin, struct err *e);
bool interpolate_is_template_error(const struct err *e);

/* ---- trees ------------------------------------------------------------------ */

/* Where in the tree: keys from the top; items of a sequence are "[]", as in
 * { "services", "web", "ports", "[]", "target" }. */
struct interp_path {
	const char *const *parts;
	size_t n;
};
/* Does @p match "services.*.ports.[].target"?  `*` is any one part. */
bool interp_path_matches(const struct interp_path *p, const char *pattern);

/* Re-read the string @n (after substitution; also called for strings without
 * variables) by the type that @path has.  *out starts as @n; set it to a new
 * node to change the type.  The position and origin of @n are put on a new
 * node by the caller.  Error texts are wrapped as "error while interpolating
 * PATH: failed to cast to expected type: …". */
typedef int (*interp_cast_fn)(struct arena *a, const struct interp_path *path, struct node *n,
			      struct node **out, void *data, struct err *e);

/* Replace variables in all string values below @in (not in keys).
 * @cast: may be NULL.  @cast_data: for it alone
 * @at: the path of @in itself, for errors and casts; NULL at the top
 * Return: 0 and *out, which shares every unchanged sub-tree with @in; @in is
 * untouched.  -EINVAL with "invalid interpolation format for PATH.\nYou may need
 * to escape any $ with another $.\nTEMPLATE" or "error while interpolating PATH: …"
 * and the value's position.
 */
int interpolate_tree(struct arena *a, const struct node *in, const struct interp_path *at,
		     const struct interp_vars *vars, interp_cast_fn cast, void *cast_data,
		     struct node **out, struct err *e);

/* ---- config --variables ------------------------------------------------------ */
struct interp_use {
	const char *name;
	bool required;
	const char *default_value; /* "" when none */
	const char *alternate;     /* of :+ and +; "" when none */
};

/* Every variable that the values below @in name, taken or not, sorted by name.
 * What several mentions say is put together: required if any says so, and the
 * first default and alternate.  In @a. */
void interpolate_uses(struct arena *a, const struct node *in, struct interp_use **out, size_t *n);

#endif
