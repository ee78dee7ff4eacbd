/* engine/supervise/internal.h: the supervisor's structs, shared by its parts.
 *
 *	ensure.c	the command's side: find a supervisor, or start one
 *	supervisor.c	main, start and end of a supervisor, requests
 *	apply.c		runs an action list; see apply_internal.h for its parts
 *	container.c	one container's record, creation and removal
 *	run.c		its runs: start, exit, restart, adoption
 *	stop.c		signals, stopping and pausing
 *	connect.c	a container's namespace, addresses, ports, names
 *	networks.c	networks: records, bridges, addresses
 *	mend.c		links that somebody else took away
 *	adopt.c		what a new supervisor finds
 *	session.c	exec
 *	hold.c		paused for as long as a client is there
 *	checks.c	health probes
 *	hooks.c		commands in a container after its start, before its stop
 *	follow.c	dependants follow a dependency that crashed
 *
 * Everything runs on one loop in one thread; a callback changes state, saves the
 * record, and then tells whoever waits (events, applies).
 */
#ifndef ENGINE_SUPERVISE_INTERNAL_H
#define ENGINE_SUPERVISE_INTERNAL_H

#include "base/loop.h"
#include "base/map.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "engine/container/cgroup.h"
#include "engine/container/seccomp.h"
#include "engine/state/dirs.h"
#include "engine/state/event.h"
#include "engine/state/exits.h"
#include "engine/state/record.h"
#include "engine/supervise/action.h"
#include "engine/supervise/control.h"
#include "engine/supervise/health.h"
#include "engine/supervise/monitor.h"
#include "engine/supervise/nethelper.h"
#include "engine/supervise/salvage.h"
#include "net/firewall.h"
#include "net/netlink.h"
#include "net/network.h"
#include "net/publish.h"
#include "net/resolv.h"

struct apply;
struct session;
struct health_probe;
struct hook_run;

struct supervisor {
	const struct dirs *dirs;
	char *project;
	char *table; /* names our nft table: the project, and the root when it is not the default */
	char *run_dir;
	int run_fd, lock_fd;
	/* Programs to exec, whatever becomes of their files: our own binary, comp-monitor,
	 * comp-init and comp-nft (-EBADF: was not there). */
	int comp_fd, monitor_fd, tiny_fd, nft_fd;
	char *init_layer;
	struct exits *exits;
	struct cgroup_host *cgroups;
	struct loop *loop;
	struct control_server *server;
	struct map containers; /* name → struct container */
	struct map networks;   /* name → struct network, created or adopted */
	struct netlink *nl;
	struct nethelper *nethelper; /* NULL until a network needs it */
	struct seccomp_cache *seccomp;
	struct resolv_conf host_resolv;
	bool firewall_dirty; /* the nft table does not say what it should */
	int firewall_watch;  /* -EBADF until there is a table */
	struct source *firewall_source;
	struct source *firewall_due; /* timer: see connect_release() */
	uint64_t firewall_again;     /* ns until the next attempt, after one that failed; else 0 */
	int link_watch; /* -EBADF until there is a network */
	struct source *link_source;
	struct source *mend_due; /* timer */
	uint64_t mended_at;
	/* While a plan takes things down, links and networks are collected and go
	 * in one request: the kernel takes as long for one link as for hundreds. */
	bool collect_links;
	struct source *settle_timer;
	char **doomed_links, **doomed_networks, **doomed_dirs;
	struct apply *applies; /* the first runs, the others wait */
	struct session *sessions;
	struct event_journal *journal;
	struct control_conn **subscribers;
	size_t n_subscribers;
	struct source *idle; /* timer: see supervisor_check_idle() */
	bool leaving;
	bool hands_over; /* to a newer version: leaves everything as it is */
	json *model; /* project.json: services and their depends_on, from the last apply */
	struct source *follow_timer; /* follow.c: look who is to be restarted */
};

