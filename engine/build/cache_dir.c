/* engine/build/cache_dir.c: see cache_dir.h. */
#include "engine/build/cache_dir.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/pack.h"
#include "engine/image/stage.h"

#define INDEX_MAX     (16U << 20)
#define INDEX_VERSION 1

struct cache_dir {
	int fd;
	json *index;
};

int cache_dir_open(const char *path, struct cache_dir **out, struct err *e)
{
	struct cache_dir *c = new0(struct cache_dir);
	int r;

	c->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = c->fd < 0 ? err_errno(e, errno, "cache %s", path)
		      : json_read_file(c->fd, "index.json", INDEX_MAX, &c->index, e);
	if (r == 0 && json_get_int(c->index, "version", 0) != INDEX_VERSION)
		r = err_set(e, EBADMSG, "cache %s: its index is not one of comp", path);
	if (r < 0) {
		cache_dir_free(c);
		return r;
	}
	*out = c;
	return 0;
}

void cache_dir_free(struct cache_dir *c)
{
	if (!c)
		return;
	fd_close(c->fd);
	json_unref(c->index);
	free(c);
}

static int take_layer(struct cache_dir *c, struct stage *st, json *step, struct err *e)
{
	const char *diff_id = json_get_str(step, "diff_id"), *digest = json_get_str(step, "digest");
	_cleanup_(fd_closep) int fd = -EBADF;
	struct layer_info info;
	char path[96];

	if (!digest_is_valid(diff_id) || !digest_is_valid(digest))
		return err_set(e, EBADMSG, "a cache's index is damaged");
	if (stage_has_layer(st, diff_id))
		return 0;
	snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(digest));
	fd = openat(c->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	const struct layer_source src = { .fd = fd,
					  .size = UINT64_MAX,
					  .digest = digest,
					  .diff_id = diff_id,
					  .what = "a cached layer" };
	return stage_layer(st, &src, &info, e);
}

int cache_dir_take(struct cache_dir *c, struct store *s, const char *key, struct step_record *out,
		   struct err *e)
{
	json *step = json_get(json_get(c->index, "steps"), key);
	_cleanup_(stage_freep) struct stage *st = NULL;
	int r;

	*out = (struct step_record){ 0 };
	if (!step)
		return err_set(e, ENOENT, "not in the cache");
	r = stage_begin(s, &st, e);
	if (r == 0)
		r = take_layer(c, st, step, e);
	if (r < 0)
		return r;
	memcpy(out->diff_id, json_get_str(step, "diff_id"), DIGEST_MAX);
	out->created = json_get_u64(step, "created", 0);
	out->what = xstrdup_null(json_get_str(step, "what"));
	r = steps_put(s, key, out, e);
	if (r == 0)
		r = stage_commit(st, NULL, e);
	if (r < 0)
		step_record_done(out);
	return r;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* The layer as a blob in @dir; its digest is known only when it is written. */
static int write_layer(int dir, struct store *s, const char *diff_id, char digest[DIGEST_MAX],
		       struct err *e)
{
	_cleanup_(free_p) char *layer = store_layer_path(s, diff_id);
	_cleanup_(fd_closep) int from = open(layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(fd_closep) int to = -EBADF;
	struct pack_result packed;
	char tmp[32] = ".new-", path[96];
	int r;

	random_hex(tmp + strlen(tmp), 8);
	to = openat(dir, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (from < 0 || to < 0)
		return err_errno(e, errno, "write a cached layer");
	r = pack_layer(from, COMPRESSION_ZSTD, to, &packed, e);
	if (r == 0) {
		memcpy(digest, packed.digest, DIGEST_MAX);
		snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(digest));
		if (renameat(dir, tmp, dir, path) < 0)
			r = err_errno(e, errno, "write %s", path);
	}
	if (r < 0)
		(void)unlinkat(dir, tmp, 0);
	return r;
}

static json *old_steps(int dir)
{
	json *index = NULL;

	return json_read_file(dir, "index.json", INDEX_MAX, &index, NULL) == 0 ? index : NULL;
}

/* "key\tdiff id\tcreated\twhat" */
static int write_step(int dir, struct store *s, const char *line, json *old, json *steps,
		      struct err *e)
{
	_cleanup_(strv_freep) char **f = strv_split(line, '\t', false);
	json *was = json_get(json_get(old, "steps"), f[0]), *o;
	char digest[DIGEST_MAX], path[96];
	uint64_t created = 0;
	int r = 0;

	if (strv_len(f) < 4 || !parse_u64(f[2], &created))
		return err_set(e, EINVAL, "a step that cannot be written down");
	if (was && streq_null(json_get_str(was, "diff_id"), f[1]) &&
	    digest_is_valid(json_get_str(was, "digest"))) {
		memcpy(digest, json_get_str(was, "digest"), DIGEST_MAX);
		snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(digest));
		if (faccessat(dir, path, F_OK, 0) < 0)
			was = NULL;
	} else {
		was = NULL;
	}
	if (!was)
		r = write_layer(dir, s, f[1], digest, e);
	if (r < 0)
		return r;
	o = json_new_object();
	json_put_str(o, "diff_id", f[1]);
	json_put_str(o, "digest", digest);
	json_put_u64(o, "created", created);
	json_put_str(o, "what", f[3]);
	json_put(steps, f[0], o);
	return 0;
}

int cache_dir_write(const char *path, struct store *s, char *const *steps, struct err *e)
{
	_cleanup_(json_unrefp) json *index = json_new_object(), *old = NULL;
	_cleanup_(fd_closep) int dir = -EBADF;
	json *list = json_new_object();
	int r = mkdir_p(AT_FDCWD, path, 0755, e);

	json_put_int(index, "version", INDEX_VERSION);
	json_put(index, "steps", list);
	if (r < 0)
		return r;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_errno(e, errno, "open %s", path);
	r = mkdir_p(dir, "blobs/sha256", 0755, e);
	old = old_steps(dir);
	for (; r == 0 && steps && *steps; steps++)
		r = write_step(dir, s, *steps, old, list, e);
	return r < 0 ? r
		     : file_write_atomic(dir, "index.json", json_text(index),
					 strlen(json_text(index)), 0644, false, e);
}
