/* compose/bind.h: canonical values in their final types. */
#ifndef COMPOSE_BIND_H
#define COMPOSE_BIND_H

#include "compose/diag.h"
#include "compose/keys.h"
#include "compose/spot.h"

/* Give every value below @n (canonical, the caller's own) the type its row says:
 * durations and sizes in canonical text, lists of pairs as mappings, commands as
 * lists, numbers as numbers.  *out is NULL for what has no place in the model. */
int bind_node(struct arena *a, struct node *n, const struct key *key, const struct spot *at,
	      struct node **out, struct diag *diag);

#endif
