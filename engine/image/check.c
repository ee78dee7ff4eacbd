/* engine/image/check.c: documents and kept bytes are compared with their digests.  A
 * layer's files are compared with what the kept bytes unpack to, by packing both: the
 * same tree gives the same tar.  Of a layer that comp made the packed files must
 * have its diff id.
 *
 * A layer that is replaced changes places with the new one in one step, so whoever
 * opens it finds one or the other; but an overlay that is mounted goes on with the old
 * files, which is why those of running containers are left alone.
 */
#include "engine/image/check.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/extractor.h"
#include "engine/image/pack.h"
#include "engine/image/ref.h"
#include "engine/image/stage.h"
#include "engine/image/store_internal.h"

#define CHUNK (256U << 10)

struct checking {
	struct store *s;
	const struct store_check_options *o;
	struct store_check_result *out;
	struct stage *stage; /* a place to unpack in; keeps the layers where they are */
	struct ref_list refs;
	struct map users; /* diff id → char **: ids of its images */
	unsigned int serial;
};

/* ---- findings --------------------------------------------------------------------- */

static char **names_of(const struct checking *c, char *const *ids)
{
	char **names = NULL;

	STRV_FOREACH (id, ids) {
		bool named = false;

		for (size_t i = 0; i < c->refs.n; i++) {
			if (!streq(c->refs.items[i].id, *id) || strchr(c->refs.items[i].ref, '@'))
				continue;
			strv_add_take(&names, ref_shorten(c->refs.items[i].ref));
			named = true;
		}
		if (!named)
			strv_add(&names, *id);
	}
	return names;
}

static void report(struct checking *c, const char *what, const char *problem, char *const *ids,
		   bool repaired, const char *repair)
{
	_cleanup_(strv_freep) char **names = names_of(c, ids);
	const struct store_finding f = { .what = what,
					 .problem = problem,
					 .images = names,
					 .repaired = repaired,
					 .repair = repair };

	c->out->n_problems++;
	c->out->n_repaired += repaired;
	if (c->o->finding)
		c->o->finding(c->o->data, &f);
}

/* ---- documents and kept bytes -------------------------------------------------------- */

/* 0: as its digest says; 1: not; -ENOENT; another -errno. */
static int check_blob(struct checking *c, const char *digest, struct err *e)
{
	_cleanup_(free_p) char *chunk = xmalloc(CHUNK);
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	_cleanup_(fd_closep) int fd = store_open_blob(c->s, digest, e);
	char got[DIGEST_MAX];
	ssize_t n;

	if (fd < 0)
		return fd;
	while ((n = read(fd, chunk, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EIO ? 1 : err_errno(e, errno, "read %s", digest);
		hasher_add(h, chunk, (size_t)n);
	}
	hasher_end(h, got);
	c->out->n_blobs++;
	return !streq(got, digest);
}

static int check_document(struct checking *c, const char *kind, const char *digest, const char *id,
			  struct err *e)
{
	_cleanup_(free_p) char *what = xasprintf("%s %s", kind, digest);
	char *ids[] = { (char *)id, NULL };
	int r = check_blob(c, digest, e);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r != 0)
		report(c, what, r < 0 ? "it is missing" : "its content has another digest", ids,
		       false, "pull or load the image again");
	return 0;
}

/* ---- layers -------------------------------------------------------------------------- */

static int new_dir(struct checking *c, char name[32], struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;

	snprintf(name, 32, "check-%u", c->serial++);
	if (mkdirat(stage_dirfd(c->stage), name, 0755) < 0)
		return err_errno(e, errno, "make a temporary directory");
	fd = openat(stage_dirfd(c->stage), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) < 0)
		return err_errno(e, errno, "make a temporary directory");
	return TAKE_FD(fd);
}

/* Unpack the kept bytes; -EBADMSG when they are damaged. */
static int unpack_again(struct checking *c, const char *diff_id, const struct descriptor *blob,
			char name[32], char packed[DIGEST_MAX], struct err *e)
{
	_cleanup_(fd_closep) int fd = store_open_blob(c->s, blob->digest, e);
	_cleanup_(fd_closep) int dir = -EBADF;
	const struct layer_source src = { .fd = fd,
					  .size = blob->size,
					  .digest = blob->digest,
					  .diff_id = diff_id,
					  .what = "layer" };
	struct pack_result result;
	struct layer_info info;
	int r;

	if (fd < 0)
		return fd;
	dir = new_dir(c, name, e);
	if (dir < 0)
		return dir;
	c->out->n_blobs++;
	r = extractor_layer(&src, dir, &info, NULL, e);
	if (r == 0)
		r = pack_layer(dir, COMPRESSION_NONE, -EBADF, &result, e);
	if (r == 0)
		memcpy(packed, result.diff_id, DIGEST_MAX);
	return r;
}

