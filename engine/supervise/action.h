/* engine/supervise/action.h: a plan as data.
 *
 * compose/plan.c decides, the supervisor obeys: an action list says what to do
 * to which object and which actions must be done first (`needs`, positions in
 * the same list; always smaller than the action's own, so a list is acyclic by
 * construction).  Everything whose needs are met runs at once.  The list
 * travels to the supervisor as JSON and is printed by `--dry-run`.
 */
#ifndef ENGINE_SUPERVISE_ACTION_H
#define ENGINE_SUPERVISE_ACTION_H

#include "base/err.h"
#include "base/json.h"
#include "engine/container/spec.h"

enum action_kind {
	ACTION_NETWORK_CREATE, /* object: network; config: network_config as JSON */
	ACTION_VOLUME_CREATE,  /* object: volume; config: volume_config as JSON */
	ACTION_CREATE,         /* object: container name; spec */
	ACTION_START,          /* object: container name */
	ACTION_WAIT,           /* object: container name; condition */
	ACTION_STOP,           /* object: container name; timeout */
	ACTION_KILL,           /* object: container name; signal */
	ACTION_PAUSE,
	ACTION_UNPAUSE,
	ACTION_REMOVE,         /* object: container name; with_volumes: anonymous ones too */
	ACTION_NETWORK_REMOVE, /* absent is success; in use by others: a warning */
	ACTION_VOLUME_REMOVE,
	ACTION_KIND_MAX,
};

enum wait_condition {
	WAIT_STARTED,
	WAIT_HEALTHY,
	WAIT_COMPLETED, /* exited with code 0 */
	WAIT_RUNNING,   /* up --wait: running, and healthy if it has a check, else
			 * for about 500 ms; an exit with code 0 and no restart
			 * counts as done */
	WAIT_STOPPED,   /* exited with any code */
	WAIT_CONDITION_MAX,
};

#define ACTION_DEFAULT_TIMEOUT (-1) /* the container's own stop_grace_period */

struct action {
	enum action_kind kind;
	char *object;
	char *service; /* of a container; NULL for networks and volumes */
	char *reason;  /* why, for --dry-run and the log; may be NULL */
	size_t *needs;
	size_t n_needs;
	struct container_spec *spec; /* ACTION_CREATE */
	bool recreate;               /* ACTION_CREATE: shown as Recreate/Recreated */
	bool quiet;                  /* no progress lines: a step of a larger one (recreate) */
	json *config;                /* ACTION_NETWORK_CREATE, ACTION_VOLUME_CREATE */
	enum wait_condition condition;
	bool optional;     /* ACTION_WAIT: depends_on required: false; failure is a warning */
	int64_t timeout;   /* ns; ACTION_STOP, ACTION_WAIT (<0: none) */
	int signal;        /* ACTION_KILL */
	bool with_volumes; /* ACTION_REMOVE */
	bool by_user;      /* ACTION_STOP, ACTION_KILL: keep it down under unless-stopped/always */
	bool for_boot;     /* ACTION_STOP: the machine goes down, `boot` may bring it back */
};

struct action_list {
	struct action *items;
	size_t n, cap;
};

const char *action_kind_name(enum action_kind k);
const char *wait_condition_name(enum wait_condition c); /* "service_healthy", … */
int wait_condition_parse(const char *name);             /* -EINVAL when unknown */

/* What progress lines and `--dry-run` say of an action: "Container demo-web-1" (caller
 * frees), "Starting", "Started". */
char *action_subject(const struct action *a);
const char *action_doing(const struct action *a);
const char *action_done(const struct action *a);

/* Append a zeroed action and return its position; pointers into items move. */
size_t action_add(struct action_list *l, enum action_kind kind, const char *object);
/* @i waits for @need (smaller than @i; ACTION_NO_NEED is ignored; no duplicates). */
#define ACTION_NO_NEED SIZE_MAX
void action_need(struct action_list *l, size_t i, size_t need);
void action_list_done(struct action_list *l);

json *action_list_to_json(const struct action_list *l);
int action_list_from_json(json *j, struct action_list *out, struct err *e);

#endif
