/* engine/build/layer.c: a step works on an overlay of the layers so far; what it wrote is
 * the upper directory, and that, renamed, is the next layer.
 *
 * Mounted by the same code as containers' roots, in the mount namespace of the stage's
 * process, so that nothing stays mounted when that is killed.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/build/internal.h"
#include "engine/container/setup.h"
#include "engine/image/stage.h"

/* "/" keeps the mode and owner that the layers below give it. */
static int copy_root(const char *top, const char *dir, struct err *e)
{
	_cleanup_(free_p) char *upper = path_join(dir, "upper");
	struct stat st;

	if (stat(top, &st) < 0)
		return err_errno(e, errno, "stat %s", top);
	if (chown(upper, st.st_uid, st.st_gid) < 0 || chmod(upper, st.st_mode & 07777) < 0)
		return err_errno(e, errno, "prepare %s", upper);
	return 0;
}

static int mount_layers(struct workroot *w, char *const *dirs, struct err *e)
{
	struct container_spec spec = { .layers = (char **)dirs };
	struct launch launch = LAUNCH_INIT;
	struct setup setup = { .l = &launch, .spec = &spec, .root_fd = -EBADF };
	int r;

	launch.dir_path = w->dir;
	setup.dir_fd = open(w->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (setup.dir_fd < 0)
		return err_errno(e, errno, "open %s", w->dir);
	r = setup_rootfs(&setup, e);
	fd_close(setup.dir_fd);
	w->root = setup.root_fd;
	return r;
}

int workroot_mount(struct run *r, char *const *diff_ids, struct workroot **out, struct err *e)
{
	_cleanup_(strv_freep) char **dirs = store_chain_dirs(r->b->store, diff_ids);
	_cleanup_(workroot_discardp) struct workroot *w = new0(struct workroot);
	_cleanup_(free_p) char *upper = NULL;
	int code = exec_private(r, e);

	w->root = -EBADF;
	if (code < 0)
		return code;
	w->dir = xasprintf("%s/%u", r->work, r->serial++);
	upper = path_join(w->dir, "upper");
	code = mkdir_p(AT_FDCWD, upper, 0755, e);
	if (code == 0 && !dirs[0]) {
		_cleanup_(free_p) char *empty = path_join(w->dir, "empty");

		code = mkdir_p(AT_FDCWD, empty, 0755, e);
		strv_add(&dirs, empty);
	}
	if (code == 0)
		code = copy_root(dirs[strv_len(dirs) - 1], w->dir, e);
	if (code == 0)
		code = mount_layers(w, dirs, e);
	if (code < 0)
		return err_wrap(e, code, "mount the layers");
	*out = TAKE_PTR(w);
	return 0;
}

void workroot_unmount(struct workroot *w)
{
	if (!w)
		return;
	if (w->root >= 0) {
		fd_close(w->root);
		(void)umount2(w->dir, MNT_DETACH); /* else with this process */
	}
	free(w->dir);
	free(w);
}

void workroot_discard(struct workroot *w)
{
	_cleanup_(free_p) char *dir = w ? TAKE_PTR(w->dir) : NULL;

	if (!w)
		return;
	if (w->root >= 0) {
		fd_close(w->root);
		(void)umount2(dir, MNT_DETACH);
	}
	free(w);
	if (dir)
		(void)rm_rf(AT_FDCWD, dir, NULL); /* else with the build's directory */
}

/* ---- becoming a layer ----------------------------------------------------------------- */

static int clamp_entry(void *data, const struct walk_entry *w, struct err *e)
{
	const struct timespec *limit = data;
	const struct timespec times[2] = { *limit, *limit };

	if (S_ISDIR(w->st.st_mode) && !w->leaving)
		return 0;
	if (w->st.st_mtim.tv_sec < limit->tv_sec)
		return 0;
	if (utimensat(w->dirfd, w->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, errno, "set times of %s", w->path);
	return 0;
}

/* SOURCE_DATE_EPOCH: nothing in the image is younger. */
static int clamp_times(const struct run *r, int dirfd, struct err *e)
{
	struct timespec limit = { .tv_sec = (time_t)(r->b->o->epoch / NSEC_PER_SEC) };

	if (!r->b->o->has_epoch)
		return 0;
	return walk_tree(dirfd, "upper", NULL, 0, clamp_entry, &limit, e);
}

static void add_layer(struct run *r, const char *diff_id, uint64_t created)
{
	strv_add(&r->config.diff_ids, diff_id);
	r->created = created;
}

void layer_note(struct run *r, const char *key, const char *what)
{
	_cleanup_(free_p) char *line = xstrdup(what ?: "");
	size_t n = strv_len(r->config.diff_ids);

	for (char *p = line; *p; p++)
		if (*p == '\t')
			*p = ' ';
	strv_addf(&r->steps, "%s\t%s\t%ju\t%s", key, r->config.diff_ids[n - 1],
		  (uintmax_t)r->created, line);
}

/* In the store, or in a directory that was given. */
static int look_up(struct run *r, const char *key, struct step_record *rec)
{
	int code = steps_get(r->b->store, key, rec, NULL);

	for (struct cache_dir **c = r->b->caches; code < 0 && c && *c; c++) {
		struct err why = ERR_INIT;

		code = cache_dir_take(*c, r->b->store, key, rec, &why);
		if (code < 0 && code != -ENOENT)
			exec_say(r, "cache not used: %s", why.msg);
	}
	return code;
}

int layer_cached(struct run *r, const char *key)
{
	struct step_record rec;

	if (r->no_cache)
		return 0;
	if (look_up(r, key, &rec) < 0 && (!step_lock(r, key) || look_up(r, key, &rec) < 0))
		return 0;
	add_layer(r, rec.diff_id, r->b->o->has_epoch ? r->b->o->epoch : rec.created);
	layer_note(r, key, rec.what);
	step_record_done(&rec);
	return 1;
}

int layer_adopt(struct run *r, const char *dir, const char *key, const char *what, struct err *e)
{
	struct step_record rec = { .created = r->b->o->has_epoch ? r->b->o->epoch : now_real_ns(),
				   .what = (char *)what };
	_cleanup_(stage_freep) struct stage *st = NULL;
	_cleanup_(fd_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct layer_info info;
	int code;

	if (fd < 0)
		return err_errno(e, errno, "open %s", dir);
	code = clamp_times(r, fd, e);
	if (code == 0)
		code = stage_begin(r->b->store, &st, e);
	if (code == 0)
		code = stage_adopt_layer(st, fd, "upper", &info, e);
	if (code < 0)
		return err_wrap(e, code, "keep the layer");
	memcpy(rec.diff_id, info.diff_id, DIGEST_MAX);
	rec.size = info.size;
	code = steps_put(r->b->store, key, &rec, e); /* first: a commit may collect garbage */
	if (code == 0)
		code = stage_commit(st, NULL, e);
	if (code < 0)
		return code;
	add_layer(r, rec.diff_id, rec.created);
	layer_note(r, key, what);
	return 0;
}