/* What its files are now; -ENOENT without them, "" when they cannot be packed. */
static int pack_files(struct checking *c, const char *diff_id, char packed[DIGEST_MAX],
		      struct err *e)
{
	char path[LAYER_PATH_MAX];
	_cleanup_(fd_closep) int dir = openat(c->s->fd, layer_path(diff_id, path),
					      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct pack_result result;
	int r;

	packed[0] = '\0';
	if (dir < 0)
		return errno == ENOENT ? -ENOENT : err_errno(e, errno, "open layer %s", diff_id);
	r = pack_layer(dir, COMPRESSION_NONE, -EBADF, &result, e);
	if (r == 0)
		memcpy(packed, result.diff_id, DIGEST_MAX);
	return r == -EOPNOTSUPP || r == -EIO ? 0 : r;
}

static bool is_running(const struct checking *c, char *const *ids)
{
	STRV_FOREACH (id, ids)
		if (c->o->is_running && c->o->is_running(c->o->data, *id, NULL) != 0)
			return true;
	return false;
}

/* Put the tree that was just unpacked into the layer's place. */
static int put_in_place(struct checking *c, const char *diff_id, const char *tmp, bool there,
			struct err *e)
{
	int from = stage_dirfd(c->stage);
	char path[LAYER_PATH_MAX];

	layer_path(diff_id, path);
	if (syncfs(from) < 0)
		return err_errno(e, errno, "sync");
	if (renameat2(from, tmp, c->s->fd, path, there ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0)
		return err_errno(e, errno, "replace layer %s", diff_id);
	return 0; /* what was there goes with the stage */
}

static const char advice_pull[] = "pull or load the image again";

static int bad_files(struct checking *c, const char *diff_id, const char *tmp, bool there,
		     char *const *ids, struct err *e)
{
	_cleanup_(free_p) char *what = xasprintf("layer %s", diff_id);
	const char *problem = there ? "its files are not those that were loaded"
				    : "its files are missing";
	int r;

	if (!tmp) {
		report(c, what, problem, ids, false,
		       "remove the image, and pull, load or build it again");
	} else if (!c->o->repair) {
		report(c, what, problem, ids, false,
		       "`comp system check --repair` unpacks it again");
	} else if (is_running(c, ids)) {
		report(c, what, problem, ids, false,
		       "not replaced: stop the containers that run on it first");
	} else {
		r = put_in_place(c, diff_id, tmp, there, e);
		if (r < 0)
			return r;
		report(c, what, problem, ids, true, "unpacked again");
	}
	return 0;
}

/* The record forgets them; whoever wants bytes packs the files, which are checked. */
static int drop_blob(struct checking *c, const char *diff_id, const struct layer_record *rec,
		     struct err *e)
{
	_cleanup_(fd_closep) int lock = store_lock(c->s, STORE_LOCK, LOCK_EX, e);
	struct layer_record without = *rec;
	int r;

