/* cli/main.c: global flags, then the command's turn.
 *
 * Nothing is done here that a command may not need: `comp ps` should cost
 * little more than starting a process.
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/command.h"
#include "cli/global.h"
#include "cli/version.h"

static int fail(struct context *ctx, const struct err *e)
{
	struct message_style style = ctx_message_style(ctx);

	message_error(ctx->err, &style, e);
	return 1;
}

static int run(struct context *ctx, int argc, char **argv)
{
	struct option_parser p = { .own = global_options,
				   .values = &ctx->global,
				   .stop_at_first = true };
	struct err e = ERR_INIT;
	int n = options_parse(&p, argc, argv, &e);

	if (n < 0 || global_finish(ctx, &e) < 0)
		return fail(ctx, &e);
	if (p.help) {
		command_list_help(ctx->out, commands, ctx->program, global_options);
		return 0;
	}
	if (ctx->global.version) {
		fprintf(ctx->out, "Docker Compose version v%s (comp %s)\n", COMP_COMPOSE_VERSION,
			COMP_VERSION);
		return 0;
	}
	return command_dispatch(ctx, commands, ctx->program, n, argv);
}

/* Data that did not reach stdout (a full disk, say) is an error; a reader that
 * went away (`comp ps | head -1`) is not. */
static int flush(struct context *ctx, int code)
{
	struct err e = ERR_INIT;

	errno = 0;
	if (fflush(ctx->out) == 0 && !ferror(ctx->out))
		return code;
	if (errno == EPIPE)
		return code;
	err_errno(&e, errno ? errno : EIO, "write to standard output");
	return fail(ctx, &e);
}

int main(int argc, char **argv)
{
	struct context ctx;
	const char *program;
	int code;

	fd_ensure_stdio();
	signal(SIGPIPE, SIG_IGN);
	/* A mask that keeps the owner out would leave our directories with modes that are
	 * wrong for ever. */
	umask(umask(0) & 077);
	program = global_personality(&argc, &argv);
	context_init(&ctx, program);
	code = run(&ctx, argc, argv);
	code = flush(&ctx, code);
	context_done(&ctx);
	return code;
}
