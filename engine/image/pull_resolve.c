/* engine/image/pull_resolve.c: from a reference to the config and layers of one image:
 *
 *	HEAD	(only if the store has the name) is it still the same?
 *	MANIFEST  of the tag or digest; of an index then
 *	CHILD	  the manifest that suits the platform
 *	CONFIG	  says the diff ids
 *
 * and, when there is no such tag, TAGS, for the sentence that names near ones.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/strv.h"
#include "engine/image/pull_internal.h"
#include "engine/image/store_internal.h"

#define MAX_NEAR 8
#define TAGS_MAX (1U << 20)

/* ---- the same as before? ----------------------------------------------------------- */

char *pull_job_digest_ref(const struct pull_job *j, const char *digest)
{
	return xasprintf("%s/%s@%s", j->ref.domain, j->ref.path, digest);
}

static bool platform_fits(struct pull_job *j, const char *canonical)
{
	_cleanup_(image_freep) struct image *i = NULL;

	/* Nobody asked for a platform: what is there is what was wanted then. */
	return is_empty(j->q->platform) ||
	       (store_resolve(j->pull->store, canonical, &i, NULL) == 0 &&
		platform_suits(&j->platform, i->config.os, i->config.architecture,
			       i->config.variant) > 0);
}

/* Does the store know the image that the registry calls @digest?  Then it gets the
 * name too, if it does not have it, and that is all. */
bool pull_job_is_current(struct pull_job *j, const char *digest)
{
	_cleanup_(free_p) char *by_digest = pull_job_digest_ref(j, digest), *id = NULL,
			       *named = NULL;
	_cleanup_(free_p) char *canonical = ref_canonical(&j->ref), *path = NULL;
	bool same;

	if (store_resolve_id(j->pull->store, by_digest, &id, NULL) < 0 ||
	    !platform_fits(j, by_digest))
		return false;
	(void)store_resolve_id(j->pull->store, canonical, &named, NULL);
	same = streq_null(id, named);
	if (!same && store_tag(j->pull->store, by_digest, canonical, NULL, NULL) < 0)
		return false;
	path = ref_record_path(canonical);
	(void)utimensat(j->pull->store->fd, path, NULL, 0); /* else it is looked up sooner */
	str_set(&j->result->digest, digest);
	str_set(&j->result->id, id);
	pull_job_end(j, same ? PULL_CURRENT : PULL_NEW);
	return true;
}

