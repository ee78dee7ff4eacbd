/* engine/image/archive.c: `docker save` files, OCI layouts, and bare root file
 * systems.
 *
 * The archive is listed first (archive_members.c), so the order of entries does not
 * matter and nothing is unpacked before the config has said what it must be.  The
 * two formats differ only in how they lead to a config and a list of layers;
 * add_image() is common.
 *
 * Trust: names of blobs are digests and are compared with the content; the
 * config lists the diff ids, and the layers are compared with those; the image's
 * id is the digest of the config we read.
 */
#include "engine/image/archive_internal.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/change.h"
#include "engine/image/ref.h"

#define MAX_DEPTH 4 /* of indexes in indexes */

void load_result_done(struct load_result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->images[i].id);
		strv_free(r->images[i].refs);
	}
	free(r->images);
	strv_free(r->moved);
	*r = (struct load_result){ 0 };
}

static void add_result(struct load_result *r, const char *id, char *const *refs)
{
	r->images = xreallocarray(r->images, r->n + 1, sizeof(*r->images));
	r->images[r->n++] = (struct loaded_image){ .id = xstrdup(id), .refs = strv_copy(refs) };
}

/* ---- one image ------------------------------------------------------------------------ */

struct image_parts {
	struct buf config, manifest;
	char **layers;   /* names of members, lowest first */
	char **digests;  /* of those, "" where not known */
	char **types;    /* media types, "" where not known */
	uint64_t *sizes; /* NULL: not known */
	char **refs;     /* canonical */
};

static void image_parts_done(struct image_parts *p)
{
	buf_done(&p->config);
	buf_done(&p->manifest);
	strv_free(p->layers);
	strv_free(p->digests);
	strv_free(p->types);
	strv_free(p->refs);
	free(p->sizes);
}

/* What `docker save` does not say; a layer's first bytes do: gzip(1), RFC 8878. */
static char *compressed_type(const struct layer_source *src)
{
	static const unsigned char zstd[] = { 0x28, 0xb5, 0x2f, 0xfd };
	unsigned char first[sizeof(zstd)];

	if (pread(src->fd, first, sizeof(first), (off_t)src->offset) == sizeof(first) &&
	    memcmp(first, zstd, sizeof(zstd)) == 0)
		return "application/vnd.oci.image.layer.v1.tar+zstd";
	return "application/vnd.docker.image.rootfs.diff.tar.gzip";
}

/* Keep the bytes of the layer, which has just been unpacked out of them. */
static int keep_blob(struct archive_file *a, const struct image_parts *p, size_t i,
		     const struct layer_source *src, struct layer_info *info, struct err *e)
{
	struct descriptor d = { .digest = info->blob, .size = src->size };

	if (p->types && *p->types[i])
		d.media_type = p->types[i];
	else if (streq(info->blob, info->diff_id))
		d.media_type = "application/vnd.docker.image.rootfs.diff.tar";
	else
		d.media_type = compressed_type(src);
	return stage_keep_blob_at(a->stage, info->diff_id, &d, src->fd, src->offset, e);
}

static int add_layer(struct archive_file *a, const struct image_parts *p, size_t i, size_t n,
		     const char *diff_id, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	_cleanup_(free_p) char *what = xasprintf("layer %zu of %zu", i + 1, n);
	struct layer_source src;
	struct layer_info info = { 0 };
	int r;

	/* Known by its content already: an archive may then even leave it out. */
	if (stage_has_layer(a->stage, diff_id))
		return 0;
	fd = archive_open_member(a, p->layers[i], &src, e);
	if (fd < 0)
		return err_wrap(e, fd, "%s", what);
	if (p->sizes && src.size != p->sizes[i])
		return err_set(e, EBADMSG, "%s has %ju bytes, and should have %ju", what,
			       (uintmax_t)src.size, (uintmax_t)p->sizes[i]);
	src.digest = *p->digests[i] ? p->digests[i] : NULL;
	src.diff_id = diff_id;
	src.what = what;
	r = stage_layer(a->stage, &src, &info, e);
	return r == 0 && *info.blob ? keep_blob(a, p, i, &src, &info, e) : r;
}

