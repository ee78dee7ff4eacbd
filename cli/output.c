/* cli/output.c: an archive is written beside its place and renamed when it is whole, so
 * that a failure leaves what was there before. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int open_stdout(struct output *o, const char *path, struct err *e)
{
	if (isatty(STDOUT_FILENO)) {
		err_set(e, EINVAL, "cowardly refusing to save to a terminal");
		return err_hint(e, "use the -o flag or redirect");
	}
	o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return o->fd < 0 ? err_errno(e, errno, "open standard output") : 0;
}

int output_open(struct output *o, const char *path, struct err *e)
{
	char random[17];
	struct stat st;

	*o = OUTPUT_INIT;
	if (!path || streq(path, "-"))
		return open_stdout(o, path, e);
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		o->fd = open(path, O_WRONLY | O_CLOEXEC);
		return o->fd < 0 ? err_errno(e, errno, "open %s", path) : 0;
	}
	random_hex(random, 8);
	o->tmp = xasprintf("%s.tmp-%s", path, random);
	o->path = xstrdup(path);
	o->fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (o->fd < 0) {
		int code = errno;

		free(o->tmp);
		o->tmp = NULL;
		return err_errno(e, code, "create %s", path);
	}
	return 0;
}

int output_commit(struct output *o, struct err *e)
{
	if (!o->path)
		return 0;
	if (rename(o->tmp, o->path) < 0)
		return err_errno(e, errno, "create %s", o->path);
	free(o->tmp);
	o->tmp = NULL;
	return 0;
}

void output_done(struct output *o)
{
	if (o->tmp)
		(void)unlink(o->tmp); /* there was an error already */
	o->fd = fd_close(o->fd);
	free(o->path);
	free(o->tmp);
	*o = OUTPUT_INIT;
}
