/* engine/image/save.c: first everything that has to be written is gathered by its
 * digest, since a tar says the size of each file before the file: for a layer whose
 * bytes were not kept that takes packing it twice, once to know and once to write, and
 * no space on disk.  Then it is written in the order of digests.
 */
#include "engine/image/save.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/strv.h"
#include "engine/image/pack.h"
#include "engine/image/ref.h"
#include "engine/image/store_internal.h"
#include "engine/image/tar_write.h"

#define CHUNK        (256U << 10)
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX    "application/vnd.oci.image.index.v1+json"
#define OCI_CONFIG   "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER    "application/vnd.oci.image.layer.v1.tar"

/* A file blobs/sha256/<hex> of the archive. */
struct part {
	char *digest;
	uint64_t size;
	struct buf bytes; /* a document */
	char *diff_id;    /* or a layer to pack; NULL, and no bytes: a kept blob */
};

/* How a layer is in the archive. */
struct saved_layer {
	char *digest, *media_type;
	uint64_t size;
};

struct saving {
	struct store *s;
	int out;
	struct map parts;  /* hex → struct part */
	struct map layers; /* diff id → struct saved_layer */
	struct map images; /* id → its tags (char **), NULL: none */
	json *index;       /* descriptors */
	json *manifest;    /* of manifest.json */
};

static void part_free(struct part *p)
{
	if (!p)
		return;
	free(p->digest);
	free(p->diff_id);
	buf_done(&p->bytes);
	free(p);
}

static void saved_layer_free(struct saved_layer *l)
{
	if (!l)
		return;
	free(l->digest);
	free(l->media_type);
	free(l);
}

/* ---- gathering ------------------------------------------------------------------- */

static void add_part(struct saving *v, const char *digest, uint64_t size, const char *diff_id)
{
	struct part *p;

	if (map_has(&v->parts, digest_hex(digest)))
		return;
	p = new0(struct part);
	p->digest = xstrdup(digest);
	p->size = size;
	p->diff_id = xstrdup_null(diff_id);
	map_put(&v->parts, digest_hex(digest), p);
}

static void add_document(struct saving *v, const char *digest, const struct buf *text)
{
	struct part *p;

	add_part(v, digest, text->len, NULL);
	p = map_get(&v->parts, digest_hex(digest));
	if (!p->bytes.data)
		buf_add(&p->bytes, text->data, text->len);
}

