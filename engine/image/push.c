/* engine/image/push.c: blobs first, as many at once as are allowed, then the config, then
 * the manifest: a registry refuses a manifest whose blobs it does not have, so what
 * is there under a tag is always whole.
 *
 * Where the store kept the manifest and every blob it names, exactly those go out,
 * and the digest stays what it was where the image came from.  Otherwise a manifest is
 * made, with the media types of OCI.
 */
#include "engine/image/push.h"

#include <fcntl.h>
#include <poll.h>

#include "base/fd.h"
#include "base/strv.h"
#include "engine/image/manifest.h"
#include "engine/image/pack.h"
#include "engine/image/ref.h"
#include "engine/image/stage.h"
#include "engine/image/store_internal.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define CONFIG_TYPE   "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE    "application/vnd.oci.image.layer.v1.tar+gzip"

struct push;

struct blob {
	struct push *push;
	struct descriptor d; /* owned */
	char *from;          /* a repository of the same registry that may have it */
	char *name;          /* for who watches: the diff id, or the config's digest */
	int fd;
	bool started, done, shared;
	struct registry_call *call;
};

struct push {
	struct store *store;
	struct registries *registries;
	const struct push_watch *w;
	struct image_ref ref;
	struct image_record record;
	int endpoint;
	struct stage *stage; /* for packed layers; NULL: none needed */
	struct blob *blobs;  /* layers, lowest first, then the config */
	size_t n;
	struct buf manifest;
	char *manifest_type;
	struct err failed;
};

void push_result_done(struct push_result *r)
{
	free(r->digest);
	*r = (struct push_result){ 0 };
}

static void tell(const struct blob *b, enum push_layer_state state, uint64_t bytes,
		 const char *note)
{
	const struct push_watch *w = b->push->w;

	if (w->layer)
		w->layer(w->data, b->name, state, bytes, b->d.size, note);
}

/* ---- what there is to push --------------------------------------------------------------- */

