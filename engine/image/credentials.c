/* engine/image/credentials.c: see credentials.h.
 *
 * Order as Docker's: a helper named for the registry in credHelpers, then
 * credsStore for all, then the file's auths.  Helpers are programs of the user's
 * and run as we do; they talk over stdin and stdout
 * (docker/docker-credential-helpers).
 */
#include "engine/image/credentials.h"

#include <ctype.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/spawn.h"
#include "base/strv.h"

#define CONFIG_MAX (1U << 20)
#define HELPER_MAX 65536
#define HUB_KEY    "https://index.docker.io/v1/"

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void credentials_done(struct credentials *c)
{
	wipe(&c->user);
	wipe(&c->secret);
	wipe(&c->identity);
	wipe(&c->token);
	wipe(&c->source);
}

const char *credentials_key(const char *domain)
{
	return streq(domain, "docker.io") ? HUB_KEY : domain;
}

/* ---- base64 (RFC 4648) --------------------------------------------------------------- */

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *decode64(const char *text, size_t *n)
{
	size_t len = strlen(text), out = 0;
	char *p = xmalloc(len + 1);
	unsigned int bits = 0, have = 0;

	for (; *text && *text != '='; text++) {
		const char *at = strchr(digits64, *text);

		if (isspace((unsigned char)*text))
			continue;
		if (!at) {
			free(p);
			return NULL;
		}
		bits = bits << 6 | (unsigned int)(at - digits64);
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		p[out++] = (char)(bits >> have & 0xff);
	}
	p[out] = '\0';
	*n = out;
	return p;
}

static char *encode64(const char *p, size_t n)
{
	char *text = xmalloc((n + 2) / 3 * 4 + 1);
	size_t out = 0;

	for (size_t i = 0; i < n; i += 3) {
		unsigned int b = (unsigned int)(unsigned char)p[i] << 16;

		if (i + 1 < n)
			b |= (unsigned int)(unsigned char)p[i + 1] << 8;
		if (i + 2 < n)
			b |= (unsigned char)p[i + 2];
		text[out++] = digits64[b >> 18 & 63];
		text[out++] = digits64[b >> 12 & 63];
		text[out++] = i + 1 < n ? digits64[b >> 6 & 63] : '=';
		text[out++] = i + 2 < n ? digits64[b & 63] : '=';
	}
	text[out] = '\0';
	return text;
}

/* ---- config.json -------------------------------------------------------------------------- */

/* "https://host:5000/v1/" → "host:5000", as Docker compares them. */
static char *host_of(const char *key)
{
	const char *s = skip_prefix(key, "https://") ?: skip_prefix(key, "http://") ?: key;

	return xstrndup(s, strcspn(s, "/"));
}

/* The entry for @domain: by its exact key, else by the host of a key. */
static json *find_entry(json *object, const char *domain, const char **found)
{
	const char *key = credentials_key(domain);
	_cleanup_(free_p) char *want = host_of(key);
	struct json_iter it = { 0 };

	if (!json_is_object(object))
		return NULL;
	*found = key;
	if (json_has(object, key))
		return json_get(object, key);
	while (json_each(object, &it)) {
		_cleanup_(free_p) char *host = host_of(it.key);

		if (!streq(host, want) && !(streq(domain, "docker.io") && streq(host, domain)))
			continue;
		*found = it.key;
		return it.value;
	}
	return NULL;
}

static bool helper_name_is_valid(const char *name)
{
	return name_is_valid(name, 64);
}

static int bad_entry(const char *domain, const char *what, struct err *e)
{
	return err_set(e, EBADMSG, "the entry for %.200s %s", domain, what);
}

static int read_auth(json *entry, const char *domain, struct credentials *out, struct err *e)
{
	const char *auth = json_get_str(entry, "auth");
	_cleanup_(free_p) char *plain = NULL;
	char *colon;
	size_t n;

	if (is_empty(auth)) {
		out->user = xstrdup_null(json_get_str(entry, "username"));
		out->secret = xstrdup_null(json_get_str(entry, "password"));
		return 0;
	}
	plain = decode64(auth, &n);
	colon = plain && strlen(plain) == n ? strchr(plain, ':') : NULL;
	if (!colon || colon == plain) {
		if (plain)
			explicit_bzero(plain, n);
		return bad_entry(domain, "has an \"auth\" that is not base64 of user:password", e);
	}
	*colon = '\0';
	out->user = xstrdup(plain);
	out->secret = xstrdup(colon + 1);
	explicit_bzero(plain, n);
	return 0;
}

