/* A node tree as one line of text, for comparing in tests:
 * {a: 1, b: "s", c: [true, ~, 1.5]}; tags and positions on demand. */
#ifndef TESTS_DUMP_H
#define TESTS_DUMP_H

#include "base/buf.h"
#include "compose/node.h"

static inline void dump_node(struct buf *b, const struct node *n, bool positions)
{
	if (positions)
		buf_printf(b, "@%d:%d ", n->line, n->col);
	if (n->tag != TAG_NONE)
		buf_adds(b, n->tag == TAG_RESET ? "!reset " : "!override ");
	switch (n->kind) {
	case NODE_NULL:
		buf_adds(b, "~");
		break;
	case NODE_STRING:
		buf_printf(b, "\"%s\"", n->text);
		break;
	case NODE_BOOL:
		buf_adds(b, n->boolean ? "true" : "false");
		break;
	case NODE_INT:
		buf_printf(b, "%lld", (long long)n->integer);
		break;
	case NODE_FLOAT:
		buf_printf(b, "f%g", n->real);
		break;
	case NODE_SEQ:
		buf_addc(b, '[');
		for (size_t i = 0; i < n->n; i++) {
			buf_adds(b, i ? ", " : "");
			dump_node(b, n->items[i], positions);
		}
		buf_addc(b, ']');
		break;
	case NODE_MAP:
		buf_addc(b, '{');
		for (size_t i = 0; i < n->n; i++) {
			buf_printf(b, "%s%s", i ? ", " : "", n->entries[i].key);
			if (positions)
				buf_printf(b, "@%d:%d", n->entries[i].line, n->entries[i].col);
			buf_adds(b, ": ");
			dump_node(b, n->entries[i].value, positions);
		}
		buf_addc(b, '}');
		break;
	}
}

#endif
