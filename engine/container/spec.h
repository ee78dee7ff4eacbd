/* engine/container/spec.h: everything a container needs, nothing about Compose.
 *
 * This struct is the seam between compose/ (which translates a service into
 * it) and engine/.  It is a plain value: every pointer is owned by the spec,
 * NULL or 0 means "not set" unless said otherwise, sizes are bytes, times are
 * nanoseconds.  It is stored as containers/<id>/spec.json and read back when a
 * supervisor adopts a running project, so a field added here is added to
 * spec_to_json() and spec_from_json(), and old files must stay readable.
 */
#ifndef ENGINE_CONTAINER_SPEC_H
#define ENGINE_CONTAINER_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

#define CONTAINER_ID_LEN 64 /* lower-case hex digits */

enum mount_type { MOUNT_BIND, MOUNT_VOLUME, MOUNT_TMPFS };

struct mount_spec {
	enum mount_type type;
	char *source;        /* bind: host path; volume: path of its _data; tmpfs: NULL */
	char *volume;        /* volume: its name; for messages and reference counting */
	char *target;        /* absolute path in the container */
	bool read_only;      /* recursive: submounts too */
	bool nocopy;         /* volume: do not fill it from the image on first use */
	bool create_source;  /* bind: make a missing host directory */
	bool anonymous;      /* volume: made for this container, removed by down -v */
	char *subpath;       /* volume: directory below _data */
	char *propagation;   /* bind: rprivate (default), private, rshared, shared, rslave, slave */
	uint64_t tmpfs_size; /* 0: no limit of its own */
	uint32_t tmpfs_mode; /* 0: 01777 */
	char *tmpfs_options; /* further options as written, e.g. "uid=1000,noexec" */
};

/* A file whose content comp writes: secrets and configs. */
struct file_spec {
	char *target; /* absolute path in the container */
	char *content;
	uint64_t size;
	uint32_t uid, gid, mode;
};

struct network_spec {
	char *network;     /* full name, e.g. demo_default */
	char **aliases;    /* names beside service and container name */
	char *ipv4, *ipv6; /* static addresses */
	char *mac;
	char *interface; /* name inside; NULL: eth0, eth1, … */
	int priority, gw_priority;
};

struct port_spec {
	char *host_ip;                  /* NULL: 0.0.0.0 and [::] */
	uint16_t host_first, host_last; /* 0: pick a free one; a range: pick one in it */
	uint16_t container_port;
	char *protocol; /* "tcp", "udp" */
};

struct ulimit_spec {
	char *name;         /* "nofile" */
	int64_t soft, hard; /* -1: unlimited */
};

struct device_spec {
	char *source, *target, *permissions; /* "rwm" */
};

struct resources_spec {
	int64_t memory; /* bytes; 0: no limit */
	int64_t memory_reservation;
	int64_t memory_swap; /* memory + swap; 0: twice the memory; -1: unlimited */
	int64_t nano_cpus;   /* 1e9 = one cpu; 0: no limit */
	int64_t cpu_shares, cpu_quota, cpu_period; /* the last two in µs */
	char *cpuset;
	int64_t pids;              /* 0: default; -1: unlimited */
	int64_t memory_swappiness; /* -1: not set */
	bool oom_kill_disable;
};

enum restart_mode { RESTART_NO, RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_UNLESS_STOPPED };

struct restart_spec {
	enum restart_mode mode;
	int64_t max_attempts;   /* on-failure; 0: no limit */
	uint64_t delay, window; /* deploy.restart_policy; 0: the engine's own back-off */
};

struct health_spec {
	/* NULL or {"NONE"}: no check; else CMD … / CMD-SHELL text, or a probe of ours
	 * (x-comp-probe; engine/supervise/probe.h): TCP address port / HTTP url status */
	char **test;
	uint64_t interval, timeout, start_period, start_interval; /* 0: 30 s, 30 s, 0, 5 s */
	int64_t retries;                                          /* 0: 3 */
	bool restart_unhealthy;                                   /* x-comp-on-unhealthy: restart */
};

