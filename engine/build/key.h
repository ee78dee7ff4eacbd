/* engine/build/key.h: the name under which a step's result is remembered.
 *
 * A digest over fields, each with its length, so no two lists of fields give the same
 * bytes.  The layers below count by their diff ids: a step is found again whenever what
 * it starts from has the same content, however that came about.
 */
#ifndef ENGINE_BUILD_KEY_H
#define ENGINE_BUILD_KEY_H

#include "engine/image/digest.h"

struct key {
	struct hasher *h;
};

void key_init(struct key *k, const char *kind, char *const *diff_ids);
void key_add(struct key *k, const char *name, const char *value); /* NULL: absent, unlike "" */
void key_add_strv(struct key *k, const char *name, char *const *values);
void key_add_int(struct key *k, const char *name, int64_t value);
/* 64 hex digits; caller frees. */
char *key_end(struct key *k);

#endif