static int add_layers(struct archive_file *a, const struct image_parts *p, struct err *e)
{
	struct image_config config;
	size_t n = strv_len(p->layers);
	int r = image_config_parse(buf_str(&p->config), p->config.len, &config, e);

	if (r < 0)
		return r;
	if (strv_len(config.diff_ids) != n)
		r = err_set(e, EBADMSG, "%zu layers, but the config lists %zu", n,
			    strv_len(config.diff_ids));
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_layer(a, p, i, n, config.diff_ids[i], e);
	image_config_done(&config);
	return r;
}

static int add_image(struct archive_file *a, const struct image_parts *p, struct err *e)
{
	struct staged_image img = { .config = buf_str(&p->config),
				    .n_config = p->config.len,
				    .manifest = p->manifest.data,
				    .n_manifest = p->manifest.len,
				    .refs = p->refs };
	char id[DIGEST_MAX];
	int r = add_layers(a, p, e);

	if (r == 0)
		r = stage_image(a->stage, &img, id, e);
	if (r == 0)
		add_result(a->result, id, p->refs);
	return r;
}

static int add_ref(char ***refs, const char *text, struct err *e)
{
	struct image_ref ref;
	int r = ref_parse(text, &ref, e);

	if (r < 0)
		return r;
	strv_add_take(refs, ref_canonical(&ref));
	ref_done(&ref);
	return 0;
}

/* ---- docker save ---------------------------------------------------------------------- */

/* The digest a path claims: ".../<64 hex>", "<64 hex>.json" or "<64 hex>.tar";
 * for a layer the latter two name a diff id, which is checked anyway.  NULL: none. */
static char *digest_in_path(const char *path, const char *suffix)
{
	_cleanup_(free_p) char *base = path_base(path);

	if (*suffix && has_suffix(base, suffix))
		base[strlen(base) - strlen(suffix)] = '\0';
	else if (!strstr(path, "blobs/sha256/"))
		return NULL;
	return digest_hex_is_valid(base) ? xasprintf("sha256:%s", base) : NULL;
}

/* Since 25 `docker save` writes an OCI layout around it, and so do we: the manifest
 * in there whose config is @id, if there is one.  -ENOENT: none. */
static int manifest_of(const struct archive_file *a, const char *id, struct buf *text,
		       struct manifest *m, char digest[DIGEST_MAX], struct err *e)
{
	_cleanup_(image_index_done) struct image_index x = { 0 };
	_cleanup_(buf_done) struct buf index = BUF_INIT;
	int r = archive_read_member(a, "index.json", &index, NULL);

	if (r == 0)
		r = image_index_parse(buf_str(&index), index.len, NULL, &x, NULL);
	if (r < 0)
		return -ENOENT;
	for (size_t i = 0; i < x.n; i++) {
		if (x.items[i].attestation ||
		    media_kind(x.items[i].media_type) != MEDIA_MANIFEST)
			continue;
		buf_truncate(text, 0);
		r = archive_read_blob(a, &x.items[i], text, e);
		if (r == -ENOENT)
			continue;
		if (r == 0)
			r = manifest_parse(buf_str(text), text->len, x.items[i].media_type, m, e);
		if (r < 0)
			return r;
		memcpy(digest, x.items[i].digest, DIGEST_MAX);
		if (streq(m->config.digest, id))
			return 0;
		manifest_done(m);
	}
	buf_truncate(text, 0);
	return -ENOENT;
}

