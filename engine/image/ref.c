/* engine/image/ref.c: a hand-written matcher for distribution's grammar
 * (reference/regexp.go): cut off "@digest", then ":tag" (a colon behind the
 * last slash), split the registry from the path by looking at the first
 * component, and check each piece by its character classes. */
#include "engine/image/ref.h"

#include <ctype.h>

#include "base/cleanup.h"
#include "engine/image/digest.h"

#define ALNUM      "abcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_BYTES 255
#define TAG_BYTES  128

void ref_done(struct image_ref *r)
{
	free(r->domain);
	free(r->path);
	free(r->tag);
	free(r->digest);
	*r = (struct image_ref){ 0 };
}

static int invalid(struct err *e, const char *text, const char *why)
{
	if (*why)
		return err_set(e, EINVAL, "invalid reference format: %s: \"%.128s\"", why, text);
	return err_set(e, EINVAL, "invalid reference format: \"%.128s\"", text);
}

/* [a-zA-Z0-9]+ with '-' inside, joined by '.' */
static bool host_is_valid(const char *s, size_t n)
{
	bool inside = false;

	for (size_t i = 0; i < n; i++) {
		if (isalnum((unsigned char)s[i])) {
			inside = true;
		} else if (s[i] == '-') {
			if (!inside || i + 1 == n || s[i + 1] == '.')
				return false;
		} else if (s[i] == '.' && inside) {
			inside = false;
		} else {
			return false;
		}
	}
	return inside;
}

static bool domain_is_valid(const char *s)
{
	size_t host;

	if (s[0] == '[') { /* an IPv6 address */
		host = 1 + strspn(s + 1, "0123456789abcdefABCDEF:");
		if (host == 1 || s[host] != ']')
			return false;
		host++;
	} else {
		host = strcspn(s, ":");
		if (!host_is_valid(s, host))
			return false;
	}
	if (!s[host])
		return true;
	return s[host] == ':' && s[host + 1] && !s[host + 1 + strspn(s + host + 1, "0123456789")];
}

/* [a-z0-9]+ joined by one of ".", "_", "__" or any number of "-". Returns the
 * end of the component or NULL. */
static const char *path_component(const char *s)
{
	for (;;) {
		size_t n = strspn(s, ALNUM);

		if (n == 0)
			return NULL;
		s += n;
		if (!*s || *s == '/')
			return s;
		if (*s == '-')
			s += strspn(s, "-");
		else if (s[0] == '_' && s[1] == '_')
			s += 2;
		else if (*s == '.' || *s == '_')
			s++;
		else
			return NULL;
	}
}

static bool path_is_valid(const char *s)
{
	while ((s = path_component(s)) && *s == '/')
		s++;
	return s != NULL;
}

static bool tag_is_valid(const char *s)
{
	size_t n = strspn(s, ALNUM UPPER "_.-");

	return n > 0 && n <= TAG_BYTES && !s[n] && *s != '.' && *s != '-';
}

/* Is the first component a registry?  Only if it could not be a user's name. */
static bool looks_like_domain(const char *s, size_t n)
{
	if (memchr(s, '.', n) || memchr(s, ':', n) || (n == 9 && !memcmp(s, "localhost", 9)))
		return true;
	for (size_t i = 0; i < n; i++)
		if (isupper((unsigned char)s[i]))
			return true;
	return false;
}

static void split_domain(const char *name, struct image_ref *out)
{
	const char *slash = strchr(name, '/');
	const char *rest = name;

	if (slash && looks_like_domain(name, (size_t)(slash - name))) {
		out->domain = xstrndup(name, (size_t)(slash - name));
		rest = slash + 1;
	} else {
		out->domain = xstrdup("docker.io");
	}
	if (streq(out->domain, "index.docker.io"))
		str_set(&out->domain, "docker.io");
	if (streq(out->domain, "docker.io") && !strchr(rest, '/'))
		out->path = xasprintf("library/%s", rest);
	else
		out->path = xstrdup(rest);
}

static int check(const struct image_ref *r, const char *text, struct err *e)
{
	for (const char *p = r->path; *p; p++)
		if (isupper((unsigned char)*p))
			return invalid(e, text, "repository name must be lowercase");
	if (!domain_is_valid(r->domain) || !path_is_valid(r->path))
		return invalid(e, text, "");
	if (strlen(r->path) > NAME_BYTES || strlen(r->domain) > NAME_BYTES)
		return invalid(e, text, "repository name must not be longer than 255 characters");
	if (r->tag && !tag_is_valid(r->tag))
		return invalid(e, text, "invalid tag");
	if (r->digest && !digest_is_valid(r->digest))
		return invalid(e, text, "the digest must be sha256: and 64 hexadecimal digits");
	return 0;
}

int ref_parse(const char *text, struct image_ref *out, struct err *e)
{
	_cleanup_(free_p) char *name = NULL;
	char *at, *colon, *slash;
	int r;

	*out = (struct image_ref){ 0 };
	if (strlen(text) > 2 * REF_MAX)
		return invalid(e, text, "too long");
	if (digest_hex_is_valid(text))
		return invalid(e, text, "a name cannot be 64 hexadecimal digits");
	name = xstrdup(text);
	at = strchr(name, '@');
	if (at) {
		*at = '\0';
		out->digest = xstrdup(at + 1);
	}
	colon = strrchr(name, ':');
	slash = strrchr(name, '/');
	if (colon && (!slash || colon > slash)) {
		*colon = '\0';
		out->tag = xstrdup(colon + 1);
	}
	if (!out->tag && !out->digest)
		out->tag = xstrdup("latest");
	split_domain(name, out);
	r = check(out, text, e);
	if (r < 0)
		ref_done(out);
	return r;
}

static char *with_version(const struct image_ref *r, char *name)
{
	char *text = r->digest ? xasprintf("%s@%s", name, r->digest)
			       : xasprintf("%s:%s", name, r->tag);

	free(name);
	return text;
}

char *ref_name(const struct image_ref *r)
{
	return xasprintf("%s/%s", r->domain, r->path);
}

char *ref_canonical(const struct image_ref *r)
{
	return with_version(r, ref_name(r));
}

char *ref_familiar_name(const struct image_ref *r)
{
	const char *library = skip_prefix(r->path, "library/");

	if (!streq(r->domain, "docker.io"))
		return ref_name(r);
	return xstrdup(library && !strchr(library, '/') ? library : r->path);
}

char *ref_familiar(const struct image_ref *r)
{
	return with_version(r, ref_familiar_name(r));
}

char *ref_shorten(const char *text)
{
	struct image_ref r;
	char *s;

	if (ref_parse(text, &r, NULL) < 0)
		return xstrdup(text);
	s = ref_familiar(&r);
	ref_done(&r);
	return s;
}
