/* config.json as docker, podman and skopeo write it, and what helpers print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/image/credentials.h"

/* base64 of carol:s3cret:x, nocolon, :x */
#define CAROL   "Y2Fyb2w6czNjcmV0Ong="
#define NOCOLON "bm9jb2xvbg=="

static const struct {
	const char *config, *domain;
	int result;
	const char *user, *secret, *identity, *helper;
} rows[] = {
	{ "{\"auths\":{\"r.io\":{\"auth\":\"" CAROL "\"}}}", "r.io", 0, "carol", "s3cret:x", NULL,
	  NULL },
	{ "{\"auths\":{\"r.io\":{\"auth\":\"" CAROL "\"}}}", "other.io", -ENOENT, NULL, NULL, NULL,
	  NULL },
	{ "{\"auths\":{\"https://r.io:5000/v2/\":{\"auth\":\"" CAROL "\"}}}", "r.io:5000", 0,
	  "carol", "s3cret:x", NULL, NULL },
	{ "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"" CAROL "\"}}}", "docker.io", 0,
	  "carol", "s3cret:x", NULL, NULL },
	{ "{\"auths\":{\"docker.io\":{\"auth\":\"" CAROL "\"}}}", "docker.io", 0, "carol",
	  "s3cret:x", NULL, NULL },
	/* not the same host */
	{ "{\"auths\":{\"r.io.evil.example\":{\"auth\":\"" CAROL "\"}}}", "r.io", -ENOENT, NULL,
	  NULL, NULL, NULL },
	{ "{\"auths\":{\"r.io:5000\":{\"auth\":\"" CAROL "\"}}}", "r.io", -ENOENT, NULL, NULL, NULL,
	  NULL },
	{ "{\"auths\":{\"r.io\":{\"username\":\"u\",\"password\":\"p\"}}}", "r.io", 0, "u", "p",
	  NULL, NULL },
	{ "{\"auths\":{\"r.io\":{\"auth\":\"" CAROL "\",\"identitytoken\":\"tok\"}}}", "r.io", 0,
	  "carol", "s3cret:x", "tok", NULL },
	{ "{\"auths\":{\"r.io\":{}}}", "r.io", -ENOENT, NULL, NULL, NULL, NULL },
	{ "{\"auths\":{\"r.io\":{\"auth\":\"" NOCOLON "\"}}}", "r.io", -EBADMSG, NULL, NULL, NULL,
	  NULL },
	{ "{\"auths\":{\"r.io\":{\"auth\":\"!!\"}}}", "r.io", -EBADMSG, NULL, NULL, NULL, NULL },
	{ "{\"auths\":{\"r.io\":7}}", "r.io", -EBADMSG, NULL, NULL, NULL, NULL },
	{ "{\"auths\":[]}", "r.io", -ENOENT, NULL, NULL, NULL, NULL },
	{ "{}", "r.io", -ENOENT, NULL, NULL, NULL, NULL },
	{ "[]", "r.io", -EBADMSG, NULL, NULL, NULL, NULL },
	/* helpers come first, the registry's own before the one for all */
	{ "{\"credsStore\":\"pass\",\"auths\":{\"r.io\":{\"auth\":\"" CAROL "\"}}}", "r.io", 0,
	  NULL, NULL, NULL, "pass" },
	{ "{\"credsStore\":\"pass\",\"credHelpers\":{\"r.io\":\"gcloud\"}}", "r.io", 0, NULL, NULL,
	  NULL, "gcloud" },
	{ "{\"credHelpers\":{\"r.io\":\"gcloud\"}}", "x.io", -ENOENT, NULL, NULL, NULL, NULL },
	{ "{\"credsStore\":\"\",\"auths\":{\"r.io\":{\"auth\":\"" CAROL "\"}}}", "r.io", 0, "carol",
	  "s3cret:x", NULL, NULL },
	{ "{\"credsStore\":\"../../bin/sh\"}", "r.io", -EBADMSG, NULL, NULL, NULL, NULL },
};

