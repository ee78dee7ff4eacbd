/* The store without layers: names, listing, removal, crashes.  No helper, no root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/stage.h"
#include "engine/image/store_internal.h"

struct fixture {
	char dir[64];
	struct store *s;
};

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);
	_cleanup_(free_p) char *path = NULL;

	strcpy(f->dir, "/tmp/test_store.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	path = xasprintf("%s/images", f->dir);
	*state = f;
	return store_open(path, &f->s, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->s);
	(void)rm_rf(AT_FDCWD, f->dir, NULL);
	free(f);
	return 0;
}

/* An image without layers; @mark makes it another one. */
static void add(struct store *s, const char *mark, const char *ref, char id[DIGEST_MAX],
		char ***moved)
{
	_cleanup_(free_p) char *config = xasprintf(
		"{\"author\":\"%s\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}", mark);
	char *refs[] = { (char *)ref, NULL };
	struct staged_image img = { .config = config,
				    .n_config = strlen(config),
				    .manifest = config,
				    .n_manifest = strlen(config),
				    .refs = ref ? refs : NULL };
	_cleanup_(stage_freep) struct stage *st = NULL;
	struct err e = ERR_INIT;

	if (stage_begin(s, &st, &e) < 0 || stage_image(st, &img, id, &e) < 0 ||
	    stage_commit(st, moved, &e) < 0)
		fail_msg("%s", e.msg);
}

#define APP "docker.io/library/app:latest"

static void test_resolve(void **state)
{
	struct fixture *f = *state;
	_cleanup_(image_freep) struct image *i = NULL, *by_id = NULL;
	char id[DIGEST_MAX], prefix[13];
	struct err e = ERR_INIT;

	assert_int_equal(store_resolve(f->s, "app", &i, &e), -ENOENT);
	assert_non_null(strstr(e.hint, "comp load -i"));
	add(f->s, "x", APP, id, NULL);
	assert_int_equal(store_resolve(f->s, "app", &i, &e), 0);
	assert_string_equal(i->id, id);
	assert_string_equal(i->name, "app:latest");
	assert_string_equal(i->config.author, "x");
	snprintf(prefix, sizeof(prefix), "%.12s", digest_hex(id));
	assert_int_equal(store_resolve(f->s, prefix, &by_id, &e), 0);
	assert_string_equal(by_id->id, id);
	image_free(TAKE_PTR(by_id));
	assert_int_equal(store_resolve(f->s, id, &by_id, &e), 0);
	assert_int_equal(store_resolve(f->s, "UPPER", &by_id, &e), -EINVAL);
}

static void test_moved_name(void **state)
{
	struct fixture *f = *state;
	_cleanup_(strv_freep) char **moved = NULL;
	_cleanup_(free_p) char *want = NULL, *now = NULL;
	char first[DIGEST_MAX], second[DIGEST_MAX];

	add(f->s, "x", APP, first, &moved);
	assert_null(moved);
	add(f->s, "x", APP, first, &moved);
	assert_null(moved);
	add(f->s, "y", APP, second, &moved);
	want = xasprintf("%s\t%s", APP, first);
	assert_string_equal(moved[0], want);
	assert_int_equal(store_resolve_id(f->s, "app", &now, NULL), 0);
	assert_string_equal(now, second);
}

