/* base/fd.c: see fd.h. */
#include "base/fd.h"

#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef F_SEAL_EXEC
#	define F_SEAL_EXEC 0x0020 /* Linux 6.3 */
#endif

int fd_write_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t w = write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

int fd_read_all(int fd, size_t max, struct buf *out)
{
	size_t start = out->len;

	for (;;) {
		ssize_t r;

		buf_reserve(out, 4096);
		r = read(fd, out->data + out->len, out->cap - out->len - 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		out->len += (size_t)r;
		out->data[out->len] = '\0';
		if (out->len - start > max)
			return -EFBIG;
		if (r == 0)
			return 0;
	}
}

static int read_file(int dirfd, const char *path, int flags, size_t max, struct buf *out,
		     struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	struct stat st;
	int r;

	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return err_errno(e, EISDIR, "read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s is not a regular file", path);
	r = fd_read_all(fd, max, out);
	if (r == -EFBIG)
		return err_set(e, EFBIG, "%s is larger than %zu bytes", path, max);
	if (r < 0)
		return err_errno(e, -r, "read %s", path);
	return 0;
}

int file_read(int dirfd, const char *path, size_t max, struct buf *out, struct err *e)
{
	return read_file(dirfd, path, O_NOFOLLOW, max, out, e);
}

int file_read_follow(int dirfd, const char *path, size_t max, struct buf *out, struct err *e)
{
	return read_file(dirfd, path, 0, max, out, e);
}

static int sync_parent(int dirfd, const char *path)
{
	_cleanup_(free_p) char *dir = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	const char *slash = strrchr(path, '/');

	dir = slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
	fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int file_write_atomic(int dirfd, const char *path, const void *p, size_t n, mode_t mode,
		      bool durable, struct err *e)
{
	_cleanup_(free_p) char *tmp = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	char random[17];
	int r = 0;

	random_hex(random, 8);
	tmp = xasprintf("%s.tmp-%s", path, random);
	fd = retry_eintr(
		openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (fd < 0)
		return err_errno(e, errno, "create %s", tmp);
	r = fd_write_all(fd, p, n);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && durable && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, tmp, 0); /* the write's own error matters more */
		return err_errno(e, -r, "write %s", path);
	}
	if (durable) {
		r = sync_parent(dirfd, path);
		if (r < 0)
			return err_errno(e, -r, "sync directory of %s", path);
	}
	return 0;
}

int file_poke(int dirfd, const char *path, const char *text, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;

	fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	if (retry_eintr(write(fd, text, strlen(text))) < 0)
		return err_errno(e, errno, "write \"%s\" to %s", text, path);
	return 0;
}

int fd_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct err *e)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: a rename elsewhere raced with ".." in the path; openat2(2). */
	for (int tries = 0; tries < 32; tries++) {
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	return (int)fd;
}

const char *fd_path(int fd, char *buf)
{
	snprintf(buf, FD_PATH_MAX, "/proc/self/fd/%d", fd);
	return buf;
}

static int new_memfd(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static int seal(int fd, struct err *e)
{
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	/* F_SEAL_EXEC keeps the mode bits too, where the kernel has it. */
	if (fcntl(fd, F_ADD_SEALS, seals | F_SEAL_EXEC) == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0)
		return 0;
	return err_errno(e, errno, "seal memfd");
}

int memfd_sealed(const char *name, const void *p, size_t n, struct err *e)
{
	_cleanup_(fd_closep) int fd = new_memfd(name);
	int r;

	if (fd < 0)
		return err_errno(e, errno, "memfd_create %s", name);
	r = fd_write_all(fd, p, n);
	if (r < 0)
		return err_errno(e, -r, "write memfd %s", name);
	r = seal(fd, e);
	if (r < 0)
		return r;
	(void)lseek(fd, 0, SEEK_SET); /* a memfd always seeks */
	return TAKE_FD(fd);
}

int memfd_sealed_copy(const char *name, int from, struct err *e)
{
	_cleanup_(fd_closep) int fd = new_memfd(name);
	off_t at = 0;
	ssize_t n;
	int r;

	if (fd < 0)
		return err_errno(e, errno, "memfd_create %s", name);
	if (fchmod(fd, 0500) < 0)
		return err_errno(e, errno, "chmod memfd %s", name);
	while ((n = sendfile(fd, from, &at, 1 << 30)) > 0)
		;
	if (n < 0)
		return err_errno(e, errno, "copy into memfd %s", name);
	r = seal(fd, e);
	if (r < 0)
		return r;
	return TAKE_FD(fd);
}

static int set_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags < 0 || fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
		return -errno;
	return 0;
}

int fd_set_nonblock(int fd, bool on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_set_cloexec(int fd, bool on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

int fd_pipe(int p[2], struct err *e)
{
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, errno, "pipe");
	return 0;
}

int fd_socketpair(int type, int p[2], struct err *e)
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, p) < 0)
		return err_errno(e, errno, "socketpair");
	return 0;
}

void fd_ensure_stdio(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", O_RDWR); /* lowest free number: fd itself */
}

union fd_control {
	char room[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	struct cmsghdr align;
};

int fd_send(int sock, const void *p, size_t n, const int *fds, size_t n_fds)
{
	struct iovec iov = { .iov_base = (void *)p, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fd_control control = { 0 };
	ssize_t w;

	if (n_fds > FD_PASS_MAX)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	do {
		w = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (w < 0 && errno == EINTR);
	if (w < 0)
		return -errno;
	/* On a stream the descriptors went with the first byte. */
	return (size_t)w < n ? fd_write_all(sock, (const char *)p + w, n - (size_t)w) : 0;
}

ssize_t fd_recv(int sock, void *p, size_t n, int *fds, size_t *n_fds)
{
	struct iovec iov = { .iov_base = p, .iov_len = n };
	union fd_control control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	size_t room = n_fds ? *n_fds : 0, got = 0;
	ssize_t r;

	do {
		r = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (got < room)
				fds[got++] = fd;
			else
				fd_close(fd);
		}
	}
	if (n_fds)
		*n_fds = got;
	return r;
}
