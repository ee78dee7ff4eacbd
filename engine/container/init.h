/* engine/container/init.h: the container's first process. */
#ifndef ENGINE_CONTAINER_INIT_H
#define ENGINE_CONTAINER_INIT_H

#include "engine/container/launch.h"

/* Runs in the fresh clone and never returns: sets everything up and becomes the workload.
 * @parent is a pidfd of the process that made the clone. */
_Noreturn void init_main(const struct launch *l, int parent, bool entered_cgroup);

/* `init: true`: start the workload as a child and become comp-init, which as pid 1 passes
 * signals on to it, reaps orphans, and exits as it did. */
struct process;
_Noreturn void tiny_init(const struct launch *l, const struct process *p);

#endif
