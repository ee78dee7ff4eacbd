/* compose/later.h: keys that are accepted but not acted on. */
#ifndef COMPOSE_LATER_H
#define COMPOSE_LATER_H

#include "base/buf.h"
#include "compose/project.h"

/* One warning for each key of the model that the key table marks KF_LATER:
 * "services.web.gpus: this version of comp does not act on it".  For `up` and `create`. */
void later_warn(const struct project *p, struct diag *diag);
/* All such keys, one path a line, sorted as the table is: the list of the README. */
void later_list(struct buf *out);

#endif
