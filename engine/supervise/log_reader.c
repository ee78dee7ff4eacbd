/* engine/supervise/log_reader.c: see log_reader.h; the format is in log_format.h.
 *
 * Three layers: a window over the current file that yields whole frames
 * (next_frame), a chain of files by growing number (next_file), and lines cut
 * out of frames (next_line).  A line within one frame is handed out where it lies in
 * the window; only one that crosses frames is copied together, per stream, in
 * `pending`.
 *
 * The writer is not asked: a frame that is not complete yet is simply not there
 * yet, and what was read of it is forgotten, since the writer cuts off what it
 * could not write whole.  The next file's existence proves that the current one
 * is complete, so it is looked for before the current one is read to its end for the
 * last time.
 */
#include "engine/supervise/log_reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/util.h"
#include "engine/state/dirs.h"
#include "engine/supervise/log_tail.h"

#define WINDOW (4 * (LOG_FRAME_MAX + LOG_FRAME_EXTRA))

/* A line whose end has not been read yet, LOG_LINE_MAX at most. */
struct pending {
	char *data; /* made when first needed */
	size_t len;
	bool active;
	uint64_t real, order;
};

struct log_reader {
	struct log_reader_opts o;
	int dirfd, inotify; /* inotify: -EBADF when not ours */
	bool idle;          /* the last answer was -EAGAIN */
	bool finished;

	int fd; /* the current file; -EBADF before the first */
	uint32_t number;
	int next_fd; /* the file after it, once there is one: fd is complete then */
	uint32_t next_number;

	uint8_t *window;
	size_t at, have;     /* unread bytes of it */
	uint64_t offset;     /* in the file, of window[at] */
	uint64_t suspicious; /* offset at which a bad frame was read again; 0: none */
	bool skip_file;      /* not one of ours */

	struct log_frame frame; /* the current one, what is left of its payload */
	const char *payload;
	size_t left;

	struct pending pending[LOG_STDERR];
	struct pending *given; /* its data is with the caller: empty it at the next call */
	unsigned int flush;    /* bit s: give what is pending of stream s */
	int64_t skip_lines;    /* so many lines are before the tail */
	char text[160];        /* of gap records */
};

