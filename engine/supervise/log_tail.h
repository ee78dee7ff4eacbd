/* engine/supervise/log_tail.h: where do the last N lines of a log begin?
 * A part of log_reader; walks the frames backwards. */
#ifndef ENGINE_SUPERVISE_LOG_TAIL_H
#define ENGINE_SUPERVISE_LOG_TAIL_H

#include <stdbool.h>
#include <stdint.h>

struct log_tail {
	uint32_t number; /* file to begin with; 0: the log is empty */
	uint64_t offset; /* of a frame in it, or its end */
	uint64_t skip;   /* lines found from there that come before the last N */
};

/* @live: a line not finished yet at the end of the log does not count (it will be
 * given when it is).  0 or -errno. */
int log_tail_find(int dirfd, uint64_t lines, bool live, struct log_tail *out);

#endif
