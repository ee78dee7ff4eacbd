/* base/strv.h: NULL-terminated vectors of owned strings (`char **`).
 * NULL is an empty vector everywhere. */
#ifndef BASE_STRV_H
#define BASE_STRV_H

#include "base/cleanup.h"
#include "base/util.h"

void strv_free(char **v);
static inline void strv_freep(char ***v)
{
	strv_free(*v);
}

size_t strv_len(char *const *v);
char **strv_copy(char *const *v);
void strv_add(char ***v, const char *s); /* copies @s */
void strv_add_take(char ***v, char *s);  /* owns @s from here on */
void strv_addf(char ***v, const char *fmt, ...) _printf_(2, 3);
void strv_extend(char ***v, char *const *more); /* copies */
bool strv_has(char *const *v, const char *s);
bool strv_equal(char *const *a, char *const *b);
void strv_remove(char ***v, size_t i);
void strv_sort(char **v); /* by byte value */
char *strv_join(char *const *v, const char *sep);
/* Split at every @sep; empty parts are kept unless @skip_empty. */
char **strv_split(const char *s, char sep, bool skip_empty);

/* Environment vectors, "KEY=value": the value of @key (borrowed) or NULL. */
const char *strv_env_get(char *const *env, const char *key);
/* Set or replace @key in place; value NULL removes it. */
void strv_env_set(char ***env, const char *key, const char *value);

#define STRV_FOREACH(s, v) for (char *const *s = (v); s && *s; s++)

#endif
