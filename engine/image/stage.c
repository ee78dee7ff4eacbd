/* engine/image/stage.c: writes to the store: what is gathered.
 *
 * Everything is prepared in tmp/<random>/, with the names it will have: layers/,
 * blobs/sha256/, images/, refs/; stage_commit.c then moves it to where it belongs.
 * A stage that is given up takes its directory along; one whose process dies leaves
 * it to the next writer.
 */
#include "engine/image/stage_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/sendfile.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/extractor.h"
#include "engine/image/implied.h"
#include "engine/image/pack.h"

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
	st->sync = SYNC_CHILD_INIT;
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
	sync_child_done(&st->sync);
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
	struct layer_record rec;
	char path[LAYER_PATH_MAX];
	int r;

	if (faccessat(s->fd, layer_path(diff_id, path), F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	r = layer_record_read(s->fd, diff_id, &rec, NULL);
	if (r < 0)
		return r;
	*out = (struct layer_info){ .size = rec.size, .n_files = rec.n_files };
	memcpy(out->diff_id, diff_id, DIGEST_MAX);
	layer_record_done(&rec);
	return 0;
}

static int find_layer(const struct stage *st, const char *diff_id, struct layer_info *out)
{
	const struct staged_layer *staged = map_get(&st->layers, diff_id);

	if (!staged)
		return stored_layer(st->store, diff_id, out);
	*out = staged->info;
	return 0;
}

bool stage_has_layer(const struct stage *st, const char *diff_id)
{
	struct layer_info info;

	return digest_is_valid(diff_id) && find_layer(st, diff_id, &info) == 0;
}

static void add_staged(struct stage *st, const struct layer_info *l, bool stored)
{
	struct staged_layer *x = new0(struct staged_layer);

	x->info = *l;
	x->stored = stored;
	map_put(&st->layers, l->diff_id, x);
}

static char **sorted_keys(const struct map *m)
{
	char **v = xcalloc(map_len(m) + 1, sizeof(*v));
	struct map_entry *entry;
	size_t pos = 0, n = 0;

	while ((entry = map_next(m, &pos)))
		v[n++] = xstrdup(entry->key);
	strv_sort(v);
	return v;
}

/* The layer is unpacked and verified: give it its name. */
static int keep_layer(struct stage *st, int from, const char *tmp, const struct layer_info *l,
		      const struct map *implied, struct err *e)
{
	_cleanup_(strv_freep) char **paths = implied && map_len(implied) ? sorted_keys(implied) : NULL;
	const struct layer_record rec = { .size = l->size,
					  .n_files = l->n_files,
					  .made = !*l->blob,
					  .implied = paths };
	char path[LAYER_PATH_MAX];
	int r;

	/* The same content came under an unknown name (import, build). */
	if (stage_has_layer(st, l->diff_id)) {
		(void)rm_rf(from, tmp, NULL); /* else with the stage, or the caller's */
		return 0;
	}
	if (renameat(from, tmp, st->fd, layer_path(l->diff_id, path)) < 0)
		return err_errno(e, errno, "rename a layer");
	r = layer_record_write(st->fd, l->diff_id, &rec, e);
	if (r == 0)
		add_staged(st, l, false);
	return r;
}

/* An empty directory for a layer; the caller closes. */
static int new_dir(struct stage *st, char name[32], struct err *e)
{
	_cleanup_(fd_closep) int dir = -EBADF;

	snprintf(name, 32, "unpack-%u", st->serial++);
	if (mkdirat(st->fd, name, 0755) < 0)
		return err_errno(e, errno, "make a temporary directory");
	dir = openat(st->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* The root of a layer that does not mention it; whatever umask says. */
	if (dir < 0 || fchmod(dir, 0755) < 0)
		return err_errno(e, errno, "make a temporary directory");
	return TAKE_FD(dir);
}

static int repack(int dir, struct layer_info *out, struct err *e)
{
	struct pack_result packed;
	int r = pack_layer(dir, COMPRESSION_NONE, -EBADF, &packed, e);

	if (r == 0)
		memcpy(out->diff_id, packed.diff_id, DIGEST_MAX);
	out->blob[0] = '\0';
	return r;
}

int stage_layer(struct stage *st, const struct layer_source *src, struct layer_info *out,
		struct err *e)
{
	_cleanup_(map_done) struct map implied = MAP_INIT;
	_cleanup_(fd_closep) int dir = -EBADF;
	char tmp[32];
	int r;

	if (src->diff_id && find_layer(st, src->diff_id, out) == 0)
		return 0;
	dir = new_dir(st, tmp, e);
	if (dir < 0)
		return dir;
	r = extractor_layer(src, dir, out, &implied, e);
	/* A root file system that was imported: nobody keeps its bytes, so its diff
	 * id is that of the bytes that packing gives, and those state everything. */
	if (r == 0 && !src->diff_id)
		r = repack(dir, out, e);
	if (r == 0)
		r = keep_layer(st, st->fd, tmp, out, src->diff_id ? &implied : NULL, e);
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
	u->dir = new_dir(st, u->tmp, e);
	if (u->dir < 0)
		return u->dir;
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
		r = keep_layer(u->stage, u->stage->fd, u->tmp, out,
			       extraction_implied(u->extraction), e)
			    ?: 1;
	return r;
}

/* Bytes of the files below @dir, and how many entries there are. */
static int measure(int parent, const char *name, struct layer_info *out, struct err *e)
{
	_cleanup_(dir_closep) DIR *d = NULL;
	struct dirent *entry;
	int r = 0, fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		fd_close(fd);
		return err_errno(e, errno, "open a layer's directory");
	}
	while (r == 0 && (entry = readdir(d))) {
		struct stat st;

		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_errno(e, errno, "stat %.200s", entry->d_name);
		out->n_files++;
		if (S_ISREG(st.st_mode))
			out->size += (uint64_t)st.st_size / st.st_nlink;
		else if (S_ISDIR(st.st_mode))
			r = measure(dirfd(d), entry->d_name, out, e);
	}
	return r;
}

int stage_adopt_layer(struct stage *st, int parent_dirfd, const char *name, struct layer_info *out,
		      struct err *e)
{
	_cleanup_(fd_closep) int dir = -EBADF;
	int r;

	*out = (struct layer_info){ 0 };
	dir = openat(parent_dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_errno(e, errno, "open %.200s", name);
	r = measure(parent_dirfd, name, out, e);
	if (r == 0)
		r = repack(dir, out, e);
	return r == 0 ? keep_layer(st, parent_dirfd, name, out, NULL, e) : r;
}

int stage_copy_layer(struct stage *st, int dirfd, struct layer_info *out, struct err *e)
{
	_cleanup_(fd_closep) int fd = openat(st->spool_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct layer_source src = { .fd = fd, .what = "layer" };
	struct pack_result packed;
	int r;

	if (fd < 0)
		return err_errno(e, errno, "make a temporary file");
	r = pack_layer(dirfd, COMPRESSION_NONE, fd, &packed, e);
	src.size = packed.size;
	src.digest = src.diff_id = packed.diff_id;
	return r == 0 ? stage_layer(st, &src, out, e) : r;
}

/* ---- kept blobs ------------------------------------------------------------------- */

/* Is @fd a file of this stage, which nobody else will ever write to? */
static bool is_ours(const struct stage *st, int fd)
{
	char dir[PATH_MAX], file[PATH_MAX], link[FD_PATH_MAX];
	ssize_t n = readlink(fd_path(st->spool_fd, link), dir, sizeof(dir) - 1);
	ssize_t m = readlink(fd_path(fd, link), file, sizeof(file) - 1);

	return n > 0 && m > n && memcmp(file, dir, (size_t)n) == 0 && file[n] == '/';
}

#define COPY_CHUNK (UINT64_C(8) << 20)

static int copy_bytes(int from, uint64_t offset, int to, uint64_t n, struct err *e)
{
	off_t at = (off_t)offset, written = 0;

	/* Shares extents where the file system can (btrfs, XFS with reflinks), and
	 * stays in the kernel otherwise. */
	while (n > 0) {
		ssize_t done = copy_file_range(from, &at, to, NULL, MIN(n, COPY_CHUNK), 0);

		if (done < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP))
			done = sendfile(to, from, &at, MIN(n, COPY_CHUNK));
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_errno(e, errno, "copy a layer's bytes");
		if (done == 0)
			return err_set(e, EBADMSG, "a layer's bytes end too early");
		n -= (uint64_t)done;
		/* The commit waits for the disk, so let that begin now; sync_file_range(2). */
		(void)sync_file_range(to, written, done, SYNC_FILE_RANGE_WRITE);
		written += done;
	}
	return 0;
}

static int write_blob(struct stage *st, const struct descriptor *d, int fd, uint64_t offset,
		      struct err *e)
{
	_cleanup_(fd_closep) int out = -EBADF;
	char path[LAYER_PATH_MAX];
	struct stat stat;

	blob_path(d->digest, path);
	if (offset == 0 && is_ours(st, fd) && fstat(fd, &stat) == 0 &&
	    (uint64_t)stat.st_size == d->size &&
	    linkat(fd, "", st->fd, path, AT_EMPTY_PATH) == 0)
		return fchmodat(st->fd, path, 0600, 0) < 0 ? err_errno(e, errno, "chmod") : 0;
	out = openat(st->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (out < 0)
		return err_errno(e, errno, "make a blob");
	return copy_bytes(fd, offset, out, d->size, e);
}

int stage_keep_blob_at(struct stage *st, const char *diff_id, const struct descriptor *d, int fd,
		       uint64_t offset, struct err *e)
{
	struct staged_layer *staged = map_get(&st->layers, diff_id);
	struct layer_record rec = { 0 };
	struct layer_info info;
	int r;

	if (!digest_is_valid(diff_id) || !digest_is_valid(d->digest))
		return err_set(e, EINVAL, "not a digest");
	r = layer_record_read(staged ? st->fd : st->store->fd, diff_id, &rec, e);
	if (r < 0 || rec.blob.digest) {
		layer_record_done(&rec);
		return r < 0 ? err_wrap(e, r, "layer %s", diff_id) : 0;
	}
	if (!strv_has(st->blobs, digest_hex(d->digest))) {
		r = write_blob(st, d, fd, offset, e);
		if (r < 0) {
			layer_record_done(&rec);
			return r;
		}
		strv_add(&st->blobs, digest_hex(d->digest));
	}
	rec.blob = (struct descriptor){ .digest = d->digest,
					.media_type = d->media_type,
					.size = d->size };
	r = layer_record_write(st->fd, diff_id, &rec, e);
	strv_free(rec.implied);
	if (r == 0 && !staged && stored_layer(st->store, diff_id, &info) == 0)
		add_staged(st, &info, true);
	return r;
}

int stage_keep_blob(struct stage *st, const char *diff_id, const struct descriptor *d, int fd,
		    struct err *e)
{
	return stage_keep_blob_at(st, diff_id, d, fd, 0, e);
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

/* A layer's directory and what it does not state; 1 if there is any. */
static int open_layer(const struct stage *st, const char *diff_id, struct implied_layer *out,
		      struct err *e)
{
	const struct staged_layer *staged = map_get(&st->layers, diff_id);
	int at = staged ? st->fd : st->store->fd;
	char path[LAYER_PATH_MAX];
	struct layer_record rec;
	int r = layer_record_read(at, diff_id, &rec, e);

	if (r < 0)
		return r;
	STRV_FOREACH (p, rec.implied)
		map_put(&out->paths, *p, NULL);
	layer_record_done(&rec);
	out->dir = openat(staged && !staged->stored ? st->fd : st->store->fd,
			  layer_path(diff_id, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return out->dir < 0 ? err_errno(e, errno, "open layer %s", diff_id)
			    : map_len(&out->paths) > 0;
}

static int fill_implied(struct stage *st, const struct implied_layer *layers, size_t n,
			const char *name, bool *made, struct err *e)
{
	struct layer_info info = { 0 };
	_cleanup_(fd_closep) int dir = -EBADF;
	char tmp[32];
	int r;

	dir = new_dir(st, tmp, e);
	if (dir < 0)
		return dir;
	r = implied_fill(layers, n, dir, e);
	*made = r > 0;
	memcpy(info.diff_id, name, DIGEST_MAX);
	return *made ? keep_layer(st, st->fd, tmp, &info, NULL, e) : r;
}

/* What goes on top of the layers of an image, if anything: see implied.h. */
static int add_implied(struct stage *st, struct image_record *rec, struct err *e)
{
	size_t n = strv_len(rec->layers), used = 0, with = 0;
	struct implied_layer *layers = xcalloc(n + 1, sizeof(*layers));
	char name[DIGEST_MAX];
	int r = 0;

	for (size_t i = n; r >= 0 && i-- > 0;) { /* the uppermost of one that is there twice */
		if (strv_has(rec->layers + i + 1, rec->layers[i]))
			continue;
		r = open_layer(st, rec->layers[i], &layers[used++], e);
		with += r > 0;
	}
	implied_name(rec->layers, n, name);
	if (r >= 0 && used > 1 && with > 0)
		r = stage_has_layer(st, name)
			    ? (rec->implied = true, 0)
			    : fill_implied(st, layers, used, name, &rec->implied, e);
	for (size_t i = 0; i < used; i++) {
		fd_close(layers[i].dir);
		map_done(&layers[i].paths);
	}
	free(layers);
	return MIN(r, 0);
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
		r = add_implied(st, &rec, e);
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