struct container {
	struct supervisor *sv;
	struct record *rec;
	struct container_spec *spec;
	char *dir;
	int dir_fd;
	int netns_fd; /* -EBADF: not opened, or none of its own */
	struct cgroup *cgroup;
	struct monitor_started m; /* handles of the run; m.monitor_pidfd -EBADF: not running */
	struct salvage left;      /* of a monitor that was killed: read when the run has ended */
	bool monitor_is_child;    /* ours to reap; not after an adoption */
	struct source *sock_source, *error_source, *monitor_source, *pid_source;
	bool unsaved;              /* its record on disk is an older one */
	struct source *save_timer; /* to try again */
	struct source *timer;   /* back-off while restarting, next look while stopping */
	uint64_t stop_deadline; /* CLOCK_MONOTONIC */
	bool kill_sent;
	bool by_policy;              /* the last start was a restart */
	struct err start_error;      /* why the last start failed */
	struct publish_result *held; /* sockets opened ahead of the start, one per spec->ports */
	size_t n_held;
	struct control_conn *holder; /* it is paused for that client; borrowed */
	struct hook_run *hook;       /* hooks that run */
	struct err hook_error; /* why the last ones failed */
	bool pre_stop;         /* c->hook are its pre_stop hooks, for a stop with… */
	int64_t stop_grace;
	bool stop_by_user;
	struct health health;
	struct source *health_timer;
	struct health_probe *probe; /* one that runs */
};

/* ---- container.c ------------------------------------------------------------ */
struct container *container_find(struct supervisor *sv, const char *name);
/* The directory, spec.json and state.json of a new container; takes nothing. */
int container_create(struct supervisor *sv, const struct container_spec *spec, struct err *e);
/* From records on disk (adopt.c).  Takes @rec. */
int container_load(struct supervisor *sv, struct record *rec, struct container **out,
		   struct err *e);
/* Stopped containers only.  Frees @c on success. */
int container_remove(struct container *c, bool with_volumes, struct err *e);
/* Directories collected while a plan takes down: processes of their own begin to remove
 * them; then wait for these and finish what they left. */
#define SWEEPERS 4
struct sweep {
	pid_t pids[SWEEPERS];
	size_t n;
};
void container_sweep_start(struct supervisor *sv, struct sweep *s);
int container_sweep_finish(struct supervisor *sv, struct sweep *s, struct err *e);
void container_free(struct container *c);            /* memory and descriptors only */
bool container_is_active(const struct container *c); /* has, or will have, a process */
void container_save(struct container *c, bool durable);
/* Status changed and is saved: tell events and applies.  Called last: an apply that
 * waited for this may go on to remove, and free, @c. */
void container_changed(struct container *c, const char *event);
/* Forget the run: descriptors and sources; kills nothing. */
void container_drop_run(struct container *c);
/* Remove the cgroup, which must be empty.  None is no error. */
int container_drop_cgroup(struct container *c, struct err *e);
/* c->timer, for a restart or a stop; never both. */
void container_set_timer(struct container *c, uint64_t delay, loop_timer_fn fn);

/* ---- run.c ------------------------------------------------------------------ */
/* Take up the run that the monitor's record describes: watch it if it is alive,
 * take note of its end if not. */
void container_readopt(struct container *c);
/* A restart whose back-off began under an earlier supervisor. */
void container_await_restart(struct container *c, uint64_t delay_ns);
/* Watch the monitor and, while it starts, init's error pipe. */
int container_watch_run(struct container *c, struct err *e);
/* Returns once the process is on its way; container_changed() tells the rest.  A
 * start that fails leaves the reason in start_error and the container exited. */
void container_start(struct container *c);
/* Learn the pid from the forked child, and watch the run from here on.  May block for the
 * moment that takes.  Known already: nothing to do. */
int container_learn_pid(struct container *c, struct err *e);
/* That is the run's end, unless its monitor will tell. */
void container_start_failed(struct container *c, const struct err *e);

/* ---- stop.c ----------------------------------------------------------------- */
/* Start stopping, after the pre_stop hooks; @grace_ns < 0: the spec's.  Stopped already:
 * nothing to do, but @by_user it no longer counts as lost.  A hook that fails leaves it
 * running, with the reason in hook_error. */
void container_stop(struct container *c, int64_t grace_ns, bool by_user);
/* The same because the machine goes down: it counts as lost, and `boot` brings it back. */
void container_stop_for_boot(struct container *c, int64_t grace_ns);
/* End its hooks, of whose outcome nobody wants to know: a start counts as done, a stop
 * as never begun. */