/* ---- files ------------------------------------------------------------------- */
static int open_number(int dirfd, uint32_t number)
{
	char name[LOG_NAME_MAX];
	int fd;

	log_file_name(name, number);
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int smallest_above(int dirfd, uint32_t number, uint32_t *found)
{
	_cleanup_(fd_closep) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (!dir)
		return -errno;
	(void)TAKE_FD(fd); /* the DIR's now */
	*found = 0;
	while ((d = readdir(dir))) {
		uint32_t n = log_file_number(d->d_name);

		if (n > number && (!*found || n < *found))
			*found = n;
	}
	return 0;
}

static bool was_removed(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0;
}

/* A container's directory gets another name before it is taken apart. */
static bool is_doomed(int dirfd)
{
	char path[FD_PATH_MAX], name[PATH_MAX];
	ssize_t n = readlink(fd_path(dirfd, path), name, sizeof(name) - 1);
	const char *base;

	if (n < 0)
		return true;
	name[n] = '\0';
	base = strrchr(name, '/');
	return (base && skip_prefix(base + 1, DIRS_DOOMED)) || was_removed(dirfd);
}

/* Look for the file after the current one.  Numbers are without holes unless the
 * oldest were removed, so the directory is read only then. */
static void find_next(struct log_reader *r)
{
	uint32_t number = r->number + 1;
	int fd = r->number ? open_number(r->dirfd, number) : -ENOENT;

	/* Twice, since the file found may be rotated away before it is opened. */
	for (int tries = 0; fd == -ENOENT && tries < 8; tries++) {
		if (r->number && r->o.follow && !was_removed(r->fd))
			return;
		if (smallest_above(r->dirfd, r->number, &number) < 0 || !number)
			return;
		fd = open_number(r->dirfd, number);
	}
	if (fd < 0)
		return;
	r->next_fd = fd;
	r->next_number = number;
}

/* Go on with the next file.  Returns how many numbers were jumped over. */
static uint32_t switch_file(struct log_reader *r)
{
	uint32_t missed = r->number ? r->next_number - r->number - 1 : 0;

	fd_close(r->fd);
	r->fd = TAKE_FD(r->next_fd);
	r->number = r->next_number;
	r->at = r->have = 0;
	r->offset = 0;
	r->suspicious = 0;
	r->skip_file = false;
	return missed;
}

/* ---- frames ------------------------------------------------------------------- */
static void take(struct log_reader *r, size_t n)
{
	r->at += n;
	r->have -= n;
	r->offset += n;
}

/* Have at least @need bytes in the window.  0: the file has no more. */
static int want(struct log_reader *r, size_t need)
{
	while (r->have < need) {
		ssize_t n;

		if (r->at > 0) {
			memmove(r->window, r->window + r->at, r->have);
			r->at = 0;
		}
		n = pread(r->fd, r->window + r->have, WINDOW - r->have,
			  (off_t)(r->offset + r->have));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		r->have += (size_t)n;
	}
	return 1;
}

/* Step over bytes that are no frame, to the next that might start one.  The first
 * time we only forget them and read again: they may have been in the middle of being
 * replaced. */
static void distrust(struct log_reader *r)
{
	const uint8_t *c;

	if (r->suspicious != r->offset) {
		r->suspicious = r->offset;
		r->have = 0;
		return;
	}
	take(r, 1);
	c = memchr(r->window + r->at, LOG_FRAME_MAGIC & 0xff, r->have);
	take(r, c ? (size_t)(c - (r->window + r->at)) : r->have);
	r->suspicious = r->offset; /* no second look while we search */
}

/* The window holds the rest of the file and begins with a frame that reaches beyond it:
 * one being written, unless a good frame follows.  Then its length is damaged. */
static bool skip_to_later_frame(struct log_reader *r)
{
	const uint8_t *p = r->window + r->at, *end = p + r->have;
	struct log_frame f;

	while (end - p > LOG_FRAME_EXTRA) {
		p = memchr(p + 1, LOG_FRAME_MAGIC & 0xff, (size_t)(end - p - 1));
		if (!p || end - p < LOG_FRAME_EXTRA)
			return false;
		if (log_frame_get(p, &f) && end - p >= LOG_FRAME_EXTRA + (ptrdiff_t)f.length &&
		    log_frame_footer_ok(p, p + LOG_FRAME_HEADER + f.length)) {
			take(r, (size_t)(p - (r->window + r->at)));
			return true;
		}
	}
	return false;
}

static int check_file_header(struct log_reader *r)
{
	uint8_t header[LOG_FILE_HEADER];
	int n = want(r, LOG_FILE_HEADER);

	if (n <= 0)
		return n;
	log_file_header(header);
	if (memcmp(header, r->window + r->at, LOG_FILE_HEADER) != 0)
		r->skip_file = true;
	take(r, LOG_FILE_HEADER);
	return 1;
}

/* The next whole frame of the current file into r->frame.  0: none (yet). */
static int next_frame(struct log_reader *r)
{
	for (;;) {
		const uint8_t *head;
		struct log_frame f;
		int n = r->offset ? want(r, LOG_FRAME_EXTRA) : check_file_header(r);

		if (n < 0 || r->skip_file)
			return n < 0 ? n : 0;
		if (n > 0 && r->offset == LOG_FILE_HEADER)
			n = want(r, LOG_FRAME_EXTRA);
		head = r->window + r->at;
		if (n > 0 && !log_frame_get(head, &f)) {
			distrust(r);
			continue;
		}
		if (n > 0) {
			n = want(r, LOG_FRAME_EXTRA + f.length);
			head = r->window + r->at;
		}
		if (n < 0)
			return n;
		if (n == 0 && skip_to_later_frame(r))
			continue;
		if (n == 0) {
			r->have = 0;
			return 0;
		}
		if (!log_frame_footer_ok(head, head + LOG_FRAME_HEADER + f.length)) {
			distrust(r);
			continue;
		}
		r->payload = (const char *)head + LOG_FRAME_HEADER;
		r->left = f.length;
		r->frame = f; /* only now: what is no good must leave no trace */
		take(r, LOG_FRAME_EXTRA + f.length);
		return 1;
	}
}

/* ---- records ------------------------------------------------------------------ */
static void fill(const struct log_reader *r, struct log_record *rec, const char *data, size_t len)
{
	*rec = (struct log_record){ .kind = LOG_REC_LINE,
				    .stream = r->frame.stream,
				    .real = r->frame.real,
				    .order = r->frame.order,
				    .data = data,
				    .len = len };
}

static int gap(struct log_reader *r, struct log_record *rec, uint64_t bytes)
{
	fill(r, rec, r->text, strlen(r->text));
	rec->kind = LOG_REC_GAP;
	rec->stream = LOG_SYSTEM;
	rec->bytes = bytes;
	return 1;
}

static int give_pending(struct log_reader *r, struct log_record *rec, enum log_stream stream)
{
	struct pending *p = r->pending + stream - 1;

	fill(r, rec, p->data, p->len);
	rec->stream = stream;
	r->given = p;
	return 1;
}

static void keep(struct log_reader *r, struct pending *p, size_t n)
{
	if (!p->data)
		p->data = xmalloc(LOG_LINE_MAX);
	memcpy(p->data + p->len, r->payload, n);
	p->len += n;
	p->active = true;
	p->real = r->frame.real;
	p->order = r->frame.order;
	r->payload += n;
	r->left -= n;
}

/* A piece of the frame that need not be copied. */
static int give_piece(struct log_reader *r, struct log_record *rec, size_t n, bool partial)
{
	fill(r, rec, r->payload, n);
	rec->partial = partial;
	r->payload += n + !partial;
	r->left -= n + !partial;
	return 1;
}

/* The next line, or piece of LOG_LINE_MAX, of the current frame.  0: what is left was
 * kept for the next frame of its stream. */
static int next_line(struct log_reader *r, struct log_record *rec)
{
	struct pending *p = r->pending + r->frame.stream - 1;
	const char *newline = memchr(r->payload, '\n', r->left);
	size_t n = newline ? (size_t)(newline - r->payload) : r->left;
	size_t room = LOG_LINE_MAX - p->len;

	if (n > room) {
		if (!p->len)
			return give_piece(r, rec, room, true);
		keep(r, p, room);
		(void)give_pending(r, rec, r->frame.stream);
		rec->partial = true;
		return 1;
	}
	if (newline && !p->len) {
		p->active = false;
		return give_piece(r, rec, n, false);
	}
	keep(r, p, n);
	if (!newline)
		return 0;
	r->payload++;
	r->left--;
	p->active = false;
	return give_pending(r, rec, r->frame.stream);
}

/* A stream's line that nobody will finish. */
static int flush_pending(struct log_reader *r, struct log_record *rec)
{
	for (enum log_stream s = LOG_STDOUT; s <= LOG_STDERR; s++) {
		struct pending *p = r->pending + s - 1;

		if (!(r->flush & 1U << s))
			continue;
		r->flush &= ~(1U << s);
		if (!p->active)
			continue;
		p->active = false;
		if (!p->len)
			continue; /* it ended with a piece that was given already */
		(void)give_pending(r, rec, s);
		rec->no_newline = true;
		rec->real = p->real;
		rec->order = p->order;
		return 1;
	}
	return 0;
}

#define FLUSH_ALL (1U << LOG_STDOUT | 1U << LOG_STDERR)

/* What the current frame has to give; 0 when it is used up. */
static int next_of_frame(struct log_reader *r, struct log_record *rec)
{
	if (flush_pending(r, rec))
		return 1;
	if (r->frame.stream == LOG_SYSTEM) {
		uint8_t flags = r->frame.flags;
		size_t n = MIN(r->left, sizeof(r->text) - 1);

		r->frame.stream = 0; /* once */
		if (flags & LOG_GAP) {
			memcpy(r->text, r->payload, n);
			r->text[n] = '\0';
			return gap(r, rec, strtoull(r->text, NULL, 10));
		}
		fill(r, rec, "", 0);
		rec->kind = LOG_REC_END;
		rec->stream = LOG_SYSTEM;
		return !!(flags & LOG_END);
	}
	if (!r->frame.stream || !r->left)
		return 0;
	if (r->o.raw) {
		fill(r, rec, r->payload, r->left);
		rec->kind = LOG_REC_CHUNK;
		r->left = 0;
		return 1;
	}
	return next_line(r, rec);
}

/* A frame was just read: which unfinished lines does it show to be over? */
static void begin_frame(struct log_reader *r)
{
	if (r->frame.stream == LOG_SYSTEM)
		r->flush = r->frame.flags & LOG_END ? FLUSH_ALL : 0;
	else
		r->flush = r->frame.flags & LOG_CONT ? 0 : 1U << r->frame.stream;
}

/* At the end of the current file.  1: @rec has something to say about it; 0: go
 * on reading; -EAGAIN: there is no more. */
static int next_file(struct log_reader *r, struct log_record *rec)
{
	bool foreign = r->skip_file;
	uint32_t was = r->number, missed;

	if (r->next_fd < 0) {
		find_next(r);
		/* Complete now: read the rest of it before moving on. */
		return r->next_fd < 0 ? -EAGAIN : 0;
	}
	missed = switch_file(r);
	if (missed)
		snprintf(r->text, sizeof(r->text),
			 "%u log file%s removed by rotation before being read", missed,
			 missed == 1 ? " was" : "s were");
	else if (foreign)
		snprintf(r->text, sizeof(r->text), "log file %u is not one this version can read",
			 was);
	return missed || foreign ? gap(r, rec, 0) : 0;
}

static int next_any(struct log_reader *r, struct log_record *rec, struct err *e)
{
	for (;;) {
		int n = next_of_frame(r, rec);

		if (n > 0)
			return n;
		n = r->fd >= 0 ? next_frame(r) : 0;
		if (n < 0)
			return err_errno(e, -n, "read log file %u", r->number);
		if (n > 0) {
			begin_frame(r);
			continue;
		}
		n = next_file(r, rec);
		if (n)
			return n;
	}
}

/* No more, now: for good?  (IN_DELETE_SELF would not do: it is held back while
 * anybody, like us, has the directory open.) */
static int at_end(struct log_reader *r, struct log_record *rec)
{
	if (r->o.follow && !is_doomed(r->dirfd) && !was_removed(r->fd)) {
		r->idle = true;
		return -EAGAIN;
	}
	r->finished = true;
	r->flush = FLUSH_ALL;
	return flush_pending(r, rec);
}

static bool wanted(struct log_reader *r, const struct log_record *rec)
{
	bool is_line = rec->kind == LOG_REC_LINE;

	if (is_line && r->skip_lines > 0) {
		r->skip_lines -= !rec->partial;
		return false;
	}
	return rec->real >= r->o.since && (!r->o.until || rec->real <= r->o.until);
}

static void drain_inotify(int fd)
{
	_Alignas(8) char events[4096];

	while (read(fd, events, sizeof(events)) > 0)
		;
}

static void forget_given(struct log_reader *r)
{
	if (r->given)
		r->given->len = 0;
	r->given = NULL;
}

int log_reader_next(struct log_reader *r, struct log_record *rec, struct err *e)
{
	int n;

	/* Empty it before looking, so that what is written after counts anew. */
	if (r->idle && r->inotify >= 0)
		drain_inotify(r->inotify);
	r->idle = false;
	do {
		forget_given(r);
		if (r->finished) {
			n = flush_pending(r, rec);
		} else {
			n = next_any(r, rec, e);
			if (n == -EAGAIN)
				n = at_end(r, rec);
		}
		if (n > 0 && r->o.follow && r->o.until && rec->real > r->o.until) {
			r->finished = true;
			return 0;
		}
	} while (n > 0 && !wanted(r, rec));
	return n;
}

/* ---- opening ------------------------------------------------------------------ */
static int add_watch(int inotify, int dirfd, struct err *e)
{
	char path[FD_PATH_MAX];
	int wd = inotify_add_watch(inotify, fd_path(dirfd, path),
				   IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVE_SELF | IN_ONLYDIR);

	return wd < 0 ? err_errno(e, errno, "watch the log directory") : wd;
}

/* Start where the last o.tail lines begin. */
static int seek_tail(struct log_reader *r, struct err *e)
{
	struct log_tail t;
	int n;

	if (r->o.tail < 0)
		return 0;
	n = log_tail_find(r->dirfd, (uint64_t)r->o.tail, r->o.follow, &t);
	if (n < 0)
		return err_errno(e, -n, "find the end of the log");
	if (!t.number)
		return 0;
	r->fd = open_number(r->dirfd, t.number);
	if (r->fd < 0) {
		r->fd = -EBADF; /* rotated away just now: begin with the oldest there is */
		return 0;
	}
	r->number = t.number;
	r->offset = t.offset;
	r->skip_lines = r->o.raw ? 0 : (int64_t)t.skip;
	return 0;
}

int log_reader_open_shared(int dirfd, const struct log_reader_opts *o, int inotify_fd, int *wd,
			   struct log_reader **out, struct err *e)
{
	struct log_reader *r = new0(struct log_reader);
	int n = 0;

	r->o = *o;
	r->fd = r->next_fd = r->inotify = -EBADF;
	r->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	r->window = xmalloc(WINDOW);
	if (r->dirfd < 0)
		n = err_errno(e, errno, "duplicate the log directory");
	/* Watch first: what is written from here on makes an event. */
	if (n == 0 && inotify_fd >= 0)
		n = *wd = add_watch(inotify_fd, r->dirfd, e);
	if (n >= 0)
		n = seek_tail(r, e);
	if (n < 0) {
		log_reader_free(r);
		return n;
	}
	*out = r;
	return 0;
}

int log_reader_open(int dirfd, const struct log_reader_opts *o, struct log_reader **out,
		    struct err *e)
{
	_cleanup_(fd_closep) int inotify = -EBADF;
	int r, wd;

	if (o->follow) {
		inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (inotify < 0)
			return err_errno(e, errno, "inotify");
	}
	r = log_reader_open_shared(dirfd, o, inotify, &wd, out, e);
	if (r == 0)
		(*out)->inotify = TAKE_FD(inotify);
	return r;
}

void log_reader_free(struct log_reader *r)
{
	if (!r)
		return;
	fd_close(r->fd);
	fd_close(r->next_fd);
	fd_close(r->dirfd);
	fd_close(r->inotify);
	for (size_t i = 0; i < ARRAY_SIZE(r->pending); i++)
		free(r->pending[i].data);
	free(r->window);
	free(r);
}

int log_reader_fd(const struct log_reader *r)
{
	return r->inotify;
}
