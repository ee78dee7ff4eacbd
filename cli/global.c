/* cli/global.c: see global.h. */
#include "cli/global.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/path.h"

/* The struct is the whole of what these fill, so offsets fit both tables. */
#define G struct global_options

const struct option_spec global_options[] = {
	OPTION_BOOL("all-resources", 0, G, all_resources,
		    "Include all resources, even those not used by services"),
	OPTION_STRING(
		"ansi", 0, G, ansi, NULL,
		"Control when to print ANSI control characters (\"never\"|\"always\"|\"auto\")"),
	OPTION_BOOL("compatibility", 0, G, compatibility, "Run in backward compatibility mode"),
	OPTION_BOOL("dry-run", 0, G, dry_run, "Show what would be done, and why, and do nothing"),
	OPTION_STRINGS("env-file", 0, G, env_files, "Specify an alternate environment file"),
	OPTION_STRINGS("file", 'f', G, files, "Compose configuration files"),
	OPTION_INT("parallel", 0, G, parallel, "-1", "Control max parallelism, -1 for unlimited"),
	OPTION_STRINGS("profile", 0, G, profiles, "Specify a profile to enable"),
	OPTION_STRING("progress", 0, G, progress, NULL,
		      "Set type of progress output (auto, tty, plain, json, quiet)"),
	OPTION_STRING("project-directory", 0, G, directory, NULL,
		      "Specify an alternate working directory (default: the path of the first "
		      "specified Compose file)"),
	OPTION_STRING("project-name", 'p', G, name, NULL, "Project name"),
	OPTION_HIDDEN_STRING("workdir", 0, G, directory),
	OPTION_HIDDEN_BOOL("no-ansi", 0, G, no_ansi),
	OPTION_HIDDEN_BOOL("verbose", 0, G, verbose),
	OPTION_HIDDEN_BOOL("version", 'v', G, version),
	{ "insecure-registry", 0, OPTION_KIND_STRINGS, OPTION_FIELD(G, insecure_registry, char **),
	  NULL, "", true },
	OPTION_END,
};

const struct option_spec shared_options[] = {
	OPTION_BOOL("dry-run", 0, G, dry_run, "Show what would be done, and why, and do nothing"),
	OPTION_END,
};

static const char *env_or(const char *flag, const char *name)
{
	const char *v = flag ? flag : getenv(name);

	return is_empty(v) ? NULL : v;
}

static bool env_true(const char *name)
{
	const char *v = getenv(name);

	return v && (streq(v, "1") || streq(v, "true") || streq(v, "TRUE") || streq(v, "yes"));
}

static int set_colors(struct context *ctx, struct err *e)
{
	const char *ansi = ctx->global.ansi, *no_color = getenv("NO_COLOR");

	if (ctx->global.no_ansi)
		ansi = "never";
	ctx->out_color = ctx->out_tty && is_empty(no_color);
	ctx->err_color = ctx->err_tty && is_empty(no_color);
	if (!ansi || streq(ansi, "auto"))
		return 0;
	if (!streq(ansi, "never") && !streq(ansi, "always")) {
		err_set(e, EINVAL, "invalid value \"%s\" for --ansi", ansi);
		return err_hint(e, "use auto, always or never");
	}
	ctx->out_color = ctx->err_color = streq(ansi, "always");
	return 0;
}

static int set_parallel(struct global_options *g, struct err *e)
{
	const char *text = getenv("COMPOSE_PARALLEL_LIMIT");

	if (g->parallel == -1 && !is_empty(text) && !parse_i64(text, &g->parallel))
		return err_set(e, EINVAL,
			       "COMPOSE_PARALLEL_LIMIT must be an integer (found: \"%s\")", text);
	return 0;
}

int global_finish(struct context *ctx, struct err *e)
{
	struct global_options *g = &ctx->global;
	enum progress_mode mode = PROGRESS_AUTO;
	int r;

	g->progress = env_or(g->progress, "COMPOSE_PROGRESS");
	g->ansi = env_or(g->ansi, "COMPOSE_ANSI");
	g->compatibility |= env_true("COMPOSE_COMPATIBILITY");
	if (g->progress) {
		r = progress_mode_parse(g->progress, &mode, e);
		if (r < 0)
			return r;
	}
	ctx->json_errors = mode == PROGRESS_JSON;
	r = set_parallel(g, e);
	return r < 0 ? r : set_colors(ctx, e);
}

const char *global_personality(int *argc, char ***argv)
{
	_cleanup_(free_p) char *name = path_base(*argc > 0 ? (*argv)[0] : "comp");

	if (*argc > 0) {
		(*argc)--;
		(*argv)++;
	}
	if (streq(name, "docker-compose"))
		return "docker-compose";
	if (!streq(name, "docker"))
		return "comp";
	if (*argc > 0 && streq((*argv)[0], "compose")) {
		(*argc)--;
		(*argv)++;
		return "docker compose";
	}
	return "docker";
}
