/* engine/build/step_lock.c: whoever makes a step's layer makes it alone.
 *
 * Services that share a Dockerfile, and builds that share their first stages, come to
 * the same step at the same time; the second one waits and takes the first one's layer
 * instead of running `apt-get install` once more.  One byte of one file stands for a
 * step, locked by fcntl_locking(2)'s F_OFD_SETLKW: nothing is left behind whoever is
 * killed, and since a process holds one such lock at most, nobody waits in a circle.
 */
#include <fcntl.h>

#include "base/fd.h"
#include "engine/build/internal.h"

#define OFFSET_DIGITS 15 /* of a key, in hex: what fits an off_t */

static int set_lock(struct run *r, int command, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = r->locked, .l_len = 1 };
	int n;

	do {
		n = fcntl(r->lock_fd, command, &l);
	} while (n < 0 && errno == EINTR);
	return n;
}

bool step_lock(struct run *r, const char *key)
{
	_cleanup_(free_p) char *path = xasprintf("%s/build/steps.lock", r->b->o->dirs->root);
	char digits[OFFSET_DIGITS + 1];

	step_unlock(r);
	snprintf(digits, sizeof(digits), "%s", key);
	if (r->lock_fd < 0)
		r->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	r->locked = (off_t)strtoull(digits, NULL, 16);
	if (set_lock(r, F_OFD_SETLK, F_WRLCK) == 0)
		return false;
	if (errno != EAGAIN && errno != EACCES)
		return false; /* without it a step may be made twice */
	exec_say(r, "waiting for another build that is at this step");
	return set_lock(r, F_OFD_SETLKW, F_WRLCK) == 0;
}

void step_unlock(struct run *r)
{
	if (r->lock_fd >= 0)
		(void)set_lock(r, F_OFD_SETLK, F_UNLCK); /* cannot fail */
}