static int open_layer(struct store *s, const char *diff_id, struct err *e)
{
	char path[LAYER_PATH_MAX];
	int fd = openat(s->fd, layer_path(diff_id, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, errno, "layer %s", diff_id) : fd;
}

static int pack_stored(struct store *s, const char *diff_id, int out, struct pack_result *packed,
		       struct err *e)
{
	_cleanup_(fd_closep) int dir = open_layer(s, diff_id, e);
	int r = dir < 0 ? dir : pack_layer(dir, COMPRESSION_NONE, out, packed, e);

	if (r == 0 && !streq(packed->diff_id, diff_id)) {
		r = err_set(e, EBADMSG,
			    "layer %s was changed, or unpacked by a comp that kept no bytes: "
			    "its files are %s now",
			    diff_id, packed->diff_id);
		err_hint(e, "load or pull the image again");
	}
	return r;
}

static int add_layer(struct saving *v, const char *diff_id, struct err *e)
{
	struct descriptor d;
	struct pack_result packed;
	struct saved_layer *l;
	int r;

	if (map_has(&v->layers, diff_id))
		return 0;
	r = store_layer_blob(v->s, diff_id, &d, NULL);
	l = new0(struct saved_layer);
	map_put(&v->layers, diff_id, l);
	if (r == 0) {
		*l = (struct saved_layer){ d.digest, d.media_type, d.size };
		add_part(v, l->digest, l->size, NULL);
		return 0;
	}
	r = pack_stored(v->s, diff_id, -EBADF, &packed, e);
	if (r < 0)
		return r;
	*l = (struct saved_layer){ xstrdup(diff_id), xstrdup(OCI_LAYER), packed.size };
	add_part(v, diff_id, packed.size, diff_id);
	return 0;
}

static json *descriptor(const char *type, const char *digest, uint64_t size)
{
	json *o = json_new_object();

	json_put_str(o, "mediaType", type);
	json_put_str(o, "digest", digest);
	json_put_u64(o, "size", size);
	return o;
}

/* Does the manifest that came with the image speak of the bytes that we have? */
static bool still_true(const struct saving *v, const struct image_record *rec,
		       const struct manifest *m)
{
	bool same = m->n_layers == strv_len(rec->layers) && streq(m->config.digest, rec->id);

	for (size_t i = 0; same && i < m->n_layers; i++) {
		const struct saved_layer *l = map_get(&v->layers, rec->layers[i]);

		same = l && streq(l->digest, m->layers[i].digest);
	}
	return same;
}

/* *type: borrowed from @m or constant. */
static int find_manifest(struct saving *v, const struct image_record *rec, struct buf *text,
			 char **type)
{
	_cleanup_(manifest_done) struct manifest m = { 0 };
	_cleanup_(json_unrefp) json *o = NULL;

	if (!rec->digest || store_read_blob(v->s, rec->digest, text, NULL) < 0 ||
	    manifest_parse(buf_str(text), text->len, NULL, &m, NULL) < 0 ||
	    !still_true(v, rec, &m) || json_parse(buf_str(text), text->len, &o, NULL) < 0)
		return -ENOENT;
	*type = xstrdup(json_get_str(o, "mediaType") ?: OCI_MANIFEST);
	return 0;
}

static void make_manifest(struct saving *v, const struct image_record *rec, size_t n_config,
			  struct buf *text)
{
	_cleanup_(json_unrefp) json *o = json_new_object();
	json *layers = json_new_array();

	json_put_int(o, "schemaVersion", 2);
	json_put_str(o, "mediaType", OCI_MANIFEST);
	json_put(o, "config", descriptor(OCI_CONFIG, rec->id, n_config));
	STRV_FOREACH (id, rec->layers) {
		const struct saved_layer *l = map_get(&v->layers, *id);

		json_push(layers, descriptor(l->media_type, l->digest, l->size));
	}
	json_put(o, "layers", layers);
	buf_truncate(text, 0);
	buf_adds(text, json_text(o));
}

static void add_to_index(struct saving *v, const char *type, const char *digest, uint64_t size,
			 char *const *tags)
{
	if (!tags || !*tags)
		json_push(v->index, descriptor(type, digest, size));
	STRV_FOREACH (tag, tags) {
		json *d = descriptor(type, digest, size), *annotations = json_new_object();

		json_put_str(annotations, "io.containerd.image.name", *tag);
		json_put_str(annotations, "org.opencontainers.image.ref.name",
			     strrchr(*tag, ':') + 1);
		json_put(d, "annotations", annotations);
		json_push(v->index, d);
	}
}

static void add_to_manifest_json(struct saving *v, const struct image_record *rec,
				 char *const *tags)
{
	json *o = json_new_object(), *names = json_new_array(), *layers = json_new_array();
	char path[LAYER_PATH_MAX];

	json_put_str(o, "Config", blob_path(rec->id, path));
	STRV_FOREACH (tag, tags) {
		_cleanup_(free_p) char *familiar = ref_shorten(*tag);

		json_push_str(names, familiar);
	}
	json_put(o, "RepoTags", names);
	STRV_FOREACH (id, rec->layers) {
		const struct saved_layer *l = map_get(&v->layers, *id);

		json_push_str(layers, blob_path(l->digest, path));
	}
	json_put(o, "Layers", layers);
	json_push(v->manifest, o);
}

static int add_image(struct saving *v, const struct image_record *rec, char *const *tags,
		     struct err *e)
{
	_cleanup_(buf_done) struct buf config = BUF_INIT, manifest = BUF_INIT;
	_cleanup_(free_p) char *type = NULL;
	char digest[DIGEST_MAX];
	int r = store_read_blob(v->s, rec->id, &config, e);

	for (char **id = rec->layers; r == 0 && id && *id; id++)
		r = add_layer(v, *id, e);
	if (r < 0)
		return r;
	digest_of(buf_str(&config), config.len, digest);
	if (!streq(digest, rec->id))
		return err_set(e, EBADMSG, "its config is damaged: the content is %s", digest);
	if (find_manifest(v, rec, &manifest, &type) < 0) {
		make_manifest(v, rec, config.len, &manifest);
		type = xstrdup(OCI_MANIFEST);
	}
	digest_of(buf_str(&manifest), manifest.len, digest);
	add_document(v, rec->id, &config);
	add_document(v, digest, &manifest);
	add_to_index(v, type, digest, manifest.len, tags);
	add_to_manifest_json(v, rec, tags);
	return 0;
}

/* ---- which images ------------------------------------------------------------------- */

static void choose(struct saving *v, const char *id, const char *tag)
{
	char **tags = map_get(&v->images, id);

	if (tag && !strchr(tag, '@') && !strv_has(tags, tag)) {
		char **more = strv_copy(tags);

		strv_add(&more, tag);
		map_put(&v->images, id, more);
	} else if (!map_has(&v->images, id)) {
		map_put(&v->images, id, NULL);
	}
}

/* "busybox", with neither tag nor digest */
static bool is_bare_name(const char *text)
{
	const char *slash = strrchr(text, '/');

	return !strchr(slash ? slash : text, ':') && !strchr(text, '@');
}

/* All tags of the repository; 0 when there are none. */
static int choose_repository(struct saving *v, const char *name, struct err *e)
{
	_cleanup_(ref_list_done) struct ref_list refs = { 0 };
	int r = ref_list_read(v->s, &refs, NULL, e), n = 0;

	for (size_t i = 0; r == 0 && i < refs.n; i++) {
		const char *rest = skip_prefix(refs.items[i].ref, name);

		if (!rest || *rest != ':' || strchr(rest, '/'))
			continue;
		choose(v, refs.items[i].id, refs.items[i].ref);
		n++;
	}
	return r < 0 ? r : n;
}

static int choose_name(struct saving *v, const char *text, struct err *e)
{
	_cleanup_(free_p) char *id = NULL, *canonical = NULL, *name = NULL, *named = NULL;
	struct image_ref ref;
	int r;

	if (ref_parse(text, &ref, NULL) == 0) {
		canonical = ref_canonical(&ref);
		name = ref_name(&ref);
		ref_done(&ref);
	}
	if (name && is_bare_name(text)) {
		r = choose_repository(v, name, e);
		if (r != 0)
			return MIN(r, 0);
	}
	r = store_resolve_id(v->s, text, &id, e);
	if (r < 0)
		return r;
	if (canonical && ref_record_read(v->s, canonical, &named, NULL) == 0)
		choose(v, id, canonical);
	else
		choose(v, id, NULL);
	return 0;
}

/* ---- writing -------------------------------------------------------------------------- */

static int put(struct saving *v, const void *p, size_t n, struct err *e)
{
	int r = fd_write_all(v->out, p, n);

	return r < 0 ? err_errno(e, -r, "write") : 0;
}

static int put_header(struct saving *v, const char *path, mode_t mode, uint64_t size, struct err *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	tar_put_header(&b, &(struct tar_header){ .path = path, .mode = mode, .size = size });
	return put(v, b.data, b.len, e);
}

static int put_padding(struct saving *v, uint64_t size, struct err *e)
{
	static const char zeros[TAR_END];

	return put(v, zeros, size == UINT64_MAX ? TAR_END : tar_padding(size), e);
}

static int put_file(struct saving *v, const char *path, const char *text, size_t n, struct err *e)
{
	int r = put_header(v, path, S_IFREG | 0644, n, e);

	if (r == 0)
		r = put(v, text, n, e);
	return r == 0 ? put_padding(v, n, e) : r;
}

static int put_kept(struct saving *v, const struct part *p, struct err *e)
{
	_cleanup_(fd_closep) int fd = store_open_blob(v->s, p->digest, e);
	_cleanup_(free_p) char *chunk = xmalloc(CHUNK);
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	uint64_t done = 0;
	char digest[DIGEST_MAX];
	int r = 0;

	if (fd < 0)
		return fd;
	while (r == 0 && done < p->size) {
		ssize_t n = read(fd, chunk, MIN(p->size - done, (uint64_t)CHUNK));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "read blob %s", p->digest);
		if (n == 0)
			break;
		hasher_add(h, chunk, (size_t)n);
		r = put(v, chunk, (size_t)n, e);
		done += (uint64_t)n;
	}
	hasher_end(h, digest);
	if (r == 0 && !streq(digest, p->digest)) {
		r = err_set(e, EBADMSG, "the kept bytes of a layer are damaged: %s is %s",
			    p->digest, digest);
		err_hint(e, "`comp system check --repair` says what can be done");
	}
	return r;
}