/* The image's manifest and what it says of the layers. */
static int add_manifest(const struct archive_file *a, struct image_parts *p, const char *id,
			struct err *e)
{
	_cleanup_(manifest_done) struct manifest m = { 0 };
	_cleanup_(strv_freep) char **names = strv_copy(p->refs);
	char digest[DIGEST_MAX];
	size_t n = strv_len(p->layers);
	int r = manifest_of(a, id, &p->manifest, &m, digest, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (m.n_layers != n)
		return err_set(e, EBADMSG, "manifest.json lists %zu layers, and %s %zu", n, digest,
			       m.n_layers);
	for (size_t i = 0; i < n; i++) {
		bool same = streq(p->digests[i], m.layers[i].digest);

		strv_add(&p->types, same ? m.layers[i].media_type : "");
	}
	STRV_FOREACH (name, names) {
		struct image_ref ref;

		if (ref_parse(*name, &ref, NULL) < 0)
			continue;
		str_set(&ref.digest, digest);
		strv_add_take(&p->refs, ref_canonical(&ref));
		ref_done(&ref);
	}
	return 0;
}

static int add_saved(struct archive_file *a, const struct saved_image *s, struct err *e)
{
	_cleanup_(image_parts_done) struct image_parts p = { 0 };
	_cleanup_(free_p) char *want = digest_in_path(s->config, ".json");
	char digest[DIGEST_MAX];
	int r = archive_read_member(a, s->config, &p.config, e);

	if (r < 0)
		return err_wrap(e, r, "config");
	digest_of(buf_str(&p.config), p.config.len, digest);
	if (want && !streq(want, digest))
		return err_set(e, EBADMSG, "the content of %.200s is %s", s->config, digest);
	for (char **t = s->tags; r == 0 && t && *t; t++)
		r = add_ref(&p.refs, *t, e);
	p.layers = strv_copy(s->layers);
	STRV_FOREACH (l, s->layers)
		strv_add_take(&p.digests, digest_in_path(*l, "") ?: xstrdup(""));
	if (r == 0)
		r = add_manifest(a, &p, digest, e);
	return r < 0 ? r : add_image(a, &p, e);
}

static int load_saved(struct archive_file *a, const struct buf *text, struct err *e)
{
	struct saved_images list;
	int r = saved_images_parse(buf_str(text), text->len, &list, e);

	for (size_t i = 0; r == 0 && i < list.n; i++) {
		r = add_saved(a, &list.items[i], e);
		if (r < 0)
			r = err_wrap(e, r, "image %.200s",
				     list.items[i].tags && *list.items[i].tags
					     ? *list.items[i].tags
					     : list.items[i].config);
	}
	saved_images_done(&list);
	return r;
}

/* ---- OCI layout ------------------------------------------------------------------------ */

/* Names for the image behind @d.  A ref.name may be a bare tag, which names
 * nothing without a repository. */
static int layout_refs(const struct descriptor *d, char ***refs, struct err *e)
{
	const char *name = d->name;
	struct image_ref ref;
	int r;

	if (!name && d->ref_name && strpbrk(d->ref_name, ":/"))
		name = d->ref_name;
	if (!name)
		return 0;
	r = ref_parse(name, &ref, e);
	if (r < 0)
		return r;
	strv_add_take(refs, ref_canonical(&ref));
	/* The digest belongs to the repository it came with, no other. */
	if (!ref.digest) {
		ref.digest = xstrdup(d->digest);
		strv_add_take(refs, ref_canonical(&ref));
	}
	ref_done(&ref);
	return 0;
}

static int load_manifest(struct archive_file *a, const struct descriptor *d, char *const *refs,
			 struct err *e)
{
	_cleanup_(image_parts_done) struct image_parts p = { 0 };
	_cleanup_(manifest_done) struct manifest m = { 0 };
	int r = archive_read_blob(a, d, &p.manifest, e);

