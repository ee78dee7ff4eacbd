/* cli/cmd_ls.c: all projects of this machine, from their directories. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/format.h"
#include "engine/build/runner.h"

#define PROJECT_FILE_MAX (16u << 20)

struct ls_options {
	bool all, quiet;
	char **filters;
	const char *format;
};
#define O struct ls_options

static const struct option_spec flags[] = {
	OPTION_BOOL("all", 'a', O, all, "Show all stopped Compose projects"),
	OPTION_STRINGS("filter", 0, O, filters, "Filter output based on conditions provided"),
	OPTION_STRING("format", 0, O, format, NULL, "Format the output. Values: [table | json]"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Only display project names"),
	OPTION_END,
};

static const struct format_column columns[] = {
	{ "Name", "NAME" }, { "Status", "STATUS" }, { "ConfigFiles", "CONFIG FILES" }, { NULL }
};

static const struct format_spec spec_of_ls = {
	.columns = columns,
	.table = "{{.Name}}\t{{.Status}}\t{{.ConfigFiles}}",
	.json_array = true,
};

/* "exited(1), running(2)" */
static char *status_of(const struct record_list *l)
{
	size_t counts[CONTAINER_STATUS_MAX] = { 0 };
	_cleanup_(strv_freep) char **parts = NULL;

	for (size_t i = 0; i < l->n; i++)
		counts[record_status_shown(l->items[i])]++;
	for (int s = 0; s < CONTAINER_STATUS_MAX; s++)
		if (counts[s])
			strv_addf(&parts, "%s(%zu)",
				  container_status_name((enum container_status)s), counts[s]);
	if (parts)
		strv_sort(parts);
	return strv_join(parts, ", ");
}

static bool any_running(const struct record_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (record_status_shown(l->items[i]) == CONTAINER_RUNNING)
			return true;
	return false;
}

static char *config_files(struct context *ctx, const char *project)
{
	_cleanup_(free_p) char *dir = dirs_project(&ctx->dirs, project);
	_cleanup_(free_p) char *path = xasprintf("%s/project.json", dir);
	_cleanup_(json_unrefp) json *j = NULL;
	_cleanup_(strv_freep) char **files = NULL;

	if (json_read_file(AT_FDCWD, path, PROJECT_FILE_MAX, &j, NULL) == 0)
		files = json_get_strv(json_get(j, "project"), "config_files");
	return files ? strv_join(files, ",") : xstrdup("");
}

/* --filter name=TEXT: the name contains it. */
static bool passes(const struct ls_options *o, const char *name)
{
	bool any = false, hit = false;

	STRV_FOREACH (f, o->filters) {
		const char *want = skip_prefix(*f, "name=");

		any |= want != NULL;
		hit |= want && strstr(name, want);
	}
	return !any || hit;
}

static int check_filters(const struct ls_options *o, struct err *e)
{
	STRV_FOREACH (f, o->filters)
		if (!skip_prefix(*f, "name="))
			return err_set(e, EINVAL, "invalid filter '%s'", *f);
	if (o->format && !streq(o->format, "table") && !streq(o->format, "json"))
		return err_set(e, EINVAL, "format value \"%s\" could not be parsed", o->format);
	return 0;
}

static int add_project(struct context *ctx, const struct ls_options *o, const char *name,
		       json *rows, struct err *e)
{
	_cleanup_(record_list_done) struct record_list l = { 0 };
	_cleanup_(free_p) char *status = NULL, *files = NULL;
	json *row;
	int r = passes(o, name) ? record_list_load(&ctx->dirs, name, &l, e) : 0;

	for (size_t i = 0; i < l.n; i++)
		(void)record_reconcile(l.items[i], &ctx->dirs); /* changed or not */
	if (r < 0 || !l.n || (!o->all && !any_running(&l)))
		return r;
	status = status_of(&l);
	files = config_files(ctx, name);
	row = json_new_object();
	json_put_str(row, "Name", name);
	json_put_str(row, "Status", status);
	json_put_str(row, "ConfigFiles", files);
	json_push(rows, row);
	return 0;
}

static int run_ls(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct ls_options *o = in->options;
	_cleanup_(strv_freep) char **names = NULL;
	_cleanup_(json_unrefp) json *rows = json_new_array();
	int r = check_filters(o, e);

	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r < 0)
		return r;
	names = dirs_list_projects(&ctx->dirs);
	STRV_FOREACH (name, names) {
		if (skip_prefix(*name, RUNNER_PREFIX)) /* a build at work, nobody's project */
			continue;
		r = add_project(ctx, o, *name, rows, e);
		if (r < 0)
			return r;
	}
	return format_rows(ctx->out, &spec_of_ls, o->quiet ? "{{.Name}}" : o->format, rows, e);
}

const struct command cmd_ls = {
	.name = "ls",
	.args = "[OPTIONS]",
	.summary = "List running compose projects",
	.options = flags,
	.options_size = sizeof(struct ls_options),
	.run = run_ls,
};
