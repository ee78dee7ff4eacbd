/* engine/image/usage.c: disk usage by the sizes in the records: no tree is walked. */
#include "base/map.h"
#include "base/strv.h"
#include "engine/image/store_internal.h"

struct layer_use {
	uint64_t size; /* unpacked */
	size_t images; /* that have it */
};

struct counting {
	struct store *s;
	struct map layers; /* diff id → struct layer_use */
	struct map unused; /* ids nothing uses */
};

void store_usage_done(struct store_usage *u)
{
	image_list_done(&u->list);
	free(u->items);
	*u = (struct store_usage){ 0 };
}

static void count_layer(struct counting *c, const char *diff_id)
{
	struct layer_use *l = map_get(&c->layers, diff_id);
	struct layer_record rec;

	if (!l) {
		l = new0(struct layer_use);
		if (layer_record_read(c->s->fd, diff_id, &rec, NULL) == 0) {
			l->size = rec.size;
			layer_record_done(&rec);
		}
		map_put(&c->layers, diff_id, l);
	}
	l->images++;
}

/* Each layer of an image once, whatever the config repeats. */
static int each_layer(struct counting *c, const char *id,
		      void (*fn)(struct counting *, const char *, void *), void *data)
{
	struct image_record rec;
	int r = image_record_read(c->s, id, &rec, NULL);

	if (r < 0)
		return r;
	for (char **l = rec.layers; l && *l; l++)
		if (!strv_has(l + 1, *l))
			fn(c, *l, data);
	image_record_done(&rec);
	return 0;
}

static void on_count(struct counting *c, const char *diff_id, void *data)
{
	count_layer(c, diff_id);
}

static void on_share(struct counting *c, const char *diff_id, void *data)
{
	const struct layer_use *l = map_get(&c->layers, diff_id);
	struct image_usage *u = data;

	if (l && l->images > 1)
		u->shared += l->size;
	else if (l)
		u->unique += l->size;
}

static int count(struct counting *c, store_in_use_fn in_use, void *data, struct store_usage *out,
		 struct err *e)
{
	_cleanup_(map_done) struct map needed = MAP_INIT, nothing = MAP_INIT, images = MAP_INIT;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < out->list.n; i++) {
		const char *id = out->list.items[i].id;

		(void)each_layer(c, id, on_count, NULL); /* removed meanwhile: counts nothing */
		r = in_use ? in_use(data, id, e) : 0;
		if (r == 0)
			map_put(&c->unused, id, NULL);
		else
			out->n_used++;
	}
	for (size_t i = 0; i < out->list.n; i++)
		(void)each_layer(c, out->list.items[i].id, on_share, &out->items[i]);
	if (r < 0)
		return r;
	/* With a record that cannot be read nothing is ever collected. */
	r = 0;
	if (store_mark(c->s, &c->unused, true, &needed, NULL) == 0)
		r = store_unneeded_bytes(c->s, &needed, &out->reclaimable, e);
	if (r == 0)
		r = store_unneeded_bytes(c->s, &nothing, &out->total, e);
	/* What only build steps have is not the images'. */
	if (r == 0 && store_mark(c->s, NULL, false, &images, NULL) == 0)
		r = store_unneeded_bytes(c->s, &images, &out->cache, e);
	out->total -= MIN(out->cache, out->total);
	return r;
}

int store_usage(struct store *s, store_in_use_fn in_use, void *data, struct store_usage *out,
		struct err *e)
{
	struct counting c = { .s = s, .unused = MAP_INIT };
	int r;

	*out = (struct store_usage){ 0 };
	c.layers = MAP_INIT_FREE(free);
	r = store_list(s, &out->list, e);
	out->items = xcalloc(out->list.n + 1, sizeof(*out->items));
	if (r == 0)
		r = count(&c, in_use, data, out, e);
	map_done(&c.layers);
	map_done(&c.unused);
	return r;
}
