/* net/link_watch.h: hear of links that went away (rtnetlink(7), RTNLGRP_LINK).
 *
 * Only deletions are let through, by a filter in the kernel: where hundreds of
 * containers start, there are thousands of other messages that nobody wants to be
 * woken for.  A port that leaves its bridge is a deletion, too.
 */
#ifndef NET_LINK_WATCH_H
#define NET_LINK_WATCH_H

#include "base/err.h"

/* A socket to poll for input, in the namespace the caller is in; does not block. */
int link_watch_open(struct err *e);

/* Read all that is there and hand over the names.  Returns 1 when some were lost, so that
 * any link may be gone, else 0. */
int link_watch_read(int fd, void (*gone)(const char *name, void *data), void *data, struct err *e);

#endif
