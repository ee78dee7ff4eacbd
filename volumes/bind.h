/* volumes/bind.h: mounts as descriptors, before they are attached anywhere.
 *
 * Each call returns a detached mount (an fd for move_mount(2)) the caller owns.
 * Nothing is visible until it is attached, and a mount that is never attached
 * goes away with its descriptor.  Paths are the host's, followed as the user
 * wrote them; call in the mount namespace where they mean what the user meant.
 */
#ifndef VOLUMES_BIND_H
#define VOLUMES_BIND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* A copy of the tree at @source, submounts included.  @create: make it as a
 * directory when missing.  @read_only: at every depth (mount_setattr(2)), without
 * giving back flags such as nosuid that the source has.  @propagation: NULL or
 * "rprivate", "private", "rshared", "shared", "rslave", "slave".
 * -ENOENT with a hint when @source is missing and must not be made. */
int bind_open(const char *source, bool create, bool read_only, const char *propagation,
	      struct err *e);
/* As bind_open() for what @fd refers to (O_PATH is enough). */
int bind_open_fd(int fd, bool read_only, const char *propagation, struct err *e);

/* A new tmpfs.  @size 0: the kernel's default (half of memory); @mode 0: 01777.
 * @options: further comma-separated ones (uid=, gid=, noexec, nr_inodes=, ro, …);
 * nosuid and nodev (and noexec) are on unless switched off there. */
int bind_tmpfs(uint64_t size, uint32_t mode, const char *options, bool read_only, struct err *e);

/* Attach the detached mount at the place @target (O_PATH) refers to. */
int bind_attach(int mount_fd, int target, struct err *e);

/* Set and clear mount attributes (MOUNT_ATTR_*) of a mount, at every depth if @recursive. */
int bind_setattr(int mount_fd, uint64_t set, uint64_t clear, bool recursive, struct err *e);

#endif
