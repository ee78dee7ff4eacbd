/* chmod expressions of COPY --chmod, and copies into a root with links in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/build/place.h"
#include "engine/build/spot.h"

static void test_symbolic(void **state)
{
	static const struct {
		const char *text;
		uint32_t from;
		bool directory;
		uint32_t to;
	} cases[] = {
		{ "u=rwX,go=rX", 0600, false, 0644 }, { "u=rwX,go=rX", 0700, false, 0755 },
		{ "u=rwX,go=rX", 0600, true, 0755 },  { "a+x", 0644, false, 0755 },
		{ "+x", 0644, false, 0755 },          { "go-rwx", 0755, false, 0700 },
		{ "u+s", 0755, false, 04755 },        { "g+s", 0755, true, 02755 },
		{ "+t", 0777, true, 01777 },          { "o=", 0757, false, 0750 },
		{ "u=rw,g=r,o=", 0777, false, 0640 }, { "a=r+w", 0, false, 0666 },
	};
	uint32_t mode;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(place_symbolic_mode(cases[i].text, cases[i].from,
						     cases[i].directory, &mode, NULL),
				 0);
		if (mode != cases[i].to)
			fail_msg("%s of %o: %o", cases[i].text, cases[i].from, mode);
	}
	assert_int_equal(place_symbolic_mode("rwx", 0644, false, &mode, NULL), -EINVAL);
	assert_int_equal(place_symbolic_mode("u=q", 0644, false, &mode, NULL), -EINVAL);
	assert_int_equal(place_symbolic_mode("", 0644, false, &mode, NULL), -EINVAL);
}

struct fixture {
	char path[32];
	int fd;
};

static int set_up(void **state)
{
	struct fixture *f = new0(struct fixture);

	strcpy(f->path, "/tmp/test-place-XXXXXX");
	if (!mkdtemp(f->path))
		return -1;
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return f->fd < 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	fd_close(f->fd);
	(void)rm_rf(AT_FDCWD, f->path, NULL);
	free(f);
	return 0;
}

static void put(struct fixture *f, const char *dest, const char *base)
{
	struct place p = { .root = f->fd, .mode = -1 };
	struct err e = ERR_INIT;

	p.owned = true;
	p.uid = getuid();
	p.gid = getgid();
	if (place_bytes(&p, dest, base, "x\n", 2, 0640, NSEC_PER_SEC, &e) < 0)
		fail_msg("%s: %s", dest, e.msg);
}

static bool is_file(struct fixture *f, const char *path)
{
	struct stat st;

	return fstatat(f->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 07777) == 0640 && st.st_mtim.tv_sec == 1;
}

static void test_destinations(void **state)
{
	struct fixture *f = *state;

	put(f, "/a", "base");
	assert_true(is_file(f, "a"));
	put(f, "/new/dir/", "base");
	assert_true(is_file(f, "new/dir/base"));
	put(f, "/new/dir", "other"); /* a directory that is there */
	assert_true(is_file(f, "new/dir/other"));
}

static void test_links_stay_inside(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(symlinkat("/in", f->fd, "abs"), 0);
	assert_int_equal(symlinkat("../../../../up", f->fd, "climb"), 0);
	assert_int_equal(symlinkat("loop", f->fd, "loop"), 0);
	put(f, "/abs/x", "b"); /* a dangling link: what it means is made, inside */
	assert_true(is_file(f, "in/x"));
	put(f, "/climb", "b");
	assert_true(is_file(f, "up"));
	struct place p = { .root = f->fd, .mode = -1 };
	assert_true(place_bytes(&p, "/loop/x", "b", "x", 1, 0644, 0, NULL) < 0);
}

static void test_kinds_do_not_mix(void **state)
{
	struct fixture *f = *state;
	struct place p = { .root = f->fd, .mode = -1 };
	struct err e = ERR_INIT;

	put(f, "/file", "b");
	assert_true(place_bytes(&p, "/file/x", "b", "x", 1, 0644, 0, &e) < 0);
	assert_int_equal(mkdirat(f->fd, "dir", 0755), 0);
	assert_int_equal(mkdirat(f->fd, "dir/b", 0755), 0);
	assert_true(place_bytes(&p, "/dir", "b", "x", 1, 0644, 0, &e) < 0);
	assert_non_null(strstr(e.msg, "cannot replace the directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbolic),
		cmocka_unit_test_setup_teardown(test_destinations, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links_stay_inside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kinds_do_not_mix, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
