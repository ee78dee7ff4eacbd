/* engine/supervise/health.c: see health.h. */
#include "engine/supervise/health.h"

#include "base/cleanup.h"
#include "base/strv.h"
#include "base/util.h"

#define DEFAULT_INTERVAL       (30 * NSEC_PER_SEC)
#define DEFAULT_TIMEOUT        (30 * NSEC_PER_SEC)
#define DEFAULT_START_INTERVAL (5 * NSEC_PER_SEC)
#define DEFAULT_RETRIES        3

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
	return value ? value : fallback;
}

void health_init(struct health *h, const struct health_spec *spec)
{
	*h = (struct health){ .due = HEALTH_NEVER };
	h->enabled = strv_len(spec->test) > 0 && !streq(spec->test[0], "NONE");
	h->interval = or_default(spec->interval, DEFAULT_INTERVAL);
	h->timeout = or_default(spec->timeout, DEFAULT_TIMEOUT);
	h->start_period = spec->start_period;
	h->start_interval = MIN(or_default(spec->start_interval, DEFAULT_START_INTERVAL),
				h->interval);
	h->retries = spec->retries > 0 ? spec->retries : DEFAULT_RETRIES;
}

static void forget_log(struct health *h)
{
	for (size_t i = 0; i < h->n_log; i++)
		free(h->log[i].output);
	h->n_log = 0;
}

void health_done(struct health *h)
{
	forget_log(h);
	h->due = HEALTH_NEVER;
}

void health_run_started(struct health *h, uint64_t now)
{
	forget_log(h);
	h->probing = h->ready_once = false;
	h->failing_streak = 0;
	h->run_started = h->last_counted = now;
	h->fast_pause = MIN(HEALTH_FAST_FIRST, h->start_interval);
	h->status = h->enabled ? HEALTH_STARTING : HEALTH_NONE;
	h->due = h->enabled ? now + h->fast_pause : HEALTH_NEVER;
}

void health_adopted(struct health *h, enum health_status status, uint64_t run_started, uint64_t now)
{
	health_run_started(h, run_started);
	if (!h->enabled)
		return;
	h->status = status == HEALTH_NONE ? HEALTH_STARTING : status;
	h->ready_once = status == HEALTH_HEALTHY;
	h->last_counted = now;
	h->due = now;
}

void health_run_ended(struct health *h)
{
	h->probing = false;
	h->due = HEALTH_NEVER;
}

uint64_t health_next(const struct health *h)
{
	return h->probing ? h->probe_started + h->timeout : h->due;
}

void health_probe_started(struct health *h, uint64_t now, uint64_t real)
{
	h->probing = true;
	h->probe_started = now;
	h->probe_started_real = real;
}

static void keep_result(struct health *h, int exit_code, const char *output, size_t n,
			uint64_t real)
{
	struct health_result *slot;

	if (h->n_log == HEALTH_LOG_MAX) {
		free(h->log[0].output);
		memmove(h->log, h->log + 1, sizeof(h->log[0]) * (HEALTH_LOG_MAX - 1));
		h->n_log--;
	}
	n = output ? MIN(n, (size_t)HEALTH_OUTPUT_MAX) : 0;
	slot = h->log + h->n_log++;
	*slot = (struct health_result){ .start = h->probe_started_real,
					.end = real,
					.exit_code = exit_code,
					.output = xmalloc(n + 1),
					.n_output = n };
	if (n)
		memcpy(slot->output, output, n);
	slot->output[n] = '\0';
}

/* Before the first success a failure counts only at the pace of `interval`, and not
 * within the start period. */
static bool failure_counts(const struct health *h, uint64_t now)
{
	if (h->status != HEALTH_STARTING)
		return true;
	return now - h->run_started >= h->start_period && now - h->last_counted >= h->interval;
}

static void count_failure(struct health *h, uint64_t now)
{
	if (!failure_counts(h, now))
		return;
	h->last_counted = now;
	h->failing_streak++;
	if (h->failing_streak >= h->retries)
		h->status = HEALTH_UNHEALTHY;
}

static uint64_t next_pause(struct health *h)
{
	if (h->status != HEALTH_STARTING)
		return h->interval;
	h->fast_pause = MIN(h->fast_pause * 2, h->start_interval);
	return h->fast_pause;
}

bool health_probe_ended(struct health *h, int exit_code, const char *output, size_t n_output,
			uint64_t now, uint64_t real)
{
	enum health_status before = h->status;

	if (!h->probing)
		return false; /* of a run that is over */
	h->probing = false;
	keep_result(h, exit_code, output, n_output, real);
	if (exit_code == 0) {
		h->status = HEALTH_HEALTHY;
		h->failing_streak = 0;
		h->ready_once = true;
	} else {
		count_failure(h, now);
	}
	h->due = now + next_pause(h);
	return h->status != before;
}
