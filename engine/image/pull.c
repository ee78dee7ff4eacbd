/* engine/image/pull.c: each image is a `struct job` that goes through
 *
 *	HEAD	(only if the store has the name) is it still the same?
 *	MANIFEST  of the tag or digest; of an index then
 *	CHILD	  the manifest that suits the platform
 *	CONFIG	  says the diff ids
 *	LAYERS	  downloads, as many at once as allowed, each into a file of the stage, from
 *		  where comp-extract is fed while the rest arrives
 *
 * and then commits its stage.  All jobs share one poll(2) loop, so that nothing
 * waits for anything but the network, the disk and the cores.  Two images that share
 * a layer do not fetch it twice: the second waits for the first.
 *
 * What is believed: digests.  The last byte of a layer is held back from the
 * unpacker until the digest of all of them was right.
 */
#include "engine/image/pull.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/strv.h"
#include "engine/image/extractor.h"
#include "engine/image/manifest.h"
#include "engine/image/platform.h"
#include "engine/image/ref.h"
#include "engine/image/stage.h"
#include "engine/image/store_internal.h"

#define MAX_FDS  256
#define MAX_NEAR 8
#define TAGS_MAX (1U << 20)

struct pull;
struct job;

struct layer {
	struct job *job;
	const struct descriptor *d; /* in the job's manifest */
	const char *diff_id;        /* in the job's config */
	char what[48];
	int fd;
	uint64_t got;
	bool started, verified, done;
	struct registry_call *call;
	struct stage_unpack *unpack;
	struct layer_source source;
};

enum job_step { JOB_HEAD, JOB_MANIFEST, JOB_CHILD, JOB_CONFIG, JOB_LAYERS, JOB_TAGS, JOB_END };

struct job {
	struct pull *pull;
	size_t index;
	const struct pull_request *q;
	struct pull_result *result;
	struct image_ref ref;
	struct platform platform;
	struct registry_endpoints endpoints;
	size_t at; /* which of them */
	int endpoint;
	enum job_step step;
	struct registry_call *call;
	struct descriptor child; /* of an index; texts owned */
	struct buf manifest_text, config_text;
	struct manifest manifest;
	struct image_config config;
	struct layer *layers;
	size_t n_layers;
	struct stage *stage;
	struct err failed; /* JOB_TAGS: what it will say */
};

struct pull {
	struct store *store;
	struct registries *registries;
	const struct pull_watch *w;
	struct job *jobs;
	size_t n;
	unsigned int max_unpacks;
};

void pull_result_done(struct pull_result *r)
{
	free(r->id);
	free(r->digest);
	free(r->canonical);
	*r = (struct pull_result){ 0 };
}

static void tell_layer(const struct layer *l, enum pull_layer_state state, const char *note)
{
	const struct pull_watch *w = l->job->pull->w;

	if (w->layer)
		w->layer(w->data, l->job->index, l->d->digest, state, l->got, l->d->size, note);
}

/* ---- the end of a job ------------------------------------------------------------------ */

static void layer_done(struct layer *l)
{
	registry_cancel(l->job->pull->registries, l->call);
	stage_unpack_free(l->unpack);
	fd_close(l->fd);
	l->call = NULL;
	l->unpack = NULL;
	l->fd = -EBADF;
}

static void drop_documents(struct job *j)
{
	for (size_t i = 0; i < j->n_layers; i++)
		layer_done(&j->layers[i]);
	free(j->layers);
	j->layers = NULL;
	j->n_layers = 0;
	registry_cancel(j->pull->registries, j->call);
	j->call = NULL;
	manifest_done(&j->manifest);
	image_config_done(&j->config);
	j->config = (struct image_config){ 0 };
	buf_done(&j->manifest_text);
	buf_done(&j->config_text);
	descriptor_done(&j->child);
}

