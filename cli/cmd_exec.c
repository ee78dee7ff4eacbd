/* cli/cmd_exec.c: `exec`: the supervisor makes the process, we carry its bytes.  When we
 * are gone before it is, it is hung up, unless it was to be on its own (-d). */
#include <errno.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/command.h"
#include "cli/pick.h"
#include "cli/relay.h"
#include "cli/term.h"
#include "engine/supervise/supervisor.h"

struct exec_options {
	bool detach, interactive, no_tty, tty, privileged;
	char **env;
	const char *user, *workdir;
	int64_t index;
};
#define O struct exec_options

static const struct option_spec flags[] = {
	OPTION_BOOL("detach", 'd', O, detach, "Detached mode: Run command in the background (otherwise it gets SIGHUP, "
		    "and SIGKILL 5 s later, when comp is gone)"),
	OPTION_STRINGS("env", 'e', O, env, "Set environment variables"),
	OPTION_INT("index", 0, O, index, "0",
		   "Index of the container if service has multiple replicas"),
	{ "interactive", 'i', OPTION_KIND_BOOL, OPTION_FIELD(O, interactive, bool), "true", "",
	  true },
	OPTION_BOOL("no-tty", 'T', O, no_tty,
		    "Disable pseudo-TTY allocation. By default a TTY is allocated on a terminal"),
	OPTION_BOOL("privileged", 0, O, privileged, "Give extended privileges to the process"),
	OPTION_HIDDEN_BOOL("tty", 't', O, tty),
	OPTION_STRING("user", 'u', O, user, NULL, "Run the command as this user"),
	OPTION_STRING("workdir", 'w', O, workdir, NULL,
		      "Path to workdir directory for this command"),
	OPTION_END,
};

static int choose_tty(const struct exec_options *o, bool *tty, struct err *e)
{
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	*tty = !o->detach && !o->no_tty && (o->tty || terminal);
	if (*tty && !isatty(STDIN_FILENO)) {
		err_set(e, ENOTTY, "the input device is not a TTY");
		return err_hint(e, "use -T");
	}
	return 0;
}

/* -e KEY takes the value from our own environment; unset: nothing. */
static char **resolve_env(char *const *env)
{
	char **out = NULL;

	STRV_FOREACH (v, env) {
		const char *own = strchr(*v, '=') ? NULL : getenv(*v);

		if (strchr(*v, '='))
			strv_add(&out, *v);
		else if (own)
			strv_addf(&out, "%s=%s", *v, own);
	}
	return out;
}

static json *request(const struct exec_options *o, const char *container, char *const *argv,
		     bool tty)
{
	_cleanup_(strv_freep) char **env = resolve_env(o->env);
	unsigned int rows, cols;
	json *m = json_new_object();

	json_put_int(m, "v", CONTROL_VERSION);
	json_put_str(m, "op", "exec");
	json_put_str(m, "container", container);
	json_put_strv(m, "argv", argv);
	json_put_strv(m, "env", env);
	json_put_str(m, "user", o->user);
	json_put_str(m, "cwd", o->workdir);
	json_put_bool(m, "tty", tty);
	json_put_bool(m, "privileged", o->privileged);
	json_put_bool(m, "attached", !o->detach);
	if (tty && term_real_size(STDIN_FILENO, &rows, &cols)) {
		json_put_int(m, "rows", rows);
		json_put_int(m, "cols", cols);
	}
	return m;
}

/* What the "end" message says becomes our own exit. */
static int take_end(struct context *ctx, json *m)
{
	struct message_style style = ctx_message_style(ctx);
	int code = (int)json_get_int(m, "exit_code", 125);
	struct err e;

	control_err_from_json(json_get(m, "error"), &e);
	if (!e.code)
		return code;
	message_error(ctx->err, &style, &e);
	return code ? code : 125;
}

static bool is_type(json *m, const char *type)
{
	return streq_null(json_get_str(m, "type"), type);
}

/* Messages until the end; the first may bring the pty. */
static int follow(struct context *ctx, const struct exec_options *o, struct control_client *c,
		  struct relay **relay, bool tty, struct err *e)
{
	for (;;) {
		_cleanup_(json_unrefp) json *m = NULL;
		int fds[1] = { -EBADF }, r;
		size_t n_fds = 1;

		if (*relay)
			r = relay_run(*relay, c, &m, e);
		else
			r = control_receive(c, &m, fds, &n_fds, e);
		if (r < 0)
			return r;
		if (is_type(m, "started") && o->detach)
			return 0;
		if (is_type(m, "started") && tty && !*relay && n_fds == 1) {
			r = relay_new_tty(fds[0], relay, e);
			if (r < 0)
				return r;
		}
		if (!is_type(m, "end"))
			continue;
		relay_free(*relay); /* the terminal first, then words */
		*relay = NULL;
		return take_end(ctx, m);
	}
}

static int run_in(struct context *ctx, const struct exec_options *o, const char *container,
		  char *const *argv, bool tty, struct err *e)
{
	_cleanup_(control_client_freep) struct control_client *c = NULL;
	_cleanup_(json_unrefp) json *m = request(o, container, argv, tty);
	_cleanup_(relay_freep) struct relay *relay = NULL;
	int give[3], r = supervisor_ensure(&ctx->dirs, ctx->project_name, &c, e);

	if (r == 0 && o->detach)
		r = relay_new_null(&relay, give, e);
	else if (r == 0 && !tty)
		r = relay_new_pipes(o->interactive, &relay, give, e);
	if (r == 0)
		r = control_send(c, m, tty ? NULL : give, tty ? 0 : 3, e);
	if (r < 0)
		return r;
	if (relay)
		relay_given(relay);
	return follow(ctx, o, c, &relay, tty, e);
}

static int run_exec(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct exec_options *o = in->options;
	_cleanup_(record_list_done) struct record_list l = { 0 };
	const struct record *c = NULL;
	bool tty = false;
	int r = ctx_need_root(ctx, e);

	if (r == 0)
		r = choose_tty(o, &tty, e);
	if (r == 0)
		r = pick_container(ctx, in->argv[0], o->index, &l, &c, e);
	if (r < 0)
		return r;
	if (ctx->global.dry_run) {
		fprintf(ctx->err, "DRY-RUN MODE -  Container %s exec %s\n", c->name, in->argv[1]);
		return 0;
	}
	return run_in(ctx, o, c->name, in->argv + 1, tty, e);
}

const struct command cmd_exec = {
	.name = "exec",
	.args = "[OPTIONS] SERVICE COMMAND [ARGS...]",
	.summary = "Execute a command in a running container",
	.options = flags,
	.options_size = sizeof(struct exec_options),
	.min_args = 2,
	.max_args = ARGS_ANY,
	.stop_at_first_positional = true,
	.run = run_exec,
};
