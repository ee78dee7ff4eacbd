/* cli/detach.h: the keys that leave a container's terminal without ending it.
 *
 * "ctrl-p,ctrl-q": characters, or ctrl- and one of a-z @ [ \ ] ^ _, apart by commas.
 */
#ifndef CLI_DETACH_H
#define CLI_DETACH_H

#include "base/err.h"

#define DETACH_KEYS_MAX     16
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct detach_keys {
	unsigned char keys[DETACH_KEYS_MAX];
	size_t n, matched; /* so many of them were typed just now, and are held back */
};

int detach_keys_parse(const char *text, struct detach_keys *out, struct err *e);

/* What of @in is for the container goes to @out (room for @n + DETACH_KEYS_MAX); returns
 * how much.  *detached: the keys were typed; the rest of @in is dropped. */
size_t detach_filter(struct detach_keys *d, const char *in, size_t n, char *out, bool *detached);

#endif
