/* cli/readiness.h: is the stack ready?  Pure.
 *
 * It is when every container that is meant to run does, is healthy where it has a
 * check and has its post_start hooks behind it, and every one-shot has completed.
 * What the user stopped, or never started, is not meant to run.
 */
#ifndef CLI_READINESS_H
#define CLI_READINESS_H

#include "engine/state/record.h"

struct readiness {
	size_t wanted, ready;
	bool lost;   /* some are still to be brought back */
	bool active; /* some have, or will have, a process: a supervisor is needed */
};

/* @why (may be NULL): "web is starting, db is unhealthy", of those that are not ready;
 * the caller frees; "" when all are. */
struct readiness readiness_of(const struct record_list *l, char **why);

#endif
