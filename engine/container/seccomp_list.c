/* engine/container/seccomp_list.c: the calls a container may make by default.
 *
 * The same calls as Docker's default profile allows, sorted here by what they
 * are about.  Everything that is not named gets EPERM.  Names this machine does
 * not have (32-bit variants, other architectures) are skipped when compiling.
 *
 * Arguments are 64 bits wide in a filter while most calls look at the low 32
 * only, so a comparison that must not be fooled by the upper half is masked
 * (bubblewrap's CVE-2019-10063).
 */
#include <linux/capability.h>
#include <sched.h>
#include <sys/socket.h>

#include "engine/container/seccomp_rules.h"

/* clang-format off */
static const char *const files[] = {
	"open", "openat", "openat2", "creat", "close", "close_range", "name_to_handle_at",
	"read", "readv", "pread64", "preadv", "preadv2", "readahead",
	"write", "writev", "pwrite64", "pwritev", "pwritev2",
	"lseek", "_llseek", "fcntl", "fcntl64", "flock", "dup", "dup2", "dup3", "ioctl",
	"sendfile", "sendfile64", "splice", "tee", "vmsplice", "copy_file_range",
	"stat", "stat64", "lstat", "lstat64", "fstat", "fstat64", "fstatat64", "newfstatat", "statx",
	"statfs", "statfs64", "fstatfs", "fstatfs64", "statmount", "listmount",
	"access", "faccessat", "faccessat2", "getcwd", "chdir", "fchdir", "umask",
	"getdents", "getdents64", "readlink", "readlinkat",
	"mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat",
	"unlink", "unlinkat", "rename", "renameat", "renameat2",
	"chmod", "fchmod", "fchmodat", "fchmodat2",
	"chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32",
	"utime", "utimes", "futimesat", "utimensat", "utimensat_time64",
	"truncate", "truncate64", "ftruncate", "ftruncate64", "fallocate",
	"fadvise64", "fadvise64_64", "cachestat",
	"sync", "syncfs", "fsync", "fdatasync", "sync_file_range",
	"getxattr", "lgetxattr", "fgetxattr", "getxattrat",
	"setxattr", "lsetxattr", "fsetxattr", "setxattrat",
	"listxattr", "llistxattr", "flistxattr", "listxattrat",
	"removexattr", "lremovexattr", "fremovexattr", "removexattrat",
	"inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "fanotify_mark",
	NULL,
};

static const char *const waiting[] = {
	"select", "_newselect", "pselect6", "pselect6_time64", "poll", "ppoll", "ppoll_time64",
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_wait",
	"epoll_wait_old", "epoll_pwait", "epoll_pwait2",
	"eventfd", "eventfd2", "pipe", "pipe2",
	"io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents",
	"io_pgetevents_time64",
	"futex", "futex_time64", "futex_waitv", "futex_wait", "futex_wake", "futex_requeue",
	"set_robust_list", "get_robust_list", "membarrier", "rseq",
	NULL,
};

static const char *const sockets[] = {
	"socketpair", "socketcall", "bind", "listen", "accept", "accept4", "connect", "shutdown",
	"getsockname", "getpeername", "getsockopt", "setsockopt",
	"send", "sendto", "sendmsg", "sendmmsg",
	"recv", "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64",
	NULL,
};

static const char *const memory[] = {
	"brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "msync", "mincore",
	"mlock", "mlock2", "munlock", "mlockall", "munlockall", "mseal", "map_shadow_stack",
	"remap_file_pages", "memfd_create", "memfd_secret",
	"pkey_alloc", "pkey_free", "pkey_mprotect", "process_mrelease",
	NULL,
};

static const char *const ipc[] = {
	"ipc", "msgget", "msgctl", "msgsnd", "msgrcv", "semget", "semctl", "semop", "semtimedop",
	"semtimedop_time64", "shmget", "shmctl", "shmat", "shmdt",
	"mq_open", "mq_unlink", "mq_notify", "mq_getsetattr", "mq_timedsend",
	"mq_timedsend_time64", "mq_timedreceive", "mq_timedreceive_time64",
	NULL,
};

static const char *const processes[] = {
	"fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "waitpid",
	"getpid", "getppid", "gettid", "getpgid", "setpgid", "getpgrp", "getsid", "setsid",
	"set_tid_address", "pidfd_open", "pidfd_send_signal",
	"kill", "tkill", "tgkill", "pause", "sigaltstack", "sigprocmask", "sigreturn",
	"signalfd", "signalfd4",
	"rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
	"rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
	"restart_syscall", "prctl", "get_thread_area", "set_thread_area", "uretprobe",
	"getcpu", "getrusage", "times", "sysinfo", "uname", "getrandom",
	"getrlimit", "ugetrlimit", "setrlimit", "prlimit64", "getpriority", "setpriority",
	"ioprio_get", "ioprio_set",
	"sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getattr", "sched_setattr",
	"sched_getparam", "sched_setparam", "sched_getscheduler", "sched_setscheduler",
	"sched_get_priority_max", "sched_get_priority_min",
	"sched_rr_get_interval", "sched_rr_get_interval_time64",
	NULL,
};

static const char *const identity[] = {
	"getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid", "getegid32",
	"getresuid", "getresuid32", "getresgid", "getresgid32", "getgroups", "getgroups32",
	"setuid", "setuid32", "setgid", "setgid32", "setreuid", "setreuid32",
	"setregid", "setregid32", "setresuid", "setresuid32", "setresgid", "setresgid32",
	"setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "setgroups", "setgroups32",
	"capget", "capset", "seccomp",
	"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
	NULL,
};

