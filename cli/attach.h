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

struct attach;

/* Before the project (ctx->project, loaded) is brought up.  From here to attach_run()
 * ctx->beside shows what containers say as soon as they are started.  @o is borrowed. */
int attach_new(struct context *ctx, const struct attach_options *o, struct attach **out,
	       struct err *e);
/* It is up.  Returns the exit code, or -errno. */
int attach_run(struct attach *a, struct err *e);
void attach_free(struct attach *a);
static inline void attach_freep(struct attach **a)
{
	attach_free(*a);
}

#endif
