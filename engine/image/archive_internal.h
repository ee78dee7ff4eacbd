/* engine/image/archive_internal.h: an archive that is being loaded.
 *
 *	archive.c		what it says: images, their configs and layers
 *	archive_members.c	where it has the bytes of that
 */
#ifndef ENGINE_IMAGE_ARCHIVE_INTERNAL_H
#define ENGINE_IMAGE_ARCHIVE_INTERNAL_H

#include "base/map.h"
#include "engine/image/archive.h"
#include "engine/image/manifest.h"
#include "engine/image/stage.h"

struct archive_file {
	struct stage *stage;
	struct load_result *result;
	int fd;             /* borrowed */
	bool is_dir;        /* @fd is a directory with an OCI layout */
	struct map members; /* clean name → struct member */
};

/* ---- archive_members.c ------------------------------------------------------ */
/* Fill a->members, which the caller frees.  Not for directories. */
int archive_list_members(struct archive_file *a, struct err *e);
/* The file that @name is or leads to; NULL: none, or it is in a directory. */
const struct member *archive_find_member(const struct archive_file *a, const char *name);
/* Where the bytes of @name are.  Returns a descriptor the caller closes. */
int archive_open_member(const struct archive_file *a, const char *name, struct layer_source *out,
			struct err *e);
/* A whole document; -ENOENT when there is none of that name. */
int archive_read_member(const struct archive_file *a, const char *name, struct buf *out,
			struct err *e);
char *archive_blob_name(const char *digest); /* of the member in a layout; caller frees */
/* The document in there that @d describes; -EBADMSG when it is not just that. */
int archive_read_blob(const struct archive_file *a, const struct descriptor *d, struct buf *out,
		      struct err *e);

#endif
