/* base/syscall_filter.c: see syscall_filter.h. */
#include "base/syscall_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/util.h"

int syscall_filter_compile(scmp_filter_ctx ctx, struct buf *code, struct err *e)
{
	_cleanup_(fd_closep) int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return err_errno(e, errno, "memfd_create seccomp");
	errno = 0;
	r = seccomp_export_bpf(ctx, fd);
	if (errno == ENOMEM)
		out_of_memory();
	if (r < 0)
		return err_errno(e, -r, "seccomp: compile the filter");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, errno, "seccomp: read the filter");
	r = fd_read_all(fd, SYSCALL_FILTER_MAX * sizeof(struct sock_filter), code);
	return r < 0 ? err_errno(e, -r, "seccomp: read the filter") : 0;
}

int syscall_filter_load(scmp_filter_ctx ctx, unsigned int flags, struct err *e)
{
	_cleanup_(buf_done) struct buf code = BUF_INIT;
	int r = syscall_filter_compile(ctx, &code, e);

	if (r < 0)
		return r;
	return syscall_filter_install((const struct sock_filter *)code.data,
				      code.len / sizeof(struct sock_filter), flags, e);
}

int syscall_filter_install(const struct sock_filter *program, size_t n, unsigned int flags,
			   struct err *e)
{
	struct sock_fprog prog = { .len = (unsigned short)n,
				   .filter = (struct sock_filter *)program };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog) < 0)
		return err_errno(e, errno, "load the seccomp filter");
	return 0;
}
