/* engine/container/procref.h: a process we can still name after its pid was reused.
 *
 * A pid alone says nothing once its owner was reaped.  Together with the start
 * time (and the boot id, which the state files carry) it names one process for
 * ever; a pidfd then pins it while we work on it.
 */
#ifndef ENGINE_CONTAINER_PROCREF_H
#define ENGINE_CONTAINER_PROCREF_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct procref {
	pid_t pid;
	uint64_t start_ticks; /* clock ticks since boot */
};

/* Fill @p for a process that cannot vanish meanwhile (a child not yet reaped,
 * or one pinned by a pidfd). */
int procref_of(pid_t pid, struct procref *p, struct err *e);

/* Pin the process.  Returns a pidfd the caller owns; -ESRCH if that process is
 * gone, even when its pid is in use again. */
int procref_open(const struct procref *p, struct err *e);

/* Send @sig through a pidfd; -ESRCH if it is gone. */
int procref_signal(const struct procref *p, int sig, struct err *e);

#endif
