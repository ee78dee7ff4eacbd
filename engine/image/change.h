/* engine/image/change.h: the Dockerfile instructions that only set configuration.
 *
 * CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER
 * VOLUME WORKDIR, in exec (JSON array) and shell form, with Dockerfile quoting.
 * Used by `image import --change`; the builder hands its own lines to the same
 * function.
 */
#ifndef ENGINE_IMAGE_CHANGE_H
#define ENGINE_IMAGE_CHANGE_H

#include "engine/image/config.h"

/* Apply one instruction ("CMD [\"sh\"]") to @c.  -EINVAL names the instruction
 * and what is wrong with it; @c is then unchanged or partly changed, to be
 * thrown away. */
int change_apply(struct image_config *c, const char *instruction, struct err *e);

/* Split text into words as Dockerfile's ENV and LABEL do: blanks separate,
 * '…' and "…" and backslash quote.  NULL with @e for an open quote.  @escape is
 * the escape character, '\\' unless the Dockerfile says otherwise. */
char **change_split_words(const char *text, char escape, struct err *e);

#endif
