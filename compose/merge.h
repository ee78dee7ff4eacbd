/* compose/merge.h: a later Compose file over an earlier one.
 *
 * Works on trees the caller owns and changes both of them: the result is made
 * of their nodes.  A value that replaced another points to it (node->replaced).
 */
#ifndef COMPOSE_MERGE_H
#define COMPOSE_MERGE_H

#include "compose/diag.h"
#include "compose/keys.h"
#include "compose/spot.h"

/* *out: @over laid over @base by the rules of the key table.  Either may be NULL.
 * -EINVAL "cannot override PATH". */
int merge_nodes(struct arena *a, struct node *base, struct node *over, const struct key *key,
		const struct spot *at, struct node **out, struct diag *diag);

/* Of items that are the same thing (same port, target, name) the last stays, in the
 * place of the first. */
int merge_unique(struct arena *a, struct node *tree, const struct key *key, const struct spot *at,
		 struct diag *diag);

/* ---- !reset and !override -------------------------------------------------------- */

/* Paths that a document wants gone from what was merged before it. */
struct resets {
	char ***paths; /* each a NULL-terminated vector of keys */
	size_t n;
};

/* Take !reset nodes out of a document (which the caller owns) and note the paths of
 * both tags.  All in the arena. */
void merge_take_resets(struct arena *a, struct node *doc, struct resets *out);
/* Remove those paths from @tree, whose own path is @prefix (NULL at the top). */
void merge_apply_resets(const struct resets *r, struct node *tree, const char *const *prefix);

/* "k=v" for one value of a mapping, as merging and rendering write it. */
const char *merge_pair(struct arena *a, const char *key, const struct node *value);
/* A scalar as Go prints it: 1.50 is "1.5", 0x10 is "16". */
const char *merge_scalar_text(struct arena *a, const struct node *n);

#endif
