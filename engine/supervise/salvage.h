/* engine/supervise/salvage.h: what a killed monitor left in its container's pipes.
 *
 * A pipe keeps its content while somebody has an end of it, and the container has: so
 * the supervisor that finds a monitor dead opens the pipes again, before it kills the
 * container, and puts into the log what is still in them.  What the monitor had read
 * and not yet written, and what a terminal held, is lost.
 */
#ifndef ENGINE_SUPERVISE_SALVAGE_H
#define ENGINE_SUPERVISE_SALVAGE_H

#include <sys/types.h>

#include "engine/container/cgroup.h"
#include "engine/container/spec.h"

struct salvage {
	int fds[2]; /* reading ends of its stdout and stderr, or -EBADF */
};
#define SALVAGE_INIT ((struct salvage){ { -EBADF, -EBADF } })

/* Find the pipes @inodes (0: none) in the hands of @pid or of others in @cg (may be
 * NULL), and open them.  Never blocks; finding nothing is no error. */
void salvage_open(struct salvage *s, pid_t pid, const struct cgroup *cg, const ino_t inodes[2]);
/* Move what they hold into the log in @dir_fd, and close them.  Call it when nobody
 * writes any more; returns how many bytes it were. */
size_t salvage_finish(struct salvage *s, int dir_fd, int run_dir_fd, const struct log_spec *log);
void salvage_done(struct salvage *s);

#endif
