/* engine/image/implied.h: directories that a layer uses without stating them.
 *
 * A layer may list a/b/file and neither a nor a/b.  Unpacked by itself it needs them all
 * the same, 0755 and root's, and in an overlay they hide the owner, mode, attributes
 * and time which a lower layer gave those directories; in the image they must show
 * (OCI image spec, "Applying Changesets": an entry that is not there changes nothing).
 * What shows depends on all layers of an image.  So an image that needs it gets one
 * directory more, on top, with nothing in it but such directories as they should be; it is
 * kept as a layer without bytes, which is never saved or pushed, under a name made from the
 * diff ids below it, so that images of the same layers share it.
 */
#ifndef ENGINE_IMAGE_IMPLIED_H
#define ENGINE_IMAGE_IMPLIED_H

#include "base/err.h"
#include "base/map.h"
#include "engine/image/digest.h"

/* The name ("sha256:…") of what goes on top of these layers. */
void implied_name(char *const *diff_ids, size_t n, char out[DIGEST_MAX]);

struct implied_layer {
	int dir;          /* the unpacked layer; borrowed */
	struct map paths; /* as keys: implied directories, "a/b"; "" is the root */
};

/* Fill the empty directory @out for @layers, TOP FIRST.  Returns how many directories it
 * got; 0: it is not needed.  Blocks on the file system. */
int implied_fill(const struct implied_layer *layers, size_t n, int out, struct err *e);

#endif
