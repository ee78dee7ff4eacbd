/* compose/key_table.c: the rows of the key table; see keys.h.
 *
 * The order of rows is the order of rendering, which is Docker Compose's.
 * Shared groups (labels, hooks, external) are written once and pointed to.
 */
#include "compose/keys.h"

#include "base/util.h"

#define STR         .types = KT_STR, .value = KV_STR
#define STRNUM      .types = KT_STR | KT_NUM
#define STRINT      .types = KT_STR | KT_INT
#define BOOL        .types = KT_STR | KT_BOOL, .value = KV_BOOL
#define FLAG        BOOL, .cast = CAST_BOOL
#define BYTES       .types = KT_STR | KT_NUM, .value = KV_BYTES
#define TIME        .types = KT_STR, .value = KV_DURATION
#define OBJECT      .types = KT_MAP, .value = KV_OBJECT
#define STRS        .types = KT_SEQ, .value = KV_STRS, .item = &text_item
#define ONE_OR_MORE .types = KT_STR | KT_SEQ, .value = KV_STRS, .item = &text_item, .want = "string"
#define LIST(row)   .types = KT_SEQ, .value = KV_LIST, .item = &(row)
#define DICT_FLAGS(v, more)                                                                        \
	.types = KT_MAP | KT_SEQ, .value = (v), .sub = &pairs_keys, .item = &text_item,            \
	.flags = KF_UNIQUE_ITEMS | (more), .want = "mapping"
#define DICT(v)              DICT_FLAGS(v, 0)
#define PAIRS_FLAGS(v, more) DICT_FLAGS(v, more), .merge = MERGE_PAIRS, .unique = UNIQUE_PAIR
#define PAIRS(v)             PAIRS_FLAGS(v, 0)
#define SET(rows)                                                                                  \
	{                                                                                          \
		.keys = (rows), .n = ARRAY_SIZE(rows)                                              \
	}

/* ---- items and values that several rows share ---------------------------------- */
static const struct key text_item = { "[]", STR };
static const struct key pair_value = { "*", .types = KT_STR | KT_NUM | KT_BOOL | KT_NULL,
				       .value = KV_ANY };
static const struct keyset pairs_keys = { .other = &pair_value };

static const struct key option_value = { "*", .types = KT_STR | KT_NUM, .value = KV_ANY };
static const struct keyset option_keys = { .other = &option_value, .open = true };
static const struct key log_option_value = { "*", .types = KT_STR | KT_NUM | KT_NULL,
					     .value = KV_ANY };
static const struct keyset log_option_keys = { .other = &log_option_value, .open = true };
static const struct key text_value = { "*", STR };
static const struct keyset text_keys = { .other = &text_value };

static const struct keyset any_keys = { .other = &key_extension, .open = true };
const struct key key_extension = { "x-*",
				   .types = KT_ANY,
				   .value = KV_ANY,
				   .sub = &any_keys,
				   .item = &key_extension,
				   .flags = KF_INFO,
				   .help = "Anything; kept in the output, never acted on." };

static const struct key host_ips = { "*", .types = KT_STR | KT_SEQ, .value = KV_ANY,
				     .item = &text_item, .want = "string" };
static const struct keyset host_keys = { .other = &host_ips };
#define HOSTS                                                                                      \
	.types = KT_MAP | KT_SEQ, .value = KV_HOSTS, .merge = MERGE_HOSTS, .sub = &host_keys,      \
	.item = &text_item, .flags = KF_UNIQUE_ITEMS, .want = "mapping"

#define COMMAND                                                                                    \
	.types = KT_STR | KT_SEQ | KT_NULL, .value = KV_COMMAND, .item = &text_item, .want = "null"

/* ---- service hooks -------------------------------------------------------------- */
static const struct key hook_rows[] = {
	{ "command", COMMAND, .flags = KF_REQUIRED | KF_JSON_ALWAYS,
	  .help = "What to run; a string is split into words, no shell." },
	{ "user", STR, .help = "User to run it as.", .dflt = "the service's user" },
	{ "privileged", BOOL, .help = "Run it with all capabilities." },
	{ "working_dir", STR, .help = "Where to run it.", .dflt = "the service's working_dir" },
	{ "environment", DICT(KV_ENV), .help = "Variables for this command." },
};
static const struct keyset hook_keys = SET(hook_rows);
static const struct key hook_item = { "[]", OBJECT, .sub = &hook_keys };

static const struct key init_hook_rows[] = {
	{ "command", COMMAND, .flags = KF_JSON_ALWAYS,
	  .help = "What to run; a string is split into words, no shell." },
	{ "image", STR, .help = "Image to run it in.", .dflt = "the service's image" },
	{ "user", STR, .help = "User to run it as.", .dflt = "the service's user" },
	{ "privileged", BOOL, .help = "Run it with all capabilities." },
	{ "working_dir", STR, .help = "Where to run it.", .dflt = "the service's working_dir" },
	{ "environment", DICT(KV_ENV), .help = "Variables for this command." },
	{ "per_replica", BOOL, .help = "Run it for each replica instead of once.",
	  .dflt = "false" },
};
static const struct keyset init_hook_keys = SET(init_hook_rows);
static const struct key init_hook_item = { "[]", OBJECT, .sub = &init_hook_keys };

/* ---- secrets and configs of a service ------------------------------------------- */
static const struct key mount_rows[] = {
	{ "source", STR, .help = "Name of the secret or config." },
	{ "target", STR, .help = "Path in the container.",
	  .dflt = "/run/secrets/<source>, /<source> for configs" },
	{ "uid", STR, .help = "Owner of the file.", .dflt = "0" },
	{ "gid", STR, .help = "Group of the file.", .dflt = "0" },
	{ "mode", STRNUM, .value = KV_MODE, .flags = KF_KEEP, .help = "Permission bits, octal.",
	  .dflt = "0444" },
};
static const struct keyset mount_keys = SET(mount_rows);
static const struct key mount_item = { "[]",
				       .types = KT_STR | KT_MAP,
				       .value = KV_OBJECT,
				       .form = FORM_MOUNT,
				       .sub = &mount_keys,
				       .want = "string" };

/* ---- ulimits ---------------------------------------------------------------------- */
static const struct key ulimit_rows[] = {
	{ "soft", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_REQUIRED | KF_KEEP,
	  .help = "Limit at start; -1 is none." },
	{ "hard", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_REQUIRED | KF_KEEP,
	  .help = "How far the process may raise it; -1 is none." },
};
static const struct keyset ulimit_keys = SET(ulimit_rows);
static const struct key ulimit_value = { "*",
					 .types = KT_STR | KT_INT | KT_MAP,
					 .value = KV_ULIMIT,
					 .form = FORM_ULIMIT,
					 .merge = MERGE_REPLACE,
					 .cast = CAST_INT,
					 .sub = &ulimit_keys,
					 .want = "integer or string" };
