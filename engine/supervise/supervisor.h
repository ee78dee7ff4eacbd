/* engine/supervise/supervisor.h: one per project, owner of everything that runs.
 *
 * `comp supervise --project NAME` (not for users) is exec'd from a sealed memfd
 * copy of the binary by supervisor_ensure(), takes the project lock, reads the
 * records of the project, re-adopts what runs, and serves control.sock until
 * there is nothing left to look after.
 */
#ifndef ENGINE_SUPERVISE_SUPERVISOR_H
#define ENGINE_SUPERVISE_SUPERVISOR_H

#include "base/err.h"
#include "engine/state/dirs.h"
#include "engine/supervise/control.h"

/* The project's supervisor: connect to it, starting one first when none runs.
 * Blocks until it answers (at most 10 s).
 *
 * Upgrade in place: one of an older version, as pong says, is asked to leave and replaced
 * by ours, unless it is busy; one that speaks an older protocol is killed, which loses
 * nothing.  Containers, logs and ports do not notice.  A newer one is used as it is, and
 * when it speaks another protocol that is an error (-EPROTO): it is newer for a reason. */
int supervisor_ensure(const struct dirs *d, const char *project, struct control_client **out,
		      struct err *e);
/* Connect only; -ENOENT when none runs. */
int supervisor_connect(const struct dirs *d, const char *project, struct control_client **out,
		       struct err *e);

/* The supervisor's own main; returns the exit code.  @ready_fd: one byte is
 * written when control.sock answers, or a struct err when it never will. */
int supervisor_main(const struct dirs *d, const char *project, int ready_fd);

/* Of the one that has the project now; 0: nobody does. */
pid_t supervisor_pid(const struct dirs *d, const char *project);

#endif
