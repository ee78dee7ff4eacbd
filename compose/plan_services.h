/* compose/plan_services.h: what the plans share: services with their edges and
 * the positions of their actions, records of replicas, single actions.
 *
 * Private to compose/plan*.c.
 */
#ifndef COMPOSE_PLAN_SERVICES_H
#define COMPOSE_PLAN_SERVICES_H

#include "compose/plan.h"

/* Positions of actions that belong together: the starts of a service's replicas. */
struct positions {
	size_t *items;
	size_t n;
};

void positions_add(struct positions *p, size_t i);
/* Without those that are there already. */
void positions_add_new(struct positions *to, const struct positions *from);
/* Action @i of @l waits for all of @p. */
void positions_need(struct action_list *l, size_t i, const struct positions *p);

/* ---- services and their edges, from the project or from what the last `up` left ---- */
struct dep {
	size_t to;
	enum wait_condition condition;
	bool restart, required, shares;
};

struct service {
	const char *name;
	bool named, selected; /* @named: not only needed by one that is */
	struct dep *deps;
	size_t n_deps;
	struct positions starts; /* of its replicas */
	struct positions stops;
	struct positions waits[WAIT_CONDITION_MAX][2]; /* by condition and dep.required */
	char **live;        /* replicas that will run when the plan is done */
	size_t *live_start; /* for each, its start or ACTION_NO_NEED */
	bool recreated;     /* a replica is made anew */
	bool started;       /* a replica that ran before is started again */
	bool hooks_ran;     /* its pre_start hooks are planned, and end with… */
	size_t hooks_end;   /* … (or ACTION_NO_NEED) */
};

struct services {
	struct service *items; /* dependencies come before those that need them */
	size_t n;
};

/* From the project, or without one from the records and what project.json says of
 * their dependencies.  services_done() in any case. */
int services_load(const struct project *p, const struct record_list *records,
		  const struct plan_options *o, struct services *out, struct diag *diag);
void services_done(struct services *s);
struct service *services_find(struct services *s, const char *name);
/* Select what the selected ones need, too. */
void services_select_needed(struct services *s);

/* ---- replicas on record --------------------------------------------------------- */
bool replica_may_run(const struct record *r);
bool replica_belongs(const struct record *r, const char *service);
/* A container of one of the service's pre_start hooks: there until it has succeeded. */
bool hook_belongs(const struct record *r, const char *service);
const struct record *replica_find(const struct record_list *records, const char *service,
				  int number);

/* ---- actions; each returns its position (plan_add() sets *position) --------------- */
struct action *plan_add(struct plan *plan, enum action_kind kind, const struct record *r,
			size_t *position);
size_t plan_add_stop(struct plan *plan, const struct record *r, int64_t timeout, bool by_user);
size_t plan_add_remove(struct plan *plan, const struct record *r, bool volumes, size_t after);
/* @name will run, once the action @start (or ACTION_NO_NEED) is done. */
void service_add_live(struct service *s, const char *name, size_t start);
size_t plan_add_wait(struct plan *plan, const struct service *s, size_t replica,
		     enum wait_condition condition);
/* Start a container of @s once @after is done and, unless @no_deps, all that @s
 * depends on is ready; for a replica, which will run, plan_start_replica(). */
size_t plan_add_start(struct plan *plan, struct services *all, struct service *s, const char *name,
		      size_t after, bool no_deps);
void plan_start_replica(struct plan *plan, struct services *all, struct service *s,
			const char *name, size_t after, bool no_deps);
/* Run the pre_start container @name of @s to its end, after @after, and remove it.
 * Returns the position of its success. */
size_t plan_run_hook(struct plan *plan, struct services *all, struct service *s, const char *name,
		     size_t after, bool no_deps);
/* Remove, or warn of, containers whose services the project does not know. */
void plan_orphans(const struct project *p, const struct record_list *records,
		  const struct plan_options *o, struct plan *plan);

#endif
