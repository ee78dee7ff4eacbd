/* engine/image/pack_walk.c: depth first, names of a directory sorted by byte value,
 * a descriptor for each directory on the way down.  Bytes gather in one buffer that
 * goes to the hash and then, perhaps through a compressor of libarchive, to the
 * output; libarchive's tar writer is not used, since its bytes change from version
 * to version and diff ids must not.
 */
#include "engine/image/pack_walk.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/strv.h"
#include "engine/image/tar_write.h"
#include "engine/image/tree.h"
#include "engine/image/unpack.h"

#define CHUNK      (256U << 10)
#define XATTR_MAX  (64U << 10) /* bytes of a list of names, and of a value: xattr(7) */
#define WHITEOUT   ".wh."
#define OPAQUE     ".wh..wh..opq"
#define OVERLAY(x) "trusted.overlay." x

struct walk {
	const struct pack_job *job;
	struct pack_result *result;
	struct hasher *tar_hash, *out_hash;
	struct archive *compressor; /* NULL: none */
	struct buf pending;
	struct buf path;   /* of the entry at hand, clean */
	struct map inodes; /* "ino" → its first path, for files with several names */
	struct err err;    /* what writing had to say inside libarchive */
	char chunk[CHUNK];
};

/* ---- output ------------------------------------------------------------------------ */

static int write_out(struct walk *w, const void *p, size_t n, struct err *e)
{
	int r = w->job->out >= 0 ? fd_write_all(w->job->out, p, n) : 0;

	if (r < 0)
		return err_errno(e, -r, "write the archive");
	w->result->compressed += n;
	if (w->out_hash)
		hasher_add(w->out_hash, p, n);
	return 0;
}

static la_ssize_t on_compressed(struct archive *a, void *data, const void *p, size_t n)
{
	struct walk *w = data;

	if (write_out(w, p, n, &w->err) == 0)
		return (la_ssize_t)n;
	archive_set_error(a, w->err.code, "%s", w->err.msg);
	return -1;
}

static int compressor_failed(struct walk *w, struct err *e)
{
	if (w->err.code)
		return err_set(e, w->err.code, "%s", w->err.msg);
	return err_set(e, EIO, "compress: %s", archive_error_string(w->compressor) ?: "unknown");
}

/* libarchive's "raw" format: one entry without a name, and nothing around its bytes. */
static int open_compressor(struct walk *w, struct err *e)
{
	struct archive *a = w->compressor = archive_write_new();
	struct archive_entry *entry;
	int r;

	if (!a)
		return err_errno(e, ENOMEM, "libarchive");
	r = archive_write_set_format_raw(a);
	if (r == ARCHIVE_OK && w->job->format == COMPRESSION_GZIP)
		r = archive_write_add_filter_gzip(a);
	else if (r == ARCHIVE_OK)
		r = archive_write_add_filter_zstd(a);
	/* The time of day does not belong into a digest. */
	if (r == ARCHIVE_OK && w->job->format == COMPRESSION_GZIP)
		r = archive_write_set_filter_option(a, "gzip", "timestamp", NULL);
	if (r == ARCHIVE_OK)
		r = archive_write_set_bytes_per_block(a, 0);
	if (r == ARCHIVE_OK)
		r = archive_write_open(a, w, NULL, on_compressed, NULL);
	if (r != ARCHIVE_OK)
		return compressor_failed(w, e);
	entry = archive_entry_new();
	archive_entry_set_filetype(entry, AE_IFREG);
	r = archive_write_header(a, entry);
	archive_entry_free(entry);
	return r == ARCHIVE_OK ? 0 : compressor_failed(w, e);
}

