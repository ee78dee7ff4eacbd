/* engine/supervise/apply_internal.h: an apply, shared by its parts.
 *
 *	apply.c		requests, the pump, the end
 *	apply_steps.c	what each action does
 *	apply_waits.c	what `wait` actions wait for
 */
#ifndef ENGINE_SUPERVISE_APPLY_INTERNAL_H
#define ENGINE_SUPERVISE_APPLY_INTERNAL_H

#include "engine/supervise/internal.h"

enum step { STEP_PENDING, STEP_ACTIVE, STEP_DONE, STEP_FAILED, STEP_SKIPPED };

struct apply {
	struct supervisor *sv;
	struct control_conn *conn; /* NULL: the client went away, we go on */
	char *command;
	json *message;
	struct action_list actions;
	enum step *steps;
	struct source **deadlines; /* of waits that have one */
	struct source **settling;  /* of waits for what has only just started */
	uint64_t *settled_at;      /* CLOCK_MONOTONIC; 0: not asked yet */
	bool *launched;            /* of starts: begun, not only waiting for a stop to end */
	bool begun, takes_down, keep_going, stopped, pumping;
	struct err err; /* the first */
	struct apply *next;
};

/* ---- apply.c ---------------------------------------------------------------- */
void apply_say(struct apply *a, const struct action *act, const char *status, const char *text,
	       const char *details);
void apply_step_done(struct apply *a, size_t i);
/* An optional one is done, with a warning. */
void apply_step_failed(struct apply *a, size_t i, const struct err *e);
/* Begin all whose needs are done.  Called after anything that may have ended a step. */
void apply_pump(struct apply *a);

/* ---- apply_steps.c ---------------------------------------------------------- */
/* Do the action or begin it.  0: done without a word, 1: done, 2: takes time. */
int apply_perform(struct apply *a, size_t i, struct err *e);
void apply_run_step(struct apply *a, size_t i);
/* @c changed: perhaps the step that is under way on it is done. */
void apply_check_step(struct apply *a, size_t i, struct container *c);

/* ---- apply_waits.c ---------------------------------------------------------- */
void apply_begin_wait(struct apply *a, size_t i, struct container *c);
void apply_check_wait(struct apply *a, size_t i, struct container *c);

#endif
