/* cli/version.h: our version, and that of the Compose we follow. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#include "base/version.h"

/* What scripts that sniff `docker-compose version` compare with: the Compose
 * release whose command line we follow. */
#define COMP_COMPOSE_VERSION "5.0.0"

#endif
