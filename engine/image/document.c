/* engine/image/document.c: json-c has already decided that the text is JSON when
 * the scan for duplicate keys runs, so the scan needs to know only strings,
 * brackets and commas.  Keys are compared as the values json-c makes of them:
 * "a" and "\u0061" are the same key. */
#include "engine/image/document.h"

#include "base/map.h"
#include "base/strv.h"
#include "engine/image/config.h"

/* The end of the string that starts at @p ('"'), one past the closing quote. */
static const char *string_end(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

static int see_key(struct map *seen, const char *p, size_t n, struct err *e)
{
	_cleanup_(json_unrefp) json *j = NULL;
	_cleanup_(free_p) char *plain = NULL;
	const char *key;

	if (n < 2)
		return err_set(e, EBADMSG, "a key that does not end");
	if (memchr(p, '\\', n)) {
		if (json_parse(p, n, &j, e) < 0)
			return err_set(e, EBADMSG, "a key that cannot be read");
		key = json_str(j);
	} else {
		key = plain = xstrndup(p + 1, n - 2);
	}
	if (!key || map_has(seen, key))
		return err_set(e, EBADMSG, "the key \"%.64s\" appears twice", key ? key : "?");
	map_put(seen, key, NULL);
	return 0;
}

static int refuse_duplicates(const char *p, size_t n, struct err *e)
{
	struct map seen[JSON_MAX_DEPTH + 1] = { 0 };
	bool object[JSON_MAX_DEPTH + 1] = { 0 }, key = false;
	const char *end = p + n;
	int depth = 0, r = 0;

	while (p < end && r == 0) {
		const char *next = p + 1;

		switch (*p) {
		case '"':
			next = string_end(p, end);
			if (key)
				r = see_key(&seen[depth], p, (size_t)(next - p), e);
			key = false;
			break;
		case '{':
		case '[':
			if (++depth > JSON_MAX_DEPTH)
				r = err_set(e, EBADMSG, "nested too deeply");
			else
				key = object[depth] = *p == '{';
			break;
		case '}':
		case ']':
			if (depth > 0)
				map_done(&seen[depth--]);
			key = false;
			break;
		case ',':
			key = object[depth];
			break;
		}
		p = next;
	}
	for (; depth > 0; depth--)
		if (depth <= JSON_MAX_DEPTH)
			map_done(&seen[depth]);
	return r;
}

int document_parse(const char *text, size_t n, bool array, json **out, struct err *e)
{
	_cleanup_(json_unrefp) json *j = NULL;
	int r;

	if (n > CONFIG_MAX_SIZE)
		return err_set(e, EFBIG, "the document is larger than %u bytes", CONFIG_MAX_SIZE);
	if (memchr(text, '\0', n))
		return err_set(e, EBADMSG, "not JSON: a NUL byte");
	r = json_parse(text, n, &j, e);
	if (r < 0)
		return r;
	if (array ? !json_is_array(j) : !json_is_object(j))
		return err_set(e, EBADMSG, "not a JSON %s", array ? "array" : "object");
	r = refuse_duplicates(text, n, e);
	if (r < 0)
		return r;
	*out = TAKE_PTR(j);
	return 0;
}

static int wrong(struct err *e, const char *key, const char *want)
{
	return err_set(e, EBADMSG, "\"%s\" is not %s", key, want);
}

int document_str(json *o, const char *key, char **out, struct err *e)
{
	json *v = json_get(o, key);

	*out = NULL;
	if (!v)
		return 0;
	if (!json_is_str(v))
		return wrong(e, key, "a string");
	*out = xstrdup(json_str(v));
	return 0;
}

int document_strv(json *o, const char *key, char ***out, struct err *e)
{
	json *v = json_get(o, key);

	*out = NULL;
	if (!v)
		return 0;
	if (!json_is_array(v))
		return wrong(e, key, "a list of strings");
	for (size_t i = 0; i < json_len(v); i++)
		if (!json_is_str(json_at(v, i)))
			return wrong(e, key, "a list of strings");
	*out = json_get_strv(o, key);
	return 0;
}

int document_keys(json *o, const char *key, char ***out, struct err *e)
{
	struct json_iter it = { 0 };
	json *v = json_get(o, key);

	*out = NULL;
	if (!v)
		return 0;
	if (!json_is_object(v))
		return wrong(e, key, "an object");
	while (json_each(v, &it))
		strv_add(out, it.key);
	return 0;
}

int document_map(json *o, const char *key, char ***out, struct err *e)
{
	struct json_iter it = { 0 };
	json *v = json_get(o, key);
	_cleanup_(strv_freep) char **list = NULL;

	*out = NULL;
	if (!v)
		return 0;
	if (!json_is_object(v))
		return wrong(e, key, "an object");
	while (json_each(v, &it)) {
		if (!json_is_str(it.value))
			return wrong(e, key, "an object of strings");
		strv_addf(&list, "%s=%s", it.key, json_str(it.value));
	}
	*out = TAKE_PTR(list);
	return 0;
}
