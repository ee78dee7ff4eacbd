/* tests/attack/atk.c: what a hostile container tries.  One static program without libraries to
 * steal, put into scratch images by tests/integration/60-sandbox.sh; each sub-command is one row
 * (or a few) of the table of known escapes and prints what it got, one line per finding.
 * "nothing" alone means that it got nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int found;

static void got(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	found++;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- rows 1 and 2: processes that enter the container ----------------------------------- */
static int each_process(void (*fn)(int proc, const char *pid, const char *arg), const char *arg)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9' && atoi(d->d_name) != getpid())
			fn(dirfd(dir), d->d_name, arg);
	if (dir)
		closedir(dir);
	return 0;
}

/* CVE-2019-5736: is the entering program's file writable through /proc/PID/exe?  @own: device and
 * inode of the programs the image itself ships would be no news, so only memfds and files on other
 * devices count. */
static void try_exe(int proc, const char *pid, const char *arg)
{
	char path[64], target[PATH_MAX];
	struct stat st, root;
	ssize_t n;
	int fd;

	(void)arg;
	snprintf(path, sizeof(path), "%s/exe", pid);
	n = readlinkat(proc, path, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = '\0';
	fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && stat("/", &root) == 0 && st.st_dev != root.st_dev &&
	    write(fd, "", 0) == 0 && pwrite(fd, "X", 1, 0) == 1)
		got("wrote to %s", target);
	close(fd);
}

/* CVE-2016-9962, CVE-2024-21626: descriptors of somebody entering that lead out. */
static void try_fds(int proc, const char *pid, const char *arg)
{
	char path[64], target[PATH_MAX];
	struct dirent *d;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && (d = readdir(dir))) {
		struct stat st;
		ssize_t n = readlinkat(fd, d->d_name, target, sizeof(target) - 1);

		if (n <= 0 || fstatat(fd, d->d_name, &st, 0) < 0)
			continue;
		target[n] = '\0';
		/* Directories, and files under the host's names for our state. */
		if (S_ISDIR(st.st_mode) && strcmp(target, "/") != 0 && strncmp(target, "/proc", 5))
			got("directory %s as %s", target, path);
		else if (arg && strstr(target, arg))
			got("file %s as %s", target, path);
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

static int poll_processes(double seconds, void (*fn)(int, const char *, const char *),
			  const char *arg)
{
	double end = now() + seconds;

	while (now() < end)
		each_process(fn, arg);
	return 0;
}

/* ---- row 3 and the gate: our own descriptors ---------------------------------------------- */
static void list_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		int fd = atoi(d->d_name);

		if (d->d_name[0] != '.' && fd > 2 && fd != dirfd(dir))
			got("descriptor %d", fd);
	}
}

/* ---- row 10: kernel helpers that run as host root ------------------------------------------- */
static void try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) > 0)
		got("wrote %s", path);
	close(fd);
}

static void helpers(void)
{
	static const char *const files[] = {
		"/proc/sys/kernel/core_pattern",
		"/proc/sys/kernel/modprobe",
		"/proc/sys/kernel/hotplug",
		"/proc/sys/kernel/poweroff_cmd",
		"/proc/sys/fs/binfmt_misc/register",
		"/proc/sys/vm/overcommit_memory",
		"/proc/sysrq-trigger",
		"/sys/kernel/uevent_helper",
		"/sys/kernel/mm/transparent_hugepage/enabled",
		"/sys/fs/cgroup/release_agent",
		"/sys/fs/cgroup/memory/release_agent",
		"/sys/fs/cgroup/memory/notify_on_release",
		"/sys/fs/cgroup/cgroup.procs",
		"/sys/fs/cgroup/devices/devices.allow",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		try_write(files[i], "|/x");
	if (unshare(CLONE_NEWUSER) == 0)
		got("unshare user");
	if (unshare(CLONE_NEWNS) == 0)
		got("unshare mnt");
	if (unshare(CLONE_NEWCGROUP) == 0)
		got("unshare cgroup");
	if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0)
		got("mount tmpfs");
	if (mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL) == 0)
		got("remount /proc/sys");
	if (umount2("/proc/sys", MNT_DETACH) == 0)
		got("umount /proc/sys");
	if (mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)) == 0 &&
	    open("/tmp/mem", O_RDONLY) >= 0)
		got("opened /dev/mem");
	if (mknod("/dev/mem", S_IFCHR | 0600, makedev(1, 1)) == 0 &&
	    open("/dev/mem", O_RDONLY) >= 0)
		got("opened /dev/mem in /dev");
}

