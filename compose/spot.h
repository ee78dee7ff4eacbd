/* compose/spot.h: the path to the value at hand while walking down a tree.
 *
 * Frames live on the stack of the functions that walk; text is only made when
 * an error needs it: "services.web.ports[0].target".
 */
#ifndef COMPOSE_SPOT_H
#define COMPOSE_SPOT_H

#include <stddef.h>

#include "base/buf.h"

struct spot {
	const struct spot *up;
	const char *name; /* key; NULL for an item */
	size_t index;
};

#define SPOT_TOP          ((struct spot){ 0 })
#define SPOT_KEY(up_, k)  ((struct spot){ .up = (up_), .name = (k) })
#define SPOT_ITEM(up_, i) ((struct spot){ .up = (up_), .index = (i) })
#define SPOT_TEXT_MAX     256

/* Into @buf, cut with "…" in front when too long; returns @buf. */
char *spot_text(const struct spot *s, char buf[SPOT_TEXT_MAX]);

#endif