static int emit(struct walk *w, const char *p, size_t n, struct err *e)
{
	w->result->size += n;
	hasher_add(w->tar_hash, p, n);
	if (!w->compressor)
		return write_out(w, p, n, e);
	while (n > 0) {
		la_ssize_t done = archive_write_data(w->compressor, p, n);

		if (done <= 0)
			return compressor_failed(w, e);
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int flush(struct walk *w, struct err *e)
{
	int r = w->pending.len ? emit(w, w->pending.data, w->pending.len, e) : 0;

	buf_truncate(&w->pending, 0);
	return r;
}

static int put_bytes(struct walk *w, const void *p, size_t n, struct err *e)
{
	buf_add(&w->pending, p, n);
	return w->pending.len >= CHUNK ? flush(w, e) : 0;
}

static int put_zeros(struct walk *w, uint64_t n, struct err *e)
{
	static const char zeros[64U << 10];
	int r = 0;

	for (; r == 0 && n > 0; n -= MIN(n, sizeof(zeros)))
		r = put_bytes(w, zeros, MIN(n, sizeof(zeros)), e);
	return r;
}

/* ---- attributes -------------------------------------------------------------------- */

struct xattrs {
	struct tar_xattr *items;
	size_t n;
	bool opaque;
};

static void xattrs_done(struct xattrs *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->items[i].name);
		free(x->items[i].value);
	}
	free(x->items);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tar_xattr *)a)->name, ((const struct tar_xattr *)b)->name);
}

/* Overlayfs notes in attributes what a tar cannot say; with the options that our
 * overlays are mounted with it does not. */
static int on_overlay(const struct walk *w, struct xattrs *x, const char *name, const char *value,
		      size_t n, struct err *e)
{
	if (!w->job->layer)
		return 0;
	if (streq(name, OVERLAY("opaque")))
		x->opaque = n == 1 && *value == 'y';
	else if (streq(name, OVERLAY("redirect")) || streq(name, OVERLAY("metacopy")))
		return err_set(e, EOPNOTSUPP, "%s cannot be in a layer's archive", name);
	return 0;
}

static int take_xattr(const struct walk *w, int fd, const char *name, struct xattrs *x,
		      struct err *e)
{
	bool overlay = skip_prefix(name, OVERLAY("")) != NULL;
	_cleanup_(free_p) char *value = NULL;
	ssize_t n;

	if (!overlay && !streq(name, "security.capability") &&
	    (!skip_prefix(name, "user.") || skip_prefix(name, "user.overlay.")))
		return 0;
	if (strchr(name, '=')) /* in a PAX record it would end the name */
		return err_set(e, EOPNOTSUPP, "an archive cannot hold the attribute %.64s", name);
	value = xmalloc(XATTR_MAX);
	n = fgetxattr(fd, name, value, XATTR_MAX);
	if (n < 0)
		return errno == ENODATA ? 0 : err_errno(e, errno, "read %.64s", name);
	if (overlay)
		return on_overlay(w, x, name, value, (size_t)n, e);
	x->items = xreallocarray(x->items, x->n + 1, sizeof(*x->items));
	x->items[x->n++] = (struct tar_xattr){ .name = xstrdup(name),
					       .value = xmemdup(value, (size_t)n + !n),
					       .n = (size_t)n };
	return 0;
}

static int read_xattrs(struct walk *w, int fd, struct xattrs *x, struct err *e)
{
	_cleanup_(free_p) char *names = NULL;
	ssize_t n = flistxattr(fd, NULL, 0);
	int r = 0;

	if (n <= 0) /* nearly always */
		return n < 0 && errno != EOPNOTSUPP ? err_errno(e, errno, "list attributes") : 0;
	names = xmalloc(XATTR_MAX);
	n = flistxattr(fd, names, XATTR_MAX);
	if (n < 0)
		return err_errno(e, errno, "list attributes");
	for (const char *name = names; r == 0 && name < names + n; name += strlen(name) + 1)
		r = take_xattr(w, fd, name, x, e);
	if (x->n > 1)
		qsort(x->items, x->n, sizeof(*x->items), by_name);
	return r;
}

/* ---- entries ------------------------------------------------------------------------ */

static int put_header(struct walk *w, const struct tar_header *h, struct err *e)
{
	w->result->n_files++;
	tar_put_header(&w->pending, h);
	return w->pending.len >= CHUNK ? flush(w, e) : 0;
}

static struct tar_header header_of(const struct walk *w, const struct stat *st)
{
	return (struct tar_header){
		.path = buf_str(&w->path),
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = st->st_rdev,
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
		.mtime = st->st_mtim,
	};
}

/* Something made of nothing but a name.  Without times: overlayfs keeps none for it. */
static int put_mark(struct walk *w, const char *dir, size_t n_dir, const char *prefix,
		    const char *name, struct err *e)
{
	_cleanup_(free_p) char *path = xasprintf("%.*s%s%s", (int)n_dir, dir, prefix, name);

	return put_header(w, &(struct tar_header){ .path = path, .mode = S_IFREG | 0600 }, e);
}

