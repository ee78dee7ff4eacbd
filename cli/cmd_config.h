/* cli/cmd_config.h: `comp config` and `comp explain`. */
#ifndef CLI_CMD_CONFIG_H
#define CLI_CMD_CONFIG_H

#include "cli/command.h"
#include "compose/project.h"

/* What `config` writes for @p; text for stdout or --output. */
struct config_options {
	const char *format, *hash, *output, *explain;
	bool quiet, no_interpolate, no_normalize, no_path_resolution, no_env_resolution;
	bool no_consistency, services, volumes, networks, models, profiles, images, variables;
	bool environment, resolve_image_digests, lock_image_digests;
};

int config_write(const struct config_options *o, struct project *p, char **names, struct buf *out,
		 struct err *e);

#endif