static void test_list_and_tag(void **state)
{
	struct fixture *f = *state;
	_cleanup_(image_list_done) struct image_list l = { 0 };
	_cleanup_(free_p) char *old = NULL;
	char id[DIGEST_MAX];
	struct err e = ERR_INIT;

	add(f->s, "x", APP, id, NULL);
	assert_int_equal(store_tag(f->s, "app", "example.com/b:2", &old, &e), 0);
	assert_null(old);
	assert_int_equal(store_tag(f->s, "none", "c", NULL, &e), -ENOENT);
	assert_int_equal(store_tag(f->s, "app", "Bad", NULL, &e), -EINVAL);
	assert_int_equal(store_list(f->s, &l, &e), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(strv_len(l.items[0].tags), 2);
	assert_string_equal(l.items[0].tags[0], "app:latest");
	assert_string_equal(l.items[0].tags[1], "example.com/b:2");
}

static int used(void *data, const char *id, struct err *e)
{
	err_set(e, EBUSY, "container c is using it");
	return *(int *)data;
}

static void test_remove(void **state)
{
	struct fixture *f = *state;
	struct removed r;
	char id[DIGEST_MAX];
	struct err e = ERR_INIT;
	int yes = 1, no = 0;

	add(f->s, "x", APP, id, NULL);
	assert_int_equal(store_tag(f->s, "app", "b", NULL, &e), 0);
	assert_int_equal(store_remove(f->s, id, false, NULL, NULL, &r, &e), -EBUSY);
	removed_done(&r);
	assert_int_equal(store_remove(f->s, "b", false, used, &yes, &r, &e), 0);
	assert_string_equal(r.untagged[0], "b:latest");
	assert_null(r.deleted);
	removed_done(&r);
	assert_int_equal(store_remove(f->s, "app", false, used, &yes, &r, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "container c is using it"));
	removed_done(&r);
	assert_int_equal(store_remove(f->s, "app", true, used, &yes, &r, &e), 0);
	assert_null(r.deleted);
	removed_done(&r);
	assert_int_equal(store_remove(f->s, id, true, used, &yes, &r, &e), -EBUSY);
	removed_done(&r);
	assert_int_equal(store_remove(f->s, id, false, used, &no, &r, &e), 0);
	assert_string_equal(r.deleted[0], id);
	removed_done(&r);
	assert_int_equal(store_remove(f->s, id, false, NULL, NULL, &r, &e), -ENOENT);
	removed_done(&r);
	assert_int_equal(store_read_blob(f->s, id, &(struct buf){ 0 }, &e), -ENOENT);
}

static void test_digests_go_with_the_last_tag(void **state)
{
	struct fixture *f = *state;
	struct removed r;
	char id[DIGEST_MAX];
	struct err e = ERR_INIT;

	add(f->s, "x", APP, id, NULL);
	add(f->s, "x",
	    "docker.io/library/app@sha256:0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef",
	    id, NULL);
	assert_int_equal(store_tag(f->s, "app", "other", NULL, &e), 0);
	assert_int_equal(store_remove(f->s, "app", false, NULL, NULL, &r, &e), 0);
	assert_int_equal(strv_len(r.untagged), 2);
	assert_null(r.deleted);
	removed_done(&r);
	assert_int_equal(store_remove(f->s, "other", false, NULL, NULL, &r, &e), 0);
	assert_non_null(r.deleted);
	removed_done(&r);
}

static void test_prune(void **state)
{
	struct fixture *f = *state;
	struct removed r;
	char named[DIGEST_MAX], unnamed[DIGEST_MAX];

	add(f->s, "x", APP, named, NULL);
	add(f->s, "y", NULL, unnamed, NULL);
	assert_int_equal(store_prune(f->s, &(struct prune_options){ 0 }, NULL, NULL, &r, NULL), 0);
	assert_int_equal(strv_len(r.deleted), 1);
	assert_string_equal(r.deleted[0], unnamed);
	removed_done(&r);
}

static size_t count(struct store *s, const char *dir)
{
	_cleanup_(strv_freep) char **names = NULL;

	assert_int_equal(store_names(s, dir, &names, NULL), 0);
	return strv_len(names);
}

/* A writer that died leaves a directory nobody holds, and perhaps a layer that
 * was published without its image. */
static void test_leftovers(void **state)
{
	struct fixture *f = *state;
	_cleanup_(stage_freep) struct stage *alive = NULL;
	char id[DIGEST_MAX];
	char path[100];

	assert_int_equal(stage_begin(f->s, &alive, NULL), 0);
	assert_int_equal(mkdir_p(f->s->fd, "tmp/dead/layers", 0700, NULL), 0);
	snprintf(path, sizeof(path), "layers/%064d", 7);
	assert_int_equal(mkdir_p(f->s->fd, path, 0700, NULL), 0);
	add(f->s, "x", APP, id, NULL);
	assert_int_equal(count(f->s, "tmp"), 1);    /* the one that is alive */
	assert_int_equal(count(f->s, "layers"), 1); /* it might be using it */
	stage_free(TAKE_PTR(alive));
	add(f->s, "y", APP, id, NULL);
	assert_int_equal(count(f->s, "tmp"), 0);
	assert_int_equal(count(f->s, "layers"), 0);
}

static void test_damaged_record(void **state)
{
	struct fixture *f = *state;
	_cleanup_(image_list_done) struct image_list l = { 0 };
	_cleanup_(image_freep) struct image *i = NULL;
	char id[DIGEST_MAX], path[100];
	struct err e = ERR_INIT;

	add(f->s, "x", APP, id, NULL);
	snprintf(path, sizeof(path), "images/%s", digest_hex(id));
	assert_int_equal(file_write_atomic(f->s->fd, path, "{}", 2, 0600, false, NULL), 0);
	assert_int_equal(store_resolve(f->s, "app", &i, &e), -EBADMSG);
	assert_int_equal(store_list(f->s, &l, &e), 0);
	assert_int_equal(strv_len(l.problems), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_resolve),
		T(test_moved_name),
		T(test_list_and_tag),
		T(test_remove),
		T(test_digests_go_with_the_last_tag),
		T(test_prune),
		T(test_leftovers),
		T(test_damaged_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