static int pack_blob(struct push *p, struct blob *b, size_t i, struct err *e)
{
	_cleanup_(free_p) char *path = store_layer_path(p->store, p->record.layers[i]);
	_cleanup_(fd_closep) int dir = -EBADF;
	struct pack_result packed;
	char name[32];
	int r;

	tell(b, PUSH_LAYER_PREPARING, 0, NULL);
	if (!p->stage) {
		r = stage_begin(p->store, &p->stage, e);
		if (r < 0)
			return r;
	}
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_errno(e, errno, "open %s", path);
	snprintf(name, sizeof(name), "push-%zu", i);
	b->fd = openat(stage_dirfd(p->stage), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (b->fd < 0)
		return err_errno(e, errno, "make a file for a layer");
	r = pack_layer(dir, COMPRESSION_GZIP, b->fd, &packed, e);
	if (r == 0 && !streq(packed.diff_id, p->record.layers[i]))
		r = err_set(e, EBADMSG, "the unpacked layer %s was changed: it packs to %s",
			    p->record.layers[i], packed.diff_id);
	if (r < 0)
		return r;
	b->d = (struct descriptor){ .media_type = xstrdup(LAYER_TYPE),
				    .digest = xstrdup(packed.digest),
				    .size = packed.compressed };
	return 0;
}

static int find_blob(struct push *p, struct blob *b, size_t i, struct err *e)
{
	const char *diff_id = p->record.layers[i];
	int r = store_layer_blob(p->store, diff_id, &b->d, NULL);

	b->push = p;
	b->fd = -EBADF;
	b->name = xstrdup(diff_id);
	if (r == 0) {
		b->fd = store_open_blob(p->store, b->d.digest, NULL);
		if (b->fd < 0)
			descriptor_done(&b->d);
	}
	return b->fd >= 0 ? 0 : pack_blob(p, b, i, e);
}

static int add_config(struct push *p, struct blob *b, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = store_read_blob(p->store, p->record.id, &text, e);

	b->push = p;
	b->fd = -EBADF;
	if (r < 0)
		return r;
	b->name = xstrdup(p->record.id);
	b->fd = memfd_sealed("config", text.data, text.len, e);
	b->d = (struct descriptor){ .media_type = xstrdup(CONFIG_TYPE),
				    .digest = xstrdup(p->record.id),
				    .size = text.len };
	return b->fd < 0 ? b->fd : 0;
}

static json *descriptor_json(const struct descriptor *d)
{
	json *o = json_new_object();

	json_put_str(o, "mediaType", d->media_type);
	json_put_str(o, "digest", d->digest);
	json_put_u64(o, "size", d->size);
	return o;
}

static void make_manifest(struct push *p)
{
	_cleanup_(json_unrefp) json *o = json_new_object();
	json *layers = json_new_array();

	for (size_t i = 0; i + 1 < p->n; i++)
		json_push(layers, descriptor_json(&p->blobs[i].d));
	json_put_int(o, "schemaVersion", 2);
	json_put_str(o, "mediaType", MANIFEST_TYPE);
	json_put(o, "config", descriptor_json(&p->blobs[p->n - 1].d));
	json_put(o, "layers", layers);
	buf_adds(&p->manifest, json_text(o));
	p->manifest_type = xstrdup(MANIFEST_TYPE);
}

/* Is every blob the one that the kept manifest names? */
static bool manifest_fits(const struct push *p, const struct manifest *m)
{
	if (!streq(m->config.digest, p->record.id) || m->n_layers + 1 != p->n)
		return false;
	for (size_t i = 0; i < m->n_layers; i++)
		if (!streq(m->layers[i].digest, p->blobs[i].d.digest))
			return false;
	return true;
}

static bool use_kept_manifest(struct push *p)
{
	_cleanup_(manifest_done) struct manifest m = { 0 };
	_cleanup_(json_unrefp) json *o = NULL;
	const char *type;

	if (!p->record.digest ||
	    store_read_blob(p->store, p->record.digest, &p->manifest, NULL) < 0)
		return false;
	if (manifest_parse(buf_str(&p->manifest), p->manifest.len, NULL, &m, NULL) < 0 ||
	    !manifest_fits(p, &m) ||
	    json_parse(buf_str(&p->manifest), p->manifest.len, &o, NULL) < 0) {
		buf_truncate(&p->manifest, 0);
		return false;
	}
	/* An OCI manifest need not say what it is. */
	type = json_get_str(o, "mediaType");
	p->manifest_type = xstrdup(type ? type : MANIFEST_TYPE);
	return true;
}

/* The image @id has a name in repository @from: its layers may be there as well. */
static void note_origin(struct push *p, const char *id, const char *from)
{
	struct image_record rec;

	if (image_record_read(p->store, id, &rec, NULL) < 0)
		return;
	for (size_t i = 0; i + 1 < p->n; i++)
		if (!p->blobs[i].from && strv_has(rec.layers, p->record.layers[i]))
			p->blobs[i].from = xstrdup(from);
	image_record_done(&rec);
}

/* Other repositories of the same registry that layers came from, by the names in the
 * store; those with a digest were there for certain once, and come first. */
static void find_origins(struct push *p)
{
	struct ref_list l = { 0 };

	if (ref_list_read(p->store, &l, NULL, NULL) < 0)
		return; /* then all is sent */
	for (int tags = 0; tags <= 1; tags++) {
		for (size_t i = 0; i < l.n; i++) {
			struct image_ref ref;

			if ((strchr(l.items[i].ref, '@') == NULL) != (tags == 1) ||
			    ref_parse(l.items[i].ref, &ref, NULL) < 0)
				continue;
			if (streq(ref.domain, p->ref.domain) && !streq(ref.path, p->ref.path))
				note_origin(p, l.items[i].id, ref.path);
			ref_done(&ref);
		}
	}
	ref_list_done(&l);
}

static int prepare(struct push *p, struct err *e)
{
	size_t n = strv_len(p->record.layers);
	int r = 0;

	p->blobs = xcalloc(n + 1, sizeof(*p->blobs));
	for (size_t i = 0; r == 0 && i < n; i++) {
		p->n = i + 1;
		r = find_blob(p, &p->blobs[i], i, e);
	}
	if (r < 0)
		return r;
	p->n = n + 1;
	find_origins(p);
	r = add_config(p, &p->blobs[n], e);
	if (r == 0 && !use_kept_manifest(p))
		make_manifest(p);
	return r;
}

/* ---- uploads -----------------------------------------------------------------------------------
 */

static void on_blob(void *data, struct registry_answer *a)
{
	struct blob *b = data;

	b->call = NULL;
	b->done = true;
	if (a->e.code) {
		if (!b->push->failed.code)
			b->push->failed = a->e;
		return;
	}
	/* 201: just now, by a mount. */
	if (a->exists && a->status == 201)
		tell(b, PUSH_LAYER_MOUNTED, b->d.size, b->from);
	else
		tell(b, a->exists ? PUSH_LAYER_EXISTS : PUSH_LAYER_DONE, b->d.size, NULL);
}

static void on_blob_progress(void *data, uint64_t bytes, const char *retry, uint64_t delay)
{
	tell(data, retry ? PUSH_LAYER_RETRYING : PUSH_LAYER_PUSHING, bytes, retry);
}

/* The same blob twice in an image: the first one does. */
static bool is_repeated(const struct push *p, const struct blob *b)
{
	for (const struct blob *o = p->blobs; o < b; o++)
		if (streq(o->d.digest, b->d.digest))
			return true;
	return false;
}

static int start_blobs(struct push *p, struct err *e)
{
	unsigned int active = 0, max = registries_config(p->registries)->downloads;
	int r = 0;

	for (size_t i = 0; i < p->n; i++)
		active += p->blobs[i].call != NULL;
	for (size_t i = 0; r == 0 && i < p->n && active < max; i++) {
		struct blob *b = &p->blobs[i];
		const struct registry_request q = { .op = REGISTRY_UPLOAD,
						    .endpoint = p->endpoint,
						    .repo = p->ref.path,
						    .digest = b->d.digest,
						    .from = b->from,
						    .size = b->d.size,
						    .fd = b->fd,
						    .push = true,
						    .done = on_blob,
						    .progress = on_blob_progress,
						    .data = b };

		if (b->started)
			continue;
		b->started = true;
		if (is_repeated(p, b)) {
			b->done = true;
			continue;
		}
		active++;
		r = registry_start(p->registries, &q, &b->call, e);
	}
	return r;
}

static bool all_done(const struct push *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->blobs[i].done)
			return false;
	return true;
}

