/* tests/unit/engine/supervise/test_log.c: what is written is what is read.
 *
 * Writer and reader work in a throw-away directory.  The heart is a comparison
 * with a model: random pieces of output go to the writer and to plain line
 * splitting in memory, and reader, tail, merge and follow must agree with it. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/supervise/log_reader.h"
#include "engine/supervise/log_writer.h"

struct place {
	char path[32];
	int fd;
};

static int setup(void **state)
{
	struct place *p = new0(struct place);

	strcpy(p->path, "/tmp/comp-log-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->fd < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	fd_close(p->fd);
	(void)rm_rf(AT_FDCWD, p->path, NULL);
	free(p);
	return 0;
}

static void put(struct log_writer *w, enum log_stream s, const char *text)
{
	log_writer_put(w, s, text, strlen(text));
}

/* A record as text: "1:line", "2:piece+" (partial), "1:line-" (no newline), "gap:…", "end". */
static char *show(const struct log_record *rec)
{
	if (rec->kind == LOG_REC_END)
		return xstrdup("end");
	if (rec->kind == LOG_REC_GAP)
		return xasprintf("gap:%.*s", (int)rec->len, rec->data);
	return xasprintf("%d:%.*s%s", rec->stream, (int)rec->len, rec->data,
			 rec->partial      ? "+"
			 : rec->no_newline ? "-"
					   : "");
}

static char **read_all(int dirfd, const struct log_reader_opts *o)
{
	struct log_reader *r;
	struct log_record rec;
	char **v = NULL;
	int n;

	assert_int_equal(log_reader_open(dirfd, o, &r, NULL), 0);
	while ((n = log_reader_next(r, &rec, NULL)) > 0)
		strv_add_take(&v, show(&rec));
	assert_int_equal(n, o->follow ? -EAGAIN : 0);
	log_reader_free(r);
	return v;
}

static void expect(int dirfd, const struct log_reader_opts *o, const char *want)
{
	_cleanup_(strv_freep) char **v = read_all(dirfd, o);
	_cleanup_(free_p) char *have = strv_join(v, "|");

	assert_string_equal(have, want);
}

static const struct log_reader_opts all = { .tail = LOG_TAIL_ALL };

static void test_lines(void **state)
{
	struct place *p = *state;
	struct log_writer w;

	expect(p->fd, &all, "");
	log_writer_init(&w, p->fd, 0, 0, 0);
	expect(p->fd, &all, "");
	put(&w, LOG_STDOUT, "one\ntw");
	put(&w, LOG_STDERR, "err");
	put(&w, LOG_STDOUT, "o\n\nthree");
	put(&w, LOG_STDERR, "or\n");
	put(&w, LOG_STDOUT, "!");
	log_writer_end(&w);
	log_writer_done(&w);
	expect(p->fd, &all, "1:one|1:two|1:|2:error|1:three!-|end");
	/* The next run does not continue the line the last one left. */
	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "four\n");
	log_writer_done(&w);
	expect(p->fd, &all, "1:one|1:two|1:|2:error|1:three!-|end|1:four");
}

static void test_killed_writer(void **state)
{
	struct place *p = *state;
	struct log_writer w;

	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "cut");
	log_writer_done(&w); /* no end record */
	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "new\n");
	log_writer_done(&w);
	expect(p->fd, &all, "1:cut-|end|1:new");
}