static void job_done(struct job *j)
{
	drop_documents(j);
	stage_free(j->stage);
	j->stage = NULL;
	registry_endpoints_done(&j->endpoints);
	platform_done(&j->platform);
	ref_done(&j->ref);
}

static void job_end(struct job *j, enum pull_outcome outcome)
{
	const struct pull_watch *w = j->pull->w;

	j->result->outcome = outcome;
	j->step = JOB_END;
	drop_documents(j);
	stage_free(j->stage);
	j->stage = NULL;
	if (w->finished)
		w->finished(w->data, j->index, j->result);
}

static int job_start(struct job *j, struct err *e);

static void job_fail(struct job *j, const struct err *e)
{
	struct err next = ERR_INIT;

	/* A mirror that fails is passed over. */
	if (j->at + 1 < j->endpoints.n && e->code != ENOSPC) {
		j->at++;
		drop_documents(j);
		if (job_start(j, &next) == 0)
			return;
		e = &next;
	}
	j->result->e = *e;
	(void)err_wrap(&j->result->e, -e->code, "%s", j->q->ref);
	job_end(j, PULL_FAILED);
}

/* ---- the same as before? -------------------------------------------------------------------- */

static char *digest_ref(const struct job *j, const char *digest)
{
	return xasprintf("%s/%s@%s", j->ref.domain, j->ref.path, digest);
}

static bool platform_fits(struct job *j, const char *canonical)
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
static bool is_current(struct job *j, const char *digest)
{
	_cleanup_(free_p) char *by_digest = digest_ref(j, digest), *id = NULL, *named = NULL;
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
	job_end(j, same ? PULL_CURRENT : PULL_NEW);
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

/* ---- asking ------------------------------------------------------------------------------- */

static void on_head(void *data, struct registry_answer *a);
static void on_manifest(void *data, struct registry_answer *a);
static void on_child(void *data, struct registry_answer *a);
static void on_config(void *data, struct registry_answer *a);
static void on_tags(void *data, struct registry_answer *a);

static int ask(struct job *j, enum job_step step, const char *path, uint64_t max, struct err *e)
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
		.data = j,
	};

	j->step = step;
	return registry_start(j->pull->registries, &q, &j->call, e);
}

static void ask_or_fail(struct job *j, enum job_step step, const char *path, uint64_t max)
{
	struct err e = ERR_INIT;

	if (ask(j, step, path, max, &e) < 0)
		job_fail(j, &e);
}

static char *manifest_path(const struct job *j)
{
	return xasprintf("manifests/%s", j->ref.digest ? j->ref.digest : j->ref.tag);
}

static int job_start(struct job *j, struct err *e)
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
	struct job *j = data;
	_cleanup_(free_p) char *path = manifest_path(j);

	j->call = NULL;
	if (!a->e.code && digest_is_valid(a->said ?: "") && is_current(j, a->said))
		return;
	ask_or_fail(j, JOB_MANIFEST, path, CONFIG_MAX_SIZE);
}

/* ---- what went wrong ------------------------------------------------------------------------- */

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
	struct job *j = data;
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
	job_fail(j, &j->failed);
}

static void manifest_failed(struct job *j, const struct registry_answer *a)
{
	bool last = j->at + 1 == j->endpoints.n;
	struct err e = a->e;

	if (a->status == 401 || a->status == 403)
		(void)err_hint(&e, "comp login %s",
			       streq(j->ref.domain, "docker.io") ? "" : j->ref.domain);
	if (a->status != 404 || !last) {
		job_fail(j, &e);
		return;
	}
	if (j->ref.digest)
		err_set(&j->failed, ENOENT, "the registry has no such digest");
	else
		err_set(&j->failed, ENOENT, "the registry has no tag \"%s\" of it", j->ref.tag);
	if (strstr(a->e.msg, "NAME_UNKNOWN"))
		err_set(&j->failed, ENOENT, "the registry has no such repository");
	if (j->ref.digest || strstr(a->e.msg, "NAME_UNKNOWN"))
		job_fail(j, &j->failed);
	else
		ask_or_fail(j, JOB_TAGS, "tags/list?n=1000", TAGS_MAX);
}

