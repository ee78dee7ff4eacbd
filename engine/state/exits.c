/* engine/state/exits.c: see exits.h.
 *
 * Which slot belongs to whom is on record before the run begins, so a supervisor
 * that takes over knows which of them living monitors will write to.  Only the
 * supervisor hands out slots, and there is one at a time.
 */
#include "engine/state/exits.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define EXITS_MAX  (64u << 20)
#define GROW_SLOTS 8 /* a block at a time */

struct exits {
	int fd;
	char (*ids)[EXIT_ID_MAX]; /* "": free */
	uint32_t n;
};

static char *exits_path(const struct dirs *d, const char *project)
{
	_cleanup_(free_p) char *dir = dirs_project(d, project);

	return path_join(dir, "exits");
}

int exit_record_load(const struct dirs *d, const char *project, const char *id,
		     struct exit_record *out, struct err *e)
{
	_cleanup_(free_p) char *path = exits_path(d, project);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = file_read(AT_FDCWD, path, EXITS_MAX, &b, e);

	if (r < 0)
		return r;
	for (size_t at = 0; at + EXIT_SLOT <= b.len; at += EXIT_SLOT) {
		char owner[EXIT_ID_MAX];
		bool ended;

		if (exit_slot_get(b.data + at, owner, out, &ended) && ended && streq(owner, id))
			return 0;
	}
	return err_set(e, ENOENT, "no exit of %.12s is on record", id);
}

static void read_owners(struct exits *x, const struct buf *b,
			bool (*exists)(const char *id, void *data), void *data)
{
	x->n = (uint32_t)(b->len / EXIT_SLOT);
	x->ids = xcalloc(x->n ? x->n : 1, sizeof(*x->ids));
	for (uint32_t i = 0; i < x->n; i++) {
		char id[EXIT_ID_MAX];
		struct exit_record r;
		bool ended;

		if (exit_slot_get(b->data + (size_t)i * EXIT_SLOT, id, &r, &ended) &&
		    exists(id, data))
			memcpy(x->ids[i], id, sizeof(id));
	}
}

static int open_and_read(struct exits *x, const char *path, struct buf *b, struct err *e)
{
	int r;

	fd_close(x->fd);
	x->fd = retry_eintr(open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (x->fd < 0)
		return err_errno(e, errno, "open %s", path);
	r = fd_read_all(x->fd, EXITS_MAX, b);
	return r < 0 ? err_errno(e, -r, "read %s", path) : 0;
}

int exits_open(const struct dirs *d, const char *project,
	       bool (*exists)(const char *id, void *data), void *data, struct exits **out,
	       struct err *e)
{
	_cleanup_(free_p) char *path = exits_path(d, project), *dir = dirs_project(d, project);
	_cleanup_(exits_freep) struct exits *x = new0(struct exits);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct err ignored;
	int r = mkdir_p(AT_FDCWD, dir, 0700, e);

	x->fd = -EBADF;
	if (r < 0)
		return r;
	r = open_and_read(x, path, &b, e);
	/* Not ours, whatever it is: kept for a person, and a new one begun. */
	if (r == -EFBIG || r == -EISDIR || r == -ELOOP) {
		_cleanup_(free_p) char *aside = xasprintf("%s.corrupt-%llu", path,
							  (unsigned long long)now_real_ns());

		*(e ? e : &ignored) = ERR_INIT;
		b.len = 0;
		if (rename(path, aside) < 0)
			return err_errno(e, errno, "rename %s", path);
		r = open_and_read(x, path, &b, e);
	}
	if (r < 0)
		return r;
	read_owners(x, &b, exists, data);
	*out = TAKE_PTR(x);
	return 0;
}

void exits_free(struct exits *x)
{
	if (!x)
		return;
	fd_close(x->fd);
	free(x->ids);
	free(x);
}

int exits_fd(const struct exits *x)
{
	return x->fd;
}

static int grow(struct exits *x, struct err *e)
{
	char blank[GROW_SLOTS * EXIT_SLOT];
	off_t at = (off_t)x->n * EXIT_SLOT;

	memset(blank, ' ', sizeof(blank));
	for (size_t i = EXIT_SLOT; i <= sizeof(blank); i += EXIT_SLOT)
		blank[i - 1] = '\n';
	errno = ENOSPC; /* of a short write */
	if (retry_eintr(pwrite(x->fd, blank, sizeof(blank), at)) != sizeof(blank))
		return err_errno(e, errno, "set room aside for exit records");
	/* Begin to allocate and write it now, so that the first exit finds it done. */
	(void)sync_file_range(x->fd, at, sizeof(blank), SYNC_FILE_RANGE_WRITE);
	x->ids = xreallocarray(x->ids, x->n + GROW_SLOTS, sizeof(*x->ids));
	memset(x->ids + x->n, 0, GROW_SLOTS * sizeof(*x->ids));
	x->n += GROW_SLOTS;
	return 0;
}

static uint32_t find(const struct exits *x, const char *id)
{
	uint32_t i = 0;

	while (i < x->n && !streq(x->ids[i], id))
		i++;
	return i;
}

int exits_take(struct exits *x, const char *id, uint64_t started_at, uint32_t *slot, struct err *e)
{
	const struct exit_record begun = { .started_at = started_at };
	uint32_t i = find(x, id);
	char text[EXIT_SLOT];
	int r = 0;

	if (i == x->n)
		i = find(x, "");
	if (i == x->n)
		r = grow(x, e);
	if (r < 0)
		return r;
	exit_slot_put(text, id, &begun, false);
	errno = EIO; /* of a short write */
	if (retry_eintr(pwrite(x->fd, text, sizeof(text), (off_t)i * EXIT_SLOT)) != sizeof(text))
		return err_errno(e, errno, "write an exit record");
	snprintf(x->ids[i], sizeof(x->ids[i]), "%s", id);
	*slot = i;
	return 0;
}

int exits_load(const struct exits *x, const char *id, struct exit_record *out, struct err *e)
{
	uint32_t i = find(x, id);
	char text[EXIT_SLOT], owner[EXIT_ID_MAX];
	bool ended;

	if (i == x->n || pread(x->fd, text, sizeof(text), (off_t)i * EXIT_SLOT) != sizeof(text) ||
	    !exit_slot_get(text, owner, out, &ended) || !ended || !streq(owner, id))
		return err_set(e, ENOENT, "no exit of %.12s is on record", id);
	return 0;
}

void exits_release(struct exits *x, const char *id)
{
	uint32_t i = find(x, id);

	if (i < x->n)
		x->ids[i][0] = '\0';
}
