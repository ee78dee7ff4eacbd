/* engine/build/digests.c: see digests.h.
 *
 * The records are mapped, not read, and found through a table of positions hashed by
 * inode: 20,000 of them are ready in a millisecond.  When most of a large file is
 * records that nobody asked for in this build, it is begun anew with those that were.
 */
#include "engine/build/digests.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "engine/image/digest.h"

#define RECORDS_MAX  (1U << 21)
#define REWRITE_SIZE (32U << 20)                  /* bytes from which rewriting is considered */
#define SETTLED      (100 * NSEC_PER_MSEC)        /* no clock of a file system ticks slower … */
#define SETTLED_SECS (2 * NSEC_PER_SEC + SETTLED) /* … but for those that count seconds */

struct file_record {
	uint64_t dev, ino, size;
	uint64_t mtime, ctime; /* ns */
	unsigned char sha[DIGEST_BYTES];
};

struct digests {
	char *path;
	const struct file_record *old; /* mapped */
	size_t n_old, mapped;
	uint32_t *table;      /* position + 1 in @old; 0: free */
	size_t n_table;       /* power of two */
	unsigned char *asked; /* per record of @old */
	size_t n_asked;
	struct buf fresh; /* struct file_record[] */
};

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * NSEC_PER_SEC + (uint64_t)t->tv_nsec;
}

static struct file_record record_of(const struct stat *st)
{
	return (struct file_record){ .dev = st->st_dev,
				     .ino = st->st_ino,
				     .size = (uint64_t)st->st_size,
				     .mtime = ns_of(&st->st_mtim),
				     .ctime = ns_of(&st->st_ctim) };
}

static size_t slot_of(const struct digests *d, const struct file_record *f)
{
	uint64_t h = (f->ino ^ f->dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(h >> 20) & (d->n_table - 1);

	while (d->table[at]) {
		const struct file_record *o = &d->old[d->table[at] - 1];

		if (o->ino == f->ino && o->dev == f->dev)
			break;
		at = (at + 1) & (d->n_table - 1);
	}
	return at;
}

static void index_records(struct digests *d)
{
	d->n_table = 64;
	while (d->n_table < d->n_old * 2)
		d->n_table *= 2;
	d->table = xcalloc(d->n_table, sizeof(*d->table));
	d->asked = xcalloc(d->n_old + 1, 1);
	for (size_t i = 0; i < d->n_old; i++)
		d->table[slot_of(d, &d->old[i])] = (uint32_t)i + 1; /* the last one counts */
}

int digests_open(const char *path, struct digests **out, struct err *e)
{
	_cleanup_(digests_freep) struct digests *d = new0(struct digests);
	_cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	void *p;

	d->path = xstrdup(path);
	if (fd < 0 && errno != ENOENT)
		return err_errno(e, errno, "open %s", path);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(struct file_record)) {
		d->n_old = MIN((size_t)st.st_size / sizeof(struct file_record),
			       (size_t)RECORDS_MAX);
		d->mapped = d->n_old * sizeof(struct file_record);
		p = mmap(NULL, d->mapped, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED)
			return err_errno(e, errno, "map %s", path);
		d->old = p;
	}
	index_records(d);
	*out = TAKE_PTR(d);
	return 0;
}

void digests_free(struct digests *d)
{
	if (!d)
		return;
	if (d->old)
		(void)munmap((void *)d->old, d->mapped);
	buf_done(&d->fresh);
	free(d->table);
	free(d->asked);
	free(d->path);
	free(d);
}

/* ---- hashing ----------------------------------------------------------------------- */

static int from_hex(const char *hex, unsigned char out[DIGEST_BYTES])
{
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		const char *digits = "0123456789abcdef";

		out[i] = (unsigned char)((strchr(digits, hex[2 * i]) - digits) << 4 |
					 (strchr(digits, hex[2 * i + 1]) - digits));
	}
	return 0;
}

static int hash_file(int dirfd, const char *name, struct stat *st, unsigned char out[DIGEST_BYTES],
		     struct err *e)
{
	_cleanup_(fd_closep) int fd = openat(dirfd, name,
					     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(free_p) char *block = xmalloc(1 << 16);
	char digest[DIGEST_MAX];
	ssize_t n;

	if (fd < 0 || fstat(fd, st) < 0)
		return err_errno(e, errno, "open %s", name);
	if (!S_ISREG(st->st_mode))
		return err_set(e, EAGAIN, "%s changed while it was read", name);
	while ((n = read(fd, block, 1 << 16)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "read %s", name);
		hasher_add(h, block, (size_t)n);
	}
	hasher_end(h, digest);
	return from_hex(digest_hex(digest), out);
}

/* Could it be changed again without its times showing it? */
static bool is_settled(const struct file_record *f)
{
	uint64_t last = MAX(f->mtime, f->ctime), now = now_real_ns();
	uint64_t margin = last % NSEC_PER_SEC == 0 ? SETTLED_SECS : SETTLED;

	return now > last && now - last > margin;
}

int digests_of_file(struct digests *d, int dirfd, const char *name, const struct stat *st,
		    unsigned char out[DIGEST_BYTES], struct err *e)
{
	struct file_record f = record_of(st), after;
	struct stat now;
	int r;

	if (d && d->n_old) {
		uint32_t at = d->table[slot_of(d, &f)];
		const struct file_record *o = at ? &d->old[at - 1] : NULL;

		if (o && o->size == f.size && o->mtime == f.mtime && o->ctime == f.ctime) {
			d->n_asked += !d->asked[at - 1];
			d->asked[at - 1] = 1;
			memcpy(out, o->sha, DIGEST_BYTES);
			return 0;
		}
	}
	r = hash_file(dirfd, name, &now, out, e);
	if (r < 0 || !d)
		return r;
	after = record_of(&now);
	memcpy(after.sha, out, DIGEST_BYTES);
	if (is_settled(&after))
		buf_add(&d->fresh, &after, sizeof(after));
	return 0;
}

/* ---- saving ------------------------------------------------------------------------ */

static void rewrite(struct digests *d)
{
	_cleanup_(buf_done) struct buf all = BUF_INIT;

	for (size_t i = 0; i < d->n_old; i++)
		if (d->asked[i])
			buf_add(&all, &d->old[i], sizeof(d->old[i]));
	buf_add(&all, d->fresh.data, d->fresh.len);
	(void)file_write_atomic(AT_FDCWD, d->path, buf_str(&all), all.len, 0600, false, NULL);
}

void digests_save(struct digests *d)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	struct stat st;
	off_t whole;

	if (!d || !d->fresh.len)
		return;
	if (d->mapped >= REWRITE_SIZE && d->n_asked < d->n_old / 2) {
		rewrite(d);
	} else {
		fd = open(d->path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
			return;
		/* Over a record that a crash left half written. */
		whole = st.st_size - st.st_size % (off_t)sizeof(struct file_record);
		if (lseek(fd, whole, SEEK_SET) == whole &&
		    fd_write_all(fd, d->fresh.data, d->fresh.len) < 0 && ftruncate(fd, whole) < 0)
			return; /* a torn record at the end is written over next time */
	}
	buf_truncate(&d->fresh, 0);
}