static void test_long_lines(void **state)
{
	struct place *p = *state;
	static char line[3 * LOG_LINE_MAX + 5];
	_cleanup_(strv_freep) char **v = NULL;
	struct log_writer w;

	memset(line, 'x', sizeof(line));
	log_writer_init(&w, p->fd, 0, 0, 0);
	log_writer_put(&w, LOG_STDOUT, line, LOG_LINE_MAX);
	put(&w, LOG_STDOUT, "\n");
	log_writer_put(&w, LOG_STDOUT, line, sizeof(line));
	put(&w, LOG_STDOUT, "\n");
	log_writer_put(&w, LOG_STDOUT, line, 10); /* the same in small and in large steps */
	log_writer_put(&w, LOG_STDOUT, line, 2 * LOG_LINE_MAX);
	put(&w, LOG_STDOUT, "\nend\n");
	log_writer_done(&w);
	v = read_all(p->fd, &all);
	assert_int_equal(strv_len(v), 9);
	static const struct {
		size_t len;
		bool partial;
	} want[] = { { LOG_LINE_MAX, false }, { LOG_LINE_MAX, true }, { LOG_LINE_MAX, true },
		     { LOG_LINE_MAX, true },  { 5, false },           { LOG_LINE_MAX, true },
		     { LOG_LINE_MAX, true },  { 10, false } };
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(strlen(v[i]), 2 + want[i].len + want[i].partial);
		assert_int_equal(has_suffix(v[i], "+"), want[i].partial);
	}
	assert_string_equal(v[8], "1:end");
}

/* ---- against a model ---------------------------------------------------------- */
static uint32_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

struct model {
	char **lines; /* in the order in which they end */
	struct buf open[LOG_STDERR];
};

static void model_put(struct model *m, enum log_stream s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct buf *b = m->open + s - 1;

		if (p[i] != '\n') {
			buf_addc(b, p[i]);
			continue;
		}
		strv_addf(&m->lines, "%d:%s", s, buf_str(b));
		buf_truncate(b, 0);
	}
}

static void model_end(struct model *m)
{
	for (enum log_stream s = LOG_STDOUT; s <= LOG_STDERR; s++) {
		if (m->open[s - 1].len)
			strv_addf(&m->lines, "%d:%s-", s, buf_str(m->open + s - 1));
		buf_truncate(m->open + s - 1, 0);
	}
}

static void model_done(struct model *m)
{
	strv_free(m->lines);
	buf_done(m->open);
	buf_done(m->open + 1);
}

static void random_piece(char *text, size_t n, uint32_t newline_every)
{
	for (size_t i = 0; i < n; i++)
		text[i] = rnd(newline_every) ? (char)('a' + rnd(26)) : '\n';
}

static void run_random(struct log_writer *w, struct model *m, int steps, size_t max)
{
	char text[4000];

	for (int i = 0; i < steps; i++) {
		enum log_stream s = rnd(3) ? LOG_STDOUT : LOG_STDERR;
		size_t n = rnd((uint32_t)max) + 1;

		random_piece(text, n, 20 + rnd(80));
		log_writer_put(w, s, text, n);
		model_put(m, s, text, n);
	}
}

static char **without_end(char **v)
{
	for (size_t i = 0; v && v[i];)
		if (streq(v[i], "end"))
			strv_remove(&v, i);
		else
			i++;
	return v;
}

static void expect_tail(int dirfd, char *const *lines, size_t n)
{
	struct log_reader_opts o = { .tail = (int64_t)n };
	_cleanup_(strv_freep) char **v = without_end(read_all(dirfd, &o));
	size_t total = strv_len(lines);

	lines += n < total ? total - n : 0;
	assert_int_equal(strv_len(v), MIN(n, total));
	assert_true(!n || strv_equal(v, (char **)lines));
}

static void test_random(void **state)
{
	struct place *p = *state;

	for (seed = 1; seed < 20;) {
		uint32_t this_seed = seed;
		struct model m = { 0 };
		struct log_writer w;
		_cleanup_(strv_freep) char **v = NULL;
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "%u", this_seed);
		assert_int_equal(mkdirat(p->fd, name, 0700), 0);
		fd = openat(p->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		for (int run = 0; run < 3; run++) {
			log_writer_init(&w, fd, LOG_MIN_SIZE, 1000, 0);
			run_random(&w, &m, 40, run == 1 ? 2000 : 50);
			if (run != 1) /* killed; the next writer adds the end */
				log_writer_end(&w);
			log_writer_done(&w);
			model_end(&m);
		}
		v = without_end(read_all(fd, &all));
		assert_int_equal(strv_len(v), strv_len(m.lines));
		assert_true(strv_equal(v, m.lines));
		for (size_t n = 0; n < strv_len(v) + 2; n += 1 + n / 8)
			expect_tail(fd, v, n);
		model_done(&m);
		fd_close(fd);
		seed = this_seed + 1;
	}
}

