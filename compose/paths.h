/* compose/paths.h: relative paths of the model. */
#ifndef COMPOSE_PATHS_H
#define COMPOSE_PATHS_H

#include "compose/diag.h"
#include "compose/keys.h"

/* Put @base in front of every relative path below @root (canonical, the caller's own),
 * by the key table.  @base may be relative itself: the folder of an included or extended
 * file, seen from the project directory.  @home: for "~"; NULL leaves it. */
int paths_resolve(struct arena *a, struct node *root, const char *base, const char *home,
		  struct diag *diag);

/* filepath.Join(): cleaned, an absolute @path wins. */
char *paths_join(const char *base, const char *path);
/* @path seen from @base, both absolute; the caller's. */
char *paths_relative(const char *base, const char *path);

#endif
