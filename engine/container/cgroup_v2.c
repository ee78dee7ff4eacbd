/* engine/container/cgroup_v2.c: the unified hierarchy, cgroups(7) and the kernel's
 * admin-guide/cgroup-v2.rst.
 *
 * There is no devices controller in v2: a small BPF program attached to the
 * cgroup decides about each open and mknod.  It is built here rule by rule;
 * the kernel drops it together with the cgroup.
 */
#include <linux/bpf.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "engine/container/cgroup_impl.h"

int cgroup_v2_delegate(const char *path, struct err *e)
{
	static const char *const wanted[] = { "cpu", "memory", "pids", "cpuset", "io" };
	_cleanup_(buf_done) struct buf have = BUF_INIT, now = BUF_INIT;
	_cleanup_(strv_freep) char **available = NULL, **enabled = NULL;
	_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	r = file_read(fd, "cgroup.controllers", 4096, &have, e);
	if (r == 0)
		r = file_read(fd, "cgroup.subtree_control", 4096, &now, e);
	if (r < 0)
		return r;
	while (have.len && have.data[have.len - 1] == '\n')
		buf_truncate(&have, have.len - 1);
	while (now.len && now.data[now.len - 1] == '\n')
		buf_truncate(&now, now.len - 1);
	available = strv_split(buf_str(&have), ' ', true);
	enabled = strv_split(buf_str(&now), ' ', true);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(wanted); i++) {
		char text[16];

		if (!strv_has(available, wanted[i]) || strv_has(enabled, wanted[i]))
			continue;
		snprintf(text, sizeof(text), "+%s", wanted[i]);
		r = file_poke(fd, "cgroup.subtree_control", text, e);
	}
	return r;
}

/* ---- limits ---------------------------------------------------------------------- */
static bool exists(int fd, const char *file)
{
	return faccessat(fd, file, F_OK, 0) == 0;
}

static int memory_limits(int fd, const struct resources_spec *r, bool update, struct err *e)
{
	int ret = 0;

	if (r->memory > 0)
		ret = cgroup_write(fd, "memory.max", "mem_limit", e, "%lld", (long long)r->memory);
	else if (update)
		ret = cgroup_write(fd, "memory.max", "mem_limit", e, "max");
	if (ret == 0 && r->memory_reservation > 0)
		ret = cgroup_write(fd, "memory.low", "mem_reservation", e, "%lld",
				   (long long)r->memory_reservation);
	if (ret < 0 || !exists(fd, "memory.swap.max"))
		return ret;
	/* v2 counts swap alone, Compose memory and swap together. */
	if (r->memory_swap < 0)
		return cgroup_write(fd, "memory.swap.max", "memswap_limit", e, "max");
	if (r->memory_swap > 0 && r->memory_swap < r->memory)
		return err_set(e, EINVAL, "memswap_limit: must not be smaller than mem_limit");
	if (r->memory > 0)
		return cgroup_write(
			fd, "memory.swap.max", "memswap_limit", e, "%lld",
			(long long)(r->memory_swap ? r->memory_swap - r->memory : r->memory));
	return 0;
}

/* Shares 2 … 262144 onto weight 1 … 10000, as OCI runtimes do. */
static long long weight_of(int64_t shares)
{
	shares = shares < 2 ? 2 : shares;
	shares = shares > 262144 ? 262144 : shares;
	return 1 + (shares - 2) * 9999 / 262142;
}

static int cpu_limits(int fd, const struct resources_spec *r, bool update, struct err *e)
{
	int64_t quota, period;
	int ret = 0;

	if (r->cpu_shares > 0)
		ret = cgroup_write(fd, "cpu.weight", "cpu_shares", e, "%lld",
				   weight_of(r->cpu_shares));
	if (ret == 0 && cgroup_quota(r, &quota, &period))
		ret = cgroup_write(fd, "cpu.max", "cpus", e, "%lld %lld", (long long)quota,
				   (long long)period);
	else if (ret == 0 && update)
		ret = cgroup_write(fd, "cpu.max", "cpus", e, "max");
	return ret;
}

static int v2_limits(const struct cgroup *cg, const struct resources_spec *r, bool update,
		     struct err *e)
{
	int fd = cg->dirs[0].fd, ret = memory_limits(fd, r, update, e);

