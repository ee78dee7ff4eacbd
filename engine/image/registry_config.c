/* engine/image/registry_config.c: see registry_config.h. */
#include "engine/image/registry_config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"

#define DEFAULT_PATH "/etc/comp/registries.json"
#define FILE_MAX     (1U << 20)
#define HUB_URL      "https://registry-1.docker.io"

static const char *const cert_dirs[] = { "/etc/comp/certs.d", "/etc/docker/certs.d" };

void registry_config_done(struct registry_config *c)
{
	json_unref(c->document);
	free(c->path);
	*c = (struct registry_config){ 0 };
}

static bool is_url(const char *s)
{
	const char *host = s ? skip_prefix(s, "https://") ?: skip_prefix(s, "http://") : NULL;

	return host && *host && *host != '/' && !strpbrk(host, "@?# \t\r\n");
}

static int check_urls(json *list, const char *what, struct err *e)
{
	if (list && !json_is_array(list))
		return err_set(e, EINVAL, "\"%s\" must be a list", what);
	for (size_t i = 0; i < json_len(list); i++)
		if (!is_url(json_str(json_at(list, i))))
			return err_set(e, EINVAL, "\"%s\" must hold http:// or https:// URLs",
				       what);
	return 0;
}

static int check_registry(const char *name, json *o, struct err *e)
{
	struct json_iter it = { 0 };
	int r;

	if (!json_is_object(o))
		return err_set(e, EINVAL, "registries.%.100s must be an object", name);
	while (json_each(o, &it)) {
		if (streq(it.key, "mirrors"))
			r = check_urls(it.value, "mirrors", e);
		else if (streq(it.key, "insecure") && json_kind(it.value) == JSON_BOOL)
			r = 0;
		else if (streq(it.key, "ca") && json_is_str(it.value))
			r = 0;
		else
			r = err_set(e, EINVAL, "\"%.60s\" is not known here or has the wrong type",
				    it.key);
		if (r < 0)
			return err_wrap(e, r, "registries.%.100s", name);
	}
	return 0;
}

static int check_number(json *v, const char *what, unsigned int max, unsigned int *out,
			struct err *e)
{
	int64_t n = json_kind(v) == JSON_INT ? json_int(v) : 0;

	if (n < 1 || n > max)
		return err_set(e, EINVAL, "\"%s\" must be a number from 1 to %u", what, max);
	*out = (unsigned int)n;
	return 0;
}

static int check_key(struct registry_config *c, const char *key, json *value, struct err *e)
{
	struct json_iter it = { 0 };
	int r = 0;

	if (streq(key, "registry-mirrors"))
		return check_urls(value, key, e);
	if (streq(key, "timeout"))
		return check_number(value, key, 3600, &c->timeout, e);
	if (streq(key, "max-concurrent-downloads"))
		return check_number(value, key, 16, &c->downloads, e);
	if (streq(key, "insecure-registries") && json_is_array(value))
		return 0;
	if (!streq(key, "registries") || !json_is_object(value)) {
		err_set(e, EINVAL, "\"%.60s\" is not known here or has the wrong type", key);
		return err_hint(e, "registry-mirrors, insecure-registries, registries, timeout and "
				   "max-concurrent-downloads are");
	}
	while (r == 0 && json_each(value, &it))
		r = check_registry(it.key, it.value, e);
	return r;
}

int registry_config_parse(const char *text, size_t n, struct registry_config *out, struct err *e)
{
	struct json_iter it = { 0 };
	int r;

	*out = (struct registry_config){ .timeout = 30, .downloads = 6 };
	r = json_parse(text, n, &out->document, e);
	if (r == 0 && !json_is_object(out->document))
		r = err_set(e, EINVAL, "it is not a JSON object");
	while (r == 0 && json_each(out->document, &it))
		r = check_key(out, it.key, it.value, e);
	if (r < 0)
		registry_config_done(out);
	return r;
}

int registry_config_load(struct registry_config *out, struct err *e)
{
	const char *named = getenv("COMP_REGISTRIES");
	const char *path = is_empty(named) ? DEFAULT_PATH : named;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = file_read_follow(AT_FDCWD, path, FILE_MAX, &text, e);

	if (r == -ENOENT && is_empty(named)) {
		if (e)
			*e = ERR_INIT;
		return registry_config_parse("{}", 2, out, e);
	}
	if (r < 0)
		return r;
	r = registry_config_parse(buf_str(&text), text.len, out, e);
	if (r < 0)
		return err_wrap(e, r, "%s", path);
	out->path = xstrdup(path);
	return 0;
}

/* ---- insecure? -------------------------------------------------------------------- */

/* "host", "host:5000", "[::1]:5000" → the host. */
static char *host_part(const char *host)
{
	size_t n = *host == '[' ? strcspn(host, "]") : strcspn(host, ":");

	return *host == '[' ? xstrndup(host + 1, n - 1) : xstrndup(host, n);
}

