/* cli/apply.h: a plan on its way through the supervisor.
 *
 * ctx_apply() (context.h) is the usual way; `up` in the foreground needs to do
 * other things meanwhile and drives this itself:
 *
 *	apply_client_start(ctx, "stop", &plan, progress, &a, e);
 *	while (!apply_client_is_done(a)) {
 *		poll apply_client_fd(a) unless apply_client_pending(a);
 *		apply_client_step(a, e);
 *	}
 *	apply_client_result(a, e);
 */
#ifndef CLI_APPLY_H
#define CLI_APPLY_H

#include "cli/context.h"
#include "cli/progress.h"
#include "compose/plan.h"

struct apply_client;

/* Connect (starting the supervisor if need be) and send.  @progress: shown there;
 * borrowed until apply_client_free(). */
int apply_client_start(struct context *ctx, const char *command, const struct plan *plan,
		       struct progress *progress, struct apply_client **out, struct err *e);
void apply_client_free(struct apply_client *a);
static inline void apply_client_freep(struct apply_client **a)
{
	apply_client_free(*a);
}

int apply_client_fd(const struct apply_client *a);
/* A message was read already: apply_client_step() at once, poll(2) would not know. */
bool apply_client_pending(const struct apply_client *a);
/* Take one message; blocks when there is none. */
int apply_client_step(struct apply_client *a, struct err *e);
bool apply_client_is_done(const struct apply_client *a);
/* After the end: 0 or what the first failed action said. */
int apply_client_result(const struct apply_client *a, struct err *e);
/* Ask to start no further action. */
int apply_client_cancel(struct apply_client *a, struct err *e);

/* What @plan would do, in words, under --dry-run. */
void plan_show(struct progress *p, const struct plan *plan);

#endif