static void same(const char *got, const char *want)
{
	if (!want)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void test_lookup(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(json_unrefp) json *config = NULL;
		_cleanup_(free_p) char *helper = NULL;
		struct credentials c;
		struct err e = ERR_INIT;
		int r;

		assert_int_equal(json_parse(rows[i].config, strlen(rows[i].config), &config, NULL),
				 0);
		r = credentials_lookup(config, rows[i].domain, &c, &helper, &e);
		if (r != rows[i].result)
			print_error("row %zu: %s\n", i, rows[i].config);
		assert_int_equal(r, rows[i].result);
		same(c.user, rows[i].user);
		same(c.secret, rows[i].secret);
		same(c.identity, rows[i].identity);
		same(helper, rows[i].helper);
		/* no message repeats what was found */
		assert_null(strstr(e.msg, "s3cret"));
		assert_null(strstr(e.msg, "nocolon"));
		credentials_done(&c);
	}
}

static const struct {
	const char *text;
	int result;
	const char *user, *secret, *identity;
} helpers[] = {
	{ "{\"ServerURL\":\"r.io\",\"Username\":\"u\",\"Secret\":\"p\"}\n", 0, "u", "p", NULL },
	{ "{\"Username\":\"<token>\",\"Secret\":\"t\"}", 0, NULL, NULL, "t" },
	{ "{\"Username\":\"u\",\"Secret\":\"\"}", -ENOENT, NULL, NULL, NULL },
	{ "{\"Username\":\"u\"}", -ENOENT, NULL, NULL, NULL },
	{ "[]", -EBADMSG, NULL, NULL, NULL },
	{ "nonsense", -EBADMSG, NULL, NULL, NULL },
	{ "", -EBADMSG, NULL, NULL, NULL },
};

static void test_helpers(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++) {
		struct credentials c;
		int r = credentials_from_helper(helpers[i].text, strlen(helpers[i].text), &c, NULL);

		assert_int_equal(r, helpers[i].result);
		same(c.user, helpers[i].user);
		same(c.secret, helpers[i].secret);
		same(c.identity, helpers[i].identity);
		credentials_done(&c);
	}
}

/* What is stored comes back, the rest of the file stays, and erasing takes it away. */
static void test_file(void **state)
{
	char dir[] = "/tmp/comp-unit.XXXXXX";
	_cleanup_(free_p) char *path = NULL, *where = NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct credentials c = { .user = "bob", .secret = "a:b" }, found;
	struct stat st;
	bool plain;

	assert_non_null(mkdtemp(dir));
	setenv("DOCKER_CONFIG", dir, 1);
	path = path_join(dir, "config.json");
	assert_int_equal(
		file_write_atomic(AT_FDCWD, path, "{\"psFormat\":\"x\"}", 16, 0644, false, NULL),
		0);
	assert_int_equal(credentials_find("r.io", &found, NULL), -ENOENT);
	assert_int_equal(credentials_store("r.io", &c, &plain, &where, NULL), 0);
	assert_true(plain);
	assert_string_equal(where, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(credentials_find("r.io", &found, NULL), 0);
	assert_string_equal(found.user, "bob");
	assert_string_equal(found.secret, "a:b");
	assert_non_null(strstr(found.source, "user bob"));
	assert_null(strstr(found.source, "a:b"));
	credentials_done(&found);
	assert_int_equal(credentials_erase("r.io", NULL), 0);
	assert_int_equal(credentials_erase("r.io", NULL), -ENOENT);
	assert_int_equal(file_read(AT_FDCWD, path, 4096, &text, NULL), 0);
	assert_non_null(strstr(buf_str(&text), "psFormat"));
	assert_null(strstr(buf_str(&text), "r.io"));
	assert_int_equal(rm_rf(AT_FDCWD, dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_helpers),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