void container_give_up_hooks(struct container *c);
/* Stop an active container and, once it has, start it again. */
void container_restart(struct container *c, enum again why);
int container_signal(struct container *c, int sig, bool by_user, struct err *e);
int container_pause(struct container *c, bool pause, struct err *e);
/* SIGKILL to all of it. */
void container_kill_all(struct container *c);

/* ---- connect.c -------------------------------------------------------------- */
/* Open the host side of the published ports, before anything is started. */
int connect_hold_ports(struct container *c, struct err *e);
/* Close what is still held at the end of a plan: who was not started must not
 * keep clients waiting on a socket that nobody accepts from. */
void connect_drop_held(struct supervisor *sv);
/* A publish_owner_fn: which project has the port; @data: the supervisor. */
bool connect_port_owner(pid_t pid, const char *protocol, const char *host_ip, uint16_t port,
			char *text, size_t n, void *data);
/* Ports given back reach the host's tables through nethelper: wait until they have. */
void connect_settle_ports(struct supervisor *sv);
/* A process on its way to start a container has copies of all our sockets until it
 * execs, and keeps a port busy that we have given back.  Wait for those there are, a
 * second at most.  @tries: how often that was not enough.  False: there are none, or
 * that was often enough. */
bool connect_await_starts(struct supervisor *sv, int tries);
/* Namespace, endpoints, ports and names: all that a start needs.  The record is saved, as
 * it is, before anything is made. */
int connect_container(struct container *c, struct err *e);
/* What the container's files in /etc will say. */
struct etc_texts {
	struct buf hosts, hostname, resolv_conf;
};
int connect_etc(struct container *c, struct etc_texts *t, struct err *e);
void etc_texts_done(struct etc_texts *t);
/* Whom "service:x" or "container:x" means; NULL: nobody here. */
struct container *connect_namespace_owner(struct container *c, const struct namespace_spec *ns);
/* After its exit for good: ports and names go, the namespace stays. */
void connect_release(struct container *c);
/* Before removal: everything goes. */
int connect_remove(struct container *c, struct err *e);
/* Adopted while running: claim what nethelper holds, open what it lost. */
void connect_adopt(struct container *c);
char *connect_pin_path(const struct supervisor *sv, const char *id);
/* Its links while it runs, when they are gone. */
int connect_again(struct container *c, struct err *e);
/* Bring the nft table up to date when it is not. */
int connect_firewall(struct supervisor *sv, struct err *e);
/* The same in two halves, when the table only has to go: false when it is not so, and
 * connect_firewall() has to be called instead. */
bool connect_firewall_begin(struct supervisor *sv, struct firewall_job *job);
int connect_firewall_end(struct supervisor *sv, struct firewall_job *job, struct err *e);

/* ---- networks.c ------------------------------------------------------------- */
/* By full name, from memory or disk, with its bridge there. -ENOENT: no record. */
int networks_get(struct supervisor *sv, const char *name, struct network **out, struct err *e);
int networks_create(struct supervisor *sv, const char *name, json *config, bool *existed,
		    struct err *e);
/* Returns 1 when it stays because containers of others use it. */
int networks_remove(struct supervisor *sv, const char *name, struct err *e);
/* Networks of other projects that our containers are no longer on. */
void networks_forget_foreign(struct supervisor *sv);
/* Delete the host's end of container links, now or with networks_flush(). */
int networks_drop_links(struct supervisor *sv, const char *const *names, size_t n, struct err *e);
/* Delete what was collected, links first, then the records of their networks. */
int networks_flush(struct supervisor *sv, struct err *e);
/* Take an address (@want: text, NULL for any) for container @id; @taken: text. */
int networks_take_address(struct supervisor *sv, struct network *n, int family, const char *id,
			  const char *want, struct ip_addr *taken, struct err *e);
void networks_release_address(struct supervisor *sv, const char *network, const char *address);
/* Give back the addresses that no record names, of a start or a removal cut short. */
void networks_sweep_addresses(struct supervisor *sv);
/* Is there a record of a network of this project? */
bool networks_any_of_project(const struct supervisor *sv);
int networks_nethelper(struct supervisor *sv, struct err *e); /* start it if it is not there */
void networks_take_over_nethelper(struct supervisor *sv);

