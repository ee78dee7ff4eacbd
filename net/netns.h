/* net/netns.h: network namespaces, pinned in the file system.
 *
 * A namespace lives as long as something refers to it; comp pins each one by a
 * bind mount on a file (as `ip netns` does), so that it outlives the processes
 * in it and the supervisor too.  netns_remove() unmounts and then unlinks: the
 * unlink makes the kernel drop the copies of the mount that other mount
 * namespaces may have made meanwhile (unlink of a mount point, Linux 3.18), so
 * it does not matter whether / is shared or private.
 *
 * The calls here change the namespace of the calling thread for a moment; the
 * caller must be single-threaded.  Should the way back be barred, the process
 * says so and ends: going on in a container's namespace would be worse, and comp
 * is crash-only.
 */
#ifndef NET_NETNS_H
#define NET_NETNS_H

#include "base/err.h"

/* What runs inside; its negative return is the result of the call. */
typedef int (*netns_fn)(void *data, struct err *e);

/**
 * netns_create() - a new network namespace, pinned
 * @pin_path: file to make; its directory exists.  A plain file left there by a
 *            crash is used; a live pin is -EEXIST (netns_open() or
 *            netns_remove() it).
 * @inside:   called in the new namespace with lo up, before the pin is made
 *            (to open sockets); may be NULL.  Must not change namespaces.
 *
 * On failure nothing is left, the file neither.
 * Return: a namespace fd that the caller owns, or -errno.
 */
int netns_create(const char *pin_path, netns_fn inside, void *data, struct err *e);

/* Open a pin.  -ENOENT: no file; -ESTALE: a file, but the mount is gone
 * (someone unmounted it, or the machine was booted). */
int netns_open(const char *pin_path, struct err *e);

/* Unmount and unlink; absent is success.  Processes inside keep the namespace alive. */
int netns_remove(const char *pin_path, struct err *e);

/* Run @fn in @netns_fd and come back.  Returns what @fn returned, or -errno
 * when the namespace cannot be entered. */
int netns_run(int netns_fd, netns_fn fn, void *data, struct err *e);

/* Remove every pin in @dir for which @keep (NULL: none) says false.  An absent
 * @dir is success.  Returns how many were removed, or the first error. */
int netns_sweep(const char *dir, bool (*keep)(const char *name, void *data), void *data,
		struct err *e);

/* Write a sysctl ("net.ipv4.ip_forward", or with slashes) in the caller's
 * network namespace.  Only keys below net. are taken; ".." is refused. */
int netns_sysctl_write(const char *key, const char *value, struct err *e);
/* A small number; -ENOENT when there is no such key. */
int netns_sysctl_read(const char *key, int *value, struct err *e);

#endif
