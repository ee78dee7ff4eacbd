/* engine/image/ref.h: image references, "registry.example:5000/team/app:1.2@sha256:…".
 *
 * The grammar and the short forms are those of the distribution project: a name
 * without a registry lives in docker.io, a docker.io name of one component in
 * library/, and a reference without tag and digest means the tag "latest".
 */
#ifndef ENGINE_IMAGE_REF_H
#define ENGINE_IMAGE_REF_H

#include "base/err.h"

#define REF_MAX 512 /* longest reference text we look at */

struct image_ref {
	char *domain; /* "docker.io", "localhost:5000", … */
	char *path;   /* "library/busybox" */
	char *tag;    /* NULL only when there is a digest */
	char *digest; /* "sha256:<64 hex>" or NULL */
};

void ref_done(struct image_ref *r);

/* Parse and normalise.  -EINVAL with distribution's words ("invalid reference
 * format: …") otherwise, @out is then empty. */
int ref_parse(const char *text, struct image_ref *out, struct err *e);

/* Texts; the caller frees.
 * name:      "docker.io/library/busybox"
 * canonical: name, then ":tag" or, where there is a digest, "@digest" alone: a
 *            digest says more than a tag, which is then only decoration
 * familiar:  canonical without "docker.io/" and "library/", as users write it
 * familiar_name: the same without tag and digest */
char *ref_name(const struct image_ref *r);
char *ref_canonical(const struct image_ref *r);
char *ref_familiar(const struct image_ref *r);
char *ref_familiar_name(const struct image_ref *r);

/* ref_parse() and ref_familiar() in one; what cannot be parsed is copied. */
char *ref_shorten(const char *text);

#endif