	if (ret == 0)
		ret = cpu_limits(fd, r, update, e);
	if (ret == 0 && r->pids > 0)
		ret = cgroup_write(fd, "pids.max", "pids_limit", e, "%lld", (long long)r->pids);
	else if (ret == 0 && update)
		ret = cgroup_write(fd, "pids.max", "pids_limit", e, "max");
	if (ret == 0 && !is_empty(r->cpuset))
		ret = cgroup_write(fd, "cpuset.cpus", "cpuset", e, "%s", r->cpuset);
	return ret;
}

/* ---- devices ----------------------------------------------------------------------- */
struct program {
	struct bpf_insn *insn;
	size_t n, cap;
};

static void emit(struct program *p, struct bpf_insn insn)
{
	if (p->n == p->cap) {
		p->cap = MAX(p->cap * 2, (size_t)64);
		p->insn = xreallocarray(p->insn, p->cap, sizeof(*p->insn));
	}
	p->insn[p->n++] = insn;
}

static void emit_load(struct program *p, int dst, int offset)
{
	emit(p, (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W,
				   .dst_reg = (uint8_t)dst & 15,
				   .src_reg = BPF_REG_1,
				   .off = (int16_t)offset });
}

static void emit_alu(struct program *p, int op, int dst, int imm)
{
	emit(p, (struct bpf_insn){ .code = (uint8_t)(BPF_ALU | op | BPF_K),
				   .dst_reg = (uint8_t)dst & 15,
				   .imm = imm });
}

/* Jump out of the rule when register @dst is not @imm; the distance comes later. */
static void emit_unless(struct program *p, int dst, int imm)
{
	emit(p, (struct bpf_insn){ .code = BPF_JMP | BPF_JNE | BPF_K,
				   .dst_reg = (uint8_t)dst & 15,
				   .imm = imm });
}

static void emit_return(struct program *p, int value)
{
	emit(p, (struct bpf_insn){
			.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value });
	emit(p, (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT });
}

enum { R_TYPE = BPF_REG_2, R_ACCESS = BPF_REG_3, R_MAJOR = BPF_REG_4, R_MINOR = BPF_REG_5 };

static void emit_rule(struct program *p, const struct device_rule *r)
{
	size_t start = p->n;

	if (r->type != 'a')
		emit_unless(p, R_TYPE, r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (r->access != DEVICE_ALL) {
		/* w1 = wanted & ~allowed must be nothing. */
		emit(p, (struct bpf_insn){ .code = BPF_ALU | BPF_MOV | BPF_X,
					   .dst_reg = BPF_REG_1,
					   .src_reg = R_ACCESS });
		emit_alu(p, BPF_AND, BPF_REG_1, (int)(DEVICE_ALL & ~r->access));
		emit_unless(p, BPF_REG_1, 0);
	}
	if (r->major != DEVICE_ANY)
		emit_unless(p, R_MAJOR, (int)r->major);
	if (r->minor != DEVICE_ANY)
		emit_unless(p, R_MINOR, (int)r->minor);
	emit_return(p, 1);
	for (size_t i = start; i < p->n; i++)
		if (p->insn[i].code == (BPF_JMP | BPF_JNE | BPF_K))
			p->insn[i].off = (int16_t)(p->n - i - 1);
}

static int load_program(const struct program *p, struct err *e)
{
	union bpf_attr attr = { 0 };
	int fd;

	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)p->insn;
	attr.insn_cnt = (uint32_t)p->n;
	attr.license = (uintptr_t) "GPL";
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? err_errno(e, errno, "load the device program") : fd;
}

