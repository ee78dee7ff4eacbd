/* tests/lib/faultstep_calls.h: the calls that faultstep counts, and how they can fail. */
#ifndef TESTS_LIB_FAULTSTEP_CALLS_H
#define TESTS_LIB_FAULTSTEP_CALLS_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

enum counts {
	ALWAYS,
	IF_CREATES,  /* open(2) flags in argument `at` */
	IF_CREATES2, /* struct open_how in argument 2 */
	IF_FILE,     /* the descriptor is a file that has a name */
	WIDE,        /* with -w only */
};

struct call {
	long nr;
	const char *name;
	enum counts counts;
	int at;   /* IF_CREATES: the argument with the flags */
	int path; /* argument with a path, to be shown; -1: show the descriptor in argument 0 */
	const char *codes;
};

#define MAKES  "ENOSPC EIO ENOMEM EINTR"
#define NAMES  "ENOSPC EIO ENOMEM"
#define GOES   "EIO ENOMEM"
#define KERNEL "ENOMEM ENOSPC"
#define BIRTH  "EAGAIN ENOMEM"
#define SENDS  "ENOMEM ENOBUFS EINTR"
#define FDS    "EMFILE ENFILE ENOMEM"
#define C(name, counts, at, path, codes)                                                           \
	{                                                                                          \
		SYS_##name, #name, counts, at, path, codes                                         \
	}

