/* cli/cmd_systemd.c: `systemd`: a system unit for a project.
 *
 * install and remove touch one file; enabling it is systemctl's part, and the user is
 * told how.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "cli/attend.h"
#include "cli/command.h"
#include "cli/unit_file.h"

#define UNIT_DIR      "/etc/systemd/system"
#define UNIT_FILE_MAX (1u << 20)

struct systemd_options {
	const char *unit_dir;
};

static const struct option_spec dir_flags[] = {
	OPTION_STRING("unit-dir", 0, struct systemd_options, unit_dir, UNIT_DIR,
		      "Directory of the unit file"),
	OPTION_END,
};

/* ---- the text ---------------------------------------------------------------------- */
static int own_path(char path[PATH_MAX], struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (n < 0)
		return err_errno(e, errno, "readlink /proc/self/exe");
	path[n] = '\0';
	return 0;
}

/* What of our environment decides where things are, and how ports are published. */
static char **kept_environment(void)
{
	static const char *const names[] = { "COMP_ROOT", "COMP_RUN", "COMP_PUBLISH",
					     "COMP_CGROUP" };
	char **env = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (getenv(names[i]))
			strv_addf(&env, "%s=%s", names[i], getenv(names[i]));
	return env;
}

static int unit_text(struct context *ctx, struct buf *out, struct err *e)
{
	_cleanup_(strv_freep) char **env = kept_environment();
	char program[PATH_MAX];
	struct unit_file u = { .program = program, .environment = env };
	int r = ctx_load_project_or_name(ctx, e);

	if (r == 0)
		r = ctx_dirs(ctx, e);
	if (r == 0)
		r = own_path(program, e);
	if (r < 0)
		return r;
	u.project = ctx->project_name;
	u.root = ctx->dirs.root;
	unit_file_write(&u, out);
	return 0;
}

/* ---- the file ---------------------------------------------------------------------- */
static char *unit_path(const struct context *ctx, const struct systemd_options *o)
{
	_cleanup_(free_p) char *name = unit_file_name(ctx->project_name);

	return path_join(o->unit_dir, name);
}

/* 1: @path is there and ours, *text what it says; 0: it is not there. */
static int read_own(const char *path, struct buf *text, struct err *e)
{
	int r = file_read(AT_FDCWD, path, UNIT_FILE_MAX, text, e);

	if (r == -ENOENT) {
		if (e)
			*e = ERR_INIT;
		return 0;
	}
	if (r < 0)
		return r;
	if (!skip_prefix(buf_str(text), UNIT_MARK)) {
		err_set(e, EEXIST, "%s was not written by comp", path);
		err_hint(e, "move it away, or choose another --unit-dir");
		return -EEXIST;
	}
	return 1;
}

static void warn_of_nothing(struct context *ctx)
{
	_cleanup_(record_list_done) struct record_list l = { 0 };

	if (ctx_records(ctx, &l, NULL) == 0 && !l.n)
		ctx_warn(ctx,
			 "project %s has no containers; the unit brings back what `comp up -d` "
			 "once made",
			 ctx->project_name);
}

static int run_install(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct systemd_options *o = in->options;
	_cleanup_(buf_done) struct buf text = BUF_INIT, old = BUF_INIT;
	_cleanup_(free_p) char *path = NULL;
	int r = ctx_need_root(ctx, e);

	if (r == 0)
		r = unit_text(ctx, &text, e);
	if (r < 0)
		return r;
	path = unit_path(ctx, o);
	r = read_own(path, &old, e);
	if (r < 0)
		return r;
	warn_of_nothing(ctx);
	if (ctx->global.dry_run) {
		fprintf(ctx->out, "%s would be:\n%s", path, buf_str(&text));
		return 0;
	}
	r = file_write_atomic(AT_FDCWD, path, text.data, text.len, 0644, true, e);
	if (r < 0)
		return r;
	fprintf(ctx->out, "Wrote %s\n", path);
	fprintf(ctx->out, "Next: systemctl daemon-reload && systemctl enable --now comp-%s\n",
		ctx->project_name);
	return 0;
}

static int run_print(struct context *ctx, struct invocation *in, struct err *e)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = unit_text(ctx, &text, e);

	if (r == 0)
		fputs(buf_str(&text), ctx->out);
	return r;
}

static int run_remove(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct systemd_options *o = in->options;
	_cleanup_(buf_done) struct buf old = BUF_INIT;
	_cleanup_(free_p) char *path = NULL, *wanted = NULL;
	int r = ctx_need_root(ctx, e);

	if (r == 0)
		r = ctx_load_project_or_name(ctx, e);
	if (r < 0)
		return r;
	path = unit_path(ctx, o);
	wanted = xasprintf("%s/multi-user.target.wants/comp-%s.service", o->unit_dir,
			   ctx->project_name);
	r = read_own(path, &old, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ENOENT, "project %s has no unit: %s does not exist",
			       ctx->project_name, path);
	if (ctx->global.dry_run) {
		fprintf(ctx->out, "%s would be removed\n", path);
		return 0;
	}
	(void)unlink(wanted); /* of `systemctl enable`; else it would dangle */
	if (unlink(path) < 0)
		return err_errno(e, errno, "remove %s", path);
	fprintf(ctx->out, "Removed %s\nNext: systemctl daemon-reload\n", path);
	return 0;
}

static int run_run(struct context *ctx, struct invocation *in, struct err *e)
{
	int r = ctx_need_root(ctx, e);

	if (r < 0)
		return r;
	if (!ctx->global.name)
		return err_set(e, EINVAL, "systemd run needs the project's name: -p NAME");
	r = ctx_project_name(ctx, e);
	return r < 0 ? r : attend(ctx, e);
}

static const struct command systemd_install = {
	.name = "install",
	.args = "[OPTIONS]",
	.summary = "Write the project's unit (--dry-run: only show it)",
	.options = dir_flags,
	.options_size = sizeof(struct systemd_options),
	.run = run_install,
};

static const struct command systemd_print = {
	.name = "print",
	.args = "",
	.summary = "Print the project's unit",
	.run = run_print,
};

static const struct command systemd_remove = {
	.name = "remove",
	.alias = "rm",
	.args = "[OPTIONS]",
	.summary = "Remove the project's unit; containers are not touched",
	.options = dir_flags,
	.options_size = sizeof(struct systemd_options),
	.run = run_remove,
};

static const struct command systemd_run = {
	.name = "run",
	.args = "",
	.summary = "Bring the project back and stay with it (what the unit runs)",
	.run = run_run,
};

static const struct command *const systemd_subs[] = { &systemd_install, &systemd_print,
						      &systemd_remove, &systemd_run, NULL };

const struct command cmd_systemd = {
	.name = "systemd",
	.args = "COMMAND",
	.summary = "Start and stop a project with the machine, by a systemd unit",
	.subs = systemd_subs,
};