static int v2_devices(const struct cgroup *cg, const struct device_list *l, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	struct program p = { 0 };
	union bpf_attr attr = { 0 };

	if (l->all)
		return 0;
	emit_load(&p, R_TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	emit(&p, (struct bpf_insn){ .code = BPF_ALU | BPF_MOV | BPF_X,
				    .dst_reg = R_ACCESS,
				    .src_reg = R_TYPE });
	emit_alu(&p, BPF_AND, R_TYPE, 0xffff);
	emit_alu(&p, BPF_RSH, R_ACCESS, 16);
	emit_load(&p, R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	emit_load(&p, R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
	for (size_t i = 0; i < l->n_rules; i++)
		emit_rule(&p, &l->rules[i]);
	emit_return(&p, 0);
	fd = load_program(&p, e);
	free(p.insn);
	if (fd < 0)
		return fd;
	attr.target_fd = (uint32_t)cg->dirs[0].fd;
	attr.attach_bpf_fd = (uint32_t)fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		return err_errno(e, errno, "attach the device program");
	return 0;
}

/* ---- state --------------------------------------------------------------------------- */
static int v2_kill(const struct cgroup *cg, struct err *e)
{
	return file_poke(cg->dirs[0].fd, "cgroup.kill", "1", e);
}

static int v2_freeze(const struct cgroup *cg, bool frozen, struct err *e)
{
	uint64_t start = now_mono_ns(), state = !frozen;
	_cleanup_(fd_closep) int events = -EBADF;
	int r;

	/* Open before writing: the kernel then reports every change as POLLPRI. */
	events = openat(cg->dirs[0].fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (events < 0)
		return err_errno(e, errno, "open cgroup.events");
	r = file_poke(cg->dirs[0].fd, "cgroup.freeze", frozen ? "1" : "0", e);
	while (r == 0 && now_mono_ns() - start < NSEC_PER_SEC) {
		struct pollfd p = { .fd = events, .events = POLLPRI };
		char scratch[256];

		r = cgroup_read_key(cg->dirs[0].fd, "cgroup.events", "frozen", &state, e);
		if (r < 0 || (state == 1) == frozen)
			return r;
		(void)poll(&p, 1, 100); /* a timeout only means to look again */
		(void)!pread(events, scratch, sizeof(scratch), 0); /* rearm */
	}
	return r < 0 ? r : err_set(e, ETIMEDOUT, "the container does not stand still");
}

static bool v2_is_frozen(const struct cgroup *cg)
{
	uint64_t frozen = 0;

	return cgroup_read_number(cg->dirs[0].fd, "cgroup.freeze", &frozen, NULL) == 0 && frozen;
}

static int v2_is_empty(const struct cgroup *cg)
{
	uint64_t populated = 0;
	int r = cgroup_read_key(cg->dirs[0].fd, "cgroup.events", "populated", &populated, NULL);

	return r < 0 ? r : populated == 0;
}

/* A controller that is not there counts nothing; that is no error. */
static int absent_is_fine(int r)
{
	return r == -ENOENT ? 0 : r;
}

static int v2_oom_kills(const struct cgroup *cg, uint64_t *n, struct err *e)
{
	*n = 0;
	return absent_is_fine(cgroup_read_key(cg->dirs[0].fd, "memory.events", "oom_kill", n, e));
}

static int memory_stats(int fd, struct cgroup_stats *st, struct err *e)
{
	uint64_t cache = 0;
	int r = cgroup_read_number(fd, "memory.current", &st->memory, e);

	if (r == 0)
		r = cgroup_read_number(fd, "memory.max", &st->memory_limit, e);
	if (r == 0)
		r = cgroup_read_key(fd, "memory.stat", "inactive_file", &cache, e);
	st->memory -= MIN(cache, st->memory);
	return absent_is_fine(r);
}

static int v2_stats(const struct cgroup *cg, struct cgroup_stats *st, struct err *e)
{
	int fd = cg->dirs[0].fd, r = memory_stats(fd, st, e);
	uint64_t usec = 0;

	if (r == 0)
		r = absent_is_fine(cgroup_read_number(fd, "pids.current", &st->pids, e));
	if (r == 0)
		r = absent_is_fine(cgroup_read_number(fd, "pids.max", &st->pids_limit, e));
	if (r == 0)
		r = cgroup_read_key(fd, "cpu.stat", "usage_usec", &usec, e);
	if (r < 0)
		return r;
	st->cpu_ns = usec * NSEC_PER_USEC;
	/* Present only where the cpu controller is on. */
	(void)cgroup_read_key(fd, "cpu.stat", "nr_throttled", &st->throttled_periods, NULL);
	return v2_oom_kills(cg, &st->oom_kills, e);
}

const struct cgroup_ops cgroup_v2_ops = {
	.limits = v2_limits,
	.devices = v2_devices,
	.kill = v2_kill,
	.freeze = v2_freeze,
	.is_frozen = v2_is_frozen,
	.is_empty = v2_is_empty,
	.stats = v2_stats,
	.oom_kills = v2_oom_kills,
};
