/* Records and power cuts: what is synced when, what is kept, and what is found again. */
#include "tests/unit/engine/state/records.h"

static char *file_in(const struct place *p, const char *id, const char *name)
{
	_cleanup_(free_p) char *dir = dirs_container(&p->dirs, "t", id);

	return path_join(dir, name);
}

static bool has_file(const struct place *p, const char *id, const char *name)
{
	_cleanup_(free_p) char *path = file_in(p, id, name);
	struct stat st;

	return lstat(path, &st) == 0;
}

static void save_code(const struct place *p, struct record *r, int code)
{
	r->exit_code = code;
	save(p, r);
}

static void settle(const struct place *p, struct record *r)
{
	struct err e = ERR_INIT;

	record_settle_start(r, &p->dirs);
	if (record_settle(r, &p->dirs, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(r->settled);
}

static int loaded_code(const struct place *p, const char *id)
{
	_cleanup_(record_freep) struct record *back = NULL;
	struct err e = ERR_INIT;

	if (record_load(&p->dirs, "t", id, &back, &e) < 0)
		fail_msg("%s", e.msg);
	return back->exit_code;
}

static int code_in(const struct place *p, const char *id, const char *name)
{
	_cleanup_(free_p) char *path = file_in(p, id, name);
	_cleanup_(json_unrefp) json *j = NULL;
	struct err e = ERR_INIT;

	if (json_read_file(AT_FDCWD, path, 1 << 20, &j, &e) < 0)
		fail_msg("%s", e.msg);
	return (int)json_get_int(j, "exit_code", -1);
}

static void tear(const struct place *p, const char *id, const char *name)
{
	_cleanup_(free_p) char *path = file_in(p, id, name);

	assert_int_equal(truncate(path, 40), 0);
}

/* A record with its spec.json, as container_create() leaves them. */
static struct record *made(const struct place *p, const char *id, const char *name)
{
	put(p, id, "spec.json", "{}");
	return new_record(id, name);
}

static void test_settle(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *r = made(p, "i", "t-web-1");
	_cleanup_(free_p) char *dir = dirs_container(&p->dirs, "t", "i");
	_cleanup_(free_p) char *mark = file_in(p, "i", ".new");
	char boot[BOOT_ID_MAX], target[BOOT_ID_MAX] = "";
	struct err e = ERR_INIT;

	save_code(p, r, 1);
	assert_int_equal(proc_boot_id(boot, NULL), 0);
	assert_true(readlink(mark, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, boot);
	save_code(p, r, 2);
	assert_false(r->settled);
	assert_true(has_file(p, "i", ".new")); /* until it is settled, not until it is saved */
	settle(p, r);
	assert_false(has_file(p, "i", ".new"));
	settle(p, r); /* nothing to do */
	save_code(p, r, 3);
	assert_false(r->settled);
	assert_false(has_file(p, "i", ".new"));
	assert_int_equal(rm_rf(AT_FDCWD, dir, NULL), 0);
	assert_int_equal(record_settle(r, &p->dirs, &e), -ENOENT);
	assert_non_null(strstr(e.msg, dir));
	assert_false(r->settled);
}

/* The mark says that spec.json has not been synced: it stays when that fails. */
static void test_settle_fails(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *r = new_record("i", "t-web-1");
	struct err e = ERR_INIT;

	save(p, r);
	assert_int_equal(record_settle(r, &p->dirs, &e), -ENOENT);
	assert_false(r->settled);
	assert_true(has_file(p, "i", ".new"));
	put(p, "i", "spec.json", "{}");
	settle(p, r);
	assert_false(has_file(p, "i", ".new"));
}

/* What was synced is written over by no later change, and is what is left when all
 * of these are torn. */
static void test_kept(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *r = made(p, "i", "t-web-1");

	save_code(p, r, 1);
	assert_false(has_file(p, "i", ".kept.json"));
	settle(p, r);
	for (int code = 2; code <= 5; code++) {
		save_code(p, r, code);
		assert_int_equal(code_in(p, "i", ".kept.json"), 1);
		assert_int_equal(loaded_code(p, "i"), code);
	}
	settle(p, r);
	assert_int_equal(code_in(p, "i", ".kept.json"), 1); /* in place until there is a newer one */
	save_code(p, r, 6);
	assert_int_equal(code_in(p, "i", ".kept.json"), 5);
	save_code(p, r, 7);
	tear(p, "i", "state.json");
	assert_int_equal(loaded_code(p, "i"), 6);
	tear(p, "i", ".state.json");
	assert_int_equal(loaded_code(p, "i"), 5);
}

/* A rename may be lost with the power: of what is whole the newest counts, and that is
 * told by when it was saved.  While the machine is up the name alone does. */
static void test_newest_of_another_boot(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *r = made(p, "i", "t-web-1");
	_cleanup_(free_p) char *name = file_in(p, "i", "state.json");
	_cleanup_(free_p) char *other = file_in(p, "i", ".state.json");

	for (int same = 0; same <= 1; same++) {
		if (same)
			assert_int_equal(proc_boot_id(r->boot_id, NULL), 0);
		else
			strcpy(r->boot_id, "00000000-0000-0000-0000-000000000000");
		save_code(p, r, 1);
		settle(p, r);
		save_code(p, r, 2);
		save_code(p, r, 3);
		assert_int_equal(renameat2(AT_FDCWD, name, AT_FDCWD, other, RENAME_EXCHANGE), 0);
		assert_int_equal(loaded_code(p, "i"), same ? 2 : 3);
		tear(p, "i", ".state.json");
		assert_int_equal(loaded_code(p, "i"), 2);
	}
}

/* Power was lost before a container was settled: it was never made.  In this boot a
 * damaged record is kept for somebody to look at. */
static void test_cut_short(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *a = made(p, "a", "t-a-1");
	_cleanup_(record_freep) struct record *b = made(p, "b", "t-b-1");
	_cleanup_(record_freep) struct record *c = made(p, "c", "t-c-1");
	static const char *const of_another_boot[] = { "a", "c" };
	struct record_list l;

	save(p, a);
	save(p, b);
	save(p, c);
	for (size_t i = 0; i < ARRAY_SIZE(of_another_boot); i++) {
		_cleanup_(free_p) char *mark = file_in(p, of_another_boot[i], ".new");

		assert_int_equal(unlink(mark), 0);
		assert_int_equal(symlink("00000000-0000-0000-0000-000000000000", mark), 0);
	}
	tear(p, "a", "state.json");
	tear(p, "b", "state.json");
	assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.items[0]->name, "t-c-1"); /* it made it to the disk */
	assert_int_equal(strv_len(l.problems), 1);
	assert_non_null(strstr(l.problems[0], "/b/"));
	assert_int_equal(count(p, "a", "state.json"), 0); /* for adopt.c to sweep */
	assert_int_equal(count(p, "b", "state.json" RECORD_CORRUPT), 1);
	record_list_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_settle),
		T(test_settle_fails),
		T(test_kept),
		T(test_newest_of_another_boot),
		T(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
