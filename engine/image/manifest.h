/* engine/image/manifest.h: the documents that say what an image consists of: OCI
 * and Docker manifests and indexes, and the manifest.json of `docker save`.
 *
 * A document is exactly one of these: one that could be read as another too, or
 * that is not what its descriptor says, is refused (CVE-2021-41190).  The `urls`
 * of a descriptor are ignored (CVE-2020-15157).
 */
#ifndef ENGINE_IMAGE_MANIFEST_H
#define ENGINE_IMAGE_MANIFEST_H

#include "base/err.h"

enum media_kind { MEDIA_OTHER, MEDIA_INDEX, MEDIA_MANIFEST, MEDIA_CONFIG };
enum media_kind media_kind(const char *media_type);

struct descriptor {
	char *media_type;
	char *digest; /* valid: digest_is_valid() */
	uint64_t size;
	char *architecture, *os, *variant; /* platform; NULL: not stated */
	char *name;                        /* annotation io.containerd.image.name */
	char *ref_name;                    /* annotation org.opencontainers.image.ref.name */
	bool attestation;                  /* says something about an image, and is none */
};

void descriptor_done(struct descriptor *d);

struct manifest {
	struct descriptor config;
	struct descriptor *layers; /* lowest first */
	size_t n_layers;
};
void manifest_done(struct manifest *m);
/* @media_type: what the descriptor said; NULL: not known. */
int manifest_parse(const char *text, size_t n, const char *media_type, struct manifest *out,
		   struct err *e);

struct image_index {
	struct descriptor *items;
	size_t n;
};
void image_index_done(struct image_index *i);
int image_index_parse(const char *text, size_t n, const char *media_type, struct image_index *out,
		      struct err *e);

/* manifest.json: names are paths in the archive, as written. */
struct saved_image {
	char *config;
	char **tags, **layers;
};
struct saved_images {
	struct saved_image *items;
	size_t n;
};
void saved_images_done(struct saved_images *s);
int saved_images_parse(const char *text, size_t n, struct saved_images *out, struct err *e);

/* This machine in the words of images: "amd64", and "v7" or NULL. */
void platform_of_host(const char **architecture, const char **variant);
/* How well a descriptor's platform suits this machine: 0 not at all, 1 it does
 * not say, 2 yes, 3 to the variant. */
int platform_match(const struct descriptor *d);

#endif
