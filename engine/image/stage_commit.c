/* engine/image/stage_commit.c: writes to the store: how they appear there.
 *
 * One syncfs(2) makes all that was staged durable (an fsync per file of a layer
 * would take minutes), and committing is a rename for each, in the order that
 * keeps every reader whole: blobs, layers, records, names.  What a rename finds to
 * be there already is the same thing by its digest, and ours is dropped.  Readers
 * never see a name whose image is not all there.
 */
#include "engine/image/stage_internal.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"

/* Move @path from the stage to the same place in the store.  @replace: ours wins
 * over what is there; otherwise what is there stays. */
static int publish(struct stage *st, const char *path, bool replace, struct err *e)
{
	if (renameat2(st->fd, path, st->store->fd, path, replace ? 0 : RENAME_NOREPLACE) == 0)
		return 0;
	/* EINVAL: a file system without RENAME_NOREPLACE.  Under the lock
	 * looking first is as good. */
	if (errno == EINVAL && !replace) {
		if (faccessat(st->store->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return 0;
		if (renameat(st->fd, path, st->store->fd, path) == 0)
			return 0;
	}
	if (errno == EEXIST && !replace)
		return 0;
	return err_errno(e, errno, "publish %s", path);
}

/* Does the store know the bytes of this layer?  Then it goes on with those. */
static bool has_blob(struct store *s, const char *diff_id)
{
	struct descriptor d;
	bool has = store_layer_blob(s, diff_id, &d, NULL) == 0;

	descriptor_done(&d);
	return has;
}

static int publish_layers(struct stage *st, struct err *e)
{
	size_t pos = 0;
	struct map_entry *m;
	int r = 0;

	while (r == 0 && (m = map_next(&st->layers, &pos))) {
		const struct staged_layer *l = m->value;
		char path[LAYER_PATH_MAX];

		/* First the record: a layer is there when its directory is. */
		r = publish(st, layer_json_path(m->key, path), !has_blob(st->store, m->key), e);
		if (r == 0 && !l->stored)
			r = publish(st, layer_path(m->key, path), false, e);
	}
	return r;
}

static int publish_blobs(struct stage *st, struct err *e)
{
	char path[LAYER_PATH_MAX];
	int r = 0;

	for (char **b = st->blobs; r == 0 && b && *b; b++) {
		snprintf(path, sizeof(path), "blobs/sha256/%s", *b);
		r = publish(st, path, true, e);
	}
	return r;
}

static int publish_documents(struct stage *st, struct err *e)
{
	char path[96];
	int r = 0;

	/* A record that is there may know a manifest that ours does not; a new
	 * load of the same image may bring one. */
	for (char **i = st->images; r == 0 && i && *i; i++) {
		struct image_record old, ours;
		bool replace = true;

		snprintf(path, sizeof(path), "images/%s", digest_hex(*i));
		if (image_record_read(st->store, *i, &old, NULL) == 0) {
			struct store here = { .path = st->store->path, .fd = st->fd };

			replace = image_record_read(&here, *i, &ours, NULL) == 0 &&
				  (ours.digest || !old.digest);
			image_record_done(&ours);
			image_record_done(&old);
		}
		r = publish(st, path, replace, e);
	}
	return r;
}

static int publish_ref(struct stage *st, const char *canonical, const char *id, char ***moved,
		       struct err *e)
{
	_cleanup_(free_p) char *path = ref_record_path(canonical);
	_cleanup_(free_p) char *text = ref_record_text(canonical, id);
	_cleanup_(free_p) char *old = NULL;
	/* Durable: the rest was synced before the lock was taken, this was not. */
	int r = file_write_atomic(st->fd, path, text, strlen(text), 0600, true, e);

	if (r < 0)
		return r;
	if (ref_record_read(st->store, canonical, &old, NULL) == 0 && !streq(old, id) && moved)
		strv_addf(moved, "%s\t%s", canonical, old);
	return publish(st, path, true, e);
}

static int publish_refs(struct stage *st, char ***moved, struct err *e)
{
	int r = 0;

	for (char **ref = st->refs; r == 0 && ref && *ref; ref++) {
		const char *tab = strchr(*ref, '\t');
		_cleanup_(free_p) char *canonical = xstrndup(*ref, (size_t)(tab - *ref));

		r = publish_ref(st, canonical, tab + 1, moved, e);
	}
	return r;
}

static int sync_dirs(struct stage *st, struct err *e)
{
	static const char *const dirs[] = { "layers", "blobs/sha256", "images", "refs" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_(fd_closep) int fd = -EBADF;

		fd = openat(st->store->fd, dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || fsync(fd) < 0)
			return err_errno(e, errno, "sync %s", dirs[i]);
	}
	return 0;
}

bool stage_has_layers(const struct stage *st)
{
	return st->layers.n > 0;
}

int stage_sync_start(struct stage *st, struct err *e)
{
	/* The spooled archive would be written to disk with the rest. */
	(void)rm_rf(st->fd, "spool", NULL);
	return sync_child_start(&st->sync, st->fd, e);
}

int stage_sync_fd(const struct stage *st)
{
	return st->sync.pidfd;
}

int stage_sync_step(struct stage *st, struct err *e)
{
	int r = sync_child_step(&st->sync, st->fd, e);

	st->synced = r > 0;
	return r;
}

static int sync_all(struct stage *st, struct err *e)
{
	if (st->synced)
		return 0;
	(void)rm_rf(st->fd, "spool", NULL);
	return syncfs(st->fd) < 0 ? err_errno(e, errno, "sync the image store") : 0;
}

int stage_commit(struct stage *st, char ***moved, struct err *e)
{
	_cleanup_(fd_closep) int lock = -EBADF;
	int r = sync_all(st, e);

	if (r < 0)
		return r;
	lock = store_lock(st->store, STORE_LOCK, LOCK_EX, e);
	if (lock < 0)
		return lock;
	r = publish_blobs(st, e);
	if (r == 0)
		r = publish_layers(st, e);
	if (r == 0)
		r = publish_documents(st, e);
	if (r == 0)
		r = publish_refs(st, moved, e);
	if (r == 0)
		r = sync_dirs(st, e);
	if (r < 0) {
		store_note_garbage(st->store);
		return r;
	}
	/* What others could not remove while we used it; but layers that came without
	 * an image shall be found by who tries again. */
	st->using_fd = fd_close(st->using_fd);
	if (st->images && store_has_garbage(st->store))
		(void)store_collect(st->store, &lock, NULL, NULL); /* the next one tries again */
	return 0;
}
