/* cli/cmd_builder.c: `comp builder`: `builder build` is `image build`; `builder prune`. */
#include <errno.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/humanize.h"
#include "compose/units.h"
#include "engine/build/build.h"

struct builder_prune_options {
	bool all, force;
	char **filters;
};
#define O struct builder_prune_options
static const struct option_spec prune_flags[] = {
	OPTION_BOOL("all", 'a', O, all, "Remove cache mounts too"),
	OPTION_STRINGS("filter", 0, O, filters,
		       "Provide filter values (e.g. \"until=24h\": not used for so long)"),
	OPTION_BOOL("force", 'f', O, force, "Do not prompt for confirmation"),
	OPTION_END,
};
#undef O

static int parse_filters(char *const *filters, uint64_t *before, struct err *e)
{
	for (; filters && *filters; filters++) {
		const char *age = skip_prefix(*filters, "until=");
		int64_t ns;
		int r = age ? units_duration(age, &ns, e)
			    : err_set(e, EINVAL, "invalid filter '%s'", *filters);

		if (r < 0)
			return r;
		*before = now_real_ns() - (uint64_t)MAX(ns, (int64_t)0);
	}
	return 0;
}

static int run_prune(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct builder_prune_options *o = in->options;
	uint64_t before = UINT64_MAX, freed = 0;
	char size[HUMAN_MAX];
	size_t n = 0;
	int r = parse_filters(o->filters, &before, e);

	if (r == 0)
		r = ctx_need_root(ctx, e);
	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r < 0)
		return r;
	if (!o->force &&
	    !ctx_confirm(ctx,
			 o->all ? "WARNING! This will remove all build cache and all cache "
				  "mounts. Are you sure you want to continue?"
				: "WARNING! This will remove all build cache. Are you sure you "
				  "want to continue?"))
		return 0;
	r = build_prune(&ctx->dirs, before, o->all, &n, &freed, e);
	if (r == 0)
		fprintf(ctx->out, "Total:\t%s\n", human_size(freed, size));
	return r;
}

static const struct command builder_prune = {
	.name = "prune",
	.args = "[OPTIONS]",
	.summary = "Remove build cache",
	.options = prune_flags,
	.options_size = sizeof(struct builder_prune_options),
	.run = run_prune,
};

extern const struct command cmd_image_build;
static const struct command *const subs[] = { &cmd_image_build, &builder_prune, NULL };

const struct command cmd_builder = {
	.name = "builder",
	.args = "COMMAND",
	.summary = "Manage builds",
	.subs = subs,
};
