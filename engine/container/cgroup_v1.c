/* engine/container/cgroup_v1.c: one hierarchy per controller, the kernel's
 * admin-guide/cgroup-v1/.
 *
 * Killing: freeze first, so that nothing can fork away and no pid in the list can be
 * reused while we go through it (a frozen task cannot die), then SIGKILL each,
 * then thaw, upon which they die.
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"
#include "engine/container/cgroup_impl.h"

#define KILL_ROUNDS 10

int cgroup_v1_init_cpuset(const char *parent, const char *path, struct err *e)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		_cleanup_(free_p) char *from = xasprintf("%s/%s", parent, files[i]);
		_cleanup_(free_p) char *to = xasprintf("%s/%s", path, files[i]);
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		r = file_read(AT_FDCWD, from, 65536, &b, e);
		if (r == 0)
			r = file_poke(AT_FDCWD, to, buf_str(&b), e);
	}
	return r;
}

/* ---- limits ---------------------------------------------------------------------- */
static int memory_limits(int fd, const struct resources_spec *r, bool update, struct err *e)
{
	/* Without swap accounting (swapaccount=0) the file is not there. */
	bool memsw = faccessat(fd, "memory.memsw.limit_in_bytes", F_OK, 0) == 0;
	int64_t total = r->memory_swap ? r->memory_swap : r->memory * 2;
	int ret = 0;

	if (r->memory_swap > 0 && r->memory_swap < r->memory)
		return err_set(e, EINVAL, "memswap_limit: must not be smaller than mem_limit");
	/* memory+swap may never be below memory, not even between two writes. */
	if (update && memsw)
		ret = cgroup_write(fd, "memory.memsw.limit_in_bytes", "memswap_limit", e, "-1");
	if (ret == 0 && (r->memory > 0 || update))
		ret = cgroup_write(fd, "memory.limit_in_bytes", "mem_limit", e, "%lld",
				   (long long)(r->memory > 0 ? r->memory : -1));
	if (ret == 0 && memsw && total > 0)
		ret = cgroup_write(fd, "memory.memsw.limit_in_bytes", "memswap_limit", e, "%lld",
				   (long long)total);
	if (ret == 0 && r->memory_reservation > 0)
		ret = cgroup_write(fd, "memory.soft_limit_in_bytes", "mem_reservation", e, "%lld",
				   (long long)r->memory_reservation);
	if (ret == 0 && r->memory_swappiness >= 0)
		ret = cgroup_write(fd, "memory.swappiness", "mem_swappiness", e, "%lld",
				   (long long)r->memory_swappiness);
	if (ret == 0 && r->oom_kill_disable)
		ret = cgroup_write(fd, "memory.oom_control", "oom_kill_disable", e, "1");
	return ret;
}

static int cpu_limits(int fd, const struct resources_spec *r, bool update, struct err *e)
{
	int64_t quota, period;
	int ret = 0;

	if (r->cpu_shares > 0)
		ret = cgroup_write(fd, "cpu.shares", "cpu_shares", e, "%lld",
				   (long long)r->cpu_shares);
	if (ret == 0 && cgroup_quota(r, &quota, &period)) {
		ret = cgroup_write(fd, "cpu.cfs_period_us", "cpus", e, "%lld", (long long)period);
		if (ret == 0)
			ret = cgroup_write(fd, "cpu.cfs_quota_us", "cpus", e, "%lld",
					   (long long)quota);
	} else if (ret == 0 && update) {
		ret = cgroup_write(fd, "cpu.cfs_quota_us", "cpus", e, "-1");
	}
	return ret;
}

static int need(const struct cgroup *cg, unsigned int controller, const char *key, struct err *e)
{
	int fd = cgroup_fd(cg, controller);

	return fd < 0 ? err_set(e, ENOTSUP, "%s: the kernel offers no cgroup controller for it",
				key)
		      : fd;
}

static int v1_limits(const struct cgroup *cg, const struct resources_spec *r, bool update,
		     struct err *e)
{
	bool memory = r->memory || r->memory_reservation || r->memory_swap ||
		      r->memory_swappiness >= 0 || r->oom_kill_disable;
	bool cpu = r->cpu_shares || r->nano_cpus || r->cpu_quota;
	int fd, ret = 0;

	if (memory || (update && cgroup_fd(cg, CTL_MEMORY) >= 0)) {
		fd = need(cg, CTL_MEMORY, "mem_limit", e);
		ret = fd < 0 ? fd : memory_limits(fd, r, update, e);
	}
	if (ret == 0 && (cpu || (update && cgroup_fd(cg, CTL_CPU) >= 0))) {
		fd = need(cg, CTL_CPU, "cpus", e);
		ret = fd < 0 ? fd : cpu_limits(fd, r, update, e);
	}
	if (ret == 0 && (r->pids > 0 || (update && cgroup_fd(cg, CTL_PIDS) >= 0))) {
		fd = need(cg, CTL_PIDS, "pids_limit", e);
		if (fd >= 0 && r->pids > 0)
			ret = cgroup_write(fd, "pids.max", "pids_limit", e, "%lld",
					   (long long)r->pids);
		else
			ret = fd < 0 ? fd : cgroup_write(fd, "pids.max", "pids_limit", e, "max");
	}
	if (ret == 0 && !is_empty(r->cpuset)) {
		fd = need(cg, CTL_CPUSET, "cpuset", e);
		ret = fd < 0 ? fd : cgroup_write(fd, "cpuset.cpus", "cpuset", e, "%s", r->cpuset);
	}
	return ret;
}

