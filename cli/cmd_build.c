/* cli/cmd_build.c: `comp build`: the images that services build. */
#include <errno.h>

#include "base/strv.h"
#include "cli/build_services.h"
#include "cli/command.h"

struct compose_build_options {
	struct build_services_options b;
	const char *memory, *builder;
	bool compress, force_rm, no_rm, parallel;
};
#define O struct compose_build_options
static const struct option_spec flags[] = {
	OPTION_STRINGS("build-arg", 0, O, b.args, "Set build-time variables for services"),
	OPTION_HIDDEN_STRING("builder", 0, O, builder),
	OPTION_BOOL("check", 0, O, b.check, "Check build configuration"),
	OPTION_HIDDEN_BOOL("compress", 0, O, compress),
	OPTION_HIDDEN_BOOL("force-rm", 0, O, force_rm),
	OPTION_HIDDEN_STRING("memory", 'm', O, memory),
	OPTION_BOOL("no-cache", 0, O, b.no_cache, "Do not use cache when building the image"),
	OPTION_HIDDEN_BOOL("no-rm", 0, O, no_rm),
	OPTION_HIDDEN_BOOL("parallel", 0, O, parallel),
	OPTION_BOOL("print", 0, O, b.print, "Print equivalent bake file"),
	OPTION_STRING("progress", 0, O, b.progress, NULL,
		      "Set type of ui output (auto, plain, tty, rawjson, quiet)"),
	OPTION_BOOL("pull", 0, O, b.pull, "Always attempt to pull a newer version of the image"),
	OPTION_BOOL("push", 0, O, b.push, "Push service images"),
	OPTION_BOOL("quiet", 'q', O, b.quiet, "Suppress the build output"),
	OPTION_STRINGS("ssh", 0, O, b.ssh,
		       "Set SSH authentications used when building service images. (use "
		       "'default' for using your default SSH Agent)"),
	OPTION_BOOL("with-dependencies", 0, O, b.with_dependencies,
		    "Also build dependencies (transitively)"),
	OPTION_END,
};
#undef O

static int run_build(struct context *ctx, struct invocation *in, struct err *e)
{
	struct compose_build_options *o = in->options;
	int r;

	ctx->enable = in->argv;
	r = ctx_load_project(ctx, e);
	if (r == 0)
		r = ctx_check_services(ctx, in->argv, NULL, e);
	o->b.print_ids = true;
	return r < 0 ? r : build_services(ctx, in->argv, &o->b, e);
}

const struct command cmd_build = {
	.name = "build",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Build or rebuild services",
	.options = flags,
	.options_size = sizeof(struct compose_build_options),
	.max_args = ARGS_ANY,
	.run = run_build,
};
