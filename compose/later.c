/* compose/later.c: what is not acted on yet, from the key table; see later.h.
 *
 * The model and the table are walked side by side, as everywhere.  A key that many
 * services use is one warning, at its first place: found keys are kept by their row.
 */
#include "compose/later.h"

#include "base/util.h"
#include "compose/keys.h"
#include "compose/spot.h"

struct found {
	const struct key *k;
	const struct node *first;
	char path[SPOT_TEXT_MAX];
	size_t more; /* further places */
};

struct search {
	struct found *v;
	size_t n;
};

static bool is_later(const struct key *k)
{
	return k->flags & (KF_LATER | KF_SWARM);
}

static void add(struct search *s, const struct node *n, const struct key *k, const struct spot *at)
{
	struct found *f;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].k == k) {
			s->v[i].more++;
			return;
		}
	s->v = xreallocarray(s->v, s->n + 1, sizeof(*s->v));
	f = &s->v[s->n++];
	*f = (struct found){ .k = k, .first = n };
	spot_text(at, f->path);
}

static void walk(struct search *s, const struct node *n, const struct key *k, const struct spot *at)
{
	if (!n || n->kind == NODE_NULL || !k || k == &key_extension)
		return;
	if (is_later(k) || (k->acts && n->text && !key_choice_has(k->acts, n->text))) {
		add(s, n, k, at);
		return;
	}
	for (size_t i = 0; n->kind == NODE_MAP && i < n->n; i++) {
		struct spot sub = SPOT_KEY(at, n->entries[i].key);

		walk(s, n->entries[i].value, key_child(k, n->entries[i].key), &sub);
	}
	for (size_t i = 0; n->kind == NODE_SEQ && i < n->n; i++) {
		struct spot sub = SPOT_ITEM(at, i);

		walk(s, n->items[i], key_item(k), &sub);
	}
}

static void warn(const struct found *f, struct diag *diag)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	buf_printf(&text, "%s: this version of comp does not act on ", f->path);
	if (is_later(f->k))
		buf_adds(&text, "it");
	else
		buf_printf(&text, "\"%s\"", f->first->text);
	if (f->more)
		buf_printf(&text, ", here and in %zu more place%s", f->more,
			   f->more == 1 ? "" : "s");
	diag_warn(diag, f->first, "%s", buf_str(&text));
}

void later_warn(const struct project *p, struct diag *diag)
{
	struct search s = { 0 };
	struct spot top = SPOT_TOP;

	walk(&s, p->model, &key_root, &top);
	for (size_t i = 0; i < s.n; i++)
		warn(&s.v[i], diag);
	free(s.v);
}

/* ---- the list ------------------------------------------------------------------- */
struct listing {
	struct buf *out;
	char *last; /* the last path listed whole: what is below it needs no line */
};

static void list(const char *path, const struct key *k, void *data)
{
	struct listing *l = data;
	const char *below = l->last ? skip_prefix(path, l->last) : NULL;

	if (below && *below == '.')
		return;
	if (is_later(k)) {
		buf_printf(l->out, "%s\n", path);
		str_set(&l->last, path);
	} else if (k->acts) {
		buf_printf(l->out, "%s other than ", path);
		for (const char *p = k->acts; *p; p++)
			buf_printf(l->out, "%.*s", *p == '|' ? 2 : 1, *p == '|' ? ", " : p);
		buf_addc(l->out, '\n');
	}
}

void later_list(struct buf *out)
{
	struct listing l = { .out = out };

	key_walk(list, &l);
	free(l.last);
}
