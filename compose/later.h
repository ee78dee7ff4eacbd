/* compose/later.h: keys that are accepted but not acted on. */
#ifndef COMPOSE_LATER_H
#define COMPOSE_LATER_H

#include "base/buf.h"
#include "compose/project.h"

/* One warning for each key of the model that the key table marks KF_LATER or
 * KF_SWARM, or whose value is not among those it acts on, at its first place:
 * "services.web.gpus: this version of comp does not act on it, here and in 2 more places".
 * For `up` and `create`. */
void later_warn(const struct project *p, struct diag *diag);
/* All such keys in the order of the table, one a line: "services.*.gpus",
 * "volumes.*.driver other than local".  The README has this list. */
void later_list(struct buf *out);

#endif
