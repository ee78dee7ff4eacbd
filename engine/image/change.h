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

/* ---- single settings, for callers that have split the line themselves ----------------- */

/* Exec form: 1 and *out; 0: this is shell form.  -EINVAL: an array, but not of strings. */
int change_exec_form(const char *text, char ***out, struct err *e);
/* "80", "443/TCP", "8000-8010/udp". */
int change_expose(struct image_config *c, const char *ports, struct err *e);
int change_add_volume(struct image_config *c, const char *dir, struct err *e);
/* Relative to the one before. */
void change_workdir(struct image_config *c, const char *dir);
int change_stop_signal(struct image_config *c, const char *text, struct err *e);
/* "--interval=5s" and the others of HEALTHCHECK. */
int change_health_flag(struct image_health *h, const char *flag, struct err *e);
/* @words run by the image's shell (/bin/sh -c when it states none); caller frees. */
char **change_with_shell(const struct image_config *c, const char *text);

#endif