static int put_part(struct saving *v, const struct part *p, struct err *e)
{
	struct pack_result packed;
	char path[LAYER_PATH_MAX];
	int r;

	blob_path(p->digest, path);
	if (p->bytes.data)
		return put_file(v, path, p->bytes.data, p->bytes.len, e);
	r = put_header(v, path, S_IFREG | 0644, p->size, e);
	if (r == 0)
		r = p->diff_id ? pack_stored(v->s, p->diff_id, v->out, &packed, e)
			       : put_kept(v, p, e);
	return r == 0 ? put_padding(v, p->size, e) : r;
}

static char **sorted_keys(const struct map *m)
{
	char **keys = NULL;

	MAP_FOREACH (entry, m)
		strv_add(&keys, entry->key);
	strv_sort(keys);
	return keys;
}

static int write_all(struct saving *v, struct err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	_cleanup_(strv_freep) char **keys = sorted_keys(&v->parts);
	_cleanup_(json_unrefp) json *index = json_new_object();
	int r = put_header(v, "blobs/", S_IFDIR | 0755, 0, e);

	if (r == 0)
		r = put_header(v, "blobs/sha256/", S_IFDIR | 0755, 0, e);
	for (char **k = keys; r == 0 && k && *k; k++)
		r = put_part(v, map_get(&v->parts, *k), e);
	json_put_int(index, "schemaVersion", 2);
	json_put_str(index, "mediaType", OCI_INDEX);
	json_put(index, "manifests", TAKE_PTR(v->index));
	if (r == 0)
		r = put_file(v, "index.json", json_text(index), strlen(json_text(index)), e);
	if (r == 0)
		r = put_file(v, "manifest.json", json_text(v->manifest),
			     strlen(json_text(v->manifest)), e);
	if (r == 0)
		r = put_file(v, "oci-layout", layout, strlen(layout), e);
	return r == 0 ? put_padding(v, UINT64_MAX, e) : r;
}

