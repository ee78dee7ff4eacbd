/* tests/unit/engine/state/test_exits.c: slots, who gets which, and what a torn one reads as. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/state/exits.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct place {
	char path[32];
	struct dirs dirs;
};

static int setup(void **state)
{
	struct place *p = new0(struct place);

	strcpy(p->path, "/tmp/comp-exits-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->dirs.root = p->dirs.run = p->path;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	(void)rm_rf(AT_FDCWD, p->path, NULL);
	free(p);
	return 0;
}

static void test_slot(void **state)
{
	const struct exit_record most = { 255, 64, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	char slot[EXIT_SLOT], copy[EXIT_SLOT], id[EXIT_ID_MAX];
	struct exit_record r;
	bool ended;

	exit_slot_put(slot, A, &most, true);
	assert_int_equal(slot[EXIT_SLOT - 1], '\n');
	assert_true(exit_slot_get(slot, id, &r, &ended));
	assert_true(ended);
	assert_string_equal(id, A);
	assert_memory_equal(&r, &most, sizeof(r));
	/* Any other byte anywhere in the text, or a cut, is noticed. */
	for (size_t i = 0; slot[i] != '\n' && memcmp(slot + i, "  ", 2) != 0; i++) {
		memcpy(copy, slot, sizeof(slot));
		copy[i] ^= 1;
		assert_false(exit_slot_get(copy, id, &r, &ended));
		memset(copy + i, ' ', sizeof(copy) - i);
		assert_false(exit_slot_get(copy, id, &r, &ended));
		memset(copy + i, 0, sizeof(copy) - i);
		assert_false(exit_slot_get(copy, id, &r, &ended));
	}
	exit_slot_put(slot, B, &(struct exit_record){ .started_at = 5 }, false);
	assert_true(exit_slot_get(slot, id, &r, &ended));
	assert_false(ended);
	assert_string_equal(id, B);
	assert_int_equal(r.started_at, 5);
	memset(slot, ' ', sizeof(slot));
	assert_false(exit_slot_get(slot, id, &r, &ended));
	memset(slot, 'x', sizeof(slot));
	assert_false(exit_slot_get(slot, id, &r, &ended));
}

static bool is(const char *id, void *data)
{
	return streq(id, data);
}

static void test_file(void **state)
{
	struct place *p = *state;
	struct exit_record r, end = { .code = 3, .started_at = 7, .finished_at = 9 };
	struct exits *x;
	uint32_t a, b, again;

	assert_int_equal(exit_record_load(&p->dirs, "p", A, &r, NULL), -ENOENT);
	assert_int_equal(exits_open(&p->dirs, "p", is, A, &x, NULL), 0);
	assert_int_equal(exits_take(x, A, 7, &a, NULL), 0);
	assert_int_equal(exits_take(x, B, 8, &b, NULL), 0);
	assert_int_not_equal(a, b);
	assert_int_equal(exit_record_load(&p->dirs, "p", A, &r, NULL), -ENOENT);
	assert_int_equal(exits_load(x, A, &r, NULL), -ENOENT);
	assert_int_equal(exit_slot_save(exits_fd(x), a, A, &end), 0);
	assert_int_equal(exits_load(x, A, &r, NULL), 0);
	assert_int_equal(r.code, 3);
	assert_int_equal(exit_record_load(&p->dirs, "p", A, &r, NULL), 0);
	assert_int_equal(r.finished_at, 9);
	exits_free(x);

	/* The next one knows what is taken, and frees what nobody owns. */
	assert_int_equal(exits_open(&p->dirs, "p", is, A, &x, NULL), 0);
	assert_int_equal(exits_take(x, "c", 1, &again, NULL), 0);
	assert_int_equal(again, b);
	assert_int_equal(exits_take(x, A, 10, &again, NULL), 0);
	assert_int_equal(again, a);
	assert_int_equal(exits_load(x, A, &r, NULL), -ENOENT); /* a new run began */
	exits_release(x, "c");
	assert_int_equal(exits_take(x, "d", 1, &again, NULL), 0);
	assert_int_equal(again, b);
	for (int i = 0; i < 100; i++) {
		char id[8];

		snprintf(id, sizeof(id), "n%d", i);
		assert_int_equal(exits_take(x, id, 1, &again, NULL), 0);
		assert_int_equal(again, i + 2);
	}
	exits_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slot),
		cmocka_unit_test_setup_teardown(test_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
