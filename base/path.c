/* base/path.c: see path.h. */
#include "base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"

char *path_join(const char *a, const char *b)
{
	if (*b == '/' || !*a)
		return xstrdup(b);
	return xasprintf(has_suffix(a, "/") ? "%s%s" : "%s/%s", a, b);
}

char *path_clean(const char *path)
{
	_cleanup_(strv_freep) char **parts = strv_split(path, '/', true);
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	bool rooted = *path == '/';
	const char **kept = xcalloc(strv_len(parts) + 1, sizeof(*kept));
	size_t n = 0;

	STRV_FOREACH (s, parts) {
		if (streq(*s, "."))
			continue;
		if (!streq(*s, ".."))
			kept[n++] = *s;
		else if (n > 0 && !streq(kept[n - 1], ".."))
			n--;
		else if (!rooted)
			kept[n++] = *s;
	}
	if (rooted)
		buf_addc(&out, '/');
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%s%s", i ? "/" : "", kept[i]);
	free(kept);
	if (!out.len)
		buf_addc(&out, '.');
	return buf_take(&out);
}

char *path_absolute(const char *base, const char *path)
{
	_cleanup_(free_p) char *joined = path_join(base, path);

	return path_clean(joined);
}

char *path_base(const char *path)
{
	_cleanup_(free_p) char *clean = path_clean(path);
	const char *slash = strrchr(clean, '/');

	return xstrdup(slash && slash[1] ? slash + 1 : clean);
}

char *path_dir(const char *path)
{
	_cleanup_(free_p) char *clean = path_clean(path);
	char *slash = strrchr(clean, '/');

	if (!slash)
		return xstrdup(".");
	slash[slash == clean ? 1 : 0] = '\0';
	return xstrdup(clean);
}

char *path_cwd(void)
{
	return getcwd(NULL, 0);
}

int mkdir_p(int dirfd, const char *path, mode_t mode, struct err *e)
{
	_cleanup_(free_p) char *p = xstrdup(path);

	/* The common case is that only the last part is missing, or nothing. */
	if (mkdirat(dirfd, p, mode) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return err_errno(e, errno, "create directory %s", path);
	for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(dirfd, p, mode) < 0 && errno != EEXIST)
			return err_errno(e, errno, "create directory %s", p);
		*slash = '/';
	}
	if (mkdirat(dirfd, p, mode) < 0 && errno != EEXIST)
		return err_errno(e, errno, "create directory %s", path);
	return 0;
}

int open_dir_p(int dirfd, const char *path, mode_t mode, struct err *e)
{
	int fd, r = mkdir_p(dirfd, path, mode, e);

	if (r < 0)
		return r;
	fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open directory %s", path);
	return fd;
}

static int remove_children(int dirfd, const char *shown, dev_t dev, struct err *e)
{
	_cleanup_(dir_closep) DIR *dir = fdopendir(dirfd);
	struct dirent *d;
	int r = 0;

	if (!dir) {
		fd_close(dirfd);
		return err_errno(e, ENOMEM, "open directory %s", shown);
	}
	while ((d = readdir(dir))) {
		struct err e2 = ERR_INIT;
		struct stat st;
		int fd;

		if (streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		if (unlinkat(dirfd, d->d_name, 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			err_keep_first(&r, e,
				       err_errno(&e2, errno, "remove %s/%s", shown, d->d_name),
				       &e2);
			continue;
		}
		fd = openat(dirfd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0) {
			err_keep_first(&r, e, err_errno(&e2, errno, "open %s/%s", shown, d->d_name),
				       &e2);
			fd_close(fd);
			continue;
		}
		if (st.st_dev != dev) {
			/* A mount point: what is mounted there is not ours to empty. */
			err_keep_first(
				&r, e,
				err_set(&e2, EBUSY, "%s/%s is a mount point", shown, d->d_name),
				&e2);
			fd_close(fd);
			continue;
		}
		err_keep_first(&r, e, remove_children(fd, d->d_name, dev, &e2), &e2);
		if (unlinkat(dirfd, d->d_name, AT_REMOVEDIR) < 0)
			err_keep_first(&r, e,
				       err_errno(&e2, errno, "remove %s/%s", shown, d->d_name),
				       &e2);
	}
	return r;
}

int rm_rf(int dirfd, const char *name, struct err *e)
{
	struct stat st;
	int fd, r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(e, errno, "remove %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "open %s", name);
	if (fstat(fd, &st) < 0) {
		r = err_errno(e, errno, "stat %s", name);
		fd_close(fd);
		return r;
	}
	r = remove_children(fd, name, st.st_dev, e);
	if (r < 0)
		return r;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(e, errno, "remove %s", name);
	return 0;
}

bool name_is_valid(const char *name, size_t max)
{
	size_t n = strspn(name,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return n > 0 && !name[n] && n <= max && !strchr("_.-", name[0]);
}
