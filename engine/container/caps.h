/* engine/container/caps.h: capability names, masks, and putting a mask on.
 *
 * A mask has bit N set for capability number N of capabilities(7).
 */
#ifndef ENGINE_CONTAINER_CAPS_H
#define ENGINE_CONTAINER_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/container/spec.h"

/* The 14 that Docker gives every container. */
uint64_t caps_default(void);
/* Every capability this process may pass on: what the kernel knows and our bounding set has. */
uint64_t caps_all(void);

/* Number of "NET_ADMIN", "cap_net_admin", …; -EINVAL when there is none. */
int caps_number(const char *name);
/* "NET_ADMIN", or NULL past the last known one. */
const char *caps_name(int number);

/* Apply cap_add and cap_drop as Docker does: start from the default set, "ALL"
 * in cap_add starts from everything, "ALL" in cap_drop from nothing; then drops,
 * then adds.  -EINVAL names the word that is no capability. */
int caps_from_lists(char *const *add, char *const *drop, uint64_t *mask, struct err *e);
/* The mask a container gets: as above, and everything when privileged. */
int caps_from_spec(const struct container_spec *s, uint64_t *mask, struct err *e);

/* Limit the calling process for good: bounding set = @mask; inheritable and
 * ambient empty.  Needs CAP_SETPCAP. */
int caps_bound(uint64_t mask, struct err *e);
/* Permitted = effective = @mask, inheritable empty. */
int caps_set(uint64_t mask, struct err *e);

#endif