static const struct keyset ulimits_keys = { .other = &ulimit_value, .lower = true };
/* Below `build` text stays text until the end: no cast there. */
static const struct key build_ulimit_rows[] = {
	{ "soft", STRINT, .value = KV_INT, .flags = KF_REQUIRED | KF_KEEP,
	  .help = "Limit at start; -1 is none." },
	{ "hard", STRINT, .value = KV_INT, .flags = KF_REQUIRED | KF_KEEP,
	  .help = "How far the process may raise it; -1 is none." },
};
static const struct keyset build_ulimit_keys = SET(build_ulimit_rows);
static const struct key build_ulimit_value = { "*",
					       .types = KT_STR | KT_INT | KT_MAP,
					       .value = KV_ULIMIT,
					       .form = FORM_ULIMIT,
					       .sub = &build_ulimit_keys,
					       .want = "integer or string" };
static const struct keyset build_ulimits_keys = { .other = &build_ulimit_value, .lower = true };

/* ---- build -------------------------------------------------------------------------- */
static const struct key context_value = { "*", .types = KT_STR | KT_NUM | KT_BOOL | KT_NULL,
					  .value = KV_ANY, .path = PATH_CONTEXT };
static const struct keyset context_keys = { .other = &context_value };
static const struct key ssh_value = { "*", .types = KT_STR | KT_NUM | KT_BOOL | KT_NULL,
				      .value = KV_ANY, .path = PATH_HOST };
static const struct keyset ssh_keys = { .other = &ssh_value };

static const struct key build_rows[] = {
	{ "context", STR, .path = PATH_CONTEXT, .dflt = ".",
	  .help = "Folder, or Git or HTTP(S) address, that the build may copy from." },
	{ "dockerfile", STR, .dflt = "Dockerfile",
	  .help = "The Dockerfile, relative to the context." },
	{ "dockerfile_inline", STR, .help = "The Dockerfile's text itself." },
	{ "entitlements", STRS, .help = "Extra privileges the build may use." },
	{ "args", PAIRS(KV_ENV),
	  .help = "Build arguments; a bare name takes the environment's value." },
	{ "provenance", .types = KT_STR | KT_BOOL, .value = KV_STR, .form = FORM_TEXT,
	  .flags = KF_LATER, .help = "Add a provenance attestation." },
	{ "sbom", .types = KT_STR | KT_BOOL, .value = KV_STR, .form = FORM_TEXT, .flags = KF_LATER,
	  .help = "Add a list of what the image contains." },
	{ "ssh", .types = KT_MAP | KT_SEQ, .value = KV_SSH, .form = FORM_SSH, .sub = &ssh_keys,
	  .item = &text_item, .flags = KF_UNIQUE_ITEMS, .want = "mapping",
	  .help = "SSH agent sockets or keys for RUN --mount=type=ssh." },
	{ "labels", PAIRS(KV_MAPPING), .help = "Labels of the image." },
	{ "cache_from", STRS, .help = "Where to look for cached steps." },
	{ "cache_to", STRS, .help = "Where to put cached steps." },
	{ "no_cache", BOOL, .help = "Build every step anew." },
	{ "no_cache_filter", ONE_OR_MORE, .form = FORM_LIST, .flags = KF_UNIQUE_ITEMS,
	  .help = "Stages to build anew." },
	{ "additional_contexts", .types = KT_MAP | KT_SEQ, .value = KV_MAPPING,
	  .merge = MERGE_PAIRS, .unique = UNIQUE_PAIR, .form = FORM_PAIRS, .sub = &context_keys,
	  .item = &text_item, .flags = KF_UNIQUE_ITEMS, .want = "mapping",
	  .help = "Named contexts: folders, docker-image://, service:x." },
	{ "pull", BOOL, .help = "Look for newer base images." },
	{ "extra_hosts", HOSTS, .help = "Lines for /etc/hosts during the build." },
	{ "isolation", STR, .flags = KF_LATER, .help = "Isolation technology (Windows)." },
	{ "network", STR, .help = "Network for RUN: default, none, host or a network's name." },
	{ "target", STR, .help = "Stage to stop at." },
	{ "secrets", LIST(mount_item), .help = "Secrets for RUN --mount=type=secret." },
	{ "shm_size", STRINT, .value = KV_BYTES, .help = "Size of /dev/shm during the build." },
	{ "tags", STRS, .unique = UNIQUE_PAIR, .help = "Further names for the image." },
	{ "ulimits", .types = KT_MAP, .value = KV_OBJECTS, .sub = &build_ulimits_keys,
	  .help = "Resource limits during the build." },
	{ "platforms", STRS, .help = "Platforms to build for." },
	{ "privileged", BOOL, .help = "Build with all capabilities." },
};
static const struct keyset build_keys = SET(build_rows);

/* ---- develop --------------------------------------------------------------------------- */
static const struct key watch_rows[] = {
	{ "path", STR, .path = PATH_WATCH, .flags = KF_REQUIRED | KF_KEEP,
	  .help = "File or folder to watch." },
	{ "action", STR, .choices = "rebuild|sync|restart|sync+restart|sync+exec",
	  .flags = KF_REQUIRED | KF_KEEP, .help = "What to do after a change." },
	{ "target", STR, .help = "Path in the container that sync copies to." },
	{ "exec", OBJECT, .sub = &hook_keys, .flags = KF_JSON_ALWAYS,
	  .help = "Command for sync+exec." },
	{ "include", ONE_OR_MORE, .form = FORM_LIST, .flags = KF_UNIQUE_ITEMS,
	  .help = "Patterns of what to watch only." },
	{ "ignore", ONE_OR_MORE, .form = FORM_LIST, .flags = KF_UNIQUE_ITEMS,
	  .help = "Patterns of what not to watch." },
	{ "initial_sync", .types = KT_BOOL, .value = KV_BOOL,
	  .help = "Copy everything at the start." },
};
static const struct keyset watch_keys = SET(watch_rows);
static const struct key watch_item = { "[]", OBJECT, .sub = &watch_keys };
static const struct key develop_rows[] = {
	{ "watch", LIST(watch_item), .help = "What to do when files change." },
};
static const struct keyset develop_keys = SET(develop_rows);

/* ---- blkio_config -------------------------------------------------------------------- */
static const struct key rate_rows[] = {
	{ "path", STR, .flags = KF_KEEP, .json = "Path", .help = "Device file." },
	{ "rate", STRINT, .value = KV_BYTES, .flags = KF_KEEP, .json = "Rate",
	  .help = "Bytes or operations a second." },
};
static const struct keyset rate_keys = { .keys = rate_rows, .n = ARRAY_SIZE(rate_rows) };
static const struct key rate_item = { "[]", OBJECT, .sub = &rate_keys, .flags = KF_NO_X };
static const struct key weight_rows[] = {
	{ "path", STR, .flags = KF_KEEP, .json = "Path", .help = "Device file." },
	{ "weight", STRINT, .value = KV_INT, .flags = KF_KEEP | KF_UNSIGNED, .json = "Weight",
	  .help = "Share of this device's bandwidth." },
};
static const struct keyset weight_keys = SET(weight_rows);
static const struct key weight_item = { "[]", OBJECT, .sub = &weight_keys, .flags = KF_NO_X };
static const struct key blkio_rows[] = {
	{ "weight", STRINT, .value = KV_INT, .flags = KF_UNSIGNED,
	  .help = "Share of the disks' bandwidth, 10 to 1000." },
	{ "weight_device", LIST(weight_item), .help = "The same for single devices." },
	{ "device_read_bps", LIST(rate_item), .help = "Most bytes a second read." },
	{ "device_read_iops", LIST(rate_item), .help = "Most reads a second." },
	{ "device_write_bps", LIST(rate_item), .help = "Most bytes a second written." },
	{ "device_write_iops", LIST(rate_item), .help = "Most writes a second." },
};
static const struct keyset blkio_keys = SET(blkio_rows);

