/* Several containers' logs on one screen, and what the watch makes of records. */
#include "tests/unit/cli/capture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "cli/log_view.h"
#include "cli/watch.h"
#include "engine/supervise/log_reader.h"
#include "engine/supervise/log_writer.h"
#include "engine/supervise/monitor.h"

struct place {
	char root[64];
	struct dirs dirs;
};

static int setup(void **state)
{
	struct place *p = new0(struct place);

	strcpy(p->root, "/tmp/comp-test-logs-XXXXXX");
	assert_non_null(mkdtemp(p->root));
	p->dirs.root = xstrdup(p->root);
	p->dirs.run = xasprintf("%s/run", p->root);
	p->dirs.cgroup = xstrdup("none");
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	assert_int_equal(rm_rf(AT_FDCWD, p->root, NULL), 0);
	dirs_done(&p->dirs);
	free(p);
	return 0;
}

static struct record *make_record(const char *id, const char *name)
{
	struct record *r = record_new();

	r->id = xstrdup(id);
	r->name = xstrdup(name);
	r->project = xstrdup("demo");
	r->service = xstrdup("s");
	return r;
}

static void open_log(struct place *p, const struct record *r, struct log_writer *w, int *fd)
{
	_cleanup_(free_p) char *path = dirs_container(&p->dirs, "demo", r->id);

	assert_int_equal(mkdir_p(AT_FDCWD, path, 0700, NULL), 0);
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(*fd >= 0);
	log_writer_init(w, *fd, 0, 0, 0);
}

static void put(struct log_writer *w, enum log_stream stream, const char *text)
{
	log_writer_put(w, stream, text, strlen(text));
}

static void test_view(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *web = make_record("a1", "demo-web-1");
	_cleanup_(record_freep) struct record *db = make_record("b2", "demo-database-1");
	struct log_writer w1, w2;
	struct log_view_options o = { .tail = LOG_TAIL_ALL };
	struct capture out, err;
	struct log_view *v;
	int f1, f2;

	open_log(p, web, &w1, &f1);
	open_log(p, db, &w2, &f2);
	put(&w1, LOG_STDOUT, "one\ntwo\n");
	put(&w2, LOG_STDOUT, "ready");
	put(&w1, LOG_STDERR, "oops\n");
	log_writer_end(&w1);
	log_writer_end(&w2);
	log_writer_done(&w1);
	log_writer_done(&w2);
	close(f1);
	close(f2);

	o.out = capture_open(&out);
	o.err = capture_open(&err);
	v = log_view_new(&o);
	log_view_reserve(v, db);
	assert_int_equal(log_view_add(v, &p->dirs, web, 0, NULL), 1);
	assert_int_equal(log_view_add(v, &p->dirs, db, 0, NULL), 1);
	assert_int_equal(log_view_add(v, &p->dirs, db, 0, NULL), 0); /* known already */
	assert_int_equal(log_view_pump(v, NULL), 0);
	log_view_status(v, web, "exited with code 0");
	log_view_free(v);
	capture_expect(&out, "web-1       | one\nweb-1       | two\ndatabase-1  | ready\n"
			     "web-1 exited with code 0\n");
	capture_expect(&err, "web-1       | oops\n");
}

static void test_long_line(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *r = make_record("c3", "other");
	_cleanup_(free_p) char *line = xmalloc(LOG_LINE_MAX * 2 + 2), *expected = NULL;
	struct log_view_options o = { .tail = LOG_TAIL_ALL, .color = true };
	struct log_writer w;
	struct capture out;
	struct log_view *v;
	int fd;

	memset(line, 'x', LOG_LINE_MAX * 2);
	strcpy(line + LOG_LINE_MAX * 2, "\n");
	open_log(p, r, &w, &fd);
	put(&w, LOG_STDOUT, line);
	log_writer_end(&w);
	log_writer_done(&w);
	close(fd);
	o.out = o.err = capture_open(&out);
	v = log_view_new(&o);
	assert_int_equal(log_view_add(v, &p->dirs, r, 0, NULL), 1);
	assert_int_equal(log_view_pump(v, NULL), 0);
	log_view_free(v);
	expected = xasprintf("\033[36mother  | \033[0m%s", line);
	capture_expect(&out, expected);
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *shown;
	} rows[] = {
		{ "demo-web-1", "web-1" }, { "demo_web_1", "web_1" },        { "demo", "demo" },
		{ "demo-", "demo-" },      { "democracy-1", "democracy-1" }, { "mine", "mine" }
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(record_freep) struct record *r = make_record("x", rows[i].name);

		assert_string_equal(log_view_name(r), rows[i].shown);
	}
}

/* ---- watch ----------------------------------------------------------------- */
static struct {
	int appeared, exited, restarting, code;
} heard;

static void on_appeared(const struct record *r, void *data)
{
	heard.appeared++;
}

static void on_exited(const struct record *r, bool restarting, void *data)
{
	heard.exited++;
	heard.restarting += restarting;
	heard.code = r->exit_code;
}

static void save(struct place *p, struct record *r)
{
	_cleanup_(free_p) char *dir = dirs_container(&p->dirs, "demo", r->id);

	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0700, NULL), 0);
	assert_int_equal(record_save(r, &p->dirs, false, NULL), 0);
}

static void expect_heard(struct watch *w, int appeared, int exited, int restarting)
{
	memset(&heard, 0, sizeof(heard));
	assert_int_equal(watch_update(w, NULL), 0);
	assert_int_equal(heard.appeared, appeared);
	assert_int_equal(heard.exited, exited);
	assert_int_equal(heard.restarting, restarting);
}

static void test_watch(void **state)
{
	struct place *p = *state;
	const struct watch_handler h = { on_appeared, on_exited, NULL };
	_cleanup_(record_freep) struct record *r = make_record("d4", "demo-web-1");
	_cleanup_(record_freep) struct record *late = make_record("e5", "demo-web-2");
	_cleanup_(watch_freep) struct watch *w = NULL;

	r->status = CONTAINER_RESTARTING; /* waits: needs no process to be believed */
	r->finished_at = 100;
	save(p, r);
	assert_int_equal(watch_new(&p->dirs, "demo", &h, &w, NULL), 0);
	assert_int_equal(watch_fd(w), -EBADF);
	assert_true(watch_timeout(w) > 0);
	expect_heard(w, 0, 0, 0);

	r->finished_at = 200; /* ran and ended again between two looks */
	r->exit_code = 3;
	save(p, r);
	expect_heard(w, 0, 1, 1);
	assert_int_equal(heard.code, 3);

	r->status = CONTAINER_EXITED; /* given up: no further run has ended */
	save(p, r);
	expect_heard(w, 0, 0, 0);

	late->status = CONTAINER_EXITED;
	late->finished_at = 300;
	save(p, late);
	expect_heard(w, 1, 1, 0);
	assert_int_equal(watch_records(w)->n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_view, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_line, setup, teardown),
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