static bool in_network(const char *host, const char *cidr)
{
	_cleanup_(free_p) char *net = xstrndup(cidr, strcspn(cidr, "/"));
	const char *slash = strchr(cidr, '/');
	unsigned char a[16], b[16];
	uint64_t bits;
	int family = strchr(net, ':') ? AF_INET6 : AF_INET;

	if (!slash || !parse_u64(slash + 1, &bits) || bits > (family == AF_INET ? 32U : 128U) ||
	    inet_pton(family, net, a) != 1 || inet_pton(family, host, b) != 1)
		return false;
	for (uint64_t i = 0; i < bits; i++)
		if ((a[i / 8] ^ b[i / 8]) & (0x80 >> i % 8))
			return false;
	return true;
}

bool registry_config_is_insecure(const struct registry_config *c, const char *host)
{
	json *own = json_get(json_get(c->document, "registries"), host);
	json *list = json_get(c->document, "insecure-registries");
	_cleanup_(free_p) char *name = host_part(host);

	if (json_has(own, "insecure"))
		return json_get_bool(own, "insecure", false);
	for (size_t i = 0; i < json_len(list); i++) {
		const char *entry = json_str(json_at(list, i));

		if (entry && (streq(entry, host) || streq(entry, name) || in_network(name, entry)))
			return true;
	}
	return streq(name, "localhost") || streq(name, "::1") || in_network(name, "127.0.0.0/8");
}

/* ---- endpoints ------------------------------------------------------------------------ */

void registry_endpoints_done(struct registry_endpoints *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].domain);
		free(l->items[i].url);
	}
	free(l->items);
	*l = (struct registry_endpoints){ 0 };
}

static struct registry_endpoint *add(struct registry_endpoints *l)
{
	l->items = xreallocarray(l->items, l->n + 1, sizeof(*l->items));
	l->items[l->n] = (struct registry_endpoint){ 0 };
	return &l->items[l->n++];
}

static char *host_of_url(const char *url)
{
	const char *s = strstr(url, "://") + 3; /* checked when the file was read */

	return xstrndup(s, strcspn(s, "/"));
}

static void add_mirrors(const struct registry_config *c, json *list, struct registry_endpoints *l)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct registry_endpoint *p = add(l);

		p->url = xstrdup(json_str(json_at(list, i)));
		while (has_suffix(p->url, "/"))
			p->url[strlen(p->url) - 1] = '\0';
		p->domain = host_of_url(p->url);
		p->mirror = true;
		p->insecure = skip_prefix(p->url, "http://") ||
			      registry_config_is_insecure(c, p->domain);
	}
}

void registry_config_endpoints(const struct registry_config *c, const char *domain,
			       struct registry_endpoints *out)
{
	json *own = json_get(json_get(c->document, "registries"), domain);
	struct registry_endpoint *p;

	*out = (struct registry_endpoints){ 0 };
	add_mirrors(c, json_get(own, "mirrors"), out);
	if (streq(domain, "docker.io"))
		add_mirrors(c, json_get(c->document, "registry-mirrors"), out);
	p = add(out);
	p->domain = xstrdup(domain);
	p->url = streq(domain, "docker.io") ? xstrdup(HUB_URL) : xasprintf("https://%s", domain);
	p->insecure = registry_config_is_insecure(c, domain);
}

/* ---- certificates ---------------------------------------------------------------------- */

void registry_certs_done(struct registry_certs *c)
{
	buf_done(&c->ca);
	buf_done(&c->cert);
	if (c->key.data)
		explicit_bzero(c->key.data, c->key.len);
	buf_done(&c->key);
}

static int read_dir(const char *path, struct registry_certs *out, struct err *e)
{
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct dirent *d;
	int r = 0;

	while (r == 0 && dir && (d = readdir(dir))) {
		struct buf *to = has_suffix(d->d_name, ".crt") ? &out->ca : NULL;

		if (streq(d->d_name, "client.cert"))
			to = &out->cert;
		if (streq(d->d_name, "client.key"))
			to = &out->key;
		if (to)
			r = file_read_follow(dirfd(dir), d->d_name, FILE_MAX, to, e);
		if (to && r == 0)
			buf_addc(to, '\n');
	}
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

int registry_config_certs(const struct registry_config *c, const struct registry_endpoint *p,
			  struct registry_certs *out, struct err *e)
{
	_cleanup_(free_p) char *host = host_of_url(p->url);
	const char *ca = json_get_str(json_get(json_get(c->document, "registries"), p->domain),
				      "ca");
	int r = 0;

	*out = (struct registry_certs){ 0 };
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(cert_dirs); i++) {
		_cleanup_(free_p) char *path = path_join(cert_dirs[i], host);

		r = read_dir(path, out, e);
	}
	if (r == 0 && ca)
		r = file_read_follow(AT_FDCWD, ca, FILE_MAX, &out->ca, e);
	if (r < 0)
		registry_certs_done(out);
	return r;
}
