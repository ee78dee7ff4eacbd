/* engine/image/tar_stream.c: two libarchive handles in a row where the stream is
 * compressed: the first undoes the compression (format "raw"), the second reads
 * tar out of the first's output.  With one handle the uncompressed bytes would
 * never be seen, and their digest is the layer's diff id.  The first bytes say
 * which it is, so the second handle has no filters at all: a tar cannot be
 * wrapped deeper than once.
 *
 * libarchive bounds PAX and GNU long-name records (1 MiB), the zstd window
 * (2^27) and xz memory; a stream that expands too far is refused here.
 */
#include "engine/image/tar_stream.h"

#include <archive.h>
#include <archive_entry.h>

#include "base/fd.h"

#define CHUNK      (256U << 10)
#define RATIO_FROM (UINT64_C(1) << 30) /* uncompressed bytes before the ratio counts */
#define RATIO_MAX  200
#define MAGIC_MAX  6

struct tar_stream {
	int fd;
	bool skip;
	struct archive *raw; /* undoes compression; NULL for a plain tar */
	struct archive *tar;
	struct archive_entry *entry; /* owned by @tar */
	struct hasher *hasher;       /* NULL: not hashing */
	uint64_t unpacked;           /* bytes that came out of @raw */
	struct err err;              /* what a callback had to say */
	size_t n_head;               /* bytes in @chunk read ahead while sniffing */
	char chunk[CHUNK];
};

static ssize_t read_some(int fd, void *p, size_t n)
{
	ssize_t r;

	do {
		r = read(fd, p, n);
	} while (r < 0 && errno == EINTR);
	return r;
}

static la_ssize_t on_read(struct archive *a, void *data, const void **out)
{
	struct tar_stream *t = data;
	ssize_t n = (ssize_t)t->n_head;

	t->n_head = 0;
	if (n == 0)
		n = read_some(t->fd, t->chunk, sizeof(t->chunk));
	if (n < 0)
		archive_set_error(a, errno, "read");
	*out = t->chunk;
	return n;
}

static la_int64_t on_skip(struct archive *a, void *data, la_int64_t request)
{
	struct tar_stream *t = data;
	off_t from, to, end;

	if (!t->skip || t->n_head)
		return 0;
	from = lseek(t->fd, 0, SEEK_CUR);
	end = lseek(t->fd, 0, SEEK_END);
	if (from < 0 || end < from)
		return 0;
	/* Never past the end: a truncated file must be seen as one. */
	to = MIN(from + request, end);
	return lseek(t->fd, to, SEEK_SET) == to ? to - from : ARCHIVE_FATAL;
}

static la_ssize_t on_unpacked(struct archive *a, void *data, const void **out)
{
	struct tar_stream *t = data;
	la_int64_t at;
	size_t n = 0;
	int r = archive_read_data_block(t->raw, out, &n, &at);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK) {
		err_set(&t->err, EBADMSG, "cannot decompress: %s",
			archive_error_string(t->raw) ?: "damaged data");
		archive_set_error(a, EBADMSG, "%s", t->err.msg);
		return ARCHIVE_FATAL;
	}
	t->unpacked += n;
	if (t->unpacked > RATIO_FROM &&
	    t->unpacked / RATIO_MAX > (uint64_t)archive_filter_bytes(t->raw, -1)) {
		err_set(&t->err, EBADMSG,
			"a compression bomb: more than %d bytes come out of each one", RATIO_MAX);
		archive_set_error(a, EBADMSG, "%s", t->err.msg);
		return ARCHIVE_FATAL;
	}
	if (t->hasher)
		hasher_add(t->hasher, *out, n);
	return (la_ssize_t)n;
}

static int failed(struct tar_stream *t, struct archive *a, struct err *e)
{
	if (t->err.code)
		return err_set(e, t->err.code, "%s", t->err.msg);
	return err_set(e, EBADMSG, "damaged tar: %s", archive_error_string(a) ?: "unknown");
}

