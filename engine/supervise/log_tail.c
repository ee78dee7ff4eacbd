/* engine/supervise/log_tail.c: see log_tail.h.
 *
 * From the newest file's end backwards, frame by frame, counting the lines that
 * end in each.  We may stop where enough are counted and no line of either
 * stream reaches further back (LOG_CONT), so that reading forward from there
 * finds exactly the lines that were counted.  A file whose end does not show a good
 * frame (one being written, or a crash) is walked forward once to find its good end.
 */
#include "engine/supervise/log_tail.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "engine/supervise/log_format.h"

#define CHUNK (2 * (LOG_FRAME_MAX + LOG_FRAME_EXTRA))

struct walk {
	int fd;
	uint8_t *chunk; /* CHUNK bytes: the file's [start, end) */
	uint64_t start, end;
	uint64_t lines;
	bool live, begun;
	/* Per stream, what comes after (in time) the frame at hand: nothing but what is
	 * still to be written; a frame that continues a line; one that does not; a
	 * point at which an unfinished line of the stream is given up. */
	enum { LATER_NONE, LATER_CONT, LATER_FRESH, LATER_CUT } later[LOG_STDERR];
};

static int by_number_down(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The files' numbers, newest first; free() *list. */
static int list_numbers(int dirfd, uint32_t **list, size_t *n)
{
	_cleanup_(fd_closep) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	*list = NULL;
	*n = 0;
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd); /* the DIR's now */
	while ((d = readdir(dir))) {
		uint32_t number = log_file_number(d->d_name);

		if (!number)
			continue;
		*list = xreallocarray(*list, *n + 1, sizeof(**list));
		(*list)[(*n)++] = number;
	}
	if (*n)
		qsort(*list, *n, sizeof(**list), by_number_down);
	return 0;
}

/* ---- the window ---------------------------------------------------------------- */
static bool read_exactly(int fd, uint8_t *to, size_t n, uint64_t at)
{
	return pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

/* The file's bytes [from, to), or NULL.  Reads as much as fits before @to. */
static const uint8_t *bytes(struct walk *w, uint64_t from, uint64_t to)
{
	if (from < w->start || to > w->end) {
		w->start = to > CHUNK ? to - CHUNK : 0;
		w->end = to;
		if (from < w->start || !read_exactly(w->fd, w->chunk, to - w->start, w->start)) {
			w->start = w->end = 0;
			return NULL;
		}
	}
	return w->chunk + (from - w->start);
}

/* The good frame that ends at @end; NULL when there is none. */
static const uint8_t *frame_before(struct walk *w, uint64_t end, struct log_frame *f)
{
	const uint8_t *p;
	uint32_t total;

	if (end < LOG_FILE_HEADER + LOG_FRAME_EXTRA)
		return NULL;
	p = bytes(w, end - LOG_FRAME_FOOTER, end);
	if (!p)
		return NULL;
	memcpy(&total, p, sizeof(total));
	total = le32toh(total);
	if (total < LOG_FRAME_EXTRA || total > LOG_FRAME_MAX + LOG_FRAME_EXTRA ||
	    total > end - LOG_FILE_HEADER)
		return NULL;
	p = bytes(w, end - total, end);
	if (!p || !log_frame_get(p, f) || f->length + LOG_FRAME_EXTRA != total ||
	    !log_frame_footer_ok(p, p + LOG_FRAME_HEADER + f->length))
		return NULL;
	return p;
}

/* Where the good frames of a file end, by walking forward. */
static uint64_t good_end(struct walk *w, uint64_t size)
{
	uint64_t at = LOG_FILE_HEADER;
	uint8_t head[LOG_FRAME_HEADER], foot[LOG_FRAME_FOOTER];
	struct log_frame f;

	while (at + LOG_FRAME_EXTRA <= size && read_exactly(w->fd, head, sizeof(head), at) &&
	       log_frame_get(head, &f) &&
	       read_exactly(w->fd, foot, sizeof(foot), at + LOG_FRAME_HEADER + f.length) &&
	       log_frame_footer_ok(head, foot))
		at += LOG_FRAME_EXTRA + f.length;
	return MIN(at, size);
}

/* ---- counting ------------------------------------------------------------------- */
static uint64_t count_newlines(const uint8_t *p, size_t n)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += p[i] == '\n';
	return count;
}

/* After @f both streams' unfinished lines are given up. */
static void cut_after(struct walk *w, const struct log_frame *f)
{
	bool other = f->flags & LOG_OTHER;

	for (enum log_stream s = LOG_STDOUT; s <= LOG_STDERR; s++)
		w->later[s - 1] = s == f->stream || other ? LATER_CUT : LATER_FRESH;
}

static void count_frame(struct walk *w, const struct log_frame *f, const uint8_t *p)
{
	int later;

	if ((!w->begun && !w->live) || (f->flags & LOG_END))
		cut_after(w, f);
	w->begun = true;
	if (f->stream == LOG_SYSTEM)
		return;
	later = w->later[f->stream - 1];
	w->lines += count_newlines(p + LOG_FRAME_HEADER, f->length);
	/* An unfinished line is one too, unless its end was counted. */
	w->lines += (f->flags & LOG_OPEN) && (later == LATER_FRESH || later == LATER_CUT);
	w->later[f->stream - 1] = f->flags & LOG_CONT ? LATER_CONT : LATER_FRESH;
}

static bool settled(const struct walk *w, enum log_stream s)
{
	return w->later[s - 1] != LATER_CONT && w->later[s - 1] != LATER_CUT;
}

static bool enough(const struct walk *w, uint64_t lines)
{
	return !lines || (w->lines >= lines && settled(w, LOG_STDOUT) && settled(w, LOG_STDERR));
}

/* Count one file back from its end.  True when the tail begins in it. */
static bool walk_file(struct walk *w, uint64_t lines, uint64_t *offset)
{
	struct log_frame f;
	struct stat st;
	const uint8_t *p;
	uint64_t at;

	*offset = LOG_FILE_HEADER;
	if (fstat(w->fd, &st) < 0 || st.st_size < LOG_FILE_HEADER) {
		*offset = 0;
		return false;
	}
	at = (uint64_t)st.st_size;
	w->start = w->end = 0;
	if (!frame_before(w, at, &f))
		at = good_end(w, at);
	while (!enough(w, lines)) {
		p = frame_before(w, at, &f);
		if (!p)
			return false; /* its beginning, or damage: what is before stays hidden */
		count_frame(w, &f, p);
		at -= LOG_FRAME_EXTRA + f.length;
	}
	*offset = at;
	return true;
}

int log_tail_find(int dirfd, uint64_t lines, bool live, struct log_tail *out)
{
	_cleanup_(free_p) uint32_t *numbers = NULL;
	_cleanup_(free_p) uint8_t *chunk = xmalloc(CHUNK);
	struct walk w = { .chunk = chunk, .live = live };
	size_t n;
	int r = list_numbers(dirfd, &numbers, &n);
	bool found = false;

	*out = (struct log_tail){ 0 };
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && !found; i++) {
		_cleanup_(fd_closep) int fd = -EBADF;
		char name[LOG_NAME_MAX];

		log_file_name(name, numbers[i]);
		fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			break; /* rotated away meanwhile: begin with the one after it */
		w.fd = fd;
		found = walk_file(&w, lines, &out->offset);
		out->number = numbers[i];
	}
	out->skip = w.lines > lines ? w.lines - lines : 0;
	return 0;
}
