/* engine/image/extract_main.c: comp-extract: the program that looks inside
 * archives, and makes them, in a box of its own.
 *
 * It is started as root, with nothing but the archive, an empty directory and a
 * socket.  Before it looks at the first byte it moves into new mount, pid,
 * network, ipc and uts namespaces, makes the directory its root, keeps the six
 * capabilities that writing a root file system takes (two for reading one, none for
 * the lists),
 * and installs a seccomp filter that knows only the calls it needs.  So code
 * that got in through a decompressor can ruin the layer at hand, which its
 * author could have written so in the first place, and reach nothing else.
 *
 * The root is mounted noexec: libc loads modules by name (gconv, nss), and the
 * names now mean files of the image (CVE-2019-14271).
 */
#include <fcntl.h>
#include <linux/mount.h>
#include <locale.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/spawn.h"
#include "base/syscall_filter.h"
#include "engine/image/extract.h"
#include "engine/image/pack_walk.h"
#include "engine/image/tar_stream.h"
#include "engine/image/tree.h"
#include "engine/image/unpack.h"

#ifdef __SANITIZE_ADDRESS__
#	define SANITIZED 1
/* The leak check traces this process through /proc, which the box does not have. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#else
#	define SANITIZED 0
#endif

#define MEMORY_MAX (UINT64_C(384) << 20) /* a zstd window of 128 MiB and room around it */

struct job {
	enum { LAYER, INDEX, SPOOL, PACK_LAYER, PACK_TREE } mode;
	uint64_t max_bytes, max_files;
	enum compression format;
	bool output; /* there is a descriptor to write to */
};

static bool is_pack(const struct job *job)
{
	return job->mode == PACK_LAYER || job->mode == PACK_TREE;
}

static int send_message(const struct extract_message *m, size_t n, const int *fd)
{
	return fd_send(EXTRACT_SOCKET_FD, m, n, fd, fd ? 1 : 0);
}

/* ---- the box ----------------------------------------------------------------- */

/* A detached mount of the directory.  Made before the new mount namespace: a
 * descriptor from outside cannot be mounted from inside one, a detached tree can
 * be attached anywhere.  Private, since where "/" is shared (systemd does that) so
 * is its clone, and pivot_root(2) takes no shared mount. */
static int clone_tree(const struct job *job, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       MOUNT_ATTR_NOEXEC,
				   .propagation = MS_PRIVATE };
	_cleanup_(fd_closep) int tree = -EBADF;

	if (is_pack(job)) {
		attr.attr_set |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME;
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	}
	tree = (int)syscall(SYS_open_tree, EXTRACT_DIR_FD, "",
			    AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	/* It is detached already (a container's root, mounted to be exported), and
	 * before Linux 6.15 those cannot be copied, but used as they are. */
	if (tree < 0 && errno == EINVAL && is_pack(job))
		tree = fcntl(EXTRACT_DIR_FD, F_DUPFD_CLOEXEC, 3);
	if (tree < 0)
		return err_errno(e, errno, "open_tree");
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_errno(e, errno, "mount_setattr");
	return TAKE_FD(tree);
}

static int enter_root(int tree, struct err *e)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, errno, "make mounts private");
	/* Onto "/", the one directory that is everywhere; pivot_root then lifts
	 * it off again. */
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(e, errno, "move_mount");
	if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_errno(e, errno, "pivot_root");
	/* Both are stacked at "/" now; the upper one is the old root: pivot_root(2). */
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_errno(e, errno, "leave the old root");
	/* The descriptor we were given still leads to the mount outside. */
	if (dup3(tree, EXTRACT_DIR_FD, O_CLOEXEC) < 0)
		return err_errno(e, errno, "dup");
	fd_close(tree);
	return 0;
}