/* ---- depends_on ------------------------------------------------------------------------ */
static const struct key dependency_rows[] = {
	{ "condition", STR, .flags = KF_REQUIRED,
	  .choices = "service_started|service_healthy|service_completed_successfully",
	  .dflt = "service_started", .help = "What to wait for." },
	{ "restart", BOOL, .dflt = "false", .help = "Restart this service when that one is." },
	{ "required", .types = KT_BOOL, .value = KV_BOOL, .flags = KF_KEEP, .dflt = "true",
	  .help = "false: go on with a warning when it is missing or fails." },
};
static const struct keyset dependency_keys = SET(dependency_rows);
static const struct key dependency = { "*", OBJECT, .sub = &dependency_keys };
static const struct keyset depends_keys = { .other = &dependency, .named = true };

/* ---- deploy ----------------------------------------------------------------------------- */
static const struct key update_rows[] = {
	{ "parallelism", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_KEEP | KF_UNSIGNED,
	  .help = "How many at a time." },
	{ "delay", TIME, .help = "Pause between them." },
	{ "failure_action", STR, .help = "continue, pause or rollback." },
	{ "monitor", TIME, .help = "How long to watch each for a failure." },
	{ "max_failure_ratio", STRNUM, .value = KV_FLOAT, .cast = CAST_FLOAT,
	  .help = "Failures to tolerate." },
	{ "order", STR, .choices = "start-first|stop-first",
	  .help = "Old stops or new starts first." },
};
static const struct keyset update_keys = SET(update_rows);

static const struct key request_rows[] = {
	{ "capabilities", STRS, .flags = KF_REQUIRED | KF_UNIQUE_ITEMS,
	  .help = "What the device can do: gpu, tpu, …" },
	{ "driver", STR, .help = "Driver, e.g. nvidia." },
	{ "count", STRINT, .value = KV_COUNT, .dflt = "all", .help = "How many; all." },
	{ "device_ids", STRS, .flags = KF_UNIQUE_ITEMS, .help = "Which ones." },
	{ "options", .types = KT_MAP | KT_SEQ, .value = KV_MAPPING, .sub = &pairs_keys,
	  .item = &text_item, .flags = KF_UNIQUE_ITEMS, .want = "mapping",
	  .help = "Options for the driver." },
};
static const struct keyset request_keys = SET(request_rows);
static const struct key request_item = { "[]", OBJECT, .sub = &request_keys };

static const struct key gpu_rows[] = {
	{ "capabilities", STRS, .flags = KF_UNIQUE_ITEMS, .dflt = "gpu",
	  .help = "What the device can do." },
	{ "driver", STR, .help = "Driver, e.g. nvidia." },
	{ "count", STRINT, .value = KV_COUNT, .dflt = "all", .help = "How many; all." },
	{ "device_ids", STRS, .flags = KF_UNIQUE_ITEMS, .help = "Which ones." },
	{ "options", .types = KT_MAP | KT_SEQ, .value = KV_MAPPING, .sub = &pairs_keys,
	  .item = &text_item, .flags = KF_UNIQUE_ITEMS, .want = "mapping",
	  .help = "Options for the driver." },
};
static const struct keyset gpu_keys = { .keys = gpu_rows, .n = ARRAY_SIZE(gpu_rows), .open = true };
static const struct key gpu_item = { "[]", OBJECT, .sub = &gpu_keys };

static const struct key discrete_rows[] = {
	{ "kind", STR, .flags = KF_KEEP, .help = "Name of the resource." },
	{ "value", STRNUM, .value = KV_INT, .flags = KF_KEEP, .help = "How many." },
};
static const struct keyset discrete_keys = SET(discrete_rows);
static const struct key generic_rows[] = {
	{ "discrete_resource_spec", OBJECT, .sub = &discrete_keys, .flags = KF_KEEP,
	  .help = "A counted resource." },
};
static const struct keyset generic_keys = SET(generic_rows);
static const struct key generic_item = { "[]", OBJECT, .sub = &generic_keys };

static const struct key limit_rows[] = {
	{ "cpus", STRNUM, .value = KV_FLOAT, .help = "CPUs the container may use, e.g. 0.5." },
	{ "memory", .types = KT_STR, .value = KV_BYTES, .help = "Memory the container may use." },
	{ "pids", STRINT, .value = KV_INT, .help = "Processes the container may have." },
};
static const struct keyset limit_keys = SET(limit_rows);
static const struct key reservation_rows[] = {
	{ "cpus", STRNUM, .value = KV_FLOAT, .flags = KF_SWARM, .help = "CPUs to reserve." },
	{ "memory", .types = KT_STR, .value = KV_BYTES,
	  .help = "Memory to leave alone under pressure." },
	{ "devices", LIST(request_item), .flags = KF_LATER,
	  .help = "Devices to reserve, e.g. GPUs." },
	{ "generic_resources", LIST(generic_item), .flags = KF_SWARM,
	  .help = "User-defined resources." },
};
static const struct keyset reservation_keys = SET(reservation_rows);
static const struct key resources_rows[] = {
	{ "limits", OBJECT, .sub = &limit_keys, .flags = KF_KEEP, .help = "The most it may use." },
	{ "reservations", OBJECT, .sub = &reservation_keys, .flags = KF_KEEP,
	  .help = "What it should always have." },
};
static const struct keyset resources_keys = SET(resources_rows);
static const struct key restart_rows[] = {
	{ "condition", STR, .dflt = "any", .help = "none, on-failure or any." },
	{ "delay", TIME, .flags = KF_KEEP, .help = "Pause before a restart." },
	{ "max_attempts", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_KEEP | KF_UNSIGNED,
	  .dflt = "no limit", .help = "How often to try." },
	{ "window", TIME, .flags = KF_KEEP, .help = "A run this long was a success." },
};
static const struct keyset restart_keys = SET(restart_rows);
static const struct key preference_rows[] = {
	{ "spread", STR, .help = "Spread over the values of this node label." },
};
static const struct keyset preference_keys = SET(preference_rows);
static const struct key preference_item = { "[]", OBJECT, .sub = &preference_keys };
static const struct key placement_rows[] = {
	{ "constraints", STRS, .help = "Conditions on the node." },
	{ "preferences", LIST(preference_item), .help = "How to spread." },
	{ "max_replicas_per_node", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_UNSIGNED,
	  .help = "Most replicas on one node." },
};
static const struct keyset placement_keys = SET(placement_rows);
static const struct key deploy_rows[] = {
	{ "mode", STR, .dflt = "replicated", .acts = "replicated",
	  .help = "replicated or global." },
	{ "replicas", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_KEEP, .dflt = "1",
	  .help = "How many containers; 0 is none." },
	{ "labels", .types = KT_MAP | KT_SEQ, .value = KV_MAPPING, .merge = MERGE_PAIRS,
	  .unique = UNIQUE_PAIR, .sub = &pairs_keys, .item = &text_item,
	  .flags = KF_UNIQUE_ITEMS | KF_SWARM, .want = "mapping",
	  .help = "Labels of the service, not of its containers." },
	{ "update_config", OBJECT, .sub = &update_keys, .flags = KF_KEEP | KF_SWARM,
	  .help = "How to replace containers." },
	{ "rollback_config", OBJECT, .sub = &update_keys, .flags = KF_KEEP | KF_SWARM,
	  .help = "How to go back." },
	{ "resources", OBJECT, .sub = &resources_keys, .flags = KF_JSON_ALWAYS,
	  .help = "Limits and reservations." },
	{ "restart_policy", OBJECT, .sub = &restart_keys, .flags = KF_KEEP,
	  .help = "Restarts; overrides `restart`." },
	{ "placement", OBJECT, .sub = &placement_keys, .flags = KF_JSON_ALWAYS | KF_SWARM,
	  .help = "Which nodes." },
	{ "endpoint_mode", STR, .flags = KF_SWARM, .help = "vip or dnsrr." },
};
static const struct keyset deploy_keys = SET(deploy_rows);

