/* cli/cmd_kill.c: a signal to every container. */
#include <errno.h>
#include <signal.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/lifecycle.h"

struct kill_options {
	bool remove_orphans;
	const char *signal;
};

static const struct option_spec kill_flags[] = {
	OPTION_BOOL("remove-orphans", 0, struct kill_options, remove_orphans,
		    "Remove containers for services not defined in the Compose file"),
	OPTION_STRING("signal", 's', struct kill_options, signal, "SIGKILL",
		      "SIGNAL to send to the container"),
	OPTION_END,
};

/* "9", "KILL", "SIGKILL", "sigkill", "RTMIN+1" */
static int signal_parse(const char *text, int *signo, struct err *e)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	int64_t n;

	if (parse_i64(text, &n) && n > 0 && n < NSIG) {
		*signo = (int)n;
		return 0;
	}
	for (int s = 1; s < SIGRTMIN; s++) {
		const char *abbrev = sigabbrev_np(s);

		if (abbrev && strcasecmp(abbrev, name) == 0) {
			*signo = s;
			return 0;
		}
	}
	if (strncasecmp(name, "RTMIN", 5) == 0) {
		n = 0;
		if ((!name[5] || (name[5] == '+' && parse_i64(name + 6, &n))) && n >= 0 &&
		    SIGRTMIN + n <= SIGRTMAX) {
			*signo = SIGRTMIN + (int)n;
			return 0;
		}
	}
	return err_set(e, EINVAL, "invalid signal: %s", text);
}

static int run_kill(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct kill_options *o = in->options;
	struct plan_options po = PLAN_OPTIONS_INIT;
	int r = signal_parse(o->signal, &po.signal, e);

	po.services = in->argv;
	po.remove_orphans = o->remove_orphans;
	return r < 0 ? r : plan_and_apply(ctx, "kill", plan_kill, &po, NULL, e);
}

const struct command cmd_kill = {
	.name = "kill",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Force stop service containers",
	.options = kill_flags,
	.options_size = sizeof(struct kill_options),
	.max_args = ARGS_ANY,
	.run = run_kill,
};