static int drop_capabilities(const struct job *job, struct err *e)
{
	static const cap_value_t unpack[] = { CAP_CHOWN,  CAP_FOWNER,  CAP_DAC_OVERRIDE,
					      CAP_FSETID, CAP_SETFCAP, CAP_MKNOD };
	/* Without CAP_SYS_ADMIN trusted.* cannot be seen, xattr(7); it could do
	 * much else, but not with the calls that the filter leaves. */
	static const cap_value_t pack[] = { CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN };
	const cap_value_t *keep = is_pack(job) ? pack : unpack;
	int n = is_pack(job) ? (job->mode == PACK_LAYER ? 2 : 1) : (int)ARRAY_SIZE(unpack);
	bool keep_some = is_pack(job) || job->mode == LAYER;
	cap_t caps = cap_init();
	int r = 0;

	for (int c = 0; c <= CAP_LAST_CAP; c++)
		(void)prctl(PR_CAPBSET_DROP, c); /* EINVAL: this kernel has no such capability */
	if (!caps ||
	    (keep_some &&
	     (cap_set_flag(caps, CAP_PERMITTED, n, keep, CAP_SET) < 0 ||
	      cap_set_flag(caps, CAP_EFFECTIVE, n, keep, CAP_SET) < 0)) ||
	    cap_set_proc(caps) < 0)
		r = err_errno(e, errno, "drop capabilities");
	cap_free(caps);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_errno(e, errno, "no_new_privs");
	return r;
}

static int allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

static int filter_syscalls(const struct job *job, struct err *e)
{
	static const int pack[] = {
		SCMP_SYS(read),          SCMP_SYS(pread64),
		SCMP_SYS(write),         SCMP_SYS(close),
		SCMP_SYS(fstat),         SCMP_SYS(newfstatat),
		SCMP_SYS(lseek),         SCMP_SYS(mmap),
		SCMP_SYS(munmap),        SCMP_SYS(mremap),
		SCMP_SYS(mprotect),      SCMP_SYS(madvise),
		SCMP_SYS(brk),           SCMP_SYS(openat),
		SCMP_SYS(readlinkat),    SCMP_SYS(flistxattr),
		SCMP_SYS(fgetxattr),     SCMP_SYS(getdents64),
		SCMP_SYS(fcntl),         SCMP_SYS(sendmsg),
		SCMP_SYS(futex),         SCMP_SYS(getrandom),
		SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
		SCMP_SYS(rt_sigreturn),  SCMP_SYS(restart_syscall),
		SCMP_SYS(exit),          SCMP_SYS(exit_group),
		SCMP_SYS(sysinfo), /* asked by glibc's qsort(3) */
	};
	static const int unpack[] = {
		SCMP_SYS(read),          SCMP_SYS(pread64),         SCMP_SYS(write),
		SCMP_SYS(pwrite64),      SCMP_SYS(writev),          SCMP_SYS(close),
		SCMP_SYS(fstat),         SCMP_SYS(newfstatat),      SCMP_SYS(lseek),
		SCMP_SYS(mmap),          SCMP_SYS(munmap),          SCMP_SYS(mremap),
		SCMP_SYS(mprotect),      SCMP_SYS(madvise),         SCMP_SYS(brk),
		SCMP_SYS(openat),        SCMP_SYS(openat2),         SCMP_SYS(mkdirat),
		SCMP_SYS(mknodat),       SCMP_SYS(symlinkat),       SCMP_SYS(linkat),
		SCMP_SYS(unlinkat),      SCMP_SYS(renameat),        SCMP_SYS(renameat2),
		SCMP_SYS(statx),         SCMP_SYS(fchmod),          SCMP_SYS(fchown),
		SCMP_SYS(fchownat),      SCMP_SYS(utimensat),       SCMP_SYS(fsetxattr),
		SCMP_SYS(ftruncate),     SCMP_SYS(getdents64),      SCMP_SYS(fcntl),
		SCMP_SYS(sendmsg),       SCMP_SYS(futex),           SCMP_SYS(getrandom),
		SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),    SCMP_SYS(sync_file_range),
		SCMP_SYS(rt_sigreturn),  SCMP_SYS(restart_syscall), SCMP_SYS(exit),
		SCMP_SYS(exit_group),
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	if (r == 0)
		r = is_pack(job) ? allow(ctx, pack, ARRAY_SIZE(pack))
				 : allow(ctx, unpack, ARRAY_SIZE(unpack));
	/* libc and libarchive ask and can live with a no. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(ioctl), 0);
	r = r < 0 ? err_errno(e, -r, "seccomp") : syscall_filter_load(ctx, 0, e);
	seccomp_release(ctx);
	return r;
}

static void limit(int what, uint64_t n)
{
	const struct rlimit l = { .rlim_cur = n, .rlim_max = n };

	(void)setrlimit(what, &l); /* lowering a limit cannot fail */
}

