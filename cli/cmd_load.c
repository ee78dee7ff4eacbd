/* cli/cmd_load.c: `comp load`: images from an archive, with Docker's words. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/images_view.h"
#include "engine/image/archive.h"

struct load_options {
	const char *input;
	bool quiet;
};
#define O struct load_options

static const struct option_spec flags[] = {
	OPTION_STRING("input", 'i', O, input, NULL,
		      "Read from an archive file or OCI layout directory, instead of STDIN"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Suppress the load output"),
	OPTION_END,
};

static int open_input(struct context *ctx, const char *path, struct err *e)
{
	int fd;

	if (path && !streq(path, "-")) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? err_errno(e, errno, "open %s", path) : fd;
	}
	if (isatty(STDIN_FILENO)) {
		err_set(e, EINVAL, "requested load from stdin, but stdin is empty");
		return err_hint(e, "name the archive with -i FILE");
	}
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_errno(e, errno, "open standard input") : fd;
}

static int run_load(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct load_options *o = in->options;
	_cleanup_(load_result_done) struct load_result result = { 0 };
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(fd_closep) int fd = -EBADF;
	int r = images_open(ctx, true, &store, e);

	if (r < 0)
		return r;
	fd = open_input(ctx, o->input, e);
	if (fd < 0)
		return fd;
	r = archive_load(store, fd, &result, e);
	if (r < 0)
		return err_wrap(e, r, "load %s", o->input ? o->input : "from standard input");
	images_print_moved(ctx, result.moved);
	if (!o->quiet)
		images_print_loaded(ctx, &result);
	return 0;
}

const struct command cmd_load = {
	.name = "load",
	.args = "[OPTIONS]",
	.summary = "Load images from a tar archive or STDIN",
	.options = flags,
	.options_size = sizeof(struct load_options),
	.run = run_load,
};
