/* cli/usage.h: what a running container uses, read from its cgroup and /proc.
 *
 * Nothing here needs a supervisor. */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include "engine/container/cgroup.h"
#include "engine/container/spec.h"
#include "engine/state/record.h"

struct usage {
	uint64_t at;                   /* CLOCK_MONOTONIC ns */
	uint64_t cpu_ns;               /* since its start */
	uint64_t memory, memory_limit; /* bytes; the limit is at most the machine's memory */
	uint64_t net_rx, net_tx;       /* bytes; 0 in the host's namespace */
	uint64_t block_read, block_write;
	uint64_t pids;
};

/* Its cgroup; @spec may be NULL.  -ENOENT: it has none, it does not run. */
int usage_open(const struct cgroup_host *h, const struct record *r,
	       const struct container_spec *spec, struct cgroup **out, struct err *e);
/* Now.  What cannot be read is 0. */
void usage_read(const struct cgroup *cg, const struct record *r, const struct container_spec *spec,
		struct usage *out);
/* Of one CPU, in percent, between two readings. */
double usage_cpu_percent(const struct usage *before, const struct usage *now);

/* Sum of all but lo in the text of /proc/PID/net/dev. */
void usage_parse_net(const char *text, uint64_t *rx, uint64_t *tx);

#endif