/* A command to run in the container after its start or before its stop. */
struct hook_spec {
	char **argv;
	char **env; /* KEY=value, on top of the container's */
	char *user; /* NULL: the container's */
	char *cwd;  /* NULL: the container's */
	bool privileged;
};

struct log_spec {
	char *driver;      /* NULL: json-file */
	uint64_t max_size; /* 0: 10 MiB */
	int64_t max_file;  /* 0: 5 */
};

enum namespace_mode { NAMESPACE_PRIVATE, NAMESPACE_HOST, NAMESPACE_NONE, NAMESPACE_CONTAINER };

struct namespace_spec {
	enum namespace_mode mode;
	char *container; /* NAMESPACE_CONTAINER: "service:NAME" or "container:NAME" */
};

struct container_spec {
	char *id;   /* CONTAINER_ID_LEN hex digits; unique for ever */
	char *name; /* demo-web-1 */
	char *project, *service;
	int number; /* replica, from 1 */
	bool oneoff;
	int pre_start; /* it is the service's so manieth pre_start container, from 1; 0: none */
	char *config_hash;
	uint64_t created; /* CLOCK_REALTIME, ns */

	char *image;    /* reference as in the compose file */
	char *image_id; /* sha256:… of the config */
	char **layers;  /* directories of unpacked layers, lowest first */

	char **argv; /* entrypoint and command put together */
	char **env;  /* KEY=value, image's and service's merged; PATH set */
	char *cwd;   /* NULL: / */
	char *user;  /* "", "uid", "name", "uid:gid", … resolved in the container's root */
	char **group_add;
	char *hostname; /* NULL: first 12 digits of the id */
	char *domainname;
	bool tty, stdin_open, init;

	bool privileged, read_only, no_new_privileges, seccomp_unconfined, systempaths_unconfined;
	char *seccomp_profile;      /* JSON text of a profile; NULL: built-in */
	char **cap_add, **cap_drop; /* with or without CAP_; "ALL" */
	struct device_spec *devices;
	size_t n_devices;
	char **device_cgroup_rules;

	struct mount_spec *mounts;
	size_t n_mounts;
	struct file_spec *files;
	size_t n_files;
	uint64_t shm_size; /* 0: 64 MiB */

	struct namespace_spec net, pid, ipc, uts, cgroup, user_ns;
	struct network_spec *networks;
	size_t n_networks;
	struct port_spec *ports;
	size_t n_ports;
	char **expose;      /* "80/tcp" */
	char **extra_hosts; /* "name=address" */
	char **dns, **dns_search, **dns_opt;
	char **links; /* "container-or-service:alias" */

	struct resources_spec resources;
	struct ulimit_spec *ulimits;
	size_t n_ulimits;
	char **sysctls; /* KEY=value */
	int oom_score_adj;
	bool oom_score_adj_set;
	char *cgroup_parent;

	struct restart_spec restart;
	struct health_spec health;
	struct log_spec log;
	int stop_signal;     /* 0: SIGTERM */
	uint64_t stop_grace; /* ns; UINT64_MAX: not set, 10 s */
	struct hook_spec *post_start, *pre_stop;
	size_t n_post_start, n_pre_stop;
	char **labels;      /* KEY=value */
	char **annotations; /* KEY=value */
};

struct container_spec *spec_new(void); /* defaults that are not 0 are set */
void spec_free(struct container_spec *s);
static inline void spec_freep(struct container_spec **s)
{
	spec_free(*s);
}
struct container_spec *spec_copy(const struct container_spec *s);

/* One more mount; the pointer holds until the next. */
struct mount_spec *spec_add_mount(struct container_spec *s, enum mount_type type,
				  const char *target);
/* The mount at @target, however its path is written; NULL: none. */
struct mount_spec *spec_mount_at(const struct container_spec *s, const char *target);

/* json_unref() the result. */
json *spec_to_json(const struct container_spec *s);
int spec_from_json(json *j, struct container_spec **out, struct err *e);

#endif
