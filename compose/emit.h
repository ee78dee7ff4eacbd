/* compose/emit.h: a node tree as YAML or JSON text, laid out as Go's libraries do.
 *
 * Mappings are written in the order they have; a NODE_FLOAT is a 32-bit one
 * where @single says so.
 */
#ifndef COMPOSE_EMIT_H
#define COMPOSE_EMIT_H

#include "base/buf.h"
#include "compose/node.h"

void emit_yaml(const struct node *n, struct buf *out); /* a document; ends with a newline */
/* @indent: spaces a level; 0 for one line without spaces.  No newline at the end. */
void emit_json(const struct node *n, int indent, struct buf *out);
void emit_json_string(const char *s, struct buf *out);
/* One scalar as YAML writes it inside of a block mapping, on one line. */
void emit_yaml_scalar(const struct node *n, struct buf *out);

/* Order of mapping keys in go-yaml: digits by their number, letters after the rest. */
int emit_compare_keys(const char *a, const char *b);

#endif