/* ---- small objects of a service ----------------------------------------------------------- */
static const struct key device_rows[] = {
	{ "source", STR, .flags = KF_REQUIRED, .help = "Device file of the host." },
	{ "target", STR, .help = "Device file in the container.", .dflt = "the same" },
	{ "permissions", STR, .help = "r, w and m (mknod).", .dflt = "rwm" },
};
static const struct keyset device_keys = SET(device_rows);
static const struct key device_item = { "[]",
					.types = KT_STR | KT_MAP,
					.value = KV_OBJECT,
					.form = FORM_DEVICE,
					.sub = &device_keys,
					.want = "string" };

static const struct key credential_rows[] = {
	{ "config", STR, .help = "Name of a config that holds it." },
	{ "file", STR, .help = "File that holds it." },
	{ "registry", STR, .help = "Registry value that holds it." },
};
static const struct keyset credential_keys = SET(credential_rows);

static const struct key provider_option_item = { "[]", .types = KT_STR | KT_NUM | KT_BOOL,
						 .value = KV_ANY };
static const struct key provider_option = { "*", .types = KT_STR | KT_NUM | KT_BOOL | KT_SEQ,
					    .value = KV_ANY, .item = &provider_option_item,
					    .want = "boolean, number or string" };
static const struct keyset provider_option_keys = { .other = &provider_option };
static const struct key provider_rows[] = {
	{ "type", STR, .flags = KF_REQUIRED, .help = "Program that provides the service." },
	{ "options", .types = KT_MAP, .value = KV_MULTI, .sub = &provider_option_keys,
	  .help = "Its options." },
};
static const struct keyset provider_keys = SET(provider_rows);

static const struct key env_file_rows[] = {
	{ "path", STR, .path = PATH_FILE, .flags = KF_REQUIRED, .help = "The file." },
	{ "required", BOOL, .dflt = "true", .flags = KF_KEEP, .help = "false: it may be missing." },
	{ "format", STR, .help = "raw: no quotes, no variables." },
};
static const struct keyset env_file_keys = SET(env_file_rows);
static const struct key env_file_item = { "[]",
					  .types = KT_STR | KT_MAP,
					  .value = KV_ENV_FILE,
					  .sub = &env_file_keys,
					  .flags = KF_NO_X,
					  .want = "string" };
static const struct key label_file_item = { "[]", STR, .path = PATH_FILE };

static const struct key expose_item = { "[]", .types = KT_STR | KT_NUM, .value = KV_STR };

static const struct key extends_rows[] = {
	{ "file", STR, .path = PATH_FILE, .help = "File that has it.", .dflt = "this one" },
	{ "service", STR, .flags = KF_REQUIRED, .help = "The service to start from." },
};
static const struct keyset extends_keys = SET(extends_rows);

static const struct key health_rows[] = {
	{ "test", .types = KT_STR | KT_SEQ, .value = KV_TEST, .merge = MERGE_REPLACE,
	  .item = &text_item, .want = "string",
	  .help = "The check: a string runs in a shell; a list starts with CMD, CMD-SHELL or "
		  "NONE." },
	{ "timeout", TIME, .flags = KF_KEEP, .dflt = "30s",
	  .help = "A check this slow has failed." },
	{ "interval", TIME, .flags = KF_KEEP, .dflt = "30s", .help = "Time between checks." },
	{ "retries", STRNUM, .value = KV_INT, .cast = CAST_INT, .flags = KF_KEEP | KF_UNSIGNED,
	  .dflt = "3", .help = "Failures in a row that make it unhealthy." },
	{ "start_period", TIME, .flags = KF_KEEP, .dflt = "0s",
	  .help = "Time after the start in which failures do not count." },
	{ "start_interval", TIME, .flags = KF_KEEP, .dflt = "5s",
	  .help = "Time between checks during start_period." },
	{ "disable", FLAG, .dflt = "false", .help = "Turn the image's check off." },
};
static const struct keyset health_keys = SET(health_rows);

/* compose/consistency.c wants one of tcp and http. */
static const struct key probe_rows[] = {
	{ "tcp", STRINT, .value = KV_STR, .want = "string",
	  .help = "Port, or address:port, that must accept a connection." },
	{ "http", STR, .help = "http://[address][:port]/path to ask for." },
	{ "status", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_MIN | KF_MAX, .min = 100,
	  .max = 599, .want = "string", .dflt = "200 to 399", .help = "The only good answer." },
};
static const struct keyset probe_keys = SET(probe_rows);

static const struct key logging_rows[] = {
	{ "driver", STR, .dflt = "json-file", .acts = "json-file|local|none",
	  .help = "Where the output goes." },
	{ "options", .types = KT_MAP, .value = KV_MAPPING, .sub = &log_option_keys,
	  .help = "max-size, max-file and others of the driver." },
};
static const struct keyset logging_keys = SET(logging_rows);

static const struct key model_ref_rows[] = {
	{ "endpoint_var", STR, .help = "Variable that gets the model's address.",
	  .dflt = "<NAME>_URL" },
	{ "model_var", STR, .help = "Variable that gets the model's name.", .dflt = "<NAME>" },
};
static const struct keyset model_ref_keys = SET(model_ref_rows);
static const struct key model_ref = { "*", .types = KT_MAP | KT_NULL, .value = KV_OBJECT,
				      .sub = &model_ref_keys, .want = "mapping" };
static const struct keyset model_refs_keys = { .other = &model_ref };

