/* cli/cmd_boot.c: `boot`: after a reboot, what ran before. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/bring_back.h"
#include "cli/command.h"
#include "engine/build/runner.h"

struct boot_options {
	bool all, wait;
	int64_t wait_timeout;
};
#define O struct boot_options

static const struct option_spec flags[] = {
	OPTION_BOOL("all", 'a', O, all,
		    "Bring back what was running whatever its restart policy, not only always "
		    "and unless-stopped"),
	OPTION_BOOL("wait", 0, O, wait, "Wait for services to be running|healthy"),
	OPTION_INT("wait-timeout", 0, O, wait_timeout, "0",
		   "Maximum duration in seconds to wait for a project to be running|healthy"),
	OPTION_END,
};

static int run_boot(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct boot_options *o = in->options;
	const struct bring_back_options bo = {
		.all = o->all,
		.wait = o->wait,
		.wait_timeout = o->wait_timeout * (int64_t)NSEC_PER_SEC,
	};
	_cleanup_(strv_freep) char **names = NULL;
	int r = ctx_need_root(ctx, e);

	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r < 0)
		return r;
	names = dirs_list_projects(&ctx->dirs);
	for (size_t i = strv_len(names); i-- > 0;)
		if (skip_prefix(names[i], RUNNER_PREFIX)) /* what is left of a build */
			strv_remove(&names, i);
	if (ctx->global.name) {
		if (!strv_has(names, ctx->global.name))
			return err_set(e, ENOENT, "no such project: %s", ctx->global.name);
		strv_free(names);
		names = NULL;
		strv_add(&names, ctx->global.name);
	}
	r = bring_back(ctx, names, &bo, e);
	return r < 0 ? r : r > 0;
}

const struct command cmd_boot = {
	.name = "boot",
	.args = "[OPTIONS]",
	.summary = "Bring back what was running when the machine went down (-p NAME: one project)",
	.options = flags,
	.options_size = sizeof(struct boot_options),
	.run = run_boot,
};
