/* cli/builder.c: see builder.h. */
#include "cli/builder.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "cli/build_view.h"
#include "cli/images_view.h"
#include "cli/pulling.h"
#include "engine/image/ref.h"

#define SECRET_MAX (500U << 10) /* bytes, as BuildKit's */

void builder_init(struct builder *b)
{
	*b = (struct builder){ .o = { .context_fd = -EBADF, .output_fd = -EBADF } };
}

void builder_done(struct builder *b)
{
	char **lists[] = { b->args,       b->labels,   b->tags,    b->ssh,    b->hosts,
			   b->cache_from, b->cache_to, b->filters, b->strings };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_free(lists[i]);
	for (size_t i = 0; i < b->o.n_secrets; i++) {
		free(b->secrets[i].id);
		free(b->secrets[i].content);
	}
	for (size_t i = 0; i < b->o.n_contexts; i++) {
		free(b->contexts[i].name);
		free(b->contexts[i].value);
	}
	for (size_t i = 0; i < b->o.n_ulimits; i++)
		free(b->ulimits[i].name);
	free(b->secrets);
	free(b->contexts);
	free(b->ulimits);
	free(b->iidfile);
}

char *builder_keep(struct builder *b, const char *text)
{
	strv_add(&b->strings, text);
	return b->strings[strv_len(b->strings) - 1];
}

void builder_add_arg(struct builder *b, const char *text)
{
	_cleanup_(free_p) char *key = xstrndup(text, strcspn(text, "="));
	const char *value = strchr(text, '=') ? strchr(text, '=') + 1 : getenv(text);

	if (value)
		strv_env_set(&b->args, key, value);
}

int builder_add_tag(struct builder *b, const char *text, struct err *e)
{
	_cleanup_(ref_done) struct image_ref ref = { 0 };
	_cleanup_(free_p) char *canonical = NULL;
	int r = ref_parse(text, &ref, e);

	if (r < 0)
		return err_wrap(e, r, "invalid tag \"%s\"", text);
	if (ref.digest)
		return err_set(e, EINVAL, "invalid tag \"%s\": a digest is not a name to give",
			       text);
	canonical = ref_canonical(&ref);
	if (!strv_has(b->tags, canonical))
		strv_add(&b->tags, canonical);
	return 0;
}

/* ---- "key=value,key=value" ----------------------------------------------------------------- */

static const char *field(char *const *fields, const char *key, const char *other)
{
	const char *value = strv_env_get(fields, key);

	return value || !other ? value : strv_env_get(fields, other);
}

static int known_fields(char *const *fields, const char *const *known, const char *flag,
			struct err *e)
{
	STRV_FOREACH (f, fields) {
		_cleanup_(free_p) char *key = xstrndup(*f, strcspn(*f, "="));
		bool ok = false;

		for (const char *const *k = known; *k; k++)
			ok |= streq(*k, key);
		if (!ok || !strchr(*f, '='))
			return err_set(e, EINVAL, "%s: unexpected key '%s' in '%s'", flag, key, *f);
	}
	return 0;
}

int builder_add_secret_content(struct builder *b, const char *id, const char *content, size_t n)
{
	struct build_secret *s;

	b->secrets = xreallocarray(b->secrets, b->o.n_secrets + 1, sizeof(*b->secrets));
	s = &b->secrets[b->o.n_secrets++];
	*s = (struct build_secret){ .id = xstrdup(id), .size = n };
	s->content = memcpy(xcalloc(1, n + 1), content, n);
	b->o.secrets = b->secrets;
	return 0;
}

