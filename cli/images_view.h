/* cli/images_view.h: what the commands about images share. */
#ifndef CLI_IMAGES_VIEW_H
#define CLI_IMAGES_VIEW_H

#include "cli/context.h"
#include "engine/image/archive.h"
#include "engine/image/store.h"

/* The image store.  @write: it is going to be changed, which takes root. */
int images_open(struct context *ctx, bool write, struct store **out, struct err *e);

/* store_in_use_fn: is it the image of any container of any project?  @data: the
 * context, ctx_dirs() done. */
int images_in_use(void *data, const char *id, struct err *e);

/* "Loaded image: busybox:latest" for each name, "Loaded image ID: sha256:…". */
void images_print_loaded(struct context *ctx, const struct load_result *r);
/* Names that meant another image until now, on stderr. */
void images_print_moved(struct context *ctx, char *const *moved);

/* "3f57d9401f8d" of "sha256:3f57d9401f8d…"; 13 bytes. */
char *images_short_id(const char *id, char buf[13]);
/* The table of `comp image ls`. */
int images_list(struct context *ctx, const char *format, bool quiet, bool no_trunc, bool digests,
		char *const *names, struct err *e);

#endif
