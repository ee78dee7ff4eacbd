/* cli/images_used.h: which images containers use, of any project. */
#ifndef CLI_IMAGES_USED_H
#define CLI_IMAGES_USED_H

#include "cli/context.h"

/* A store_in_use_fn (engine/image/store.h); @data is a struct dirs *. */
int image_in_use(void *data, const char *id, struct err *e);

/* `down --rmi`: remove the images of @services (empty: all) of ctx->project.
 * @local: only those without a name of their own in the compose file. */
int remove_service_images(struct context *ctx, char *const *services, bool local, struct err *e);

#endif
