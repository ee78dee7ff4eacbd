/* cli/attend.h: stay with one project in the foreground, for a service manager.
 *
 *  1. Bring back what was running when it was last stopped here, or when the machine
 *     went down, whatever its restart policy: whoever starts the unit wants the stack.
 *     What cannot be started is tried again, with pauses of 1 s to 1 min.
 *  2. READY=1 when the stack is ready (readiness.h), once; STATUS= whenever that
 *     changes.
 *  3. See to it that there is a supervisor while there are containers.  Monitors elect
 *     a new one when it is killed; if they were killed as well nobody else is left.
 *     Then a new supervisor finds the containers as after any crash: see
 *     container_readopt().
 *  4. SIGTERM, SIGINT: STOPPING=1, stop the containers in reverse graph order, and
 *     leave.  They count as lost: the next start brings them back.
 *     SIGHUP: RELOADING=1, become the binary that is installed now (same pid).
 *
 * It is no part of the machinery: killed, it is missed by nobody but the service
 * manager.  It stays when the project is taken down, and looks after it when it is back.
 */
#ifndef CLI_ATTEND_H
#define CLI_ATTEND_H

#include "cli/context.h"

/* ctx->global.name is the project's.  Returns 0 after a clean stop. */
int attend(struct context *ctx, struct err *e);

#endif