/* The first name has the data, every other one leads to it; 1: it was one of these.
 * Inode numbers suffice: one tree, one file system. */
static int put_hardlink(struct walk *w, const struct stat *st, struct err *e)
{
	char key[24];
	const char *first;
	struct tar_header h;
	int r;

	if (st->st_nlink < 2)
		return 0;
	snprintf(key, sizeof(key), "%ju", (uintmax_t)st->st_ino);
	first = map_get(&w->inodes, key);
	if (!first) {
		map_put(&w->inodes, key, xstrdup(buf_str(&w->path)));
		return 0;
	}
	h = header_of(w, st);
	h.link = first;
	h.hardlink = true;
	h.size = 0;
	r = put_header(w, &h, e);
	return r < 0 ? r : 1;
}

/* Bytes [from, to) of the file, which may meanwhile be shorter. */
static int copy_range(struct walk *w, int fd, uint64_t from, uint64_t to, struct err *e)
{
	int r = 0;

	while (r == 0 && from < to) {
		ssize_t n = pread(fd, w->chunk, MIN(to - from, sizeof(w->chunk)), (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "read");
		if (n == 0) /* truncated under us (export of a running container) */
			return put_zeros(w, to - from, e);
		r = put_bytes(w, w->chunk, (size_t)n, e);
		from += (uint64_t)n;
	}
	return r;
}

/* Holes need not be read: lseek(2), SEEK_DATA. */
static int put_data(struct walk *w, int fd, uint64_t size, struct err *e)
{
	uint64_t at = 0;
	int r = 0;

	while (r == 0 && at < size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		uint64_t from = data < 0 ? (errno == ENXIO ? size : at) : (uint64_t)data;
		uint64_t to = hole < 0 ? size : (uint64_t)hole;

		from = MIN(from, size);
		to = to < from ? from : MIN(to, size);
		r = put_zeros(w, from - at, e);
		if (r == 0)
			r = copy_range(w, fd, from, to, e);
		at = to;
	}
	return r == 0 ? put_zeros(w, tar_padding(size), e) : r;
}

static int put_file(struct walk *w, int dirfd, const char *name, const struct stat *st,
		    struct err *e)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	_cleanup_(fd_closep) int fd = openat(dirfd, name, flags);
	_cleanup_(xattrs_done) struct xattrs x = { 0 };
	struct tar_header h;
	struct stat now;
	int r = put_hardlink(w, st, e);

	if (r != 0)
		return r < 0 ? r : 0;
	if (fd < 0 || fstat(fd, &now) < 0)
		return err_errno(e, errno, "open");
	/* A FIFO that took its place would otherwise look empty. */
	if (!S_ISREG(now.st_mode))
		return err_set(e, ESTALE, "it was replaced while it was read");
	r = read_xattrs(w, fd, &x, e);
	if (r < 0)
		return r;
	h = header_of(w, &now);
	h.xattrs = x.items;
	h.n_xattrs = x.n;
	r = put_header(w, &h, e);
	return r == 0 ? put_data(w, fd, h.size, e) : r;
}

static int put_symlink(struct walk *w, int dirfd, const char *name, const struct stat *st,
		       struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	struct tar_header h = header_of(w, st);
	int r = put_hardlink(w, st, e);

	if (r != 0)
		return r < 0 ? r : 0;
	if (n < 0)
		return err_errno(e, errno, "read the link");
	target[n] = '\0';
	h.link = target;
	return put_header(w, &h, e);
}

static int put_other(struct walk *w, const struct stat *st, struct err *e)
{
	struct tar_header h = header_of(w, st);
	int r = put_hardlink(w, st, e);

	return r == 0 ? put_header(w, &h, e) : MIN(r, 0);
}

static int put_dir(struct walk *w, int fd, int depth, struct err *e);

static int enter_dir(struct walk *w, int dirfd, const char *name, int depth, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;

	if (depth >= TREE_MAX_DEPTH)
		return err_set(e, ELOOP, "more than %d directories deep", TREE_MAX_DEPTH);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open");
	buf_addc(&w->path, '/');
	return put_dir(w, fd, depth, e);
}

