/* compose/explain.h: what a key means, and where a value comes from. */
#ifndef COMPOSE_EXPLAIN_H
#define COMPOSE_EXPLAIN_H

#include "base/buf.h"
#include "compose/project.h"

/* Help of a key from the key table: types, default, merge rule, whether comp acts
 * on it, its sub-keys.  "services.healthcheck.interval" and
 * "services.web.healthcheck.interval" mean the same.  -ENOENT: no such key, with a suggestion. */
int explain_key(const char *path, struct buf *out, struct err *e);

/* Each source of a value in order of precedence, the winner first, one per line:
 * "compose.yaml:12:7: …".  -ENOENT: nothing there. */
int explain_value(const struct project *p, const char *path, struct buf *out, struct err *e);

#endif
