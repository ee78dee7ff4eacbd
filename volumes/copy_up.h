/* volumes/copy_up.h: first use of a named volume: what the image has at the mount
 * point is copied into it (Docker's rule), with owners, modes, times, links,
 * extended attributes and special files.
 *
 * Works on directory descriptors only and resolves nothing by path below them,
 * follows no link and crosses no mount point, so a hostile image can neither
 * read nor write outside of @src_fd.
 */
#ifndef VOLUMES_COPY_UP_H
#define VOLUMES_COPY_UP_H

#include "base/err.h"

/* Fill <volume_fd>/_data from the directory @src_fd when it is empty.  Copies into a temporary
 * directory beside _data, then moves the entries over; a crash at any point is
 * made good by the next call, so nobody ever sees half a copy as the whole.
 * _data keeps its inode: a container that has it mounted sees the files appear.
 * Takes a lock on @volume_fd: two containers starting at once copy once, and both wait.
 * Returns 1 when it copied, 0 when there was nothing to do. */
int copy_up(int src_fd, int volume_fd, struct err *e);

/* Copy the content and attributes of directory @src_fd into the empty directory @dst_fd. */
int copy_tree(int src_fd, int dst_fd, struct err *e);

#endif