/* ---- documents
 * ----------------------------------------------------------------------------------- */

static int check_body(const struct registry_answer *a, const char *digest, uint64_t size,
		      struct err *e)
{
	if (size != UINT64_MAX && a->size != size)
		return err_set(e, EBADMSG, "%s has %ju bytes, and should have %ju", digest,
			       (uintmax_t)a->size, (uintmax_t)size);
	if (!streq(a->digest, digest))
		return err_set(e, EBADMSG, "the content of %s is %s", digest, a->digest);
	return 0;
}

static void use_manifest(struct job *j, struct registry_answer *a, const char *type)
{
	_cleanup_(free_p) char *path = NULL;
	struct err e = ERR_INIT;

	if (manifest_parse(buf_str(&a->body), a->body.len, type, &j->manifest, &e) < 0) {
		job_fail(j, &e);
		return;
	}
	if (j->manifest.config.size > CONFIG_MAX_SIZE) {
		err_set(&e, EFBIG, "its config is larger than %u bytes", CONFIG_MAX_SIZE);
		job_fail(j, &e);
		return;
	}
	buf_done(&j->manifest_text);
	j->manifest_text = a->body;
	a->body = BUF_INIT;
	path = xasprintf("blobs/%s", j->manifest.config.digest);
	ask_or_fail(j, JOB_CONFIG, path, j->manifest.config.size);
}

