/* compose/translate_read.c: what every part of the translation reads with. */
#include "compose/translate_internal.h"

#include "base/strv.h"

char **translate_strings(const struct node *seq)
{
	char **v = NULL;

	if (!node_is(seq, NODE_SEQ))
		return node_is(seq, NODE_STRING) ? strv_split(seq->text, '\0', false) : NULL;
	v = xcalloc(1, sizeof(*v));
	for (size_t i = 0; i < seq->n; i++)
		if (seq->items[i]->text)
			strv_add(&v, seq->items[i]->text);
	return v;
}

char **translate_strings_of(const struct job *j, const char *key)
{
	return translate_strings(node_get(j->service, key));
}

/* {a: b} as "a=b"; null values are left out. */
char **translate_pairs(const struct node *map)
{
	char **v = NULL;

	for (size_t i = 0; node_is(map, NODE_MAP) && i < map->n; i++)
		if (map->entries[i].value->text)
			strv_addf(&v, "%s=%s", map->entries[i].key, map->entries[i].value->text);
	return v;
}

char *translate_string_of(const struct job *j, const char *key)
{
	const struct node *n = node_get(j->service, key);

	return n ? xstrdup_null(n->text) : NULL;
}

/* Full name of networks.KEY or volumes.KEY. */
const char *translate_full_name(const struct project *p, const char *section, const char *key)
{
	const struct node *n = node_get(project_section(p, section), key);
	const char *name = node_get_str(n, "name");

	return name ? name : arena_printf(p->arena, "%s_%s", p->name, key);
}
