/* engine/supervise/log_writer.h: append a container's output to its log.
 *
 * Used by comp-monitor only, which is tiny: no allocation, no stdio streams.
 * One writer per log directory at a time (the container's monitor).
 *
 * Nothing here fails towards the caller: output that cannot be written (disk
 * full, quota, I/O error, file size limit) is counted, and the first write that
 * works again is preceded by a gap record which says how much is missing.
 */
#ifndef ENGINE_SUPERVISE_LOG_WRITER_H
#define ENGINE_SUPERVISE_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/supervise/log_format.h"

struct log_writer {
	int dirfd;         /* the log directory; borrowed; -EBADF: discard everything */
	int fd;            /* the newest file; -EBADF when there is none, or none could be opened */
	uint32_t number;   /* its number */
	uint64_t size;     /* its length up to the last good frame */
	uint64_t max_size; /* rotate before a file grows beyond this */
	uint32_t max_files;
	uint64_t epoch; /* added to CLOCK_MONOTONIC; see log_format.h */
	uint64_t lost;  /* bytes not yet accounted for by a gap record */
	int lost_errno;
	uint64_t lost_total;        /* bytes lost in this run */
	uint64_t retry_at;          /* CLOCK_MONOTONIC; after a failure to open, not before */
	bool cut_run;               /* the log we continue does not end with an end record */
	bool open_line[LOG_SYSTEM]; /* per stream: the last frame ended within a line */
};

/* Continue the log in @dirfd (borrowed; -EBADF: driver "none"), or begin one with
 * the first output: much of what is started says nothing for long.  @max_size and
 * @max_files: 0 for the defaults; clamped to LOG_MIN_SIZE and 1.  A torn tail of
 * the newest file is cut off.  Problems show as a gap later. */
void log_writer_init(struct log_writer *w, int dirfd, uint64_t max_size, uint32_t max_files,
		     uint64_t epoch);
void log_writer_done(struct log_writer *w); /* closes; writes nothing */

/* Append what one read returned.  Never fails; see lost. */
void log_writer_put(struct log_writer *w, enum log_stream stream, const void *p, size_t n);
/* The run is over: leave the gap record that is due and the end record. */
void log_writer_end(struct log_writer *w);

#endif