static const char *const timing[] = {
	"time", "gettimeofday", "nanosleep", "alarm", "getitimer", "setitimer", "adjtimex",
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64",
	"clock_nanosleep", "clock_nanosleep_time64", "clock_adjtime", "clock_adjtime64",
	"timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64",
	"timer_settime", "timer_settime64",
	"timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
	"timerfd_settime64",
	NULL,
};

/* One architecture's own. */
static const char *const machine[] = {
#if defined(__x86_64__) || defined(__i386__)
	"arch_prctl", "modify_ldt",
#elif defined(__arm__) || defined(__aarch64__)
	"arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint",
	"cacheflush", "set_tls",
#elif defined(__powerpc64__)
	"sync_file_range2", "swapcontext",
#elif defined(__s390x__)
	"s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr",
#elif defined(__riscv)
	"riscv_flush_icache", "riscv_hwprobe",
#endif
	NULL,
};

/* Docker allows these everywhere since Linux 4.8, where ptrace(2) can no longer step
 * around a filter; our oldest kernel is newer. */
static const char *const tracing[] = { "ptrace", "process_vm_readv", "process_vm_writev", NULL };

static const char *const *const always[] = {
	files, waiting, sockets, memory, ipc, processes, identity, timing, machine, tracing,
};

/* Only with a capability that would make the kernel say yes. */
static const struct {
	int cap;
	const char *const names[27];
} with_capability[] = {
	{ CAP_DAC_READ_SEARCH, { "open_by_handle_at" } },
	{ CAP_SYS_ADMIN,
	  { "mount", "umount", "umount2", "mount_setattr", "move_mount", "open_tree",
	    "fsopen", "fsconfig", "fsmount", "fspick", "quotactl", "quotactl_fd",
	    "clone", "clone3", "unshare", "setns", "sethostname", "setdomainname",
	    "bpf", "perf_event_open", "syslog", "fanotify_init", "lookup_dcookie",
	    "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules" } },
	{ CAP_SYS_BOOT, { "reboot" } },
	{ CAP_SYS_CHROOT, { "chroot" } },
	{ CAP_SYS_MODULE, { "init_module", "finit_module", "delete_module" } },
	{ CAP_SYS_PACCT, { "acct" } },
	{ CAP_SYS_PTRACE, { "kcmp", "pidfd_getfd", "process_madvise" } },
	{ CAP_SYS_RAWIO, { "iopl", "ioperm" } },
	{ CAP_SYS_TIME, { "settimeofday", "stime", "clock_settime", "clock_settime64" } },
	{ CAP_SYS_TTY_CONFIG, { "vhangup" } },
	{ CAP_SYS_NICE,
	  { "mbind", "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node" } },
	{ CAP_SYSLOG, { "syslog" } },
	{ CAP_BPF, { "bpf" } },
	{ CAP_PERFMON, { "perf_event_open" } },
};

/* Socket families as low 32 bits under a mask: all of 0 … 45 but AF_ALG (38:
 * page-cache writes, CVE-2026-31431) and AF_VSOCK (40: the hypervisor). */
static const struct {
	uint64_t mask, value;
} families[] = {
	{ 0xffffffe0, 0 },  /* 0 … 31 */
	{ 0xfffffffc, 32 }, /* 32 … 35 */
	{ 0xfffffffe, 36 }, /* 36, 37 */
	{ 0xffffffff, 39 },
	{ 0xffffffff, 41 },
	{ 0xfffffffe, 42 }, /* 42, 43 */
	{ 0xfffffffe, 44 }, /* 44, 45 */
};
/* clang-format on */

/* personality(2): Linux and its 32-bit and no-randomisation variants, and asking. */
static const uint64_t personalities[] = { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff };

static int add_names(struct seccomp_build *b, const char *const *names, struct err *e)
{
	for (; *names; names++) {
		int r = seccomp_add(b, *names, SCMP_ACT_ALLOW, NULL, 0, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_by_argument(struct seccomp_build *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++) {
		struct scmp_arg_cmp arg = { 0, SCMP_CMP_MASKED_EQ, families[i].mask,
					    families[i].value };

		r = seccomp_add(b, "socket", SCMP_ACT_ALLOW, &arg, 1, e);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(personalities); i++) {
		struct scmp_arg_cmp arg = { 0, SCMP_CMP_EQ, personalities[i], 0 };

		r = seccomp_add(b, "personality", SCMP_ACT_ALLOW, &arg, 1, e);
	}
	return r;
}

/* Threads and processes, but no namespaces; clone3(2) hides its flags behind a
 * pointer, and libraries fall back to clone(2) on ENOSYS. */
static int add_clone(struct seccomp_build *b, struct err *e)
{
	const uint64_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
				    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
#ifdef __s390x__
	struct scmp_arg_cmp flags = { 1, SCMP_CMP_MASKED_EQ, namespaces, 0 };
#else
	struct scmp_arg_cmp flags = { 0, SCMP_CMP_MASKED_EQ, namespaces, 0 };
#endif
	int r = seccomp_add(b, "clone", SCMP_ACT_ALLOW, &flags, 1, e);

	return r < 0 ? r : seccomp_add(b, "clone3", SCMP_ACT_ERRNO(ENOSYS), NULL, 0, e);
}

int seccomp_add_default(struct seccomp_build *b, uint64_t caps, struct err *e)
{
	int r = add_by_argument(b, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(always); i++)
		r = add_names(b, always[i], e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(with_capability); i++)
		if (caps >> with_capability[i].cap & 1)
			r = add_names(b, with_capability[i].names, e);
	if (r == 0 && !(caps >> CAP_SYS_ADMIN & 1))
		r = add_clone(b, e);
	return r;
}
