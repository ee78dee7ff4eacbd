/* base/strv.c: see strv.h. */
#include "base/strv.h"

void strv_free(char **v)
{
	int saved = errno;

	STRV_FOREACH (s, v)
		free(*s);
	free(v);
	errno = saved;
}

size_t strv_len(char *const *v)
{
	size_t n = 0;

	STRV_FOREACH (s, v)
		n++;
	return n;
}

char **strv_copy(char *const *v)
{
	char **copy = NULL;

	if (!v)
		return NULL;
	copy = xcalloc(strv_len(v) + 1, sizeof(*copy));
	for (size_t i = 0; v[i]; i++)
		copy[i] = xstrdup(v[i]);
	return copy;
}

void strv_add_take(char ***v, char *s)
{
	size_t n = strv_len(*v);

	*v = xreallocarray(*v, n + 2, sizeof(**v));
	(*v)[n] = s;
	(*v)[n + 1] = NULL;
}

void strv_add(char ***v, const char *s)
{
	strv_add_take(v, xstrdup(s));
}

void strv_addf(char ***v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_add_take(v, xvasprintf(fmt, ap));
	va_end(ap);
}

void strv_extend(char ***v, char *const *more)
{
	STRV_FOREACH (s, more)
		strv_add(v, *s);
}

bool strv_has(char *const *v, const char *s)
{
	STRV_FOREACH (p, v)
		if (streq(*p, s))
			return true;
	return false;
}

bool strv_equal(char *const *a, char *const *b)
{
	size_t n = strv_len(a);

	if (n != strv_len(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!streq(a[i], b[i]))
			return false;
	return true;
}

void strv_remove(char ***v, size_t i)
{
	size_t n = strv_len(*v);

	free((*v)[i]);
	memmove(*v + i, *v + i + 1, (n - i) * sizeof(**v)); /* with the NULL */
}

static int by_value(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **v)
{
	if (v)
		qsort(v, strv_len(v), sizeof(*v), by_value);
}

char *strv_join(char *const *v, const char *sep)
{
	size_t len = 1, sep_len = strlen(sep);
	char *out, *p;

	STRV_FOREACH (s, v)
		len += strlen(*s) + sep_len;
	out = p = xmalloc(len);
	*p = '\0';
	STRV_FOREACH (s, v) {
		if (s != v)
			p = stpcpy(p, sep);
		p = stpcpy(p, *s);
	}
	return out;
}

char **strv_split(const char *s, char sep, bool skip_empty)
{
	char **v = NULL;

	for (;;) {
		const char *end = strchrnul(s, sep);

		if (end != s || !skip_empty)
			strv_add_take(&v, xstrndup(s, (size_t)(end - s)));
		if (!*end)
			return v;
		s = end + 1;
	}
}

static char **env_slot(char *const *env, const char *key)
{
	size_t n = strlen(key);

	STRV_FOREACH (s, env)
		if (strncmp(*s, key, n) == 0 && (*s)[n] == '=')
			return (char **)s;
	return NULL;
}

const char *strv_env_get(char *const *env, const char *key)
{
	char **slot = env_slot(env, key);

	return slot ? *slot + strlen(key) + 1 : NULL;
}

void strv_env_set(char ***env, const char *key, const char *value)
{
	char **slot = env_slot(*env, key);

	if (!value) {
		if (slot)
			strv_remove(env, (size_t)(slot - *env));
		return;
	}
	if (!slot) {
		strv_addf(env, "%s=%s", key, value);
		return;
	}
	free(*slot);
	*slot = xasprintf("%s=%s", key, value);
}
