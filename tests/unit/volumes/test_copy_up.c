#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/path.h"
#include "volumes/copy_up.h"

struct fixture {
	char dir[40];
	int top, src, volume, data;
};

static int open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void put(int at, const char *name, const char *text, mode_t mode)
{
	assert_int_equal(file_write_atomic(at, name, text, strlen(text), mode, false, NULL), 0);
}

static int setup(void **state)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000, .tv_nsec = 5 } };
	struct fixture *f = new0(struct fixture);

	strcpy(f->dir, "/tmp/comp-test-copy-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->top = open_dir(AT_FDCWD, f->dir);
	assert_int_equal(mkdirat(f->top, "src", 0750), 0);
	assert_int_equal(mkdir_p(f->top, "volume/_data", 0755, NULL), 0);
	f->src = open_dir(f->top, "src");
	f->volume = open_dir(f->top, "volume");
	f->data = open_dir(f->top, "volume/_data");
	put(f->src, "file", "hello", 0640);
	assert_int_equal(mkdir_p(f->src, "sub/deep", 0700, NULL), 0);
	put(f->src, "sub/deep/big", "0123456789", 04711);
	assert_int_equal(linkat(f->src, "file", f->src, "sub/hard", 0), 0);
	assert_int_equal(symlinkat("/etc/shadow", f->src, "link"), 0);
	assert_int_equal(mkfifoat(f->src, "fifo", 0620), 0);
	/* Not every file system has user attributes; then there is nothing to compare. */
	(void)fsetxattr(openat(f->src, "sub", O_RDONLY | O_CLOEXEC), "user.note", "x", 1, 0);
	assert_int_equal(utimensat(f->src, "file", old, 0), 0);
	assert_int_equal(utimensat(f->src, "link", old, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(futimens(f->src, old), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->src);
	close(f->volume);
	close(f->data);
	close(f->top);
	assert_int_equal(rm_rf(AT_FDCWD, f->dir, NULL), 0);
	free(f);
	return 0;
}

static void same(struct fixture *f, const char *path)
{
	struct stat a, b;

	assert_int_equal(fstatat(f->src, path, &a, AT_SYMLINK_NOFOLLOW), 0);
	if (fstatat(f->data, path, &b, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s was not copied", path);
	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_uid, b.st_uid);
	assert_int_equal(a.st_nlink, b.st_nlink);
	assert_int_equal(a.st_size, b.st_size);
	assert_int_equal(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
	assert_int_equal(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
}

static void check_all(struct fixture *f)
{
	static const char *const paths[] = { ".",        "file", "sub", "sub/deep", "sub/deep/big",
					     "sub/hard", "link", "fifo" };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat a, c;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		same(f, paths[i]);
	assert_int_equal(file_read(f->data, "file", 100, &b, NULL), 0);
	assert_string_equal(buf_str(&b), "hello");
	assert_int_equal(fstatat(f->data, "file", &a, 0), 0);
	assert_int_equal(fstatat(f->data, "sub/hard", &c, 0), 0);
	assert_int_equal(a.st_ino, c.st_ino);
	assert_int_equal(faccessat(f->volume, ".copied", F_OK, 0), -1);
	assert_int_equal(faccessat(f->volume, ".copying", F_OK, 0), -1);
}

static void copies_everything(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct stat before, after;

	assert_int_equal(fstat(f->data, &before), 0);
	if (copy_up(f->src, f->volume, &e) != 1)
		fail_msg("%s", e.msg);
	check_all(f);
	assert_int_equal(fstatat(f->volume, "_data", &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	/* A second time there is something, so nothing is done. */
	assert_int_equal(unlinkat(f->data, "file", 0), 0);
	assert_int_equal(copy_up(f->src, f->volume, &e), 0);
	assert_int_equal(faccessat(f->data, "file", F_OK, 0), -1);
}

static void a_used_volume_is_left_alone(void **state)
{
	struct fixture *f = *state;

	put(f->data, ".hidden", "", 0600);
	assert_int_equal(copy_up(f->src, f->volume, NULL), 0);
	assert_int_equal(faccessat(f->data, "file", F_OK, 0), -1);
}

static void a_broken_off_copy_is_thrown_away(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir_p(f->volume, ".copying/half", 0700, NULL), 0);
	assert_int_equal(copy_up(f->src, f->volume, NULL), 1);
	check_all(f);
	assert_int_equal(faccessat(f->data, "half", F_OK, 0), -1);
}

static void a_broken_off_move_is_finished(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;

	/* The state of a crash after the commit, with one entry moved already. */
	assert_int_equal(mkdirat(f->volume, ".copied", 0700), 0);
	_cleanup_(fd_closep) int copied = open_dir(f->volume, ".copied");
	assert_int_equal(copy_tree(f->src, copied, &e), 0);
	assert_int_equal(renameat(copied, "fifo", f->data, "fifo"), 0);
	assert_int_equal(futimens(copied, (struct timespec[]){ { .tv_sec = 1000 },
							       { .tv_sec = 2000, .tv_nsec = 5 } }),
			 0);
	assert_int_equal(copy_up(f->src, f->volume, &e), 1);
	check_all(f);
}

static void depth_is_limited(void **state)
{
	struct fixture *f = *state;
	int at = dup(f->src);
	struct err e = ERR_INIT;

	for (int i = 0; i < 300; i++) {
		int below;

		assert_int_equal(mkdirat(at, "d", 0700), 0);
		below = open_dir(at, "d");
		assert_true(below >= 0);
		close(at);
		at = below;
	}
	close(at);
	assert_int_equal(copy_up(f->src, f->volume, &e), -ELOOP);
	assert_int_equal(faccessat(f->volume, ".copying", F_OK, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(a_used_volume_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(a_broken_off_copy_is_thrown_away, setup, teardown),
		cmocka_unit_test_setup_teardown(a_broken_off_move_is_finished, setup, teardown),
		cmocka_unit_test_setup_teardown(depth_is_limited, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