static const struct key endpoint_rows[] = {
	{ "aliases", STRS, .unique = UNIQUE_PAIR, .flags = KF_UNIQUE_ITEMS,
	  .help = "Further names of the service on this network." },
	{ "driver_opts", .types = KT_MAP, .value = KV_MAPPING, .sub = &option_keys,
	  .flags = KF_LATER, .help = "Options for the network's driver." },
	{ "gw_priority", .types = KT_NUM, .value = KV_INT, .dflt = "0",
	  .help = "The network with the highest has the default route." },
	{ "interface_name", STR, .help = "Name of the interface in the container." },
	{ "ipv4_address", STR, .help = "A fixed address; the network needs a subnet." },
	{ "ipv6_address", STR, .help = "A fixed IPv6 address; the network needs a subnet." },
	{ "link_local_ips", STRS, .unique = UNIQUE_PAIR, .flags = KF_UNIQUE_ITEMS | KF_LATER,
	  .help = "Link-local addresses." },
	{ "mac_address", STR, .help = "A fixed MAC address." },
	{ "priority", .types = KT_NUM, .value = KV_INT, .dflt = "0",
	  .help = "Order of connecting, highest first." },
};
static const struct keyset endpoint_keys = SET(endpoint_rows);
static const struct key endpoint = { "*", .types = KT_MAP | KT_NULL, .value = KV_OBJECT,
				     .sub = &endpoint_keys, .want = "mapping" };
static const struct keyset endpoints_keys = { .other = &endpoint, .named = true };

static const struct key port_rows[] = {
	{ "name", STR, .flags = KF_INFO, .help = "Name of the port, for people." },
	{ "mode", STR, .dflt = "ingress", .flags = KF_INFO, .help = "host or ingress." },
	{ "host_ip", STR, .dflt = "0.0.0.0 and [::]", .help = "Address of the host to listen on." },
	{ "target", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_UNSIGNED,
	  .help = "Port in the container." },
	{ "published", STRINT, .value = KV_STR, .dflt = "any free one",
	  .help = "Port of the host, or a range to pick from." },
	{ "protocol", STR, .dflt = "tcp", .help = "tcp, udp or sctp." },
	{ "app_protocol", STR, .flags = KF_INFO, .help = "What is spoken there, for people." },
};
static const struct keyset port_keys = SET(port_rows);
static const struct key port_item = { "[]", .types = KT_NUM | KT_STR | KT_MAP, .value = KV_OBJECT,
				      .sub = &port_keys, .want = "number" };

static const struct key bind_rows[] = {
	{ "selinux", STR, .choices = "z|Z", .flags = KF_INFO,
	  .help = "SELinux label: shared or private." },
	{ "propagation", STR, .dflt = "rprivate", .help = "Mount propagation." },
	{ "create_host_path", BOOL, .dflt = "true", .help = "Make a missing source folder." },
	{ "recursive", STR, .choices = "enabled|disabled|writable|readonly", .flags = KF_LATER,
	  .help = "What happens to mounts below the source." },
};
static const struct keyset bind_keys = SET(bind_rows);
static const struct key volume_opt_rows[] = {
	{ "labels", PAIRS_FLAGS(KV_MAPPING, KF_LATER), .help = "Labels of the volume." },
	{ "nocopy", FLAG, .dflt = "false", .help = "Do not fill it from the image." },
	{ "subpath", STR, .help = "Folder in the volume to mount." },
};
static const struct keyset volume_opt_keys = SET(volume_opt_rows);
static const struct key tmpfs_rows[] = {
	{ "size", STRINT, .value = KV_BYTES, .flags = KF_MIN, .min = 0, .want = "integer",
	  .dflt = "half of the memory", .help = "Largest size." },
	{ "mode", STRNUM, .value = KV_INT, .flags = KF_UNSIGNED, .dflt = "01777",
	  .help = "Permission bits." },
};
static const struct keyset tmpfs_keys = SET(tmpfs_rows);
static const struct key image_mount_rows[] = {
	{ "subpath", STR, .help = "Folder in the image to mount." },
};
static const struct keyset image_mount_keys = SET(image_mount_rows);
static const struct key volume_rows[] = {
	{ "type", STR, .choices = "bind|volume|tmpfs|cluster|npipe|image", .flags = KF_REQUIRED,
	  .help = "Kind of mount." },
	{ "source", STR, .help = "Path of the host, or name of the volume." },
	{ "target", STR, .help = "Path in the container." },
	{ "read_only", FLAG, .dflt = "false", .help = "Nothing can be written there." },
	{ "consistency", STR, .flags = KF_INFO, .help = "Nothing on Linux." },
	{ "bind", OBJECT, .sub = &bind_keys, .flags = KF_KEEP, .help = "For type bind." },
	{ "volume", OBJECT, .sub = &volume_opt_keys, .flags = KF_KEEP, .help = "For type volume." },
	{ "tmpfs", OBJECT, .sub = &tmpfs_keys, .flags = KF_KEEP, .help = "For type tmpfs." },
	{ "image", OBJECT, .sub = &image_mount_keys, .flags = KF_KEEP | KF_LATER,
	  .help = "For type image." },
};
static const struct keyset volume_keys = SET(volume_rows);
static const struct key volume_item = { "[]",
					.types = KT_STR | KT_MAP,
					.value = KV_OBJECT,
					.form = FORM_VOLUME,
					.path = PATH_VOLUME,
					.sub = &volume_keys,
					.want = "string" };

static const struct key group_item = { "[]", .types = KT_STR | KT_NUM, .value = KV_STR };

