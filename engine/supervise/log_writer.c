/* engine/supervise/log_writer.c: see log_writer.h; the format is in log_format.h.
 *
 * What was read goes to the file as it is, framed, with one pwritev(2) for up
 * to a megabyte; the bytes are looked at only to end frames at a newline where
 * one is near.  Invariant: [0, size) of the current file is a header and good
 * frames.  Whatever a failed or short write put behind size is cut off again,
 * so the next success continues at a frame's start.
 */
#include "engine/supervise/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/util.h"

#define BATCH_FRAMES 17 /* a megabyte in frames of 64 KiB, and one for the broken last line */
#define RETRY_NS     (10 * NSEC_PER_MSEC)

struct batch {
	struct iovec iov[BATCH_FRAMES * 3];
	uint8_t head[BATCH_FRAMES][LOG_FRAME_HEADER];
	uint8_t foot[BATCH_FRAMES][LOG_FRAME_FOOTER];
	int n;
	size_t bytes;   /* of frames */
	size_t payload; /* of payload */
};

static int put_system(struct log_writer *w, uint8_t flags, const char *text, size_t n);

/* ---- files ------------------------------------------------------------------ */
struct numbers {
	uint32_t lowest, highest; /* 0: no file */
};

/* getdents64(2) itself, since readdir(3) would allocate 32 KiB for good. */
static struct numbers scan(int dirfd)
{
	struct dirent64_raw {
		uint64_t ino;
		int64_t off;
		uint16_t reclen;
		uint8_t type;
		char name[];
	};
	_cleanup_(fd_closep) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct numbers found = { 0 };
	_Alignas(8) char buf[2048];
	long n;

	while (fd >= 0 && (n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64_raw *d = (void *)(buf + at);
			uint32_t number = log_file_number(d->name);

			at += d->reclen;
			if (!number)
				continue;
			if (!found.lowest || number < found.lowest)
				found.lowest = number;
			found.highest = MAX(found.highest, number);
		}
	}
	return found;
}

static void remove_number(struct log_writer *w, uint32_t number)
{
	char name[LOG_NAME_MAX];

	log_file_name(name, number);
	(void)unlinkat(w->dirfd, name, 0); /* a file too many is better than no log */
}

static int write_header(int fd)
{
	uint8_t head[LOG_FILE_HEADER];
	ssize_t n;

	log_file_header(head);
	n = pwrite(fd, head, sizeof(head), 0);
	return n == sizeof(head) ? 0 : n < 0 ? -errno : -ENOSPC;
}

/* Start file @number and make it the current one; the former stays current on
 * failure. */
