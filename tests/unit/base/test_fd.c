/* Descriptors: whole reads and writes, atomic files, sealed copies, passing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/path.h"

struct place {
	char path[32];
	int fd;
};

static int setup(void **state)
{
	struct place *p = new0(struct place);

	strcpy(p->path, "/tmp/comp-test-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	assert_int_equal(rm_rf(AT_FDCWD, p->path, NULL), 0);
	fd_close(p->fd);
	free(p);
	return 0;
}

static void put(const struct place *p, const char *name, const char *text)
{
	assert_int_equal(file_write_atomic(p->fd, name, text, strlen(text), 0600, false, NULL), 0);
}

static size_t count_entries(const struct place *p)
{
	_cleanup_(dir_closep) DIR *dir = opendir(p->path);
	size_t n = 0;

	while (readdir(dir))
		n++;
	return n - 2;
}

static void test_read(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	put(p, "f", "hello");
	assert_int_equal(file_read(p->fd, "f", 5, &b, &e), 0);
	assert_int_equal(file_read(p->fd, "f", 5, &b, &e), 0); /* appended */
	assert_string_equal(buf_str(&b), "hellohello");
	assert_int_equal(file_read(p->fd, "f", 4, &b, &e), -EFBIG);
	assert_non_null(strstr(e.msg, "larger than 4 bytes"));
	assert_int_equal(file_read(p->fd, "absent", 4, &b, &e), -ENOENT);
	assert_int_equal(file_read(p->fd, ".", 4, &b, &e), -EISDIR);
}

static void test_read_planted(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	put(p, "f", "x");
	assert_int_equal(mkfifoat(p->fd, "pipe", 0600), 0);
	assert_int_equal(symlinkat("f", p->fd, "link"), 0);
	assert_int_equal(file_read(p->fd, "pipe", 9, &b, &e), -EINVAL); /* and does not hang */
	assert_int_equal(file_read_follow(p->fd, "pipe", 9, &b, &e), -EINVAL);
	assert_int_equal(file_read(p->fd, "link", 9, &b, &e), -ELOOP);
	assert_int_equal(file_read_follow(p->fd, "link", 9, &b, &e), 0);
	assert_string_equal(buf_str(&b), "x");
}

