/* base/json.h: the front door to json-c.  A `json` is a json-c object: it is
 * reference counted, json_unref() drops the caller's reference, and putting a
 * value into an object or array hands the reference over.
 *
 * Getters take NULL and values of another type and answer with the default, so
 * reading a document from disk is a list of lines; where a field must exist,
 * json_need_*() fills @e and names it.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

typedef struct json_object json;

#define JSON_MAX_DEPTH 64

void json_unref(json *j);
DEFINE_CLEANUP(json *, json_unref, json_unrefp);
json *json_ref(json *j);

/* Parse exactly one document of @n bytes; depth at most JSON_MAX_DEPTH. */
int json_parse(const char *text, size_t n, json **out, struct err *e);
/* Read and parse a file (no symlink followed) of at most @max bytes. */
int json_read_file(int dirfd, const char *path, size_t max, json **out, struct err *e);
/* One line, no spaces; borrowed, valid until @j changes. */
const char *json_text(json *j);
/* Indented by two, ends with a newline; caller frees. */
char *json_text_pretty(json *j);

json *json_new_object(void);
json *json_new_array(void);
json *json_new_str(const char *s);
json *json_new_int(int64_t v);
json *json_new_bool(bool v);

/* NULL strings are left out. */
void json_put_str(json *o, const char *key, const char *value);
void json_put_int(json *o, const char *key, int64_t value);
void json_put_u64(json *o, const char *key, uint64_t value);
void json_put_bool(json *o, const char *key, bool value);
void json_put_double(json *o, const char *key, double value);
void json_put_strv(json *o, const char *key, char *const *v); /* NULL is left out, empty is [] */
void json_put(json *o, const char *key, json *value);         /* takes @value */
void json_push(json *array, json *value);                     /* takes @value */
void json_push_str(json *array, const char *s);

enum json_kind {
	JSON_NULL, /* also for a NULL pointer */
	JSON_BOOL,
	JSON_INT,
	JSON_DOUBLE,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};
enum json_kind json_kind(json *j);
bool json_is_object(json *j);
bool json_is_array(json *j);
bool json_is_str(json *j);
/* Borrowed; NULL when absent or JSON null. */
json *json_get(json *o, const char *key);
const char *json_get_str(json *o, const char *key); /* NULL when absent or not a string */
int64_t json_get_int(json *o, const char *key, int64_t fallback);
uint64_t json_get_u64(json *o, const char *key, uint64_t fallback);
bool json_get_bool(json *o, const char *key, bool fallback);
double json_get_double(json *o, const char *key, double fallback);
/* A copy of an array of strings; NULL when absent, an empty vector for []. */
char **json_get_strv(json *o, const char *key);
size_t json_len(json *array); /* 0 for anything but an array */
json *json_at(json *array, size_t i);
const char *json_str(json *j); /* of a string value, else NULL */
int64_t json_int(json *j);
bool json_has(json *o, const char *key); /* also when its value is null */
size_t json_count(json *o);		 /* keys of an object */
/* As Go templates and JavaScript have it: false, 0, "", [], {} and null are not. */
bool json_truth(json *j);

/* Iterate over an object in the order of the document.
 *	struct json_iter it = { 0 };
 *	while (json_each(obj, &it)) use(it.key, it.value);
 * Do not change the object meanwhile. */
struct json_iter {
	void *entry;
	bool started;
	const char *key;
	json *value;
};
bool json_each(json *o, struct json_iter *it);

int json_need_str(json *o, const char *key, const char **out, struct err *e);
int json_need_int(json *o, const char *key, int64_t *out, struct err *e);

#endif
