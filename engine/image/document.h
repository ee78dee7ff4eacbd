/* engine/image/document.h: the JSON documents of images: bounded, unambiguous.
 *
 * Two readers that disagree about a document can be played against each other
 * (CVE-2021-41190), so a key that appears twice in one object is refused, not
 * resolved.
 */
#ifndef ENGINE_IMAGE_DOCUMENT_H
#define ENGINE_IMAGE_DOCUMENT_H

#include "base/err.h"
#include "base/json.h"

/* Parse an object (@array: or an array) of at most CONFIG_MAX_SIZE bytes. */
int document_parse(const char *text, size_t n, bool array, json **out, struct err *e);

/* Typed getters: absent and null give NULL / no entries, another type -EBADMSG. */
int document_str(json *o, const char *key, char **out, struct err *e);
int document_strv(json *o, const char *key, char ***out, struct err *e);
/* Keys of an object {"80/tcp": {}}. */
int document_keys(json *o, const char *key, char ***out, struct err *e);
/* An object of strings as KEY=value. */
int document_map(json *o, const char *key, char ***out, struct err *e);

#endif
