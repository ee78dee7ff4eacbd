/* cli/cmd_network.c: `comp network ls|prune`.  Networks are made by `up`. */
#include <errno.h>
#include <fcntl.h>

#include "base/strv.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/humanize.h"
#include "cli/machine.h"
#include "cli/prune.h"
#include "cli/resources.h"
#include "net/network.h"

#define ID_SHOWN 12

/* ---- ls ------------------------------------------------------------------------------------ */

struct list_options {
	bool quiet, no_trunc;
	char **filters;
	const char *format;
};
#define O struct list_options
static const struct option_spec ls_flags[] = {
	OPTION_STRINGS("filter", 'f', O, filters,
		       "Provide filter values: name=TEXT, driver=NAME, id=PREFIX, "
		       "label=KEY[=VALUE], dangling=true|false"),
	OPTION_STRING("format", 0, O, format, NULL,
		      "Format the output: table, json, or a Go template"),
	OPTION_BOOL("no-trunc", 0, O, no_trunc, "Do not truncate the output"),
	OPTION_BOOL("quiet", 'q', O, quiet, "Only display network IDs"),
	OPTION_END,
};
#undef O

static const struct format_column columns[] = {
	{ "ID", "NETWORK ID" },
	{ "Name", "NAME" },
	{ "Driver", "DRIVER" },
	{ "Scope", "SCOPE" },
	{ "IPv6", "IPV6" },
	{ "Internal", "INTERNAL" },
	{ "Labels", "LABELS" },
	{ "CreatedAt", "CREATED AT" },
	{ NULL },
};
static const struct format_spec spec_of_networks = {
	.columns = columns,
	.table = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
};

static bool has_label(char *const *labels, const char *want)
{
	return strchr(want, '=') ? strv_has(labels, want) : strv_env_get(labels, want) != NULL;
}

static bool matches(const char *filter, const struct network *n, bool used)
{
	const char *value;

	if ((value = skip_prefix(filter, "name=")))
		return strstr(n->config->name, value) != NULL;
	if ((value = skip_prefix(filter, "driver=")))
		return streq(n->config->driver ?: "bridge", value);
	if ((value = skip_prefix(filter, "id=")))
		return skip_prefix(n->id, value) != NULL;
	if ((value = skip_prefix(filter, "label=")))
		return has_label(n->config->labels, value);
	if ((value = skip_prefix(filter, "dangling=")))
		return used != (streq(value, "true") || streq(value, "1"));
	return false;
}

static size_t kind_length(const char *filter)
{
	return strcspn(filter, "=");
}

/* Filters of one kind are alternatives, kinds must all match; labels all count. */
static bool passes(char *const *filters, const struct network *n, bool used)
{
	STRV_FOREACH (f, filters) {
		bool any = matches(*f, n, used);

		STRV_FOREACH (g, filters)
			if (!skip_prefix(*f, "label=") && kind_length(*g) == kind_length(*f) &&
			    strncmp(*f, *g, kind_length(*f)) == 0)
				any |= matches(*g, n, used);
		if (!any)
			return false;
	}
	return true;
}

static int check_filters(char *const *filters, struct err *e)
{
	static const char *const known[] = { "name=", "driver=", "id=", "label=", "dangling=" };

	STRV_FOREACH (f, filters) {
		bool ok = false;

		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			ok |= skip_prefix(*f, known[i]) != NULL;
		if (!ok)
			return err_set(e, EINVAL, "invalid filter '%s'", *f);
	}
	return 0;
}

static json *network_row(const struct network *n, bool no_trunc)
{
	_cleanup_(free_p) char *labels = strv_join(n->config->labels, ",");
	_cleanup_(free_p) char *id = no_trunc ? xstrdup(n->id) : xstrndup(n->id, ID_SHOWN);
	char when[HUMAN_MAX];
	json *o = json_new_object();

	json_put_str(o, "CreatedAt", human_time(n->created, when));
	json_put_str(o, "Driver", n->config->driver ?: "bridge");
	json_put_str(o, "ID", id);
	json_put_str(o, "IPv6", n->config->enable_ipv6 ? "true" : "false");
	json_put_str(o, "Internal", n->config->internal ? "true" : "false");
	json_put_str(o, "Labels", labels);
	json_put_str(o, "Name", n->config->name);
	json_put_str(o, "Scope", "local");
	return o;
}

static int run_ls(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct list_options *o = in->options;
	_cleanup_(machine_done) struct machine m = { 0 };
	_cleanup_(json_unrefp) json *rows = json_new_array();
	int r = check_filters(o->filters, e);

	if (r == 0)
		r = machine_load(ctx, &m, e);
	if (r < 0)
		return r;
	STRV_FOREACH (name, m.networks) {
		_cleanup_(network_freep) struct network *n = network_read(ctx, *name);

		if (n && passes(o->filters, n, map_has(&m.attached, *name)))
			json_push(rows, network_row(n, o->no_trunc));
	}
	return format_rows(ctx->out, &spec_of_networks,
			   o->quiet && !o->format ? "{{.ID}}" : o->format, rows, e);
}

static const struct command network_ls = {
	.name = "ls",
	.alias = "list",
	.args = "[OPTIONS]",
	.summary = "List networks",
	.options = ls_flags,
	.options_size = sizeof(struct list_options),
	.run = run_ls,
};

/* ---- prune --------------------------------------------------------------------------------- */

struct prune_options {
	bool force;
	char **filters;
};
#define O struct prune_options
static const struct option_spec prune_flags[] = {
	OPTION_STRINGS("filter", 0, O, filters,
		       "Provide filter values: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"),
	OPTION_BOOL("force", 'f', O, force, "Do not prompt for confirmation"),
	OPTION_END,
};
#undef O

static int run_prune(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct prune_options *o = in->options;
	const struct prune_request q = { .networks = true, .force = o->force };

	return prune_run(ctx, &q, o->filters, e);
}

static const struct command network_prune = {
	.name = "prune",
	.args = "[OPTIONS]",
	.summary = "Remove all unused networks",
	.options = prune_flags,
	.options_size = sizeof(struct prune_options),
	.run = run_prune,
};

static const struct command *const subs[] = { &network_ls, &network_prune, NULL };

const struct command cmd_network = {
	.name = "network",
	.args = "COMMAND",
	.summary = "Manage networks",
	.subs = subs,
};