static int put_named(struct walk *w, int dirfd, const char *name, size_t n_dir, int depth,
		     struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "stat");
	if (w->job->layer && tree_is_whiteout(&st))
		return put_mark(w, buf_str(&w->path), n_dir, WHITEOUT, name, e);
	if (w->job->layer && skip_prefix(name, WHITEOUT))
		return err_set(e, EOPNOTSUPP,
			       "in a layer a name that starts with .wh. means a removed file");
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return put_file(w, dirfd, name, &st, e);
	case S_IFDIR:
		return enter_dir(w, dirfd, name, depth + 1, e);
	case S_IFLNK:
		return put_symlink(w, dirfd, name, &st, e);
	case S_IFSOCK:
		return 0; /* nobody will be listening */
	default:
		return put_other(w, &st, e);
	}
}

static int put_entry(struct walk *w, int dirfd, const char *name, int depth, struct err *e)
{
	size_t n_dir = w->path.len;
	char shown[256];
	int r;

	buf_adds(&w->path, name);
	r = put_named(w, dirfd, name, n_dir, depth, e);
	/* Said once, by the innermost: the path is whole only there. */
	if (r < 0 && e && e->msg[0] != '"')
		r = err_wrap(e, r, "\"%s\"", unpack_printable(buf_str(&w->path), shown));
	buf_truncate(&w->path, n_dir);
	return r;
}

static int sorted_names(int fd, char ***out, struct err *e)
{
	_cleanup_(dir_closep) DIR *d = NULL;
	struct dirent *entry;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t n = 0, cap = 0;
	char **names = NULL;

	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		fd_close(copy);
		return err_errno(e, errno, "read the directory");
	}
	while ((entry = readdir(d))) {
		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		if (n + 1 >= cap) {
			cap = cap ? 2 * cap : 64;
			names = xreallocarray(names, cap, sizeof(*names));
		}
		names[n++] = xstrdup(entry->d_name);
		names[n] = NULL;
	}
	if (names)
		strv_sort(names);
	*out = names;
	return 0;
}

/* w->path: the directory's name with a slash, "" for the root. */
static int put_dir(struct walk *w, int fd, int depth, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	_cleanup_(xattrs_done) struct xattrs x = { 0 };
	struct tar_header h;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "stat");
	r = read_xattrs(w, fd, &x, e);
	if (r < 0)
		return r;
	h = header_of(w, &st);
	h.xattrs = x.items;
	h.n_xattrs = x.n;
	if (depth == 0)
		h.path = "./";
	r = put_header(w, &h, e);
	if (r == 0 && x.opaque)
		r = put_mark(w, buf_str(&w->path), w->path.len, "", OPAQUE, e);
	if (r == 0)
		r = sorted_names(fd, &names, e);
	for (char **n = names; r == 0 && n && *n; n++)
		r = put_entry(w, fd, *n, depth, e);
	return r;
}

/* ---- the whole ------------------------------------------------------------------------- */

static int finish(struct walk *w, struct err *e)
{
	int r = put_zeros(w, TAR_END, e);

	if (r == 0)
		r = flush(w, e);
	if (r == 0 && w->compressor && archive_write_close(w->compressor) != ARCHIVE_OK)
		r = compressor_failed(w, e);
	if (r < 0)
		return r;
	hasher_end(w->tar_hash, w->result->diff_id);
	if (w->out_hash)
		hasher_end(w->out_hash, w->result->digest);
	else
		memcpy(w->result->digest, w->result->diff_id, DIGEST_MAX);
	return 0;
}

int pack_walk(const struct pack_job *job, struct pack_result *out, struct err *e)
{
	struct walk *w = new0(struct walk);
	int r = 0;

	*out = (struct pack_result){ 0 };
	w->job = job;
	w->result = out;
	w->inodes = MAP_INIT_FREE(free);
	w->tar_hash = hasher_new();
	if (job->format != COMPRESSION_NONE) {
		w->out_hash = hasher_new();
		r = open_compressor(w, e);
	}
	if (r == 0)
		r = put_dir(w, job->root, 0, e);
	if (r == 0)
		r = finish(w, e);
	archive_write_free(w->compressor);
	hasher_free(w->tar_hash);
	hasher_free(w->out_hash);
	map_done(&w->inodes);
	buf_done(&w->pending);
	buf_done(&w->path);
	free(w);
	return r;
}
