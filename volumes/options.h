/* volumes/options.h: mount(8) style options, sorted into what the kernel wants where. */
#ifndef VOLUMES_OPTIONS_H
#define VOLUMES_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct mount_options {
	uint64_t set, clear;     /* MOUNT_ATTR_*: per mount */
	bool bind, recursive;    /* bind, rbind */
	const char *propagation; /* static text or NULL */
	char **data;             /* the rest: "key" or "key=value", for fsconfig(2) */
};

/* Parse a comma-separated list on top of what @o holds; later words win. */
void mount_options_parse(struct mount_options *o, const char *text);
void mount_options_done(struct mount_options *o);
/* A new file system instance as a detached mount; @source may be NULL.  The kernel's own
 * words about a bad option are in @e. */
int mount_options_create(const char *type, const char *source, const struct mount_options *o,
			 struct err *e);

#endif
