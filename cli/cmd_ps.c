/* cli/cmd_ps.c: `ps` reads records from disk; nobody is asked. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/rows.h"
#include "compose/project.h"

struct ps_options {
	bool all, quiet, services, no_trunc, orphans;
	char **filters, **statuses;
	const char *format;
};
#define O struct ps_options

static const struct option_spec flags[] = {
	OPTION_BOOL("all", 'a', O, all,
		    "Show all stopped containers (including those created by the run command)"),
	OPTION_STRINGS("filter", 0, O, filters,
		       "Filter services by a property (supported filters: status)"),
	OPTION_STRING("format", 0, O, format, NULL,
		      "Format output: \"table\", \"table TEMPLATE\", \"json\" or a Go TEMPLATE"),
	OPTION_BOOL("no-trunc", 0, O, no_trunc, "Don't truncate output"),
	OPTION_BOOL_TRUE("orphans", 0, O, orphans,
			 "Include orphaned services (not declared by project)"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Only display IDs"),
	OPTION_BOOL("services", 0, O, services, "Display services"),
	OPTION_STRINGS("status", 0, O, statuses,
		       "Filter services by status. Values: [paused | restarting | removing | "
		       "running | dead | created | exited]"),
	OPTION_END,
};

static const struct format_column columns[] = {
	{ "Command", "COMMAND" },
	{ "CreatedAt", "CREATED AT" },
	{ "ExitCode", "EXIT CODE" },
	{ "Health", "HEALTH" },
	{ "ID", "CONTAINER ID" },
	{ "Image", "IMAGE" },
	{ "Labels", "LABELS" },
	{ "LocalVolumes", "LOCAL VOLUMES" },
	{ "Mounts", "MOUNTS" },
	{ "Name", "NAME" },
	{ "Names", "NAMES" },
	{ "Networks", "NETWORKS" },
	{ "Ports", "PORTS" },
	{ "Project", "PROJECT" },
	{ "Publishers", "PUBLISHERS" },
	{ "RunningFor", "CREATED" },
	{ "Service", "SERVICE" },
	{ "Size", "SIZE" },
	{ "State", "STATE" },
	{ "Status", "STATUS" },
	{ NULL },
};

static const struct format_spec spec_of_ps = {
	.columns = columns,
	.table = "{{.Name}}\t{{.Image}}\t{{.Command}}\t{{.Service}}\t{{.RunningFor}}\t{{.Status}}\t"
		 "{{.Ports}}",
};

static int check_statuses(struct ps_options *o, struct err *e)
{
	static const char *const known[] = { "paused", "restarting", "removing", "running",
					     "dead",   "created",    "exited" };

	STRV_FOREACH (f, o->filters) {
		const char *status = skip_prefix(*f, "status=");

		if (!status)
			return err_set(e, EINVAL, "unknown filter %s", *f);
		strv_add(&o->statuses, status);
	}
	STRV_FOREACH (s, o->statuses) {
		bool ok = false;

		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			ok |= streq(*s, known[i]);
		if (!ok)
			return err_set(e, EINVAL, "invalid status \"%s\"", *s);
	}
	return 0;
}

static bool is_up(const char *state)
{
	return streq(state, "running") || streq(state, "paused") || streq(state, "restarting");
}

static bool wanted(const struct context *ctx, const struct ps_options *o, char *const *services,
		   const struct record *r)
{
	const char *state = container_status_name(record_status_shown(r));

	if (services && *services && !(r->service && strv_has(services, r->service)))
		return false;
	if (!o->orphans && ctx->project &&
	    !(r->service && project_service(ctx->project, r->service)))
		return false;
	if (o->statuses)
		return strv_has(o->statuses, state);
	if (r->oneoff && !o->all)
		return false;
	return o->all || is_up(state);
}

/* psFormat of Docker's config.json; the caller frees.  NULL: none. */
static char *configured_format(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	_cleanup_(free_p) char *path = NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(json_unrefp) json *j = NULL;

	if (is_empty(dir) && is_empty(home))
		return NULL;
	path = is_empty(dir) ? xasprintf("%s/.docker/config.json", home)
			     : path_join(dir, "config.json");
	if (file_read_follow(AT_FDCWD, path, 1 << 20, &text, NULL) < 0 ||
	    json_parse(buf_str(&text), text.len, &j, NULL) < 0)
		return NULL;
	return xstrdup_null(json_get_str(j, "psFormat"));
}

static void print_services(struct context *ctx, const struct record_list *l)
{
	_cleanup_(strv_freep) char **seen = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const char *service = l->items[i]->service;

		if (!service || strv_has(seen, service))
			continue;
		strv_add(&seen, service);
		fprintf(ctx->out, "%s\n", service);
	}
}

static int print_rows(struct context *ctx, const struct ps_options *o, const struct record_list *l,
		      struct err *e)
{
	_cleanup_(json_unrefp) json *rows = json_new_array();
	_cleanup_(free_p) char *configured = o->format ? NULL : configured_format();

	for (size_t i = 0; i < l->n; i++) {
		_cleanup_(spec_freep) struct container_spec *spec = record_spec(&ctx->dirs,
										l->items[i]);

		json_push(rows, container_row(l->items[i], spec, o->no_trunc));
	}
	return format_rows(ctx->out, &spec_of_ps, o->format ? o->format : configured, rows, e);
}

/* Drop what is not wanted, in place. */
static void filter(const struct context *ctx, const struct ps_options *o, char *const *services,
		   struct record_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (wanted(ctx, o, services, l->items[i]))
			l->items[n++] = l->items[i];
		else
			record_free(l->items[i]);
	}
	l->n = n;
}

static int run_ps(struct context *ctx, struct invocation *in, struct err *e)
{
	struct ps_options *o = in->options;
	_cleanup_(record_list_done) struct record_list list = { 0 };
	int r = check_statuses(o, e);

	/* Which services the project has matters only for what has no container. */
	if (r == 0 && (!o->orphans || in->argc))
		r = ctx_load_project_or_name(ctx, e);
	if (r == 0)
		r = ctx_records(ctx, &list, e);
	if (r == 0)
		r = ctx_check_services(ctx, in->argv, &list, e);
	if (r < 0)
		return r;
	filter(ctx, o, in->argv, &list);
	if (o->quiet) {
		for (size_t i = 0; i < list.n; i++)
			fprintf(ctx->out, "%s\n", list.items[i]->id);
		return 0;
	}
	if (o->services) {
		print_services(ctx, &list);
		return 0;
	}
	return print_rows(ctx, o, &list, e);
}

const struct command cmd_ps = {
	.name = "ps",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "List containers",
	.options = flags,
	.options_size = sizeof(struct ps_options),
	.max_args = ARGS_ANY,
	.run = run_ps,
};
