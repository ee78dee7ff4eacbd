#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/container/user.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# comment\n"
			     "broken\n"
			     "wrap:x:4294967296:0::/:/bin/sh\n"
			     "4294967296:x:0:0::/evil:/bin/sh\n"
			     "1234:x:0:0::/evil:/bin/sh\n"
			     "www:x:33:33::/var/www:/bin/sh\n"
			     "nohome:x:50:51:::\n"
			     "last:x:60:61::/last:"; /* no newline at the end */
static const char group[] = "root:x:0:\nadm:x:4:root,www\nwww:x:33:\nssl:x:100:www\n"
			    "77:x:0:www\nbig:x:2147483648:www\n";

#define GONE (-ENOENT)
#define OUT  (-ERANGE)

static void table(void **state)
{
	static const struct {
		const char *text;
		int result;
		uid_t uid;
		gid_t gid;
		const char *groups, *home;
	} rows[] = {
		{ "", 0, 0, 0, "0 4", "/root" },
		{ "root", 0, 0, 0, "0 4", "/root" },
		{ "0", 0, 0, 0, "0 4", "/root" },
		{ "00", 0, 0, 0, "0 4", "/root" },
		{ "www", 0, 33, 33, "33 4 100 0", "/var/www" },
		{ "33", 0, 33, 33, "33 4 100 0", "/var/www" },
		{ "www:", 0, 33, 33, "33 4 100 0", "/var/www" },
		{ "www:adm", 0, 33, 4, "4", "/var/www" },
		{ "www:100", 0, 33, 100, "100", "/var/www" },
		{ "www:77", 0, 33, 77, "77", "/var/www" },
		{ ":1", 0, 0, 1, "1", "/root" },
		{ "1", 0, 1, 0, "0", "/" },
		{ "1:", 0, 1, 0, "0", "/" },
		{ "1:1", 0, 1, 1, "1", "/" },
		{ "1234", 0, 1234, 0, "0", "/" },
		{ "nohome", 0, 50, 51, "51", "/" },
		{ "last", 0, 60, 61, "61", "/last" },
		{ "2147483647", 0, 2147483647, 0, "0", "/" },
		{ "2147483648", OUT, 0, 0, NULL, NULL },
		{ "4294967295", OUT, 0, 0, NULL, NULL },
		{ "4294967296", OUT, 0, 0, NULL, NULL },
		{ "18446744073709551616", OUT, 0, 0, NULL, NULL },
		{ "-1", OUT, 0, 0, NULL, NULL },
		{ "+0", OUT, 0, 0, NULL, NULL },
		{ "1:-1", OUT, 0, 0, NULL, NULL },
		{ "1:4294967296", OUT, 0, 0, NULL, NULL },
		{ "0x0", GONE, 0, 0, NULL, NULL },
		{ " 0", GONE, 0, 0, NULL, NULL },
		{ "0 ", GONE, 0, 0, NULL, NULL },
		{ "wrap", GONE, 0, 0, NULL, NULL },
		{ "broken", GONE, 0, 0, NULL, NULL },
		{ "nobody", GONE, 0, 0, NULL, NULL },
		{ "www:nogroup", GONE, 0, 0, NULL, NULL },
		{ "www:big", GONE, 0, 0, NULL, NULL },
		{ "1:1:1", GONE, 0, 0, NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(buf_done) struct buf groups = BUF_INIT;
		struct user u;
		struct err e = ERR_INIT;
		int r = user_parse(rows[i].text, NULL, passwd, group, &u, &e);

		if (r != rows[i].result)
			fail_msg("\"%s\": %d, not %d (%s)", rows[i].text, r, rows[i].result, e.msg);
		if (r < 0)
			continue;
		for (size_t g = 0; g < u.n_groups; g++)
			buf_printf(&groups, "%s%u", g ? " " : "", u.groups[g]);
		assert_int_equal(u.uid, rows[i].uid);
		assert_int_equal(u.gid, rows[i].gid);
		assert_string_equal(buf_str(&groups), rows[i].groups);
		assert_string_equal(u.home, rows[i].home);
		user_done(&u);
	}
}

static void group_add(void **state)
{
	char **add = strv_split("ssl 4242 4", ' ', false), **bad = strv_split("none", ' ', false);
	struct user u;
	struct err e = ERR_INIT;

	assert_int_equal(user_parse("root", add, passwd, group, &u, &e), 0);
	assert_int_equal(u.n_groups, 4);
	assert_int_equal(u.groups[2], 100);
	assert_int_equal(u.groups[3], 4242);
	user_done(&u);
	assert_int_equal(user_parse("root", bad, passwd, group, &u, &e), -ENOENT);
	strv_free(add);
	strv_free(bad);
}

/* Files an image may plant: none may hang us, lead out, or be read without end. */
static void hostile_files(void **state)
{
	char dir[] = "/tmp/comp-test-user-XXXXXX";
	int root, fd;
	struct user u;
	struct err e = ERR_INIT;

	assert_non_null(mkdtemp(dir));
	root = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(user_lookup(root, "5", NULL, &u, &e), 0); /* no /etc at all */
	user_done(&u);
	assert_int_equal(mkdirat(root, "etc", 0700), 0);
	assert_int_equal(mkfifoat(root, "etc/passwd", 0600), 0);
	assert_int_equal(user_lookup(root, "5", NULL, &u, &e), -EINVAL);
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	assert_int_equal(symlinkat("../../../../../etc/passwd", root, "etc/passwd"), 0);
	assert_int_equal(user_lookup(root, "root", NULL, &u, &e), -ELOOP);
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	assert_int_equal(symlinkat("/etc/shadow", root, "etc/passwd"), 0);
	assert_int_equal(user_lookup(root, "root", NULL, &u, &e), -ENOENT); /* not the host's */
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	fd = openat(root, "etc/passwd", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	close(fd);
	assert_int_equal(user_lookup(root, "root", NULL, &u, &e), -EFBIG);
	close(root);
	assert_int_equal(rm_rf(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(group_add),
		cmocka_unit_test(hostile_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