	if (r == 0)
		r = manifest_parse(buf_str(&p.manifest), p.manifest.len, d->media_type, &m, e);
	if (r == 0)
		r = archive_read_blob(a, &m.config, &p.config, e);
	if (r < 0)
		return r;
	p.refs = strv_copy(refs);
	p.sizes = xcalloc(m.n_layers + 1, sizeof(*p.sizes));
	for (size_t i = 0; i < m.n_layers; i++) {
		strv_add_take(&p.layers, archive_blob_name(m.layers[i].digest));
		strv_add(&p.digests, m.layers[i].digest);
		strv_add(&p.types, m.layers[i].media_type);
		p.sizes[i] = m.layers[i].size;
	}
	return add_image(a, &p, e);
}

static int no_platform(const struct image_index *x, struct err *e)
{
	_cleanup_(buf_done) struct buf have = BUF_INIT;
	const char *architecture, *variant;

	platform_of_host(&architecture, &variant);
	for (size_t i = 0; i < x->n && have.len < 300; i++)
		if (x->items[i].architecture && !x->items[i].attestation)
			buf_printf(&have, "%slinux/%.32s", have.len ? ", " : "",
				   x->items[i].architecture);
	return err_set(e, ENOENT, "no image for linux/%s (there are: %s)", architecture,
		       have.len ? buf_str(&have) : "none");
}

static int load_descriptor(struct archive_file *a, const struct descriptor *d, char *const *refs,
			   int depth, struct err *e);

static int load_index(struct archive_file *a, const struct descriptor *d, char *const *refs,
		      int depth, struct err *e)
{
	_cleanup_(image_index_done) struct image_index x = { 0 };
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	const struct descriptor *best = NULL;
	int r;

	if (depth >= MAX_DEPTH)
		return err_set(e, EBADMSG, "indexes are nested too deeply");
	r = archive_read_blob(a, d, &text, e);
	if (r == 0)
		r = image_index_parse(buf_str(&text), text.len, d->media_type, &x, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < x.n; i++)
		if (!x.items[i].attestation && platform_match(&x.items[i]) > 0 &&
		    (!best || platform_match(&x.items[i]) > platform_match(best)))
			best = &x.items[i];
	return best ? load_descriptor(a, best, refs, depth + 1, e) : no_platform(&x, e);
}

static int load_descriptor(struct archive_file *a, const struct descriptor *d, char *const *refs,
			   int depth, struct err *e)
{
	switch (media_kind(d->media_type)) {
	case MEDIA_INDEX:
		return load_index(a, d, refs, depth, e);
	case MEDIA_MANIFEST:
		return load_manifest(a, d, refs, e);
	default:
		return err_set(e, EBADMSG, "%s is neither a manifest nor an index: %.100s",
			       d->digest, d->media_type);
	}
}

/* Is there a better one of the same name for this machine? */
static bool is_outdone(const struct image_index *x, const struct descriptor *d)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct descriptor *other = &x->items[i];

		if (other != d && !other->attestation && d->architecture && other->architecture &&
		    streq_null(other->name, d->name) && streq_null(other->ref_name, d->ref_name) &&
		    platform_match(other) > platform_match(d))
			return true;
	}
	return false;
}

static int load_layout(struct archive_file *a, const struct buf *text, struct err *e)
{
	_cleanup_(image_index_done) struct image_index x = { 0 };
	int r = image_index_parse(buf_str(text), text->len, NULL, &x, e);

	for (size_t i = 0; r == 0 && i < x.n; i++) {
		const struct descriptor *d = &x.items[i];
		_cleanup_(strv_freep) char **refs = NULL;

		if (d->attestation || is_outdone(&x, d))
			continue;
		r = layout_refs(d, &refs, e);
		if (r == 0)
			r = load_descriptor(a, d, refs, 0, e);
		if (r < 0)
			return err_wrap(e, r, "image %.200s", refs ? refs[0] : d->digest);
	}
	if (r == 0 && a->result->n == 0)
		r = err_set(e, EBADMSG, "the archive holds no image");
	return r;
}

/* ---- load -------------------------------------------------------------------------------- */

static int load_documents(struct archive_file *a, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = a->is_dir ? -ENOENT : archive_read_member(a, "manifest.json", &text, e);

	/* `docker save` since 25 writes both; manifest.json has the full names. */
	if (r == 0)
		return load_saved(a, &text, e);
	if (r == -ENOENT)
		r = archive_read_member(a, "index.json", &text, e);
	if (r == 0)
		return load_layout(a, &text, e);
	if (r == -ENOENT && archive_find_member(a, "repositories"))
		return err_set(e, EBADMSG,
			       "the archive was written by Docker before 1.10, and has "
			       "no manifest.json");
	if (r == -ENOENT)
		r = err_set(e, EBADMSG,
			    "not an archive of images: neither manifest.json nor "
			    "index.json is in it");
	return r;
}

