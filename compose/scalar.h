/* compose/scalar.h: what type a YAML scalar has; for yaml.c. */
#ifndef COMPOSE_SCALAR_H
#define COMPOSE_SCALAR_H

#include "base/err.h"
#include "compose/node.h"

/* Fill kind, text and value of @n from the text of a plain scalar. */
void scalar_resolve(struct arena *a, struct node *n, const char *text, size_t length);
/* Make @n the string. */
void scalar_string(struct arena *a, struct node *n, const char *text, size_t length);
/* By a full tag, "tag:yaml.org,2002:int" and so on; unknown tags make strings.
 * -EINVAL: "cannot decode !!str `abc` as a !!int". */
int scalar_resolve_tagged(struct arena *a, struct node *n, const char *tag, const char *text,
			  size_t length, struct err *e);
/* True when scalar_resolve() would make it a string; otherwise kind and value
 * (not the text) of @n are set. */
bool scalar_is_string(const char *text, size_t length, struct node *n);
/* True when every YAML reader, old ones too, takes it for that string. */
bool scalar_is_safe(const char *text);

#endif
