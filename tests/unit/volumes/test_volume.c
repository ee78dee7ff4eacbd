#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "volumes/local.h"
#include "volumes/options.h"
#include "volumes/volume.h"

static int setup(void **state)
{
	char *dir = xstrdup("/tmp/comp-test-volume-XXXXXX");

	assert_non_null(mkdtemp(dir));
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(rm_rf(AT_FDCWD, *state, NULL), 0);
	free(*state);
	return 0;
}

static void life(void **state)
{
	_cleanup_(volume_freep) struct volume *want = volume_new("demo_data"), *v = NULL;
	struct volume **list;
	struct err e = ERR_INIT;
	struct stat st;
	size_t n;

	str_set(&want->project, "demo");
	strv_add(&want->labels, "a=b=c");
	assert_int_equal(volume_load(*state, "demo_data", &v, &e), -ENOENT);
	assert_int_equal(volume_ensure(*state, want, &v, &e), 1);
	assert_int_equal(stat(v->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_true(v->created > 0);
	volume_free(TAKE_PTR(v));
	str_set(&want->project, "other");
	assert_int_equal(volume_ensure(*state, want, &v, &e), 0);
	assert_string_equal(v->project, "demo"); /* what is on disk counts */
	assert_string_equal(v->labels[0], "a=b=c");
	assert_int_equal(volume_list(*state, &list, &n, &e), 0);
	assert_int_equal(n, 1);
	volume_list_free(list, n);
	assert_int_equal(volume_remove(*state, "demo_data", &e), 0);
	assert_int_equal(stat(v->path, &st), -1);
	assert_int_equal(volume_remove(*state, "demo_data", &e), -ENOENT);
	assert_int_equal(volume_list(*state, &list, &n, &e), 0);
	assert_int_equal(n, 0);
}

static void debris_is_taken_over(void **state)
{
	_cleanup_(free_p) char *path = path_join(*state, "half");
	_cleanup_(volume_freep) struct volume *want = volume_new("half");
	struct volume **list;
	size_t n;

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(volume_list(*state, &list, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(volume_ensure(*state, want, NULL, NULL), 1);
}

static void corrupt_files(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "\"x\"", "{\"version\":99}" };
	_cleanup_(volume_freep) struct volume *want = volume_new("vol");
	_cleanup_(free_p) char *file = path_join(*state, "vol/volume.json");

	assert_int_equal(volume_ensure(*state, want, NULL, NULL), 1);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct volume *v = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(file_write_atomic(AT_FDCWD, file, texts[i], strlen(texts[i]), 0600,
						   false, &e),
				 0);
		assert_true(volume_load(*state, "vol", &v, &e) < 0);
		assert_null(v);
		assert_true(skip_prefix(e.msg, "volume vol: ") != NULL);
	}
	assert_int_equal(volume_remove(*state, "vol", NULL), 0);
}

static void names(void **state)
{
	static const char *const bad[] = { "",    ".",   "..",  "a",  "../x",
					   "a/b", "-rf", "a b", "_x", "\033[1m" };
	char long_name[VOLUME_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(volume_name_check(bad[i], NULL), -EINVAL);
	memset(long_name, 'a', sizeof(long_name));
	long_name[VOLUME_NAME_MAX + 1] = '\0';
	assert_int_equal(volume_name_check(long_name, NULL), -EINVAL);
	assert_int_equal(volume_name_check("demo_db-data.1", NULL), 0);
}

static void driver_options(void **state)
{
	static const struct {
		const char *options;
		int result;
	} rows[] = {
		{ "", 0 },
		{ "type=tmpfs|device=tmpfs|o=size=10m,uid=1000", 0 },
		{ "type=none|o=bind|device=/srv", 0 },
		{ "type=tmpfs", -EINVAL },
		{ "device=/srv", -EINVAL },
		{ "o=bind", -EINVAL },
		{ "size=1", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char **options = strv_split(rows[i].options, '|', true);

		assert_int_equal(local_check_options(options, NULL), rows[i].result);
		strv_free(options);
	}
}

static void mount_words(void **state)
{
	struct mount_options o = { 0 };

	mount_options_parse(&o, "ro,nosuid,size=1m,noexec,exec,rbind,rslave,noatime,relatime,foo");
	assert_true(o.set == (1 /* RDONLY */ | 2 /* NOSUID */));
	assert_true(o.bind && o.recursive);
	assert_string_equal(o.propagation, "rslave");
	assert_int_equal(strv_len(o.data), 2);
	assert_string_equal(o.data[0], "size=1m");
	assert_string_equal(o.data[1], "foo");
	mount_options_parse(&o, "rw");
	assert_true(o.set == 2);
	mount_options_parse(&o, NULL);
	mount_options_done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(life, setup, teardown),
		cmocka_unit_test_setup_teardown(debris_is_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(corrupt_files, setup, teardown),
		cmocka_unit_test(names),
		cmocka_unit_test(driver_options),
		cmocka_unit_test(mount_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
