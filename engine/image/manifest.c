/* engine/image/manifest.c: see manifest.h. */
#include "engine/image/manifest.h"

#include <sys/utsname.h>

#include "base/strv.h"
#include "engine/image/config.h"
#include "engine/image/digest.h"
#include "engine/image/document.h"

enum media_kind media_kind(const char *media_type)
{
	static const struct {
		const char *type;
		enum media_kind kind;
	} known[] = {
		{ "application/vnd.oci.image.index.v1+json", MEDIA_INDEX },
		{ "application/vnd.docker.distribution.manifest.list.v2+json", MEDIA_INDEX },
		{ "application/vnd.oci.image.manifest.v1+json", MEDIA_MANIFEST },
		{ "application/vnd.docker.distribution.manifest.v2+json", MEDIA_MANIFEST },
		{ "application/vnd.oci.image.config.v1+json", MEDIA_CONFIG },
		{ "application/vnd.docker.container.image.v1+json", MEDIA_CONFIG },
	};

	for (size_t i = 0; media_type && i < ARRAY_SIZE(known); i++)
		if (streq(media_type, known[i].type))
			return known[i].kind;
	return MEDIA_OTHER;
}

void descriptor_done(struct descriptor *d)
{
	char *texts[] = { d->media_type, d->digest, d->architecture, d->os,
			  d->variant,    d->name,   d->ref_name };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	*d = (struct descriptor){ 0 };
}

static int parse_annotations(json *o, struct descriptor *d, struct err *e)
{
	if (o && !json_is_object(o))
		return err_set(e, EBADMSG, "\"annotations\" is not an object");
	d->attestation = json_get(o, "vnd.docker.reference.type") != NULL;
	if (document_str(o, "io.containerd.image.name", &d->name, e) < 0)
		return -EBADMSG;
	return document_str(o, "org.opencontainers.image.ref.name", &d->ref_name, e);
}

static int parse_descriptor(json *o, struct descriptor *d, struct err *e)
{
	json *platform = json_get(o, "platform");
	int64_t size;

	*d = (struct descriptor){ 0 };
	if (!json_is_object(o))
		return err_set(e, EBADMSG, "a descriptor is not an object");
	if (document_str(o, "mediaType", &d->media_type, e) < 0 ||
	    document_str(o, "digest", &d->digest, e) < 0)
		return -EBADMSG;
	if (!d->media_type)
		return err_set(e, EBADMSG, "a descriptor without \"mediaType\"");
	if (!digest_is_valid(d->digest))
		return err_set(e, EBADMSG, "\"%.100s\" is not a sha256 digest",
			       d->digest ? d->digest : "");
	if (json_need_int(o, "size", &size, e) < 0 || size < 0)
		return err_set(e, EBADMSG, "a descriptor without a valid \"size\"");
	d->size = (uint64_t)size;
	if (platform && !json_is_object(platform))
		return err_set(e, EBADMSG, "\"platform\" is not an object");
	if (document_str(platform, "architecture", &d->architecture, e) < 0 ||
	    document_str(platform, "os", &d->os, e) < 0 ||
	    document_str(platform, "variant", &d->variant, e) < 0)
		return -EBADMSG;
	return parse_annotations(json_get(o, "annotations"), d, e);
}

static int parse_descriptors(json *o, const char *key, struct descriptor **out, size_t *n,
			     struct err *e)
{
	json *list = json_get(o, key);
	int r = 0;

	if (!json_is_array(list))
		return err_set(e, EBADMSG, "\"%s\" is missing or not a list", key);
	if (json_len(list) > CONFIG_MAX_LAYERS)
		return err_set(e, EBADMSG, "more than %d entries in \"%s\"", CONFIG_MAX_LAYERS,
			       key);
	*out = xcalloc(json_len(list) + 1, sizeof(**out));
	for (size_t i = 0; r == 0 && i < json_len(list); i++)
		r = parse_descriptor(json_at(list, i), &(*out)[(*n)++], e);
	return r;
}

/* The parts that say what kind of document this is. */
static int check_kind(json *o, enum media_kind want, const char *media_type, struct err *e)
{
	const char *stated = json_get_str(o, "mediaType");
	bool is_index = json_get(o, "manifests") != NULL;
	bool is_manifest = json_get(o, "layers") || json_get(o, "config");

	if (json_get_int(o, "schemaVersion", 0) != 2)
		return err_set(e, EBADMSG, "\"schemaVersion\" is not 2");
	if (is_index && is_manifest)
		return err_set(e, EBADMSG, "it is both an index and a manifest");
	if (is_index != (want == MEDIA_INDEX))
		return err_set(e, EBADMSG, "it is %s", is_index ? "an index" : "not an index");
	if (json_get(o, "mediaType") && media_kind(stated) != want)
		return err_set(e, EBADMSG, "its mediaType is %.100s", stated ? stated : "no text");
	if (stated && media_type && !streq(stated, media_type))
		return err_set(e, EBADMSG, "its mediaType is %.100s, not %.100s as announced",
			       stated, media_type);
	return 0;
}

