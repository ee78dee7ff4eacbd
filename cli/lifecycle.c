/* cli/lifecycle.c: see lifecycle.h. */
#include "cli/lifecycle.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cli/resources.h"

int64_t stop_timeout(int64_t s)
{
	return s < 0 ? PLAN_NO_TIMEOUT : s * (int64_t)NSEC_PER_SEC;
}

/* Each try waited for its turn, so this takes a crowd: say so, do not go on for ever. */
int plan_outcome(const struct context *ctx, int r, struct err *e)
{
	if (r != -ESTALE)
		return r;
	r = err_set(e, EAGAIN,
		    "project %s: other commands changed it %d times while this one "
		    "was waiting; gave up, nothing was done",
		    ctx->project_name, PLAN_TRIES);
	err_hint(e, "run it again when they are through");
	return r;
}

static int plan_and_apply_once(struct context *ctx, const char *command, plan_fn fn,
			       struct plan_options *po, size_t *n_containers, struct err *e)
{
	_cleanup_(record_list_done) struct record_list records = { 0 };
	_cleanup_(diag_done) struct diag diag = DIAG_INIT;
	_cleanup_(plan_done) struct plan plan = { 0 };
	_cleanup_(json_unrefp) json *file = NULL;
	int r = ctx_need_root(ctx, e), shown;

	if (r == 0)
		r = ctx_load_project_or_name(ctx, e);
	if (r == 0)
		r = ctx_take_up(ctx, e);
	if (r == 0)
		r = ctx_records(ctx, &records, e);
	if (r == 0)
		r = ctx_check_services(ctx, po->services, &records, e);
	if (r < 0)
		return r;
	file = project_file(ctx, ctx->project_name);
	po->dependencies = json_get(file, "services");
	if (n_containers)
		*n_containers = records.n;
	r = fn(ctx->project, &records, po, &plan, &diag);
	po->dependencies = NULL;
	shown = ctx_diag(ctx, &diag, e);
	if (r < 0 || shown < 0)
		return r < 0 && shown == 0 ? err_set(e, -r, "make a plan") : r < 0 ? r : shown;
	return ctx_apply(ctx, command, &plan, e);
}

int plan_and_apply(struct context *ctx, const char *command, plan_fn fn, struct plan_options *po,
		   size_t *n_containers, struct err *e)
{
	int r = -ESTALE;

	for (int tries = 0; tries < PLAN_TRIES && r == -ESTALE; tries++) {
		if (e)
			*e = ERR_INIT;
		r = plan_and_apply_once(ctx, command, fn, po, n_containers, e);
	}
	return plan_outcome(ctx, r, e);
}
