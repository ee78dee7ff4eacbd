/* cli/notify.h: tell a service manager how we are; sd_notify(3)'s protocol.
 *
 * One datagram of NAME=VALUE lines to the socket in $NOTIFY_SOCKET (a path, or '@' and
 * an abstract name).  Without that variable nothing happens.
 */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

#include "base/util.h"

/* True when it was sent: there is a manager that listens. */
bool notify(const char *fmt, ...) _printf_(1, 2);

#endif
