/* cli/context.c: see context.h.  Which commands read the compose file follows
 * Docker Compose: a project named by -p (without -f) is looked up by its name
 * alone, so that `stop` and `logs` work from any directory.
 */
#include "cli/context.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/global.h"
#include "compose/project.h"
#include "engine/supervise/control.h"
#include "engine/supervise/supervisor.h"

#define RECORDS_WAIT (200 * NSEC_PER_MSEC)

extern char **environ;

void context_init(struct context *ctx, const char *program)
{
	*ctx = (struct context){
		.program = program,
		.out = stdout,
		.err = stderr,
		.out_tty = isatty(STDOUT_FILENO),
		.err_tty = isatty(STDERR_FILENO),
		.started = now_mono_ns(),
		.generation = -1,
		.cancel_fd = -EBADF,
	};
	options_init(global_options, &ctx->global);
}

void context_done(struct context *ctx)
{
	options_done(global_options, &ctx->global);
	project_free(ctx->project);
	ctx->project = NULL;
	free(ctx->project_name);
	ctx->project_name = NULL;
	if (ctx->dirs_ready)
		dirs_done(&ctx->dirs);
	ctx->dirs_ready = false;
	ctx->cancel_fd = fd_close(ctx->cancel_fd);
}

/* ---- messages ----------------------------------------------------------------- */
struct message_style ctx_message_style(const struct context *ctx)
{
	return (struct message_style){ .tty = ctx->err_tty,
				       .json = ctx->json_errors,
				       .color = ctx->err_color,
				       .started = ctx->started };
}

void ctx_warn(struct context *ctx, const char *fmt, ...)
{
	struct message_style style = ctx_message_style(ctx);
	_cleanup_(free_p) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	fflush(ctx->out);
	message_warning(ctx->err, &style, text);
}

int ctx_diag(struct context *ctx, const struct diag *d, struct err *e)
{
	struct message_style style = ctx_message_style(ctx);
	struct diag shown = *d;

	/* main() prints the one that is returned, so that one goes last. */
	if (shown.n)
		shown.n--;
	shown.n_more = 0;
	message_diag(ctx->err, &style, &shown);
	if (!d->n)
		return 0;
	if (e)
		*e = d->errs[d->n - 1];
	if (d->n_more)
		ctx_warn(ctx, "%zu more errors are not shown", d->n_more);
	return -(d->errs[d->n - 1].code ? d->errs[d->n - 1].code : EINVAL);
}

int ctx_progress(struct context *ctx, const char *title, struct progress **out, struct err *e)
{
	const char *to_stdout = getenv("COMPOSE_STATUS_STDOUT");
	struct progress_options o = { .tty = ctx->err_tty,
				      .color = ctx->err_color,
				      .dry_run = ctx->global.dry_run,
				      .title = title };
	FILE *stream = ctx->err;
	int r = 0;

	if (ctx->global.progress)
		r = progress_mode_parse(ctx->global.progress, &o.mode, e);
	if (r < 0)
		return r;
	if (to_stdout && streq(to_stdout, "1") && ctx->out_tty)
		stream = ctx->out;
	/* Nothing to redraw with where control characters are not wanted, or where logs
	 * scroll by. */
	if (o.mode == PROGRESS_AUTO && (streq_null(ctx->global.ansi, "never") || ctx->beside))
		o.mode = PROGRESS_PLAIN;
	*out = progress_new(stream, &o);
	return 0;
}

/* ---- where and who ------------------------------------------------------------- */
int ctx_dirs(struct context *ctx, struct err *e)
{
	int r;

	if (ctx->dirs_ready)
		return 0;
	r = dirs_init(&ctx->dirs, e);
	if (r < 0) {
		if ((r == -EACCES || r == -EPERM) && geteuid() != 0)
			(void)ctx_need_root(ctx, e);
		dirs_done(&ctx->dirs);
		return r;
	}
	ctx->dirs_ready = true;
	return 0;
}

int ctx_need_root(struct context *ctx, struct err *e)
{
	if (geteuid() == 0)
		return 0;
	err_set(e, EPERM,
		"comp needs root to make namespaces, mounts, networks and cgroups, and runs as uid "
		"%d",
		(int)geteuid());
	return err_hint(e, "run it with sudo");
}

int ctx_cancel_fd(struct context *ctx, struct err *e)
{
	sigset_t set;

	if (ctx->cancel_fd >= 0)
		return ctx->cancel_fd;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, errno, "block signals");
	ctx->cancel_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return ctx->cancel_fd < 0 ? err_errno(e, errno, "signalfd") : ctx->cancel_fd;
}

