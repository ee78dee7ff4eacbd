/* cli/lifecycle.h: what down, stop, start, restart, kill, rm and pause share: load what
 * there is, plan, apply.  None needs a compose file when the project is named.
 */
#ifndef CLI_LIFECYCLE_H
#define CLI_LIFECYCLE_H

#include "cli/context.h"
#include "compose/plan.h"

typedef int (*plan_fn)(const struct project *p, const struct record_list *records,
		       const struct plan_options *o, struct plan *out, struct diag *diag);

/* How often to plan when other commands of the project keep coming first. */
#define PLAN_TRIES 20
/* What to return after them: @r, or for -ESTALE an error that says who was in the way. */
int plan_outcome(const struct context *ctx, int r, struct err *e);

/* Plan with @fn for po->services (checked to exist; po->dependencies is filled in
 * for the call) and apply under the name @command.
 * *n_containers (may be NULL): how many the project had. */
int plan_and_apply(struct context *ctx, const char *command, plan_fn fn, struct plan_options *po,
		   size_t *n_containers, struct err *e);

/* Seconds of --timeout, -1 when not given, as plan_options.timeout_ns. */
int64_t stop_timeout(int64_t seconds);

#endif