static int read_entry(json *entry, const char *domain, struct credentials *out, struct err *e)
{
	const char *identity = json_get_str(entry, "identitytoken"),
		   *token = json_get_str(entry, "registrytoken");
	int r;

	if (!json_is_object(entry))
		return bad_entry(domain, "is not an object", e);
	r = read_auth(entry, domain, out, e);
	if (r < 0)
		return r;
	out->identity = is_empty(identity) ? NULL : xstrdup(identity);
	out->token = is_empty(token) ? NULL : xstrdup(token);
	return out->identity || out->token || !is_empty(out->user) ? 0 : -ENOENT;
}

int credentials_lookup(json *config, const char *domain, struct credentials *out, char **helper,
		       struct err *e)
{
	const char *found = NULL, *name;
	json *entry;
	int r;

	*out = (struct credentials){ 0 };
	*helper = NULL;
	if (!json_is_object(config))
		return err_set(e, EBADMSG, "it is not a JSON object");
	name = json_str(find_entry(json_get(config, "credHelpers"), domain, &found));
	if (!name)
		name = json_get_str(config, "credsStore");
	if (!is_empty(name)) {
		if (!helper_name_is_valid(name))
			return err_set(e, EBADMSG, "\"%.60s\" cannot be the name of a helper",
				       name);
		*helper = xstrdup(name);
		return 0;
	}
	entry = find_entry(json_get(config, "auths"), domain, &found);
	if (!entry)
		return err_set(e, ENOENT, "no credentials for %.200s", domain);
	r = read_entry(entry, domain, out, e);
	if (r < 0)
		credentials_done(out);
	return r == -ENOENT ? err_set(e, ENOENT, "no credentials for %.200s", domain) : r;
}

int credentials_from_helper(const char *text, size_t n, struct credentials *out, struct err *e)
{
	_cleanup_(json_unrefp) json *o = NULL;
	const char *user, *secret;

	*out = (struct credentials){ 0 };
	if (json_parse(text, n, &o, NULL) < 0 || !json_is_object(o))
		return err_set(e, EBADMSG, "it did not print a JSON object");
	user = json_get_str(o, "Username");
	secret = json_get_str(o, "Secret");
	if (is_empty(secret))
		return err_set(e, ENOENT, "it knows no secret");
	if (streq_null(user, "<token>")) {
		out->identity = xstrdup(secret);
	} else {
		out->user = xstrdup(user ? user : "");
		out->secret = xstrdup(secret);
	}
	return 0;
}

/* ---- helpers ------------------------------------------------------------------------------ */

/* Run docker-credential-@helper @verb with @input. */
static int run_helper(const char *helper, const char *verb, const char *input, struct buf *out,
		      struct err *e)
{
	_cleanup_(free_p) char *name = xasprintf("docker-credential-%s", helper);
	_cleanup_(free_p) char *path = spawn_find(name);
	char *argv[] = { name, (char *)verb, NULL };
	struct spawn_opts o = SPAWN_OPTS_INIT;
	int r;

	if (!path) {
		err_set(e, ENOENT, "the credential helper %s is not installed", name);
		(void)err_hint(e, "install it, or take it out of Docker's config.json");
		return -ENOSYS;
	}
	o.path = path;
	o.argv = argv;
	r = spawn_run(&o, input, strlen(input), HELPER_MAX, out, e);
	if (r < 0)
		return r;
	if (r == 0)
		return 0;
	if (strstr(buf_str(out), "credentials not found"))
		return -ENOENT;
	/* What it printed may hold anything, so it is not repeated. */
	return err_set(e, EACCES, "%s %s failed with exit code %d", name, verb, r);
}

static int ask_helper(const char *helper, const char *domain, struct credentials *out,
		      struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = run_helper(helper, "get", credentials_key(domain), &text, e);

	if (r == 0)
		r = credentials_from_helper(buf_str(&text), text.len, out, e);
	if (text.data)
		explicit_bzero(text.data, text.len);
	if (r < 0)
		return r == -ENOENT || r == -ENOSYS
			       ? r
			       : err_wrap(e, r, "docker-credential-%s", helper);
	out->source = xasprintf("%s%s from docker-credential-%s", out->user ? "user " : "a token",
				out->user ? out->user : "", helper);
	return 0;
}

/* ---- the file ---------------------------------------------------------------------------------
 */

char *credentials_path(struct err *e)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (!is_empty(dir))
		return path_join(dir, "config.json");
	if (is_empty(home)) {
		err_set(e, ENOENT, "neither HOME nor DOCKER_CONFIG is set");
		return NULL;
	}
	return path_join(home, ".docker/config.json");
}

