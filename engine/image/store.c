/* engine/image/store.c: opening and reading the store.  A name is one file, found
 * by the hash of its canonical form, so resolving one reads three small files
 * (name, record, config) however many images there are, and two writers of two
 * names never meet. */
#include "engine/image/store_internal.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/implied.h"
#include "engine/image/ref.h"

#define RECORD_MAX    (256U << 10)
#define ID_PREFIX_MIN 4
#define TMP_TRIES     8

int store_open(const char *path, struct store **out, struct err *e)
{
	_cleanup_(store_closep) struct store *s = new0(struct store);
	int r;

	s->path = xstrdup(path);
	s->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0 && errno == ENOENT) {
		r = mkdir_p(AT_FDCWD, path, 0700, e);
		if (r < 0)
			return err_wrap(e, r, "image store");
		s->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (s->fd < 0)
		return err_errno(e, errno, "open image store %s", path);
	*out = TAKE_PTR(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	fd_close(s->fd);
	free(s->path);
	free(s);
}

const char *store_path(const struct store *s)
{
	return s->path;
}

char *store_layer_path(const struct store *s, const char *diff_id)
{
	return xasprintf("%s/layers/%s", s->path, digest_hex(diff_id));
}

int store_read_blob(struct store *s, const char *digest, struct buf *out, struct err *e)
{
	char path[128];

	if (!digest_is_valid(digest))
		return err_set(e, EINVAL, "\"%.100s\" is not a sha256 digest", digest);
	snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(digest));
	return file_read(s->fd, path, CONFIG_MAX_SIZE, out, e);
}

int store_names(struct store *s, const char *dir, char ***out, struct err *e)
{
	int fd = openat(s->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(dir_closep) DIR *d = NULL;
	struct dirent *entry;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "open %s/%s", s->path, dir);
	d = fdopendir(fd);
	if (!d) {
		fd_close(fd);
		return err_errno(e, errno, "read %s/%s", s->path, dir);
	}
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			strv_add(out, entry->d_name);
	return 0;
}

/* ---- locks and temporary directories --------------------------------------------- */