static const struct call calls[] = {
	C(openat, IF_CREATES, 2, 1, "ENOSPC EMFILE EIO ENOMEM EINTR"),
	C(openat2, IF_CREATES2, 2, 1, "ENOSPC EMFILE EIO ENOMEM EINTR"),
	C(write, IF_FILE, 0, -1, "ENOSPC EIO EINTR"),
	C(writev, IF_FILE, 0, -1, "ENOSPC EIO EINTR"),
	C(pwrite64, IF_FILE, 0, -1, "ENOSPC EIO EINTR"),
	C(pwritev, IF_FILE, 0, -1, "ENOSPC EIO EINTR"),
	C(sendfile, IF_FILE, 0, -1, "ENOSPC EIO ENOMEM"),
	C(copy_file_range, ALWAYS, 0, -1, "ENOSPC EIO ENOMEM"),
	C(ftruncate, ALWAYS, 0, -1, "EIO ENOSPC EINTR"),
	C(fallocate, ALWAYS, 0, -1, "ENOSPC EIO EINTR"),
	C(fsync, ALWAYS, 0, -1, "EIO ENOSPC"),
	C(fdatasync, ALWAYS, 0, -1, "EIO ENOSPC"),
	C(renameat, ALWAYS, 0, 1, NAMES),
	C(renameat2, ALWAYS, 0, 1, NAMES),
	C(unlinkat, ALWAYS, 0, 1, GOES),
	C(mkdirat, ALWAYS, 0, 1, NAMES),
	C(linkat, ALWAYS, 0, 1, NAMES),
	C(symlinkat, ALWAYS, 0, 2, NAMES),
	C(mknodat, ALWAYS, 0, 1, NAMES),
	C(fchmod, ALWAYS, 0, -1, GOES),
	C(fchmodat, ALWAYS, 0, 1, GOES),
	C(fchown, ALWAYS, 0, -1, GOES),
	C(fchownat, ALWAYS, 0, 1, GOES),
	C(utimensat, ALWAYS, 0, 1, GOES),
	C(fsetxattr, ALWAYS, 0, -1, NAMES),
	C(setxattr, ALWAYS, 0, 0, NAMES),
	C(mount, ALWAYS, 0, 1, KERNEL),
	C(umount2, ALWAYS, 0, 0, "ENOMEM EBUSY"),
	C(open_tree, ALWAYS, 0, 1, "ENOMEM EMFILE"),
	C(move_mount, ALWAYS, 0, 3, KERNEL),
	C(fsopen, ALWAYS, 0, 0, "ENOMEM EMFILE"),
	C(fsconfig, ALWAYS, 0, 2, KERNEL),
	C(fsmount, ALWAYS, 0, -1, "ENOMEM EMFILE"),
	C(mount_setattr, ALWAYS, 0, 1, "ENOMEM"),
	C(pivot_root, ALWAYS, 0, 0, "ENOMEM"),
	C(chroot, ALWAYS, 0, 0, "ENOMEM"),
	C(unshare, ALWAYS, 0, -2, "ENOMEM ENOSPC"),
	C(setns, ALWAYS, 0, -1, "ENOMEM"),
	C(sethostname, ALWAYS, 0, -2, "ENOMEM"),
	C(clone, ALWAYS, 0, -2, BIRTH),
	C(clone3, ALWAYS, 0, -2, BIRTH " ENOSPC"),
	C(execve, ALWAYS, 0, 0, "ENOMEM EMFILE EIO"),
	C(execveat, ALWAYS, 0, -1, "ENOMEM EMFILE EIO"),
	C(sendto, ALWAYS, 0, -1, SENDS),
	C(sendmsg, ALWAYS, 0, -1, SENDS),
	C(sendmmsg, ALWAYS, 0, -1, SENDS),
	C(bind, ALWAYS, 0, -1, "ENOMEM EADDRINUSE"),
	C(listen, ALWAYS, 0, -1, "EADDRINUSE"),
	C(flock, ALWAYS, 0, -1, "ENOMEM EINTR"),
	C(kill, ALWAYS, 0, -2, "ESRCH"),
	C(pidfd_send_signal, ALWAYS, 0, -1, "ESRCH"),
	C(setsid, ALWAYS, 0, -2, "EPERM"),
	C(seccomp, ALWAYS, 0, -2, "ENOMEM"),
	C(bpf, ALWAYS, 0, -2, "ENOMEM"),
#ifdef __x86_64__
	C(open, IF_CREATES, 1, 0, "ENOSPC EMFILE EIO ENOMEM EINTR"),
	C(creat, ALWAYS, 0, 0, MAKES),
	C(rename, ALWAYS, 0, 0, NAMES),
	C(unlink, ALWAYS, 0, 0, GOES),
	C(mkdir, ALWAYS, 0, 0, NAMES),
	C(rmdir, ALWAYS, 0, 0, GOES),
	C(link, ALWAYS, 0, 0, NAMES),
	C(symlink, ALWAYS, 0, 1, NAMES),
	C(chmod, ALWAYS, 0, 0, GOES),
	C(chown, ALWAYS, 0, 0, GOES),
	C(fork, ALWAYS, 0, -2, BIRTH),
	C(vfork, ALWAYS, 0, -2, BIRTH),
	C(pipe, WIDE, 0, -2, FDS),
	C(readlink, WIDE, 0, 0, GOES),
	C(epoll_wait, WIDE, 0, -2, "EINTR"),
	C(poll, WIDE, 0, -2, "EINTR"),
	C(stat, WIDE, 0, 0, GOES),
	C(lstat, WIDE, 0, 0, GOES),
	C(access, WIDE, 0, 0, GOES),
	C(dup2, WIDE, 0, -1, "EMFILE EINTR"),
#endif
	C(read, WIDE, 0, -1, "EIO EINTR"),
	C(pread64, WIDE, 0, -1, "EIO EINTR"),
	C(getdents64, WIDE, 0, -1, "EIO ENOMEM"),
	C(newfstatat, WIDE, 0, 1, GOES),
	C(fstat, WIDE, 0, -1, GOES),
	C(fstatfs, WIDE, 0, -1, GOES),
	C(readlinkat, WIDE, 0, 1, GOES),
	C(faccessat, WIDE, 0, 1, GOES),
	C(faccessat2, WIDE, 0, 1, GOES),
	C(mmap, WIDE, 0, -2, "ENOMEM"),
	C(brk, WIDE, 0, -2, "ENOMEM"),
	C(mremap, WIDE, 0, -2, "ENOMEM"),
	C(socket, WIDE, 0, -2, FDS),
	C(socketpair, WIDE, 0, -2, FDS),
	C(pipe2, WIDE, 0, -2, FDS),
	C(connect, WIDE, 0, -1, "ENOMEM EINTR"),
	C(accept4, WIDE, 0, -1, FDS),
	C(recvmsg, WIDE, 0, -1, "ENOMEM EINTR"),
	C(recvfrom, WIDE, 0, -1, "ENOMEM EINTR"),
	C(setsockopt, WIDE, 0, -1, "ENOMEM"),
	C(getsockopt, WIDE, 0, -1, "ENOMEM"),
	C(fcntl, WIDE, 0, -1, "EMFILE ENOMEM"),
	C(dup, WIDE, 0, -1, "EMFILE"),
	C(dup3, WIDE, 0, -1, "EMFILE EINTR"),
	C(epoll_create1, WIDE, 0, -2, FDS),
	C(epoll_ctl, WIDE, 0, -1, "ENOMEM ENOSPC"),
	C(epoll_pwait, WIDE, 0, -2, "EINTR"),
	C(ppoll, WIDE, 0, -2, "EINTR"),
	C(eventfd2, WIDE, 0, -2, FDS),
	C(signalfd4, WIDE, 0, -2, FDS),
	C(timerfd_create, WIDE, 0, -2, FDS),
	C(memfd_create, WIDE, 0, -2, FDS),
	C(inotify_init1, WIDE, 0, -2, FDS),
	C(pidfd_open, WIDE, 0, -2, FDS),
	C(pidfd_getfd, WIDE, 0, -2, "EMFILE"),
	C(chdir, WIDE, 0, 0, GOES),
	C(fchdir, WIDE, 0, -1, GOES),
	C(getcwd, WIDE, 0, -2, GOES),
	C(capset, WIDE, 0, -2, "EPERM"),
	C(setgroups, WIDE, 0, -2, "ENOMEM"),
	C(setuid, WIDE, 0, -2, "EAGAIN"),
	C(wait4, WIDE, 0, -2, "EINTR"),
	C(waitid, WIDE, 0, -2, "EINTR"),
};
#undef C