int builder_add_secret(struct builder *b, const char *text, struct err *e)
{
	static const char *const known[] = { "id", "src", "source", "env", "type", NULL };
	_cleanup_(strv_freep) char **fields = strv_split(text, ',', true);
	_cleanup_(buf_done) struct buf content = BUF_INIT;
	const char *id = field(fields, "id", NULL), *env = field(fields, "env", NULL);
	const char *src = field(fields, "src", "source"), *type = field(fields, "type", NULL);
	int r = known_fields(fields, known, "--secret", e);

	if (r == 0 && is_empty(id))
		r = err_set(e, EINVAL, "--secret %s: an id is needed", text);
	if (r < 0)
		return r;
	if (!src && (env || streq_null(type, "env") || getenv(id))) {
		const char *value = getenv(env ?: id);

		if (!value)
			return err_set(e, ENOENT, "secret %s: the variable %s is not set", id,
				       env ?: id);
		return builder_add_secret_content(b, id, value, strlen(value));
	}
	r = file_read_follow(AT_FDCWD, src ?: id, SECRET_MAX, &content, e);
	if (r < 0)
		return err_wrap(e, r, "secret %s", id);
	return builder_add_secret_content(b, id, buf_str(&content), content.len);
}

int builder_add_ssh(struct builder *b, const char *text, struct err *e)
{
	_cleanup_(free_p) char *id = xstrndup(text, strcspn(text, "="));
	const char *path = strchr(text, '=') ? strchr(text, '=') + 1 : getenv("SSH_AUTH_SOCK");
	struct stat st;

	if (is_empty(path))
		return err_set(e, EINVAL, "ssh %s: no agent: SSH_AUTH_SOCK is not set", id);
	if (stat(path, &st) < 0)
		return err_errno(e, errno, "ssh %s: %s", id, path);
	if (!S_ISSOCK(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "ssh %s: %s is neither a key nor the socket of an agent",
			       id, path);
	strv_env_set(&b->ssh, *id ? id : "default", path);
	b->o.ssh = b->ssh;
	return 0;
}

int builder_add_context(struct builder *b, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	struct build_context_arg *c;

	if (!eq || eq == text || !eq[1])
		return err_set(e, EINVAL, "invalid context value: %s, expected key=value", text);
	b->contexts = xreallocarray(b->contexts, b->o.n_contexts + 1, sizeof(*b->contexts));
	c = &b->contexts[b->o.n_contexts++];
	c->name = xstrndup(text, (size_t)(eq - text));
	c->value = xstrdup(eq + 1);
	b->o.contexts = b->contexts;
	return 0;
}

int builder_add_host(struct builder *b, const char *text, struct err *e)
{
	size_t n = strcspn(text, "=:");

	if (n == 0 || !text[n] || !text[n + 1])
		return err_set(e, EINVAL, "bad format for add-host: \"%s\"", text);
	strv_addf(&b->hosts, "%.*s=%s", (int)n, text, text + n + 1);
	b->o.extra_hosts = b->hosts;
	return 0;
}

int builder_add_ulimit(struct builder *b, const char *text, struct err *e)
{
	const char *eq = strchr(text, '='), *colon = eq ? strchr(eq, ':') : NULL;
	_cleanup_(free_p) char *soft = NULL;
	struct ulimit_spec u = { 0 };

	if (!eq || eq == text)
		return err_set(e, EINVAL, "invalid ulimit argument: %s", text);
	soft = colon ? xstrndup(eq + 1, (size_t)(colon - eq - 1)) : xstrdup(eq + 1);
	if (!parse_i64(soft, &u.soft) || !parse_i64(colon ? colon + 1 : soft, &u.hard))
		return err_set(e, EINVAL, "invalid ulimit argument: %s", text);
	u.name = xstrndup(text, (size_t)(eq - text));
	b->ulimits = xreallocarray(b->ulimits, b->o.n_ulimits + 1, sizeof(*b->ulimits));
	b->ulimits[b->o.n_ulimits++] = u;
	b->o.ulimits = b->ulimits;
	return 0;
}

int builder_add_cache(struct builder *b, const char *text, bool to, struct err *e)
{
	_cleanup_(strv_freep) char **fields = strv_split(text, ',', true);
	const char *type = field(fields, "type", NULL);
	const char *dir = to ? field(fields, "dest", NULL) : field(fields, "src", NULL);

	if (!strchr(text, '='))
		dir = text;
	if (type && !streq(type, "local")) {
		/* An image as a cache: its layers are found by content if it is here. */
		if (streq(type, "registry") || streq(type, "inline") || streq(type, "gha"))
			return 0;
		return err_set(e, EOPNOTSUPP, "cache type \"%s\" is not supported: use local",
			       type);
	}
	if (!type && !to)
		return 0; /* --cache-from IMAGE */
	if (!dir)
		return err_set(e, EINVAL, "%s: %s is needed", text, to ? "dest=DIR" : "src=DIR");
	strv_add(to ? &b->cache_to : &b->cache_from, dir);
	b->o.cache_from = b->cache_from;
	b->o.cache_to = b->cache_to;
	return 0;
}

/* ---- base images --------------------------------------------------------------------------- */

int builder_fetch(struct context *ctx, const char *ref, const char *platform, bool quiet,
		  struct err *e)
{
	struct pull_item item = { .ref = ref, .platform = platform, .lenient = false };
	_cleanup_(store_closep) struct store *store = NULL;
	struct pull_result result = { 0 };
	int r = images_open(ctx, true, &store, e);

	if (r < 0)
		return r;
	r = pulling_run(ctx, store, &item, 1, quiet, &result, e);
	pull_result_done(&result);
	return r;
}

struct fetching {
	struct context *ctx;
	struct build_view *view;
	const char *platform;
	bool quiet;
};

static int fetch_image(void *data, const char *ref, struct err *e)
{
	const struct fetching *f = data;

	build_view_break(f->view);
	return builder_fetch(f->ctx, ref, f->platform, f->quiet, e);
}

/* ---- running ------------------------------------------------------------------------------- */

static int set_epoch(struct builder *b, struct err *e)
{
	const char *text = strv_env_get(b->args, "SOURCE_DATE_EPOCH")
				   ?: getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds;

	if (is_empty(text))
		return 0;
	if (!parse_u64(text, &seconds) || seconds > UINT64_MAX / NSEC_PER_SEC)
		return err_set(e, EINVAL, "SOURCE_DATE_EPOCH is not a number of seconds: %s", text);
	b->o.has_epoch = true;
	b->o.epoch = seconds * NSEC_PER_SEC;
	strv_env_set(&b->args, "SOURCE_DATE_EPOCH", text);
	return 0;
}

int builder_display(struct context *ctx, const char *mode, bool quiet, struct build_view **view,
		    struct build_handler *h, struct err *e)
{
	int cancel, r = ctx_need_root(ctx, e);

	if (r == 0)
		r = ctx_dirs(ctx, e);
	cancel = r == 0 ? ctx_cancel_fd(ctx, e) : r;
	if (cancel < 0)
		return cancel;
	r = build_view_new(ctx, mode, quiet, view, e);
	if (r == 0)
		*h = build_view_handler(*view, cancel);
	return r;
}

int builder_run_for(struct context *ctx, struct builder *b, const struct build_handler *h,
		    builder_fetch_fn fetch, void *data, struct build_result *out, struct err *e)
{
	int r = set_epoch(b, e);

	if (r < 0)
		return r;
	b->o.dirs = &ctx->dirs;
	b->o.fetch = fetch;
	b->o.data = data;
	b->o.args = b->args;
	b->o.labels = b->labels;
	b->o.tags = b->tags;
	b->o.no_cache_filter = b->filters;
	return build_run(&b->o, h, out, e);
}

int builder_run(struct context *ctx, struct builder *b, const char *mode, bool quiet,
		struct build_result *out, struct err *e)
{
	_cleanup_(build_view_freep) struct build_view *view = NULL;
	struct fetching fetching = { .ctx = ctx, .platform = b->o.platform, .quiet = quiet };
	struct build_handler h;
	int r = builder_display(ctx, mode, quiet, &view, &h, e);

	if (r < 0)
		return r;
	fetching.view = view;
	r = builder_run_for(ctx, b, &h, fetch_image, &fetching, out, e);
	if (r < 0 && out->failed)
		build_view_excerpt(view, out->failed_vertex);
	return r;
}
