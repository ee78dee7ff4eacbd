/* engine/state/names.h: who has which container name.
 *
 * Container names are unique below one COMP_ROOT, as users of Docker count on.
 * COMP_ROOT/names/NAME is a symbolic link to PROJECT/ID, made in one step by
 * symlink(2), which so decides between two projects that want the same name.  A
 * link counts while that container has a state.json; anything else is stale and
 * goes to whoever asks.  Only the supervisor of PROJECT claims and releases in its
 * name, and it knows its own containers: a link to the same project is no obstacle.
 */
#ifndef ENGINE_STATE_NAMES_H
#define ENGINE_STATE_NAMES_H

#include "engine/state/dirs.h"

/* For a container whose record is on disk.  Claimed before is success; another
 * project's is -EEXIST, with its owner and what to do in @e. */
int names_claim(const struct dirs *d, const char *name, const char *project, const char *id,
		struct err *e);
/* -EEXIST, as above, when a container of a project other than @project has @name. */
int names_check(const struct dirs *d, const char *name, const char *project, struct err *e);
/* Whose it is; callers free both.  -ENOENT: nobody's. */
int names_find(const struct dirs *d, const char *name, char **project, char **id, struct err *e);
/* While the container's record is still there.  One that is another's stays. */
void names_release(const struct dirs *d, const char *name, const char *project, const char *id);
/* When no project is left: away with stale links and the directory. */
void names_sweep(const struct dirs *d);

#endif
