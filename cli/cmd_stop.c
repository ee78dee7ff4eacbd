/* cli/cmd_stop.c: stop, restart and start; pause and unpause. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/lifecycle.h"

struct stop_options {
	int64_t timeout;
};

static const struct option_spec stop_flags[] = {
	OPTION_INT("timeout", 't', struct stop_options, timeout, "-1",
		   "Specify a shutdown timeout in seconds"),
	OPTION_END,
};

static int run_stop(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct stop_options *o = in->options;
	struct plan_options po = PLAN_OPTIONS_INIT;

	po.services = in->argv;
	po.timeout_ns = stop_timeout(o->timeout);
	return plan_and_apply(ctx, "stop", plan_stop, &po, NULL, e);
}

const struct command cmd_stop = {
	.name = "stop",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Stop services",
	.options = stop_flags,
	.options_size = sizeof(struct stop_options),
	.max_args = ARGS_ANY,
	.run = run_stop,
};

struct restart_options {
	int64_t timeout;
	bool no_deps;
};

static const struct option_spec restart_flags[] = {
	OPTION_BOOL("no-deps", 0, struct restart_options, no_deps,
		    "Don't restart dependent services"),
	OPTION_INT("timeout", 't', struct restart_options, timeout, "-1",
		   "Specify a shutdown timeout in seconds"),
	OPTION_END,
};

static int run_restart(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct restart_options *o = in->options;
	struct plan_options po = PLAN_OPTIONS_INIT;

	po.services = in->argv;
	po.timeout_ns = stop_timeout(o->timeout);
	po.no_deps = o->no_deps;
	return plan_and_apply(ctx, "restart", plan_restart, &po, NULL, e);
}

const struct command cmd_restart = {
	.name = "restart",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Restart service containers",
	.options = restart_flags,
	.options_size = sizeof(struct restart_options),
	.max_args = ARGS_ANY,
	.run = run_restart,
};

struct start_options {
	bool wait;
	int64_t wait_timeout;
};

static const struct option_spec start_flags[] = {
	OPTION_BOOL("wait", 0, struct start_options, wait,
		    "Wait for services to be running|healthy. Implies detached mode"),
	OPTION_INT("wait-timeout", 0, struct start_options, wait_timeout, "0",
		   "Maximum duration in seconds to wait for the project to be running|healthy"),
	OPTION_END,
};

static int run_start(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct start_options *o = in->options;
	struct plan_options po = PLAN_OPTIONS_INIT;

	po.services = in->argv;
	po.wait = o->wait;
	po.wait_timeout = o->wait_timeout * (int64_t)NSEC_PER_SEC;
	return plan_and_apply(ctx, "start", plan_start, &po, NULL, e);
}

const struct command cmd_start = {
	.name = "start",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Start services",
	.options = start_flags,
	.options_size = sizeof(struct start_options),
	.max_args = ARGS_ANY,
	.run = run_start,
};

static int pause_them(const struct project *p, const struct record_list *records,
		      const struct plan_options *o, struct plan *out, struct diag *diag)
{
	return plan_pause(p, records, true, o, out, diag);
}

static int unpause_them(const struct project *p, const struct record_list *records,
			const struct plan_options *o, struct plan *out, struct diag *diag)
{
	return plan_pause(p, records, false, o, out, diag);
}

static int run_pause(struct context *ctx, struct invocation *in, struct err *e)
{
	struct plan_options po = PLAN_OPTIONS_INIT;
	bool pause = streq(in->command->name, "pause");

	po.services = in->argv;
	return plan_and_apply(ctx, in->command->name, pause ? pause_them : unpause_them, &po, NULL,
			      e);
}

const struct command cmd_pause = {
	.name = "pause",
	.args = "[SERVICE...]",
	.summary = "Pause services",
	.max_args = ARGS_ANY,
	.run = run_pause,
};

const struct command cmd_unpause = {
	.name = "unpause",
	.args = "[SERVICE...]",
	.summary = "Unpause services",
	.max_args = ARGS_ANY,
	.run = run_pause,
};