static void test_rotation(void **state)
{
	struct place *p = *state;
	struct log_reader_opts follow = { .tail = LOG_TAIL_ALL, .follow = true };
	struct log_reader *r;
	struct log_record rec;
	struct log_writer w;
	char line[101], name[LOG_NAME_MAX];
	int read = 0, written = 0, n;

	log_writer_init(&w, p->fd, LOG_MIN_SIZE, 3, 0);
	assert_int_equal(log_reader_open(p->fd, &follow, &r, NULL), 0);
	while (written < 1000) {
		for (int i = 0; i < 50; i++) {
			snprintf(line, sizeof(line), "%099d\n", written++);
			put(&w, LOG_STDOUT, line);
		}
		while ((n = log_reader_next(r, &rec, NULL)) > 0) {
			assert_int_equal(rec.kind, LOG_REC_LINE);
			assert_int_equal(rec.len, 99);
			assert_int_equal(atoi(rec.data), read++);
		}
		assert_int_equal(n, -EAGAIN);
		assert_int_equal(read, written);
	}
	/* Then fall behind by more than there is. */
	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "%099d\n", written++);
		put(&w, LOG_STDOUT, line);
	}
	n = 0;
	while (log_reader_next(r, &rec, NULL) > 0) {
		if (rec.kind == LOG_REC_GAP) {
			n++;
			continue;
		}
		if (n)
			read = atoi(rec.data);
		assert_int_equal(atoi(rec.data), read++);
		if (n == 1)
			n = 2;
		else if (n == 2)
			n = 0;
	}
	assert_int_equal(read, written);
	assert_int_equal(w.number > 30, 1);
	for (uint32_t i = 1; i <= w.number; i++) {
		struct stat st;

		log_file_name(name, i);
		assert_int_equal(fstatat(p->fd, name, &st, 0) == 0, i + 3 > w.number);
		if (i + 3 > w.number)
			assert_true(st.st_size <= LOG_MIN_SIZE);
	}
	log_reader_free(r);
	log_writer_done(&w);
}

static void test_follow(void **state)
{
	struct place *p = *state;
	struct log_reader_opts o = { .tail = 1, .follow = true };
	struct pollfd event;
	struct log_reader *r;
	struct log_record rec;
	struct log_writer w;

	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "old\nlast\npend");
	assert_int_equal(log_reader_open(p->fd, &o, &r, NULL), 0);
	assert_int_equal(log_reader_next(r, &rec, NULL), 1);
	assert_memory_equal(rec.data, "last", 4);
	assert_int_equal(log_reader_next(r, &rec, NULL), -EAGAIN);
	put(&w, LOG_STDOUT, "ing\n");
	assert_int_equal(log_reader_next(r, &rec, NULL), 1);
	assert_int_equal(rec.len, 7);
	assert_memory_equal(rec.data, "pending", 7);
	assert_int_equal(log_reader_next(r, &rec, NULL), -EAGAIN);
	put(&w, LOG_STDOUT, "no newline");
	assert_int_equal(log_reader_next(r, &rec, NULL), -EAGAIN);
	log_writer_end(&w);
	assert_int_equal(log_reader_next(r, &rec, NULL), 1);
	assert_true(rec.no_newline);
	assert_int_equal(log_reader_next(r, &rec, NULL), 1);
	assert_int_equal(rec.kind, LOG_REC_END);
	assert_int_equal(log_reader_next(r, &rec, NULL), -EAGAIN);
	/* The container is removed: the file first, and that must wake us. */
	event = (struct pollfd){ .fd = log_reader_fd(r), .events = POLLIN };
	assert_int_equal(poll(&event, 1, 0), 0);
	assert_int_equal(unlinkat(p->fd, "0000000001.log", 0), 0);
	assert_int_equal(poll(&event, 1, 0), 1);
	assert_int_equal(log_reader_next(r, &rec, NULL), 0);
	log_reader_free(r);
	log_writer_done(&w);
}