/* Names and contents of files: from openat(2) to setxattr(2) in the list, and the old ones. */
static bool changes_files(long nr)
{
	bool yes = true;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].nr == SYS_mount)
			yes = false;
#ifdef __x86_64__
		if (calls[i].nr == SYS_open)
			yes = true;
		if (calls[i].nr == SYS_fork)
			return false;
#endif
		if (calls[i].nr == nr)
			return yes;
	}
	return false;
}

static const struct {
	const char *name;
	int value;
} codes[] = {
	{ "ENOMEM", ENOMEM },   { "ENOSPC", ENOSPC }, { "EMFILE", EMFILE },
	{ "ENFILE", ENFILE },   { "EIO", EIO },       { "EINTR", EINTR },
	{ "EAGAIN", EAGAIN },   { "EBUSY", EBUSY },   { "EPERM", EPERM },
	{ "ENOBUFS", ENOBUFS }, { "ESRCH", ESRCH },   { "EADDRINUSE", EADDRINUSE },
	{ "EACCES", EACCES },   { "EROFS", EROFS },   { "EDQUOT", EDQUOT },
};

static int code_value(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strlen(codes[i].name) == n && strncmp(codes[i].name, name, n) == 0)
			return codes[i].value;
	return 0;
}

/* The k-th word of @list, modulo their number; its length to @n. */
static const char *pick_word(const char *list, unsigned long k, size_t *n)
{
	unsigned long words = 1;
	const char *w = list;

	for (const char *p = list; *p; p++)
		words += *p == ' ';
	for (k %= words; k > 0; k--)
		w = strchr(w, ' ') + 1;
	*n = strcspn(w, " ");
	return w;
}

#endif
