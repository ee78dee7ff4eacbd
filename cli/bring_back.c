/* cli/bring_back.c: one job per project, all on one poll(2).
 *
 * A job is what any other command does: have a supervisor take up what is on
 * record, plan, apply, and plan again when another command came first.  Each has a
 * context of its own, for the project's name and generation.
 */
#include "cli/bring_back.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/apply.h"
#include "cli/lifecycle.h"
#include "cli/resources.h"
#include "cli/rows.h"
#include "engine/supervise/restart.h"

struct job {
	struct context ctx;
	const struct bring_back_options *o;
	struct apply_client *client; /* while the supervisor is at it */
	char **wanted;               /* containers to bring back, of all plans made */
	struct err err;
	int tries;
};

struct jobs {
	struct job *items;
	size_t n;
	struct progress *progress;
	int signal_fd, n_signals;
};

static void job_done(struct job *j)
{
	apply_client_free(j->client);
	free(j->ctx.project_name);
	strv_free(j->wanted);
}

/* ---- what to bring back --------------------------------------------------------- */
static bool policy_of(const struct job *j, const struct record *r, struct restart_spec *out)
{
	_cleanup_(spec_freep) struct container_spec *spec = record_spec(&j->ctx.dirs, r);

	*out = spec ? spec->restart : (struct restart_spec){ 0 };
	return spec != NULL;
}

static const char *policy_name(enum restart_mode mode)
{
	return mode == RESTART_ON_FAILURE ? "on-failure" : "no";
}

static void stays_down(const struct record *r, const struct restart_spec *policy,
		       struct progress *progress)
{
	_cleanup_(free_p) char *id = xasprintf("Container %s", r->name);
	_cleanup_(free_p) char *why = xasprintf("(it was running; restart policy \"%s\")",
						policy_name(policy->mode));

	progress_event(progress, id, PROGRESS_WARNING, "Not started", why);
}

static char **choose(struct job *j, const struct record_list *l, struct progress *progress)
{
	char **names = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const struct record *r = l->items[i];
		struct restart_spec policy;

		if (!r->lost || r->oneoff || record_is_active(r))
			continue;
		if (!policy_of(j, r, &policy))
			ctx_warn(&j->ctx, "%s: its spec.json cannot be read; not started", r->name);
		else if (j->o->all || restart_at_boot(&policy, true))
			strv_add(&names, r->name);
		else if (j->tries == 0)
			stays_down(r, &policy, progress);
	}
	return names;
}

/* A supervisor is started only for a project that has something to take up or to
 * bring back: most of what a machine has on record may be down on purpose. */
static bool has_stale(const struct record_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i]->corrected || record_is_active(l->items[i]))
			return true;
	return false;
}

static int read_records(struct job *j, struct record_list *out, struct err *e)
{
	int r = ctx_records(&j->ctx, out, e);

	if (r < 0 || !has_stale(out))
		return r;
	record_list_done(out);
	r = ctx_take_up(&j->ctx, e);
	return r < 0 ? r : ctx_records(&j->ctx, out, e);
}

static int make_plan(struct job *j, struct plan *plan, struct progress *progress, struct err *e)
{
	_cleanup_(record_list_done) struct record_list records = { 0 };
	_cleanup_(json_unrefp) json *file = NULL;
	_cleanup_(diag_done) struct diag diag = DIAG_INIT;
	_cleanup_(strv_freep) char **names = NULL;
	struct plan_options po = PLAN_OPTIONS_INIT;
	int r = read_records(j, &records, e);

	if (r < 0)
		return r;
	names = choose(j, &records, progress);
	STRV_FOREACH (name, names)
		if (!strv_has(j->wanted, *name))
			strv_add(&j->wanted, *name);
	if (!names)
		return 0;
	file = project_file(&j->ctx, j->ctx.project_name);
	po.lost = names;
	po.wait = j->o->wait;
	po.wait_timeout = j->o->wait_timeout;
	po.dependencies = json_get(file, "services");
	r = plan_boot(NULL, &records, &po, plan, &diag);
	return r < 0 ? err_set(e, -r, "make a plan") : 0;
}

/* ---- the jobs -------------------------------------------------------------------- */
static void job_start(struct job *j, struct progress *progress)
{
	_cleanup_(plan_done) struct plan plan = { 0 };
	int r;

	j->err = ERR_INIT;
	apply_client_free(j->client);
	j->client = NULL;
	r = make_plan(j, &plan, progress, &j->err);
	if (r == 0)
		j->err = ERR_INIT; /* see below */
	for (size_t i = 0; r == 0 && j->tries == 0 && plan.warnings && plan.warnings[i]; i++)
		ctx_warn(&j->ctx, "%s: %s", j->ctx.project_name, plan.warnings[i]);
	j->tries++;
	if (r < 0 || !plan.actions.n)
		return;
	if (j->ctx.global.dry_run)
		plan_show(progress, &plan);
	else
		r = apply_client_start(&j->ctx, "boot", &plan, progress, &j->client, &j->err);
	if (r == 0)
		j->err = ERR_INIT; /* of looking for a supervisor that was not there yet */
}