static int parse(const char *text, size_t n, enum media_kind kind, const char *media_type,
		 json **out, struct err *e)
{
	int r = document_parse(text, n, false, out, e);

	return r < 0 ? r : check_kind(*out, kind, media_type, e);
}

void manifest_done(struct manifest *m)
{
	descriptor_done(&m->config);
	for (size_t i = 0; i < m->n_layers; i++)
		descriptor_done(&m->layers[i]);
	free(m->layers);
	*m = (struct manifest){ 0 };
}

int manifest_parse(const char *text, size_t n, const char *media_type, struct manifest *out,
		   struct err *e)
{
	_cleanup_(json_unrefp) json *o = NULL;
	int r;

	*out = (struct manifest){ 0 };
	r = parse(text, n, MEDIA_MANIFEST, media_type, &o, e);
	if (r == 0)
		r = parse_descriptor(json_get(o, "config"), &out->config, e);
	if (r == 0 && media_kind(out->config.media_type) != MEDIA_CONFIG)
		r = err_set(e, EBADMSG, "not a container image: its config is %.100s",
			    out->config.media_type);
	if (r == 0)
		r = parse_descriptors(o, "layers", &out->layers, &out->n_layers, e);
	if (r < 0) {
		manifest_done(out);
		return err_wrap(e, r, "manifest");
	}
	return 0;
}

void image_index_done(struct image_index *i)
{
	for (size_t k = 0; k < i->n; k++)
		descriptor_done(&i->items[k]);
	free(i->items);
	*i = (struct image_index){ 0 };
}

int image_index_parse(const char *text, size_t n, const char *media_type, struct image_index *out,
		      struct err *e)
{
	_cleanup_(json_unrefp) json *o = NULL;
	int r;

	*out = (struct image_index){ 0 };
	r = parse(text, n, MEDIA_INDEX, media_type, &o, e);
	if (r == 0)
		r = parse_descriptors(o, "manifests", &out->items, &out->n, e);
	if (r < 0) {
		image_index_done(out);
		return err_wrap(e, r, "index");
	}
	return 0;
}

void saved_images_done(struct saved_images *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].config);
		strv_free(s->items[i].tags);
		strv_free(s->items[i].layers);
	}
	free(s->items);
	*s = (struct saved_images){ 0 };
}

static int parse_saved(json *o, struct saved_image *s, struct err *e)
{
	if (!json_is_object(o))
		return err_set(e, EBADMSG, "an entry is not an object");
	if (document_str(o, "Config", &s->config, e) < 0 ||
	    document_strv(o, "RepoTags", &s->tags, e) < 0 ||
	    document_strv(o, "Layers", &s->layers, e) < 0)
		return -EBADMSG;
	if (is_empty(s->config))
		return err_set(e, EBADMSG, "an entry without \"Config\"");
	return 0;
}

int saved_images_parse(const char *text, size_t n, struct saved_images *out, struct err *e)
{
	_cleanup_(json_unrefp) json *list = NULL;
	int r;

	*out = (struct saved_images){ 0 };
	r = document_parse(text, n, true, &list, e);
	if (r == 0 && json_len(list) == 0)
		r = err_set(e, EBADMSG, "it lists no image");
	if (r == 0)
		out->items = xcalloc(json_len(list), sizeof(*out->items));
	for (size_t i = 0; r == 0 && i < json_len(list); i++)
		r = parse_saved(json_at(list, i), &out->items[out->n++], e);
	if (r < 0) {
		saved_images_done(out);
		return err_wrap(e, r, "manifest.json");
	}
	return 0;
}

void platform_of_host(const char **architecture, const char **variant)
{
	static const char *const known[][3] = {
		{ "x86_64", "amd64", NULL },    { "aarch64", "arm64", "v8" },
		{ "armv7l", "arm", "v7" },      { "armv6l", "arm", "v6" },
		{ "i686", "386", NULL },        { "i386", "386", NULL },
		{ "riscv64", "riscv64", NULL }, { "ppc64le", "ppc64le", NULL },
		{ "s390x", "s390x", NULL },     { "loongarch64", "loong64", NULL },
	};
	static struct utsname u;

	(void)uname(&u); /* cannot fail with a valid buffer */
	*architecture = u.machine;
	*variant = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (streq(u.machine, known[i][0])) {
			*architecture = known[i][1];
			*variant = known[i][2];
		}
	}
}

int platform_match(const struct descriptor *d)
{
	const char *architecture, *variant;

	platform_of_host(&architecture, &variant);
	if (!d->architecture)
		return 1;
	if (!streq(d->architecture, architecture) || (d->os && !streq(d->os, "linux")))
		return 0;
	return streq_null(d->variant, variant) ? 3 : 2;
}
