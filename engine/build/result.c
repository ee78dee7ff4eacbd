/* engine/build/result.c: from the target stage's state to an image in the store.
 *
 * The document depends on nothing but what was built, so a build in which every step
 * was cached gives the image there is already, and then only names are looked at.
 */
#include "base/strv.h"
#include "engine/build/internal.h"
#include "engine/image/ref.h"
#include "engine/image/stage.h"

static void add_labels(const struct build *b, struct image_config *c)
{
	STRV_FOREACH (l, b->o->labels) {
		_cleanup_(free_p) char *key = xstrndup(*l, strcspn(*l, "="));

		strv_env_set(&c->labels, key, strchr(*l, '=') ? strchr(*l, '=') + 1 : "");
	}
}

/* Is it there, under all its names? */
static bool is_there(const struct build *b, const char *id)
{
	_cleanup_(free_p) char *found = NULL;

	if (store_resolve_id(b->store, id, &found, NULL) < 0)
		return false;
	STRV_FOREACH (tag, b->o->tags) {
		_cleanup_(free_p) char *named = NULL;

		if (store_resolve_id(b->store, *tag, &named, NULL) < 0 || !streq(named, id))
			return false;
	}
	return true;
}

static int store_image(struct build *b, const char *text, struct build_result *out, struct err *e)
{
	const struct staged_image image = { .config = text,
					    .n_config = strlen(text),
					    .refs = b->o->tags };
	_cleanup_(stage_freep) struct stage *st = NULL;
	int r;

	digest_of(text, strlen(text), out->id);
	if (is_there(b, out->id))
		return 0;
	r = stage_begin(b->store, &st, e);
	if (r == 0)
		r = stage_image(st, &image, out->id, e);
	return r < 0 ? r : stage_commit(st, &out->moved, e);
}

static void tell(const struct build *b, unsigned int vertex, const char *text)
{
	plan_event(b, BUILD_OUTPUT, vertex, text, 0);
}

int result_commit(struct build *b, struct build_result *out, struct err *e)
{
	struct image_config *c = &b->results[b->graph.target].config;
	_cleanup_(json_unrefp) json *doc = NULL;
	_cleanup_(free_p) char *line = NULL;
	uint64_t began = now_mono_ns();
	unsigned int vertex = ++b->n_vertices;
	int r;

	plan_event(b, BUILD_STARTED, vertex, "exporting to image", 0);
	add_labels(b, c);
	doc = image_config_to_json(c);
	r = store_image(b, json_text(doc), out, e);
	if (r < 0) {
		plan_event(b, BUILD_FAILED, vertex, e ? e->msg : "", now_mono_ns() - began);
		return r;
	}
	line = xasprintf("writing image %s done", out->id);
	tell(b, vertex, line);
	STRV_FOREACH (tag, b->o->tags) {
		_cleanup_(free_p) char *named = xasprintf("naming to %s done", *tag);

		tell(b, vertex, named);
	}
	plan_event(b, BUILD_DONE, vertex, "", now_mono_ns() - began);
	return 0;
}
