/* net/sandbox.h: what a process gives up before it reads bytes from outside.
 *
 * For programs that serve sockets they were handed (comp-nethelper).  In this order,
 * before the first byte is read; none of it can be taken back.
 */
#ifndef NET_SANDBOX_H
#define NET_SANDBOX_H

#include "base/err.h"

/* As many descriptors as may be had: a million, or the hard limit. */
void sandbox_raise_nofile(void);
/* As root: an empty read-only root directory and the user nobody, without groups and
 * capabilities.  As anybody: no_new_privs, not dumpable. */
int sandbox_drop_privileges(struct err *e);
/* A list of allowed system calls: reading, writing, splicing, connecting and
 * passing descriptors; new sockets of AF_INET and AF_INET6 only; memory that is
 * not executable.  Everything else fails with EPERM. */
int sandbox_install_filter(struct err *e);

#endif
