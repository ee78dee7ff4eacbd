/* engine/image/sync_child.h: syncfs(2) beside the caller's loop. */
#ifndef ENGINE_IMAGE_SYNC_CHILD_H
#define ENGINE_IMAGE_SYNC_CHILD_H

#include <sys/types.h>

#include "base/err.h"

struct sync_child {
	pid_t pid; /* 0: none */
	int pidfd; /* readable: it has ended */
};
#define SYNC_CHILD_INIT ((struct sync_child){ .pidfd = -EBADF })

/* Start to write out the file system of @dirfd. */
int sync_child_start(struct sync_child *c, int dirfd, struct err *e);
/* 1: it is written; 0: not yet; -errno, as syncfs(2).  Never blocks, but when the
 * child was killed: then the caller does it itself. */
int sync_child_step(struct sync_child *c, int dirfd, struct err *e);
/* Not wanted any more.  Twice is allowed. */
void sync_child_done(struct sync_child *c);

#endif
