/* engine/state/names.c: see names.h.
 *
 * A claim on a free name is one symlink(2) and needs no lock.  Taking over a stale
 * link is two steps, so that is done under a lock on the directory itself; who finds
 * a new link after that looks again.
 */
#include "engine/state/names.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"

#define OWNER_MAX 512 /* PROJECT/ID */
#define ATTEMPTS  8

static char *names_dir(const struct dirs *d)
{
	return path_join(d->root, "names");
}

static bool read_owner(const char *path, char owner[OWNER_MAX])
{
	ssize_t n = readlink(path, owner, OWNER_MAX - 1);

	owner[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

static bool is_alive(const struct dirs *d, const char *owner)
{
	const char *slash = strchr(owner, '/');
	_cleanup_(free_p) char *project = slash ? xstrndup(owner, (size_t)(slash - owner)) : NULL;
	_cleanup_(free_p) char *dir = slash ? dirs_container(d, project, slash + 1) : NULL;
	_cleanup_(free_p) char *state = dir ? path_join(dir, "state.json") : NULL;

	return state && access(state, F_OK) == 0;
}

static bool is_of(const char *owner, const char *project)
{
	const char *rest = skip_prefix(owner, project);

	return rest && *rest == '/';
}

static int refuse(const char *name, const char *owner, struct err *e)
{
	size_t n = strcspn(owner, "/");

	err_set(e, EEXIST,
		"container name \"%s\" is already in use by container %.12s of project \"%.*s\"",
		name, owner + n + 1, (int)n, owner);
	(void)err_hint(e,
		       "take that one down (comp -p %.*s down), or choose another container_name",
		       (int)n, owner); /* says nothing without @e */
	return -EEXIST;
}

static int make_link(const char *dir, const char *path, const char *owner, struct err *e)
{
	int r = symlink(owner, path);

	if (r < 0 && errno == ENOENT) { /* the last project before us swept it away */
		r = mkdir_p(AT_FDCWD, dir, 0700, e);
		if (r < 0)
			return r;
		r = symlink(owner, path);
	}
	return r < 0 ? err_errno(e, errno, "claim %s", path) : 0;
}

static int lock_dir(const char *dir, struct err *e)
{
	_cleanup_(fd_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || retry_eintr(flock(fd, LOCK_EX)) < 0)
		return err_errno(e, errno, "lock %s", dir);
	return TAKE_FD(fd);
}

/* Another link is there. */
static int take_over(const struct dirs *d, const char *dir, const char *path, const char *name,
		     const char *project, struct err *e)
{
	_cleanup_(fd_closep) int lock = lock_dir(dir, e);
	char owner[OWNER_MAX];

	if (lock < 0)
		return lock;
	if (!read_owner(path, owner) && errno == ENOENT)
		return 0; /* released meanwhile */
	if (!is_of(owner, project) && is_alive(d, owner))
		return refuse(name, owner, e);
	return rm_rf(AT_FDCWD, path, e);
}

int names_claim(const struct dirs *d, const char *name, const char *project, const char *id,
		struct err *e)
{
	_cleanup_(free_p) char *dir = names_dir(d), *path = path_join(dir, name);
	_cleanup_(free_p) char *ours = xasprintf("%s/%s", project, id);
	char owner[OWNER_MAX];

	for (int attempt = 0;; attempt++) {
		int r;

		if (read_owner(path, owner) && streq(owner, ours))
			return 0;
		r = make_link(dir, path, ours, e);
		if (r != -EEXIST || attempt == ATTEMPTS)
			return r;
		if (e)
			*e = ERR_INIT;
		r = take_over(d, dir, path, name, project, e);
		if (r < 0)
			return r;
	}
}

int names_check(const struct dirs *d, const char *name, const char *project, struct err *e)
{
	_cleanup_(free_p) char *dir = names_dir(d), *path = path_join(dir, name);
	char owner[OWNER_MAX];

	if (!read_owner(path, owner) || is_of(owner, project) || !is_alive(d, owner))
		return 0;
	return refuse(name, owner, e);
}

int names_find(const struct dirs *d, const char *name, char **project, char **id, struct err *e)
{
	_cleanup_(free_p) char *dir = names_dir(d), *path = path_join(dir, name);
	char owner[OWNER_MAX], *slash;

	if (strchr(name, '/') || !read_owner(path, owner) || !is_alive(d, owner))
		return err_set(e, ENOENT, "no such container: %s", name);
	slash = strchr(owner, '/');
	*project = xstrndup(owner, (size_t)(slash - owner));
	*id = xstrdup(slash + 1);
	return 0;
}

void names_release(const struct dirs *d, const char *name, const char *project, const char *id)
{
	_cleanup_(free_p) char *dir = names_dir(d), *path = path_join(dir, name);
	_cleanup_(free_p) char *ours = xasprintf("%s/%s", project, id);
	char owner[OWNER_MAX];

	if (read_owner(path, owner) && streq(owner, ours))
		(void)unlink(path); /* what stays is stale once the record is gone */
}

void names_sweep(const struct dirs *d)
{
	_cleanup_(free_p) char *path = names_dir(d);
	_cleanup_(fd_closep) int lock = -EBADF;
	_cleanup_(dir_closep) DIR *dir = NULL;
	struct dirent *entry;

	if (rmdir(path) == 0 || errno != ENOTEMPTY)
		return;
	lock = lock_dir(path, NULL);
	dir = lock < 0 ? NULL : opendir(path);
	while (dir && (entry = readdir(dir))) {
		_cleanup_(free_p) char *link = path_join(path, entry->d_name);
		char owner[OWNER_MAX];

		if (entry->d_type == DT_LNK && !(read_owner(link, owner) && is_alive(d, owner)))
			(void)unlink(link); /* the next to sweep tries again */
	}
	(void)rmdir(path); /* another project may have come */
}