int store_lock(struct store *s, const char *name, int op, struct err *e)
{
	_cleanup_(fd_closep) int fd = -EBADF;

	fd = retry_eintr(openat(s->fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (fd < 0)
		return err_errno(e, errno, "open %s/%s", s->path, name);
	while (flock(fd, op) < 0)
		if (errno != EINTR)
			return err_errno(e, errno, "lock %s/%s", s->path, name);
	return TAKE_FD(fd);
}

int store_tmp_new(struct store *s, char **name, struct err *e)
{
	int r = mkdir_p(s->fd, "tmp", 0700, e);

	for (int i = 0; r == 0 && i < TMP_TRIES; i++) {
		_cleanup_(fd_closep) int fd = -EBADF;
		char random[33], path[64];
		struct stat st;

		random_hex(random, 16);
		snprintf(path, sizeof(path), "tmp/%s", random);
		if (mkdirat(s->fd, path, 0700) < 0)
			return err_errno(e, errno, "make %s/%s", s->path, path);
		fd = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* A reaper may have taken the directory for a dead one's before
		 * it was locked: then it is gone, and we take another. */
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ||
		    fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		*name = xstrdup(path);
		return TAKE_FD(fd);
	}
	return r < 0 ? r : err_set(e, EAGAIN, "cannot make a temporary directory in %s", s->path);
}

bool store_tmp_reap(struct store *s)
{
	_cleanup_(strv_freep) char **names = NULL;
	bool any = false;

	if (store_names(s, "tmp", &names, NULL) < 0)
		return false;
	STRV_FOREACH (n, names) {
		_cleanup_(free_p) char *path = xasprintf("tmp/%s", *n);
		_cleanup_(fd_closep) int fd = -EBADF;

		fd = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
			continue;
		any = true;
		(void)rm_rf(s->fd, path, NULL); /* what stays is the next one's */
	}
	return any;
}

/* ---- records ---------------------------------------------------------------------- */

void image_record_done(struct image_record *r)
{
	free(r->id);
	free(r->digest);
	strv_free(r->layers);
	free(r->architecture);
	free(r->os);
	free(r->variant);
	*r = (struct image_record){ 0 };
}

char *image_record_text(const struct image_record *r)
{
	_cleanup_(json_unrefp) json *o = json_new_object();

	json_put_int(o, "version", STORE_VERSION);
	json_put_str(o, "id", r->id);
	json_put_str(o, "manifest", r->digest);
	json_put_strv(o, "layers", r->layers);
	if (r->implied)
		json_put_bool(o, "implied", true);
	json_put_u64(o, "size", r->size);
	json_put_u64(o, "created", r->created);
	json_put_u64(o, "stored", r->stored);
	json_put_str(o, "architecture", r->architecture);
	json_put_str(o, "os", r->os);
	json_put_str(o, "variant", r->variant);
	return xstrdup(json_text(o));
}

static int check_record(const struct image_record *r, const char *id, struct err *e)
{
	if (!streq_null(r->id, id) || (r->digest && !digest_is_valid(r->digest)))
		return err_set(e, EBADMSG, "the record of image %s is damaged", id);
	STRV_FOREACH (l, r->layers)
		if (!digest_is_valid(*l))
			return err_set(e, EBADMSG, "the record of image %s is damaged", id);
	return 0;
}

int image_record_read(struct store *s, const char *id, struct image_record *out, struct err *e)
{
	_cleanup_(json_unrefp) json *o = NULL;
	char path[80];
	int r;

	*out = (struct image_record){ 0 };
	snprintf(path, sizeof(path), "images/%s", digest_hex(id));
	r = json_read_file(s->fd, path, RECORD_MAX, &o, e);
	if (r == -ENOENT) /* it has never been here, or was removed since its name was read */
		return err_set(e, ENOENT, "no such image");
	if (r < 0)
		return r;
	*out = (struct image_record){
		.id = xstrdup_null(json_get_str(o, "id")),
		.digest = xstrdup_null(json_get_str(o, "manifest")),
		.layers = json_get_strv(o, "layers"),
		.implied = json_get_bool(o, "implied", false),
		.size = json_get_u64(o, "size", 0),
		.created = json_get_u64(o, "created", 0),
		.stored = json_get_u64(o, "stored", 0),
		.architecture = xstrdup_null(json_get_str(o, "architecture")),
		.os = xstrdup_null(json_get_str(o, "os")),
		.variant = xstrdup_null(json_get_str(o, "variant")),
	};
	r = check_record(out, id, e);
	if (r < 0)
		image_record_done(out);
	return r;
}

char *ref_record_path(const char *canonical)
{
	char digest[DIGEST_MAX];

	digest_of(canonical, strlen(canonical), digest);
	return xasprintf("refs/%s", digest_hex(digest));
}

char *ref_record_text(const char *canonical, const char *id)
{
	_cleanup_(json_unrefp) json *o = json_new_object();

	json_put_str(o, "ref", canonical);
	json_put_str(o, "id", id);
	return xstrdup(json_text(o));
}

static int read_ref_file(struct store *s, const char *path, struct ref_record *out, struct err *e)
{
	_cleanup_(json_unrefp) json *o = NULL;
	int r = json_read_file(s->fd, path, RECORD_MAX, &o, e);

	if (r < 0)
		return r;
	if (!json_get_str(o, "ref") || !digest_is_valid(json_get_str(o, "id")))
		return err_set(e, EBADMSG, "%s/%s is damaged", s->path, path);
	out->ref = xstrdup(json_get_str(o, "ref"));
	out->id = xstrdup(json_get_str(o, "id"));
	return 0;
}

int ref_record_read(struct store *s, const char *canonical, char **id, struct err *e)
{
	_cleanup_(free_p) char *path = ref_record_path(canonical);
	struct ref_record rec = { 0 };
	int r = read_ref_file(s, path, &rec, e);

	if (r < 0)
		return r;
	*id = rec.id;
	free(rec.ref);
	return 0;
}

void ref_list_done(struct ref_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].ref);
		free(l->items[i].id);
	}
	free(l->items);
	*l = (struct ref_list){ 0 };
}

