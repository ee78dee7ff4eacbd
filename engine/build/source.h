/* engine/build/source.h: what COPY, ADD and bind mounts read from: the build context, a
 * named one, or the root file system of a stage or an image.
 */
#ifndef ENGINE_BUILD_SOURCE_H
#define ENGINE_BUILD_SOURCE_H

#include "base/cleanup.h"
#include "engine/build/digests.h"
#include "engine/build/ignore.h"
#include "engine/build/spot.h"
#include "engine/build/walk.h"
#include "engine/image/digest.h"

struct source {
	int root;                    /* of the tree; borrowed */
	const struct ignore *ignore; /* NULL: nothing hidden */
	const char *ignore_name;     /* ".dockerignore", for messages */
	const char *label;           /* "the build context", "stage build" */
	bool is_context;             /* its owners do not count */
	struct digests *digests;     /* NULL: nothing is remembered of it */
};

/* One thing to copy, found. */
struct source_item {
	char *path; /* as asked for, wildcards replaced; no leading '/' */
	struct spot spot;
};
struct source_items {
	struct source_item *items;
	size_t n;
};
void source_items_done(struct source_items *l);

/* Add what @pattern names.  With wildcards no match is no error (@deep: `**` counts, for
 * --parents); without, a missing or hidden one is -ENOENT, which says what there is. */
int source_find(const struct source *s, const char *pattern, bool deep, struct source_items *out,
		struct err *e);

/* Everything of an item that a copy of it depends on, into @h: names, types, modes,
 * contents, link texts, and owners unless it is a context.  No times. */
int source_hash(const struct source *s, const struct source_item *it, const struct ignore *exclude,
		struct hasher *h, struct err *e);

/* The filters for walking an item; @f: room for two. */
size_t source_filters(const struct source *s, const struct source_item *it,
		      const struct ignore *exclude, struct walk_filter *f);
/* Its last component; caller frees. */
char *source_base(const struct source_item *it);

#endif
