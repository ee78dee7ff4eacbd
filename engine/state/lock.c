/* engine/state/lock.c: see lock.h. */
#include "engine/state/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

static pid_t read_pid(int fd)
{
	char text[16] = "";
	uint64_t pid;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 || !parse_u64(text, &pid))
		return 0;
	return (pid_t)pid;
}

static int write_pid(int fd)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", getpid());

	return retry_eintr(ftruncate(fd, 0)) < 0 || retry_eintr(pwrite(fd, text, (size_t)n, 0)) != n
		       ? -EIO
		       : 0;
}

static bool still_named(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int lock_take(const char *path, bool wait, pid_t *holder, struct err *e)
{
	for (;;) {
		_cleanup_(fd_closep) int fd = retry_eintr(
			open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
		int r;

		if (fd < 0)
			return err_errno(e, errno, "open %s", path);
		do {
			r = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
		} while (r < 0 && errno == EINTR);
		if (r < 0) {
			int code = errno; /* read_pid() may change it */

			if (holder)
				*holder = read_pid(fd);
			return err_errno(e, code, "lock %s", path);
		}
		if (!still_named(fd, path))
			continue;
		if (write_pid(fd) < 0)
			return err_errno(e, ENOSPC, "write %s", path);
		return TAKE_FD(fd);
	}
}

pid_t lock_holder(const char *path)
{
	_cleanup_(fd_closep) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return read_pid(fd);
}