static bool worth_another_try(const struct job *j)
{
	return (j->err.code == ESTALE || j->err.code == EPIPE || j->err.code == ECONNRESET) &&
	       j->tries < PLAN_TRIES;
}

static void job_step(struct jobs *all, struct job *j)
{
	int r = apply_client_step(j->client, &j->err);

	if (r == 0 && !apply_client_is_done(j->client))
		return;
	if (r == 0)
		(void)apply_client_result(j->client, &j->err);
	apply_client_free(j->client);
	j->client = NULL;
	if (worth_another_try(j) && !all->n_signals)
		job_start(j, all->progress);
}

static bool any_under_way(const struct jobs *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].client)
			return true;
	return false;
}

static void on_signal(struct jobs *all)
{
	struct signalfd_siginfo info;

	if (read(all->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	all->n_signals++;
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].client)
			(void)apply_client_cancel(all->items[i].client, NULL); /* it is leaving */
}

static int wait_round(struct jobs *all, struct err *e)
{
	_cleanup_(free_p) struct pollfd *p = xcalloc(all->n + 1, sizeof(*p));

	for (size_t i = 0; i < all->n; i++) {
		struct job *j = &all->items[i];

		while (j->client && apply_client_pending(j->client))
			job_step(all, j);
		p[i].fd = j->client ? apply_client_fd(j->client) : -EBADF;
		p[i].events = POLLIN;
	}
	p[all->n] = (struct pollfd){ .fd = all->signal_fd, .events = POLLIN };
	if (!any_under_way(all))
		return 0;
	if (poll(p, all->n + 1, progress_interval(all->progress)) < 0 && errno != EINTR)
		return err_errno(e, errno, "poll");
	if (p[all->n].revents)
		on_signal(all);
	for (size_t i = 0; i < all->n; i++)
		if (p[i].revents && all->items[i].client)
			job_step(all, &all->items[i]);
	progress_tick(all->progress);
	return 0;
}

/* ---- the outcome ------------------------------------------------------------------ */
static bool is_back(const struct record *r)
{
	return record_is_active(r) || (!r->lost && r->exit_code == 0);
}

/* "demo: demo-web-1, demo-app-1 could not be brought back: port 80 …" */
static bool tell_outcome(struct job *j)
{
	_cleanup_(record_list_done) struct record_list l = { 0 };
	_cleanup_(strv_freep) char **missing = NULL;
	_cleanup_(free_p) char *names = NULL;
	struct message_style style = ctx_message_style(&j->ctx);

	if (ctx_records(&j->ctx, &l, j->err.code ? NULL : &j->err) < 0)
		l = (struct record_list){ 0 };
	for (size_t i = 0; i < l.n && !j->ctx.global.dry_run; i++)
		if (strv_has(j->wanted, l.items[i]->name) && !is_back(l.items[i]))
			strv_add(&missing, l.items[i]->name);
	if (!missing && !j->err.code)
		return true;
	names = strv_join(missing, ", ");
	if (!j->err.code)
		err_set(&j->err, ECHILD, "it does not run any more");
	if (missing)
		err_wrap(&j->err, -j->err.code, "project %s: %s could not be brought back",
			 j->ctx.project_name, names);
	else
		err_wrap(&j->err, -j->err.code, "project %s", j->ctx.project_name);
	message_error(j->ctx.err, &style, &j->err);
	return false;
}

int bring_back(struct context *ctx, char *const *names, const struct bring_back_options *o,
	       struct err *e)
{
	struct jobs all = { .items = xcalloc(strv_len(names) + 1, sizeof(*all.items)) };
	int r = ctx_progress(ctx, "boot", &all.progress, e), failed = 0;

	all.signal_fd = r < 0 ? r : ctx_cancel_fd(ctx, e);
	r = all.signal_fd < 0 ? all.signal_fd : 0;
	for (; r == 0 && names && names[all.n]; all.n++) {
		struct job *j = &all.items[all.n];

		*j = (struct job){ .ctx = *ctx, .o = o };
		j->ctx.project = NULL; /* by name alone; the rest of the context is shared */
		j->ctx.project_name = xstrdup(names[all.n]);
		job_start(j, all.progress);
	}
	while (r == 0 && any_under_way(&all) && all.n_signals < 2)
		r = wait_round(&all, e);
	progress_free(all.progress);
	for (size_t i = 0; i < all.n; i++) {
		if (r == 0 && !all.n_signals && !tell_outcome(&all.items[i]))
			failed++;
		job_done(&all.items[i]);
	}
	free(all.items);
	if (r == 0 && all.n_signals)
		return err_set(e, ECANCELED, "canceled");
	return r < 0 ? r : failed;
}
