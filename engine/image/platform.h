/* engine/image/platform.h: "linux/arm64/v8": parse, compare, choose. */
#ifndef ENGINE_IMAGE_PLATFORM_H
#define ENGINE_IMAGE_PLATFORM_H

#include "engine/image/manifest.h"

struct platform {
	char *os, *architecture;
	char *variant; /* NULL: any */
};
void platform_done(struct platform *p);

/* "os/arch[/variant]" or "arch[/variant]", with the usual other names (x86_64,
 * aarch64, armhf).  NULL or "": this machine's.  -EINVAL says what is wrong. */
int platform_parse(const char *text, struct platform *out, struct err *e);
char *platform_text(const struct platform *p); /* caller frees */

/* 0: another platform, 1: not stated, 2: it will do, 3: to the variant. */
int platform_suits(const struct platform *want, const char *os, const char *architecture,
		   const char *variant);
/* The best of an index, NULL when none suits. */
const struct descriptor *platform_choose(const struct platform *want, const struct image_index *x);
/* -ENOENT, listing the platforms there are. */
int platform_none(const struct platform *want, const struct image_index *x, struct err *e);

#endif