/* ---- rows 4 and 59: masked files ------------------------------------------------------------- */
static void masked(void)
{
	static const char *const paths[] = {
		"/proc/acpi",        "/proc/asound",  "/proc/interrupts",
		"/proc/kcore",       "/proc/keys",    "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi",    "/proc/timer_list",
		"/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct stat st;
		char c;
		int fd;

		if (stat(paths[i], &st) < 0)
			continue;
		fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (S_ISDIR(st.st_mode)) {
			DIR *dir = fd < 0 ? NULL : fdopendir(fd);
			struct dirent *d;

			while (dir && (d = readdir(dir)))
				if (d->d_name[0] != '.')
					got("%s/%s", paths[i], d->d_name);
		} else if (fd >= 0 && read(fd, &c, 1) == 1) {
			got("read %s", paths[i]);
		}
		fd = open(paths[i], O_WRONLY | O_CLOEXEC);
		/* The null device takes everything and keeps nothing. */
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_rdev != makedev(1, 3))
			got("%s is writable", paths[i]);
	}
}

/* ---- row 15: open_by_handle_at --------------------------------------------------------------- */
static void shocker(void)
{
	struct {
		struct file_handle h;
		unsigned char id[8];
	} f = { { .handle_bytes = 8, .handle_type = 1 }, { 2 } }; /* inode 2: a root directory */
	int at = open("/etc/hosts", O_RDONLY); /* a bind from the host's file system */

	if (open_by_handle_at(at, &f.h, O_RDONLY) >= 0)
		got("opened a handle");
	else if (errno != EPERM)
		got("open_by_handle_at says %s", strerror(errno));
}

/* ---- row 16: terminals -------------------------------------------------------------------------
 */
static void tiocsti(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (ioctl(fd, TIOCSTI, "X") == 0)
			got("TIOCSTI on %d", fd);
		if (syscall(SYS_ioctl, fd, (unsigned long)TIOCSTI | 1UL << 32, "X") == 0)
			got("TIOCSTI with high bits on %d", fd);
	}
	if (open("/dev/tty", O_RDWR) >= 0)
		got("a controlling terminal");
}

/* ---- row 17: keys
 * --------------------------------------------------------------------------------- */
static void keys(const char *serial)
{
	char text[256];
	long id = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user",
			  "comp-canary", 0);

	if (id > 0)
		got("found key %ld", id);
	if (serial && syscall(SYS_keyctl, KEYCTL_READ, atol(serial), text, sizeof(text)) > 0)
		got("read key %s", serial);
}

/* ---- row 18: socket families, by every door
 * --------------------------------------------------------- */
#ifdef __x86_64__
static long int80(long nr, long a, long b, long c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(nr), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return r;
}
#endif