static void use_index(struct job *j, const struct registry_answer *a, const char *type)
{
	_cleanup_(image_index_done) struct image_index x = { 0 };
	_cleanup_(free_p) char *path = NULL;
	const struct descriptor *d;
	struct err e = ERR_INIT;

	if (image_index_parse(buf_str(&a->body), a->body.len, type, &x, &e) < 0) {
		job_fail(j, &e);
		return;
	}
	d = platform_choose(&j->platform, &x);
	if (!d || d->size > CONFIG_MAX_SIZE || media_kind(d->media_type) != MEDIA_MANIFEST) {
		if (!d)
			(void)platform_none(&j->platform, &x, &e);
		else
			err_set(&e, EBADMSG, "the index lists something that is no manifest");
		job_fail(j, &e);
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
	struct job *j = data;
	const struct pull_watch *w = j->pull->w;
	struct err e = ERR_INIT;

	j->call = NULL;
	if (a->e.code) {
		manifest_failed(j, a);
		return;
	}
	if ((j->ref.digest && check_body(a, j->ref.digest, UINT64_MAX, &e) < 0) ||
	    (!j->ref.digest && digest_is_valid(a->said ?: "") &&
	     check_body(a, a->said, UINT64_MAX, &e) < 0)) {
		job_fail(j, &e);
		return;
	}
	str_set(&j->result->digest, a->digest);
	if (w->resolved)
		w->resolved(w->data, j->index, a->digest);
	if (is_current(j, a->digest))
		return;
	if (looks_like_index(a))
		use_index(j, a, stated_type(a));
	else
		use_manifest(j, a, stated_type(a));
}

static void on_child(void *data, struct registry_answer *a)
{
	struct job *j = data;
	struct err e = a->e;

	j->call = NULL;
	if (e.code || check_body(a, j->child.digest, j->child.size, &e) < 0)
		job_fail(j, &e);
	else
		use_manifest(j, a, j->child.media_type);
}

/* ---- layers
 * ------------------------------------------------------------------------------------------ */

static int check_platform(struct job *j, struct err *e)
{
	const struct image_config *c = &j->config;
	_cleanup_(free_p) char *want = platform_text(&j->platform);

	if (platform_suits(&j->platform, c->os, c->architecture, c->variant) > 0)
		return 0;
	return err_set(e, ENOENT, "no image for %s; there are: %.32s/%.32s%s%.32s", want,
		       is_empty(c->os) ? "linux" : c->os, c->architecture, c->variant ? "/" : "",
		       c->variant ? c->variant : "");
}

static int check_room(const struct job *j, struct err *e)
{
	uint64_t need = 0, bytes, files;

	extractor_limits(stage_dirfd(j->stage), &bytes, &files);
	for (size_t i = 0; i < j->n_layers; i++) {
		uint64_t size = j->layers[i].done ? 0 : j->layers[i].d->size;

		if (size > bytes || need > bytes - size)
			return err_set(e, ENOSPC,
				       "no space left on device: the layers need more than the "
				       "%ju MiB that are free",
				       (uintmax_t)(bytes >> 20));
		need += size;
	}
	return 0;
}

static int make_layers(struct job *j, struct err *e)
{
	const struct manifest *m = &j->manifest;

	if (strv_len(j->config.diff_ids) != m->n_layers)
		return err_set(e, EBADMSG, "%zu layers, but the config lists %zu", m->n_layers,
			       strv_len(j->config.diff_ids));
	j->layers = xcalloc(m->n_layers + 1, sizeof(*j->layers));
	j->n_layers = m->n_layers;
	for (size_t i = 0; i < m->n_layers; i++) {
		struct layer *l = &j->layers[i];

		l->job = j;
		l->fd = -EBADF;
		l->d = &m->layers[i];
		l->diff_id = j->config.diff_ids[i];
		snprintf(l->what, sizeof(l->what), "layer %zu of %zu", i + 1, m->n_layers);
		l->done = stage_has_layer(j->stage, l->diff_id);
		tell_layer(l, l->done ? PULL_LAYER_EXISTS : PULL_LAYER_WAITING, NULL);
	}
	return check_room(j, e);
}

static void on_config(void *data, struct registry_answer *a)
{
	struct job *j = data;
	struct err e = a->e;
	int r;

	j->call = NULL;
	r = e.code ? -e.code
		   : check_body(a, j->manifest.config.digest, j->manifest.config.size, &e);
	if (r == 0)
		r = image_config_parse(buf_str(&a->body), a->body.len, &j->config, &e);
	if (r == 0)
		r = check_platform(j, &e);
	if (r == 0 && !j->stage)
		r = stage_begin(j->pull->store, &j->stage, &e);
	if (r == 0)
		r = make_layers(j, &e);
	if (r < 0) {
		job_fail(j, &e);
		return;
	}
	j->config_text = a->body;
	a->body = BUF_INIT;
	j->step = JOB_LAYERS;
}

static void on_layer(void *data, struct registry_answer *a)
{
	struct layer *l = data;
	struct err e = a->e;

	l->call = NULL;
	l->got = a->size;
	if (!e.code)
		(void)check_body(a, l->d->digest, l->d->size, &e);
	if (e.code) {
		(void)err_wrap(&e, -e.code, "%s", l->what);
		job_fail(l->job, &e);
		return;
	}
	l->verified = true;
	tell_layer(l, PULL_LAYER_EXTRACTING, NULL);
}

static void on_layer_progress(void *data, uint64_t bytes, const char *retry, uint64_t delay)
{
	struct layer *l = data;

	l->got = bytes;
	tell_layer(l, retry ? PULL_LAYER_RETRYING : PULL_LAYER_DOWNLOADING, retry);
}

static int layer_start(struct layer *l, struct err *e)
{
	struct job *j = l->job;
	_cleanup_(free_p) char *path = xasprintf("blobs/%s", l->d->digest);
	char name[32];
	struct registry_request q = { .op = REGISTRY_GET,
				      .endpoint = j->endpoint,
				      .repo = j->ref.path,
				      .path = path,
				      .size = l->d->size,
				      .done = on_layer,
				      .progress = on_layer_progress,
				      .data = l };

	snprintf(name, sizeof(name), "layer-%zu-%zu", j->at, (size_t)(l - j->layers));
	l->fd = openat(stage_dirfd(j->stage), name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (l->fd < 0)
		return err_errno(e, errno, "make a file for a layer");
	q.fd = l->fd;
	l->started = true;
	l->source = (struct layer_source){ .fd = l->fd,
					   .size = l->d->size,
					   .digest = l->d->digest,
					   .diff_id = l->diff_id,
					   .what = l->what };
	return registry_start(j->pull->registries, &q, &l->call, e);
}

/* Bytes that the unpacker may see. */
static uint64_t available(const struct layer *l)
{
	return l->verified ? l->d->size : l->got < l->d->size ? l->got : l->d->size - 1;
}

static int layer_step(struct layer *l, struct err *e)
{
	struct layer_info info;
	int r = stage_unpack_step(l->unpack, available(l), &info, e);

	if (r <= 0)
		return r;
	r = stage_keep_blob(l->job->stage, l->diff_id, l->d, l->fd, e);
	if (r < 0)
		return err_wrap(e, r, "%s", l->what);
	layer_done(l);
	l->done = true;
	tell_layer(l, PULL_LAYER_DONE, NULL);
	return 0;
}

/* Somebody else is at work on the same layer. */
static bool is_under_way(const struct pull *p, const struct layer *l)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct job *j = &p->jobs[i];

		for (size_t k = 0; j->step == JOB_LAYERS && k < j->n_layers; k++) {
			const struct layer *o = &j->layers[k];

			/* Of another image it counts until that image is committed. */
			if (o != l && o->started && (!o->done || j != l->job) &&
			    streq(o->diff_id, l->diff_id))
				return true;
		}
	}
	return false;
}

