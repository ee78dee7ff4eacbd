/* base/json.c: see json.h. */
#include "base/json.h"

#include <json-c/json.h>

#include "base/fd.h"
#include "base/strv.h"

void json_unref(json *j)
{
	json_object_put(j);
}

json *json_ref(json *j)
{
	return json_object_get(j);
}

/* What the library returned; like xmalloc(), for want of memory there is no other reason. */
static json *need(json *j)
{
	if (!j)
		out_of_memory();
	return j;
}

/* Inside, json-c takes a failed allocation for an empty string, or a bad document, and
 * tells nobody but errno. */
static void need_memory(void)
{
	if (errno == ENOMEM)
		out_of_memory();
}

/* Up to and with the next bracket or colon. */
static size_t chunk(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n && text[i] != '{' && text[i] != '[' && text[i] != ':')
		i++;
	return MIN(i + 1, n);
}

/* In pieces, each of which ends where an object, an array or a member's value begins: json-c
 * before 0.17 puts the next member into it, under its name, whether these could be allocated
 * or not. */
static json *parse(struct json_tokener *tok, const char *text, size_t n, size_t *used)
{
	json *j;

	*used = 0;
	do {
		errno = 0;
		j = json_tokener_parse_ex(tok, text + *used, (int)chunk(text + *used, n - *used));
		need_memory();
		*used += json_tokener_get_parse_end(tok);
	} while (json_tokener_get_error(tok) == json_tokener_continue && *used < n);
	return j;
}

