/* net/sandbox.c: a process that can talk to the network and nothing else. */
#include "net/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/syscall_filter.h"

#if defined(__SANITIZE_ADDRESS__)
#	define SANITIZED 1
#else
#	define SANITIZED 0
#endif

#define NOBODY        65534
#define NOFILE_WANTED (1024 * 1024)

void sandbox_raise_nofile(void)
{
	struct rlimit limit;
	const struct rlimit wanted = { .rlim_cur = NOFILE_WANTED, .rlim_max = NOFILE_WANTED };

	if (setrlimit(RLIMIT_NOFILE, &wanted) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* the proxy reads what we have got */
}

/* An empty, read-only file system as root, and the old one out of reach: pivot_root(2),
 * "pivot_root(".", ".")". */
static int empty_root(struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(e, errno, "unshare the mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("comp", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=2,mode=555") < 0)
		return err_errno(e, errno, "mount an empty root");
	if (chdir("/proc") < 0)
		return err_errno(e, errno, "enter the empty root");
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return err_errno(e, errno, "unmount the old root");
	} else if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) {
		/* EINVAL: the root is an initramfs, which can only be covered. */
		return err_errno(e, errno, "enter the empty root");
	}
	return chdir("/") < 0 ? err_errno(e, errno, "enter the empty root") : 0;
}

int sandbox_drop_privileges(struct err *e)
{
	int r;

	if (geteuid() == 0) {
		r = empty_root(e);
		if (r < 0)
			return r;
		/* Leaving uid 0 clears the capability sets; capabilities(7). */
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		    setresuid(NOBODY, NOBODY, NOBODY) < 0)
			return err_errno(e, errno, "become nobody");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(e, errno, "set no_new_privs");
	return 0;
}

static const int allowed_calls[] = {
	SCMP_SYS(accept4),

	SCMP_SYS(brk),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(close),
	SCMP_SYS(connect),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(fcntl),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),

	SCMP_SYS(getrandom),

	SCMP_SYS(getsockopt),
	SCMP_SYS(gettid),

	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(pipe2),
	SCMP_SYS(read),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(splice),
	SCMP_SYS(tgkill),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(write),
};

/* What a sanitizer does beside, mostly while it writes its report. */
static const int sanitizer_calls[] = {
	SCMP_SYS(clock_getres), SCMP_SYS(fstat),        SCMP_SYS(getrlimit),
	SCMP_SYS(ioctl),        SCMP_SYS(lseek),        SCMP_SYS(mmap),
	SCMP_SYS(mprotect),     SCMP_SYS(newfstatat),   SCMP_SYS(open),
	SCMP_SYS(openat),       SCMP_SYS(prctl),        SCMP_SYS(prlimit64),
	SCMP_SYS(readlink),     SCMP_SYS(rt_sigaction), SCMP_SYS(sched_yield),
	SCMP_SYS(sigaltstack),  SCMP_SYS(socket),       SCMP_SYS(stat),
	SCMP_SYS(sysinfo),      SCMP_SYS(uname),        SCMP_SYS(writev),
};

static int allow_calls(scmp_filter_ctx f, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

/* Memory that is not executable, and sockets of the internet. */
static int allow_with_arguments(scmp_filter_ctx f)
{
	int r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				 SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_INET));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, AF_INET6));
	return r;
}

/* Forbidden calls fail with EPERM instead of killing: a libc that tries something
 * new must not take the project's network with it. */
int sandbox_install_filter(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!f)
		return err_set(e, ENOMEM, "make a seccomp filter");
	r = allow_calls(f, allowed_calls, ARRAY_SIZE(allowed_calls));
	if (r == 0)
		r = SANITIZED ? allow_calls(f, sanitizer_calls, ARRAY_SIZE(sanitizer_calls))
			      : allow_with_arguments(f);
	r = r < 0 ? err_errno(e, -r, "make a seccomp filter") : syscall_filter_load(f, 0, e);
	seccomp_release(f);
	return r;
}
