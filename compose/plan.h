/* compose/plan.h: what has to be done, decided without doing any of it.
 *
 * Every function here looks at what is wanted (the project, and the containers
 * it asks for) and at what is (the records), and writes an action list.  None
 * talks to the kernel, to a supervisor or to the store.
 *
 * @p may be NULL for all but plan_up(): then the records and @o->dependencies
 * (of the project's last `up`) are all there is, as for `comp -p NAME down` in
 * an empty directory.
 */
#ifndef COMPOSE_PLAN_H
#define COMPOSE_PLAN_H

#include "compose/diag.h"
#include "compose/project.h"
#include "compose/translate.h"
#include "engine/state/record.h"
#include "engine/supervise/action.h"

#define PLAN_NO_TIMEOUT (-1) /* each container's own stop_grace_period */

struct plan_options {
	char *const *services; /* NULL or empty: all */
	int64_t timeout_ns;    /* of stops; PLAN_NO_TIMEOUT */
	bool force_recreate, no_recreate, always_recreate_deps;
	bool no_deps, no_start, remove_orphans;
	bool renew_volumes;   /* anonymous ones of what is made anew */
	bool volumes;         /* down -v, rm -v */
	bool stop;            /* rm -s */
	bool wait;            /* up --wait */
	int64_t wait_timeout; /* ns; 0: none */
	int signal;           /* kill; 0: SIGKILL */
	bool for_boot;        /* stop, because the machine goes down */
	char *const *lost;    /* boot: names of the containers to bring back */
	char *const *scale;   /* "SERVICE=N" */
	/* For down: full names of what may be removed, gathered by the caller. */
	char *const *networks;
	char *const *volume_names;
	json *dependencies; /* {SERVICE: {depends_on: {NAME: …}}} from project.json; NULL: none */
};
#define PLAN_OPTIONS_INIT ((struct plan_options){ .timeout_ns = PLAN_NO_TIMEOUT })

struct plan {
	struct action_list actions;
	char **kept;     /* containers left as they are: "Container X Running" */
	char **warnings; /* orphans and the like */
	bool keep_going; /* a failure ends what needs the failed part, and nothing else */
};
void plan_done(struct plan *plan);

/* Make the containers of @t be there and run.  @t holds every service of the
 * project that @o->services needs. */
int plan_up(const struct project *p, const struct translation *t, const struct record_list *records,
	    const struct plan_options *o, struct plan *out, struct diag *diag);
/* Stop and remove; with networks and, with o->volumes, volumes. */
int plan_down(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag);
int plan_stop(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag);
/* Bring back o->lost, and nobody else (compose/plan_boot.c); @p is not looked at. */
int plan_boot(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag);
/* Start what exists and does not run. */
int plan_start(const struct project *p, const struct record_list *records,
	       const struct plan_options *o, struct plan *out, struct diag *diag);
int plan_restart(const struct project *p, const struct record_list *records,
		 const struct plan_options *o, struct plan *out, struct diag *diag);
int plan_kill(const struct project *p, const struct record_list *records,
	      const struct plan_options *o, struct plan *out, struct diag *diag);
int plan_pause(const struct project *p, const struct record_list *records, bool pause,
	       const struct plan_options *o, struct plan *out, struct diag *diag);
/* Remove stopped containers; o->stop: stop the others first. */
int plan_rm(const struct project *p, const struct record_list *records,
	    const struct plan_options *o, struct plan *out, struct diag *diag);

#endif