static int by_ref(const void *a, const void *b)
{
	return strcmp(((const struct ref_record *)a)->ref, ((const struct ref_record *)b)->ref);
}

int ref_list_read(struct store *s, struct ref_list *out, char ***problems, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	int r = store_names(s, "refs", &names, e);

	*out = (struct ref_list){ 0 };
	if (r < 0)
		return r;
	out->items = xcalloc(strv_len(names) + 1, sizeof(*out->items));
	STRV_FOREACH (n, names) {
		_cleanup_(free_p) char *path = xasprintf("refs/%s", *n);
		struct err problem = ERR_INIT;

		/* Half a tag: who wrote it was killed before the rename. */
		if (!digest_hex_is_valid(*n))
			continue;
		r = read_ref_file(s, path, &out->items[out->n], &problem);
		if (r == 0)
			out->n++;
		else if (r != -ENOENT && problems) /* removed meanwhile */
			strv_add(problems, problem.msg);
	}
	qsort(out->items, out->n, sizeof(*out->items), by_ref);
	return 0;
}

/* ---- resolving -------------------------------------------------------------------- */

static int no_such_image(struct err *e, const char *ref)
{
	err_set(e, ENOENT, "no such image: %.200s", ref);
	return err_hint(e,
			"`comp image pull %.100s` asks its registry, `comp load -i FILE` takes in "
			"what `docker save` or skopeo wrote",
			ref);
}

/* The one image whose id starts with @hex. */
static int find_by_prefix(struct store *s, const char *hex, char **id, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	const char *found = NULL;
	int r = store_names(s, "images", &names, e);

	if (r < 0)
		return r;
	STRV_FOREACH (n, names) {
		if (!skip_prefix(*n, hex) || !digest_hex_is_valid(*n))
			continue;
		if (found)
			return err_set(e, EINVAL, "several images have an id that starts with %s",
				       hex);
		found = *n;
	}
	if (!found)
		return -ENOENT;
	*id = xasprintf("sha256:%s", found);
	return 0;
}

static bool is_hex(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n >= ID_PREFIX_MIN && n <= DIGEST_HEX_LEN && !s[n];
}

/* *name: familiar form of what matched. */
static int resolve(struct store *s, const char *text, char **id, char **name, struct err *e)
{
	const char *hex = skip_prefix(text, "sha256:") ?: text;
	struct image_ref ref;
	int r = -ENOENT;

	if (ref_parse(text, &ref, e) == 0) {
		_cleanup_(free_p) char *canonical = ref_canonical(&ref);

		r = ref_record_read(s, canonical, id, e);
		if (r == 0)
			*name = ref_familiar(&ref);
		ref_done(&ref);
	} else if (!is_hex(hex)) {
		return -EINVAL;
	}
	if (r == -ENOENT && is_hex(hex)) {
		r = find_by_prefix(s, hex, id, e);
		if (r == 0)
			*name = xstrdup(*id);
	}
	return r == -ENOENT ? no_such_image(e, text) : r;
}

int store_resolve_id(struct store *s, const char *ref, char **id, struct err *e)
{
	_cleanup_(free_p) char *name = NULL;

	*id = NULL;
	return resolve(s, ref, id, &name, e);
}

void image_free(struct image *i)
{
	if (!i)
		return;
	free(i->id);
	free(i->name);
	free(i->digest);
	strv_free(i->layers);
	image_config_done(&i->config);
	free(i);
}

/* overlayfs refuses a directory that is there twice.  Of a layer that an image
 * applies twice only the upper one shows: it hides whatever of its own came up
 * from below, so the lower one can go. */
static char **layer_dirs(const struct store *s, const struct image_record *rec)
{
	char **dirs = xcalloc(1, sizeof(*dirs)), implied[DIGEST_MAX];

	STRV_FOREACH (id, rec->layers)
		if (!strv_has(id + 1, *id))
			strv_add_take(&dirs, store_layer_path(s, *id));
	if (rec->implied) {
		implied_name(rec->layers, strv_len(rec->layers), implied);
		strv_add_take(&dirs, store_layer_path(s, implied));
	}
	return dirs;
}

