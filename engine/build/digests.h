/* engine/build/digests.h: SHA-256 of files, remembered between builds.
 *
 * A file whose device, inode, size, mtime and ctime are those of last time is not
 * read again (ctime cannot be set back by who changes a file).  One that changed so
 * lately that its times could stay the same through another change is hashed, but not
 * remembered; git calls these "racily clean".
 *
 * The file is a row of fixed-size records, appended to under a lock; the last record
 * of a file counts, a torn one at the end does not.
 */
#ifndef ENGINE_BUILD_DIGESTS_H
#define ENGINE_BUILD_DIGESTS_H

#include <sys/stat.h>

#include "base/err.h"

#define DIGEST_BYTES 32

struct digests;

/* @path: the file; absent is empty, damaged is empty too. */
int digests_open(const char *path, struct digests **out, struct err *e);
void digests_free(struct digests *d);
static inline void digests_freep(struct digests **d)
{
	digests_free(*d);
}
/* Of the regular file @name in @dirfd, which was just seen as @st.  @d may be NULL:
 * nothing is remembered. */
int digests_of_file(struct digests *d, int dirfd, const char *name, const struct stat *st,
		    unsigned char out[DIGEST_BYTES], struct err *e);
/* Write down what was hashed since.  A failure costs time later, nothing else. */
void digests_save(struct digests *d);

#endif
