/* engine/state/lock.h: flock(2) on a file, safe against the file being replaced. */
#ifndef ENGINE_STATE_LOCK_H
#define ENGINE_STATE_LOCK_H

#include <sys/types.h>

#include "base/err.h"

/* Take the exclusive lock on @path (made when absent, 0600) and write our pid
 * into it.  @wait: block until free; otherwise -EWOULDBLOCK at once, with the
 * holder's pid in *holder (0 when unknown; may be NULL).  The lock lasts while
 * the returned descriptor, or a fork's copy of it, is open.  After locking, the
 * path must still name the locked inode, or we try again: an unlink between
 * open and flock would leave two holders. */
int lock_take(const char *path, bool wait, pid_t *holder, struct err *e);

/* The pid of whoever holds @path, 0 when it is free or absent. */
pid_t lock_holder(const char *path);

#endif