	if (lock < 0)
		return lock;
	without.blob = (struct descriptor){ 0 };
	r = layer_record_write(c->s->fd, diff_id, &without, e);
	store_note_garbage(c->s);
	return r;
}

static int bad_blob(struct checking *c, const char *diff_id, const struct layer_record *rec,
		    bool missing, bool has_files, char *const *ids, struct err *e)
{
	_cleanup_(free_p) char *what = xasprintf("blob %s", rec->blob.digest);
	bool drop = c->o->repair && has_files;
	int r = drop ? drop_blob(c, diff_id, rec, e) : 0;

	if (r < 0)
		return r;
	report(c, what, missing ? "a layer's bytes are missing" : "a layer's bytes are damaged",
	       ids, drop,
	       drop ? "forgotten; save and push pack the files anew"
	       : has_files
		       ? "containers can run; `comp system check --repair` forgets them, so that "
			 "save and push pack the files anew"
		       : NULL);
	return has_files ? 0 : bad_files(c, diff_id, NULL, false, ids, e);
}

static int check_kept_layer(struct checking *c, const char *diff_id, const struct layer_record *rec,
			    char *const *ids, struct err *e)
{
	const struct descriptor *blob = &rec->blob;
	char tmp[32] = "", want[DIGEST_MAX], have[DIGEST_MAX];
	int files, r = unpack_again(c, diff_id, blob, tmp, want, e);
	bool missing = r == -ENOENT, bad = r == -EBADMSG || missing;

	if (r < 0 && !bad)
		return r;
	if (bad && e)
		*e = ERR_INIT;
	files = pack_files(c, diff_id, have, e);
	if (files < 0 && files != -ENOENT)
		return files;
	r = 0;
	if (bad) {
		r = bad_blob(c, diff_id, rec, missing, files == 0, ids, e);
	} else if (files == -ENOENT || !streq(want, have)) {
		r = bad_files(c, diff_id, tmp, files == 0, ids, e);
	}
	if (*tmp)
		(void)rm_rf(stage_dirfd(c->stage), tmp, NULL); /* else with the stage */
	return r;
}

static int check_layer(struct checking *c, const char *diff_id, char *const *ids, struct err *e)
{
	_cleanup_(layer_record_done) struct layer_record rec = { 0 };
	_cleanup_(free_p) char *what = xasprintf("layer %s", diff_id);
	char have[DIGEST_MAX];
	int r = layer_record_read(c->s->fd, diff_id, &rec, NULL);

	c->out->n_layers++;
	if (r < 0) {
		report(c, what, "its record is missing or damaged", ids, false, advice_pull);
		return 0;
	}
	if (rec.blob.digest)
		return check_kept_layer(c, diff_id, &rec, ids, e);
	r = pack_files(c, diff_id, have, e);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT || (rec.made && !streq(have, diff_id)))
		return bad_files(c, diff_id, NULL, r == 0, ids, e);
	c->out->n_unknown += !streq(have, diff_id);
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------- */

static void add_user(struct checking *c, const char *diff_id, const char *id)
{
	char **ids = map_get(&c->users, diff_id), **more;

	if (strv_has(ids, id))
		return;
	more = strv_copy(ids);
	strv_add(&more, id);
	map_put(&c->users, diff_id, more);
}

static int check_image(struct checking *c, const char *id, struct err *e)
{
	_cleanup_(free_p) char *what = xasprintf("image %s", id);
	char *ids[] = { (char *)id, NULL };
	struct image_record rec;
	int r = image_record_read(c->s, id, &rec, NULL);

	if (r == -ENOENT)
		return 0; /* removed meanwhile */
	c->out->n_images++;
	if (r < 0) {
		report(c, what, "its record is damaged", ids, false,
		       "remove it by its id (image rm -f), and pull or load it again");
		return 0;
	}
	r = check_document(c, "config", id, id, e);
	if (r == 0 && rec.digest)
		r = check_document(c, "manifest", rec.digest, id, e);
	STRV_FOREACH (l, rec.layers)
		add_user(c, *l, id);
	image_record_done(&rec);
	return r;
}

/* Names that mean an image which is not there. */
static void check_names(struct checking *c)
{
	for (size_t i = 0; i < c->refs.n; i++) {
		const struct ref_record *ref = &c->refs.items[i];
		_cleanup_(free_p) char *what = xasprintf("name %s", ref->ref);
		char *ids[] = { ref->id, NULL };
		char path[LAYER_PATH_MAX];

		snprintf(path, sizeof(path), "images/%s", digest_hex(ref->id));
		if (faccessat(c->s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			report(c, what, "the image it means is not there", ids, false, advice_pull);
	}
}

static int check_all(struct checking *c, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL, **problems = NULL;
	int r = ref_list_read(c->s, &c->refs, &problems, e);

	STRV_FOREACH (p, problems)
		report(c, "name", *p, NULL, false, advice_pull);
	if (r == 0)
		r = store_names(c->s, "images", &names, e);
	if (r < 0)
		return r;
	check_names(c);
	strv_sort(names);
	for (char **n = names; r == 0 && n && *n; n++) {
		_cleanup_(free_p) char *id = xasprintf("sha256:%s", *n);

		if (digest_is_valid(id))
			r = check_image(c, id, e);
	}
	MAP_FOREACH (m, &c->users) {
		r = r < 0 ? r : check_layer(c, m->key, m->value, e);
	}
	return r;
}

int store_check(struct store *s, const struct store_check_options *o,
		struct store_check_result *out, struct err *e)
{
	_cleanup_(stage_freep) struct stage *stage = NULL;
	struct checking c = { .s = s, .o = o, .out = out };
	int r = stage_begin(s, &stage, e);

	*out = (struct store_check_result){ 0 };
	if (r < 0)
		return r;
	c.stage = stage;
	c.users = MAP_INIT_FREE(strv_free);
	r = check_all(&c, e);
	ref_list_done(&c.refs);
	map_done(&c.users);
	return r;
}
