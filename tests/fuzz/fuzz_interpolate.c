/* Any text as a template: expanded, listed, and as a value in a tree. */
#include <assert.h>
#include <stdlib.h>

#include "compose/interpolate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct interp_value lookup(const char *name, void *data)
{
	(void)data;
	if (streq(name, "A"))
		return (struct interp_value){ "value of ${A}", ".env:1" };
	return (struct interp_value){ streq(name, "E") ? "" : NULL, NULL };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct interp_vars vars = { .lookup = lookup };
	struct arena *a = arena_new();
	const char *text = arena_strndup(a, size ? (const char *)data : "", size);
	struct node *map = node_map(a), *out_tree;
	const char *out = NULL, *origin;
	struct err e = ERR_INIT;
	struct interp_use *uses;
	size_t n;
	int r = interpolate_text(a, text, &vars, &out, &origin, &e);

	assert(r == 0 || e.msg[0]);
	node_put(a, map, "key", node_str(a, text));
	assert((interpolate_tree(a, map, NULL, &vars, NULL, NULL, &out_tree, &e) < 0) == (r < 0));
	if (r == 0)
		assert(streq(node_get_str(out_tree, "key"), out));
	interpolate_uses(a, map, &uses, &n);
	for (size_t i = 1; i < n; i++)
		assert(strcmp(uses[i - 1].name, uses[i].name) < 0);
	arena_free(a);
	return 0;
}
