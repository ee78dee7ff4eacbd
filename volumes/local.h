/* volumes/local.h: the local driver's options type, o and device.
 *
 * With a `type` the volume is not its _data directory but a file system that is
 * mounted anew for each container, in that container's own mount namespace, so
 * it never shows on the host.  `o` holds mount(8) style options; `device` is the
 * source: a directory for o=bind, HOST:/PATH for nfs.
 */
#ifndef VOLUMES_LOCAL_H
#define VOLUMES_LOCAL_H

#include <stdbool.h>

#include "base/err.h"
#include "volumes/volume.h"

/* Whether it has a type, that is, needs local_open(). */
bool local_has_options(const struct volume *v);
/* Refuse unknown keys and senseless combinations (checked when a volume is made). */
int local_check_options(char *const *options, struct err *e);
/* A detached mount (see bind.h).  For nfs, call in the network namespace whose
 * routes lead to the server; resolves a host name in addr=; may block on it. */
int local_open(const struct volume *v, struct err *e);

#endif
