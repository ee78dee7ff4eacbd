/* engine/supervise/log_reader.h: read containers' logs, one or many, past and live.
 *
 *	struct log_reader *r;
 *	log_reader_open(dirfd, &opts, &r, e);
 *	while ((n = log_reader_next(r, &rec, e)) > 0)
 *		print(&rec);
 *	if (n == -EAGAIN)  poll log_reader_fd(r) for input, then go on   (follow only)
 *	if (n == 0)        the end
 *
 * Readers take no lock and never disturb the writer.  A reader may fall behind
 * a rotation: it finishes the file it has open even when that was removed; if
 * whole files went by meanwhile it reports one LOG_REC_GAP and continues with
 * the oldest there is.
 */
#ifndef ENGINE_SUPERVISE_LOG_READER_H
#define ENGINE_SUPERVISE_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/supervise/log_format.h"

#define LOG_TAIL_ALL (-1)

struct log_reader_opts {
	int64_t tail;   /* last N lines; LOG_TAIL_ALL */
	uint64_t since; /* CLOCK_REALTIME ns; 0: no bound.  Inclusive. */
	uint64_t until; /* CLOCK_REALTIME ns; 0: no bound.  Inclusive. */
	bool follow;
	bool raw; /* give what was read as it was read (LOG_REC_CHUNK), for attach */
};
#define LOG_READER_OPTS_INIT ((struct log_reader_opts){ .tail = LOG_TAIL_ALL })

enum log_record_kind {
	LOG_REC_LINE,  /* a line, or a piece of a long one */
	LOG_REC_CHUNK, /* raw only: bytes, newlines included */
	LOG_REC_GAP,   /* output is missing here; data is a sentence, bytes how much (0: unknown) */
	LOG_REC_END,   /* a run of the container ended here; no data */
};

struct log_record {
	enum log_record_kind kind;
	enum log_stream stream; /* stdout, stderr; LOG_SYSTEM for gap and end */
	bool partial;         /* cut at LOG_LINE_MAX: the next record of this stream continues it */
	bool no_newline;      /* the last line of a run, or of the log, that had no newline */
	uint64_t real, order; /* when its end was read; ns */
	uint64_t bytes;       /* LOG_REC_GAP */
	const char
		*data; /* without newline; not NUL-terminated; until the next call on this reader */
	size_t len;
};

struct log_reader;

/* Read the log in directory @dirfd (duplicated; O_PATH will do).  An empty
 * directory is an empty log. */
int log_reader_open(int dirfd, const struct log_reader_opts *o, struct log_reader **out,
		    struct err *e);
void log_reader_free(struct log_reader *r);
/* 1: *rec is filled; 0: end (with follow: the directory was removed, or `until`
 * has passed); -EAGAIN: with follow, nothing more now; else -errno with @e. */
int log_reader_next(struct log_reader *r, struct log_record *rec, struct err *e);
/* With follow: readable when it is worth calling log_reader_next() again after
 * -EAGAIN.  Level-triggered; the reader empties it itself.  Else -EBADF. */
int log_reader_fd(const struct log_reader *r);

/* For log_merge: as log_reader_open(), watching with the caller's inotify
 * descriptor; *wd is the watch. */
int log_reader_open_shared(int dirfd, const struct log_reader_opts *o, int inotify_fd, int *wd,
			   struct log_reader **out, struct err *e);

/* Several logs as one, oldest record first by `order`; equal keys come in the
 * order in which the logs were added, and each log keeps its own order.  Exact
 * for what was written before; records that are written while we follow come
 * as they are found, sorted among those found together. */
struct log_merge;

struct log_merge *log_merge_new(bool follow);
void log_merge_free(struct log_merge *m);
/* Add a log; possible at any time.  @o->follow is that of the merge.  @tag: given
 * back with each of its records. */
int log_merge_add(struct log_merge *m, int dirfd, const struct log_reader_opts *o, void *tag,
		  struct err *e);
/* Give no more records of @tag; what it still holds is dropped. */
void log_merge_remove(struct log_merge *m, void *tag);
/* As log_reader_next().  A log that cannot be read any further ends alone: it
 * yields one LOG_REC_GAP that says why. */
int log_merge_next(struct log_merge *m, struct log_record *rec, void **tag, struct err *e);
int log_merge_fd(const struct log_merge *m);

#endif
