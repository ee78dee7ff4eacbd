/* engine/image/steps.h: which layer a build step made: the builder's cache, kept in the
 * store so that collecting garbage knows whose layers still count.
 *
 *	steps/<key>	{"diff_id", "created", "size", "what"}; its mtime is the last use
 *
 * A key (64 hex digits) stands for all that a step's result depends on; see
 * engine/build/cache.h.  A record appears whole by rename and never changes; one whose
 * layer is missing is no record.  Write it before the layer's stage is committed: the
 * commit may collect garbage.
 */
#ifndef ENGINE_IMAGE_STEPS_H
#define ENGINE_IMAGE_STEPS_H

#include "base/map.h"
#include "engine/image/store.h"

struct step_record {
	char diff_id[DIGEST_MAX];
	uint64_t created, size, used; /* CLOCK_REALTIME ns, bytes, ns */
	char *what;                   /* the instruction, for listings */
};
void step_record_done(struct step_record *r);

/* -ENOENT: nobody made this yet.  A hit is noted as used now. */
int steps_get(struct store *s, const char *key, struct step_record *out, struct err *e);
int steps_put(struct store *s, const char *key, const struct step_record *rec, struct err *e);

struct step_list {
	struct step_entry {
		char *key;
		struct step_record rec;
	} * items; /* least recently used first */
	size_t n;
};
void step_list_done(struct step_list *l);
int steps_list(struct store *s, struct step_list *out, struct err *e);
/* Forget steps not used since @before (ns; UINT64_MAX: all), and delete the layers that
 * no image and no other step has.  *n: how many; *freed: bytes of the layers. */
int steps_prune(struct store *s, uint64_t before, size_t *n, uint64_t *freed, struct err *e);

/* Under the store's lock: take the records away, and leave the layers to a collection. */
int steps_forget(struct store *s, uint64_t before, size_t *n, struct err *e);
/* For store_collect(): note the layers (hex) of all steps in @needed. */
int steps_mark(struct store *s, struct map *needed, struct err *e);

#endif