static int open_raw(struct tar_stream *t, struct err *e)
{
	struct archive_entry *entry;

	t->raw = archive_read_new();
	if (!t->raw)
		return err_errno(e, ENOMEM, "libarchive");
	archive_read_support_filter_gzip(t->raw);
	archive_read_support_filter_zstd(t->raw);
	archive_read_support_filter_xz(t->raw);
	archive_read_support_filter_bzip2(t->raw); /* ADD takes it; no layer comes so */
	archive_read_support_format_raw(t->raw);
	archive_read_support_format_empty(t->raw);
	if (archive_read_open2(t->raw, t, NULL, on_read, NULL, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(t->raw, &entry) < ARCHIVE_WARN)
		return err_set(e, EBADMSG, "cannot decompress: %s",
			       archive_error_string(t->raw) ?: "damaged data");
	return 0;
}

static bool is_compressed(const char *p, size_t n)
{
	static const struct {
		const char *magic;
		size_t n;
	} known[] = { { "\x1f\x8b", 2 },
		      { "BZh", 3 },
		      { "\x28\xb5\x2f\xfd", 4 },
		      { "\xfd"
			"7zXZ",
			6 } };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (n >= known[i].n && memcmp(p, known[i].magic, known[i].n) == 0)
			return true;
	return false;
}

static int sniff(struct tar_stream *t, bool *compressed, struct err *e)
{
	while (t->n_head < MAGIC_MAX) {
		ssize_t n = read_some(t->fd, t->chunk + t->n_head, sizeof(t->chunk) - t->n_head);

		if (n < 0)
			return err_errno(e, errno, "read");
		if (n == 0)
			break;
		t->n_head += (size_t)n;
	}
	*compressed = is_compressed(t->chunk, t->n_head);
	return 0;
}

int tar_stream_open(int fd, bool skip, bool hash, struct tar_stream **out, struct err *e)
{
	_cleanup_(tar_stream_freep) struct tar_stream *t = new0(struct tar_stream);
	bool compressed = false;
	int r;

	t->fd = fd;
	t->skip = skip;
	r = sniff(t, &compressed, e);
	if (r == 0 && compressed)
		r = open_raw(t, e);
	if (r < 0)
		return r;
	if (compressed && hash)
		t->hasher = hasher_new();
	t->tar = archive_read_new();
	if (!t->tar)
		return err_errno(e, ENOMEM, "libarchive");
	archive_read_support_format_tar(t->tar);
	archive_read_support_format_empty(t->tar);
	if (archive_read_open2(t->tar, t, NULL, compressed ? on_unpacked : on_read,
			       compressed ? NULL : on_skip, NULL) != ARCHIVE_OK)
		return failed(t, t->tar, e);
	*out = TAKE_PTR(t);
	return 0;
}

void tar_stream_free(struct tar_stream *t)
{
	if (!t)
		return;
	archive_read_free(t->tar);
	archive_read_free(t->raw);
	hasher_free(t->hasher);
	free(t);
}

bool tar_stream_compressed(const struct tar_stream *t)
{
	return t->raw != NULL;
}

int tar_stream_next(struct tar_stream *t, struct tar_entry *out, struct err *e)
{
	int r = archive_read_next_header(t->tar, &t->entry);
	struct archive_entry *a = t->entry;

	if (r == ARCHIVE_EOF)
		return 0;
	/* ARCHIVE_WARN: a name that is not in the character set it claims;
	 * names are bytes to us. */
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return failed(t, t->tar, e);
	*out = (struct tar_entry){
		.path = archive_entry_pathname(a),
		.link = archive_entry_hardlink(a),
		.mode = archive_entry_mode(a),
		.uid = archive_entry_uid(a),
		.gid = archive_entry_gid(a),
		.rdev_major = (uint32_t)archive_entry_rdevmajor(a),
		.rdev_minor = (uint32_t)archive_entry_rdevminor(a),
		.mtime = { .tv_sec = archive_entry_mtime(a),
			   .tv_nsec = archive_entry_mtime_nsec(a) },
		.offset = (uint64_t)archive_filter_bytes(t->tar, 0),
	};
	out->hardlink = out->link != NULL;
	if (out->hardlink)
		out->mode = 0;
	else if (S_ISLNK(out->mode))
		out->link = archive_entry_symlink(a);
	if (!out->path || ((out->hardlink || S_ISLNK(out->mode)) && is_empty(out->link)))
		return err_set(e, EBADMSG, "damaged tar: an entry without a name or target");
	if (S_ISREG(out->mode)) {
		if (archive_entry_size(a) < 0)
			return err_set(e, EBADMSG, "damaged tar: negative size");
		out->size = (uint64_t)archive_entry_size(a);
	}
	return 1;
}

int tar_stream_data(struct tar_stream *t, const void **p, size_t *n, uint64_t *offset,
		    struct err *e)
{
	la_int64_t at = 0;
	int r = archive_read_data_block(t->tar, p, n, &at);

	*offset = (uint64_t)at;
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return failed(t, t->tar, e);
	return 1;
}

int tar_stream_xattrs(struct tar_stream *t, tar_xattr_fn fn, void *data, struct err *e)
{
	const char *name;
	const void *value;
	size_t n;
	int r = 0;

	archive_entry_xattr_reset(t->entry);
	while (r == 0 && archive_entry_xattr_next(t->entry, &name, &value, &n) == ARCHIVE_OK)
		if (name && (value || n == 0))
			r = fn(data, name, value, n, e);
	return r;
}

int tar_stream_finish(struct tar_stream *t, char diff_id[DIGEST_MAX], struct err *e)
{
	const void *p;
	la_ssize_t n;

	diff_id[0] = '\0';
	do {
		n = t->raw ? on_unpacked(t->tar, t, &p) : on_read(t->tar, t, &p);
	} while (n > 0);
	if (n < 0)
		return failed(t, t->tar, e);
	/* Bytes behind the compressed data: not ours, but the feeder's digest
	 * covers them, so it must get to send them. */
	while (t->raw && read_some(t->fd, t->chunk, sizeof(t->chunk)) > 0)
		;
	if (t->hasher)
		hasher_end(t->hasher, diff_id);
	return 0;
}
