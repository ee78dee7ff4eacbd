/* engine/supervise/health.h: the health check of one container as a state machine.
 *
 * Pure: it is told the time and the results and says when to probe next and
 * what the status is; running the probe in the container is the caller's.
 * Times are CLOCK_BOOTTIME or CLOCK_MONOTONIC nanoseconds, always the same one.
 *
 *	status     event                                     becomes
 *	none       (no check, or test: NONE)                 none, for ever
 *	starting   success                                   healthy
 *	starting   `retries` counted failures in a row       unhealthy
 *	healthy    `retries` failures in a row               unhealthy
 *	unhealthy  success                                   healthy
 *	any        run ends, a new one starts                starting
 *
 * While the status is starting, probes come fast: 100 ms after the start,
 * then with pauses that double up to `start_interval` (5 s unless set; never
 * more than `interval`), so that what depends on this container need not wait
 * a whole interval for a service that was ready long ago.  A fast probe that
 * fails costs nothing: before the first success a failure is counted only when
 * `start_period` is over and a full `interval` has passed since the last one
 * counted (or since the start).  So no container is called unhealthy earlier
 * than by probing at `interval` alone.
 *
 * The pause runs from the end of one probe to the start of the next, so probes
 * never pile up.  A probe that exceeds `timeout` is killed by the caller and
 * reported as HEALTH_EXIT_TIMEOUT.
 */
#ifndef ENGINE_SUPERVISE_HEALTH_H
#define ENGINE_SUPERVISE_HEALTH_H

#include "engine/container/spec.h"
#include "engine/state/record.h"

#define HEALTH_LOG_MAX      5    /* results kept */
#define HEALTH_OUTPUT_MAX   4096 /* bytes of output kept of each */
#define HEALTH_NEVER        UINT64_MAX
#define HEALTH_EXIT_TIMEOUT (-1) /* the probe was killed at its timeout, or could not run */
#define HEALTH_FAST_FIRST   (100 * NSEC_PER_MSEC)

struct health_result {
	uint64_t start, end; /* CLOCK_REALTIME ns, for display */
	int exit_code;
	char *output; /* at most HEALTH_OUTPUT_MAX bytes, NUL-terminated */
	size_t n_output;
};

struct health {
	/* From the spec, defaults filled in; read only. */
	bool enabled;
	uint64_t interval, timeout, start_period, start_interval;
	int64_t retries;

	enum health_status status;
	int64_t failing_streak; /* failures counted in a row; 0 after a success */
	bool ready_once; /* succeeded at least once in this run (restart_history.was_healthy) */
	bool probing;    /* a probe is in flight */
	uint64_t run_started, last_counted, probe_started, due, fast_pause;
	uint64_t probe_started_real;

	struct health_result log[HEALTH_LOG_MAX]; /* oldest first */
	size_t n_log;
};

/* Take over a spec's check.  Status none when there is no check. */
void health_init(struct health *h, const struct health_spec *spec);
void health_done(struct health *h);

/* A run of the container has started: forget streak and log, status starting. */
void health_run_started(struct health *h, uint64_t now);
/* An adopted container: what a former supervisor knew (its record.health).
 * The next probe is due at once. */
void health_adopted(struct health *h, enum health_status status, uint64_t run_started,
		    uint64_t now);
/* The run ended: no probe is due any more, status as it was. */
void health_run_ended(struct health *h);

/* When to do the next thing: start a probe, or, while one is in flight, kill it
 * because of its timeout.  HEALTH_NEVER: nothing to do. */
uint64_t health_next(const struct health *h);

/* The caller started a probe.  @real: CLOCK_REALTIME. */
void health_probe_started(struct health *h, uint64_t now, uint64_t real);
/* It ended.  @exit_code: 0 is success; anything else, HEALTH_EXIT_TIMEOUT
 * included, is failure.  Copies the first HEALTH_OUTPUT_MAX bytes of @output
 * (may be NULL).  Returns true when the status changed. */
bool health_probe_ended(struct health *h, int exit_code, const char *output, size_t n_output,
			uint64_t now, uint64_t real);

#endif
