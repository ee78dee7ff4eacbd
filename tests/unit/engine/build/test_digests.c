/* Remembered digests: used while nothing changed, never when something might have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/build/digests.h"

struct fixture {
	char dir[32], index[64];
	int fd;
};

static int set_up(void **state)
{
	struct fixture *f = new0(struct fixture);

	strcpy(f->dir, "/tmp/test-digests-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(f->index, sizeof(f->index), "%s/index", f->dir);
	*state = f;
	return f->fd < 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	fd_close(f->fd);
	(void)rm_rf(AT_FDCWD, f->dir, NULL);
	free(f);
	return 0;
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
	int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	fd_close(fd);
}

static void digest(struct fixture *f, struct digests *d, const char *name,
		   unsigned char out[DIGEST_BYTES])
{
	struct stat st;

	assert_int_equal(fstatat(f->fd, name, &st, 0), 0);
	assert_int_equal(digests_of_file(d, f->fd, name, &st, out, NULL), 0);
}

static off_t index_size(const struct fixture *f)
{
	struct stat st;

	return stat(f->index, &st) == 0 ? st.st_size : 0;
}

static void test_not_while_it_may_change(void **state)
{
	struct fixture *f = *state;
	_cleanup_(digests_freep) struct digests *d = NULL;
	unsigned char sum[DIGEST_BYTES];

	assert_int_equal(digests_open(f->index, &d, NULL), 0);
	write_file(f, "a", "one");
	digest(f, d, "a", sum);
	digests_save(d);
	assert_int_equal(index_size(f), 0); /* written just now */
}

static void test_remembered(void **state)
{
	const struct timespec settle = { .tv_nsec = 150000000 };
	struct fixture *f = *state;
	struct digests *d = NULL;
	unsigned char first[DIGEST_BYTES], second[DIGEST_BYTES];
	off_t size;

	assert_int_equal(digests_open(f->index, &d, NULL), 0);
	write_file(f, "a", "one");
	(void)nanosleep(&settle, NULL);
	digest(f, d, "a", first);
	digests_save(d);
	size = index_size(f);
	assert_true(size > 0);
	digests_free(d);

	assert_int_equal(digests_open(f->index, &d, NULL), 0);
	digest(f, d, "a", second);
	digests_save(d);
	assert_memory_equal(first, second, DIGEST_BYTES);
	assert_int_equal(index_size(f), size); /* not hashed again */
	write_file(f, "a", "two");             /* the same size */
	digest(f, d, "a", second);
	assert_memory_not_equal(first, second, DIGEST_BYTES);
	digests_free(d);
}

static void test_torn_end(void **state)
{
	const struct timespec settle = { .tv_nsec = 150000000 };
	struct fixture *f = *state;
	struct digests *d = NULL;
	unsigned char sum[DIGEST_BYTES];
	off_t size;

	write_file(f, "a", "one");
	write_file(f, "b", "two");
	(void)nanosleep(&settle, NULL);
	assert_int_equal(digests_open(f->index, &d, NULL), 0);
	digest(f, d, "a", sum);
	digests_save(d);
	digests_free(d);
	size = index_size(f);
	assert_int_equal(truncate(f->index, size + 5), 0);
	assert_int_equal(digests_open(f->index, &d, NULL), 0);
	digest(f, d, "b", sum);
	digests_save(d);
	assert_int_equal(index_size(f), 2 * size);
	digests_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_while_it_may_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_remembered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_torn_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
