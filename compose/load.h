/* compose/load.h: Compose files to one canonical tree.
 *
 * Inside of project_load(): the part of the pipeline that runs per file and per
 * YAML document.  A scope is a set of files that are loaded together: the
 * project itself, or what one `include` names.
 */
#ifndef COMPOSE_LOAD_H
#define COMPOSE_LOAD_H

#include "base/map.h"
#include "compose/diag.h"
#include "compose/interpolate.h"
#include "compose/merge.h"
#include "compose/project.h"

struct loader {
	struct arena *a;
	struct diag *diag;
	const char *cwd;  /* absolute; file names below it are shown without it */
	const char *home; /* for "~"; may be NULL */
	bool no_interpolate, no_path_resolution;
	int stdin_fd;
	struct map docs; /* file -> struct yaml_docs *: parsed already, to find the name */
};

struct scope {
	struct loader *l;
	const char *dir;  /* absolute folder that names in `extends` and `include` start from */
	const char *base; /* what paths in the model get in front: @dir as the including
			   * scope sees it */
	struct map *env;  /* name -> struct project_var */
	struct map bases; /* file -> struct base_file: what `extends` has read already */
	const struct including *chain;
};

/* Files being loaded, innermost first, to find include cycles. */
struct including {
	const struct including *up;
	const char *file; /* absolute */
};

enum { LOAD_NO_EXTENDS = 1, LOAD_NO_INCLUDE = 2, LOAD_NO_VALIDATION = 4 };

/* Load @files (absolute paths, or "-") in order, merge, check, fill in defaults and
 * resolve paths.  *out is a canonical root map in the arena. */
int load_scope(struct scope *s, char *const *files, struct node **out);

/* Load one file onto *dict (a map the loader owns).  @resets (may be NULL): those of the
 * file's last document. */
int load_file(struct scope *s, const char *file, int flags, struct node **dict,
	      struct resets *resets);

/* The documents of a file; parsed once. */
struct yaml_docs;
int load_parse(struct loader *l, const char *file, struct yaml_docs **out);

/* The file as messages name it; in the arena. */
const char *load_display_name(const struct loader *l, const char *file);
/* All bytes of a file (or standard input for "-"); any kind of file. */
int load_read(const struct loader *l, const char *file, size_t max, struct buf *out, struct err *e);

/* compose/extends.c: replace `extends` in @cfg's services by what it means.
 * @file: the file of @cfg, absolute; @resets: of this document. */
int extends_apply(struct scope *s, struct node *cfg, const char *file, const struct resets *resets);
/* compose/include.c: load what @cfg includes into it, and remove `include`. */
int include_apply(struct scope *s, struct node *cfg, const struct including *chain,
		  const struct resets *resets);

/* ---- the environment for interpolation (compose/environment.c) ---------------------- */

/* Values of @env (struct project_var *); warnings once per variable. */
struct interp_vars environment_vars(struct scope *s);
void environment_put(struct arena *a, struct map *env, const char *key, const char *value,
		     const char *origin);
/* Add what the files say and @env does not.  Later files win over earlier ones. */
int environment_read(struct loader *l, struct map *env, char *const *files, struct diag *diag);

#endif
