/* cli/cmd_rm.c: remove stopped containers, after asking. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/lifecycle.h"

struct rm_options {
	bool all, force, stop, volumes;
};
#define R struct rm_options

static const struct option_spec rm_flags[] = {
	OPTION_HIDDEN_BOOL("all", 'a', R, all),
	OPTION_BOOL("force", 'f', R, force, "Don't ask to confirm removal"),
	OPTION_BOOL("stop", 's', R, stop, "Stop the containers, if required, before removing"),
	OPTION_BOOL("volumes", 'v', R, volumes,
		    "Remove any anonymous volumes attached to containers"),
	OPTION_END,
};

/* "web-1, db-1" that would be removed; NULL: none.  The caller frees. */
static char *removable(struct context *ctx, char *const *services, bool running_too, struct err *e,
		       int *r)
{
	_cleanup_(record_list_done) struct record_list l = { 0 };
	_cleanup_(strv_freep) char **names = NULL;

	*r = ctx_records(ctx, &l, e);
	for (size_t i = 0; *r == 0 && i < l.n; i++) {
		const char *state = container_status_name(record_status_shown(l.items[i]));
		bool up = streq(state, "running") || streq(state, "paused") ||
			  streq(state, "restarting");

		if ((!up || running_too) &&
		    (!services[0] ||
		     (l.items[i]->service && strv_has(services, l.items[i]->service))))
			strv_add(&names, l.items[i]->name);
	}
	return names ? strv_join(names, ", ") : NULL;
}

static int run_rm(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct rm_options *o = in->options;
	_cleanup_(free_p) char *names = NULL, *question = NULL;
	struct plan_options po = PLAN_OPTIONS_INIT;
	int r = ctx_load_project_or_name(ctx, e);

	if (r == 0)
		names = removable(ctx, in->argv, o->stop, e, &r);
	if (r < 0)
		return r;
	if (!names) {
		fprintf(ctx->err, "No stopped containers\n");
		return 0;
	}
	question = xasprintf("Going to remove %s\n? Are you sure?", names);
	if (!o->force && !ctx->global.dry_run && !ctx_confirm(ctx, question))
		return 0;
	po.services = in->argv;
	po.stop = o->stop;
	po.volumes = o->volumes;
	return plan_and_apply(ctx, "rm", plan_rm, &po, NULL, e);
}

const struct command cmd_rm = {
	.name = "rm",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Removes stopped service containers",
	.options = rm_flags,
	.options_size = sizeof(struct rm_options),
	.max_args = ARGS_ANY,
	.run = run_rm,
};
