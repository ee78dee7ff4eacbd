/* engine/image/remove.c: taking names, images and layers away.
 *
 * In the reverse order of a commit: names, record, then whatever no record
 * mentions any more, found by mark and sweep over the records (a count kept on
 * disk could be wrong after a crash, this cannot).  Doomed layers are renamed
 * into a temporary directory while the lock is held and deleted after it: the
 * lock is held for milliseconds, and a reader never sees half a layer.
 */
#include <fcntl.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/implied.h"
#include "engine/image/ref.h"
#include "engine/image/steps.h"
#include "engine/image/store_internal.h"

#define GARBAGE "garbage"

void removed_done(struct removed *r)
{
	strv_free(r->untagged);
	strv_free(r->deleted);
	*r = (struct removed){ 0 };
}

void store_note_garbage(struct store *s)
{
	int fd = retry_eintr(openat(s->fd, GARBAGE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

	fd_close(fd); /* without the note the space is freed later, not never */
}

bool store_has_garbage(struct store *s)
{
	return faccessat(s->fd, GARBAGE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- mark and sweep ---------------------------------------------------------------- */

/* A layer, and the bytes it came as.  Of one whose record is damaged they are lost
 * for us: `system check` tells. */
void store_mark_layer(struct store *s, const char *diff_id, struct map *needed)
{
	struct layer_record rec;

	if (map_has(needed, digest_hex(diff_id)))
		return;
	map_put(needed, digest_hex(diff_id), NULL);
	if (layer_record_read(s->fd, diff_id, &rec, NULL) < 0)
		return;
	if (rec.blob.digest)
		map_put(needed, digest_hex(rec.blob.digest), NULL);
	layer_record_done(&rec);
}

/* All hex digests that some image needs.  Any record that cannot be read ends
 * it: what that image needs is not known. */
int store_mark(struct store *s, const struct map *except, bool steps, struct map *needed,
	       struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	int r = store_names(s, "images", &names, e);

	for (char **n = names; r == 0 && n && *n; n++) {
		_cleanup_(free_p) char *id = xasprintf("sha256:%s", *n);
		struct image_record rec;

		if (!digest_is_valid(id) || (except && map_has(except, id)))
			continue;
		r = image_record_read(s, id, &rec, e);
		if (r < 0)
			break;
		map_put(needed, *n, NULL);
		if (rec.digest)
			map_put(needed, digest_hex(rec.digest), NULL);
		STRV_FOREACH (l, rec.layers)
			store_mark_layer(s, *l, needed);
		if (rec.implied) {
			char implied[DIGEST_MAX];

			implied_name(rec.layers, strv_len(rec.layers), implied);
			map_put(needed, digest_hex(implied), NULL);
		}
		image_record_done(&rec);
	}
	return r < 0 || !steps ? r : steps_mark(s, needed, e);
}

/* Bytes that a layer takes by its record, or a document or blob by its file. */
static uint64_t bytes_of(struct store *s, const char *dir, const char *name)
{
	_cleanup_(free_p) char *path = xasprintf("%s/%s", dir, name);
	_cleanup_(free_p) char *id = xasprintf("sha256:%s", name);
	struct layer_record rec;
	uint64_t size;
	struct stat st;

	if (!streq(dir, "layers"))
		return fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (uint64_t)st.st_size;
	if (!digest_is_valid(id) || layer_record_read(s->fd, id, &rec, NULL) < 0)
		return 0;
	size = rec.size;
	layer_record_done(&rec);
	return size;
}

/* Each file of @dir that is not needed, directories before what belongs to them. */
static int unneeded(struct store *s, const char *dir, const struct map *needed, char ***out,
		    uint64_t *bytes, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	int r = store_names(s, dir, &names, e);

	if (names)
		strv_sort(names);
	STRV_FOREACH (n, names) {
		_cleanup_(free_p) char *hex = xstrndup(*n, DIGEST_HEX_LEN);

		if (map_has(needed, hex))
			continue;
		*bytes += bytes_of(s, dir, *n);
		strv_add(out, *n);
	}
	return r;
}

static const char *const swept[] = { "layers", "blobs/sha256" };

int store_unneeded_bytes(struct store *s, const struct map *needed, uint64_t *bytes, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(swept); i++) {
		_cleanup_(strv_freep) char **names = NULL;

		r = unneeded(s, swept[i], needed, &names, bytes, e);
	}
	return r;
}

/* Move what is in @dir and not needed to the directory @to. */
static int sweep(struct store *s, const char *dir, const struct map *needed, int to,
		 struct removed *out, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	int r = unneeded(s, dir, needed, &names, &out->freed, e);

	if (r < 0)
		return r;
	STRV_FOREACH (n, names) {
		_cleanup_(free_p) char *path = xasprintf("%s/%s", dir, *n);
		/* A layer and its uncompressed bytes have the same digest. */
		_cleanup_(free_p) char *gone_name = xasprintf("%c-%s", *dir, *n);

		if (renameat(s->fd, path, to, gone_name) < 0)
			return err_errno(e, errno, "remove %s", path);
		if (streq(dir, "layers") && digest_hex_is_valid(*n))
			strv_addf(&out->deleted, "sha256:%s", *n);
	}
	return 0;
}

/* What a killed store_tag() left.  The lock is held, so none is at work. */
static void sweep_refs(struct store *s)
{
	_cleanup_(strv_freep) char **names = NULL;

	if (store_names(s, "refs", &names, NULL) < 0)
		return;
	STRV_FOREACH (n, names) {
		_cleanup_(free_p) char *path = xasprintf("refs/%s", *n);

		if (!digest_hex_is_valid(*n))
			(void)unlinkat(s->fd, path, 0); /* never read; the next one tries again */
	}
}

int store_collect(struct store *s, int *lock, struct removed *out, struct err *e)
{
	_cleanup_(removed_done) struct removed nobody_asks = { 0 };
	_cleanup_(map_done) struct map needed = MAP_INIT;
	_cleanup_(fd_closep) int alone = -EBADF, tmp = -EBADF;
	_cleanup_(free_p) char *name = NULL;
	int r;

	store_note_garbage(s);
	alone = store_lock(s, STORE_USING, LOCK_EX | LOCK_NB, NULL);
	if (alone < 0)
		return 0; /* who uses them sees the note when done */
	tmp = store_tmp_new(s, &name, e);
	if (tmp < 0)
		return tmp;
	r = store_mark(s, NULL, true, &needed, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(swept); i++)
		r = sweep(s, swept[i], &needed, tmp, out ? out : &nobody_asks, e);
	sweep_refs(s);
	if (r == 0)
		(void)unlinkat(s->fd, GARBAGE, 0); /* too much a note costs a scan */
	alone = fd_close(alone);
	*lock = fd_close(*lock);
	(void)rm_rf(s->fd, name, NULL); /* else the next writer's reaper */
	return r;
}

/* ---- names ------------------------------------------------------------------------- */

int store_tag(struct store *s, const char *src, const char *dst, char **old_id, struct err *e)
{
	_cleanup_(free_p) char *id = NULL, *path = NULL, *text = NULL, *canonical = NULL;
	_cleanup_(ref_done) struct image_ref ref = { 0 };
	_cleanup_(fd_closep) int lock = -EBADF;
	struct image_record rec;
	int r;

	if (old_id)
		*old_id = NULL;
	r = ref_parse(dst, &ref, e);
	if (r == 0 && ref.digest)
		r = err_set(e, EINVAL, "refusing to create a tag with a digest reference: %s", dst);
	if (r < 0)
		return r;
	lock = store_lock(s, STORE_LOCK, LOCK_EX, e);
	if (lock < 0)
		return lock;
	r = store_resolve_id(s, src, &id, e);
	if (r == 0)
		r = image_record_read(s, id, &rec, e);
	if (r < 0)
		return r;
	image_record_done(&rec);
	canonical = ref_canonical(&ref);
	path = ref_record_path(canonical);
	text = ref_record_text(canonical, id);
	if (old_id)
		(void)ref_record_read(s, canonical, old_id, NULL); /* -ENOENT: it had none */
	return file_write_atomic(s->fd, path, text, strlen(text), 0600, true, e);
}

int store_untag(struct store *s, const char *canonical, struct removed *out, struct err *e)
{
	_cleanup_(free_p) char *path = ref_record_path(canonical);

	if (unlinkat(s->fd, path, 0) < 0 && errno != ENOENT)
		return err_errno(e, errno, "remove %s", canonical);
	strv_add_take(&out->untagged, ref_shorten(canonical));
	return 0;
}

/* Bytes of the name in a canonical reference. */
static size_t name_length(const char *ref)
{
	const char *at = strchr(ref, '@');
	const char *end = at ? at : strrchr(ref, ':');

	return end ? (size_t)(end - ref) : strlen(ref);
}

static bool same_repository(const char *a, const char *b)
{
	return name_length(a) == name_length(b) && memcmp(a, b, name_length(a)) == 0;
}

/* Is @ref a digest of the repository of @canonical?  It goes with its last tag. */
static bool is_digest_of(const char *ref, const char *canonical)
{
	return strchr(ref, '@') && same_repository(ref, canonical);
}

int store_hold(const char *path, const char *id, struct err *e)
{
	_cleanup_(store_closep) struct store *s = NULL;
	_cleanup_(fd_closep) int lock = -EBADF;
	char record[LAYER_PATH_MAX];
	int r = store_open(path, &s, e);

	if (r < 0)
		return r;
	lock = store_lock(s, STORE_LOCK, LOCK_SH, e);
	if (lock < 0)
		return lock;
	snprintf(record, sizeof(record), "images/%s", digest_hex(id));
	if (faccessat(s->fd, record, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, ENOENT, "its image %s was removed meanwhile", id);
	return TAKE_FD(lock);
}

/* ---- removing ---------------------------------------------------------------------- */

struct removal {
	struct store *s;
	bool force;
	store_in_use_fn in_use;
	void *data;
	struct removed *out;
	struct ref_list refs; /* all of the store */
};

static int use_of(const struct removal *rm, const char *id, struct err *e)
{
	return rm->in_use ? rm->in_use(rm->data, id, e) : 0;
}

int store_delete_record(struct store *s, const char *id, struct removed *out, struct err *e)
{
	char path[80];

	snprintf(path, sizeof(path), "images/%s", digest_hex(id));
	if (unlinkat(s->fd, path, 0) < 0 && errno != ENOENT)
		return err_errno(e, errno, "remove image %s", id);
	strv_add(&out->deleted, id);
	return 0;
}

static int busy(struct err *e, const char *what)
{
	if (e)
		e->code = EBUSY;
	return err_wrap(e, -EBUSY, "cannot remove %s", what);
}

/* All names of @id, then, unless it is in use, the image. */
static int remove_image(const struct removal *rm, const char *id, const char *what, struct err *e)
{
	int used = use_of(rm, id, e), r = 0;

	if (used < 0)
		return used;
	if (used && !rm->force)
		return busy(e, what);
	for (size_t i = 0; r == 0 && i < rm->refs.n; i++)
		if (streq(rm->refs.items[i].id, id))
			r = store_untag(rm->s, rm->refs.items[i].ref, rm->out, e);
	if (r == 0 && used && !rm->out->untagged)
		return busy(e, what); /* no name to take away, and it has to stay */
	return r == 0 && !used ? store_delete_record(rm->s, id, rm->out, e) : r;
}

static int remove_by_id(const struct removal *rm, const char *id, struct err *e)
{
	_cleanup_(free_p) char *repository = NULL;

	for (size_t i = 0; i < rm->refs.n; i++) {
		const struct ref_record *ref = &rm->refs.items[i];

		if (!streq(ref->id, id) || strchr(ref->ref, '@'))
			continue;
		if (repository && !rm->force)
			return err_set(e, EBUSY,
				       "cannot remove %s: it has several names (must be forced)",
				       id);
		if (!repository)
			repository = xstrdup(ref->ref);
	}
	return remove_image(rm, id, id, e);
}

/* Other images' names stay; this image's digests go with the repository's last tag. */
static int remove_by_name(const struct removal *rm, const char *canonical, const char *id,
			  struct err *e)
{
	_cleanup_(strv_freep) char **digests = NULL;
	size_t elsewhere = 0, beside = 0;
	int r;

	for (size_t i = 0; i < rm->refs.n; i++) {
		const struct ref_record *ref = &rm->refs.items[i];

		if (!streq(ref->id, id) || streq(ref->ref, canonical))
			continue;
		if (is_digest_of(ref->ref, canonical))
			strv_add(&digests, ref->ref);
		else if (same_repository(ref->ref, canonical))
			beside++;
		else
			elsewhere++;
	}
	if (beside + elsewhere == 0)
		return remove_image(rm, id, canonical, e);
	r = store_untag(rm->s, canonical, rm->out, e);
	for (char **d = digests; r == 0 && !beside && d && *d; d++)
		r = store_untag(rm->s, *d, rm->out, e);
	return r;
}

static int remove_locked(struct removal *rm, const char *text, struct err *e)
{
	_cleanup_(free_p) char *id = NULL, *canonical = NULL, *named = NULL;
	struct image_ref ref;
	int r = store_resolve_id(rm->s, text, &id, e);

	if (r == 0)
		r = ref_list_read(rm->s, &rm->refs, NULL, e);
	if (r < 0)
		return r;
	if (ref_parse(text, &ref, NULL) == 0) {
		canonical = ref_canonical(&ref);
		ref_done(&ref);
	}
	if (canonical && ref_record_read(rm->s, canonical, &named, NULL) == 0)
		return remove_by_name(rm, canonical, id, e);
	return remove_by_id(rm, id, e);
}

int store_remove(struct store *s, const char *ref, bool force, store_in_use_fn in_use, void *data,
		 struct removed *out, struct err *e)
{
	struct removal rm = { .s = s, .force = force, .in_use = in_use, .data = data, .out = out };
	_cleanup_(fd_closep) int lock = -EBADF;
	int r;

	*out = (struct removed){ 0 };
	lock = store_lock(s, STORE_LOCK, LOCK_EX, e);
	if (lock < 0)
		return lock;
	r = remove_locked(&rm, ref, e);
	ref_list_done(&rm.refs);
	if (out->deleted) {
		int r2 = store_collect(s, &lock, out, r < 0 ? NULL : e);

		r = r < 0 ? r : r2;
	}
	return r;
}
