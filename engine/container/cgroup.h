/* engine/container/cgroup.h: one cgroup per container, on v2 and on v1.
 *
 * All of ours live below one directory in each hierarchy, named by the parent
 * name ("comp", or $COMP_CGROUP), which is removed again with the last one:
 *
 *	v2	/sys/fs/cgroup/comp/<project>.<id>
 *	v1	/sys/fs/cgroup/{memory,cpu,pids,devices,freezer}/comp/<project>.<id>
 *
 * and, on v1, cpuset, blkio and cpuacct only where they are mounted together
 * with one of those or where a limit needs them.  A container with a
 * cgroup_parent lives in /<cgroup_parent>/<project>.<id> instead; that
 * directory is made when missing and never removed.
 *
 * Nothing here waits for a process except where said.
 */
#ifndef ENGINE_CONTAINER_CGROUP_H
#define ENGINE_CONTAINER_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "engine/container/spec.h"

/* ---- the machine's hierarchies ---------------------------------------------- */
struct cgroup_host;

/* Look at the mount table.  @parent NULL: $COMP_CGROUP, else "comp".  Keep one
 * for the life of the process.  -ENOTSUP when no usable hierarchy is mounted. */
int cgroup_host_new(const char *parent, struct cgroup_host **out, struct err *e);
void cgroup_host_free(struct cgroup_host *h);
static inline void cgroup_host_freep(struct cgroup_host **h)
{
	cgroup_host_free(*h);
}
/* All controllers in the one v2 hierarchy. */
bool cgroup_host_is_unified(const struct cgroup_host *h);

/* ---- one container's cgroup --------------------------------------------------- */
struct cgroup; /* holds a directory fd per hierarchy; survives the host struct's use in a fork child
		*/

/* Make it and set every limit and the device rules of @spec (resources,
 * devices, device_cgroup_rules, privileged).  A directory left behind by a
 * crash is used again when it is empty of processes, else -EBUSY.  Limits the
 * kernel does not offer are an error that names the key, except for swap
 * limits, which are skipped where swap accounting is off. */
int cgroup_create(const struct cgroup_host *h, const struct container_spec *spec,
		  struct cgroup **out, struct err *e);
/* Find one that exists; -ENOENT when no hierarchy has it.  @cgroup_parent: as in the spec. */
int cgroup_open(const struct cgroup_host *h, const char *project, const char *id,
		const char *cgroup_parent, struct cgroup **out, struct err *e);
/* Close the descriptors; the cgroup itself stays. */
void cgroup_free(struct cgroup *cg);
static inline void cgroup_freep(struct cgroup **cg)
{
	cgroup_free(*cg);
}

/* Put the calling process into it. */
int cgroup_enter(const struct cgroup *cg, struct err *e);
/* A descriptor for CLONE_INTO_CGROUP (borrowed), or -EBADF on v1. */
int cgroup_clone_fd(const struct cgroup *cg);
/* Set limits again (update of a running container). */
int cgroup_update(const struct cgroup *cg, const struct resources_spec *r, struct err *e);

/* SIGKILL to all in it: cgroup.kill on v2; on v1 freeze, kill each, thaw, a
 * bounded number of times.  Returns once the signals are sent. */
int cgroup_kill(const struct cgroup *cg, struct err *e);
/* Send @sig to each process in it, as listed at one moment. */
int cgroup_signal(const struct cgroup *cg, int sig, struct err *e);
/* 1: no process in it; 0: some; -errno. */
int cgroup_is_empty(const struct cgroup *cg);
/* Pids in the reader's pid namespace; free() *pids. */
int cgroup_pids(const struct cgroup *cg, pid_t **pids, size_t *n, struct err *e);
/* Pause and unpause.  Freezing waits until all tasks stand still, at most 1 s. */
int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *e);
bool cgroup_is_frozen(const struct cgroup *cg);
/* Remove it, and our parent directory when it was the last.  Absent is success.
 * Tries for at most 50 ms while the kernel says EBUSY (processes that were
 * killed are still leaving), then gives up with -EBUSY: try again later. */
int cgroup_destroy(const struct cgroup_host *h, const struct cgroup *cg, struct err *e);

struct cgroup_stats {
	uint64_t memory, memory_limit; /* bytes; page cache that can go is not counted */
	uint64_t pids, pids_limit;
	uint64_t cpu_ns; /* UINT64_MAX: not accounted */
	uint64_t throttled_periods;
	uint64_t oom_kills;
};
/* UINT64_MAX in a limit: none. */
int cgroup_stats(const struct cgroup *cg, struct cgroup_stats *st, struct err *e);
/* How often the kernel killed a process in it for lack of memory. */
int cgroup_oom_kills(const struct cgroup *cg, uint64_t *n, struct err *e);

/* ---- sweeping ------------------------------------------------------------------- */
/* Names "<project>.<id>" below our parent directory, each once; of one project,
 * or of all when @project is NULL.  strv_free() the result. */
int cgroup_list(const struct cgroup_host *h, const char *project, char ***names, struct err *e);
/* Kill and remove everything of @project that cgroup_list() would name, but what
 * @keep says to leave.  Waits for processes to end, though not for ever (2 s).  Returns
 * the first error. */
int cgroup_sweep(const struct cgroup_host *h, const char *project,
		 bool (*keep)(const char *id, void *data), void *data, struct err *e);

/* ---- for container set-up ---------------------------------------------------------- */
/* What to show of it below /sys/fs/cgroup inside: for v1 the @i-th hierarchy's
 * name there ("memory", "cpu,cpuacct") and the path of the container's directory on the
 * host; false past the last one. */
bool cgroup_hierarchy(const struct cgroup *cg, size_t i, const char **name, const char **path);

#endif
