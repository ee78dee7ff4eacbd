/* compose/locate.h: which files, which folder, which name, which variables. */
#ifndef COMPOSE_LOCATE_H
#define COMPOSE_LOCATE_H

#include "compose/load.h"

/* Everything that is decided before a Compose file is read. */
struct located {
	char *cwd;         /* absolute */
	char *working_dir; /* absolute: the project directory */
	char **files;      /* absolute, or "-"; empty when none was found */
	char **env_files;  /* absolute */
	char **profiles;
	struct map env; /* name -> struct project_var */
};

int locate(struct loader *l, const struct project_options *o, struct located *out);
void located_done(struct located *loc);

#endif
