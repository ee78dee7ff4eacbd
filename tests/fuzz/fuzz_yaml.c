/* Any bytes as a Compose file: no crash, no tree without positions, and a file
 * that loads is read the same way twice. */
#include <assert.h>
#include <stdlib.h>

#include "compose/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct node *n, int depth)
{
	assert(depth <= YAML_MAX_DEPTH * 2); /* aliases may stack two full heights at most */
	assert(n->line > 0 && n->col > 0 && n->file);
	assert(n->kind == NODE_NULL || n->kind == NODE_SEQ || n->kind == NODE_MAP || n->text);
	for (size_t i = 0; n->kind == NODE_SEQ && i < n->n; i++)
		check(n->items[i], depth + 1);
	for (size_t i = 0; n->kind == NODE_MAP && i < n->n; i++) {
		assert(n->entries[i].key && n->entries[i].line > 0);
		assert(node_get(n, n->entries[i].key) == n->entries[i].value);
		check(n->entries[i].value, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct yaml_docs docs, again;
	struct err e = ERR_INIT;
	int r = yaml_load(a, "fuzz.yaml", (const char *)data, size, &docs, &e);

	if (r < 0) {
		assert(e.msg[0] && e.line > 0 && e.col > 0);
	} else {
		assert(docs.n > 0);
		r = yaml_load(a, "fuzz.yaml", (const char *)data, size, &again, NULL);
		assert(r == 0 && again.n == docs.n);
		for (size_t i = 0; i < docs.n; i++) {
			check(docs.roots[i], 0);
			assert(node_equal(docs.roots[i], again.roots[i]));
			assert(node_equal(docs.roots[i], node_copy(a, docs.roots[i])));
		}
	}
	arena_free(a);
	return 0;
}
