/* compose/pull_policy.h: whether an image is to be pulled: `pull_policy`, --pull. Pure. */
#ifndef COMPOSE_PULL_POLICY_H
#define COMPOSE_PULL_POLICY_H

#include <stdint.h>

#include "base/err.h"

enum pull_when { PULL_MISSING, PULL_ALWAYS, PULL_NEVER, PULL_BUILD, PULL_AGE };

struct pull_policy {
	enum pull_when when;
	uint64_t age; /* PULL_AGE: ns since it was last pulled or found current */
};

/* "always", "missing", "if_not_present", "never", "build", "daily", "weekly",
 * "every_12h", "every_1w2d", "refresh" (every time); NULL or "" is missing. */
int pull_policy_parse(const char *text, struct pull_policy *out, struct err *e);

struct pull_state {
	bool present;          /* in the store, for the platform that is wanted */
	uint64_t checked, now; /* CLOCK_REALTIME ns; @checked: of one that is present */
};
bool pull_policy_wants(const struct pull_policy *p, const struct pull_state *s);

#endif