static int enter_box(const struct job *job, int tree, struct err *e)
{
	int r;

	/* Names are bytes; with "C" libarchive would complain about each that is
	 * not ASCII.  Before the root changes: it reads files. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	umask(0);
	(void)prctl(PR_SET_DUMPABLE, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, is_pack(job) ? 2 * TREE_MAX_DEPTH : 256);
	if (!SANITIZED)
		limit(RLIMIT_DATA, MEMORY_MAX);
	r = enter_root(tree, e);
	if (r == 0)
		r = drop_capabilities(job, e);
	if (r == 0 && !SANITIZED)
		r = filter_syscalls(job, e);
	return r;
}

/* ---- layer -------------------------------------------------------------------- */

static int send_opaque(void *data, int dirfd, struct err *e)
{
	struct extract_message m = { .type = EXTRACT_OPAQUE };
	int r = send_message(&m, sizeof(m.type), &dirfd);

	return r < 0 ? err_errno(e, -r, "report an opaque directory") : 0;
}

static int send_implied(void *data, const char *path, struct err *e)
{
	struct extract_message m = { .type = EXTRACT_IMPLIED };
	size_t n = strlen(path);
	int r;

	if (n >= EXTRACT_MAX_NAME)
		return 0; /* it stays as it was made */
	memcpy(m.text, path, n);
	r = send_message(&m, offsetof(struct extract_message, text) + n, NULL);
	return r < 0 ? err_errno(e, -r, "report a directory") : 0;
}

static int run_layer(const struct job *job, struct extract_done *done, struct err *e)
{
	struct unpack u = { .root = EXTRACT_DIR_FD,
			    .max_bytes = job->max_bytes,
			    .max_files = job->max_files,
			    .opaque = send_opaque,
			    .implied = send_implied };
	_cleanup_(tar_stream_freep) struct tar_stream *t = NULL;
	int r = tar_stream_open(STDIN_FILENO, false, true, &t, e);

	if (r == 0)
		r = unpack_layer(&u, t, e);
	if (r == 0)
		r = tar_stream_finish(t, done->diff_id, e);
	if (r < 0)
		return r;
	done->compressed = tar_stream_compressed(t);
	done->bytes = u.bytes;
	done->files = u.files;
	return 0;
}

/* ---- index and spool ------------------------------------------------------------ */

static int spool_file(struct tar_stream *t, uint32_t number, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	uint64_t offset;
	const void *p;
	char name[16];
	size_t n;
	int r;

	snprintf(name, sizeof(name), "%u", number);
	fd = retry_eintr(openat(EXTRACT_DIR_FD, name,
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (fd < 0)
		return err_errno(e, errno, "make a temporary file");
	while ((r = tar_stream_data(t, &p, &n, &offset, e)) > 0) {
		if (n == 0)
			continue;
		if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
			return err_errno(e, errno, "seek");
		r = fd_write_all(fd, p, n);
		if (r < 0)
			return err_errno(e, -r, "write a temporary file");
	}
	return r;
}

static int report_entry(const struct tar_entry *t, uint32_t number, struct err *e)
{
	struct extract_message m = { .type = EXTRACT_ENTRY };
	bool link = t->hardlink || S_ISLNK(t->mode);
	size_t n_name = strlen(t->path), n_link = link ? strlen(t->link) : 0;
	int r;

	if (n_name >= EXTRACT_MAX_NAME || n_link >= EXTRACT_MAX_NAME)
		return err_set(e, EBADMSG, "an entry's name is too long");
	m.entry = (struct extract_entry){ .is_link = link ? 1 + t->hardlink : 0,
					  .n_name = (uint32_t)n_name,
					  .n_link = (uint32_t)n_link,
					  .number = number, /* 0: not spooled */
					  .offset = t->offset,
					  .size = t->size };
	memcpy(m.text, t->path, n_name);
	if (link)
		memcpy(m.text + n_name, t->link, n_link);
	r = send_message(&m, offsetof(struct extract_message, text) + n_name + n_link, NULL);
	return r < 0 ? err_errno(e, -r, "report an entry") : 0;
}

static int list_entry(const struct job *job, struct tar_stream *t, const struct tar_entry *entry,
		      struct extract_done *done, struct err *e)
{
	bool file = S_ISREG(entry->mode), link = entry->hardlink || S_ISLNK(entry->mode);
	int r = 0;

	if (!file && !link)
		return 0;
	if (++done->files > EXTRACT_MAX_INDEX)
		return err_set(e, EBADMSG, "more than %d entries", EXTRACT_MAX_INDEX);
	if (job->mode == SPOOL && file) {
		if (entry->size > job->max_bytes - done->bytes)
			return err_set(e, ENOSPC, "no space left on device for temporary files");
		done->bytes += entry->size;
		r = spool_file(t, (uint32_t)done->files, e);
	}
	return r < 0 ? r
		     : report_entry(entry, job->mode == SPOOL && file ? (uint32_t)done->files : 0,
				    e);
}

static int run_list(const struct job *job, struct extract_done *done, struct err *e)
{
	_cleanup_(tar_stream_freep) struct tar_stream *t = NULL;
	struct tar_entry entry;
	int r = tar_stream_open(STDIN_FILENO, job->mode == INDEX, false, &t, e);

	if (r < 0)
		return r;
	while ((r = tar_stream_next(t, &entry, e)) > 0) {
		r = list_entry(job, t, &entry, done, e);
		if (r < 0)
			return r;
	}
	done->compressed = tar_stream_compressed(t);
	return r == 0 && job->mode == SPOOL ? tar_stream_finish(t, done->diff_id, e) : r;
}

/* ---- pack ---------------------------------------------------------------------- */

static int run_pack(const struct job *job, struct pack_result *out, struct err *e)
{
	_cleanup_(fd_closep) int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct pack_job pack = { .root = root,
				       .out = job->output ? EXTRACT_OUT_FD : -EBADF,
				       .format = job->format,
				       .layer = job->mode == PACK_LAYER };

	return root < 0 ? err_errno(e, errno, "open the directory") : pack_walk(&pack, out, e);
}

/* ---- main ---------------------------------------------------------------------- */

static int run(const struct job *job, int tree)
{
	struct extract_message m = { .type = EXTRACT_DONE };
	struct err e = ERR_INIT;
	int r = enter_box(job, tree, &e);

	if (r == 0 && is_pack(job)) {
		m.type = EXTRACT_PACKED;
		r = run_pack(job, &m.packed, &e);
	} else if (r == 0) {
		r = job->mode == LAYER ? run_layer(job, &m.done, &e) : run_list(job, &m.done, &e);
	}
	if (r < 0) {
		m.type = EXTRACT_ERROR;
		m.err = e;
	}
	r = send_message(&m, offsetof(struct extract_message, text), NULL);
	return r < 0 || m.type == EXTRACT_ERROR;
}

static bool parse_job(int argc, char **argv, struct job *job)
{
	*job = (struct job){ .max_bytes = UINT64_MAX, .max_files = UINT64_MAX };
	if (argc == 2 && streq(argv[1], "index")) {
		job->mode = INDEX;
		return true;
	}
	if (argc == 3 && skip_prefix(argv[1], "pack-")) {
		job->mode = streq(argv[1], "pack-layer") ? PACK_LAYER : PACK_TREE;
		job->format = (enum compression)(argv[2][0] - '0');
		job->output = fcntl(EXTRACT_OUT_FD, F_GETFD) >= 0;
		return job->format <= COMPRESSION_ZSTD;
	}
	if (argc != 4 || !parse_u64(argv[2], &job->max_bytes) ||
	    !parse_u64(argv[3], &job->max_files))
		return false;
	job->mode = streq(argv[1], "layer") ? LAYER : SPOOL;
	return job->mode == LAYER || streq(argv[1], "spool");
}

/* A pid namespace holds children, not its maker: so one of us waits outside. */
int main(int argc, char **argv)
{
	const int spaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	struct extract_message m = { .type = EXTRACT_ERROR };
	struct job job;
	pid_t pid;
	int tree;

	if (!parse_job(argc, argv, &job)) {
		fprintf(stderr, "comp-extract is a helper of comp\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	tree = clone_tree(&job, &m.err);
	if (tree < 0 || unshare(spaces) < 0) {
		if (tree >= 0)
			err_errno(&m.err, errno, "unshare");
		(void)send_message(&m, offsetof(struct extract_message, text), NULL);
		return 1;
	}
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid == 0) {
		/* Its parent died before this line: getppid() would be 0 either way
		 * in a new pid namespace, but then the socket is closed too. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(&job, tree));
	}
	return spawn_wait(pid);
}
