/* From bytes of a tar to a directory: the entries that need no privilege, and the
 * attacks of the table in the security notes that end in a refusal.  What needs
 * root (owners, devices, marks) is in tests/integration/20-image.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "engine/image/tar_stream.h"
#include "engine/image/tree.h"
#include "engine/image/unpack.h"

struct entry {
	char type;               /* '0' file, '1' hard link, '2' symlink, '5' directory, '6' FIFO */
	const char *name, *text; /* content or target */
	int mode;
};

static void put_octal(char *at, size_t width, uint64_t v)
{
	for (size_t i = width - 1; i-- > 0; v >>= 3)
		at[i] = (char)('0' + (v & 7));
}

static void put_entry(struct buf *tar, const struct entry *x)
{
	size_t n = x->type == '0' && x->text ? strlen(x->text) : 0;
	char h[512] = { 0 }, zero[512] = { 0 };
	unsigned int sum = 0;

	snprintf(h, 100, "%s", x->name);
	put_octal(h + 100, 8, (uint64_t)(x->mode ? x->mode : 0644));
	put_octal(h + 108, 8, geteuid());
	put_octal(h + 116, 8, getegid());
	put_octal(h + 124, 12, n);
	put_octal(h + 136, 12, 1000000000);
	memset(h + 148, ' ', 8);
	h[156] = x->type;
	if (x->type == '1' || x->type == '2')
		snprintf(h + 157, 100, "%s", x->text);
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	put_octal(h + 148, 7, sum);
	buf_add(tar, h, sizeof(h));
	buf_add(tar, x->text, n);
	buf_add(tar, zero, (512 - n % 512) % 512);
}

struct fixture {
	char dir[64];
	int root, n_opaque;
};

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);

	strcpy(f->dir, "/tmp/test_unpack.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->root = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fd_close(f->root);
	(void)rm_rf(AT_FDCWD, f->dir, NULL);
	free(f);
	return 0;
}

static int on_opaque(void *data, int dirfd, struct err *e)
{
	((struct fixture *)data)->n_opaque++;
	return 0;
}

static int unpack_bytes(struct fixture *f, const struct buf *tar, struct unpack *u, struct err *e)
{
	_cleanup_(tar_stream_freep) struct tar_stream *t = NULL;
	_cleanup_(fd_closep) int fd = memfd_sealed("tar", tar->data, tar->len, e);
	char diff_id[DIGEST_MAX];
	mode_t mask = umask(0);
	int r;

	assert_true(fd >= 0);
	(void)lseek(fd, 0, SEEK_SET);
	u->root = f->root;
	u->max_bytes = u->max_bytes ? u->max_bytes : 1 << 20;
	u->max_files = u->max_files ? u->max_files : 1000;
	u->opaque = on_opaque;
	u->data = f;
	r = tar_stream_open(fd, false, true, &t, e);
	if (r == 0)
		r = unpack_layer(u, t, e);
	if (r == 0)
		r = tar_stream_finish(t, diff_id, e);
	umask(mask);
	return r;
}

static int unpack_entries(struct fixture *f, const struct entry *entries, size_t n, struct err *e)
{
	_cleanup_(buf_done) struct buf tar = BUF_INIT;
	struct unpack u = { 0 };
	char end[1024] = { 0 };

	for (size_t i = 0; i < n; i++)
		put_entry(&tar, &entries[i]);
	buf_add(&tar, end, sizeof(end));
	return unpack_bytes(f, &tar, &u, e);
}

#define UNPACK(f, e, ...)                                                                          \
	unpack_entries(f, (const struct entry[]){ __VA_ARGS__ },                                   \
		       sizeof((const struct entry[]){ __VA_ARGS__ }) / sizeof(struct entry), e)