static void sockets(void)
{
	for (int family = 0; family <= 45; family++) {
		int fd = socket(family, SOCK_SEQPACKET, 0), dgram = socket(family, SOCK_DGRAM, 0);

		if ((family == 38 || family == 40) && (fd >= 0 || dgram >= 0 || errno != EPERM))
			got("family %d: %s", family,
			    fd >= 0 || dgram >= 0 ? "open" : strerror(errno));
		close(fd);
		close(dgram);
		fd = (int)syscall(SYS_socket, (long)family | 1L << 32, SOCK_DGRAM, 0);
		if (fd >= 0 && (family == 38 || family == 40))
			got("family %d with high bits", family);
		close(fd);
#ifdef __x86_64__
		if (int80(359, family, SOCK_DGRAM, 0) != -ENOSYS)
			got("int80 socket %d", family);
		if (syscall(SYS_socket | 0x40000000, family, SOCK_DGRAM, 0) != -1 ||
		    errno != ENOSYS)
			got("x32 socket %d", family);
#endif
	}
#ifdef __x86_64__
	/* socketcall(2) takes its arguments by pointer, below 4 GiB. */
	uint32_t *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	args[0] = 38;
	args[1] = SOCK_SEQPACKET;
	args[2] = 0;
	if (int80(102, 1, (long)args, 0) != -ENOSYS)
		got("int80 socketcall");
#endif
}

/* Every call with arguments that lead nowhere, in a child: which does the filter answer?  Prints
 * numbers, so that two containers can be compared. */
static void syscalls(void)
{
	static const int skip[] = { SYS_exit,  SYS_exit_group,    SYS_rt_sigreturn,
				    SYS_pause, SYS_vfork,         SYS_fork,
				    SYS_clone, SYS_rt_sigsuspend, SYS_vhangup,
				    SYS_kill,  SYS_tkill,         SYS_tgkill,
				    SYS_reboot };

	for (int nr = 0; nr <= 500; nr++) {
		bool skipped = false;
		int status;
		pid_t pid;

		for (size_t i = 0; i < sizeof(skip) / sizeof(*skip); i++)
			skipped |= skip[i] == nr;
		if (skipped || (nr > 334 && nr < 424))
			continue;
		pid = fork();
		if (pid == 0) {
			long r;

			alarm(1);
			r = syscall(nr, -1, -1, -1, -1, -1, -1);
			_exit(r == -1 && errno == EPERM ? 1 : r == -1 && errno == ENOSYS ? 2 : 0);
		}
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status))
			got("%d %s", nr, WEXITSTATUS(status) == 1 ? "EPERM" : "ENOSYS");
	}
}

/* ---- rows 7 and 8: targets swapped while somebody mounts
 * -------------------------------------------- */
/* In @dir, exchange the directory "x" and the link "evil" → @target without pause. */
static void race(const char *dir, const char *target, double seconds)
{
	double end = now() + seconds;
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	(void)!mkdirat(fd, "x", 0755);
	(void)!symlinkat(target, fd, "evil");
	while (now() < end)
		for (int i = 0; i < 1000; i++)
			(void)!renameat2(fd, "x", fd, "evil", RENAME_EXCHANGE);
}

static void status(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs", 10) ||
		    !strncmp(line, "Seccomp:", 8) || !strncmp(line, "Groups", 6) ||
		    !strncmp(line, "Uid", 3) || !strncmp(line, "Gid", 3))
			fputs(line, stdout);
	found++;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : NULL;
	double seconds = argc > 3 ? atof(argv[3]) : 5;

	if (!strcmp(what, "exe-overwrite"))
		poll_processes(arg ? atof(arg) : 5, try_exe, NULL);
	else if (!strcmp(what, "fd-sniff"))
		poll_processes(arg ? atof(arg) : 5, try_fds, argc > 3 ? argv[3] : NULL);
	else if (!strcmp(what, "fds"))
		list_fds();
	else if (!strcmp(what, "helpers"))
		helpers();
	else if (!strcmp(what, "masked"))
		masked();
	else if (!strcmp(what, "shocker"))
		shocker();
	else if (!strcmp(what, "tiocsti"))
		tiocsti();
	else if (!strcmp(what, "keys"))
		keys(arg);
	else if (!strcmp(what, "sockets"))
		sockets();
	else if (!strcmp(what, "syscalls"))
		syscalls();
	else if (!strcmp(what, "race") && argc > 3)
		race(arg, argv[3], argc > 4 ? atof(argv[4]) : seconds);
	else if (!strcmp(what, "status"))
		status();
	else
		return 2;
	if (!found)
		puts("nothing");
	return 0;
}
