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

/* Whose cgroup is a process in?  @text: its /proc/PID/cgroup, cgroups(7); @id: the
 * container that it should be of, whose cgroup is PROJECT.ID wherever that stands.
 * 1: that one's, or one made below it; -EXDEV: another container's; 0: of none, as for a
 * process that has ended (v1) or one privileged enough to leave. */
int procref_cgroup_of(const char *text, const char *id);
/* The same for a process that may end meanwhile (-ESRCH). */
int procref_in_container(const struct procref *p, const char *id, struct err *e);

/* Send @sig through a pidfd; -ESRCH if it is gone. */
int procref_signal(const struct procref *p, int sig, struct err *e);

#endif
