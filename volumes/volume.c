/* volumes/volume.c: see volume.h. */
#include "volumes/volume.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/strv.h"

#define VOLUME_VERSION  1
#define VOLUME_JSON     "volume.json"
#define VOLUME_JSON_MAX (1u << 20)

struct volume *volume_new(const char *name)
{
	struct volume *v = new0(struct volume);

	v->name = xstrdup(name);
	v->driver = xstrdup("local");
	return v;
}

void volume_free(struct volume *v)
{
	if (!v)
		return;
	free(v->name);
	free(v->driver);
	strv_free(v->options);
	strv_free(v->labels);
	free(v->project);
	free(v->path);
	free(v);
}

int volume_name_check(const char *name, struct err *e)
{
	if (name_is_valid(name, VOLUME_NAME_MAX) && strlen(name) > 1)
		return 0;
	return err_set(e, EINVAL,
		       "\"%.80s\" includes invalid characters for a local volume name, only "
		       "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed",
		       name);
}

static json *to_json(const struct volume *v)
{
	json *o = json_new_object();

	json_put_int(o, "version", VOLUME_VERSION);
	json_put_str(o, "name", v->name);
	json_put_str(o, "driver", v->driver);
	json_put_strv(o, "options", v->options);
	json_put_strv(o, "labels", v->labels);
	json_put_str(o, "project", v->project);
	if (v->anonymous)
		json_put_bool(o, "anonymous", true);
	json_put_u64(o, "created", v->created);
	return o;
}

/* The directory's name is the volume's name, whatever the file says. */
static int read_volume(const char *root, int dirfd, const char *name, struct volume **out,
		       struct err *e)
{
	_cleanup_(volume_freep) struct volume *v = volume_new(name);
	_cleanup_(json_unrefp) json *o = NULL;
	int r = json_read_file(dirfd, VOLUME_JSON, VOLUME_JSON_MAX, &o, e);

	if (r < 0)
		return r;
	if (!json_is_object(o))
		return err_set(e, EBADMSG, "%s is not an object", VOLUME_JSON);
	if (json_get_int(o, "version", 0) > VOLUME_VERSION)
		return err_set(e, EPROTO, "%s was written by a newer comp", VOLUME_JSON);
	str_set(&v->driver, json_get_str(o, "driver"));
	if (!v->driver)
		v->driver = xstrdup("local");
	v->options = json_get_strv(o, "options");
	v->labels = json_get_strv(o, "labels");
	str_set(&v->project, json_get_str(o, "project"));
	v->anonymous = json_get_bool(o, "anonymous", false);
	v->created = json_get_u64(o, "created", 0);
	v->path = xasprintf("%s/%s/_data", root, name);
	if (out)
		*out = TAKE_PTR(v);
	return 0;
}

int volume_load(const char *root, const char *name, struct volume **out, struct err *e)
{
	_cleanup_(free_p) char *path = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	int r = volume_name_check(name, e);

	if (r < 0)
		return r;
	path = path_join(root, name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "no such volume: %s", name);
	if (fd < 0)
		return err_errno(e, errno, "open %s", path);
	r = read_volume(root, fd, name, out, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "no such volume: %s", name);
	return r < 0 ? err_wrap(e, r, "volume %s", name) : 0;
}

/* volume.json last: it is what makes the volume exist. */
static int make(const char *root, const struct volume *want, struct err *e)
{
	struct volume stored = *want;
	_cleanup_(free_p) char *path = path_join(root, want->name), *text = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	json *o;
	int r;

	fd = open_dir_p(AT_FDCWD, path, 0700, e);
	if (fd < 0)
		return fd;
	if (mkdirat(fd, "_data", 0755) < 0 && errno != EEXIST)
		return err_errno(e, errno, "create %s/_data", path);
	/* Whatever the umask of our caller: containers run as any user. */
	if (fchmodat(fd, "_data", 0755, 0) < 0)
		return err_errno(e, errno, "chmod %s/_data", path);
	stored.created = now_real_ns();
	o = to_json(&stored);
	text = json_text_pretty(o);
	json_unref(o);
	r = file_write_atomic(fd, VOLUME_JSON, text, strlen(text), 0600, true, e);
	return r;
}

bool volume_is_damage(int r)
{
	return r == -EBADMSG || r == -EFBIG || r == -EISDIR || r == -ELOOP;
}

/* What could not be read stays for a person to look at; _data is not touched. */
static int put_aside(const char *root, const char *name, struct err *e)
{
	_cleanup_(free_p) char *path = xasprintf("%s/%s/%s", root, name, VOLUME_JSON);
	_cleanup_(free_p) char *aside = xasprintf("%s.corrupt-%llu", path,
						  (unsigned long long)now_real_ns());

	if (rename(path, aside) < 0)
		return err_errno(e, errno, "rename %s", path);
	return 0;
}

int volume_ensure(const char *root, const struct volume *want, struct volume **out, struct err *e)
{
	struct volume *v = NULL;
	struct err e2 = ERR_INIT;
	int r = volume_load(root, want->name, &v, &e2), made = 0;

	if (volume_is_damage(r)) {
		r = put_aside(root, want->name, e);
		if (r < 0)
			return err_wrap(e, r, "volume %s", want->name);
		r = -ENOENT;
	}
	if (r == -ENOENT) {
		r = make(root, want, e);
		if (r < 0)
			return err_wrap(e, r, "volume %s", want->name);
		made = 1;
		r = volume_load(root, want->name, &v, &e2);
	}
	if (r < 0) {
		if (e)
			*e = e2;
		return r;
	}
	if (out)
		*out = v;
	else
		volume_free(v);
	return made;
}

static int compare(const void *a, const void *b)
{
	const struct volume *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

int volume_list(const char *root, struct volume ***out, size_t *n, struct err *e)
{
	_cleanup_(dir_closep) DIR *dir = opendir(root);
	struct volume **list = NULL;
	struct dirent *d;

	*out = NULL;
	*n = 0;
	if (!dir)
		return errno == ENOENT ? 0 : err_errno(e, errno, "open %s", root);
	while ((d = readdir(dir))) {
		struct volume *v;
		struct err e2 = ERR_INIT;
		int r;

		if (!name_is_valid(d->d_name, VOLUME_NAME_MAX))
			continue;
		r = volume_load(root, d->d_name, &v, &e2);
		if (r < 0)
			continue; /* debris, or gone meanwhile */
		list = xreallocarray(list, *n + 1, sizeof(struct volume *));
		list[(*n)++] = v;
	}
	if (list)
		qsort(list, *n, sizeof(struct volume *), compare);
	*out = list;
	return 0;
}

void volume_list_free(struct volume **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		volume_free(v[i]);
	free(v);
}

int volume_remove(const char *root, const char *name, struct err *e)
{
	_cleanup_(volume_freep) struct volume *v = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	_cleanup_(free_p) char *file = NULL;
	int r = volume_load(root, name, &v, e);

	if (r == -ENOENT || r == -EINVAL)
		return r;
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", root);
	file = xasprintf("%s/%s", name, VOLUME_JSON);
	if (unlinkat(fd, file, 0) < 0 && errno != ENOENT)
		return err_errno(e, errno, "remove %s", file);
	r = rm_rf(fd, name, e);
	return r < 0 ? err_wrap(e, r, "volume %s", name) : 0;
}
