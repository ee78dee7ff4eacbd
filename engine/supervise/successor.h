/* engine/supervise/successor.h: a monitor's part in keeping a supervisor alive.
 *
 * Used by comp-monitor only; allocates nothing.  The rules are in monitor.h,
 * "Death of the supervisor".
 *
 *	WATCHING  a pidfd of the living supervisor is in the epoll set
 *	SEEKING   there is none: successor_step() is due at next_at
 *	STARTING  we were elected and started one, which must show up in `lock`
 *	NONE      nothing to keep alive: the project is gone, or nobody told us how
 */
#ifndef ENGINE_SUPERVISE_SUCCESSOR_H
#define ENGINE_SUPERVISE_SUCCESSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum successor_state { SUCCESSOR_NONE, SUCCESSOR_WATCHING, SUCCESSOR_SEEKING, SUCCESSOR_STARTING };

struct successor {
	enum successor_state state;
	int pidfd;                      /* of the supervisor; its number never changes */
	int exe_fd;                     /* program to start; its number never changes */
	int run_dir_fd;                 /* where the locks are */
	char *const *argv, *const *env; /* argv NULL: start nothing */
	pid_t pid;                      /* the supervisor we know, or knew: not to be found again */
	unsigned int failures;          /* starts in a row that led to nothing */
	uint64_t next_at, give_up_at;   /* CLOCK_MONOTONIC */
	int election_fd;                /* held while STARTING */
};

/* Begin with the living @pid behind @pidfd (it may have died meanwhile). */
void successor_init(struct successor *s, int pidfd, pid_t pid, int exe_fd, int run_dir_fd,
		    char *const *argv, char *const *env);
/* The pidfd became readable. */
void successor_lost(struct successor *s);
/* Do what is due.  Never blocks.  True when the state became WATCHING: put the
 * pidfd into the epoll set again. */
bool successor_step(struct successor *s);
/* SIGHUP: look anew.  True as for successor_step(). */
bool successor_look_again(struct successor *s);
/* CLOCK_MONOTONIC ns at which successor_step() is due; UINT64_MAX: never. */
uint64_t successor_due(const struct successor *s);
/* Is the supervisor we watch alive right now (or is there none to keep)? */
bool successor_settled(struct successor *s);

#endif