static void test_raw(void **state)
{
	struct place *p = *state;
	struct log_reader_opts o = { .tail = LOG_TAIL_ALL, .raw = true };
	struct log_writer w;

	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "a\nb");
	put(&w, LOG_STDERR, "c");
	log_writer_end(&w);
	log_writer_done(&w);
	expect(p->fd, &o, "1:a\nb|2:c|end");
}

static void test_since_until(void **state)
{
	struct place *p = *state;
	struct log_reader_opts o = LOG_READER_OPTS_INIT;
	struct log_writer w;
	uint64_t middle;

	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "early\n");
	while (now_real_ns() == (middle = now_real_ns()))
		;
	middle = now_real_ns();
	put(&w, LOG_STDOUT, "late\n");
	log_writer_done(&w);
	o.since = middle;
	expect(p->fd, &o, "1:late");
	o.since = 0;
	o.until = middle - 1;
	expect(p->fd, &o, "1:early");
}

/* ---- damage --------------------------------------------------------------------- */
static void copy_part(int dirfd, const struct buf *b, size_t n)
{
	assert_int_equal(file_write_atomic(dirfd, "0000000001.log", b->data, n, 0600, false, NULL),
			 0);
}

/* A file cut at any byte gives whole lines only, and a new writer goes on. */
static void test_torn_tail(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf whole = BUF_INIT;
	struct log_writer w;

	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "first line\n");
	put(&w, LOG_STDERR, "second line\n");
	put(&w, LOG_STDOUT, "third line\n");
	log_writer_done(&w);
	assert_int_equal(file_read(p->fd, "0000000001.log", 10000, &whole, NULL), 0);
	for (size_t n = 0; n <= whole.len; n++) {
		static const char *want[] = { "", "1:first line", "1:first line|2:second line",
					      "1:first line|2:second line|1:third line" };
		size_t frames = n < 16 + 43 ? 0 : n < 16 + 43 + 44 ? 1 : n < whole.len ? 2 : 3;
		_cleanup_(free_p) char *after = xasprintf("%s%s1:after", want[frames],
							  frames ? "|end|" : "");
		struct log_reader_opts tail = { .tail = 100 };

		copy_part(p->fd, &whole, n);
		expect(p->fd, &all, want[frames]);
		expect(p->fd, &tail, want[frames]);
		log_writer_init(&w, p->fd, 0, 0, 0);
		put(&w, LOG_STDOUT, "after\n");
		log_writer_done(&w);
		if (n <
		    16) { /* not even a header: left alone, and the log goes on in the next file */
			(void)unlinkat(p->fd, "0000000001.log", 0);
			expect(p->fd, &all, "1:after");
			(void)unlinkat(p->fd, "0000000002.log", 0);
			continue;
		}
		expect(p->fd, &all, after);
		expect(p->fd, &tail, after);
	}
}

/* Damage in the middle costs the frame it is in. */
static void test_flipped_bytes(void **state)
{
	struct place *p = *state;
	_cleanup_(buf_done) struct buf whole = BUF_INIT;
	struct log_writer w;

	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "first line\n");
	put(&w, LOG_STDERR, "second line\n");
	put(&w, LOG_STDOUT, "third line\n");
	log_writer_done(&w);
	assert_int_equal(file_read(p->fd, "0000000001.log", 10000, &whole, NULL), 0);
	for (size_t i = LOG_FILE_HEADER; i < whole.len; i++) {
		_cleanup_(strv_freep) char **v = NULL;

		whole.data[i] ^= 0x55;
		copy_part(p->fd, &whole, whole.len);
		v = read_all(p->fd, &all);
		assert_in_range(strv_len(v), 2, 3);
		if (i < 16 + 43)
			assert_string_equal(v[strv_len(v) - 1], "1:third line");
		else
			assert_string_equal(v[0], "1:first line");
		whole.data[i] ^= 0x55;
	}
}

