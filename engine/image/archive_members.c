/* engine/image/archive_members.c: what an archive of images holds, by name.
 *
 * The helper lists a tar once (extractor.h); where it is a plain file its members are
 * then read in place, otherwise from spooled copies.  A directory needs no list.
 * Links lead to other members and never out of the archive, whatever they say.
 */
#include "engine/image/archive_internal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/image/extractor.h"

#define MAX_LINKS 8 /* followed inside an archive */

struct member {
	char *link; /* another member's name, clean; NULL: a file */
	int number; /* of its spooled file, -1: in the archive at @offset */
	uint64_t offset, size;
};

static void member_free(struct member *m)
{
	if (m)
		free(m->link);
	free(m);
}

/* "./a/../b" → "b", always relative. */
static char *clean_name(const char *dir, const char *name)
{
	_cleanup_(free_p) char *base = path_absolute("/", dir);
	_cleanup_(free_p) char *full = path_absolute(base, name);

	return xstrdup(full + 1);
}

static int on_entry(void *data, const struct archive_entry_info *i, struct err *e)
{
	struct archive_file *a = data;
	_cleanup_(free_p) char *name = clean_name("/", i->name);
	_cleanup_(free_p) char *dir = path_dir(name);
	struct member *m;

	/* Later entries replace earlier ones, as when a tar is unpacked; but what
	 * the archive consists of is said once. */
	if (map_has(&a->members, name) &&
	    (streq(name, "manifest.json") || streq(name, "index.json")))
		return err_set(e, EBADMSG, "there are two files %s", name);
	m = new0(struct member);
	if (i->link)
		m->link = clean_name(i->hardlink ? "/" : dir, i->link);
	m->number = i->number;
	m->offset = i->offset;
	m->size = i->size;
	map_put(&a->members, name, m);
	return 0;
}

int archive_list_members(struct archive_file *a, struct err *e)
{
	a->members = MAP_INIT_FREE(member_free);
	return extractor_list(a->fd, stage_dirfd(a->stage), on_entry, a, e);
}

const struct member *archive_find_member(const struct archive_file *a, const char *name)
{
	_cleanup_(free_p) char *clean = clean_name("/", name);
	const struct member *m = map_get(&a->members, clean);

	for (int i = 0; m && m->link; i++)
		m = i < MAX_LINKS ? map_get(&a->members, m->link) : NULL;
	return m;
}

static int open_in_dir(const struct archive_file *a, const char *name, struct layer_source *out,
		       struct err *e)
{
	int fd = fd_open_in_root(a->fd, name, O_RDONLY | O_NONBLOCK, 0, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		fd_close(fd);
		return err_set(e, EBADMSG, "%.200s is not a file", name);
	}
	*out = (struct layer_source){ .fd = fd, .size = (uint64_t)st.st_size };
	return fd;
}

int archive_open_member(const struct archive_file *a, const char *name, struct layer_source *out,
			struct err *e)
{
	const struct member *m;
	char file[16];
	int fd;

	if (a->is_dir)
		return open_in_dir(a, name, out, e);
	m = archive_find_member(a, name);
	if (!m)
		return err_set(e, ENOENT, "%.200s is missing", name);
	*out = (struct layer_source){ .size = m->size };
	if (m->number < 0) {
		out->offset = m->offset;
		fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 3);
	} else {
		snprintf(file, sizeof(file), "%d", m->number);
		fd = openat(stage_dirfd(a->stage), file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return err_errno(e, errno, "open %.200s", name);
	return out->fd = fd;
}

int archive_read_member(const struct archive_file *a, const char *name, struct buf *out,
			struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;
	struct layer_source src;

	fd = archive_open_member(a, name, &src, e);
	if (fd < 0)
		return fd;
	if (src.size > CONFIG_MAX_SIZE)
		return err_set(e, EFBIG, "%.200s is larger than %u bytes", name, CONFIG_MAX_SIZE);
	buf_reserve(out, src.size + 1);
	while (out->len < src.size) {
		ssize_t n = pread(fd, out->data + out->len, src.size - out->len,
				  (off_t)(src.offset + out->len));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, EBADMSG, "%.200s ends too early", name);
		out->len += (size_t)n;
	}
	return 0;
}

char *archive_blob_name(const char *digest)
{
	return xasprintf("blobs/sha256/%s", digest_hex(digest));
}

int archive_read_blob(const struct archive_file *a, const struct descriptor *d, struct buf *out,
		      struct err *e)
{
	_cleanup_(free_p) char *name = archive_blob_name(d->digest);
	char digest[DIGEST_MAX];
	int r = archive_read_member(a, name, out, e);

	if (r < 0)
		return r;
	if (out->len != d->size)
		return err_set(e, EBADMSG, "%s has %zu bytes, and should have %ju", d->digest,
			       out->len, (uintmax_t)d->size);
	digest_of(out->data, out->len, digest);
	if (!streq(digest, d->digest))
		return err_set(e, EBADMSG, "the content of %s is %s", d->digest, digest);
	return 0;
}