/* ---- a service ------------------------------------------------------------------------------ */
static const struct key service_rows[] = {
	{ "profiles", STRS, .unique = UNIQUE_PAIR, .flags = KF_UNIQUE_ITEMS,
	  .help = "The service is there only when one of these is active." },
	{ "annotations", PAIRS(KV_MAPPING), .help = "OCI annotations of the container." },
	{ "attach", BOOL, .flags = KF_KEEP, .dflt = "true",
	  .help = "false: `up` does not show its output." },
	{ "build", .types = KT_STR | KT_MAP, .value = KV_OBJECT, .merge = MERGE_BUILD,
	  .form = FORM_BUILD, .sub = &build_keys, .flags = KF_KEEP, .want = "string",
	  .help = "How to make the image; a string is the context." },
	{ "develop", .types = KT_MAP | KT_NULL, .value = KV_OBJECT, .sub = &develop_keys,
	  .flags = KF_KEEP | KF_LATER, .help = "For `watch`." },
	{ "blkio_config", OBJECT, .sub = &blkio_keys, .flags = KF_KEEP | KF_LATER | KF_NO_X,
	  .help = "Limits and weights of disk access." },
	{ "cap_add", STRS, .unique = UNIQUE_PAIR, .flags = KF_UNIQUE_ITEMS,
	  .help = "Capabilities to add; ALL." },
	{ "cap_drop", STRS, .unique = UNIQUE_PAIR, .flags = KF_UNIQUE_ITEMS,
	  .help = "Capabilities to take away; ALL." },
	{ "cgroup_parent", STR, .help = "Parent cgroup of the container." },
	{ "cgroup", STR, .choices = "host|private", .help = "Cgroup namespace." },
	{ "cpu_count", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_MIN | KF_LATER,
	  .min = 0, .want = "string", .help = "Usable CPUs (Windows)." },
	{ "cpu_percent", STRINT, .value = KV_FLOAT, .cast = CAST_FLOAT,
	  .flags = KF_MIN | KF_MAX | KF_LATER, .min = 0, .max = 100, .want = "string",
	  .help = "Usable share of the CPUs (Windows)." },
	{ "cpu_period", STRNUM, .value = KV_INT, .cast = CAST_INT, .help = "CFS period in µs." },
	{ "cpu_quota", STRNUM, .value = KV_INT, .cast = CAST_INT, .help = "CFS quota in µs." },
	{ "cpu_rt_period", STRNUM, .value = KV_INT, .cast = CAST_INT, .flags = KF_LATER,
	  .help = "Realtime period in µs." },
	{ "cpu_rt_runtime", STRNUM, .value = KV_INT, .cast = CAST_INT, .flags = KF_LATER,
	  .help = "Realtime runtime in µs." },
	{ "cpus", STRNUM, .value = KV_FLOAT, .cast = CAST_FLOAT, .dflt = "no limit",
	  .help = "CPUs the container may use, e.g. 0.5." },
	{ "cpuset", STR, .help = "CPUs it may run on: 0-3,5." },
	{ "cpu_shares", STRNUM, .value = KV_INT, .cast = CAST_INT, .dflt = "1024",
	  .help = "Weight against other containers." },
	{ "command", COMMAND, .merge = MERGE_REPLACE, .flags = KF_JSON_ALWAYS,
	  .dflt = "the image's", .help = "What to run; a string is split into words, no shell." },
	{ "configs", LIST(mount_item), .unique = UNIQUE_CONFIG, .help = "Configs to mount." },
	{ "container_name", STR, .pattern = "[a-zA-Z0-9][a-zA-Z0-9_.-]+",
	  .dflt = "<project>-<service>-<n>", .help = "Name of the only container." },
	{ "credential_spec", OBJECT, .sub = &credential_keys, .flags = KF_KEEP | KF_LATER,
	  .help = "Managed service account (Windows)." },
	{ "depends_on", .types = KT_SEQ | KT_MAP, .value = KV_OBJECTS, .merge = MERGE_DEPENDS,
	  .form = FORM_DEPENDS, .sub = &depends_keys, .item = &text_item,
	  .flags = KF_UNIQUE_ITEMS | KF_NO_X, .want = "array",
	  .help = "Services to start before this one." },
	{ "deploy", .types = KT_MAP | KT_NULL, .value = KV_OBJECT, .sub = &deploy_keys,
	  .flags = KF_KEEP, .help = "Replicas, resources, restarts." },
	{ "device_cgroup_rules", STRS, .flags = KF_UNIQUE_ITEMS,
	  .help = "Device rules, e.g. \"c 1:3 mr\"." },
	{ "devices", LIST(device_item), .unique = UNIQUE_DEVICE, .help = "Devices of the host." },
	{ "dns", ONE_OR_MORE, .merge = MERGE_PAIRS, .unique = UNIQUE_PAIR, .form = FORM_LIST,
	  .flags = KF_UNIQUE_ITEMS, .help = "Name servers." },
	{ "dns_opt", STRS, .merge = MERGE_PAIRS, .unique = UNIQUE_PAIR, .flags = KF_UNIQUE_ITEMS,
	  .help = "Options of resolv.conf." },
	{ "dns_search", ONE_OR_MORE, .merge = MERGE_PAIRS, .unique = UNIQUE_PAIR,
	  .flags = KF_UNIQUE_ITEMS, .help = "Search domains." },
	{ "domainname", STR, .help = "Domain name of the container." },
	{ "entrypoint", COMMAND, .merge = MERGE_REPLACE, .flags = KF_JSON_ALWAYS,
	  .dflt = "the image's",
	  .help = "Program that runs `command`; also drops the image's command." },
	{ "provider", OBJECT, .sub = &provider_keys, .flags = KF_KEEP | KF_LATER,
	  .help = "A program that provides the service instead of a container." },
	{ "environment", PAIRS(KV_ENV), .help = "Variables; a bare name takes comp's own value." },
	{ "env_file", .types = KT_STR | KT_SEQ, .value = KV_LIST, .merge = MERGE_PAIRS,
	  .unique = UNIQUE_ENV_FILE, .form = FORM_ENV_FILE, .item = &env_file_item,
	  .want = "string", .help = "Files with variables; `environment` wins." },
	{ "expose", .types = KT_SEQ, .value = KV_STRS, .unique = UNIQUE_EXPOSE,
	  .item = &expose_item, .flags = KF_UNIQUE_ITEMS | KF_INFO,
	  .help = "Ports for other services; nothing is published." },
	{ "extends", .types = KT_STR | KT_MAP, .value = KV_OBJECT, .form = FORM_EXTENDS,
	  .sub = &extends_keys, .flags = KF_KEEP | KF_NO_X, .want = "string",
	  .help = "Start from another service's definition." },
	{ "external_links", STRS, .flags = KF_UNIQUE_ITEMS | KF_LATER,
	  .help = "Containers outside of the project to reach by name." },
	{ "extra_hosts", HOSTS, .help = "Lines for /etc/hosts; host-gateway is the host." },
	{ "group_add", .types = KT_SEQ, .value = KV_STRS, .item = &group_item,
	  .flags = KF_UNIQUE_ITEMS, .help = "Further groups of the user." },
	{ "gpus", .types = KT_STR | KT_SEQ, .value = KV_LIST, .form = FORM_GPUS, .item = &gpu_item,
	  .flags = KF_LATER, .want = "string", .choices = "all", .help = "GPUs to use; all." },
	{ "hostname", STR, .dflt = "the container's short id",
	  .help = "Host name of the container." },
	{ "healthcheck", OBJECT, .sub = &health_keys, .flags = KF_KEEP,
	  .help = "How to find out whether it works." },
	{ "image", STR, .help = "Image to run, or name for what `build` makes." },
	{ "init", FLAG, .flags = KF_KEEP, .dflt = "false",
	  .help = "A tiny init as process 1: reaps children, passes signals." },
	{ "ipc", STR, .dflt = "private", .help = "private, shareable, host, none or service:x." },
	{ "isolation", STR, .flags = KF_LATER, .help = "Isolation technology (Windows)." },
	{ "labels", PAIRS(KV_MAPPING), .help = "Labels of the container." },
	{ "label_file", .types = KT_STR | KT_SEQ, .value = KV_STRS, .merge = MERGE_PAIRS,
	  .form = FORM_LIST, .item = &label_file_item, .want = "string",
	  .help = "Files with labels; `labels` wins." },
	{ "links", STRS, .unique = UNIQUE_PAIR, .flags = KF_UNIQUE_ITEMS,
	  .help = "Services to reach under another name; they start first." },
	{ "logging", OBJECT, .merge = MERGE_LOGGING, .sub = &logging_keys, .flags = KF_KEEP,
	  .help = "Where the output goes." },
	{ "mem_limit", BYTES, .dflt = "no limit", .help = "Memory the container may use." },
	{ "mem_reservation", STRINT, .value = KV_BYTES,
	  .help = "Memory to leave alone under pressure." },
	{ "memswap_limit", BYTES, .dflt = "twice mem_limit",
	  .help = "Memory and swap together; -1 is no limit." },
	{ "mem_swappiness", STRINT, .value = KV_BYTES, .help = "0 to 100 (cgroup v1)." },
	{ "mac_address", STR, .help = "MAC address on the main network." },
	{ "models", .types = KT_SEQ | KT_MAP, .value = KV_OBJECTS, .merge = MERGE_NAMES,
	  .form = FORM_NAMES, .sub = &model_refs_keys, .item = &text_item,
	  .flags = KF_UNIQUE_ITEMS | KF_LATER, .want = "array", .help = "AI models to use." },
	{ "network_mode", STR, .help = "none, host, bridge, service:x or container:x." },
	{ "networks", .types = KT_SEQ | KT_MAP, .value = KV_OBJECTS, .merge = MERGE_NAMES,
	  .form = FORM_NAMES, .sub = &endpoints_keys, .item = &text_item,
	  .flags = KF_UNIQUE_ITEMS | KF_NO_X, .want = "array", .dflt = "default",
	  .help = "Networks to join." },
	{ "oom_kill_disable", FLAG, .dflt = "false",
	  .help = "Never kill it for memory (cgroup v1)." },
	{ "oom_score_adj", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_MIN | KF_MAX,
	  .min = -1000, .max = 1000, .want = "string", .help = "Preference of the OOM killer." },
	{ "pid", .types = KT_STR | KT_NULL, .value = KV_STR, .dflt = "private",
	  .help = "host, service:x or container:x." },
	{ "pids_limit", STRNUM, .value = KV_INT, .cast = CAST_INT,
	  .help = "Most processes; -1 is no limit." },
	{ "platform", STR, .help = "Platform of the image: os/arch/variant." },
	{ "ports", .types = KT_SEQ, .value = KV_LIST, .unique = UNIQUE_PORT, .form = FORM_PORTS,
	  .item = &port_item, .flags = KF_UNIQUE_ITEMS, .help = "Ports to publish on the host." },
	{ "privileged", FLAG, .dflt = "false", .help = "All capabilities and devices." },
	{ "pull_policy", STR, .dflt = "missing",
	  .pattern = "always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+["
		     "wdhms])+",
	  .help = "When to pull the image." },
	{ "pull_refresh_after", .types = KT_STR, .value = KV_DROP, .flags = KF_LATER,
	  .help = "Age after which `pull_policy: refresh` pulls." },
	{ "read_only", FLAG, .dflt = "false", .help = "The root file system cannot be written." },
	{ "restart", STR, .dflt = "no", .help = "no, always, on-failure[:n] or unless-stopped." },
	{ "runtime", STR, .flags = KF_LATER, .help = "OCI runtime to use." },
	{ "scale", STRINT, .value = KV_INT, .cast = CAST_INT, .flags = KF_KEEP, .dflt = "1",
	  .help = "How many containers; must agree with deploy.replicas." },
	{ "secrets", LIST(mount_item), .unique = UNIQUE_SECRET, .help = "Secrets to mount." },
	{ "security_opt", STRS, .flags = KF_UNIQUE_ITEMS,
	  .help = "seccomp=…, apparmor=…, no-new-privileges, systempaths=unconfined." },
	{ "shm_size", BYTES, .dflt = "64m", .help = "Size of /dev/shm." },
	{ "stdin_open", FLAG, .dflt = "false", .help = "Keep standard input open." },
	{ "stop_grace_period", TIME, .flags = KF_KEEP, .dflt = "10s",
	  .help = "Time between the stop signal and SIGKILL." },
	{ "stop_signal", STR, .dflt = "the image's, or SIGTERM",
	  .help = "Signal that asks it to stop." },
	{ "storage_opt", .types = KT_MAP, .value = KV_MAPPING, .sub = &any_keys, .flags = KF_LATER,
	  .help = "Options of the storage driver." },
	{ "sysctls", PAIRS(KV_MAPPING), .help = "Kernel parameters of its namespaces." },
	{ "tmpfs", ONE_OR_MORE, .merge = MERGE_PAIRS, .unique = UNIQUE_PAIR,
	  .flags = KF_UNIQUE_ITEMS, .help = "Paths to mount a tmpfs on: path[:options]." },
	{ "tty", FLAG, .dflt = "false", .help = "Give it a terminal." },
	{ "ulimits", .types = KT_MAP, .value = KV_OBJECTS, .sub = &ulimits_keys,
	  .help = "Resource limits of its processes." },
	{ "use_api_socket", .types = KT_BOOL, .value = KV_BOOL, .flags = KF_LATER,
	  .help = "Give it the engine's API socket." },
	{ "user", STR, .dflt = "the image's", .help = "uid or name[:gid or group]." },
	{ "userns_mode", STR, .acts = "host", .help = "host: no user namespace." },
	{ "uts", STR, .dflt = "private", .help = "host: the host's name." },
	{ "volumes", LIST(volume_item), .unique = UNIQUE_VOLUME, .flags = KF_UNIQUE_ITEMS,
	  .help = "What to mount: [source:]target[:options]." },
	{ "volumes_from", STRS, .flags = KF_UNIQUE_ITEMS,
	  .help = "Mount another container's volumes: service[:ro], container:name[:ro]." },
	{ "working_dir", STR, .dflt = "the image's", .help = "Where the command runs." },
	{ "pre_start", LIST(init_hook_item),
	  .help = "Containers that run to completion before this one starts." },
	{ "post_start", LIST(hook_item), .help = "Commands to run in it after each start." },
	{ "pre_stop", LIST(hook_item), .help = "Commands to run in it before it is stopped." },
	{ "x-comp-probe", OBJECT, .sub = &probe_keys,
	  .help = "A health check by comp itself: {tcp: 5432} or {http: \"http://:80/\"}." },
	{ "x-comp-on-unhealthy", STR, .choices = "none|restart", .dflt = "none",
	  .help = "What to do with a container that turns unhealthy." },
};
static const struct keyset service_keys = SET(service_rows);
static const struct key service = { "*", OBJECT, .sub = &service_keys };
static const struct keyset services_keys = { .other = &service, .named = true };

