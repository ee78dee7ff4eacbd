/* cli/cmd_top.c: `top`: the processes of running containers, as the host sees them. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/process_row.h"
#include "cli/rows.h"
#include "cli/table.h"
#include "cli/usage.h"

static int by_pid(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void add_processes(struct table *t, const struct record *r, const struct cgroup *cg)
{
	_cleanup_(free_p) pid_t *pids = NULL;
	size_t n = 0;

	if (cgroup_pids(cg, &pids, &n, NULL) < 0)
		return;
	if (n)
		qsort(pids, n, sizeof(*pids), by_pid);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(strv_freep) char **process = process_row(pids[i]);
		char **row = NULL;

		if (!process)
			continue; /* gone meanwhile */
		strv_add(&row, r->service ? r->service : r->name);
		strv_addf(&row, "%d", r->number);
		strv_extend(&row, process);
		table_row_take(t, row);
	}
}

static int show(struct context *ctx, char *const *services, const struct record_list *l,
		struct err *e)
{
	static const char *const heading[] = { "SERVICE", "#",   "UID",  "PID", "PPID", "C",
					       "STIME",   "TTY", "TIME", "CMD", NULL };
	_cleanup_(table_done) struct table t = { .min_width = 4 };
	_cleanup_(cgroup_host_freep) struct cgroup_host *host = NULL;
	int r = cgroup_host_new(ctx->dirs.cgroup, &host, e);

	if (r < 0)
		return r;
	table_row(&t, heading);
	for (size_t i = 0; i < l->n; i++) {
		const struct record *rec = l->items[i];
		_cleanup_(spec_freep) struct container_spec *spec = NULL;
		_cleanup_(cgroup_freep) struct cgroup *cg = NULL;

		if ((rec->status != CONTAINER_RUNNING && rec->status != CONTAINER_PAUSED &&
		     rec->status != CONTAINER_STOPPING) ||
		    (services && services[0] &&
		     !(rec->service && strv_has(services, rec->service))))
			continue;
		spec = record_spec(&ctx->dirs, rec);
		if (usage_open(host, rec, spec, &cg, NULL) == 0)
			add_processes(&t, rec, cg);
	}
	if (t.n > 1)
		table_print(&t, ctx->out);
	return 0;
}

static int run_top(struct context *ctx, struct invocation *in, struct err *e)
{
	_cleanup_(record_list_done) struct record_list l = { 0 };
	int r = ctx_load_project_or_name(ctx, e);

	if (r == 0)
		r = ctx_records(ctx, &l, e);
	if (r == 0)
		r = ctx_check_services(ctx, in->argv, &l, e);
	return r < 0 ? r : show(ctx, in->argv, &l, e);
}

const struct command cmd_top = {
	.name = "top",
	.args = "[SERVICES...]",
	.summary = "Display the running processes",
	.max_args = ARGS_ANY,
	.run = run_top,
};
