/* tests/fuzz/fuzz_log.c: a log file of any bytes.
 *
 * The first byte chooses how to read: tail, raw, whether the rest is two files.
 * Whatever they hold: reading ends, gives only bytes that are there, and a
 * writer that continues such a log leaves one whose last line is its own. */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/supervise/log_reader.h"
#include "engine/supervise/log_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char place_path[] = "/dev/shm/comp-fuzz-log-XXXXXX";

static void remove_place(void)
{
	(void)rmdir(place_path); /* every input removes its files */
}

/* One directory for all inputs; a process has one. */
static int place(void)
{
	static int fd = -1;

	if (fd < 0) {
		if (!mkdtemp(place_path))
			abort();
		atexit(remove_place);
		fd = open(place_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert(fd >= 0);
	}
	return fd;
}

static void save(int dirfd, uint32_t number, const uint8_t *data, size_t size)
{
	char name[LOG_NAME_MAX];
	int fd;

	log_file_name(name, number);
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0);
	(void)fd_write_all(fd, data, size);
	fd_close(fd);
}

static void clean(int dirfd)
{
	char name[LOG_NAME_MAX];

	for (uint32_t i = 1; i <= 4; i++) {
		log_file_name(name, i);
		(void)unlinkat(dirfd, name, 0);
	}
}

/* Read everything; touch every byte, so that the sanitizer sees it.  Returns
 * whether the last line is "after". */
static bool read_log(int dirfd, const struct log_reader_opts *o, size_t size)
{
	struct log_reader *r;
	struct log_record rec;
	unsigned int sum = 0;
	size_t bytes = 0;
	bool last = false;
	int n;

	if (log_reader_open(dirfd, o, &r, NULL) < 0)
		return false;
	while ((n = log_reader_next(r, &rec, NULL)) > 0) {
		assert(rec.kind != LOG_REC_LINE || rec.len <= LOG_LINE_MAX);
		for (size_t i = 0; i < rec.len; i++)
			sum += (unsigned char)rec.data[i];
		if (rec.kind == LOG_REC_LINE || rec.kind == LOG_REC_CHUNK)
			bytes += rec.len;
		if (rec.kind == LOG_REC_LINE)
			last = rec.len == 5 && memcmp(rec.data, "after", 5) == 0;
	}
	assert(n == 0 || (o->follow && n == -EAGAIN));
	assert(bytes <= size);
	log_reader_free(r);
	return last && sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_reader_opts o = LOG_READER_OPTS_INIT;
	struct log_writer w;
	int dirfd = place();
	uint8_t how;
	size_t first;

	if (size < 1)
		return 0;
	how = *data++;
	size--;
	first = how & 1 ? size / 2 : size;
	save(dirfd, 1, data, first);
	if (how & 1)
		save(dirfd, 2, data + first, size - first);
	o.raw = how & 2;
	o.follow = how & 4;
	(void)read_log(dirfd, &o, size);
	o.tail = how >> 3;
	(void)read_log(dirfd, &o, size);

	log_writer_init(&w, dirfd, 0, 0, 0);
	log_writer_put(&w, LOG_STDERR, "after\n", 6);
	log_writer_done(&w);
	o = LOG_READER_OPTS_INIT;
	o.follow = true; /* else a line the input left unfinished comes last */
	assert(read_log(dirfd, &o, size + 6));
	clean(dirfd);
	return 0;
}
