/* engine/container/merged.c: the layers and the container's upper directory once more, all as
 * lower layers of a second, read-only overlay.  Overlayfs warns of an upper directory that
 * another mount writes to and leaves it at that (index is off); files that change while
 * they are read are read as with any backup. */
#include "engine/container/merged.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/image/change.h"
#include "engine/image/stage.h"

/* Highest first; opened, because a path may be too long for fsconfig(2). */
struct lowers {
	int *fds;
	size_t n;
};

static void lowers_done(struct lowers *l)
{
	while (l->n > 0)
		fd_close(l->fds[--l->n]);
	free(l->fds);
}

static int add_lower(struct lowers *l, const char *path, struct err *e)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	l->fds[l->n++] = fd;
	return 0;
}

static int open_lowers(const char *dir, const struct container_spec *spec, const char *init_layer,
		       struct lowers *l, struct err *e)
{
	_cleanup_(free_p) char *upper = path_join(dir, "upper");
	int r = 0;

	l->fds = xcalloc(strv_len(spec->layers) + 2, sizeof(int));
	if (access(upper, F_OK) == 0) /* created, never started: it has none */
		r = add_lower(l, upper, e);
	if (r == 0 && init_layer)
		r = add_lower(l, init_layer, e);
	for (size_t i = strv_len(spec->layers); r == 0 && i > 0; i--)
		r = add_lower(l, spec->layers[i - 1], e);
	return r;
}

static int new_overlay(const struct lowers *l, struct err *e)
{
	static const char *const off[] = { "metacopy", "redirect_dir", "index" };
	_cleanup_(fd_closep) int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	char text[FD_PATH_MAX];
	int fd;

	if (fs < 0)
		return err_errno(e, errno, "overlay file system");
	for (size_t i = 0; i < l->n; i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", fd_path(l->fds[i], text), 0) < 0)
			return -EOPNOTSUPP;
	for (size_t i = 0; i < ARRAY_SIZE(off); i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, off[i], "off", 0) < 0)
			return err_errno(e, errno, "overlay option %s", off[i]);
	if (fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -EOPNOTSUPP; /* before 6.5 it complains only here */
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? err_errno(e, errno, "mount the overlay") : fd;
}

/* Before Linux 6.7: one option string, and a mount point that only we can see. */
static int old_overlay(const char *dir, const struct lowers *l, struct err *e)
{
	_cleanup_(buf_done) struct buf options = BUF_INIT;
	char text[FD_PATH_MAX];
	int fd;

	buf_adds(&options, "metacopy=off,redirect_dir=off,index=off,lowerdir=");
	for (size_t i = 0; i < l->n; i++)
		buf_printf(&options, "%s%s", i ? ":" : "", fd_path(l->fds[i], text));
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, errno, "a mount namespace");
	if (mount("overlay", dir, "overlay", MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC,
		  options.data) < 0)
		return err_errno(e, errno, "overlay of %zu layers", l->n);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, errno, "open the overlay") : fd;
}

int merged_root_open(const char *dir, const struct container_spec *spec, const char *init_layer,
		     struct err *e)
{
	_cleanup_(lowers_done) struct lowers l = { 0 };
	int fd, r = open_lowers(dir, spec, init_layer, &l, e);

	if (r < 0)
		return r;
	if (l.n == 0)
		return err_set(e, EINVAL, "the container has no files");
	fd = l.n > 1 ? new_overlay(&l, e) : -EOPNOTSUPP;
	/* Overlayfs wants two layers at least: one alone is what it is. */
	if (l.n == 1)
		fd = fcntl(l.fds[0], F_DUPFD_CLOEXEC, 3);
	return fd == -EOPNOTSUPP ? old_overlay(dir, &l, e) : fd;
}

/* ---- commit --------------------------------------------------------------------------- */

static void set_strv(char ***to, char *const *from)
{
	char **copy = strv_copy(from);

	strv_free(*to);
	*to = copy;
}

static bool starts_with(char *const *v, char *const *head)
{
	for (; head && *head; head++, v++)
		if (!v || !*v || !streq(*v, *head))
			return false;
	return true;
}

/* The container has one command line; where the image's entrypoint begins it, the rest is
 * the command. */
