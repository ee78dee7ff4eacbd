/* cli/cmd_stats.c: `stats`: what containers use, once or as it changes.
 *
 * A share of CPU is a difference, so the first answer takes FIRST_LOOK; after that
 * there is one every PERIOD.
 */
#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/humanize.h"
#include "cli/rows.h"
#include "cli/usage.h"

#define FIRST_LOOK 500 /* ms */
#define PERIOD     1000

struct stats_options {
	bool all, no_stream, no_trunc;
	const char *format;
};
#define O struct stats_options

static const struct option_spec flags[] = {
	OPTION_BOOL("all", 'a', O, all, "Show all containers (default shows just running)"),
	OPTION_STRING("format", 0, O, format, NULL,
		      "Format output: \"table\", \"table TEMPLATE\", \"json\" or a Go TEMPLATE"),
	OPTION_BOOL("no-stream", 0, O, no_stream,
		    "Disable streaming stats and only pull the first result"),
	OPTION_BOOL("no-trunc", 0, O, no_trunc, "Do not truncate output"),
	OPTION_END,
};

static const struct format_column columns[] = {
	{ "BlockIO", "BLOCK I/O" },   { "CPUPerc", "CPU %" },
	{ "Container", "CONTAINER" }, { "ID", "CONTAINER ID" },
	{ "MemPerc", "MEM %" },       { "MemUsage", "MEM USAGE / LIMIT" },
	{ "Name", "NAME" },           { "NetIO", "NET I/O" },
	{ "PIDs", "PIDS" },           { NULL },
};

static const struct format_spec spec_of_stats = {
	.columns = columns,
	.table = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t"
		 "{{.BlockIO}}\t{{.PIDs}}",
};

struct stats {
	struct context *ctx;
	const struct stats_options *o;
	char *const *services;
	struct cgroup_host *host;
	struct map before; /* id -> struct usage * */
};

/* ---- one row ------------------------------------------------------------------------ */
static void put_pair(json *o, const char *key, char *a, char *b)
{
	_cleanup_(free_p) char *text = xasprintf("%s / %s", a, b);

	json_put_str(o, key, text);
}

static void put_percent(json *o, const char *key, double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.2f%%", v);
	json_put_str(o, key, text);
}

static json *row(const struct stats *s, const struct record *r, const struct usage *u, double cpu)
{
	json *o = json_new_object();
	_cleanup_(free_p) char *id = s->o->no_trunc ? xstrdup(r->id) : xstrndup(r->id, 12);
	_cleanup_(free_p) char *pids = xasprintf("%llu", (unsigned long long)u->pids);
	char a[HUMAN_MAX], b[HUMAN_MAX];

	put_pair(o, "BlockIO", human_size_short(u->block_read, a),
		 human_size_short(u->block_write, b));
	put_percent(o, "CPUPerc", cpu);
	json_put_str(o, "Container", id);
	json_put_str(o, "ID", id);
	put_percent(o, "MemPerc",
		    u->memory_limit ? (double)u->memory * 100 / (double)u->memory_limit : 0);
	put_pair(o, "MemUsage", human_bytes(u->memory, a), human_bytes(u->memory_limit, b));
	json_put_str(o, "Name", r->name);
	put_pair(o, "NetIO", human_size_short(u->net_rx, a), human_size_short(u->net_tx, b));
	json_put_str(o, "PIDs", pids);
	return o;
}

static bool is_up(const struct record *r)
{
	return r->status == CONTAINER_RUNNING || r->status == CONTAINER_PAUSED ||
	       r->status == CONTAINER_STOPPING;
}

static bool is_wanted(const struct stats *s, const struct record *r)
{
	if (!s->o->all && !is_up(r))
		return false;
	return !s->services || !s->services[0] || (r->service && strv_has(s->services, r->service));
}

/* Read it, and what it used since the last reading; false: no reading before. */
static bool measure(struct stats *s, const struct record *r, struct usage *now, double *cpu)
{
	_cleanup_(spec_freep) struct container_spec *spec = record_spec(&s->ctx->dirs, r);
	_cleanup_(cgroup_freep) struct cgroup *cg = NULL;
	struct usage *before = map_get(&s->before, r->id);

	*now = (struct usage){ 0 };
	*cpu = 0;
	if (!is_up(r) || usage_open(s->host, r, spec, &cg, NULL) < 0)
		return true; /* nothing, and nothing to wait for */
	usage_read(cg, r, spec, now);
	if (before)
		*cpu = usage_cpu_percent(before, now);
	map_put(&s->before, r->id, xmemdup(now, sizeof(*now)));
	return before != NULL;
}

static int look(struct stats *s, json *rows, bool *complete, struct err *e)
{
	_cleanup_(record_list_done) struct record_list l = { 0 };
	int r = ctx_records(s->ctx, &l, e);

	*complete = true;
	for (size_t i = 0; r == 0 && i < l.n; i++) {
		struct usage now;
		double cpu;

		if (!is_wanted(s, l.items[i]))
			continue;
		*complete &= measure(s, l.items[i], &now, &cpu);
		json_push(rows, row(s, l.items[i], &now, cpu));
	}
	return r;
}

/* ---- again and again ------------------------------------------------------------------ */
/* 1: go on; 0: enough. */
static int show(struct stats *s, bool first, struct err *e)
{
	_cleanup_(json_unrefp) json *rows = json_new_array();
	bool complete;
	int r = look(s, rows, &complete, e);

	if (r < 0 || (first && !complete))
		return r < 0 ? r : 1;
	if (!s->o->no_stream && s->ctx->out_tty)
		fputs("\033[2J\033[H", s->ctx->out); /* ECMA-48: erase the page, go home */
	r = format_rows(s->ctx->out, &spec_of_stats, s->o->format, rows, e);
	if (r == 0 && fflush(s->ctx->out) < 0)
		return errno == EPIPE ? 0 : err_errno(e, errno, "write");
	return r < 0 ? r : !s->o->no_stream;
}

static int run_loop(struct stats *s, struct err *e)
{
	int signal_fd = ctx_cancel_fd(s->ctx, e), r = signal_fd;

	for (bool first = true; r >= 0; first = false) {
		struct pollfd p = { .fd = signal_fd, .events = POLLIN };

		r = show(s, first, e);
		if (r <= 0)
			break;
		if (poll(&p, 1, first ? FIRST_LOOK : PERIOD) > 0)
			return -ECANCELED; /* nothing to say about it */
	}
	return r;
}

static int run_stats(struct context *ctx, struct invocation *in, struct err *e)
{
	_cleanup_(record_list_done) struct record_list l = { 0 };
	struct stats s = {
		.ctx = ctx, .o = in->options, .services = in->argv, .before = MAP_INIT_FREE(free)
	};
	int r = ctx_load_project_or_name(ctx, e);

	if (r == 0)
		r = ctx_records(ctx, &l, e);
	if (r == 0)
		r = ctx_check_services(ctx, in->argv, &l, e);
	if (r == 0)
		r = cgroup_host_new(ctx->dirs.cgroup, &s.host, e);
	if (r == 0)
		r = run_loop(&s, e);
	map_done(&s.before);
	cgroup_host_free(s.host);
	return r;
}

const struct command cmd_stats = {
	.name = "stats",
	.args = "[OPTIONS] [SERVICE...]",
	.summary = "Display a live stream of container(s) resource usage statistics",
	.options = flags,
	.options_size = sizeof(struct stats_options),
	.max_args = ARGS_ANY,
	.run = run_stats,
};
