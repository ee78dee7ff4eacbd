/* engine/build/add.c: see add.h.
 *
 * Both come from outside: comp-fetch gets the one and comp-extract takes the other
 * apart, each in its box; what they made is then copied like any source.
 */
#include "engine/build/add.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "engine/build/remote.h"
#include "engine/image/download.h"
#include "engine/image/extractor.h"

/* ---- addresses ---------------------------------------------------------------------------- */

/* The last part of its path: what the file is called. */
static char *name_of_url(const char *url)
{
	const char *path = strstr(url, "://") + 3;
	_cleanup_(free_p) char *whole = xstrndup(path, strcspn(path, "?#"));
	const char *slash = strrchr(whole, '/');

	return slash && slash[1] ? xstrdup(slash + 1) : NULL;
}

static int check_digest(const struct instruction *i, const char *digest, const char *url,
			struct err *e)
{
	if (!i->checksum || streq(i->checksum, digest))
		return 0;
	if (!digest_is_valid(i->checksum))
		return err_set(e, EINVAL, "--checksum=%s: only sha256:… is known", i->checksum);
	return err_set(e, EBADMSG, "digest mismatch for %s: got %s, wanted %s", url, digest,
		       i->checksum);
}

int add_fetch(struct run *run, const struct instruction *i, const char *url, bool into_dir,
	      struct fetched *out, struct err *e)
{
	struct fetched f = { .fd = open(run->work, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600),
			     .dir = -EBADF };
	struct download d;
	int r = f.fd < 0 ? err_errno(e, errno, "make a temporary file") : 0;

	f.name = name_of_url(url);
	*out = (struct fetched){ .fd = -EBADF, .dir = -EBADF };
	if (r == 0 && !f.name && into_dir)
		r = err_set(e, EINVAL,
			    "%s: cannot tell a file name from it; say one in the "
			    "destination",
			    url);
	if (r == 0)
		r = download(url, f.fd, &d, e);
	if (r == 0)
		r = check_digest(i, d.digest, url, e);
	if (r < 0) {
		fd_close(f.fd);
		free(f.name);
		return r;
	}
	f.name = f.name ?: xstrdup("download");
	f.digest = xstrdup(d.digest);
	f.mtime = d.modified;
	*out = f;
	return 0;
}

static int check_commit(const struct instruction *i, const char *commit, const char *url,
			struct err *e)
{
	if (!i->checksum || skip_prefix(commit, i->checksum))
		return 0;
	return err_set(e, EBADMSG, "commit mismatch for %s: got %s, wanted %s", url, commit,
		       i->checksum);
}

int add_clone(struct run *run, const struct instruction *i, const char *url, struct fetched *out,
	      struct err *e)
{
	_cleanup_(remote_git_done) struct remote_git g = { 0 };
	_cleanup_(free_p) char *dir = xasprintf("%s/%u", run->work, run->serial++);
	_cleanup_(free_p) char *commit = NULL;
	int r = mkdir_p(AT_FDCWD, dir, 0755, e);

	*out = (struct fetched){ .fd = -EBADF, .dir = -EBADF };
	if (r == 0)
		r = remote_git_parse(url, &g, e);
	if (r > 0) /* who gives up kills this process, and git goes with it */
		r = remote_git_fetch(&g, dir, i->keep_git_dir, -EBADF, &commit, e);
	if (r == 0)
		r = check_commit(i, commit, url, e);
	if (r < 0)
		return r;
	out->dir = remote_git_open(dir, g.subdir, e);
	out->name = xasprintf("%s:%s%s", g.url, g.subdir ?: "", i->keep_git_dir ? " with .git" : "");
	out->digest = TAKE_PTR(commit);
	return MIN(out->dir, 0);
}

/* ---- archives ----------------------------------------------------------------------------- */

bool add_is_archive(int fd)
{
	static const struct {
		const char *bytes;
		size_t n, at;
	} magic[] = { { "\x1f\x8b", 2, 0 },
		      { "BZh", 3, 0 },
		      { "\xfd"
			"7zXZ\0",
			6, 0 },
		      { "\x28\xb5\x2f\xfd", 4, 0 },
		      { "ustar", 5, 257 } };
	char head[512];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	for (size_t i = 0; i < ARRAY_SIZE(magic); i++)
		if (n >= (ssize_t)(magic[i].at + magic[i].n) &&
		    memcmp(head + magic[i].at, magic[i].bytes, magic[i].n) == 0)
			return true;
	return false;
}

int add_tree(struct place *p, int dir, const char *dest, struct err *e)
{
	int made = place_dir(p, dest, e);

	fd_close(made);
	return made < 0 ? made : place_tree(p, dest, dir, ".", "", NULL, 0, e);
}

/* 1: it was an archive and is unpacked; 0: it is none. */
int add_unpack(struct run *r, struct place *p, int fd, const char *dest, bool chown, struct err *e)
{
	_cleanup_(free_p) char *dir = xasprintf("%s/%u", r->work, r->serial++);
	struct place there = *p;
	struct layer_source src = { .fd = fd, .size = UINT64_MAX, .what = "the archive" };
	_cleanup_(fd_closep) int into = -EBADF;
	struct layer_info info = { 0 };
	struct err why = ERR_INIT;
	int code;

	if (!add_is_archive(fd) || lseek(fd, 0, SEEK_SET) < 0)
		return 0;
	if (mkdir(dir, 0755) < 0)
		return err_errno(e, errno, "create %s", dir);
	into = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	code = into < 0 ? err_errno(e, errno, "open %s", dir)
			: extractor_layer(&src, into, &info, NULL, &why);
	if (code == -EBADMSG && info.n_files == 0) { /* compressed, but no tar */
		(void)rm_rf(AT_FDCWD, dir, NULL);
		return 0;
	}
	if (code < 0 && into >= 0 && e)
		*e = why;
	/* As BuildKit has it today; in Docker 20.10 --chown left the archive's owners. */
	there.owned = chown;
	if (code == 0) {
		int made = place_dir(p, dest, e);

		code = MIN(made, 0);
		fd_close(made);
	}
	if (code == 0)
		code = place_tree(&there, dest, into, ".", "", NULL, 0, e);
	p->n_files += there.n_files;
	(void)rm_rf(AT_FDCWD, dir, NULL); /* else with the build */
	return code < 0 ? code : 1;
}