static int save(struct saving *v, char *const *names, struct err *e)
{
	int r = 0;

	for (char *const *n = names; r == 0 && n && *n; n++)
		r = choose_name(v, *n, e);
	if (r < 0)
		return r;
	MAP_FOREACH (m, &v->images) {
		struct image_record rec;

		r = image_record_read(v->s, m->key, &rec, e);
		if (r == 0)
			r = add_image(v, &rec, m->value, e);
		image_record_done(&rec);
		if (r < 0)
			return err_wrap(e, r, "image %s", m->key);
	}
	return write_all(v, e);
}

int archive_save(struct store *s, char *const *names, int out, struct err *e)
{
	struct saving v = { .s = s, .out = out };
	_cleanup_(fd_closep) int using = store_lock(s, STORE_USING, LOCK_SH, e);
	int r;

	if (using < 0)
		return using;
	v.parts = MAP_INIT_FREE(part_free);
	v.layers = MAP_INIT_FREE(saved_layer_free);
	v.images = MAP_INIT_FREE(strv_free);
	v.index = json_new_array();
	v.manifest = json_new_array();
	r = save(&v, names, e);
	map_done(&v.parts);
	map_done(&v.layers);
	map_done(&v.images);
	json_unref(v.index);
	json_unref(v.manifest);
	return r;
}
