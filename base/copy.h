/* base/copy.h: what a file holds, from one descriptor to another. */
#ifndef BASE_COPY_H
#define BASE_COPY_H

#include <stdbool.h>

/* All from @from's position on to @to's, by the kernel: shared blocks where the file system
 * can, else sendfile(2).  -errno.  Blocks. */
int copy_data(int from, int to);

/* The extended attributes that @wanted lets through.  A file system that has none is no
 * error, on either side.  -errno. */
int copy_xattrs(int from, int to, bool (*wanted)(const char *name));

#endif
