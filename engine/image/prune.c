/* engine/image/prune.c: which images may go, and what that frees.
 *
 * What is looked at, decided and removed happens under one hold of the lock, so a name
 * given meanwhile keeps its image.  A dry run does the same and stops before the first
 * effect; between it and the real thing the world may change, and the real thing decides.
 */
#include <sys/file.h>

#include "base/map.h"
#include "base/strv.h"
#include "engine/image/ref.h"
#include "engine/image/steps.h"
#include "engine/image/store_internal.h"

struct pruning {
	struct store *s;
	const struct prune_options *o;
	store_in_use_fn in_use;
	void *data;
	struct ref_list refs;
	struct map chosen; /* ids */
};

static bool has_tag(const struct ref_list *refs, const char *id)
{
	for (size_t i = 0; i < refs->n; i++)
		if (streq(refs->items[i].id, id) && !strchr(refs->items[i].ref, '@'))
			return true;
	return false;
}

/* "KEY" or "KEY=VALUE" */
static bool label_matches(char *const *labels, const char *want)
{
	return strchr(want, '=') ? strv_has(labels, want) : strv_env_get(labels, want) != NULL;
}

static int labels_pass(const struct pruning *p, const char *id, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct image_config c = { 0 };
	int r = 0, pass = 1;

	if (!p->o->labels && !p->o->not_labels)
		return 1;
	r = store_read_blob(p->s, id, &text, e);
	if (r == 0)
		r = image_config_parse(buf_str(&text), text.len, &c, e);
	if (r < 0)
		return err_wrap(e, r, "image %s", id);
	STRV_FOREACH (l, p->o->labels)
		pass &= label_matches(c.labels, *l);
	STRV_FOREACH (l, p->o->not_labels)
		pass &= !label_matches(c.labels, *l);
	image_config_done(&c);
	return pass;
}

/* 1: it goes; digests alone do not keep an image: nobody chose them. */
static int decide(const struct pruning *p, const char *id, struct err *e)
{
	struct image_record rec;
	int r;

	if (!p->o->all && has_tag(&p->refs, id))
		return 0;
	r = image_record_read(p->s, id, &rec, e);
	if (r < 0)
		return r;
	r = p->o->until && rec.created >= p->o->until ? 0 : 1;
	image_record_done(&rec);
	if (r == 1)
		r = labels_pass(p, id, e);
	if (r == 1 && p->in_use) {
		int used = p->in_use(p->data, id, e);

		r = used < 0 ? used : !used;
		if (used > 0 && e)
			*e = ERR_INIT;
	}
	return r;
}

static int choose(struct pruning *p, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	int r = ref_list_read(p->s, &p->refs, NULL, e);

	if (r == 0)
		r = store_names(p->s, "images", &names, e);
	if (names)
		strv_sort(names);
	for (char **n = names; r >= 0 && n && *n; n++) {
		_cleanup_(free_p) char *id = xasprintf("sha256:%s", *n);

		if (!digest_is_valid(id))
			continue;
		r = decide(p, id, e);
		if (r > 0)
			map_put(&p->chosen, id, NULL);
	}
	return MIN(r, 0);
}

static int preview(const struct pruning *p, struct removed *out, struct err *e)
{
	_cleanup_(map_done) struct map needed = MAP_INIT;
	int r;

	MAP_FOREACH (m, &p->chosen) {
		bool named = false;

		for (size_t i = 0; i < p->refs.n; i++) {
			if (!streq(p->refs.items[i].id, m->key))
				continue;
			strv_add_take(&out->untagged, ref_shorten(p->refs.items[i].ref));
			named = true;
		}
		if (!named)
			strv_add(&out->untagged, m->key);
		strv_add(&out->deleted, m->key);
	}
	r = store_mark(p->s, &p->chosen, !p->o->cache, &needed, e);
	return r == 0 ? store_unneeded_bytes(p->s, &needed, &out->freed, e) : r;
}

static int remove_chosen(const struct pruning *p, struct removed *out, struct err *e)
{
	size_t n = 0;
	int r = p->o->cache ? steps_forget(p->s, p->o->until ?: UINT64_MAX, &n, e) : 0;

	MAP_FOREACH (m, &p->chosen) {
		for (size_t i = 0; r == 0 && i < p->refs.n; i++)
			if (streq(p->refs.items[i].id, m->key))
				r = store_untag(p->s, p->refs.items[i].ref, out, e);
		if (r == 0)
			r = store_delete_record(p->s, m->key, out, e);
		if (r < 0)
			return r;
	}
	return r;
}

int store_prune(struct store *s, const struct prune_options *o, store_in_use_fn in_use, void *data,
		struct removed *out, struct err *e)
{
	struct pruning p = { .s = s, .o = o, .in_use = in_use, .data = data, .chosen = MAP_INIT };
	_cleanup_(fd_closep) int lock = -EBADF;
	int r;

	*out = (struct removed){ 0 };
	lock = store_lock(s, STORE_LOCK, LOCK_EX, e);
	if (lock < 0)
		return lock;
	r = choose(&p, e);
	if (r == 0 && o->dry_run)
		r = preview(&p, out, e);
	else if (r == 0)
		r = remove_chosen(&p, out, e);
	if (r == 0 && !o->dry_run)
		r = store_collect(s, &lock, out, e);
	ref_list_done(&p.refs);
	map_done(&p.chosen);
	return r;
}