/* ---- mend.c ----------------------------------------------------------------- */
/* Listen for links that are deleted, once; what active containers need is made again. */
void mend_watch(struct supervisor *sv);
void mend_done(struct supervisor *sv);
/* Put right the bridge of @n and the links of active containers to it, without touching
 * the containers.  1: there was something to do; 0: all was well. */
int mend_network(struct supervisor *sv, struct network *n, struct err *e);

/* ---- apply.c ---------------------------------------------------------------- */
void apply_request(struct supervisor *sv, struct control_conn *conn, json *message);
void apply_cancel(struct supervisor *sv, struct control_conn *conn);
void apply_conn_closed(struct supervisor *sv, struct control_conn *conn);
/* @c changed (NULL: look anyway): waiting actions may be done. */
void apply_poke(struct supervisor *sv, struct container *c);
/* A line for the user under the running apply. */
void apply_note(struct supervisor *sv, const char *id, const char *status, const char *text,
		const char *details);
/* Where an earlier supervisor got to; see record_generation(). */
void apply_adopt_generation(struct supervisor *sv);
void apply_free_all(struct supervisor *sv);

/* ---- adopt.c ---------------------------------------------------------------- */
int adopt_project(struct supervisor *sv, struct err *e);

/* ---- session.c -------------------------------------------------------------- */
void session_request(struct supervisor *sv, struct control_conn *conn, json *message, int *fds,
		     size_t n_fds);
void session_conn_closed(struct supervisor *sv, struct control_conn *conn);

/* ---- hold.c ----------------------------------------------------------------- */
void hold_request(struct supervisor *sv, struct control_conn *conn, json *message);
void hold_conn_closed(struct supervisor *sv, struct control_conn *conn);
void hold_end(struct container *c); /* also after an adoption: let it go on */

/* ---- checks.c --------------------------------------------------------------- */
void checks_start(struct container *c); /* container runs */
void checks_stop(struct container *c);  /* container stops, or is gone */

/* ---- hooks.c ---------------------------------------------------------------- */
enum hook_kind { HOOK_POST_START, HOOK_PRE_STOP };
/* @e->code 0: all went well.  Called from the loop; c->hook is NULL again. */
typedef void (*hooks_done_fn)(struct container *c, const struct err *e);
/* Run the hooks of a running container one by one; c->hook until they are done.
 * @limit_ns: for all of them together; 0: as long as they take. */
void hooks_run(struct container *c, enum hook_kind kind, uint64_t limit_ns, hooks_done_fn done);
/* Kill what runs; nobody is told. */
void hooks_cancel(struct container *c);

/* ---- follow.c --------------------------------------------------------------- */
/* The run of @c ended and another one will follow: mark who is to follow it. */
void follow_mark(struct container *c);
/* Something changed: look, soon, whether marked ones can be restarted. */
void follow_poke(struct supervisor *sv);
/* sv->model from project.json, if there is one. */
#define MODEL_VERSION 1
void follow_load_model(struct supervisor *sv);

/* ---- ensure.c --------------------------------------------------------------- */
char *supervisor_socket(const struct dirs *d, const char *project); /* its path; caller frees */

/* ---- supervisor.c ----------------------------------------------------------- */
/* Into the journal and to whoever listens.  @key, @value: one more attribute, or NULL. */
void supervisor_event(struct supervisor *sv, const struct container *c, const char *action);
void supervisor_event_with(struct supervisor *sv, const struct container *c, const char *action,
			   const char *key, const char *value);
void supervisor_log(struct supervisor *sv, const char *fmt, ...) _printf_(2, 3);
void supervisor_check_idle(struct supervisor *sv);
/* Nothing is left of the project: remove its directories. True when so. */
bool supervisor_sweep(struct supervisor *sv);
/* Make all records survive power loss: before a command is told that it is done, and
 * some seconds after any other change. */
int supervisor_settle(struct supervisor *sv, struct err *e);
void supervisor_settle_soon(struct supervisor *sv);

#endif
