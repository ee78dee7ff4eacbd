/* compose/values.c: see values.h. */
#include "compose/values.h"

#include "compose/units.h"

static const char *scalar(const struct node *map, const char *key)
{
	const struct node *n = node_get(map, key);

	return n && n->kind != NODE_SEQ && n->kind != NODE_MAP && n->kind != NODE_NULL ? n->text
										       : NULL;
}

int64_t value_int(const struct node *map, const char *key, int64_t fallback)
{
	const struct node *n = node_get(map, key);
	const char *text = scalar(map, key);
	int64_t v;

	if (node_is(n, NODE_INT))
		return n->integer;
	return text && parse_i64(text, &v) ? v : fallback;
}

int64_t value_bytes(const struct node *map, const char *key, int64_t fallback)
{
	const struct node *n = node_get(map, key);
	const char *text = scalar(map, key);
	int64_t v;

	if (node_is(n, NODE_INT))
		return n->integer;
	return text && units_bytes(text, &v, NULL) == 0 ? v : fallback;
}

uint64_t value_duration(const struct node *map, const char *key, uint64_t fallback)
{
	const char *text = scalar(map, key);
	int64_t ns;

	return text && units_duration(text, &ns, NULL) == 0 && ns >= 0 ? (uint64_t)ns : fallback;
}

int64_t value_cpus(const struct node *map, const char *key)
{
	const struct node *n = node_get(map, key);
	const char *text = scalar(map, key);
	int64_t nano;

	if (node_is(n, NODE_FLOAT))
		return (int64_t)(n->real * 1e9 + 0.5);
	if (node_is(n, NODE_INT))
		return n->integer * 1000000000;
	return text && units_cpus(text, &nano, NULL) == 0 ? nano : 0;
}

uint32_t value_mode(const struct node *map, const char *key, uint32_t fallback)
{
	const struct node *n = node_get(map, key);
	const char *text = scalar(map, key);
	uint32_t mode;

	if (node_is(n, NODE_INT))
		return (uint32_t)n->integer;
	return text && units_mode(text, &mode, NULL) == 0 ? mode : fallback;
}