static void count(const struct pull *p, unsigned int *downloads, unsigned int *unpacks)
{
	*downloads = *unpacks = 0;
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->jobs[i].n_layers; k++) {
			*downloads += p->jobs[i].layers[k].call != NULL;
			*unpacks += p->jobs[i].layers[k].unpack != NULL;
		}
	}
}

static int layer_advance(struct layer *l, unsigned int *downloads, unsigned int *unpacks,
			 struct err *e)
{
	struct pull *p = l->job->pull;
	int r = 0;

	if (!l->started && !is_under_way(p, l) && stage_has_layer(l->job->stage, l->diff_id)) {
		l->done = true;
		tell_layer(l, PULL_LAYER_EXISTS, NULL);
		return 0;
	}
	if (!l->started && *downloads < registries_config(p->registries)->downloads &&
	    !is_under_way(p, l)) {
		r = layer_start(l, e);
		(*downloads)++;
	}
	if (r == 0 && l->started && !l->unpack && l->got && *unpacks < p->max_unpacks) {
		r = stage_unpack_start(l->job->stage, &l->source, &l->unpack, e);
		(*unpacks)++;
	}
	return r == 0 && l->unpack ? layer_step(l, e) : r;
}

/* ---- the end
 * ----------------------------------------------------------------------------------------- */

static int job_commit(struct job *j, struct err *e)
{
	_cleanup_(strv_freep) char **refs = NULL;
	struct staged_image img = { .config = buf_str(&j->config_text),
				    .n_config = j->config_text.len,
				    .manifest = buf_str(&j->manifest_text),
				    .n_manifest = j->manifest_text.len };
	char id[DIGEST_MAX];
	int r;

	strv_add_take(&refs, ref_canonical(&j->ref));
	if (!j->ref.digest)
		strv_add_take(&refs, digest_ref(j, j->result->digest));
	img.refs = refs;
	r = stage_image(j->stage, &img, id, e);
	if (r == 0)
		r = stage_commit(j->stage, NULL, e);
	if (r == 0)
		str_set(&j->result->id, id);
	return r;
}