char **store_chain_dirs(const struct store *s, char *const *diff_ids)
{
	char **dirs = xcalloc(1, sizeof(*dirs)), implied[DIGEST_MAX], path[LAYER_PATH_MAX];
	size_t n = 0;

	STRV_FOREACH (id, diff_ids) {
		if (!strv_has(id + 1, *id))
			strv_add_take(&dirs, store_layer_path(s, *id));
		implied_name(diff_ids, ++n, implied);
		if (n > 1 && faccessat(s->fd, layer_path(implied, path), F_OK, 0) == 0)
			strv_add_take(&dirs, store_layer_path(s, implied));
	}
	return dirs;
}

int store_resolve(struct store *s, const char *ref, struct image **out, struct err *e)
{
	_cleanup_(image_freep) struct image *i = new0(struct image);
	_cleanup_(buf_done) struct buf config = BUF_INIT;
	struct image_record rec;
	int r = resolve(s, ref, &i->id, &i->name, e);

	if (r < 0)
		return r;
	r = image_record_read(s, i->id, &rec, e);
	if (r < 0) /* removed between the two reads */
		return r == -ENOENT ? no_such_image(e, ref) : r;
	i->digest = TAKE_PTR(rec.digest);
	i->layers = layer_dirs(s, &rec);
	i->size = rec.size;
	i->stored = rec.stored;
	image_record_done(&rec);
	r = store_read_blob(s, i->id, &config, e);
	if (r == 0)
		r = image_config_parse(buf_str(&config), config.len, &i->config, e);
	if (r < 0)
		return err_wrap(e, r, "image %s", i->name);
	*out = TAKE_PTR(i);
	return 0;
}

/* ---- listing ---------------------------------------------------------------------- */

void image_list_done(struct image_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct image_summary *m = &l->items[i];

		free(m->id);
		strv_free(m->tags);
		strv_free(m->digests);
		free(m->architecture);
		free(m->os);
		free(m->variant);
	}
	free(l->items);
	strv_free(l->problems);
	*l = (struct image_list){ 0 };
}

static void take_record(struct image_summary *m, struct image_record *rec)
{
	*m = (struct image_summary){ .size = rec->size,
				     .created = rec->created,
				     .stored = rec->stored };
	m->id = TAKE_PTR(rec->id);
	m->architecture = TAKE_PTR(rec->architecture);
	m->os = TAKE_PTR(rec->os);
	m->variant = TAKE_PTR(rec->variant);
	image_record_done(rec);
}

static void add_names(struct image_summary *m, const struct ref_list *refs)
{
	for (size_t i = 0; i < refs->n; i++) {
		if (!streq(refs->items[i].id, m->id))
			continue;
		strv_add_take(strchr(refs->items[i].ref, '@') ? &m->digests : &m->tags,
			      ref_shorten(refs->items[i].ref));
	}
}

static int newest_first(const void *a, const void *b)
{
	const struct image_summary *x = a, *y = b;

	if (x->created != y->created)
		return x->created < y->created ? 1 : -1;
	return strcmp(x->id, y->id);
}

int store_list(struct store *s, struct image_list *out, struct err *e)
{
	_cleanup_(ref_list_done) struct ref_list refs = { 0 };
	_cleanup_(strv_freep) char **names = NULL;
	int r;

	*out = (struct image_list){ 0 };
	r = store_names(s, "images", &names, e);
	if (r == 0)
		r = ref_list_read(s, &refs, &out->problems, e);
	if (r < 0)
		return r;
	out->items = xcalloc(strv_len(names) + 1, sizeof(*out->items));
	STRV_FOREACH (n, names) {
		_cleanup_(free_p) char *id = xasprintf("sha256:%s", *n);
		struct err problem = ERR_INIT;
		struct image_record rec;

		if (!digest_is_valid(id))
			continue;
		r = image_record_read(s, id, &rec, &problem);
		if (r == -ENOENT) /* removed meanwhile */
			continue;
		if (r < 0) {
			strv_add(&out->problems, problem.msg);
			continue;
		}
		take_record(&out->items[out->n], &rec);
		add_names(&out->items[out->n++], &refs);
	}
	qsort(out->items, out->n, sizeof(*out->items), newest_first);
	return 0;
}
