/* cli/cmd_supervise.c: how a supervisor starts itself; not for users. */
#include <errno.h>

#include "base/path.h"
#include "cli/command.h"
#include "engine/supervise/supervisor.h"

struct supervise_options {
	const char *project;
	int64_t ready_fd;
};
#define O struct supervise_options

static const struct option_spec flags[] = {
	OPTION_STRING("project", 0, O, project, NULL, "Project to look after"),
	OPTION_INT("ready-fd", 0, O, ready_fd, "-1", "Written to once the control socket answers"),
	OPTION_END,
};

static int run_supervise(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct supervise_options *o = in->options;
	int r = ctx_need_root(ctx, e);

	if (r < 0)
		return r;
	if (!o->project || !name_is_valid(o->project, 255))
		return err_set(e, EINVAL, "supervise needs --project NAME");
	r = ctx_dirs(ctx, e);
	return r < 0 ? r : supervisor_main(&ctx->dirs, o->project, (int)o->ready_fd);
}

const struct command cmd_supervise = {
	.name = "supervise",
	.args = "--project NAME [--ready-fd N]",
	.summary = "Look after a project (started by the other commands)",
	.options = flags,
	.options_size = sizeof(struct supervise_options),
	.run = run_supervise,
	.hidden = true,
};