static void job_advance(struct job *j)
{
	unsigned int downloads, unpacks;
	struct err e = ERR_INIT;
	size_t left = 0;
	int r = 0;

	if (j->step != JOB_LAYERS)
		return;
	count(j->pull, &downloads, &unpacks);
	for (size_t i = 0; r == 0 && i < j->n_layers; i++) {
		if (!j->layers[i].done)
			r = layer_advance(&j->layers[i], &downloads, &unpacks, &e);
		left += !j->layers[i].done;
	}
	if (r == 0 && left == 0) {
		r = job_commit(j, &e);
		if (r == 0)
			job_end(j, PULL_NEW);
	}
	if (r < 0)
		job_fail(j, &e);
}

static bool all_ended(const struct pull *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->jobs[i].step != JOB_END)
			return false;
	return true;
}

static size_t collect_fds(struct pull *p, struct pollfd *fds)
{
	size_t n = 0;

	fds[n++] = (struct pollfd){ .fd = p->w->cancel_fd, .events = POLLIN };
	n += registries_poll(p->registries, fds + n, MAX_FDS - n);
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->jobs[i].n_layers && n + 2 <= MAX_FDS; k++) {
			const struct layer *l = &p->jobs[i].layers[k];

			if (!l->unpack)
				continue;
			stage_unpack_poll(l->unpack, available(l), fds + n);
			n += 2;
		}
	}
	return n;
}

static int run(struct pull *p, struct err *e)
{
	struct pollfd fds[MAX_FDS];
	int r = 0;

	while (r == 0 && !all_ended(p)) {
		size_t n = collect_fds(p, fds);

		(void)poll(fds, n, p->w->interval ? p->w->interval(p->w->data) : -1);
		if (p->w->tick)
			p->w->tick(p->w->data);
		if (fds[0].revents & POLLIN)
			return -ECANCELED;
		r = registries_run(p->registries, e);
		for (size_t i = 0; r == 0 && i < p->n; i++)
			job_advance(&p->jobs[i]);
	}
	return r;
}

static void job_init(struct pull *p, size_t i, const struct pull_request *q,
		     struct pull_result *result)
{
	struct job *j = &p->jobs[i];
	struct err e = ERR_INIT;
	int r;

	*j = (struct job){ .pull = p, .index = i, .q = q, .result = result };
	r = ref_parse(q->ref, &j->ref, &e);
	if (r == 0)
		result->canonical = ref_canonical(&j->ref);
	if (r == 0)
		r = platform_parse(q->platform, &j->platform, &e);
	/* A digest that is there is what it is. */
	if (r == 0 && j->ref.digest && is_current(j, j->ref.digest))
		return;
	if (r == 0) {
		registry_config_endpoints(registries_config(p->registries), j->ref.domain,
					  &j->endpoints);
		r = job_start(j, &e);
	}
	if (r < 0)
		job_fail(j, &e);
}

/* Layers to unpack at once: one for each core, and so that a slow one holds up no other. */
static unsigned int max_unpacks(void)
{
	cpu_set_t set;
	unsigned int n = 2;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = MAX((unsigned int)CPU_COUNT(&set), 2U);
	return MIN(n, 4U);
}

int pull_images(struct store *s, struct registries *registries, const struct pull_request *q,
		size_t n, const struct pull_watch *w, struct pull_result *out, struct err *e)
{
	struct pull p = { .store = s,
			  .registries = registries,
			  .w = w,
			  .jobs = xcalloc(n + 1, sizeof(struct job)),
			  .n = n,
			  .max_unpacks = max_unpacks() };
	int r;

	for (size_t i = 0; i < n; i++)
		p.jobs[i].step = JOB_END; /* so that job_done() is right for all of them */
	for (size_t i = 0; i < n; i++) {
		out[i] = (struct pull_result){ 0 };
		job_init(&p, i, &q[i], &out[i]);
	}
	r = run(&p, e);
	for (size_t i = 0; i < n; i++)
		job_done(&p.jobs[i]);
	free(p.jobs);
	return r;
}
