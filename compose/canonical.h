/* compose/canonical.h: short forms written out. */
#ifndef COMPOSE_CANONICAL_H
#define COMPOSE_CANONICAL_H

#include "compose/diag.h"
#include "compose/keys.h"
#include "compose/spot.h"

/* Bring @tree (the caller's own) and all below it into long form, by the key table.
 * @lenient: leave what does not parse as it is (--no-interpolate: it may hold
 * variables).  -EINVAL with Docker Compose's words and the position. */
int canonicalize(struct arena *a, struct node **tree, const struct key *key, const struct spot *at,
		 bool lenient, struct diag *diag);

/* Defaults that are written into the model once all files are merged. */
void set_defaults(struct arena *a, struct node *root);

#endif