int json_parse(const char *text, size_t n, json **out, struct err *e)
{
	struct json_tokener *tok = json_tokener_new_ex(JSON_MAX_DEPTH);
	enum json_tokener_error code;
	size_t used;
	json *j;
	int r = 0;

	if (!tok)
		out_of_memory();
	if (n > INT32_MAX) {
		json_tokener_free(tok);
		return err_set(e, EFBIG, "JSON document too large");
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	j = parse(tok, text, n, &used);
	code = json_tokener_get_error(tok);
	/* A bare number is only finished by the end of the text. */
	if (code == json_tokener_continue && !j) {
		errno = 0;
		j = json_tokener_parse_ex(tok, "", 1);
		code = json_tokener_get_error(tok);
		used = n;
		need_memory();
	}
	json_tokener_free(tok);
	while (used < n && strchr(" \t\r\n", text[used]))
		used++;
	if (code != json_tokener_success)
		r = err_set(e, EBADMSG, "not JSON: %s at byte %zu", json_tokener_error_desc(code),
			    used);
	else if (used < n)
		r = err_set(e, EBADMSG, "not JSON: more text after the document at byte %zu", used);
	if (r < 0) {
		json_object_put(j);
		return r;
	}
	*out = j;
	return 0;
}

int json_read_file(int dirfd, const char *path, size_t max, json **out, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = file_read(dirfd, path, max, &b, e);

	if (r < 0)
		return r;
	r = json_parse(buf_str(&b), b.len, out, e);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

static const char *text_of(json *j, int flags)
{
	const char *text;

	errno = 0;
	text = json_object_to_json_string_ext(j, flags | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text)
		out_of_memory();
	need_memory();
	return text;
}

const char *json_text(json *j)
{
	return text_of(j, JSON_C_TO_STRING_PLAIN);
}

char *json_text_pretty(json *j)
{
	return xasprintf("%s\n", text_of(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
}

json *json_new_object(void)
{
	return need(json_object_new_object());
}

json *json_new_array(void)
{
	return need(json_object_new_array());
}

json *json_new_str(const char *s)
{
	return need(json_object_new_string(s));
}

json *json_new_int(int64_t v)
{
	return need(json_object_new_int64(v));
}

json *json_new_bool(bool v)
{
	return need(json_object_new_boolean(v));
}

void json_put(json *o, const char *key, json *value)
{
	if (json_object_object_add(o, key, value) < 0)
		out_of_memory();
}

void json_put_str(json *o, const char *key, const char *value)
{
	if (value)
		json_put(o, key, need(json_object_new_string(value)));
}

void json_put_int(json *o, const char *key, int64_t value)
{
	json_put(o, key, need(json_object_new_int64(value)));
}

void json_put_u64(json *o, const char *key, uint64_t value)
{
	json_put(o, key, need(json_object_new_uint64(value)));
}

void json_put_bool(json *o, const char *key, bool value)
{
	json_put(o, key, need(json_object_new_boolean(value)));
}

void json_put_double(json *o, const char *key, double value)
{
	json_put(o, key, need(json_object_new_double(value)));
}

void json_put_strv(json *o, const char *key, char *const *v)
{
	json *array;

	if (!v)
		return;
	array = need(json_object_new_array());
	STRV_FOREACH (s, v)
		json_push_str(array, *s);
	json_put(o, key, array);
}

void json_push(json *array, json *value)
{
	if (json_object_array_add(array, value) < 0)
		out_of_memory();
}

void json_push_str(json *array, const char *s)
{
	json_push(array, need(json_object_new_string(s)));
}

enum json_kind json_kind(json *j)
{
	switch (json_object_get_type(j)) {
	case json_type_boolean:
		return JSON_BOOL;
	case json_type_int:
		return JSON_INT;
	case json_type_double:
		return JSON_DOUBLE;
	case json_type_string:
		return JSON_STRING;
	case json_type_array:
		return JSON_ARRAY;
	case json_type_object:
		return JSON_OBJECT;
	default:
		return JSON_NULL;
	}
}

bool json_is_object(json *j)
{
	return json_object_is_type(j, json_type_object);
}

bool json_is_array(json *j)
{
	return json_object_is_type(j, json_type_array);
}

bool json_is_str(json *j)
{
	return json_object_is_type(j, json_type_string);
}

json *json_get(json *o, const char *key)
{
	json *v;

	if (!json_is_object(o) || !json_object_object_get_ex(o, key, &v))
		return NULL;
	return v;
}

const char *json_str(json *j)
{
	return json_is_str(j) ? json_object_get_string(j) : NULL;
}

const char *json_get_str(json *o, const char *key)
{
	return json_str(json_get(o, key));
}

int64_t json_int(json *j)
{
	return json_object_get_int64(j);
}

int64_t json_get_int(json *o, const char *key, int64_t fallback)
{
	json *v = json_get(o, key);

	return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : fallback;
}

uint64_t json_get_u64(json *o, const char *key, uint64_t fallback)
{
	json *v = json_get(o, key);

	return json_object_is_type(v, json_type_int) ? json_object_get_uint64(v) : fallback;
}

bool json_get_bool(json *o, const char *key, bool fallback)
{
	json *v = json_get(o, key);

	return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : fallback;
}

double json_get_double(json *o, const char *key, double fallback)
{
	json *v = json_get(o, key);

	if (json_object_is_type(v, json_type_double) || json_object_is_type(v, json_type_int))
		return json_object_get_double(v);
	return fallback;
}

char **json_get_strv(json *o, const char *key)
{
	json *array = json_get(o, key);
	size_t n = 0;
	char **v;

	if (!json_is_array(array))
		return NULL;
	v = xcalloc(json_len(array) + 1, sizeof(*v));
	for (size_t i = 0; i < json_len(array); i++)
		if (json_str(json_at(array, i)))
			v[n++] = xstrdup(json_str(json_at(array, i)));
	return v;
}

size_t json_len(json *array)
{
	return json_is_array(array) ? json_object_array_length(array) : 0;
}

json *json_at(json *array, size_t i)
{
	return i < json_len(array) ? json_object_array_get_idx(array, i) : NULL;
}

bool json_has(json *o, const char *key)
{
	return json_is_object(o) && json_object_object_get_ex(o, key, NULL);
}

size_t json_count(json *o)
{
	return json_is_object(o) ? (size_t)json_object_object_length(o) : 0;
}

bool json_truth(json *j)
{
	switch (json_kind(j)) {
	case JSON_BOOL:
		return json_object_get_boolean(j);
	case JSON_INT:
		return json_object_get_int64(j) != 0;
	case JSON_DOUBLE:
		return json_object_get_double(j) != 0;
	case JSON_STRING:
		return json_object_get_string_len(j) > 0;
	case JSON_ARRAY:
		return json_len(j) > 0;
	case JSON_OBJECT:
		return json_count(j) > 0;
	default:
		return false;
	}
}

bool json_each(json *o, struct json_iter *it)
{
	struct lh_entry *entry;

	if (!json_is_object(o))
		return false;
	entry = it->started ? ((struct lh_entry *)it->entry)->next
			    : json_object_get_object(o)->head;
	it->started = true;
	if (!entry)
		return false;
	it->entry = entry;
	it->key = lh_entry_k(entry);
	it->value = (json *)lh_entry_v(entry);
	return true;
}

int json_need_str(json *o, const char *key, const char **out, struct err *e)
{
	*out = json_get_str(o, key);
	return *out ? 0 : err_set(e, EBADMSG, "field \"%s\" is missing or not a string", key);
}

int json_need_int(json *o, const char *key, int64_t *out, struct err *e)
{
	json *v = json_get(o, key);

	if (!json_object_is_type(v, json_type_int))
		return err_set(e, EBADMSG, "field \"%s\" is missing or not an integer", key);
	*out = json_object_get_int64(v);
	return 0;
}
