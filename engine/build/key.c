/* engine/build/key.c: see key.h. */
#include "engine/build/key.h"

#include "base/strv.h"

#define KEY_VERSION "comp build step 1" /* another one forgets all that was cached */

static void add_bytes(struct key *k, const char *p, size_t n)
{
	char length[24];

	snprintf(length, sizeof(length), "%zu:", n);
	hasher_add(k->h, length, strlen(length));
	hasher_add(k->h, p, n);
}

void key_add(struct key *k, const char *name, const char *value)
{
	add_bytes(k, name, strlen(name));
	if (value)
		add_bytes(k, value, strlen(value));
	else
		hasher_add(k->h, "-", 1);
}

void key_add_int(struct key *k, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%jd", (intmax_t)value);
	key_add(k, name, text);
}

void key_add_strv(struct key *k, const char *name, char *const *values)
{
	key_add_int(k, name, (int64_t)strv_len(values));
	STRV_FOREACH (v, values)
		add_bytes(k, *v, strlen(*v));
}

void key_init(struct key *k, const char *kind, char *const *diff_ids)
{
	k->h = hasher_new();
	key_add(k, KEY_VERSION, kind);
	key_add_strv(k, "layers", diff_ids);
}

char *key_end(struct key *k)
{
	char digest[DIGEST_MAX];

	hasher_end(k->h, digest);
	hasher_free(k->h);
	k->h = NULL;
	return xstrdup(digest_hex(digest));
}