static int start_file(struct log_writer *w, uint32_t number)
{
	char name[LOG_NAME_MAX];
	int fd, r;

	log_file_name(name, number);
	fd = retry_eintr(
		openat(w->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (fd < 0)
		return -errno;
	r = write_header(fd);
	if (r < 0) {
		fd_close(fd);
		(void)unlinkat(w->dirfd, name, 0); /* the write's error is the one that counts */
		return r;
	}
	fd_close(w->fd);
	w->fd = fd;
	w->number = number;
	w->size = LOG_FILE_HEADER;
	if (number > w->max_files)
		remove_number(w, number - w->max_files);
	return 0;
}

/* A good frame at @at that ends by @end?  Returns its size, 0 if not. */
static uint64_t frame_at(int fd, uint64_t at, uint64_t end)
{
	uint8_t head[LOG_FRAME_HEADER], foot[LOG_FRAME_FOOTER];
	struct log_frame f;

	if (at < LOG_FILE_HEADER || at + LOG_FRAME_EXTRA > end ||
	    pread(fd, head, sizeof(head), (off_t)at) != sizeof(head) || !log_frame_get(head, &f) ||
	    at + LOG_FRAME_EXTRA + f.length > end)
		return 0;
	if (pread(fd, foot, sizeof(foot), (off_t)(at + LOG_FRAME_HEADER + f.length)) !=
		    sizeof(foot) ||
	    !log_frame_footer_ok(head, foot))
		return 0;
	return LOG_FRAME_EXTRA + f.length;
}

/* Where the good frames of a file of @size bytes end.  Normally its last frame
 * says at once that all is well; after a crash we walk. */
static uint64_t good_size(int fd, uint64_t size)
{
	uint64_t at = LOG_FILE_HEADER, step;
	uint32_t total;

	if (size >= LOG_FILE_HEADER + LOG_FRAME_EXTRA &&
	    pread(fd, &total, sizeof(total), (off_t)(size - LOG_FRAME_FOOTER)) == sizeof(total)) {
		total = le32toh(total);
		if (total && total <= size && frame_at(fd, size - total, size) == total)
			return size;
	}
	while ((step = frame_at(fd, at, size)) > 0)
		at += step;
	return at;
}

/* What the last frame of the good [0, size) says: was the run ended, did it leave a
 * line unfinished? */
static void look_at_last(struct log_writer *w, int fd, uint64_t size)
{
	uint8_t head[LOG_FRAME_HEADER];
	struct log_frame f;
	uint32_t total;

	if (size == LOG_FILE_HEADER ||
	    pread(fd, &total, sizeof(total), (off_t)(size - LOG_FRAME_FOOTER)) != sizeof(total) ||
	    pread(fd, head, sizeof(head), (off_t)(size - le32toh(total))) != sizeof(head) ||
	    !log_frame_get(head, &f))
		return;
	w->cut_run = !(f.flags & LOG_END);
	w->open_line[0] = w->cut_run && (f.flags & (LOG_OPEN | LOG_OTHER));
}

static bool header_ok(int fd, uint64_t size)
{
	uint8_t want[LOG_FILE_HEADER], have[LOG_FILE_HEADER];

	log_file_header(want);
	return size >= LOG_FILE_HEADER && pread(fd, have, sizeof(have), 0) == sizeof(have) &&
	       memcmp(want, have, sizeof(want)) == 0;
}

/* Continue file @number; -EINVAL when it is not a log of ours. */
static int continue_file(struct log_writer *w, uint32_t number)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	char name[LOG_NAME_MAX];
	struct stat st;
	uint64_t size;

	log_file_name(name, number);
	fd = openat(w->dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !header_ok(fd, (uint64_t)st.st_size))
		return -EINVAL;
	size = good_size(fd, (uint64_t)st.st_size);
	if (size < (uint64_t)st.st_size && retry_eintr(ftruncate(fd, (off_t)size)) < 0)
		return -errno;
	look_at_last(w, fd, size);
	w->fd = TAKE_FD(fd);
	w->number = number;
	w->size = size;
	return 0;
}

/* Continue the newest file; when there is none, or it is no log, start one if
 * @make says so. */
static int open_current(struct log_writer *w, bool make)
{
	struct numbers found = scan(w->dirfd);

	for (uint32_t n = found.lowest; n && n + w->max_files <= found.highest; n++)
		remove_number(w, n);
	if (found.highest && continue_file(w, found.highest) == 0)
		return 0;
	return make ? start_file(w, found.highest + 1) : 0;
}

void log_writer_init(struct log_writer *w, int dirfd, uint64_t max_size, uint32_t max_files,
		     uint64_t epoch)
{
	*w = (struct log_writer){
		.dirfd = dirfd,
		.fd = -EBADF,
		.max_size = MAX(max_size ? max_size : LOG_DEFAULT_MAX_SIZE, (uint64_t)LOG_MIN_SIZE),
		.max_files = max_files ? max_files : LOG_DEFAULT_MAX_FILE,
		.epoch = epoch,
	};
	if (dirfd >= 0)
		(void)open_current(w, false); /* tried again at the first write */
	/* The last run's monitor was killed: what it left unfinished stays so. */
	if (w->cut_run)
		(void)put_system(w, LOG_END, "", 0); /* the next frame says it too */
	memset(w->open_line, 0, sizeof(w->open_line));
}

void log_writer_done(struct log_writer *w)
{
	w->fd = fd_close(w->fd);
}

/* ---- losing ------------------------------------------------------------------- */
static void lose(struct log_writer *w, enum log_stream stream, size_t bytes, int err)
{
	w->lost += bytes;
	w->lost_total += bytes;
	w->lost_errno = err;
	w->open_line[stream - 1] = false; /* what comes next does not continue that line */
}

/* ---- frames ------------------------------------------------------------------- */
static void batch_add(struct batch *b, const struct log_frame *f, const void *p)
{
	struct iovec *v = b->iov + (size_t)b->n * 3;

	log_frame_put(f, b->head[b->n], b->foot[b->n]);
	v[0] = (struct iovec){ b->head[b->n], LOG_FRAME_HEADER };
	v[1] = (struct iovec){ (void *)p, f->length };
	v[2] = (struct iovec){ b->foot[b->n], LOG_FRAME_FOOTER };
	b->n++;
	b->bytes += LOG_FRAME_EXTRA + f->length;
	b->payload += f->length;
}

static void stamp(const struct log_writer *w, struct log_frame *f)
{
	f->real = now_real_ns();
	f->order = w->epoch + now_mono_ns();
}

/* How much of @p goes into a frame of at most @room bytes: up to the last
 * newline in it, or all of it; 0 when it is better not to use so little room. */
static size_t frame_length(const char *p, size_t n, size_t room, bool fresh_file)
{
	size_t most = MIN(room, (size_t)LOG_FRAME_MAX);
	const char *newline;

	if (most >= n)
		return n;
	newline = memrchr(p, '\n', most);
	if (newline)
		return (size_t)(newline - p) + 1;
	return room >= LOG_FRAME_MAX || fresh_file ? most : 0;
}

/* Fill @b from @p until it, or the current file, is full. */
static void batch_fill(struct log_writer *w, struct batch *b, struct log_frame *f, const char *p,
		       size_t n)
{
	bool open_line = w->open_line[f->stream - 1];
	uint8_t other = w->open_line[LOG_STDERR - f->stream] ? LOG_OTHER : 0;

	b->n = 0;
	b->bytes = b->payload = 0;
	while (n > 0 && b->n < BATCH_FRAMES) {
		uint64_t used = w->size + b->bytes + LOG_FRAME_EXTRA;
		size_t room = used < w->max_size ? (size_t)(w->max_size - used) : 0;
		size_t take = frame_length(p, n, room, w->size + b->bytes == LOG_FILE_HEADER);

		if (!take)
			return;
		f->length = (uint32_t)take;
		f->flags = open_line ? other | LOG_CONT : other;
		open_line = p[take - 1] != '\n';
		if (open_line)
			f->flags |= LOG_OPEN;
		batch_add(b, f, p);
		p += take;
		n -= take;
	}
}

/* Write @b; how many bytes of its payload are in good frames after. */
static size_t batch_write(struct log_writer *w, struct batch *b, enum log_stream stream, int *err)
{
	ssize_t n = pwritev(w->fd, b->iov, b->n * 3, (off_t)w->size);
	size_t left, payload = 0;

	if (n == (ssize_t)b->bytes) {
		w->size += b->bytes;
		w->open_line[stream - 1] = b->head[b->n - 1][3] & LOG_OPEN;
		return b->payload;
	}
	*err = n < 0 ? errno : ENOSPC; /* short: write(2) says so when the disk is nearly full */
	left = n < 0 ? 0 : (size_t)n;
	for (int i = 0; i < b->n; i++) {
		size_t length = b->iov[i * 3 + 1].iov_len;

		if (left < length + LOG_FRAME_EXTRA)
			break;
		left -= length + LOG_FRAME_EXTRA;
		w->size += length + LOG_FRAME_EXTRA;
		payload += length;
	}
	(void)!retry_eintr(ftruncate(w->fd, (off_t)w->size)); /* if not: the next write covers it */
	return payload;
}

static int put_system(struct log_writer *w, uint8_t flags, const char *text, size_t n)
{
	struct batch b;
	struct log_frame f = { .stream = LOG_SYSTEM, .flags = flags, .length = (uint32_t)n };
	int err = 0;

	if (w->open_line[LOG_STDOUT - 1] || w->open_line[LOG_STDERR - 1])
		f.flags |= LOG_OTHER;
	stamp(w, &f);
	b.n = 0;
	b.bytes = b.payload = 0;
	batch_add(&b, &f, text);
	(void)batch_write(w, &b, LOG_SYSTEM, &err); /* err says it */
	return -err;
}

/* Have a file to write to, and the gap accounted for. */
static int get_ready(struct log_writer *w)
{
	char text[160];
	int n, r;

	if (w->fd < 0) {
		if (now_mono_ns() < w->retry_at)
			return -w->lost_errno;
		r = open_current(w, true);
		if (r < 0) {
			w->retry_at = now_mono_ns() + RETRY_NS;
			return r;
		}
	}
	if (!w->lost)
		return 0;
	n = snprintf(text, sizeof(text), "%llu bytes of output lost: %s",
		     (unsigned long long)w->lost, strerror(w->lost_errno));
	r = put_system(w, LOG_GAP, text, (size_t)n);
	if (r == 0)
		w->lost = 0;
	return r;
}

void log_writer_put(struct log_writer *w, enum log_stream stream, const void *p, size_t n)
{
	struct log_frame f = { .stream = (uint8_t)stream };
	const char *at = p;
	struct batch b;

	if (w->dirfd < 0 || n == 0)
		return;
	stamp(w, &f);
	while (n > 0) {
		size_t done;
		int err = -get_ready(w);

		if (err) {
			lose(w, stream, n, err);
			return;
		}
		batch_fill(w, &b, &f, at, n);
		if (b.n == 0) {
			err = -start_file(w, w->number + 1);
			if (err) {
				lose(w, stream, n, err);
				return;
			}
			continue;
		}
		done = batch_write(w, &b, stream, &err);
		at += done;
		n -= done;
		if (err) {
			lose(w, stream, n, err);
			return;
		}
	}
}

void log_writer_end(struct log_writer *w)
{
	if (w->dirfd < 0 || (w->fd < 0 && !w->lost))
		return; /* not wanted, or nothing was ever said */
	w->retry_at = 0;
	if (get_ready(w) == 0)
		(void)put_system(w, LOG_END, "", 0); /* readers do without; the exit record counts */
}