static void set_command(struct image_config *c, char *const *argv)
{
	if (!starts_with(argv, c->entrypoint)) {
		strv_free(c->entrypoint);
		c->entrypoint = NULL;
	}
	set_strv(&c->cmd, argv + strv_len(c->entrypoint));
}

static void set_labels(struct image_config *c, char *const *labels)
{
	STRV_FOREACH (l, labels) {
		const char *equals = strchr(*l, '=');
		_cleanup_(free_p) char *key = equals ? xstrndup(*l, (size_t)(equals - *l))
						     : xstrdup(*l);

		/* Those are the container's, and would be wrong in another. */
		if (!skip_prefix(key, "com.docker.compose."))
			strv_env_set(&c->labels, key, equals ? equals + 1 : "");
	}
}

static void add_history(struct image_config *c, const struct container_spec *spec,
			const struct commit_options *o)
{
	_cleanup_(free_p) char *command = strv_join(spec->argv, " ");
	json *entry = json_new_object();
	char time[TIME_TEXT_MAX];

	json_put_str(entry, "created", time_format(c->created, time));
	json_put_str(entry, "created_by", command);
	json_put_str(entry, "author", o->author);
	json_put_str(entry, "comment", o->message);
	if (!c->history)
		c->history = json_new_array();
	json_push(c->history, entry);
}

static int make_config(struct image_config *c, const struct container_spec *spec,
		       const struct commit_options *o, const char *diff_id, struct err *e)
{
	int r = 0;

	c->created = now_real_ns();
	if (o->author)
		str_set(&c->author, o->author);
	set_command(c, spec->argv);
	set_strv(&c->env, spec->env);
	if (!is_empty(spec->user))
		str_set(&c->user, spec->user);
	if (spec->cwd)
		str_set(&c->workdir, spec->cwd);
	STRV_FOREACH (port, spec->expose)
		if (!strv_has(c->exposed, *port))
			strv_add(&c->exposed, *port);
	set_labels(c, spec->labels);
	add_history(c, spec, o);
	strv_add(&c->diff_ids, diff_id);
	for (char *const *change = o->changes; r == 0 && change && *change; change++)
		r = change_apply(c, *change, e);
	return r;
}

static int stage_upper(struct stage *st, const char *dir, struct layer_info *layer, struct err *e)
{
	_cleanup_(free_p) char *upper = path_join(dir, "upper");
	_cleanup_(fd_closep) int fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* It never ran: nothing was changed, and an empty layer says so. */
	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(stage_dirfd(st), "empty", 0755) < 0)
			return err_errno(e, errno, "make a temporary directory");
		fd = openat(stage_dirfd(st), "empty", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? err_errno(e, errno, "open %s", upper) : stage_copy_layer(st, fd, layer, e);
}

static int commit(struct store *s, struct stage *st, const char *dir,
		  const struct container_spec *spec, const struct commit_options *o,
		  struct image *base, char id[DIGEST_MAX], char ***moved, struct err *e)
{
	char *refs[] = { (char *)o->ref, NULL };
	struct staged_image img = { .refs = o->ref ? refs : NULL };
	_cleanup_(json_unrefp) json *doc = NULL;
	struct layer_info layer;
	int r = stage_upper(st, dir, &layer, e);

	if (r == 0)
		r = make_config(&base->config, spec, o, layer.diff_id, e);
	if (r < 0)
		return r;
	doc = image_config_to_json(&base->config);
	img.config = json_text(doc);
	img.n_config = strlen(img.config);
	r = stage_image(st, &img, id, e);
	return r == 0 ? stage_commit(st, moved, e) : r;
}

int container_commit(struct store *s, const char *dir, const struct container_spec *spec,
		     const struct commit_options *o, char id[DIGEST_MAX], char ***moved,
		     struct err *e)
{
	_cleanup_(image_freep) struct image *base = NULL;
	_cleanup_(stage_freep) struct stage *st = NULL;
	int r = spec->image_id ? store_resolve(s, spec->image_id, &base, e)
			       : err_set(e, ENOENT, "its image is not known");

	if (r == 0)
		r = stage_begin(s, &st, e);
	return r == 0 ? commit(s, st, dir, spec, o, base, id, moved, e) : r;
}
