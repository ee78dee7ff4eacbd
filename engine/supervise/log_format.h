/* engine/supervise/log_format.h: a container's log on disk.
 *
 * A directory of files named by a growing number, 0000000001.log and so on; the
 * highest is the one being written.  Rotation starts the next number and
 * removes the lowest: no file is ever renamed, so a reader that has file n open
 * only has to look for n+1, and when that exists n is complete.
 *
 * A file is a 16-byte file header and then frames.  All numbers are
 * little-endian.
 *
 *	file header   "COMPLOG\0"  u16 version (1)  6 bytes 0
 *
 *	frame   u16 magic 0x4c43 ("CL")
 *		u8  stream      1 stdout (also a terminal), 2 stderr, 3 system
 *		u8  flags       LOG_OPEN, LOG_CONT, LOG_GAP, LOG_END, LOG_OTHER
 *		u32 length      bytes of payload, 0..LOG_FRAME_MAX
 *		u64 real        CLOCK_REALTIME ns when it was read; to show
 *		u64 order       to sort by; see below
 *		…   payload
 *		u32 total       length + 32: walks the file backwards
 *		u32 check       a mix of the 24 header bytes
 *
 * The payload is what one read(2) of the container's output returned, as it
 * was: usually many lines, not always whole ones.  LOG_OPEN says that the last
 * line is not finished in this frame, LOG_CONT that the first bytes finish (or
 * go on with) the line which the stream's previous frame left open, LOG_OTHER that
 * the other stream has an unfinished line at this point (in a system frame: that
 * one of them has).  So the
 * writer need not look at the bytes, nothing is held back in its memory, and
 * log_reader.h makes lines again: cut at LOG_LINE_MAX, with the time at which
 * they were finished.  Overhead: 32 bytes a frame.
 *
 * order = epoch + CLOCK_MONOTONIC, where epoch (CLOCK_REALTIME - CLOCK_MONOTONIC)
 * was taken once per project and boot.  So it compares exactly between
 * the containers of a project however the wall clock is set meanwhile, and
 * still grows over a reboot.
 *
 * System frames carry no output.  LOG_GAP: output was lost because the log could
 * not be written; the payload is text that starts with the number of bytes.
 * LOG_END: the run is over and its output complete.
 *
 * Torn data: a frame counts only when magic, length, total and check agree.  An
 * incomplete frame at the end of the newest file is one being written, or what
 * a crash left; the next writer overwrites it.  Elsewhere a reader searches for
 * the next good frame.
 */
#ifndef ENGINE_SUPERVISE_LOG_FORMAT_H
#define ENGINE_SUPERVISE_LOG_FORMAT_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LOG_FILE_MAGIC  "COMPLOG"
#define LOG_VERSION     1
#define LOG_FILE_HEADER 16
#define LOG_NAME_MAX    24 /* bytes of a file name with its NUL */

#define LOG_FRAME_MAGIC  0x4c43
#define LOG_FRAME_HEADER 24
#define LOG_FRAME_FOOTER 8
#define LOG_FRAME_EXTRA  (LOG_FRAME_HEADER + LOG_FRAME_FOOTER)
#define LOG_FRAME_MAX    65536 /* payload */
#define LOG_LINE_MAX     16384 /* longer lines are shown in pieces of this size */

#define LOG_DEFAULT_MAX_SIZE (UINT64_C(10) << 20)
#define LOG_DEFAULT_MAX_FILE 5
#define LOG_MIN_SIZE         4096

enum log_stream { LOG_STDOUT = 1, LOG_STDERR = 2, LOG_SYSTEM = 3 };

enum log_frame_flags {
	LOG_OPEN = 1 << 0,
	LOG_CONT = 1 << 1,
	LOG_GAP = 1 << 2,
	LOG_END = 1 << 3,
	LOG_OTHER = 1 << 4,
	LOG_FLAGS_KNOWN = LOG_OPEN | LOG_CONT | LOG_GAP | LOG_END | LOG_OTHER,
};

struct log_frame {
	uint8_t stream, flags;
	uint32_t length;
	uint64_t real, order;
};

static inline void log_file_name(char buf[LOG_NAME_MAX], uint32_t number)
{
	snprintf(buf, LOG_NAME_MAX, "%010u.log", (unsigned int)number);
}

/* The number in a file name; 0 when it is not one of ours. */
static inline uint32_t log_file_number(const char *name)
{
	uint64_t n = 0;

	for (int i = 0; i < 10; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(name[i] - '0');
	}
	return strcmp(name + 10, ".log") == 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static inline void log_file_header(uint8_t buf[LOG_FILE_HEADER])
{
	uint16_t version = htole16(LOG_VERSION);

	memset(buf, 0, LOG_FILE_HEADER);
	memcpy(buf, LOG_FILE_MAGIC, sizeof(LOG_FILE_MAGIC));
	memcpy(buf + 8, &version, sizeof(version));
}

static inline uint32_t log_frame_check(const uint8_t head[LOG_FRAME_HEADER])
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15), w;

	for (int i = 0; i < LOG_FRAME_HEADER; i += 8) {
		memcpy(&w, head + i, 8);
		h = (h ^ le64toh(w)) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

static inline void log_frame_put(const struct log_frame *f, uint8_t head[LOG_FRAME_HEADER],
				 uint8_t foot[LOG_FRAME_FOOTER])
{
	uint16_t magic = htole16(LOG_FRAME_MAGIC);
	uint32_t length = htole32(f->length), total = htole32(f->length + LOG_FRAME_EXTRA), check;
	uint64_t real = htole64(f->real), order = htole64(f->order);

	memcpy(head, &magic, 2);
	head[2] = f->stream;
	head[3] = f->flags;
	memcpy(head + 4, &length, 4);
	memcpy(head + 8, &real, 8);
	memcpy(head + 16, &order, 8);
	check = htole32(log_frame_check(head));
	memcpy(foot, &total, 4);
	memcpy(foot + 4, &check, 4);
}

/* Decode a header; false when these bytes cannot start a frame. */
static inline bool log_frame_get(const uint8_t head[LOG_FRAME_HEADER], struct log_frame *f)
{
	uint16_t magic;
	uint32_t length;
	uint64_t real, order;

	memcpy(&magic, head, 2);
	memcpy(&length, head + 4, 4);
	memcpy(&real, head + 8, 8);
	memcpy(&order, head + 16, 8);
	*f = (struct log_frame){ .stream = head[2],
				 .flags = head[3],
				 .length = le32toh(length),
				 .real = le64toh(real),
				 .order = le64toh(order) };
	return le16toh(magic) == LOG_FRAME_MAGIC && f->length <= LOG_FRAME_MAX &&
	       f->stream >= LOG_STDOUT && f->stream <= LOG_SYSTEM && !(f->flags & ~LOG_FLAGS_KNOWN);
}

/* Does this footer belong to that header? */
static inline bool log_frame_footer_ok(const uint8_t head[LOG_FRAME_HEADER],
				       const uint8_t foot[LOG_FRAME_FOOTER])
{
	uint32_t length, total, check;

	memcpy(&length, head + 4, 4);
	memcpy(&total, foot, 4);
	memcpy(&check, foot + 4, 4);
	return le32toh(total) == le32toh(length) + LOG_FRAME_EXTRA &&
	       le32toh(check) == log_frame_check(head);
}

#endif
