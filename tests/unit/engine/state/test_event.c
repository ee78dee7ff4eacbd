/* tests/unit/engine/state/test_event.c: the journal, over rotations, torn lines and
 * projects that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/state/event.h"

struct world {
	char root[64];
	struct dirs d;
	struct event_journal *j;
};

static int make(void **state)
{
	struct world *w = new0(struct world);

	strcpy(w->root, "/tmp/comp-test-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	w->d.root = w->root;
	w->j = event_journal_new(&w->d, "p");
	*state = w;
	return 0;
}

static int drop(void **state)
{
	struct world *w = *state;

	event_journal_free(w->j);
	assert_int_equal(rm_rf(AT_FDCWD, w->root, NULL), 0);
	free(w);
	return 0;
}

static void add(struct world *w, int n, size_t size)
{
	_cleanup_(json_unrefp) json *event = json_new_object();
	_cleanup_(free_p) char *fill = xcalloc(size + 1, 1);

	memset(fill, 'x', size);
	json_put_int(event, "n", n);
	json_put_str(event, "fill", fill);
	assert_int_equal(event_journal_add(w->j, event, NULL), 0);
}

static struct event_reader *reader(struct world *w, bool past)
{
	struct event_reader *r;

	assert_int_equal(event_reader_open(&w->d, "p", past, &r, NULL), 0);
	return r;
}

/* The next event is number @n; -1: there is none now. */
static void expect(struct event_reader *r, int n)
{
	_cleanup_(json_unrefp) json *event = NULL;
	int ret = event_reader_next(r, &event, NULL);

	assert_int_equal(ret, n >= 0);
	if (n >= 0)
		assert_int_equal(json_get_int(event, "n", -2), n);
}

static char *path_of(struct world *w, const char *name)
{
	return xasprintf("%s/projects/p/%s", w->root, name);
}

static void test_follow(void **state)
{
	struct world *w = *state;
	_cleanup_(event_reader_freep) struct event_reader *all = reader(w, true);
	_cleanup_(event_reader_freep) struct event_reader *late = NULL;

	expect(all, -1); /* no file yet */
	add(w, 1, 10);
	late = reader(w, false);
	expect(late, -1);
	expect(all, 1);
	expect(all, -1);
	add(w, 2, 10);
	add(w, 3, 10);
	expect(all, 2);
	expect(late, 2);
	expect(late, 3);
	expect(late, -1);
}

static void test_rotation(void **state)
{
	struct world *w = *state;
	_cleanup_(event_reader_freep) struct event_reader *r = NULL, *past = NULL;
	_cleanup_(free_p) char *old = path_of(w, "events.1"), *now = path_of(w, "events");
	struct stat st;
	int n = 0, first;

	add(w, n++, 50000);
	r = reader(w, false);
	first = n;
	while (stat(old, &st) < 0)
		add(w, n++, 50000);
	assert_true(st.st_size >= EVENT_FILE_MAX);
	add(w, n++, 10);
	for (int i = first; i < n; i++)
		expect(r, i);
	expect(r, -1);
	past = reader(w, true);
	for (int i = 0; i < n; i++)
		expect(past, i);
	/* A second one: what was read stays read, what is there is read. */
	first = n;
	assert_int_equal(stat(now, &st), 0);
	for (ino_t before = st.st_ino; stat(now, &st) == 0 && st.st_ino == before;)
		add(w, n++, 50000);
	for (int i = first; i < n; i++) {
		expect(r, i);
		expect(past, i);
	}
	expect(past, -1);
}

/* Two rotations while nobody looked: the file in between is not left out. */
static void test_slow_reader(void **state)
{
	struct world *w = *state;
	_cleanup_(event_reader_freep) struct event_reader *r = NULL;
	_cleanup_(free_p) char *now = path_of(w, "events");
	struct stat st;
	int n = 0;

	add(w, n++, 60000);
	r = reader(w, true);
	for (int rotations = 0; rotations < 2; rotations++) {
		assert_int_equal(stat(now, &st), 0);
		for (ino_t before = st.st_ino; stat(now, &st) == 0 && st.st_ino == before;)
			add(w, n++, 60000);
	}
	for (int i = 0; i < n; i++)
		expect(r, i);
	expect(r, -1);
}

static void test_torn(void **state)
{
	struct world *w = *state;
	_cleanup_(event_reader_freep) struct event_reader *r = NULL;
	_cleanup_(free_p) char *path = path_of(w, "events");
	_cleanup_(free_p) char *junk = xcalloc(1, 3 * EVENT_LINE_MAX);
	int fd;

	add(w, 1, 10);
	event_journal_free(w->j);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, "{\"n\":7,\"fi", 10), 0); /* cut short */
	w->j = event_journal_new(&w->d, "p");
	add(w, 2, 10);
	memset(junk, 'y', 3 * EVENT_LINE_MAX - 1);
	junk[3 * EVENT_LINE_MAX - 1] = '\n';
	assert_int_equal(fd_write_all(fd, junk, 3 * EVENT_LINE_MAX), 0);
	assert_int_equal(fd_write_all(fd, "[1]\n\n", 5), 0);
	fd_close(fd);
	add(w, 3, 10);
	r = reader(w, true);
	expect(r, 1);
	expect(r, 2);
	expect(r, 3);
	expect(r, -1);
}

/* down, and up again. */
static void test_gone_and_back(void **state)
{
	struct world *w = *state;
	_cleanup_(event_reader_freep) struct event_reader *r = NULL;
	_cleanup_(free_p) char *projects = xasprintf("%s/projects", w->root);

	add(w, 1, 10);
	r = reader(w, true);
	expect(r, 1);
	add(w, 2, 10);
	assert_int_equal(rm_rf(AT_FDCWD, projects, NULL), 0);
	expect(r, 2); /* the last words of the old one */
	expect(r, -1);
	event_journal_free(w->j);
	w->j = event_journal_new(&w->d, "p");
	add(w, 3, 10);
	expect(r, 3);
	expect(r, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_follow, make, drop),
		cmocka_unit_test_setup_teardown(test_rotation, make, drop),
		cmocka_unit_test_setup_teardown(test_slow_reader, make, drop),
		cmocka_unit_test_setup_teardown(test_torn, make, drop),
		cmocka_unit_test_setup_teardown(test_gone_and_back, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
