/* engine/container/cgroup_impl.h: between cgroup.c and the two kernel interfaces. */
#ifndef ENGINE_CONTAINER_CGROUP_IMPL_H
#define ENGINE_CONTAINER_CGROUP_IMPL_H

#include "base/fd.h"
#include "engine/container/cgroup.h"
#include "engine/container/devices.h"

enum controller {
	CTL_MEMORY = 1,
	CTL_CPU = 2,
	CTL_PIDS = 4,
	CTL_DEVICES = 8,
	CTL_FREEZER = 16,
	CTL_CPUSET = 32,
	CTL_BLKIO = 64,
	CTL_CPUACCT = 128,
};

#define HIERARCHIES_MAX 16

struct hierarchy {
	char *mount; /* where it is mounted */
	char *name;  /* last part of that: "memory", "cpu,cpuacct"; "" on v2 */
	unsigned int controllers;
};

struct cgroup_host {
	bool unified;
	char *parent; /* name of our directory in each */
	struct hierarchy h[HIERARCHIES_MAX];
	size_t n;
};

struct cgroup_dir {
	int fd; /* O_RDONLY|O_DIRECTORY */
	char *path;
	char *name; /* the hierarchy's */
	unsigned int controllers;
};

struct cgroup_ops {
	int (*limits)(const struct cgroup *cg, const struct resources_spec *r, bool update,
		      struct err *e);
	int (*devices)(const struct cgroup *cg, const struct device_list *l, struct err *e);
	int (*kill)(const struct cgroup *cg, struct err *e);
	int (*freeze)(const struct cgroup *cg, bool frozen, struct err *e);
	bool (*is_frozen)(const struct cgroup *cg);
	int (*is_empty)(const struct cgroup *cg);
	int (*stats)(const struct cgroup *cg, struct cgroup_stats *st, struct err *e);
	int (*oom_kills)(const struct cgroup *cg, uint64_t *n, struct err *e);
};

struct cgroup {
	const struct cgroup_ops *ops;
	struct cgroup_dir dirs[HIERARCHIES_MAX];
	size_t n;
};

extern const struct cgroup_ops cgroup_v1_ops, cgroup_v2_ops;

/* The directory with controller @c; -EBADF when there is none. */
int cgroup_fd(const struct cgroup *cg, unsigned int c);
/* v2: pass controllers on to what is below @path, as far as the kernel has them. */
int cgroup_v2_delegate(const char *path, struct err *e);
/* v1: give a new directory the cpus and memory nodes of the one above. */
int cgroup_v1_init_cpuset(const char *parent, const char *path, struct err *e);

/* One number in a file; "max" and v1's page-aligned "no limit" are UINT64_MAX. */
int cgroup_read_number(int dirfd, const char *file, uint64_t *out, struct err *e);
/* The number behind "key " in a file of lines; -ENOENT when no line has it. */
int cgroup_read_key(int dirfd, const char *file, const char *key, uint64_t *out, struct err *e);
/* printf into a file; the error names the compose key @key. */
int cgroup_write(int dirfd, const char *file, const char *key, struct err *e, const char *fmt, ...)
	_printf_(5, 6);
/* CFS quota and period in µs from nano_cpus or cpu_quota/cpu_period; false: no limit asked. */
bool cgroup_quota(const struct resources_spec *r, int64_t *quota, int64_t *period);
/* Signal every process listed in @dirfd/cgroup.procs; counts them. */
int cgroup_signal_listed(int dirfd, int sig, size_t *n, struct err *e);

#endif