/* ---- resources ------------------------------------------------------------------------------- */
static const struct key external_rows[] = {
	{ "name", STR, .help = "Use `name` beside `external: true` instead." },
};
static const struct keyset external_keys = SET(external_rows);
static const struct keyset open_external_keys = { .keys = external_rows,
						  .n = ARRAY_SIZE(external_rows),
						  .open = true };
#define EXTERNAL(keys)                                                                             \
	{                                                                                          \
		"external", .types = KT_STR | KT_BOOL | KT_MAP, .value = KV_BOOL,                  \
			    .cast = CAST_BOOL, .sub = &(keys), .dflt = "false",                    \
			    .help = "It exists already and is not made or removed."                \
	}
#define DRIVER_OPTS                                                                                \
	{                                                                                          \
		"driver_opts", .types = KT_MAP, .value = KV_MAPPING, .sub = &option_keys,          \
			       .help = "Options for the driver."                                   \
	}

static const struct key pool_rows[] = {
	{ "subnet", STR, .help = "Address range, e.g. 172.28.0.0/16." },
	{ "gateway", STR, .help = "Address of the bridge." },
	{ "ip_range", STR, .help = "Part of the subnet that containers get addresses from." },
	{ "aux_addresses", .types = KT_MAP, .value = KV_MAPPING, .sub = &text_keys,
	  .help = "Addresses to keep free." },
};
static const struct keyset pool_keys = SET(pool_rows);
static const struct key pool_item = { "[]", OBJECT, .sub = &pool_keys };
static const struct key ipam_rows[] = {
	{ "driver", STR, .dflt = "default", .acts = "default", .help = "Address manager." },
	{ "config", LIST(pool_item), .merge = MERGE_IPAM, .help = "Address ranges." },
	{ "options", .types = KT_MAP, .value = KV_DROP, .unique = UNIQUE_PAIR, .sub = &text_keys,
	  .flags = KF_INFO, .help = "Options of the address manager." },
};
static const struct keyset ipam_keys = SET(ipam_rows);