static int load(struct archive_file *a, struct err *e)
{
	int r = 0;

	if (!a->is_dir)
		r = archive_list_members(a, e);
	if (r == 0)
		r = load_documents(a, e);
	if (r == 0)
		r = stage_commit(a->stage, &a->result->moved, e);
	return r;
}

int archive_load(struct store *s, int fd, struct load_result *out, struct err *e)
{
	struct archive_file a = { .fd = fd, .result = out };
	_cleanup_(stage_freep) struct stage *stage = NULL;
	struct stat st;
	int r;

	*out = (struct load_result){ 0 };
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "stat the archive");
	a.is_dir = S_ISDIR(st.st_mode);
	r = stage_begin(s, &stage, e);
	if (r < 0)
		return r;
	a.stage = stage;
	r = load(&a, e);
	map_done(&a.members);
	if (r < 0)
		load_result_done(out);
	return r;
}

/* ---- import ------------------------------------------------------------------------------ */

static json *import_history(uint64_t now, const char *message)
{
	json *list = json_new_array(), *entry = json_new_object();
	char time[TIME_TEXT_MAX];

	json_put_str(entry, "created", time_format(now, time));
	json_put_str(entry, "created_by", "comp image import");
	json_put_str(entry, "comment", message);
	json_push(list, entry);
	return list;
}

static int import_config(struct image_config *c, char *const *changes, const char *message,
			 struct err *e)
{
	const char *architecture, *variant;

	platform_of_host(&architecture, &variant);
	c->created = now_real_ns();
	c->architecture = xstrdup(architecture);
	c->variant = xstrdup_null(variant);
	c->os = xstrdup("linux");
	c->history = import_history(c->created, message);
	for (char *const *change = changes; change && *change; change++) {
		int r = change_apply(c, *change, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int import(struct stage *st, int fd, struct image_config *c, char **refs,
		  struct load_result *out, struct err *e)
{
	const struct layer_source src = { .fd = fd,
					  .size = UINT64_MAX,
					  .what = "root file system" };
	_cleanup_(json_unrefp) json *doc = NULL;
	struct staged_image img = { .refs = refs };
	struct layer_info layer;
	char id[DIGEST_MAX];
	int r = stage_layer(st, &src, &layer, e);

	if (r == 0 && layer.n_files == 0)
		r = err_set(e, EBADMSG, "root file system: the archive is empty");
	if (r < 0)
		return r;
	strv_add(&c->diff_ids, layer.diff_id);
	doc = image_config_to_json(c);
	img.config = json_text(doc);
	img.n_config = strlen(img.config);
	r = stage_image(st, &img, id, e);
	if (r == 0)
		r = stage_commit(st, &out->moved, e);
	if (r == 0)
		add_result(out, id, refs);
	return r;
}

int archive_import(struct store *s, int fd, const char *ref, char *const *changes,
		   const char *message, struct load_result *out, struct err *e)
{
	_cleanup_(image_config_done) struct image_config config = { 0 };
	_cleanup_(stage_freep) struct stage *st = NULL;
	_cleanup_(strv_freep) char **refs = NULL;
	int r = 0;

	*out = (struct load_result){ 0 };
	/* What can be wrong without reading gigabytes comes first. */
	if (ref && strchr(ref, '@'))
		r = err_set(e, EINVAL, "cannot import under a digest: %.200s", ref);
	else if (ref)
		r = add_ref(&refs, ref, e);
	if (r == 0)
		r = import_config(&config, changes, message, e);
	if (r == 0)
		r = stage_begin(s, &st, e);
	if (r == 0)
		r = import(st, fd, &config, refs, out, e);
	if (r < 0)
		load_result_done(out);
	return r;
}
