/* engine/container/init.h: the container's first process. */
#ifndef ENGINE_CONTAINER_INIT_H
#define ENGINE_CONTAINER_INIT_H

#include "engine/container/launch.h"

/* Runs in the fresh clone and never returns: sets everything up and becomes the workload. */
_Noreturn void init_main(const struct launch *l, bool entered_cgroup);

/* `init: true`: fork; the child returns and goes on to become the workload, while the caller stays
 * as pid 1, passes signals on to it, reaps orphans, and exits as it did. */
void tiny_init(int error_fd, const struct container_spec *s);

#endif
