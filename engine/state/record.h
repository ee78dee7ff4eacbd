/* engine/state/record.h: what is known about a container while it lives.
 *
 * One record per container, containers/ID/state.json, replaced as a whole and
 * atomically by the supervisor at each change and read by anybody (`ps`, `ls`
 * and `logs` need no supervisor).  The fixed half of a container is its
 * spec.json; this is the half that changes.  A record whose content is damaged is
 * renamed to state.json.corrupt-<time> and reported, never fatal to the rest; one
 * that a newer comp wrote, or that cannot be opened now, is only reported.
 */
#ifndef ENGINE_STATE_RECORD_H
#define ENGINE_STATE_RECORD_H

#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/proc.h"
#include "engine/state/dirs.h"
#include "engine/state/exits.h"

#define RECORD_VERSION 1
#define EXIT_UNSEEN    255        /* what Docker says of a container it lost */
#define RECORD_CORRUPT ".corrupt-" /* behind state.json: moved away, never swept */

enum container_status {
	CONTAINER_CREATED,
	CONTAINER_STARTING, /* until its process runs; see record_status_shown() */
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_RESTARTING, /* waits for its back-off to end */
	CONTAINER_STOPPING,   /* shown as "running" until it is gone */
	CONTAINER_EXITED,
	CONTAINER_REMOVING,
	CONTAINER_DEAD, /* removal failed half-way */
	CONTAINER_STATUS_MAX,
};

/* Why a container that is being stopped will be started again: right after, or
 * (AGAIN_BOOT, its record then says lost) when the project is brought back. */
enum again { AGAIN_NO, AGAIN_FOLLOW, AGAIN_UNHEALTHY, AGAIN_BOOT };

enum health_status { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

struct attached_network {
	char *network;     /* full name */
	char *ipv4, *ipv6; /* "172.18.0.2/16"; NULL: none */
	char *gateway4, *gateway6;
	char *mac;
	char *ifname, *host_ifname; /* "eth0", "veth…" */
	char **names;               /* what the DNS answers to with this address */
};

struct published_port {
	char *host_ip; /* "0.0.0.0", "::" or what was asked for */
	uint16_t host_port, container_port;
	char *protocol;
};

struct record {
	/* Copied from the spec, so that listing reads one small file. */
	char *id, *name, *project, *service, *image, *image_id, *config_hash;
	bool settled;   /* not saved since record_settle; not in the file */
	uint64_t saved; /* when; a later one is larger */
	char *command; /* argv joined by spaces, for `ps` */
	int number;
	bool oneoff;
	int pre_start;    /* as in the spec */
	uint64_t created; /* CLOCK_REALTIME ns, as all times here */

	enum container_status status;
	char boot_id[BOOT_ID_MAX]; /* of the boot in which pid and monitor_pid are valid */
	pid_t pid, monitor_pid;    /* 0: none */
	uint64_t start_ticks, monitor_ticks;
	uint64_t started_at, finished_at; /* 0: never */
	int exit_code;
	bool unseen; /* nobody saw how the run ended; exit_code is EXIT_UNSEEN */
	bool oom_killed;
	bool user_stopped;      /* by `stop` or `kill`: unless-stopped and always stay down */
	char *error;            /* why it could not start, for `ps` and `logs` */
	uint64_t restart_count; /* restarts since the user last started it */
	int failures;           /* short runs in a row: selects the back-off */
	uint64_t restart_at;    /* CONTAINER_RESTARTING: when */
	enum health_status health;
	enum again again;
	bool follows; /* to be restarted once what it depends on with restart: true is back */
	bool held; /* paused for a client that reads it, and to go on when that is gone */
	bool post_start_due; /* its post_start hooks have not been through yet */
	bool lost; /* it was running, or to be restarted, when the machine went down (or was
		    * stopped for that), and has not run since: `boot` may bring it back */
	bool corrected;      /* not stored: record_reconcile() changed the status */

	struct attached_network *networks;
	size_t n_networks;
	struct published_port *ports;
	size_t n_ports;
};

const char *container_status_name(enum container_status s);
const char *health_status_name(enum health_status s);

struct record *record_new(void);
void record_free(struct record *r);
static inline void record_freep(struct record **r)
{
	record_free(*r);
}
void record_clear_networks(struct record *r);
void record_clear_ports(struct record *r);

json *record_to_json(const struct record *r);
int record_from_json(json *j, struct record **out, struct err *e);

/* Write DIR/state.json.  @durable: fsync; for what must survive power loss. */
int record_save(struct record *r, const struct dirs *d, bool durable, struct err *e);

/* Make the record and spec.json survive power loss, as they were saved last; until then
 * they are what record_settle found the last time, or, when it never came to that, as
 * if the container had not been made.  For many: record_settle_start all first, which
 * does not wait. */
void record_settle_start(const struct record *r, const struct dirs *d);
int record_settle(struct record *r, const struct dirs *d, struct err *e);
int record_load(const struct dirs *d, const char *project, const char *id, struct record **out,
		struct err *e);

/* As `ps` says it: one that is being started is "created" the first time and
 * "restarting" ever after, as long as that takes; one that is stopping is "running". */
enum container_status record_status_shown(const struct record *r);

/* Has, or will have, a process. */
bool record_is_active(const struct record *r);

struct record_list {
	struct record **items; /* sorted by name, numbers by value */
	size_t n;
	char **problems; /* one sentence for each file that could not be read */
	bool newer;      /* some were written by a newer comp: nobody older may act on the rest */
};
void record_list_done(struct record_list *l);
/* Which state of the project the records show: a number that every command changes
 * when it begins and when it is done.  Read it before the records, and a plan that
 * was overtaken can be told from one that was not.  0: no command ran yet. */
#define RECORD_GENERATION_NAME "generation" /* in the project's run directory */
uint64_t record_generation(const struct dirs *d, const char *project);

/* All containers of a project; an absent project is an empty list. */
int record_list_load(const struct dirs *d, const char *project, struct record_list *out,
		     struct err *e);
/* Move a container's record out of the way, for @why; a line about it to @problems. */
void record_quarantine(const struct dirs *d, const char *project, const char *id, char ***problems,
		       const struct err *why);
struct record *record_list_find(const struct record_list *l, const char *name_or_id);

/* Is @pid, started at @ticks in the boot of @r, still there (and not a zombie)? */
bool record_process_alive(const struct record *r, pid_t pid, uint64_t ticks);

/* Correct what a dead supervisor could not write down: a record that says
 * running while its process is gone becomes exited, with the code from its
 * exit record where the monitor left one (r->unseen otherwise).  Changes @r only, not
 * the file.  Returns true, and sets r->corrected, when something was: a living
 * supervisor, or the next one, may yet start it again as its policy says.  What ran
 * in another boot is r->lost: starting it again is up to whoever asks. */
bool record_reconcile(struct record *r, const struct dirs *d);

#endif
