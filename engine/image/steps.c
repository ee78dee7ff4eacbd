/* engine/image/steps.c: see steps.h.
 *
 * A cache may always be wrong in one direction: a record that cannot be read is as
 * good as none, is removed when it is met, and never stops a build or a collection.
 */
#include "engine/image/steps.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/store_internal.h"

#define STEP_MAX_SIZE 65536

void step_record_done(struct step_record *r)
{
	free(r->what);
	*r = (struct step_record){ 0 };
}

static int read_step(struct store *s, const char *key, struct step_record *out, struct err *e)
{
	_cleanup_(free_p) char *path = xasprintf("steps/%s", key);
	_cleanup_(json_unrefp) json *o = NULL;
	const char *diff_id;
	int r = json_read_file(s->fd, path, STEP_MAX_SIZE, &o, e);

	*out = (struct step_record){ 0 };
	diff_id = json_get_str(o, "diff_id");
	if (r == 0 && !digest_is_valid(diff_id))
		r = err_set(e, EBADMSG, "%s/%s is damaged", s->path, path);
	if (r < 0) {
		if (r != -ENOENT)
			(void)unlinkat(s->fd, path, 0); /* a cache: made again when needed */
		return r;
	}
	memcpy(out->diff_id, diff_id, DIGEST_MAX);
	out->created = json_get_u64(o, "created", 0);
	out->size = json_get_u64(o, "size", 0);
	out->what = xstrdup_null(json_get_str(o, "what"));
	return 0;
}

static bool has_layer(struct store *s, const char *diff_id)
{
	char path[96];

	snprintf(path, sizeof(path), "layers/%s", digest_hex(diff_id));
	return faccessat(s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int steps_get(struct store *s, const char *key, struct step_record *out, struct err *e)
{
	_cleanup_(free_p) char *path = xasprintf("steps/%s", key);
	int r = read_step(s, key, out, NULL);

	if (r < 0)
		return err_set(e, ENOENT, "step %s is not known", key);
	if (!has_layer(s, out->diff_id)) {
		step_record_done(out);
		(void)unlinkat(s->fd, path, 0); /* it will be made again under the same key */
		return err_set(e, ENOENT, "the layer of step %s is gone", key);
	}
	(void)utimensat(s->fd, path, NULL, 0); /* only the order of pruning suffers */
	return 0;
}

int steps_put(struct store *s, const char *key, const struct step_record *rec, struct err *e)
{
	_cleanup_(free_p) char *path = xasprintf("steps/%s", key);
	_cleanup_(json_unrefp) json *o = json_new_object();
	int r = mkdir_p(s->fd, "steps", 0700, e);

	json_put_str(o, "diff_id", rec->diff_id);
	json_put_u64(o, "created", rec->created);
	json_put_u64(o, "size", rec->size);
	json_put_str(o, "what", rec->what);
	return r < 0 ? r
		     : file_write_atomic(s->fd, path, json_text(o), strlen(json_text(o)), 0600,
					 false, e);
}

void step_list_done(struct step_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].key);
		step_record_done(&l->items[i].rec);
	}
	free(l->items);
	*l = (struct step_list){ 0 };
}

static int by_use(const void *a, const void *b)
{
	const struct step_entry *x = a, *y = b;

	if (x->rec.used != y->rec.used)
		return x->rec.used < y->rec.used ? -1 : 1;
	return strcmp(x->key, y->key);
}

int steps_list(struct store *s, struct step_list *out, struct err *e)
{
	_cleanup_(strv_freep) char **names = NULL;
	int r = store_names(s, "steps", &names, e);

	*out = (struct step_list){ 0 };
	if (r < 0)
		return r;
	out->items = xcalloc(strv_len(names) + 1, sizeof(*out->items));
	STRV_FOREACH (n, names) {
		_cleanup_(free_p) char *path = xasprintf("steps/%s", *n);
		struct step_entry *it = &out->items[out->n];
		struct stat st;

		if (!digest_hex_is_valid(*n) || read_step(s, *n, &it->rec, NULL) < 0)
			continue;
		if (fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			it->rec.used = (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC +
				       (uint64_t)st.st_mtim.tv_nsec;
		it->key = xstrdup(*n);
		out->n++;
	}
	qsort(out->items, out->n, sizeof(*out->items), by_use);
	return 0;
}

int steps_mark(struct store *s, struct map *needed, struct err *e)
{
	_cleanup_(step_list_done) struct step_list l = { 0 };
	int r = steps_list(s, &l, e);

	for (size_t i = 0; i < l.n; i++)
		store_mark_layer(s, l.items[i].rec.diff_id, needed);
	return r;
}

/* STORE_LOCK is held. */
int steps_forget(struct store *s, uint64_t before, size_t *n, struct err *e)
{
	_cleanup_(step_list_done) struct step_list l = { 0 };
	int r = steps_list(s, &l, e);

	for (size_t i = 0; r == 0 && i < l.n; i++) {
		_cleanup_(free_p) char *path = xasprintf("steps/%s", l.items[i].key);

		if (before != UINT64_MAX && l.items[i].rec.used >= before)
			continue;
		if (unlinkat(s->fd, path, 0) < 0 && errno != ENOENT)
			r = err_errno(e, errno, "remove %s", path);
		else
			(*n)++;
	}
	return r;
}

int steps_prune(struct store *s, uint64_t before, size_t *n, uint64_t *freed, struct err *e)
{
	_cleanup_(fd_closep) int lock = -EBADF;
	_cleanup_(removed_done) struct removed gone = { 0 };
	int r;

	*n = 0;
	*freed = 0;
	lock = store_lock(s, STORE_LOCK, LOCK_EX, e);
	if (lock < 0)
		return lock;
	r = steps_forget(s, before, n, e);
	if (r == 0)
		r = store_collect(s, &lock, &gone, e);
	*freed = gone.freed;
	return r;
}
