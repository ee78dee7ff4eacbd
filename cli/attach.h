/* cli/attach.h: `up` in the foreground: logs until everything has exited, ^C to stop. */
#ifndef CLI_ATTACH_H
#define CLI_ATTACH_H

#include "cli/context.h"

struct attach_options {
	char **watched; /* services whose containers decide when we are done */
	char **shown;   /* services whose output is shown; a subset */
	bool color, no_prefix, timestamps;
	bool abort_on_exit;         /* the first exit stops all; its code is ours */
	bool abort_on_failure;      /* the first exit that is not 0 does */
	const char *exit_code_from; /* with abort_on_exit: this service's code is ours */
	int64_t stop_timeout;       /* ns; <0: each container's own */
	uint64_t since;             /* show output from here on; CLOCK_REALTIME ns */
};

/* The project (ctx->project) is up.  Returns the exit code, or -errno. */
int attach_run(struct context *ctx, const struct attach_options *o, struct err *e);

#endif
