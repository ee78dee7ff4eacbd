/* engine/state/event.c: see event.h.
 *
 * Each event is one write(2) to a file opened with O_APPEND, so lines are whole
 * unless the disk is full or the machine stops; a piece of one that is left
 * behind gets its newline from the next writer and is skipped by readers.
 */
#include "engine/state/event.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"

#define NAME     "events"
#define OLD_NAME "events.1"
#define CHUNK    16384

static char *journal_path(const struct dirs *d, const char *project, const char *name)
{
	_cleanup_(free_p) char *dir = dirs_project(d, project);

	return path_join(dir, name);
}

/* ---- writing -------------------------------------------------------------------------- */
struct event_journal {
	char *path, *old_path;
	int fd;
	uint64_t size;
};

struct event_journal *event_journal_new(const struct dirs *d, const char *project)
{
	struct event_journal *j = new0(struct event_journal);

	j->path = journal_path(d, project, NAME);
	j->old_path = journal_path(d, project, OLD_NAME);
	j->fd = -EBADF;
	return j;
}

void event_journal_free(struct event_journal *j)
{
	if (!j)
		return;
	fd_close(j->fd);
	free(j->path);
	free(j->old_path);
	free(j);
}

/* A line that was cut off gets an end, so that only it is lost. */
static void mend(struct event_journal *j)
{
	char last = '\n';

	if (j->size > 0 && pread(j->fd, &last, 1, (off_t)j->size - 1) == 1 && last != '\n' &&
	    retry_eintr(write(j->fd, "\n", 1)) == 1)
		j->size++;
}

static int open_journal(struct event_journal *j, struct err *e)
{
	_cleanup_(free_p) char *dir = path_dir(j->path);
	struct stat st;
	int r;

	if (j->fd >= 0)
		return 0;
	r = mkdir_p(AT_FDCWD, dir, 0700, e);
	if (r < 0)
		return r;
	j->fd = retry_eintr(
		open(j->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (j->fd < 0 || fstat(j->fd, &st) < 0)
		return err_errno(e, errno, "open %s", j->path);
	j->size = (uint64_t)st.st_size;
	mend(j);
	return 0;
}

static int rotate(struct event_journal *j, struct err *e)
{
	if (j->size < EVENT_FILE_MAX)
		return 0;
	if (rename(j->path, j->old_path) < 0)
		return err_errno(e, errno, "rename %s", j->path);
	j->fd = fd_close(j->fd);
	return open_journal(j, e);
}

int event_journal_add(struct event_journal *j, json *event, struct err *e)
{
	_cleanup_(buf_done) struct buf line = BUF_INIT;
	int r = open_journal(j, e);
	ssize_t n;

	if (r == 0)
		r = rotate(j, e);
	if (r < 0)
		return r;
	buf_adds(&line, json_text(event));
	buf_addc(&line, '\n');
	n = retry_eintr(write(j->fd, line.data, line.len));
	if (n > 0)
		j->size += (uint64_t)n;
	if (n == (ssize_t)line.len)
		return 0;
	r = n < 0 ? errno : ENOSPC;
	mend(j);
	return err_errno(e, r, "write %s", j->path);
}

/* ---- reading -------------------------------------------------------------------------- */
struct event_reader {
	char *path, *old_path;
	int fd; /* -EBADF: nothing there yet */
	struct buf buf; /* what was read and not given yet */
	bool skipping;  /* the rest of a line that is too long */
};

static int open_file(struct event_reader *r, const char *path, struct err *e)
{
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return r->fd < 0 && errno != ENOENT ? err_errno(e, errno, "open %s", path) : 0;
}

int event_reader_open(const struct dirs *d, const char *project, bool past,
		      struct event_reader **out, struct err *e)
{
	_cleanup_(event_reader_freep) struct event_reader *r = new0(struct event_reader);
	int ret = 0;

	r->path = journal_path(d, project, NAME);
	r->old_path = journal_path(d, project, OLD_NAME);
	r->fd = -EBADF;
	if (past)
		ret = open_file(r, r->old_path, e);
	if (ret == 0 && r->fd < 0)
		ret = open_file(r, r->path, e);
	if (ret < 0)
		return ret;
	if (!past && r->fd >= 0)
		(void)lseek(r->fd, 0, SEEK_END); /* a regular file: cannot fail */
	*out = TAKE_PTR(r);
	return 0;
}

void event_reader_free(struct event_reader *r)
{
	if (!r)
		return;
	fd_close(r->fd);
	buf_done(&r->buf);
	free(r->path);
	free(r->old_path);
	free(r);
}

/* Is the file we have open the one of this name? */
static bool is_ours(const struct event_reader *r, const char *path)
{
	struct stat a, b;

	return fstat(r->fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* 1: read something; 0: at the end. */
static int read_more(struct event_reader *r, struct err *e)
{
	ssize_t n;

	buf_reserve(&r->buf, CHUNK);
	n = read(r->fd, r->buf.data + r->buf.len, CHUNK);
	if (n < 0)
		return errno == EINTR ? 0 : err_errno(e, errno, "read %s", r->path);
	r->buf.len += (size_t)n;
	return n > 0;
}

/* On to the file that comes after ours, which is not the one being written any
 * more; 1: there is one. */
static int next_file(struct event_reader *r, struct err *e)
{
	const char *next = r->path;
	int ret;

	/* Ours is not the last one either: that came in between. */
	if (r->fd >= 0 && access(r->old_path, F_OK) == 0 && !is_ours(r, r->old_path))
		next = r->old_path;
	if (access(next, F_OK) < 0)
		return 0; /* the project is gone; perhaps it comes back */
	r->fd = fd_close(r->fd);
	buf_truncate(&r->buf, 0);
	ret = open_file(r, next, e);
	return ret < 0 ? ret : r->fd >= 0;
}

static int fill(struct event_reader *r, struct err *e)
{
	bool current;
	int ret;

	if (r->fd < 0)
		return next_file(r, e);
	/* Asked before the read: what is written after it goes into the new file. */
	current = is_ours(r, r->path);
	ret = read_more(r, e);
	if (ret != 0 || current)
		return ret;
	return next_file(r, e);
}

/* Take one line off the buffer; 0: there is no whole one. */
static int take_line(struct event_reader *r, json **event)
{
	char *end;

	while ((end = r->buf.len ? memchr(r->buf.data, '\n', r->buf.len) : NULL)) {
		size_t n = (size_t)(end - r->buf.data);
		int ret = r->skipping ? -EFBIG : json_parse(r->buf.data, n, event, NULL);

		r->skipping = false;
		buf_consume(&r->buf, n + 1);
		if (ret == 0 && json_is_object(*event))
			return 1;
		if (ret == 0)
			json_unref(*event);
		*event = NULL;
	}
	if (r->buf.len > EVENT_LINE_MAX) {
		buf_truncate(&r->buf, 0);
		r->skipping = true;
	}
	return 0;
}

int event_reader_next(struct event_reader *r, json **event, struct err *e)
{
	int ret;

	do {
		if (take_line(r, event))
			return 1;
		ret = fill(r, e);
	} while (ret > 0);
	return ret;
}
