/* cli/usage.c: see usage.h. */
#include "cli/usage.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define PROC_FILE_MAX 65536

int usage_open(const struct cgroup_host *h, const struct record *r,
	       const struct container_spec *spec, struct cgroup **out, struct err *e)
{
	return cgroup_open(h, r->project, r->id, spec ? spec->cgroup_parent : NULL, out, e);
}

static bool read_proc(struct buf *text, const char *fmt, ...) _printf_(2, 3);
static bool read_proc(struct buf *text, const char *fmt, ...)
{
	_cleanup_(free_p) char *path = NULL;
	va_list ap;

	va_start(ap, fmt);
	path = xvasprintf(fmt, ap);
	va_end(ap);
	buf_truncate(text, 0);
	return file_read(AT_FDCWD, path, PROC_FILE_MAX, text, NULL) == 0;
}

/* The number behind "key" on a line of its own. */
static uint64_t number_after(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0)
			return strtoull(line + n, NULL, 10);
	}
	return 0;
}

static uint64_t machine_memory(void)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	return read_proc(&text, "/proc/meminfo") ? number_after(buf_str(&text), "MemTotal:") * 1024
						 : 0;
}

void usage_parse_net(const char *text, uint64_t *rx, uint64_t *tx)
{
	*rx = *tx = 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		unsigned long long in, out;
		char name[32];

		line += *line == '\n';
		/* name: bytes packets errs drop fifo frame compressed multicast bytes … */
		if (sscanf(line, " %31[^: ]: %llu %*u %*u %*u %*u %*u %*u %*u %llu", name, &in,
			   &out) != 3 ||
		    streq(name, "lo"))
			continue;
		*rx += in;
		*tx += out;
	}
}

/* Blocks read and written by what runs now, where no cgroup counts them. */
static void read_block(const struct cgroup *cg, struct usage *out)
{
	_cleanup_(free_p) pid_t *pids = NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	size_t n = 0;

	if (cgroup_pids(cg, &pids, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!read_proc(&text, "/proc/%d/io", pids[i]))
			continue;
		out->block_read += number_after(buf_str(&text), "read_bytes:");
		out->block_write += number_after(buf_str(&text), "write_bytes:");
	}
}

/* io.stat of cgroup v2: "8:0 rbytes=1 wbytes=2 …", a line for each device. */
static bool read_io_stat(const struct cgroup *cg, struct usage *out)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	const char *name, *dir;

	if (!cgroup_hierarchy(cg, 0, &name, &dir) || !read_proc(&text, "%s/io.stat", dir))
		return false;
	for (const char *p = buf_str(&text); (p = strchr(p, '=')); p++) {
		uint64_t v = strtoull(p + 1, NULL, 10);

		if (p - buf_str(&text) >= 6 && strncmp(p - 6, "rbytes", 6) == 0)
			out->block_read += v;
		else if (p - buf_str(&text) >= 6 && strncmp(p - 6, "wbytes", 6) == 0)
			out->block_write += v;
	}
	return true;
}

/* Ticks of all that runs now and of the children they have reaped: proc_pid_stat(5). */
static uint64_t cpu_of_processes(const struct cgroup *cg)
{
	_cleanup_(free_p) pid_t *pids = NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	uint64_t ticks = 0, hz = (uint64_t)sysconf(_SC_CLK_TCK);
	size_t n = 0;

	if (cgroup_pids(cg, &pids, &n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		unsigned long long t[4];
		const char *rest;

		if (!read_proc(&text, "/proc/%d/stat", pids[i]) ||
		    !(rest = strrchr(buf_str(&text), ')')) ||
		    sscanf(rest,
			   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
			   &t[0], &t[1], &t[2], &t[3]) != 4)
			continue;
		ticks += t[0] + t[1] + t[2] + t[3];
	}
	return ticks * (NSEC_PER_SEC / hz);
}

void usage_read(const struct cgroup *cg, const struct record *r, const struct container_spec *spec,
		struct usage *out)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct cgroup_stats st = { 0 };
	uint64_t machine = machine_memory();

	*out = (struct usage){ .at = now_mono_ns() };
	if (cgroup_stats(cg, &st, NULL) == 0) {
		out->cpu_ns = st.cpu_ns == UINT64_MAX ? cpu_of_processes(cg) : st.cpu_ns;
		out->memory = st.memory;
		out->memory_limit = machine ? MIN(st.memory_limit, machine) : st.memory_limit;
		out->pids = st.pids;
	}
	if (!read_io_stat(cg, out))
		read_block(cg, out);
	if (spec && spec->net.mode != NAMESPACE_HOST && r->pid > 0 &&
	    read_proc(&text, "/proc/%d/net/dev", r->pid))
		usage_parse_net(buf_str(&text), &out->net_rx, &out->net_tx);
}

double usage_cpu_percent(const struct usage *before, const struct usage *now)
{
	if (now->at <= before->at || now->cpu_ns <= before->cpu_ns)
		return 0;
	return (double)(now->cpu_ns - before->cpu_ns) * 100 / (double)(now->at - before->at);
}