static int upload_blobs(struct push *p, struct err *e)
{
	int r = start_blobs(p, e);

	while (r == 0 && !all_done(p)) {
		struct pollfd fds[8] = { { .fd = p->w->cancel_fd, .events = POLLIN } };
		size_t n = 1 + registries_poll(p->registries, fds + 1, ARRAY_SIZE(fds) - 1);

		(void)poll(fds, n, p->w->interval ? p->w->interval(p->w->data) : -1);
		if (p->w->tick)
			p->w->tick(p->w->data);
		if (fds[0].revents & POLLIN)
			return -ECANCELED;
		r = registries_run(p->registries, e);
		if (r == 0 && p->failed.code) {
			if (e)
				*e = p->failed;
			return -p->failed.code;
		}
		if (r == 0)
			r = start_blobs(p, e);
	}
	return r;
}

static int put_manifest(struct push *p, struct push_result *out, struct err *e)
{
	_cleanup_(free_p) char *path = xasprintf("manifests/%s", p->ref.tag);
	_cleanup_(registry_answer_done) struct registry_answer a = { 0 };
	_cleanup_(fd_closep) int fd = -EBADF;
	char digest[DIGEST_MAX];
	struct registry_request q = { .op = REGISTRY_PUT,
				      .endpoint = p->endpoint,
				      .repo = p->ref.path,
				      .path = path,
				      .type = p->manifest_type,
				      .size = p->manifest.len,
				      .push = true };

	q.fd = fd = memfd_sealed("manifest", p->manifest.data, p->manifest.len, e);
	if (fd < 0)
		return fd;
	digest_of(p->manifest.data, p->manifest.len, digest);
	out->digest = xstrdup(digest);
	out->size = p->manifest.len;
	return registry_ask(p->registries, &q, p->w->cancel_fd, &a, e);
}

/* ---- push
 * ------------------------------------------------------------------------------------------ */

static int find_image(struct push *p, const char *ref, struct err *e)
{
	_cleanup_(free_p) char *id = NULL;
	int r = ref_parse(ref, &p->ref, e);

	if (r == 0 && p->ref.digest) {
		err_set(e, EINVAL, "cannot push to a digest");
		return err_hint(e, "name a tag");
	}
	if (r == 0)
		r = store_resolve_id(p->store, ref, &id, e);
	if (r == 0)
		r = image_record_read(p->store, id, &p->record, e);
	return r;
}

/* Pushing goes to the registry itself, never to a mirror. */
static int find_endpoint(struct push *p, struct err *e)
{
	struct registry_endpoints l;

	registry_config_endpoints(registries_config(p->registries), p->ref.domain, &l);
	p->endpoint = registries_endpoint(p->registries, &l.items[l.n - 1], NULL, e);
	registry_endpoints_done(&l);
	return p->endpoint < 0 ? p->endpoint : 0;
}

static void push_done(struct push *p)
{
	for (size_t i = 0; i < p->n; i++) {
		registry_cancel(p->registries, p->blobs[i].call);
		descriptor_done(&p->blobs[i].d);
		free(p->blobs[i].name);
		free(p->blobs[i].from);
		fd_close(p->blobs[i].fd);
	}
	free(p->blobs);
	buf_done(&p->manifest);
	free(p->manifest_type);
	stage_free(p->stage);
	image_record_done(&p->record);
	ref_done(&p->ref);
}

int push_image(struct store *s, struct registries *registries, const char *ref,
	       const struct push_watch *w, struct push_result *out, struct err *e)
{
	struct push p = { .store = s, .registries = registries, .w = w };
	int r = find_image(&p, ref, e);

	*out = (struct push_result){ 0 };
	if (r == 0)
		r = find_endpoint(&p, e);
	if (r == 0)
		r = prepare(&p, e);
	if (r == 0)
		r = upload_blobs(&p, e);
	if (r == 0)
		r = put_manifest(&p, out, e);
	if (r == -EACCES && e && !e->hint[0])
		(void)err_hint(e, "comp login %s",
			       streq(p.ref.domain, "docker.io") ? "" : p.ref.domain);
	push_done(&p);
	return r < 0 && r != -ECANCELED ? err_wrap(e, r, "%s", ref) : r;
}
