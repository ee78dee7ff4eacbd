/* cli/cmd_save.c: `comp save` and `comp image save`. */
#include <errno.h>

#include "cli/command.h"
#include "cli/images_view.h"
#include "cli/output.h"
#include "engine/image/save.h"

struct save_options {
	const char *output;
};
#define O struct save_options
static const struct option_spec flags[] = {
	OPTION_STRING("output", 'o', O, output, NULL, "Write to a file, instead of STDOUT"),
	OPTION_END,
};
#undef O

static int run_save(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct save_options *o = in->options;
	_cleanup_(output_done) struct output out = OUTPUT_INIT;
	_cleanup_(store_closep) struct store *store = NULL;
	int r = images_open(ctx, true, &store, e);

	if (r == 0)
		r = output_open(&out, o->output, e);
	if (r == 0)
		r = archive_save(store, in->argv, out.fd, e);
	return r == 0 ? output_commit(&out, e) : r;
}

const struct command cmd_save = {
	.name = "save",
	.args = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Save one or more images to a tar archive (streamed to STDOUT by default)",
	.options = flags,
	.options_size = sizeof(struct save_options),
	.min_args = 1,
	.max_args = ARGS_ANY,
	.run = run_save,
};