static void test_write_atomic(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat st, before;
	struct err e = ERR_INIT;
	mode_t mask = umask(0777);

	assert_int_equal(file_write_atomic(p->fd, "f", "one", 3, 0644, true, &e), 0);
	umask(mask);
	assert_int_equal(fstatat(p->fd, "f", &before, 0), 0);
	assert_int_equal(before.st_mode & 07777, 0644);
	/* A link in its place is replaced, not followed. */
	put(p, "victim", "v");
	assert_int_equal(symlinkat("victim", p->fd, "link"), 0);
	assert_int_equal(file_write_atomic(p->fd, "link", "two", 3, 0600, true, &e), 0);
	assert_int_equal(fstatat(p->fd, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(file_read(p->fd, "victim", 9, &b, &e), 0);
	assert_string_equal(buf_str(&b), "v");
	/* Readers that hold the old one keep it: a new inode. */
	assert_int_equal(file_write_atomic(p->fd, "f", "", 0, 0600, false, &e), 0);
	assert_int_equal(fstatat(p->fd, "f", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
	assert_true(st.st_ino != before.st_ino);
	assert_int_equal(count_entries(p), 3);
}

static void test_write_fails_clean(void **state)
{
	struct place *p = *state;
	struct err e = ERR_INIT;

	assert_int_equal(mkdirat(p->fd, "d", 0700), 0);
	put(p, "d/x", "");
	assert_int_equal(file_write_atomic(p->fd, "d", "x", 1, 0600, true, &e), -EISDIR);
	assert_int_equal(count_entries(p), 1); /* no temporary file stays */
	assert_int_equal(file_write_atomic(p->fd, "no/such", "x", 1, 0600, true, &e), -ENOENT);
}

static void test_in_root(void **state)
{
	struct place *p = *state;
	_cleanup_(fd_closep) int a = -EBADF, b = -EBADF;
	struct err e = ERR_INIT;
	struct stat st, inner;

	assert_int_equal(mkdirat(p->fd, "etc", 0755), 0);
	put(p, "etc/passwd", "mine");
	assert_int_equal(symlinkat("/etc/passwd", p->fd, "abs"), 0);
	assert_int_equal(symlinkat("../../../../etc/passwd", p->fd, "etc/up"), 0);
	assert_int_equal(symlinkat("/proc/self/root/etc/passwd", p->fd, "magic"), 0);
	assert_int_equal(fstatat(p->fd, "etc/passwd", &inner, 0), 0);
	a = fd_open_in_root(p->fd, "/abs", O_RDONLY, 0, &e);
	assert_true(a >= 0 && fstat(a, &st) == 0 && st.st_ino == inner.st_ino);
	b = fd_open_in_root(p->fd, "../../etc/up", O_RDONLY, 0, &e);
	assert_true(b >= 0 && fstat(b, &st) == 0 && st.st_ino == inner.st_ino);
	assert_int_equal(fd_open_in_root(p->fd, "magic", O_RDONLY, 0, &e), -ENOENT);
	assert_int_equal(fd_open_in_root(p->fd, "abs", O_RDONLY | O_NOFOLLOW, 0, &e), -ELOOP);
}

static void test_sealed(void **state)
{
	_cleanup_(fd_closep) int fd = memfd_sealed("t", "hello", 5, NULL), copy = -EBADF;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 100), -1);
	assert_true(mmap(NULL, 5, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_true(fcntl(fd, F_GET_SEALS) & F_SEAL_SEAL);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, 9, &b), 0);
	assert_string_equal(buf_str(&b), "hello");
	copy = memfd_sealed_copy("c", fd, NULL);
	assert_true(copy >= 0 && fstat(copy, &st) == 0);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_mode & 0777, 0500);
	assert_int_equal(write(copy, "x", 1), -1);
	assert_true(memfd_sealed_copy("c", -1, NULL) < 0);
}

static void test_flags(void **state)
{
	int p[2];

	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_true(fcntl(p[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_set_cloexec(p[0], false), 0);
	assert_false(fcntl(p[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fd_set_nonblock(p[0], true), 0);
	assert_true(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(p[0], false), 0);
	assert_false(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	fd_close(p[0]);
	fd_close(p[1]);
	assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
	assert_int_equal(fd_close(-1), -EBADF);
}

/* ---- passing -------------------------------------------------------------- */
static bool is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static void test_pass(void **state)
{
	struct place *p = *state;
	int pair[2], fds[FD_PASS_MAX], got[FD_PASS_MAX];
	size_t n = FD_PASS_MAX;
	char text[16];

	put(p, "f", "x");
	assert_int_equal(fd_socketpair(SOCK_STREAM, pair, NULL), 0);
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fds[i] = openat(p->fd, i % 2 ? "f" : ".", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_send(pair[0], "hi", 2, fds, FD_PASS_MAX), 0);
	assert_int_equal(fd_recv(pair[1], text, sizeof(text), got, &n), 2);
	assert_int_equal(n, FD_PASS_MAX);
	for (size_t i = 0; i < n; i++) {
		assert_true(is_same(got[i], fds[i]));
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		fd_close(got[i]);
	}
	assert_int_equal(fd_send(pair[0], "hi", 2, fds, FD_PASS_MAX + 1), -EINVAL);

	/* More than there is room for: closed, not leaked. */
	int before = dup(0), after;

	fd_close(before);
	assert_int_equal(fd_send(pair[0], "hi", 2, fds, 5), 0);
	n = 2;
	assert_int_equal(fd_recv(pair[1], text, sizeof(text), got, &n), 2);
	assert_int_equal(n, 2);
	fd_close(got[0]);
	fd_close(got[1]);
	assert_int_equal(fd_send(pair[0], "hi", 2, fds, 5), 0);
	assert_int_equal(fd_recv(pair[1], text, sizeof(text), NULL, NULL), 2);
	after = dup(0);
	fd_close(after);
	assert_int_equal(before, after);
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fd_close(fds[i]);

	n = 4;
	fd_close(pair[0]);
	assert_int_equal(fd_recv(pair[1], text, sizeof(text), got, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(fd_send(pair[1], "x", 1, NULL, 0), -EPIPE); /* and no SIGPIPE */
	fd_close(pair[1]);
}

static void test_full_socket(void **state)
{
	static char block[65536];
	int pair[2], r, rounds = 0;

	assert_int_equal(fd_socketpair(SOCK_SEQPACKET, pair, NULL), 0);
	assert_int_equal(fd_set_nonblock(pair[0], true), 0);
	while ((r = fd_send(pair[0], block, sizeof(block), NULL, 0)) == 0 && rounds < 1000)
		rounds++;
	assert_int_equal(r, -EAGAIN);
	fd_close(pair[0]);
	fd_close(pair[1]);
}

static void test_read_all_limit(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int p[2];

	assert_int_equal(fd_pipe(p, NULL), 0);
	assert_int_equal(fd_write_all(p[1], "abcdef", 6), 0);
	fd_close(p[1]);
	buf_adds(&b, "long text that was there before");
	assert_int_equal(fd_read_all(p[0], 6, &b), 0); /* counts only what it adds */
	fd_close(p[0]);
	assert_int_equal(fd_read_all(-1, 6, &b), -EBADF);
	assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
	assert_int_equal(fd_write_all(-1, "", 0), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_read),         T(test_read_planted),
		T(test_write_atomic), T(test_write_fails_clean),
		T(test_in_root),      T(test_sealed),
		T(test_flags),        T(test_pass),
		T(test_full_socket),  T(test_read_all_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