int pull_last_checked(struct store *s, const char *ref, uint64_t *when, struct err *e)
{
	_cleanup_(free_p) char *canonical = NULL, *path = NULL;
	struct image_ref parsed;
	struct stat st;
	int r = ref_parse(ref, &parsed, e);

	if (r < 0)
		return r;
	canonical = ref_canonical(&parsed);
	ref_done(&parsed);
	path = ref_record_path(canonical);
	if (fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "no such image: %s", ref);
	*when = (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

/* ---- asking ------------------------------------------------------------------------ */

static void on_head(void *data, struct registry_answer *a);
static void on_manifest(void *data, struct registry_answer *a);
static void on_child(void *data, struct registry_answer *a);
static void on_config(void *data, struct registry_answer *a);
static void on_tags(void *data, struct registry_answer *a);

/* Who is in a hurry does not wait for another try. */
static void on_retry(void *data, uint64_t bytes, const char *retry, uint64_t delay)
{
	struct pull_job *j = data;

	if (retry && j->deadline)
		j->deadline = 1; /* long ago */
}

static int ask(struct pull_job *j, enum job_step step, const char *path, uint64_t max,
	       struct err *e)
{
	static const registry_done_fn handlers[] = { [JOB_HEAD] = on_head,
						     [JOB_MANIFEST] = on_manifest,
						     [JOB_CHILD] = on_child,
						     [JOB_CONFIG] = on_config,
						     [JOB_TAGS] = on_tags };
	const struct registry_request q = {
		.op = step == JOB_HEAD ? REGISTRY_HEAD : REGISTRY_GET,
		.endpoint = j->endpoint,
		.repo = j->ref.path,
		.path = path,
		.size = max,
		.fd = -EBADF,
		.done = handlers[step],
		.progress = on_retry,
		.data = j,
	};

	j->step = step;
	return registry_start(j->pull->registries, &q, &j->call, e);
}

static void ask_or_fail(struct pull_job *j, enum job_step step, const char *path, uint64_t max)
{
	struct err e = ERR_INIT;

	if (ask(j, step, path, max, &e) < 0)
		pull_job_fail(j, &e);
}

static char *manifest_path(const struct pull_job *j)
{
	return xasprintf("manifests/%s", j->ref.digest ? j->ref.digest : j->ref.tag);
}

int pull_job_start(struct pull_job *j, struct err *e)
{
	_cleanup_(free_p) char *path = manifest_path(j), *canonical = ref_canonical(&j->ref);
	_cleanup_(free_p) char *id = NULL;
	bool known = store_resolve_id(j->pull->store, canonical, &id, NULL) == 0;

	j->endpoint = registries_endpoint(j->pull->registries, &j->endpoints.items[j->at], NULL, e);
	if (j->endpoint < 0)
		return j->endpoint;
	/* A HEAD is free of charge where pulls are counted; docs.docker.com. */
	return ask(j, known && !j->ref.digest ? JOB_HEAD : JOB_MANIFEST, path, CONFIG_MAX_SIZE, e);
}

static void on_head(void *data, struct registry_answer *a)
{
	struct pull_job *j = data;
	_cleanup_(free_p) char *path = manifest_path(j);

	j->call = NULL;
	if (!a->e.code && digest_is_valid(a->said ?: "") && pull_job_is_current(j, a->said))
		return;
	ask_or_fail(j, JOB_MANIFEST, path, CONFIG_MAX_SIZE);
}

/* ---- what went wrong --------------------------------------------------------------- */

/* The tags nearest to what was asked for, or the first few. */
static void near_tags(const char *tag, char **tags, struct buf *out)
{
	size_t n = strv_len(tags), shown = 0;
	const char *near = nearest_word(tag, (const char *const *)tags, n);

	if (near)
		buf_printf(out, "did you mean \"%.100s\"? ", near);
	buf_adds(out, "there are: ");
	for (unsigned int want = 0; want <= 1; want++) {
		for (size_t i = 0; i < n && shown < MAX_NEAR; i++) {
			bool alike = strncmp(tags[i], tag, MIN(strlen(tag), (size_t)2)) == 0;

			if (alike == (want == 1) || out->len > ERR_HINT_MAX - 60)
				continue;
			buf_printf(out, "%s%.40s", shown++ ? ", " : "", tags[i]);
		}
	}
	if (shown < n)
		buf_printf(out, " and %zu more", n - shown);
}

static void on_tags(void *data, struct registry_answer *a)
{
	struct pull_job *j = data;
	_cleanup_(json_unrefp) json *o = NULL;
	_cleanup_(strv_freep) char **tags = NULL;
	_cleanup_(buf_done) struct buf hint = BUF_INIT;

	j->call = NULL;
	if (a->status == 404)
		err_set(&j->failed, ENOENT, "the registry has no such repository");
	if (!a->e.code && json_parse(buf_str(&a->body), a->body.len, &o, NULL) == 0)
		tags = json_get_strv(o, "tags");
	for (char **t = tags; t && *t; t++)
		for (char *p = *t; *p; p++)
			if ((unsigned char)*p < 0x21 || (unsigned char)*p > 0x7e)
				*p = '?';
	if (strv_len(tags)) {
		near_tags(j->ref.tag, tags, &hint);
		(void)err_hint(&j->failed, "%s", buf_str(&hint));
	}
	pull_job_fail(j, &j->failed);
}

static void manifest_failed(struct pull_job *j, const struct registry_answer *a)
{
	bool last = j->at + 1 == j->endpoints.n;
	struct err e = a->e;

	if (a->status == 401 || a->status == 403)
		(void)err_hint(&e, "comp login %s",
			       streq(j->ref.domain, "docker.io") ? "" : j->ref.domain);
	if (a->status != 404 || !last) {
		pull_job_fail(j, &e);
		return;
	}
	if (j->ref.digest)
		err_set(&j->failed, ENOENT, "the registry has no such digest");
	else
		err_set(&j->failed, ENOENT, "the registry has no tag \"%s\" of it", j->ref.tag);
	if (strstr(a->e.msg, "NAME_UNKNOWN"))
		err_set(&j->failed, ENOENT, "the registry has no such repository");
	if (j->ref.digest || strstr(a->e.msg, "NAME_UNKNOWN"))
		pull_job_fail(j, &j->failed);
	else
		ask_or_fail(j, JOB_TAGS, "tags/list?n=1000", TAGS_MAX);
}

/* ---- documents --------------------------------------------------------------------- */

int pull_check_body(const struct registry_answer *a, const char *digest, uint64_t size,
		    struct err *e)
{
	if (size != UINT64_MAX && a->size != size)
		return err_set(e, EBADMSG, "%s has %ju bytes, and should have %ju", digest,
			       (uintmax_t)a->size, (uintmax_t)size);
	if (!streq(a->digest, digest))
		return err_set(e, EBADMSG, "the content of %s is %s", digest, a->digest);
	return 0;
}

static void use_manifest(struct pull_job *j, struct registry_answer *a, const char *type)
{
	_cleanup_(free_p) char *path = NULL;
	struct err e = ERR_INIT;

	if (manifest_parse(buf_str(&a->body), a->body.len, type, &j->manifest, &e) < 0) {
		pull_job_fail(j, &e);
		return;
	}
	if (j->manifest.config.size > CONFIG_MAX_SIZE) {
		err_set(&e, EFBIG, "its config is larger than %u bytes", CONFIG_MAX_SIZE);
		pull_job_fail(j, &e);
		return;
	}
	buf_done(&j->manifest_text);
	j->manifest_text = a->body;
	a->body = BUF_INIT;
	path = xasprintf("blobs/%s", j->manifest.config.digest);
	ask_or_fail(j, JOB_CONFIG, path, j->manifest.config.size);
}

static void use_index(struct pull_job *j, const struct registry_answer *a, const char *type)
{
	_cleanup_(image_index_done) struct image_index x = { 0 };
	_cleanup_(free_p) char *path = NULL;
	const struct descriptor *d;
	struct err e = ERR_INIT;

	if (image_index_parse(buf_str(&a->body), a->body.len, type, &x, &e) < 0) {
		pull_job_fail(j, &e);
		return;
	}
	d = platform_choose(&j->platform, &x);
	if (!d || d->size > CONFIG_MAX_SIZE || media_kind(d->media_type) != MEDIA_MANIFEST) {
		if (!d)
			(void)platform_none(&j->platform, &x, &e);
		else
			err_set(&e, EBADMSG, "the index lists something that is no manifest");
		pull_job_fail(j, &e);
		return;
	}
	j->child = (struct descriptor){ .media_type = xstrdup(d->media_type),
					.digest = xstrdup(d->digest),
					.size = d->size };
	path = xasprintf("manifests/%s", d->digest);
	ask_or_fail(j, JOB_CHILD, path, d->size);
}

/* What the registry called it, if it is one of the documents that are understood. */
static const char *stated_type(const struct registry_answer *a)
{
	return media_kind(a->type) != MEDIA_OTHER ? a->type : NULL;
}

/* Without a usable Content-Type the document itself says what it is. */
static bool looks_like_index(const struct registry_answer *a)
{
	_cleanup_(json_unrefp) json *o = NULL;

	if (stated_type(a))
		return media_kind(a->type) == MEDIA_INDEX;
	return json_parse(buf_str(&a->body), a->body.len, &o, NULL) == 0 && json_is_object(o) &&
	       json_has(o, "manifests");
}

static void on_manifest(void *data, struct registry_answer *a)
{
	struct pull_job *j = data;
	const struct pull_watch *w = j->pull->w;
	struct err e = ERR_INIT;

	j->call = NULL;
	j->deadline = 0;
	if (a->e.code) {
		manifest_failed(j, a);
		return;
	}
	if ((j->ref.digest && pull_check_body(a, j->ref.digest, UINT64_MAX, &e) < 0) ||
	    (!j->ref.digest && digest_is_valid(a->said ?: "") &&
	     pull_check_body(a, a->said, UINT64_MAX, &e) < 0)) {
		pull_job_fail(j, &e);
		return;
	}
	str_set(&j->result->digest, a->digest);
	if (w->resolved)
		w->resolved(w->data, j->index, a->digest);
	if (pull_job_is_current(j, a->digest))
		return;
	if (looks_like_index(a))
		use_index(j, a, stated_type(a));
	else
		use_manifest(j, a, stated_type(a));
}

static void on_child(void *data, struct registry_answer *a)
{
	struct pull_job *j = data;
	struct err e = a->e;

	j->call = NULL;
	if (e.code || pull_check_body(a, j->child.digest, j->child.size, &e) < 0)
		pull_job_fail(j, &e);
	else
		use_manifest(j, a, j->child.media_type);
}

static int check_platform(struct pull_job *j, struct err *e)
{
	const struct image_config *c = &j->config;
	_cleanup_(free_p) char *want = platform_text(&j->platform);

	if (platform_suits(&j->platform, c->os, c->architecture, c->variant) > 0)
		return 0;
	return err_set(e, ENOENT, "no image for %s; there are: %.32s/%.32s%s%.32s", want,
		       is_empty(c->os) ? "linux" : c->os, c->architecture, c->variant ? "/" : "",
		       c->variant ? c->variant : "");
}

static void on_config(void *data, struct registry_answer *a)
{
	struct pull_job *j = data;
	struct err e = a->e;
	int r;

	j->call = NULL;
	r = e.code ? -e.code
		   : pull_check_body(a, j->manifest.config.digest, j->manifest.config.size, &e);
	if (r == 0)
		r = image_config_parse(buf_str(&a->body), a->body.len, &j->config, &e);
	if (r == 0)
		r = check_platform(j, &e);
	if (r == 0 && !j->stage)
		r = stage_begin(j->pull->store, &j->stage, &e);
	if (r == 0)
		r = pull_layers_make(j, &e);
	if (r < 0) {
		pull_job_fail(j, &e);
		return;
	}
	j->config_text = a->body;
	a->body = BUF_INIT;
	j->step = JOB_LAYERS;
}
