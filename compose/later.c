/* compose/later.c: what is not acted on yet, from the key table; see later.h. */
#include "compose/later.h"

#include "compose/keys.h"
#include "compose/spot.h"

static void walk(const struct node *n, const struct key *k, const struct spot *at,
		 struct diag *diag)
{
	char path[SPOT_TEXT_MAX];

	if (!n || n->kind == NODE_NULL || !k || k == &key_extension)
		return;
	if (k->flags & KF_LATER) {
		diag_warn(diag, n, "%s: this version of comp does not act on it",
			  spot_text(at, path));
		return;
	}
	for (size_t i = 0; n->kind == NODE_MAP && i < n->n; i++) {
		struct spot sub = SPOT_KEY(at, n->entries[i].key);

		walk(n->entries[i].value, key_child(k, n->entries[i].key), &sub, diag);
	}
	for (size_t i = 0; n->kind == NODE_SEQ && i < n->n; i++) {
		struct spot sub = SPOT_ITEM(at, i);

		walk(n->items[i], key_item(k), &sub, diag);
	}
}

void later_warn(const struct project *p, struct diag *diag)
{
	struct spot top = SPOT_TOP;

	walk(p->model, &key_root, &top, diag);
}

static void list(const char *path, const struct key *k, void *data)
{
	if (k->flags & KF_LATER)
		buf_printf(data, "%s\n", path);
}

void later_list(struct buf *out)
{
	key_walk(list, out);
}
