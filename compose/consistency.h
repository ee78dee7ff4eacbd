/* compose/consistency.h: do the parts of a project fit together? */
#ifndef COMPOSE_CONSISTENCY_H
#define COMPOSE_CONSISTENCY_H

#include "compose/diag.h"
#include "compose/project.h"

/* Check the enabled services of a bound model: references, keys that exclude each other,
 * limits said twice, mounts on one target, container names, cycles.  All complaints go to
 * @diag.  Where only one of scale and deploy.replicas is given the other follows.
 * -EINVAL when there was a complaint. */
int consistency_check(struct project *p, struct diag *diag);

#endif
