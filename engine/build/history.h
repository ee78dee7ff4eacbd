/* engine/build/history.h: what an instruction is called in an image's history, as
 * BuildKit writes it: "RUN /bin/sh -c make # buildkit".  Pure. */
#ifndef ENGINE_BUILD_HISTORY_H
#define ENGINE_BUILD_HISTORY_H

#include "engine/build/dockerfile.h"

/* Of an instruction that was expanded and, where it sets configuration, applied to @c.
 * @args: scope_run_args(), for RUN.  Caller frees. */
char *history_text(const struct instruction *i, const struct image_config *c, char *const *args);
/* As the progress display says it, one line. Caller frees. */
char *history_title(const struct instruction *i);

#endif