static const struct key network_rows[] = {
	{ "name", STR, .dflt = "<project>_<network>", .help = "The network's own name." },
	{ "driver", STR, .dflt = "bridge", .help = "bridge, host or none." },
	DRIVER_OPTS,
	{ "ipam", OBJECT, .sub = &ipam_keys, .flags = KF_JSON_ALWAYS, .help = "Address ranges." },
	EXTERNAL(external_keys),
	{ "internal", FLAG, .dflt = "false", .help = "No way out of the network." },
	{ "attachable", FLAG, .dflt = "false", .flags = KF_INFO, .help = "Others may join." },
	{ "labels", PAIRS(KV_MAPPING), .help = "Labels of the network." },
	{ "enable_ipv4", FLAG, .flags = KF_KEEP, .dflt = "true",
	  .help = "Give out IPv4 addresses." },
	{ "enable_ipv6", FLAG, .flags = KF_KEEP, .dflt = "false",
	  .help = "Give out IPv6 addresses." },
};
static const struct keyset network_keys = SET(network_rows);
static const struct key network = { "*", .types = KT_MAP | KT_NULL, .value = KV_OBJECT,
				    .form = FORM_EXTERNAL, .sub = &network_keys };
static const struct keyset networks_keys = { .other = &network, .named = true, .open = true };

static const struct key named_volume_rows[] = {
	{ "name", STR, .dflt = "<project>_<volume>", .help = "The volume's own name." },
	{ "driver", STR, .dflt = "local", .acts = "local", .help = "Volume driver." },
	DRIVER_OPTS,
	EXTERNAL(external_keys),
	{ "labels", PAIRS(KV_MAPPING), .help = "Labels of the volume." },
};
static const struct keyset named_volume_keys = SET(named_volume_rows);
static const struct key named_volume = { "*",
					 .types = KT_MAP | KT_NULL,
					 .value = KV_OBJECT,
					 .form = FORM_EXTERNAL,
					 .path = PATH_DRIVER,
					 .sub = &named_volume_keys };
static const struct keyset volumes_keys = { .other = &named_volume, .named = true };

static const struct key secret_rows[] = {
	{ "name", STR, .dflt = "<project>_<secret>", .help = "The secret's own name." },
	{ "file", STR, .path = PATH_HOST, .help = "File that holds it." },
	{ "environment", STR, .help = "Variable that holds it." },
	EXTERNAL(open_external_keys),
	{ "labels", DICT_FLAGS(KV_MAPPING, KF_LATER), .help = "Labels of the secret." },
	{ "driver", STR, .flags = KF_LATER, .help = "Secret driver." },
	{ "driver_opts", .types = KT_MAP, .value = KV_MAPPING, .sub = &option_keys,
	  .flags = KF_LATER, .help = "Options for the driver." },
	{ "template_driver", STR, .flags = KF_LATER, .help = "Template driver." },
};
static const struct keyset secret_keys = SET(secret_rows);
static const struct key secret = { "*", OBJECT, .form = FORM_EXTERNAL, .sub = &secret_keys };
static const struct keyset secrets_keys = { .other = &secret, .named = true };

static const struct key config_rows[] = {
	{ "name", STR, .dflt = "<project>_<config>", .help = "The config's own name." },
	{ "file", STR, .path = PATH_HOST, .help = "File that holds it." },
	{ "environment", STR, .help = "Variable that holds it." },
	{ "content", STR, .help = "The text itself." },
	EXTERNAL(open_external_keys),
	{ "labels", DICT_FLAGS(KV_MAPPING, KF_LATER), .help = "Labels of the config." },
	{ "template_driver", STR, .flags = KF_LATER, .help = "Template driver." },
};
static const struct keyset config_keys = SET(config_rows);
static const struct key config = { "*", OBJECT, .form = FORM_EXTERNAL, .sub = &config_keys };
static const struct keyset configs_keys = { .other = &config, .named = true };

static const struct key model_rows[] = {
	{ "name", STR, .help = "Name of the model." },
	{ "model", STR, .flags = KF_REQUIRED, .help = "The model's reference." },
	{ "context_size", .types = KT_INT, .value = KV_INT, .help = "Size of the context." },
	{ "runtime_flags", STRS, .help = "Flags for the inference engine." },
};
static const struct keyset model_keys = SET(model_rows);
static const struct key model = { "*", .types = KT_MAP | KT_NULL, .value = KV_OBJECT,
				  .sub = &model_keys };
static const struct keyset models_keys = { .other = &model, .open = true, .named = true };

/* ---- the top --------------------------------------------------------------------------------- */
static const struct key include_path_item = { "[]", STR };
#define PATHS                                                                                      \
	.types = KT_STR | KT_SEQ, .value = KV_STRS, .item = &include_path_item,                    \
	.flags = KF_UNIQUE_ITEMS, .want = "string"
static const struct key include_rows[] = {
	{ "path", PATHS, .help = "The file; further ones override it." },
	{ "project_directory", STR, .help = "Folder that its relative paths start from.",
	  .dflt = "the file's" },
	{ "env_file", PATHS, .help = "Files with variables for it.", .dflt = ".env beside it" },
};
static const struct keyset include_keys = SET(include_rows);
static const struct key include_item = { "[]",
					 .types = KT_STR | KT_MAP,
					 .value = KV_DROP,
					 .form = FORM_INCLUDE,
					 .sub = &include_keys,
					 .flags = KF_NO_X,
					 .want = "string" };

#define SECTION(rows) .types = KT_MAP, .value = KV_OBJECTS, .sub = &(rows), .flags = KF_NO_X

static const struct key root_rows[] = {
	{ "version", .types = KT_STR, .value = KV_DROP, .flags = KF_INFO,
	  .help = "Obsolete; not looked at." },
	{ "name", STR, .dflt = "the folder's name", .help = "Name of the project." },
	{ "include", LIST(include_item), .help = "Other Compose files to load with this one." },
	{ "services", SECTION(services_keys), .help = "The services, by name." },
	{ "networks", SECTION(networks_keys), .help = "The networks, by name." },
	{ "volumes", SECTION(volumes_keys), .help = "The named volumes, by name." },
	{ "secrets", SECTION(secrets_keys), .help = "The secrets, by name." },
	{ "configs", SECTION(configs_keys), .help = "The configs, by name." },
	{ "models", .types = KT_MAP, .value = KV_OBJECTS, .sub = &models_keys,
	  .flags = KF_NO_X | KF_LATER, .help = "The AI models, by name." },
};
static const struct keyset root_keys = SET(root_rows);
const struct key key_root = { "", OBJECT, .sub = &root_keys };