/* *out is an empty object when there is no file. */
static int read_config(const char *path, json **out, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = file_read_follow(AT_FDCWD, path, CONFIG_MAX, &text, e);

	if (r == -ENOENT || (r == 0 && text.len == 0)) {
		*out = json_new_object();
		return 0;
	}
	if (r == 0)
		r = json_parse(buf_str(&text), text.len, out, e);
	if (r == 0 && !json_is_object(*out))
		r = err_set(e, EBADMSG, "it is not a JSON object");
	if (text.data)
		explicit_bzero(text.data, text.len);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

static int write_config(const char *path, json *config, struct err *e)
{
	_cleanup_(free_p) char *text = json_text_pretty(config);
	_cleanup_(free_p) char *dir = path_dir(path);
	int r = mkdir_p(AT_FDCWD, dir, 0700, e);

	if (r == 0)
		r = file_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, true, e);
	explicit_bzero(text, strlen(text));
	return r;
}

int credentials_find(const char *domain, struct credentials *out, struct err *e)
{
	_cleanup_(free_p) char *path = credentials_path(e), *helper = NULL;
	_cleanup_(json_unrefp) json *config = NULL;
	int r;

	*out = (struct credentials){ 0 };
	if (!path)
		return -ENOENT;
	r = read_config(path, &config, e);
	if (r < 0)
		return r;
	r = credentials_lookup(config, domain, out, &helper, e);
	if (r < 0)
		return r == -ENOENT ? r : err_wrap(e, r, "%s", path);
	if (helper)
		return ask_helper(helper, domain, out, e);
	out->source = xasprintf("%s%s from %s", out->user ? "user " : "a token",
				out->user ? out->user : "", path);
	return 0;
}

static json *entry_of(const struct credentials *c)
{
	_cleanup_(free_p) char *pair = NULL, *text = NULL;
	json *entry = json_new_object();

	pair = xasprintf("%s:%s", c->user ? c->user : "", c->secret ? c->secret : "");
	text = encode64(pair, strlen(pair));
	json_put_str(entry, "auth", text);
	json_put_str(entry, "identitytoken", c->identity);
	explicit_bzero(pair, strlen(pair));
	explicit_bzero(text, strlen(text));
	return entry;
}

static int store_by_helper(const char *helper, const char *domain, const struct credentials *c,
			   struct err *e)
{
	_cleanup_(json_unrefp) json *o = json_new_object();
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	int r;

	json_put_str(o, "ServerURL", credentials_key(domain));
	json_put_str(o, "Username", c->identity ? "<token>" : c->user);
	json_put_str(o, "Secret", c->identity ? c->identity : c->secret);
	r = run_helper(helper, "store", json_text(o), &out, e);
	return r == -ENOENT ? -EACCES : r;
}

int credentials_store(const char *domain, const struct credentials *c, bool *plain, char **where,
		      struct err *e)
{
	_cleanup_(free_p) char *path = credentials_path(e), *helper = NULL;
	_cleanup_(json_unrefp) json *config = NULL;
	struct credentials old;
	const char *key;
	json *auths;
	int r = path ? read_config(path, &config, e) : -ENOENT;

	if (r < 0)
		return r;
	/* An entry that cannot be read is replaced by this one. */
	if (credentials_lookup(config, domain, &old, &helper, NULL) == 0)
		credentials_done(&old);
	*plain = !helper;
	*where = helper ? xasprintf("docker-credential-%s", helper) : xstrdup(path);
	if (helper)
		return store_by_helper(helper, domain, c, e);
	auths = json_get(config, "auths");
	if (!json_is_object(auths)) {
		auths = json_new_object();
		json_put(config, "auths", auths);
	}
	(void)find_entry(auths, domain, &key);
	json_put(auths, key, entry_of(c));
	return write_config(path, config, e);
}

/* The same object without one key. */
static json *without(json *o, const char *key)
{
	json *rest = json_new_object();
	struct json_iter it = { 0 };

	while (json_each(o, &it))
		if (!streq(it.key, key))
			json_put(rest, it.key, json_ref(it.value));
	return rest;
}

int credentials_erase(const char *domain, struct err *e)
{
	_cleanup_(free_p) char *path = credentials_path(e), *helper = NULL;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(json_unrefp) json *config = NULL;
	struct credentials old = { 0 };
	const char *key = NULL;
	json *auths;
	int r = path ? read_config(path, &config, e) : -ENOENT;

	if (r < 0)
		return r;
	if (credentials_lookup(config, domain, &old, &helper, NULL) == 0)
		credentials_done(&old);
	if (helper)
		return run_helper(helper, "erase", credentials_key(domain), &out, e);
	auths = json_get(config, "auths");
	if (!find_entry(auths, domain, &key))
		return err_set(e, ENOENT, "not logged in to %s", domain);
	json_put(config, "auths", without(auths, key));
	return write_config(path, config, e);
}
