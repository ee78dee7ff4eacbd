/* engine/supervise/salvage.c: see salvage.h; pipe(7), proc_pid_fd(5).
 *
 * The pipes are told by their inodes, which the monitor's record has: descriptor 1
 * of the main process may be anything by now, also a pipe between two programs of
 * the container, from which nothing may be taken.
 */
#include "engine/supervise/salvage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/supervise/log_writer.h"
#include "engine/supervise/monitor.h"

#define READ_SIZE 65536
#define DRAIN_MAX (64u << 20) /* with `pid: host` somebody may still be writing */

static bool is_pipe(const struct stat *st, ino_t inode)
{
	return inode && S_ISFIFO(st->st_mode) && st->st_ino == inode;
}

static void look_at(struct salvage *s, int dir, const char *name, const ino_t inodes[2])
{
	for (int i = 0; i < 2; i++) {
		_cleanup_(fd_closep) int fd = -EBADF;
		struct stat st;

		if (s->fds[i] >= 0 || fstatat(dir, name, &st, 0) < 0 || !is_pipe(&st, inodes[i]))
			continue;
		fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		/* Looked at again: the number may be something else's by now. */
		if (fd >= 0 && fstat(fd, &st) == 0 && is_pipe(&st, inodes[i]))
			s->fds[i] = TAKE_FD(fd);
	}
}

static bool is_complete(const struct salvage *s, const ino_t inodes[2])
{
	return (s->fds[0] >= 0 || !inodes[0]) && (s->fds[1] >= 0 || !inodes[1]);
}

static void search(struct salvage *s, pid_t pid, const ino_t inodes[2])
{
	char path[40];
	_cleanup_(dir_closep) DIR *dir = NULL;
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && !is_complete(s, inodes) && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			look_at(s, dirfd(dir), entry->d_name, inodes);
}

void salvage_open(struct salvage *s, pid_t pid, const struct cgroup *cg, const ino_t inodes[2])
{
	_cleanup_(free_p) pid_t *pids = NULL;
	size_t n = 0;

	if (pid > 0)
		search(s, pid, inodes);
	if (is_complete(s, inodes) || !cg || cgroup_pids(cg, &pids, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n && !is_complete(s, inodes); i++)
		search(s, pids[i], inodes);
}

static size_t drain(int fd, enum log_stream stream, struct log_writer *w)
{
	_cleanup_(free_p) char *buf = xmalloc(READ_SIZE);
	size_t total = 0;
	ssize_t n;

	while (total < DRAIN_MAX && (n = read(fd, buf, READ_SIZE)) > 0) {
		log_writer_put(w, stream, buf, (size_t)n);
		total += (size_t)n;
	}
	return total;
}

size_t salvage_finish(struct salvage *s, int dir_fd, int run_dir_fd, const struct log_spec *log)
{
	bool none = streq_null(log->driver, "none");
	struct log_writer w;
	uint64_t epoch;
	size_t n = 0;

	if (s->fds[0] >= 0 || s->fds[1] >= 0) {
		if (monitor_order_epoch(run_dir_fd, &epoch, NULL) < 0)
			epoch = now_real_ns() - now_mono_ns();
		log_writer_init(
			&w, none ? -EBADF : dir_fd, log->max_size,
			(uint32_t)(log->max_file > 0 ? MIN(log->max_file, (int64_t)INT32_MAX) : 0),
			epoch);
		for (int i = 0; i < 2; i++)
			if (s->fds[i] >= 0)
				n += drain(s->fds[i], i ? LOG_STDERR : LOG_STDOUT, &w);
		log_writer_end(&w);
		log_writer_done(&w);
	}
	salvage_done(s);
	return n;
}

void salvage_done(struct salvage *s)
{
	s->fds[0] = fd_close(s->fds[0]);
	s->fds[1] = fd_close(s->fds[1]);
}
