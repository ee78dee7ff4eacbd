/* engine/image/save.h: images into an archive: what `comp save` does. */
#ifndef ENGINE_IMAGE_SAVE_H
#define ENGINE_IMAGE_SAVE_H

#include "engine/image/store.h"

/* Write the images @names to @out (borrowed; a file or a pipe) as `docker save` has
 * done since 25: a docker-archive that is an OCI layout at the same time, so that
 * every tool takes it.  Configs, manifests and the kept bytes of layers are those that
 * came, so ids and digests come back; other layers are packed anew (pack.h).  A name
 * without a tag means all tags of its repository.  Kept bytes are compared with their
 * digests on the way: -EBADMSG names what is damaged.  The same images give the
 * same bytes.  Layers stay while this runs, whoever removes images meanwhile. */
int archive_save(struct store *s, char *const *names, int out, struct err *e);

#endif
