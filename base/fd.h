/* base/fd.h: file descriptors: whole reads and writes, atomic files, passing.
 *
 * Every descriptor made here is O_CLOEXEC.  Relative paths are resolved below
 * @dirfd (AT_FDCWD for the working directory).  Reads have a maximum: a larger
 * file is -EFBIG, never a surprise allocation.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Write all @n bytes, through EINTR and short writes; blocks.  0 or -errno. */
int fd_write_all(int fd, const void *p, size_t n);
/* Read until end of file, appending to @out; -EFBIG past @max bytes. */
int fd_read_all(int fd, size_t max, struct buf *out);

/* The content of a regular file (opened O_NOFOLLOW|O_NONBLOCK, so a FIFO or a
 * link planted there cannot hang or divert us).  -ENOENT without error text
 * noise is left to the caller: @e is filled in all cases. */
int file_read(int dirfd, const char *path, size_t max, struct buf *out, struct err *e);
/* As file_read() but follows symlinks: for the user's own files. */
int file_read_follow(int dirfd, const char *path, size_t max, struct buf *out, struct err *e);
/* Write a file whole: temporary file beside it, fsync, rename, fsync of the
 * directory when @durable.  @mode is not subject to umask. */
int file_write_atomic(int dirfd, const char *path, const void *p, size_t n, mode_t mode,
		      bool durable, struct err *e);
/* Write to an existing kernel file (cgroup, sysctl, uid_map) in one write(2). */
int file_poke(int dirfd, const char *path, const char *text, struct err *e);

/* openat2(2) with RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS: @path is resolved as
 * if @rootfd were "/", so no link or ".." in it can lead out. */
int fd_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct err *e);

/* "/proc/self/fd/N" for calls that only take a path. @buf: FD_PATH_MAX bytes. */
#define FD_PATH_MAX 32
const char *fd_path(int fd, char *buf);

/* A memfd with @n bytes, sealed against every change. */
int memfd_sealed(const char *name, const void *p, size_t n, struct err *e);
/* A sealed memfd copy of the file behind @fd, for execveat(2) (CVE-2019-5736). */
int memfd_sealed_copy(const char *name, int fd, struct err *e);

int fd_set_nonblock(int fd, bool on);
int fd_set_cloexec(int fd, bool on);
/* pipe2(O_CLOEXEC) and socketpair(AF_UNIX, type|SOCK_CLOEXEC), with error text. */
int fd_pipe(int p[2], struct err *e);
int fd_socketpair(int type, int p[2], struct err *e);
/* Make sure 0, 1 and 2 are open (on /dev/null), so that no file of ours gets
 * one of those numbers. Call first thing in main(). */
void fd_ensure_stdio(void);

/* One message with up to @n_fds descriptors beside it (SCM_RIGHTS).
 * fd_send: 0 or -errno (-EAGAIN on a full non-blocking socket).
 * fd_recv: bytes read (0 at end of stream) or -errno; *n_fds goes in as room
 * (at most FD_PASS_MAX) and comes out as count; surplus descriptors are closed. */
#define FD_PASS_MAX 16
int fd_send(int sock, const void *p, size_t n, const int *fds, size_t n_fds);
ssize_t fd_recv(int sock, void *p, size_t n, int *fds, size_t *n_fds);

#endif
