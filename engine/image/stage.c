/* engine/image/stage.c: writes to the store.
 *
 * Everything is prepared in tmp/<random>/, with the names it will have: layers/,
 * blobs/sha256/, images/, refs/.  One syncfs(2) then makes all of it durable (an
 * fsync per file of a layer would take minutes), and committing is a rename for
 * each, in the order that keeps every reader whole: layers, documents, records,
 * names.  What a rename finds to be there already is the same thing by its
 * digest, and ours is dropped.  Readers never see a name whose image is not all
 * there.
 */
#include "engine/image/stage.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/extractor.h"
#include "engine/image/store_internal.h"

struct stage {
	struct store *store;
	char *name; /* tmp/<random> */
	int fd;     /* of it; locked */
	int spool_fd;
	int using_fd;      /* shared lock: layers that are there stay */
	struct map layers; /* diff id → struct layer_info, staged here */
	char **images;     /* ids staged here */
	char **blobs;      /* hex digests */
	char **refs;       /* "canonical\tid" */
	uint64_t now;
	unsigned int serial;
};

static int make_dirs(int fd, struct err *e)
{
	static const char *const dirs[] = { "layers", "blobs/sha256", "images", "refs" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = mkdir_p(fd, dirs[i], 0700, e);
	return r;
}

int stage_begin(struct store *s, struct stage **out, struct err *e)
{
	_cleanup_(stage_freep) struct stage *st = new0(struct stage);
	int r;

	st->store = s;
	st->fd = st->spool_fd = st->using_fd = -EBADF;
	st->layers = MAP_INIT_FREE(free);
	st->now = now_real_ns();
	if (store_tmp_reap(s))
		store_note_garbage(s);
	r = make_dirs(s->fd, e);
	if (r < 0)
		return r;
	st->using_fd = store_lock(s, STORE_USING, LOCK_SH, e);
	if (st->using_fd < 0)
		return st->using_fd;
	st->fd = store_tmp_new(s, &st->name, e);
	if (st->fd < 0)
		return st->fd;
	r = make_dirs(st->fd, e);
	if (r == 0)
		r = mkdir_p(st->fd, "spool", 0700, e);
	if (r < 0)
		return r;
	st->spool_fd = openat(st->fd, "spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->spool_fd < 0)
		return err_errno(e, errno, "open a temporary directory");
	*out = TAKE_PTR(st);
	return 0;
}

void stage_free(struct stage *st)
{
	if (!st)
		return;
	if (st->name)
		(void)rm_rf(st->store->fd, st->name, NULL); /* else the next writer's reaper */
	fd_close(st->spool_fd);
	fd_close(st->using_fd);
	fd_close(st->fd);
	map_done(&st->layers);
	strv_free(st->images);
	strv_free(st->blobs);
	strv_free(st->refs);
	free(st->name);
	free(st);
}

int stage_dirfd(const struct stage *st)
{
	return st->spool_fd;
}

/* ---- layers ------------------------------------------------------------------------ */

static int stored_layer(struct store *s, const char *diff_id, struct layer_info *out)
{
	_cleanup_(json_unrefp) json *o = NULL;
	char path[96];
	int r;

	snprintf(path, sizeof(path), "layers/%s", digest_hex(diff_id));
	if (faccessat(s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	snprintf(path, sizeof(path), "layers/%s.json", digest_hex(diff_id));
	r = json_read_file(s->fd, path, 4096, &o, NULL);
	if (r < 0)
		return r;
	memcpy(out->diff_id, diff_id, DIGEST_MAX);
	out->size = json_get_u64(o, "size", 0);
	out->n_files = json_get_u64(o, "files", 0);
	return 0;
}

static int find_layer(const struct stage *st, const char *diff_id, struct layer_info *out)
{
	const struct layer_info *staged = map_get(&st->layers, diff_id);

	if (!staged)
		return stored_layer(st->store, diff_id, out);
	*out = *staged;
	return 0;
}

bool stage_has_layer(const struct stage *st, const char *diff_id)
{
	struct layer_info info;

	return digest_is_valid(diff_id) && find_layer(st, diff_id, &info) == 0;
}

static int write_layer_info(struct stage *st, const struct layer_info *l, struct err *e)
{
	_cleanup_(json_unrefp) json *o = json_new_object();
	char path[96];

	json_put_u64(o, "size", l->size);
	json_put_u64(o, "files", l->n_files);
	snprintf(path, sizeof(path), "layers/%s.json", digest_hex(l->diff_id));
	return file_write_atomic(st->fd, path, json_text(o), strlen(json_text(o)), 0600, false, e);
}

/* The layer is unpacked and verified: give it its name. */
static int keep_layer(struct stage *st, const char *tmp, const struct layer_info *l, struct err *e)
{
	char path[96];
	int r;

	if (stage_has_layer(st, l->diff_id))
		return 0; /* the same content came under an unknown name (import) */
	snprintf(path, sizeof(path), "layers/%s", digest_hex(l->diff_id));
	if (renameat(st->fd, tmp, st->fd, path) < 0)
		return err_errno(e, errno, "rename a layer");
	r = write_layer_info(st, l, e);
	if (r == 0)
		map_put(&st->layers, l->diff_id, xmemdup(l, sizeof(*l)));
	return r;
}

int stage_layer(struct stage *st, const struct layer_source *src, struct layer_info *out,
		struct err *e)
{
	_cleanup_(fd_closep) int dir = -EBADF;
	char tmp[32];
	int r;

	if (src->diff_id && find_layer(st, src->diff_id, out) == 0)
		return 0;
	snprintf(tmp, sizeof(tmp), "unpack-%u", st->serial++);
	if (mkdirat(st->fd, tmp, 0755) < 0)
		return err_errno(e, errno, "make a temporary directory");
	dir = openat(st->fd, tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* The root of a layer that does not mention it; whatever umask says. */
	if (dir < 0 || fchmod(dir, 0755) < 0)
		return err_errno(e, errno, "make a temporary directory");
	r = extractor_layer(src, dir, out, e);
	if (r == 0)
		r = keep_layer(st, tmp, out, e);
	if (r < 0)
		(void)rm_rf(st->fd, tmp, NULL); /* else with the stage */
	return r;
}

struct stage_unpack {
	struct stage *stage;
	struct extraction *extraction;
	int dir;
	char tmp[32];
};

int stage_unpack_start(struct stage *st, const struct layer_source *src, struct stage_unpack **out,
		       struct err *e)
{
	_cleanup_(stage_unpack_freep) struct stage_unpack *u = new0(struct stage_unpack);
	int r;

	u->stage = st;
	u->dir = -EBADF;
	snprintf(u->tmp, sizeof(u->tmp), "unpack-%u", st->serial++);
	if (mkdirat(st->fd, u->tmp, 0755) < 0)
		return err_errno(e, errno, "make a temporary directory");
	u->dir = openat(st->fd, u->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (u->dir < 0 || fchmod(u->dir, 0755) < 0)
		return err_errno(e, errno, "make a temporary directory");
	r = extraction_start(src, u->dir, &u->extraction, e);
	if (r == 0)
		*out = TAKE_PTR(u);
	return r;
}

void stage_unpack_free(struct stage_unpack *u)
{
	if (!u)
		return;
	extraction_free(u->extraction);
	fd_close(u->dir);
	(void)rm_rf(u->stage->fd, u->tmp, NULL); /* else with the stage */
	free(u);
}

void stage_unpack_poll(const struct stage_unpack *u, uint64_t available, struct pollfd p[2])
{
	extraction_poll(u->extraction, available, p);
}

int stage_unpack_step(struct stage_unpack *u, uint64_t available, struct layer_info *out,
		      struct err *e)
{
	int r = extraction_step(u->extraction, available, out, e);

	if (r > 0)
		r = keep_layer(u->stage, u->tmp, out, e) ?: 1;
	return r;
}

/* ---- images ------------------------------------------------------------------------ */

static int put_blob(struct stage *st, const char *p, size_t n, char digest[DIGEST_MAX],
		    struct err *e)
{
	char path[96];

	digest_of(p, n, digest);
	if (strv_has(st->blobs, digest_hex(digest)))
		return 0;
	strv_add(&st->blobs, digest_hex(digest));
	snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(digest));
	return file_write_atomic(st->fd, path, p, n, 0600, false, e);
}

static int layers_size(struct stage *st, char *const *diff_ids, uint64_t *size, struct err *e)
{
	STRV_FOREACH (id, diff_ids) {
		struct layer_info l;

		if (find_layer(st, *id, &l) < 0)
			return err_set(e, EBADMSG, "its layer %s is missing", *id);
		*size += l.size;
	}
	return 0;
}

static int write_record(struct stage *st, struct image_record *rec, struct err *e)
{
	_cleanup_(free_p) char *text = image_record_text(rec);
	char path[96];

	snprintf(path, sizeof(path), "images/%s", digest_hex(rec->id));
	return file_write_atomic(st->fd, path, text, strlen(text), 0600, false, e);
}

static int add_image(struct stage *st, const struct staged_image *img, const struct image_config *c,
		     char id[DIGEST_MAX], struct err *e)
{
	char manifest[DIGEST_MAX];
	struct image_record rec = { .id = id,
				    .layers = c->diff_ids,
				    .created = c->created,
				    .stored = st->now,
				    .architecture = c->architecture,
				    .os = c->os,
				    .variant = c->variant };
	int r = layers_size(st, c->diff_ids, &rec.size, e);

	if (r == 0)
		r = put_blob(st, img->config, img->n_config, id, e);
	if (r == 0 && img->manifest) {
		r = put_blob(st, img->manifest, img->n_manifest, manifest, e);
		rec.digest = manifest;
	}
	if (r == 0)
		r = write_record(st, &rec, e);
	if (r < 0)
		return r;
	if (!strv_has(st->images, id))
		strv_add(&st->images, id);
	STRV_FOREACH (ref, img->refs)
		strv_addf(&st->refs, "%s\t%s", *ref, id);
	return 0;
}

int stage_image(struct stage *st, const struct staged_image *img, char id[DIGEST_MAX],
		struct err *e)
{
	struct image_config config;
	char own[DIGEST_MAX];
	int r = image_config_parse(img->config, img->n_config, &config, e);

	if (r < 0)
		return r;
	r = add_image(st, img, &config, id ? id : own, e);
	image_config_done(&config);
	return r;
}

/* ---- commit ------------------------------------------------------------------------ */

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

static int publish_layers(struct stage *st, struct err *e)
{
	size_t pos = 0;
	struct map_entry *m;
	int r = 0;

	while (r == 0 && (m = map_next(&st->layers, &pos))) {
		char path[96];

		/* First the info: a layer is there when its directory is. */
		snprintf(path, sizeof(path), "layers/%s.json", digest_hex(m->key));
		r = publish(st, path, true, e);
		snprintf(path, sizeof(path), "layers/%s", digest_hex(m->key));
		if (r == 0)
			r = publish(st, path, false, e);
	}
	return r;
}

static int publish_documents(struct stage *st, struct err *e)
{
	char path[96];
	int r = 0;

	for (char **b = st->blobs; r == 0 && b && *b; b++) {
		snprintf(path, sizeof(path), "blobs/sha256/%s", *b);
		r = publish(st, path, true, e);
	}
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
	int r = file_write_atomic(st->fd, path, text, strlen(text), 0600, false, e);

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

int stage_commit(struct stage *st, char ***moved, struct err *e)
{
	_cleanup_(fd_closep) int lock = -EBADF;
	int r;

	/* The spooled archive would be written to disk with the rest. */
	(void)rm_rf(st->fd, "spool", NULL);
	if (syncfs(st->fd) < 0)
		return err_errno(e, errno, "sync the image store");
	lock = store_lock(st->store, STORE_LOCK, LOCK_EX, e);
	if (lock < 0)
		return lock;
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
	/* What others could not remove while we used it. */
	st->using_fd = fd_close(st->using_fd);
	if (store_has_garbage(st->store))
		(void)store_collect(st->store, &lock, NULL, NULL); /* the next one tries again */
	return 0;
}