static void assert_file(struct fixture *f, const char *path, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;

	if (file_read(f->root, path, 1000, &b, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(buf_str(&b), text);
}

static mode_t mode_of(struct fixture *f, const char *path)
{
	struct stat st;

	return fstatat(f->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static void test_plain(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct stat st, st2;
	int r = UNPACK(f, &e, { '5', "./", NULL, 0711 }, { '5', "./d/", NULL, 01777 },
		       { '0', "./d/f", "text", 04751 }, { '1', "h", "./d/f", 0 },
		       { '2', "s", "/d/f", 0777 }, { '6', "p", NULL, 0600 },
		       { '0', "new/dir/f", "x", 0 }, { '0', "empty", NULL, 0 });

	if (r < 0)
		fail_msg("%s", e.msg);
	assert_file(f, "d/f", "text");
	assert_int_equal(mode_of(f, "d/f"), S_IFREG | 04751);
	assert_int_equal(mode_of(f, "d"), S_IFDIR | 01777);
	assert_int_equal(mode_of(f, "p"), S_IFIFO | 0600);
	assert_int_equal(mode_of(f, "new/dir"), S_IFDIR | 0755);
	assert_int_equal(mode_of(f, ".") & 07777, 0711);
	assert_int_equal(fstatat(f->root, "d/f", &st, 0), 0);
	assert_int_equal(fstatat(f->root, "h", &st2, 0), 0);
	assert_int_equal(st.st_ino, st2.st_ino);
	assert_int_equal(st.st_mtime, 1000000000);
	assert_int_equal(fstatat(f->root, "d", &st, 0), 0);
	assert_int_equal(st.st_mtime, 1000000000);
}

static void test_links_stay_inside(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	int r = UNPACK(f, &e, { '2', "up", "../../../..", 0 }, { '0', "up/a", "1", 0 },
		       { '2', "root", "/", 0 }, { '0', "root/b", "2", 0 },
		       { '2', "c", "/etc/passwd", 0 }, { '0', "c", "3", 0 },
		       { '2', "d", "/tmp", 0 }, { '5', "d", NULL, 0755 }, { '0', "d/x", "4", 0 },
		       { '0', "/abs", "5", 0 });

	if (r < 0)
		fail_msg("%s", e.msg);
	assert_file(f, "a", "1");
	assert_file(f, "b", "2");
	assert_file(f, "c", "3");
	assert_file(f, "d/x", "4");
	assert_file(f, "abs", "5");
}

/* What a name resolves to changes when a link on the way is replaced. */
static void test_replaced_directory(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	int r = UNPACK(f, &e, { '0', "a/1", "old", 0 }, { '2', "a", "b", 0 },
		       { '5', "b", NULL, 0755 }, { '0', "a/2", "new", 0 }, { '0', "x/y", "1", 0 },
		       { '0', "x", "file", 0 });

	if (r < 0)
		fail_msg("%s", e.msg);
	assert_file(f, "b/2", "new");
	assert_int_equal(mode_of(f, "b/1"), 0);
	assert_file(f, "x", "file");
}

static void test_refused(void **state)
{
	static const struct {
		struct entry entries[3];
		const char *message;
	} bad[] = {
		{ { { '0', "../x", "1", 0 } }, "leads out" },
		{ { { '0', "a/../../x", "1", 0 } }, "leads out" },
		{ { { '1', "h", "../x", 0 } }, "leads out" },
		{ { { '1', "h", "/etc/passwd", 0 } }, "does not have" },
		{ { { '5', "d", NULL, 0755 }, { '1', "h", "d", 0 } }, "a directory" },
		{ { { '2', ".", "/etc", 0 } }, "must be a directory" },
		{ { { '0', "./", "x", 0 } }, "" },
		{ { { '2', "l", "nowhere", 0 }, { '0', "l/x", "1", 0 } }, "is not a directory" },
		{ { { '0', "f", "1", 0 }, { '0', "f/x", "1", 0 } }, "is not a directory" },
		{ { { '2', "l", "l", 0 }, { '0', "l/x", "1", 0 } }, "symbolic links" },
		{ { { '0', ".wh...", NULL, 0 } }, "whiteout of nothing" },
		{ { { '0', ".wh..", NULL, 0 } }, "whiteout of nothing" },
		{ { { '0', ".wh.", NULL, 0 } }, "whiteout of nothing" },
		{ { { '0', ".wh..wh.plnk", NULL, 0 } }, "AUFS" },
		{ { { '0', ".wh.a/b", "1", 0 } }, "not a directory" },
		{ { { '0', "../\033[31m", "1", 0 } }, "../?[31m" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;
		size_t n = 0;
		int r;

		while (n < 3 && bad[i].entries[n].name)
			n++;
		setup(state);
		r = unpack_entries(*state, bad[i].entries, n, &e);
		teardown(state);
		if (r >= 0 || !strstr(e.msg, bad[i].message))
			fail_msg("case %zu: %d %s", i, r, e.msg);
	}
}

static void test_whiteouts(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	struct stat st;
	int r = UNPACK(f, &e, { '0', ".wh.gone", NULL, 0 }, { '0', "d/.wh..wh..opq", NULL, 0 },
		       { '0', ".wh.again", NULL, 0 }, { '5', "again", NULL, 0755 },
		       { '0', ".wh.child", NULL, 0 }, { '0', "child/f", "x", 0 },
		       { '5', "late", NULL, 0755 }, { '0', ".wh.late", NULL, 0 },
		       { '0', "file", "x", 0 }, { '0', ".wh.file", NULL, 0 });

	if (r == -EPERM)
		skip(); /* character devices 0:0 take no privilege since Linux 5.8, but some boxes
			 */
	if (r < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(fstatat(f->root, "gone", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(tree_is_whiteout(&st));
	assert_true(S_ISDIR(mode_of(f, "again")) && S_ISDIR(mode_of(f, "late")));
	assert_file(f, "child/f", "x");
	assert_file(f, "file", "x");
	assert_int_equal(f->n_opaque, 4);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	_cleanup_(buf_done) struct buf tar = BUF_INIT;
	struct unpack few = { .max_files = 2 }, small = { .max_bytes = 5 };
	struct err e = ERR_INIT;

	put_entry(&tar, &(struct entry){ '0', "a", "123", 0 });
	put_entry(&tar, &(struct entry){ '0', "b", "123", 0 });
	put_entry(&tar, &(struct entry){ '0', "c", "", 0 });
	assert_int_equal(unpack_bytes(f, &tar, &few, &e), -ENOSPC);
	assert_int_equal(unpack_bytes(f, &tar, &small, &e), -ENOSPC);
}

static void test_truncated(void **state)
{
	struct fixture *f = *state;
	_cleanup_(buf_done) struct buf tar = BUF_INIT;
	struct unpack u = { 0 };
	struct err e = ERR_INIT;

	put_entry(&tar, &(struct entry){ '0', "a", "some text that is cut off", 0 });
	buf_truncate(&tar, 512 + 10);
	assert_int_equal(unpack_bytes(f, &tar, &u, &e), -EBADMSG);
	buf_truncate(&tar, 300);
	assert_int_equal(unpack_bytes(f, &tar, &u, &e), -EBADMSG);
}

static void test_clean(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },          { ".", "" },
		{ "/", "" },         { "./a", "a" },
		{ "/a//b/", "a/b" }, { "a/./b/../c", "a/c" },
		{ "a/..", "" },      { "..a/b..", "..a/b.." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(free_p) char *got = tree_clean(rows[i][0], NULL);

		assert_string_equal(got, rows[i][1]);
	}
	assert_null(tree_clean("..", NULL));
	assert_null(tree_clean("a/../..", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_plain),
		T(test_links_stay_inside),
		T(test_replaced_directory),
		cmocka_unit_test(test_refused), /* a fixture for each row */
		T(test_whiteouts),
		T(test_limits),
		T(test_truncated),
		cmocka_unit_test(test_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
