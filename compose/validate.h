/* compose/validate.h: is this a Compose file? */
#ifndef COMPOSE_VALIDATE_H
#define COMPOSE_VALIDATE_H

#include "compose/diag.h"
#include "compose/keys.h"
#include "compose/spot.h"

/* Check a merged tree, short forms still in it, against the key table: unknown and
 * missing keys, types, choices, patterns, ranges, repeated items.  All complaints go
 * to @diag, in Docker Compose's words.  -EINVAL when there was one. */
int validate_schema(const struct node *root, struct diag *diag);

/* The same for one value, described by @key, at path @at. */
int validate_part(const struct node *n, const struct key *key, const struct spot *at,
		  struct diag *diag);

/* What a schema cannot say, on the canonical tree: sources of secrets and configs,
 * `external` beside other keys, addresses, empty watch paths, count and device_ids. */
int validate_values(const struct node *root, struct diag *diag);

#endif