static int v1_devices(const struct cgroup *cg, const struct device_list *l, struct err *e)
{
	int fd = cgroup_fd(cg, CTL_DEVICES), r;
	char text[DEVICE_RULE_MAX];

	if (l->all || fd < 0)
		return 0;
	r = file_poke(fd, "devices.deny", "a", e);
	for (size_t i = 0; r == 0 && i < l->n_rules; i++)
		r = file_poke(fd, "devices.allow", device_rule_text(&l->rules[i], text), e);
	return r;
}

/* ---- state --------------------------------------------------------------------------- */
static bool frozen_now(int fd)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	/* Reading also makes the kernel look whether the last task has stopped. */
	return file_read(fd, "freezer.state", 64, &b, NULL) == 0 && streq(buf_str(&b), "FROZEN\n");
}

static void pause_briefly(void)
{
	/* v1's freezer has no event to wait for. */
	(void)nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
}

static int v1_freeze(const struct cgroup *cg, bool frozen, struct err *e)
{
	int fd = cgroup_fd(cg, CTL_FREEZER), r;
	uint64_t start = now_mono_ns();

	if (fd < 0)
		return err_set(e, ENOTSUP, "pause: the freezer cgroup is not mounted");
	r = file_poke(fd, "freezer.state", frozen ? "FROZEN" : "THAWED", e);
	if (r < 0 || !frozen)
		return r;
	while (!frozen_now(fd)) {
		if (now_mono_ns() - start > NSEC_PER_SEC)
			return err_set(e, ETIMEDOUT, "the container does not stand still");
		pause_briefly();
	}
	return 0;
}

/* What was asked for, by us or above us, reached or not. */
static bool v1_is_frozen(const struct cgroup *cg)
{
	int fd = cgroup_fd(cg, CTL_FREEZER);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	return fd >= 0 && file_read(fd, "freezer.state", 64, &b, NULL) == 0 &&
	       !streq(buf_str(&b), "THAWED\n");
}

static int v1_kill(const struct cgroup *cg, struct err *e)
{
	int freezer = cgroup_fd(cg, CTL_FREEZER), fd = cg->dirs[0].fd, r = 0;
	size_t n = 0, before = SIZE_MAX;

	/* A task in uninterruptible sleep keeps the state at FREEZING; it cannot fork
	 * either, so going on after a moment is safe. */
	if (freezer >= 0 && file_poke(freezer, "freezer.state", "FROZEN", NULL) == 0)
		for (int i = 0; i < 20 && !frozen_now(freezer); i++)
			pause_briefly();
	for (int i = 0; i < KILL_ROUNDS && r == 0; i++) {
		r = cgroup_signal_listed(fd, SIGKILL, &n, e);
		if (n == 0 || (freezer >= 0 && n == before))
			break;
		before = n;
	}
	if (freezer >= 0)
		(void)file_poke(freezer, "freezer.state", "THAWED",
				NULL); /* absent: gone already */
	return r;
}

static int v1_is_empty(const struct cgroup *cg)
{
	_cleanup_(fd_closep) int fd = openat(cg->dirs[0].fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char c;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 1 : -errno;
	n = read(fd, &c, 1);
	return n < 0 ? -errno : n == 0;
}

static int v1_oom_kills(const struct cgroup *cg, uint64_t *n, struct err *e)
{
	int fd = cgroup_fd(cg, CTL_MEMORY);

	*n = 0;
	return fd < 0 ? 0 : cgroup_read_key(fd, "memory.oom_control", "oom_kill", n, e);
}

static int memory_stats(int fd, struct cgroup_stats *st, struct err *e)
{
	uint64_t cache = 0;
	int r = cgroup_read_number(fd, "memory.usage_in_bytes", &st->memory, e);

	if (r == 0)
		r = cgroup_read_number(fd, "memory.limit_in_bytes", &st->memory_limit, e);
	if (r == 0)
		r = cgroup_read_key(fd, "memory.stat", "total_inactive_file", &cache, e);
	st->memory -= MIN(cache, st->memory);
	return r;
}

static int v1_stats(const struct cgroup *cg, struct cgroup_stats *st, struct err *e)
{
	int fd = cgroup_fd(cg, CTL_MEMORY), r = 0;

	if (fd >= 0)
		r = memory_stats(fd, st, e);
	fd = cgroup_fd(cg, CTL_PIDS);
	if (r == 0 && fd >= 0) {
		r = cgroup_read_number(fd, "pids.current", &st->pids, e);
		if (r == 0)
			r = cgroup_read_number(fd, "pids.max", &st->pids_limit, e);
	}
	st->cpu_ns = UINT64_MAX;
	fd = cgroup_fd(cg, CTL_CPUACCT);
	if (r == 0 && fd >= 0)
		r = cgroup_read_number(fd, "cpuacct.usage", &st->cpu_ns, e);
	fd = cgroup_fd(cg, CTL_CPU);
	if (r == 0 && fd >= 0)
		r = cgroup_read_key(fd, "cpu.stat", "nr_throttled", &st->throttled_periods, e);
	return r < 0 ? r : v1_oom_kills(cg, &st->oom_kills, e);
}

const struct cgroup_ops cgroup_v1_ops = {
	.limits = v1_limits,
	.devices = v1_devices,
	.kill = v1_kill,
	.freeze = v1_freeze,
	.is_frozen = v1_is_frozen,
	.is_empty = v1_is_empty,
	.stats = v1_stats,
	.oom_kills = v1_oom_kills,
};
