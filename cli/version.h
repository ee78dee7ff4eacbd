/* cli/version.h: the one place that knows our version (the Makefile reads it too). */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#define COMP_VERSION "0.1.0"

/* What scripts that sniff `docker-compose version` compare with: the Compose
 * release whose command line we follow. */
#define COMP_COMPOSE_VERSION "5.0.0"

#endif
