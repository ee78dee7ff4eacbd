/* engine/supervise/restart.h: what becomes of a container that exited.  Pure.
 *
 * The rules, in this order:
 *
 *  1. who was stopped by the user stays down, whatever the policy;
 *  2. the policy's mode: `no` never, `on-failure` after a code other than 0,
 *     `always` and `unless-stopped` after any;
 *  3. at most max_attempts restarts (`on-failure:n`, deploy max_attempts).
 *     Without a window they are counted since the user started the container,
 *     as Docker does; with deploy's `window`, a run that lasted as long as the
 *     window counts as a success and the count begins anew;
 *  4. the delay: deploy's own when set; otherwise none after a run of
 *     RESTART_LONG_RUN or more, and none for the first short run that had
 *     become healthy; otherwise 100 ms, doubled for each further short run in
 *     a row, up to 1 min.
 */
#ifndef ENGINE_SUPERVISE_RESTART_H
#define ENGINE_SUPERVISE_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "engine/container/spec.h"

#define RESTART_LONG_RUN  (10 * NSEC_PER_SEC)
#define RESTART_DELAY_MIN (100 * NSEC_PER_MSEC)
#define RESTART_DELAY_MAX (60 * NSEC_PER_SEC)

/* The run that ended and those before it. */
struct restart_history {
	int exit_code;     /* 0..255 */
	uint64_t run_ns;   /* how long it ran; CLOCK_MONOTONIC or BOOTTIME difference */
	uint64_t attempts; /* restarts so far; see struct restart_decision */
	int failures;      /* short runs in a row before this one (record.failures) */
	bool was_healthy;  /* its health check succeeded at least once in this run */
	bool user_stopped; /* by `stop`, `kill` or `down` */
};

struct restart_decision {
	bool restart;
	uint64_t delay_ns; /* wait this long first; 0: at once */
	/* The history to keep, also when nothing is restarted. */
	uint64_t attempts;
	int failures;
	const char *why; /* a static clause for events and logs: "policy is no", … */
};

struct restart_decision restart_decide(const struct restart_spec *policy,
				       const struct restart_history *h);

/* After a reboot: is a container that was running when the machine went down
 * (or not, @was_running) to be started again?  `always` and `unless-stopped`
 * that were running are. */
bool restart_at_boot(const struct restart_spec *policy, bool was_running);

#endif
