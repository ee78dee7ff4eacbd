/* cli/cmd_version.c: scripts that sniff for Docker Compose find its line first. */
#include <errno.h>

#include "cli/command.h"
#include "cli/version.h"

struct version_options {
	const char *format;
	bool short_form;
};
#define O struct version_options

static const struct option_spec flags[] = {
	OPTION_STRING("format", 'f', O, format, NULL,
		      "Format the output. Values: [pretty | json]. (Default: pretty)"),
	OPTION_BOOL("short", 0, O, short_form, "Shows only Compose's version number"),
	OPTION_END,
};

static int run_version(struct context *ctx, struct invocation *in, struct err *e)
{
	const struct version_options *o = in->options;

	if (o->short_form)
		fprintf(ctx->out, "%s\n", COMP_COMPOSE_VERSION);
	else if (o->format && streq(o->format, "json"))
		fprintf(ctx->out, "{\"version\":\"v%s\",\"comp\":\"%s\"}\n", COMP_COMPOSE_VERSION,
			COMP_VERSION);
	else if (!o->format || streq(o->format, "pretty"))
		fprintf(ctx->out, "Docker Compose version v%s\ncomp version %s\n",
			COMP_COMPOSE_VERSION, COMP_VERSION);
	else
		return err_set(e, EINVAL, "format value \"%s\" could not be parsed", o->format);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.args = "[OPTIONS]",
	.summary = "Show the version of comp and of the Compose it follows",
	.options = flags,
	.options_size = sizeof(struct version_options),
	.run = run_version,
};