bool ctx_confirm(struct context *ctx, const char *question)
{
	char answer[16];

	if (!isatty(STDIN_FILENO))
		return false;
	fprintf(ctx->err, "%s [yN] ", question);
	fflush(ctx->err);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* ---- the project ----------------------------------------------------------------- */
static struct project_options project_options_of(struct context *ctx)
{
	struct global_options *g = &ctx->global;

	return (struct project_options){
		.files = g->files,
		.project_directory = (char *)g->directory,
		.name = (char *)g->name,
		.env_files = g->env_files,
		.profiles = g->profiles,
		.enable = (char **)ctx->enable,
		.all_resources = g->all_resources,
		.environ = environ,
		.stdin_fd = STDIN_FILENO,
	};
}

int ctx_load_project(struct context *ctx, struct err *e)
{
	struct project_options o = project_options_of(ctx);
	_cleanup_(diag_done) struct diag diag = DIAG_INIT;
	int r, shown;

	if (ctx->project)
		return 0;
	r = project_load(&o, &ctx->project, &diag);
	shown = ctx_diag(ctx, &diag, e);
	if (r < 0)
		return shown < 0 ? r : err_set(e, -r, "load the compose files");
	str_set(&ctx->project_name, ctx->project->name);
	return 0;
}

int ctx_project_name(struct context *ctx, struct err *e)
{
	struct project_options o = project_options_of(ctx);
	_cleanup_(diag_done) struct diag diag = DIAG_INIT;
	int r;

	if (ctx->project_name)
		return 0;
	r = project_find_name(&o, &ctx->project_name, &diag);
	if (r < 0 && ctx_diag(ctx, &diag, e) == 0)
		return err_set(e, -r, "find the project's name");
	return r;
}

int ctx_load_project_or_name(struct context *ctx, struct err *e)
{
	const char *env_name = getenv("COMPOSE_PROJECT_NAME");
	int r;

	if (ctx->global.name && !ctx->global.files)
		return ctx_project_name(ctx, e);
	r = ctx_load_project(ctx, e);
	if (r == -ENOENT && !is_empty(env_name) && !ctx->global.files) {
		if (e)
			*e = ERR_INIT;
		return ctx_project_name(ctx, e);
	}
	return r;
}

int ctx_take_up(struct context *ctx, struct err *e)
{
	_cleanup_(control_client_freep) struct control_client *c = NULL;
	_cleanup_(free_p) char *containers = NULL;
	int r = ctx_project_name(ctx, e);

	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r < 0 || ctx->global.dry_run)
		return r;
	containers = dirs_containers(&ctx->dirs, ctx->project_name);
	if (access(containers, F_OK) < 0)
		return 0;
	return supervisor_ensure(&ctx->dirs, ctx->project_name, &c, e);
}

/* 1: a process ended that is on record as one that runs. @said: problems told already. */
static int load_records(struct context *ctx, struct record_list *out, char ***said, struct err *e)
{
	int r, ended = 0;

	ctx->generation = (int64_t)record_generation(&ctx->dirs, ctx->project_name);
	r = record_list_load(&ctx->dirs, ctx->project_name, out, e);
	for (size_t i = 0; r == 0 && i < out->n; i++)
		ended |= record_reconcile(out->items[i], &ctx->dirs) &&
			 out->items[i]->status == CONTAINER_EXITED;
	STRV_FOREACH (problem, out->problems) {
		if (strv_has(*said, *problem))
			continue;
		ctx_warn(ctx, "%s", *problem);
		strv_add(said, *problem);
	}
	return r < 0 ? r : ended;
}

/* Between the end of a process and its supervisor's word on what comes next are some
 * milliseconds in which "exited" would be our guess, and wrong for what is about to be
 * restarted: a supervisor that is there is given the time. */
int ctx_records(struct context *ctx, struct record_list *out, struct err *e)
{
	uint64_t end = now_mono_ns() + RECORDS_WAIT;
	_cleanup_(strv_freep) char **said = NULL;
	useconds_t pause_us = 500;
	int r = ctx_project_name(ctx, e);

	*out = (struct record_list){ 0 };
	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r == 0)
		r = load_records(ctx, out, &said, e);
	while (r == 1 && now_mono_ns() < end && supervisor_pid(&ctx->dirs, ctx->project_name)) {
		record_list_done(out);
		(void)usleep(pause_us *= 2);
		r = load_records(ctx, out, &said, e);
	}
	return MIN(r, 0);
}

static bool is_recorded(const struct record_list *l, const char *service)
{
	for (size_t i = 0; l && i < l->n; i++)
		if (streq_null(l->items[i]->service, service))
			return true;
	return false;
}

int ctx_check_services(struct context *ctx, char *const *services,
		       const struct record_list *records, struct err *e)
{
	STRV_FOREACH (s, services) {
		int r = 0;

		if (is_recorded(records, *s))
			continue;
		if (ctx->project) {
			struct node *node;

			r = project_need_service(ctx->project, *s, &node, e);
		} else {
			r = err_set(e, ENOENT, "no such service: %s", *s);
		}
		if (r < 0)
			return r;
	}
	return 0;
}
