/* engine/image/tar_write.c: one header is one or three blocks: with PAX records, a
 * header of type "x", their text, and then the entry's own.  Its fields then hold
 * what fits, for readers that know no PAX. */
#include "engine/image/tar_write.h"

#include <sys/sysmacros.h>

#include "base/cleanup.h"

/* struct posix_header, tar(5) */
struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
	char magic[6], version[2], uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "one block");

#define OCTAL_7  UINT64_C(07777777)
#define OCTAL_11 UINT64_C(077777777777)

size_t tar_padding(uint64_t size)
{
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

/* Digits with leading zeros and a NUL; what does not fit becomes 0, a record has it. */
static void octal(char *at, size_t width, uint64_t v)
{
	if (v >> (3 * (width - 1)))
		v = 0;
	at[width - 1] = '\0';
	for (size_t i = width - 1; i-- > 0; v >>= 3)
		at[i] = (char)('0' + (v & 7));
}

/* As much of @text as there is room for; a full field has no NUL. */
static void field(char *at, size_t room, const char *text)
{
	memcpy(at, text, MIN(strlen(text), room));
}

static void put_block(struct buf *out, struct ustar *u)
{
	const unsigned char *p = (const unsigned char *)u;
	unsigned int sum = 0;

	memcpy(u->magic, "ustar", 6);
	memcpy(u->version, "00", 2);
	memset(u->sum, ' ', sizeof(u->sum));
	for (size_t i = 0; i < sizeof(*u); i++)
		sum += p[i];
	octal(u->sum, 7, sum);
	buf_add(out, u, sizeof(*u));
}

static void put_zeros(struct buf *out, size_t n)
{
	static const char zeros[TAR_BLOCK];

	buf_add(out, zeros, n);
}

/* ---- PAX records --------------------------------------------------------------- */

/* "LENGTH KEY=VALUE\n", where the length counts its own digits. */
static void record(struct buf *out, const char *key, const void *value, size_t n)
{
	size_t rest = 1 + strlen(key) + 1 + n + 1, total = rest + 1, digits;
	char text[24];

	do {
		digits = (size_t)snprintf(text, sizeof(text), "%zu", total);
		total = rest + digits;
	} while ((size_t)snprintf(text, sizeof(text), "%zu", total) != digits);
	buf_adds(out, text);
	buf_addc(out, ' ');
	buf_adds(out, key);
	buf_addc(out, '=');
	buf_add(out, value, n);
	buf_addc(out, '\n');
}

static void record_text(struct buf *out, const char *key, const char *value)
{
	record(out, key, value, strlen(value));
}

static void record_number(struct buf *out, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%ju", (uintmax_t)v);
	record_text(out, key, text);
}

/* Seconds with as many digits of a fraction as it takes.  Before 1970 the fraction
 * still counts forward: tv_sec -2, tv_nsec .75 s is -1.25. */
static void record_time(struct buf *out, struct timespec t)
{
	bool negative = t.tv_sec < 0;
	uint64_t sec = negative ? (uint64_t)-t.tv_sec : (uint64_t)t.tv_sec;
	long nsec = t.tv_nsec;
	char text[48];
	int n;

	if (negative && nsec) {
		sec--;
		nsec = (long)NSEC_PER_SEC - nsec;
	}
	n = snprintf(text, sizeof(text), "%s%ju.%09ld", negative ? "-" : "", (uintmax_t)sec, nsec);
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	record(out, "mtime", text, (size_t)n);
}

static void records(struct buf *out, const struct tar_header *h)
{
	if (strlen(h->path) > sizeof(((struct ustar *)0)->name))
		record_text(out, "path", h->path);
	if (h->link && strlen(h->link) > sizeof(((struct ustar *)0)->link))
		record_text(out, "linkpath", h->link);
	if (h->size > OCTAL_11)
		record_number(out, "size", h->size);
	if (h->uid > OCTAL_7)
		record_number(out, "uid", h->uid);
	if (h->gid > OCTAL_7)
		record_number(out, "gid", h->gid);
	if (h->mtime.tv_nsec || h->mtime.tv_sec < 0 || (uint64_t)h->mtime.tv_sec > OCTAL_11)
		record_time(out, h->mtime);
	for (size_t i = 0; i < h->n_xattrs; i++) {
		_cleanup_(free_p) char *key = xasprintf("SCHILY.xattr.%s", h->xattrs[i].name);

		record(out, key, h->xattrs[i].value, h->xattrs[i].n);
	}
}

static void put_records(struct buf *out, const struct buf *text)
{
	struct ustar u = { .name = "PaxHeaders.0", .type = 'x' };

	octal(u.mode, sizeof(u.mode), 0644);
	octal(u.uid, sizeof(u.uid), 0);
	octal(u.gid, sizeof(u.gid), 0);
	octal(u.size, sizeof(u.size), text->len);
	octal(u.mtime, sizeof(u.mtime), 0);
	put_block(out, &u);
	buf_add(out, text->data, text->len);
	put_zeros(out, tar_padding(text->len));
}

/* ---- entries --------------------------------------------------------------------- */

static char type_of(const struct tar_header *h)
{
	if (h->hardlink)
		return '1';
	switch (h->mode & S_IFMT) {
	case S_IFLNK:
		return '2';
	case S_IFCHR:
		return '3';
	case S_IFBLK:
		return '4';
	case S_IFDIR:
		return '5';
	case S_IFIFO:
		return '6';
	default:
		return '0';
	}
}

void tar_put_header(struct buf *out, const struct tar_header *h)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct ustar u = { .type = type_of(h) };

	records(&text, h);
	if (text.len)
		put_records(out, &text);
	field(u.name, sizeof(u.name), h->path);
	octal(u.mode, sizeof(u.mode), h->mode & 07777);
	octal(u.uid, sizeof(u.uid), h->uid);
	octal(u.gid, sizeof(u.gid), h->gid);
	octal(u.size, sizeof(u.size), h->size);
	octal(u.mtime, sizeof(u.mtime), h->mtime.tv_sec < 0 ? 0 : (uint64_t)h->mtime.tv_sec);
	if (h->link)
		field(u.link, sizeof(u.link), h->link);
	octal(u.major, sizeof(u.major), 0);
	octal(u.minor, sizeof(u.minor), 0);
	if (u.type == '3' || u.type == '4') {
		octal(u.major, sizeof(u.major), major(h->rdev));
		octal(u.minor, sizeof(u.minor), minor(h->rdev));
	}
	put_block(out, &u);
}