/* RLIMIT_FSIZE stands in for a full disk: a write is cut short, then fails. */
static void test_full_disk(void **state)
{
	struct place *p = *state;
	struct rlimit old, small;
	struct log_writer w;
	static char block[3000];

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 2000;
	memset(block, 'x', sizeof(block));
	log_writer_init(&w, p->fd, 0, 0, 0);
	put(&w, LOG_STDOUT, "before\nopen");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	log_writer_put(&w, LOG_STDOUT, block, sizeof(block));
	log_writer_put(&w, LOG_STDOUT, block, sizeof(block));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	expect(p->fd, &all,
	       "1:before|gap:3000 bytes of output lost: No space left on device|1:open-");
	put(&w, LOG_STDOUT, "after\n");
	log_writer_end(&w);
	assert_int_equal(w.lost_total, 6000);
	log_writer_done(&w);
	expect(p->fd, &all,
	       "1:before|gap:3000 bytes of output lost: No space left on device|"
	       "gap:3000 bytes of output lost: No space left on device|1:open-|1:after|end");
}

/* ---- several logs ------------------------------------------------------------------ */
static void test_merge(void **state)
{
	struct place *p = *state;
	_cleanup_(strv_freep) char **have = NULL;
	_cleanup_(strv_freep) char **want = NULL;
	struct log_merge *m = log_merge_new(true);
	struct log_reader_opts o = LOG_READER_OPTS_INIT;
	struct log_writer w[5];
	struct log_record rec;
	int fd[5], n;
	void *tag;

	for (intptr_t i = 0; i < 5; i++) {
		char name[2] = { (char)('a' + i), 0 };

		assert_int_equal(mkdirat(p->fd, name, 0700), 0);
		fd[i] = openat(p->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		log_writer_init(w + i, fd[i], LOG_MIN_SIZE, 100, 12345);
		assert_int_equal(log_merge_add(m, fd[i], &o, (void *)i, NULL), 0);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 500; i++) {
			_cleanup_(free_p) char *text = xasprintf("%d.%d\n", round, i);
			unsigned int k = rnd(5);

			put(w + k, LOG_STDOUT, text);
			strv_addf(&want, "%u 1:%.*s", k, (int)strlen(text) - 1, text);
		}
		while ((n = log_merge_next(m, &rec, &tag, NULL)) > 0) {
			_cleanup_(free_p) char *text = show(&rec);

			strv_addf(&have, "%d %s", (int)(intptr_t)tag, text);
		}
		assert_int_equal(n, -EAGAIN);
		assert_true(strv_equal(have, want));
	}
	log_merge_remove(m, (void *)1);
	put(w + 1, LOG_STDOUT, "unheard\n");
	put(w + 2, LOG_STDOUT, "heard\n");
	assert_int_equal(log_merge_next(m, &rec, &tag, NULL), 1);
	assert_ptr_equal(tag, (void *)2);
	assert_int_equal(log_merge_next(m, &rec, &tag, NULL), -EAGAIN);
	log_merge_free(m);
	for (int i = 0; i < 5; i++) {
		log_writer_done(w + i);
		fd_close(fd[i]);
	}
}

int main(void)
{
#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOG_TEST(test_lines),      LOG_TEST(test_killed_writer),
		LOG_TEST(test_long_lines), LOG_TEST(test_random),
		LOG_TEST(test_rotation),   LOG_TEST(test_follow),
		LOG_TEST(test_raw),        LOG_TEST(test_since_until),
		LOG_TEST(test_torn_tail),  LOG_TEST(test_flipped_bytes),
		LOG_TEST(test_full_disk),  LOG_TEST(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
