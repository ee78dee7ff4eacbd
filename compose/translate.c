/* compose/translate.c: one service, one spec.
 *
 * A spec is filled by groups of keys (process, mounts, networks, limits, …), each
 * a function that reads the canonical node and writes its part of the struct.
 * What the image says is put in first or where the service is silent; nothing
 * of the image's labels is read.
 */
#include "compose/translate.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/signals.h"
#include "base/strv.h"
#include "compose/hash.h"
#include "compose/pre_start.h"
#include "compose/values.h"
#include "compose/version_label.h"
#include "engine/supervise/probe.h"
#include "volumes/volume.h"

#define DEFAULT_PATH    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SECRET_FILE_MAX (1 << 20)

struct job {
	const struct project *p;
	const struct dirs *dirs;
	const char *name; /* of the service */
	const struct node *service;
	const struct image_config *image;
	struct container_spec *spec;
	struct diag *diag;
};

/* ---- small readers ----------------------------------------------------------------- */
static char **strings(const struct node *seq)
{
	char **v = NULL;

	if (!node_is(seq, NODE_SEQ))
		return node_is(seq, NODE_STRING) ? strv_split(seq->text, '\0', false) : NULL;
	v = xcalloc(1, sizeof(*v));
	for (size_t i = 0; i < seq->n; i++)
		if (seq->items[i]->text)
			strv_add(&v, seq->items[i]->text);
	return v;
}

static char **strings_of(const struct job *j, const char *key)
{
	return strings(node_get(j->service, key));
}

/* {a: b} as "a=b"; null values are left out. */
static char **pairs(const struct node *map)
{
	char **v = NULL;

	for (size_t i = 0; node_is(map, NODE_MAP) && i < map->n; i++)
		if (map->entries[i].value->text)
			strv_addf(&v, "%s=%s", map->entries[i].key, map->entries[i].value->text);
	return v;
}

static char *string_of(const struct job *j, const char *key)
{
	const struct node *n = node_get(j->service, key);

	return n ? xstrdup_null(n->text) : NULL;
}

/* Full name of networks.KEY or volumes.KEY. */
static const char *full_name(const struct project *p, const char *section, const char *key)
{
	const struct node *n = node_get(project_section(p, section), key);
	const char *name = node_get_str(n, "name");

	return name ? name : arena_printf(p->arena, "%s_%s", p->name, key);
}

/* ---- process ----------------------------------------------------------------------------- */
static int set_argv(struct job *j)
{
	const struct node *entrypoint = node_get(j->service, "entrypoint");
	const struct node *command = node_get(j->service, "command");
	char **argv = node_is_null(entrypoint) ? strv_copy(j->image->entrypoint)
					       : strings(entrypoint);
	_cleanup_(strv_freep) char **rest = NULL;

	if (!node_is_null(command))
		rest = strings(command);
	else if (node_is_null(entrypoint))
		rest = strv_copy(j->image->cmd); /* an own entrypoint drops the image's CMD */
	strv_extend(&argv, rest);
	j->spec->argv = argv;
	if (!argv || !argv[0])
		return diag_err(j->diag, j->service, EINVAL,
				"services.%s: no command specified: neither the service nor its "
				"image says what to run",
				j->name);
	return 0;
}

static void set_env(struct job *j)
{
	const struct node *own = node_get(j->service, "environment");
	char **env = strv_copy(j->image->env);

	if (!strv_env_get(env, "PATH")) {
		char **with_path = NULL;

		strv_add(&with_path, DEFAULT_PATH);
		strv_extend(&with_path, env);
		strv_free(env);
		env = with_path;
	}
	for (size_t i = 0; node_is(own, NODE_MAP) && i < own->n; i++)
		strv_env_set(&env, own->entries[i].key, own->entries[i].value->text);
	j->spec->env = env;
}

static int set_process(struct job *j)
{
	struct container_spec *s = j->spec;
	const char *signal = node_get_str(j->service, "stop_signal");
	int r = set_argv(j);

	if (r < 0)
		return r;
	set_env(j);
	s->cwd = string_of(j, "working_dir");
	if (!s->cwd)
		s->cwd = xstrdup_null(j->image->workdir);
	s->user = string_of(j, "user");
	if (!s->user)
		s->user = xstrdup_null(j->image->user);
	s->group_add = strings_of(j, "group_add");
	s->hostname = string_of(j, "hostname");
	s->domainname = string_of(j, "domainname");
	s->tty = node_get_bool(j->service, "tty", false);
	s->stdin_open = node_get_bool(j->service, "stdin_open", false);
	s->init = node_get_bool(j->service, "init", false);
	s->stop_grace = value_duration(j->service, "stop_grace_period", UINT64_MAX);
	if (!signal)
		signal = j->image->stop_signal;
	s->stop_signal = signal ? signal_parse(signal) : 0;
	if (s->stop_signal < 0)
		return diag_err(j->diag, node_get(j->service, "stop_signal"), EINVAL,
				"services.%s.stop_signal: invalid signal: %s", j->name, signal);
	return 0;
}

/* ---- restart, health, log -------------------------------------------------------------------- */
static int set_restart(struct job *j)
{
	const struct node *policy = node_path(j->service, "deploy", "restart_policy", NULL);
	const struct node *node = node_get(j->service, "restart");
	const char *restart = node_get_str(j->service, "restart");
	const char *condition = node_get_str(policy, "condition"), *count;
	struct restart_spec *r = &j->spec->restart;

	if (policy) {
		r->mode = !condition || streq(condition, "any") ? RESTART_ALWAYS
			  : streq(condition, "on-failure")      ? RESTART_ON_FAILURE
								: RESTART_NO;
		r->max_attempts = value_int(policy, "max_attempts", 0);
		r->delay = value_duration(policy, "delay", 0);
		r->window = value_duration(policy, "window", 0);
		return 0;
	}
	if (!restart || streq(restart, "no") || !*restart) {
		r->mode = RESTART_NO;
	} else if (streq(restart, "always")) {
		r->mode = RESTART_ALWAYS;
	} else if (streq(restart, "unless-stopped")) {
		r->mode = RESTART_UNLESS_STOPPED;
	} else if ((count = skip_prefix(restart, "on-failure"))) {
		r->mode = RESTART_ON_FAILURE;
		if (*count && (*count != ':' || !parse_i64(count + 1, &r->max_attempts)))
			return diag_err(
				j->diag, node, EINVAL,
				"services.%s.restart: invalid restart policy: maximum retry "
				"count must be an integer: %s",
				j->name, restart);
	} else {
		return diag_err(j->diag, node, EINVAL,
				"services.%s.restart: invalid restart policy: unknown policy '%s'; "
				"use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
				j->name, restart);
	}
	return 0;
}

/* x-comp-probe as a health test; see engine/supervise/probe.h. */
static int set_probe(struct job *j, const struct node *probe)
{
	struct health_spec *h = &j->spec->health;
	const char *tcp = node_get_str(probe, "tcp"), *http = node_get_str(probe, "http");
	int64_t status = value_int(probe, "status", 0);
	struct err e = ERR_INIT;
	struct probe parsed;

	strv_add(&h->test, tcp ? "TCP" : "HTTP");
	strv_add(&h->test, tcp ? tcp : http ? http : "");
	if (status)
		strv_addf(&h->test, "%lld", (long long)status);
	if (probe_parse(h->test, &parsed, &e) == 0)
		return 0;
	diag_err(j->diag, node_get(probe, tcp ? "tcp" : "http"), EINVAL,
		 "services.%s.x-comp-probe: %s", j->name, e.msg);
	if (e.hint[0])
		diag_hint(j->diag, "%s", e.hint);
	return -EINVAL;
}

static int set_health(struct job *j)
{
	const struct node *n = node_get(j->service, "healthcheck");
	const struct node *probe = node_get(j->service, "x-comp-probe");
	const char *unhealthy = node_get_str(j->service, "x-comp-on-unhealthy");
	const struct image_health *image = &j->image->health;
	struct health_spec *h = &j->spec->health;
	int r;

	h->restart_unhealthy = unhealthy && streq(unhealthy, "restart");
	if (node_get_bool(n, "disable", false)) {
		strv_add(&h->test, "NONE");
		return 0;
	}
	if (node_is(probe, NODE_MAP)) {
		r = set_probe(j, probe);
		if (r < 0)
			return r;
	} else {
		h->test = strings(node_get(n, "test"));
	}
	/* Each part that the service leaves open is the image's. */
	if (!h->test || !h->test[0]) {
		strv_free(h->test);
		h->test = strv_copy(image->test);
	}
	h->interval = value_duration(n, "interval", image->interval);
	h->timeout = value_duration(n, "timeout", image->timeout);
	h->start_period = value_duration(n, "start_period", image->start_period);
	h->start_interval = value_duration(n, "start_interval", image->start_interval);
	h->retries = value_int(n, "retries", image->retries);
	return 0;
}

/* ---- hooks ----------------------------------------------------------------------------------- */
static struct hook_spec *hooks(const struct node *seq, size_t *n)
{
	struct hook_spec *list;

	*n = 0;
	if (!node_is(seq, NODE_SEQ) || !seq->n)
		return NULL;
	list = xcalloc(seq->n, sizeof(*list));
	for (size_t i = 0; i < seq->n; i++) {
		const struct node *h = seq->items[i];

		list[(*n)++] = (struct hook_spec){
			.argv = strings(node_get(h, "command")),
			.env = pairs(node_get(h, "environment")),
			.user = xstrdup_null(node_get_str(h, "user")),
			.cwd = xstrdup_null(node_get_str(h, "working_dir")),
			.privileged = node_get_bool(h, "privileged", false),
		};
	}
	return list;
}

static void set_hooks(struct job *j)
{
	struct container_spec *s = j->spec;

	s->post_start = hooks(node_get(j->service, "post_start"), &s->n_post_start);
	s->pre_stop = hooks(node_get(j->service, "pre_stop"), &s->n_pre_stop);
}

static void set_log(struct job *j)
{
	const struct node *logging = node_get(j->service, "logging");
	const struct node *options = node_get(logging, "options");
	const char *driver = node_get_str(logging, "driver");

	j->spec->log.driver = xstrdup_null(driver);
	j->spec->log.max_size = (uint64_t)MAX(value_bytes(options, "max-size", 0), (int64_t)0);
	j->spec->log.max_file = value_int(options, "max-file", 0);
}

/* ---- mounts -------------------------------------------------------------------------------------
 */
static struct mount_spec *add_mount(struct container_spec *s, enum mount_type type,
				    const char *target)
{
	struct mount_spec *m;

	s->mounts = xreallocarray(s->mounts, s->n_mounts + 1, sizeof(*s->mounts));
	m = &s->mounts[s->n_mounts++];
	*m = (struct mount_spec){ .type = type, .target = xstrdup(target) };
	return m;
}

static void set_volume_source(const struct job *j, struct mount_spec *m, const char *name)
{
	m->volume = xstrdup(name);
	m->source = xasprintf("%s/volumes/%s/_data", j->dirs->root, name);
}

static int add_volume(struct job *j, const struct node *v)
{
	const char *type = node_get_str(v, "type"), *source = node_get_str(v, "source");
	const char *target = node_get_str(v, "target");
	const struct node *bind = node_get(v, "bind"), *volume = node_get(v, "volume");
	const struct node *tmpfs = node_get(v, "tmpfs");
	struct mount_spec *m;

	if (!target || !type)
		return diag_err(j->diag, v, EINVAL, "services.%s.volumes: a mount needs a target",
				j->name);
	if (streq(type, "bind")) {
		m = add_mount(j->spec, MOUNT_BIND, target);
		m->source = xstrdup_null(source);
		m->create_source = node_get_bool(bind, "create_host_path", true);
		m->propagation = xstrdup_null(node_get_str(bind, "propagation"));
	} else if (streq(type, "volume")) {
		m = add_mount(j->spec, MOUNT_VOLUME, target);
		m->anonymous = is_empty(source);
		if (!m->anonymous)
			set_volume_source(j, m, full_name(j->p, "volumes", source));
		m->nocopy = node_get_bool(volume, "nocopy", false);
		m->subpath = xstrdup_null(node_get_str(volume, "subpath"));
	} else if (streq(type, "tmpfs")) {
		m = add_mount(j->spec, MOUNT_TMPFS, target);
		m->tmpfs_size = (uint64_t)MAX(value_bytes(tmpfs, "size", 0), (int64_t)0);
		m->tmpfs_mode = value_mode(tmpfs, "mode", 0);
	} else {
		return diag_err(j->diag, v, ENOTSUP,
				"services.%s.volumes: mounts of type \"%s\" are not supported",
				j->name, type);
	}
	m->read_only = node_get_bool(v, "read_only", false);
	return 0;
}

/* "path[:options]" */
static void add_tmpfs(struct job *j, const char *text)
{
	_cleanup_(free_p) char *target = xstrndup(text, strcspn(text, ":"));
	const char *options = strchr(text, ':');

	add_mount(j->spec, MOUNT_TMPFS, target)->tmpfs_options = options ? xstrdup(options + 1)
									 : NULL;
}

static bool has_target(const struct container_spec *s, const char *target)
{
	_cleanup_(free_p) char *clean = path_clean(target);

	for (size_t i = 0; i < s->n_mounts; i++) {
		_cleanup_(free_p) char *other = path_clean(s->mounts[i].target);

		if (streq(clean, other))
			return true;
	}
	return false;
}

static int set_mounts(struct job *j)
{
	const struct node *volumes = node_get(j->service, "volumes");
	_cleanup_(strv_freep) char **tmpfs = strings_of(j, "tmpfs");

	for (size_t i = 0; node_is(volumes, NODE_SEQ) && i < volumes->n; i++) {
		int r = add_volume(j, volumes->items[i]);

		if (r < 0)
			return r;
	}
	STRV_FOREACH (t, tmpfs)
		add_tmpfs(j, *t);
	STRV_FOREACH (v, j->image->volumes)
		if (!has_target(j->spec, *v))
			add_mount(j->spec, MOUNT_VOLUME, *v)->anonymous = true;
	j->spec->shm_size = (uint64_t)MAX(value_bytes(j->service, "shm_size", 0), (int64_t)0);
	j->spec->read_only = node_get_bool(j->service, "read_only", false);
	return 0;
}

/* ---- secrets and configs
 * --------------------------------------------------------------------------- */
static void add_file(struct job *j, const struct node *grant, const char *target,
		     const char *content, size_t n)
{
	struct container_spec *s = j->spec;
	struct file_spec *f;

	s->files = xreallocarray(s->files, s->n_files + 1, sizeof(*s->files));
	f = &s->files[s->n_files++];
	*f = (struct file_spec){ .target = xstrdup(target),
				 .content = xmemdup(content, n + 1),
				 .size = n,
				 .uid = (uint32_t)value_int(grant, "uid", 0),
				 .gid = (uint32_t)value_int(grant, "gid", 0),
				 .mode = value_mode(grant, "mode", 0444) };
}

/* A file without an owner or mode of its own is bind mounted, so that changes
 * to it show, as Docker Compose does it; else comp writes a copy that has them. */
static int grant_file(struct job *j, const struct node *grant, const char *file, const char *target)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT;
	struct err e = ERR_INIT;
	struct mount_spec *m;

	if (!node_get(grant, "uid") && !node_get(grant, "gid") && !node_get(grant, "mode")) {
		m = add_mount(j->spec, MOUNT_BIND, target);
		m->source = xstrdup(file);
		m->read_only = true;
		return 0;
	}
	if (file_read_follow(AT_FDCWD, file, SECRET_FILE_MAX, &content, &e) < 0)
		return diag_err(j->diag, grant, e.code, "services.%s: %s", j->name, e.msg);
	add_file(j, grant, target, buf_str(&content), content.len);
	return 0;
}

static int add_grant(struct job *j, const char *section, const char *folder,
		     const struct node *grant)
{
	const char *source = node_get_str(grant, "source"), *target = node_get_str(grant, "target");
	const struct node *def = node_get(project_section(j->p, section), source ? source : "");
	const char *file = node_get_str(def, "file"), *content = node_get_str(def, "content");
	const char *variable = node_get_str(def, "environment");
	_cleanup_(free_p) char *path = path_join(folder, target ? target : source ? source : "");
	const struct project_var *var;

	if (node_get_bool(def, "external", false))
		return diag_err(j->diag, grant, ENOTSUP, "unsupported external %.*s %s",
				(int)strlen(section) - 1, section, source);
	if (file)
		return grant_file(j, grant, file, path);
	if (variable) {
		var = map_get(&j->p->environment, variable);
		if (!var)
			return diag_err(
				j->diag, grant, EINVAL,
				"environment variable \"%s\" required by %.*s \"%s\" is not set",
				variable, (int)strlen(section) - 1, section, source);
		content = var->value;
	}
	if (content)
		add_file(j, grant, path, content, strlen(content));
	return 0;
}

static int set_files(struct job *j)
{
	static const char *const kinds[][2] = { { "secrets", "/run/secrets" }, { "configs", "/" } };

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		const struct node *grants = node_get(j->service, kinds[k][0]);

		for (size_t i = 0; node_is(grants, NODE_SEQ) && i < grants->n; i++) {
			int r = add_grant(j, kinds[k][0], kinds[k][1], grants->items[i]);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* ---- namespaces and networks
 * --------------------------------------------------------------------------- */
static void set_namespace(struct namespace_spec *ns, const char *mode)
{
	if (!mode)
		return;
	if (streq(mode, "host"))
		ns->mode = NAMESPACE_HOST;
	else if (streq(mode, "none"))
		ns->mode = NAMESPACE_NONE;
	else if (skip_prefix(mode, "service:") || skip_prefix(mode, "container:")) {
		ns->mode = NAMESPACE_CONTAINER;
		ns->container = xstrdup(mode);
	}
}

static int by_priority(const void *a, const void *b)
{
	const struct network_spec *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return strcmp(x->network, y->network);
}

/* Docker's `bridge` is one network for the whole machine; here each project has its own. */
static bool uses_bridge(const struct node *service)
{
	const char *mode = node_get_str(service, "network_mode");

	return mode && (streq(mode, "bridge") || streq(mode, "default"));
}

static int set_networks(struct job *j)
{
	const struct node *networks = node_get(j->service, "networks");
	const char *mode = node_get_str(j->service, "network_mode");
	struct container_spec *s = j->spec;

	set_namespace(&s->net, mode);
	if (uses_bridge(j->service)) {
		s->networks = xcalloc(1, sizeof(*s->networks));
		s->networks[s->n_networks++].network = xstrdup(full_name(j->p, "networks",
									 "default"));
	} else if (!is_empty(mode) && s->net.mode == NAMESPACE_PRIVATE) {
		return diag_err(j->diag, node_get(j->service, "network_mode"), ENOTSUP,
				"services.%s.network_mode: \"%s\" is not supported; use one of "
				"'bridge', 'host', 'none', 'service:NAME' or 'container:NAME'",
				j->name, mode);
	}
	if (s->net.mode != NAMESPACE_PRIVATE || !node_is(networks, NODE_MAP))
		return 0;
	s->networks = xcalloc(networks->n, sizeof(*s->networks));
	for (size_t i = 0; i < networks->n; i++) {
		const struct node *o = networks->entries[i].value;
		const char *key = networks->entries[i].key;

		s->networks[s->n_networks++] = (struct network_spec){
			.network = xstrdup(full_name(j->p, "networks", key)),
			.aliases = strings(node_get(o, "aliases")),
			.ipv4 = xstrdup_null(node_get_str(o, "ipv4_address")),
			.ipv6 = xstrdup_null(node_get_str(o, "ipv6_address")),
			.mac = xstrdup_null(node_get_str(o, "mac_address")),
			.interface = xstrdup_null(node_get_str(o, "interface_name")),
			.priority = (int)value_int(o, "priority", 0),
			.gw_priority = (int)value_int(o, "gw_priority", 0),
		};
	}
	qsort(s->networks, s->n_networks, sizeof(*s->networks), by_priority);
	if (s->n_networks && !s->networks[0].mac)
		s->networks[0].mac = string_of(j, "mac_address");
	return 0;
}

static bool parse_port(const char *text, uint16_t *port)
{
	uint64_t v;

	if (!parse_u64(text, &v) || v > UINT16_MAX)
		return false;
	*port = (uint16_t)v;
	return true;
}

static int add_port(struct job *j, const struct node *n)
{
	const struct node *published = node_get(n, "published");
	const char *host_ip = node_get_str(n, "host_ip"), *protocol = node_get_str(n, "protocol");
	_cleanup_(free_p) char *first = xstrdup(published && published->text ? published->text
									     : "0");
	char *last = strchr(first, '-');
	int64_t target = value_int(n, "target", 0);
	struct port_spec port = { 0 };

	if (last)
		*last++ = '\0';
	port.container_port = (uint16_t)target;
	if (!parse_port(*first ? first : "0", &port.host_first) ||
	    !parse_port(last     ? last
			: *first ? first
				 : "0",
			&port.host_last) ||
	    port.host_last < port.host_first || target < 1 || target > UINT16_MAX)
		return diag_err(j->diag, n, EINVAL, "services.%s.ports: invalid port", j->name);
	if (protocol && !streq(protocol, "tcp") && !streq(protocol, "udp"))
		return diag_err(j->diag, n, ENOTSUP,
				"services.%s.ports: protocol %s is not supported", j->name,
				protocol);
	port.host_ip = is_empty(host_ip) ? NULL : xstrdup(host_ip);
	port.protocol = xstrdup(protocol ? protocol : "tcp");
	j->spec->ports = xreallocarray(j->spec->ports, j->spec->n_ports + 1, sizeof(port));
	j->spec->ports[j->spec->n_ports++] = port;
	return 0;
}

static int set_connections(struct job *j)
{
	const struct node *ports = node_get(j->service, "ports");
	_cleanup_(strv_freep) char **external = strings_of(j, "external_links");
	struct container_spec *s = j->spec;
	int r = set_networks(j);

	for (size_t i = 0; r == 0 && node_is(ports, NODE_SEQ) && i < ports->n; i++)
		r = add_port(j, ports->items[i]);
	if (r < 0)
		return r;
	s->expose = strings_of(j, "expose");
	s->extra_hosts = strings_of(j, "extra_hosts");
	s->dns = strings_of(j, "dns");
	s->dns_search = strings_of(j, "dns_search");
	s->dns_opt = strings_of(j, "dns_opt");
	s->links = strings_of(j, "links");
	strv_extend(&s->links, external);
	set_namespace(&s->pid, node_get_str(j->service, "pid"));
	set_namespace(&s->ipc, node_get_str(j->service, "ipc"));
	set_namespace(&s->uts, node_get_str(j->service, "uts"));
	set_namespace(&s->cgroup, node_get_str(j->service, "cgroup"));
	set_namespace(&s->user_ns, node_get_str(j->service, "userns_mode"));
	return 0;
}

/* ---- limits and privileges
 * --------------------------------------------------------------------------------- */
static void set_resources(struct job *j)
{
	const struct node *s = j->service;
	const struct node *limits = node_path(s, "deploy", "resources", "limits", NULL);
	const struct node *reserved = node_path(s, "deploy", "resources", "reservations", NULL);
	struct resources_spec *r = &j->spec->resources;
	int64_t cpus = value_cpus(limits, "cpus");

	r->memory = value_bytes(limits, "memory", value_bytes(s, "mem_limit", 0));
	r->memory_reservation = value_bytes(reserved, "memory",
					    value_bytes(s, "mem_reservation", 0));
	r->memory_swap = value_bytes(s, "memswap_limit", 0);
	r->nano_cpus = cpus ? cpus : value_cpus(s, "cpus");
	r->cpu_shares = value_int(s, "cpu_shares", 0);
	r->cpu_quota = value_int(s, "cpu_quota", 0);
	r->cpu_period = value_int(s, "cpu_period", 0);
	r->cpuset = string_of(j, "cpuset");
	r->pids = value_int(limits, "pids", value_int(s, "pids_limit", 0));
	r->memory_swappiness = value_int(s, "mem_swappiness", -1);
	r->oom_kill_disable = node_get_bool(s, "oom_kill_disable", false);
	j->spec->oom_score_adj_set = node_get(s, "oom_score_adj") != NULL;
	j->spec->oom_score_adj = (int)value_int(s, "oom_score_adj", 0);
	j->spec->cgroup_parent = string_of(j, "cgroup_parent");
	j->spec->sysctls = pairs(node_get(s, "sysctls"));
}

static void set_ulimits(struct job *j)
{
	const struct node *map = node_get(j->service, "ulimits");
	struct container_spec *s = j->spec;

	if (!node_is(map, NODE_MAP))
		return;
	s->ulimits = xcalloc(map->n, sizeof(*s->ulimits));
	for (size_t i = 0; i < map->n; i++) {
		const struct node *v = map->entries[i].value;
		int64_t both = value_int(map, map->entries[i].key, 0);

		s->ulimits[s->n_ulimits++] = (struct ulimit_spec){
			.name = xstrdup(map->entries[i].key),
			.soft = value_int(v, "soft", both),
			.hard = value_int(v, "hard", both)
		};
	}
}

static void set_devices(struct job *j)
{
	const struct node *seq = node_get(j->service, "devices");
	struct container_spec *s = j->spec;

	for (size_t i = 0; node_is(seq, NODE_SEQ) && i < seq->n; i++) {
		const struct node *n = seq->items[i];
		const char *permissions = node_get_str(n, "permissions");

		s->devices = xreallocarray(s->devices, s->n_devices + 1, sizeof(*s->devices));
		s->devices[s->n_devices++] = (struct device_spec){
			.source = xstrdup_null(node_get_str(n, "source")),
			.target = xstrdup_null(node_get_str(n, "target")),
			.permissions = xstrdup(permissions ? permissions : "rwm"),
		};
	}
	s->device_cgroup_rules = strings_of(j, "device_cgroup_rules");
}

static int set_seccomp(struct job *j, const struct node *at, const char *value)
{
	_cleanup_(free_p) char *path = path_absolute(j->p->working_dir, value);
	_cleanup_(buf_done) struct buf profile = BUF_INIT;
	struct err e = ERR_INIT;

	if (streq(value, "unconfined")) {
		j->spec->seccomp_unconfined = true;
	} else if (!streq(value, "builtin")) {
		if (file_read_follow(AT_FDCWD, path, SECRET_FILE_MAX, &profile, &e) < 0)
			return diag_err(j->diag, at, e.code, "services.%s.security_opt: %s",
					j->name, e.msg);
		j->spec->seccomp_profile = buf_take(&profile);
	}
	return 0;
}

static int set_security(struct job *j)
{
	const struct node *seq = node_get(j->service, "security_opt");
	struct container_spec *s = j->spec;

	s->privileged = node_get_bool(j->service, "privileged", false);
	s->cap_add = strings_of(j, "cap_add");
	s->cap_drop = strings_of(j, "cap_drop");
	for (size_t i = 0; node_is(seq, NODE_SEQ) && i < seq->n; i++) {
		const char *text = seq->items[i]->text ? seq->items[i]->text : "", *value;
		int r = 0;

		if ((value = skip_prefix(text, "seccomp=")) ||
		    (value = skip_prefix(text, "seccomp:")))
			r = set_seccomp(j, seq->items[i], value);
		else if (streq(text, "no-new-privileges") ||
			 streq(text, "no-new-privileges:true") ||
			 streq(text, "no-new-privileges=true"))
			s->no_new_privileges = true;
		else if (streq(text, "systempaths=unconfined"))
			s->systempaths_unconfined = true;
		else if (!skip_prefix(text, "no-new-privileges") && !skip_prefix(text, "label") &&
			 !skip_prefix(text, "apparmor"))
			r = diag_err(j->diag, seq->items[i], EINVAL, "invalid security-opt: \"%s\"",
				     text);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- labels
 * ----------------------------------------------------------------------------------------------------
 */
static void set_labels(struct job *j)
{
	struct container_spec *s = j->spec;
	const struct project *p = j->p;
	_cleanup_(free_p) char *files = strv_join(p->config_files, ",");
	_cleanup_(strv_freep) char **own = pairs(node_get(j->service, "labels"));
	const char *const ours[][2] = {
		{ "com.docker.compose.project", p->name },
		{ "com.docker.compose.service", j->name },
		{ "com.docker.compose.config-hash", s->config_hash },
		{ "com.docker.compose.image", s->image_id },
		{ "com.docker.compose.project.working_dir", p->working_dir },
		{ "com.docker.compose.project.config_files", files },
		{ "com.docker.compose.version", COMPOSE_VERSION_LABEL },
		{ "com.docker.compose.oneoff", "False" },
	};

	s->labels = strv_copy(j->image->labels);
	for (size_t i = strv_len(s->labels); i-- > 0;)
		if (skip_prefix(s->labels[i], "com.docker.compose."))
			strv_remove(&s->labels, i); /* an image does not say whose it is */
	STRV_FOREACH (l, own) {
		_cleanup_(free_p) char *key = xstrndup(*l, strcspn(*l, "="));

		strv_env_set(&s->labels, key, *l + strlen(key) + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		strv_env_set(&s->labels, ours[i][0], ours[i][1]);
	s->annotations = pairs(node_get(j->service, "annotations"));
}

/* ---- one service
 * --------------------------------------------------------------------------------------------------
 */
static int translate_service(struct job *j, const struct image *image)
{
	struct container_spec *s = j->spec;
	char hash[CONFIG_HASH_MAX];
	int r;

	s->project = xstrdup(j->p->name);
	s->service = xstrdup(j->name);
	s->name = string_of(j, "container_name"); /* NULL: made from project, service and number */
	s->image = xstrdup(project_image_name(j->p, j->name));
	s->image_id = xstrdup(image->id);
	s->layers = strv_copy(image->layers);
	s->config_hash = xstrdup(service_hash(j->service, hash));
	if ((r = set_process(j)) < 0 || (r = set_restart(j)) < 0 || (r = set_mounts(j)) < 0 ||
	    (r = set_files(j)) < 0 || (r = set_connections(j)) < 0 || (r = set_security(j)) < 0 ||
	    (r = set_health(j)) < 0)
		return r;
	set_hooks(j);
	set_log(j);
	set_resources(j);
	set_ulimits(j);
	set_devices(j);
	set_labels(j);
	return 0;
}

static int resolve_image(const struct project *p, struct store *images, const char *name,
			 const struct node *at, const char *ref, struct image **image,
			 struct diag *diag)
{
	struct err e = ERR_INIT;
	int r = store_resolve(images, ref, image, &e);

	if (r == 0)
		return 0;
	err_wrap(&e, r, "services.%s.image", name);
	if (!at)
		at = project_service(p, name);
	(void)err_at(&e, at->file, at->line, at->col);
	return diag_add(diag, &e);
}

static void pre_start_list_free(struct pre_start_list *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		spec_free(l->specs[i]);
	free(l->specs);
	free(l->per_replica);
	free(l);
}

static void label_pre_start(struct container_spec *s, size_t i)
{
	_cleanup_(free_p) char *index = xasprintf("%zu", i);

	strv_env_set(&s->labels, "com.docker.compose.oneoff", "True");
	strv_env_set(&s->labels, "com.docker.compose.hook", "pre_start");
	strv_env_set(&s->labels, "com.docker.compose.hook.index", index);
	strv_env_set(&s->labels, "com.docker.compose.config-hash", NULL);
}

static int add_pre_start(struct translation *t, const struct project *p, struct store *images,
			 const char *name, struct diag *diag)
{
	const struct node *service = project_service(p, name), *seq = node_get(service, "pre_start");
	struct pre_start_list *list;
	int r = 0;

	if (!node_is(seq, NODE_SEQ) || !seq->n)
		return 0;
	list = new0(struct pre_start_list);
	list->specs = xcalloc(seq->n, sizeof(*list->specs));
	list->per_replica = xcalloc(seq->n, sizeof(*list->per_replica));
	map_put(&t->hooks, name, list);
	for (size_t i = 0; r == 0 && i < seq->n; i++) {
		const struct node *hook = seq->items[i];
		const char *own = node_get_str(hook, "image");
		struct node *as_service = pre_start_service(p->arena, service, hook);
		_cleanup_(image_freep) struct image *image = NULL;
		struct job j = {
			.p = p, .dirs = t->dirs, .name = name, .service = as_service, .diag = diag
		};

		r = resolve_image(p, images, name, node_get(hook, "image"),
				  own ? own : project_image_name(p, name), &image, diag);
		if (r < 0)
			break;
		j.image = &image->config;
		j.spec = list->specs[list->n] = spec_new();
		list->per_replica[list->n++] = node_get_bool(hook, "per_replica", false);
		r = translate_service(&j, image);
		str_set(&j.spec->image, own ? own : project_image_name(p, name));
		str_set(&j.spec->config_hash, NULL);
		j.spec->oneoff = true;
		j.spec->pre_start = (int)i + 1;
		label_pre_start(j.spec, i);
	}
	return r;
}

static int add_service(struct translation *t, const struct project *p, struct store *images,
		       const char *name, struct diag *diag)
{
	const struct node *service = project_service(p, name);
	_cleanup_(image_freep) struct image *image = NULL;
	_cleanup_(spec_freep) struct container_spec *spec = NULL;
	struct job j = { .p = p, .dirs = t->dirs, .name = name, .service = service, .diag = diag };
	int r = resolve_image(p, images, name, node_get(service, "image"),
			      project_image_name(p, name), &image, diag);

	if (r < 0)
		return r;
	spec = spec_new();
	j.image = &image->config;
	j.spec = spec;
	r = translate_service(&j, image);
	if (r == 0)
		map_put(&t->specs, name, TAKE_PTR(spec));
	return r < 0 ? r : add_pre_start(t, p, images, name, diag);
}

/* ---- networks and volumes
 * ------------------------------------------------------------------------------------------- */
static json *labels_json(const struct project *p, const char *kind, const char *key,
			 const struct node *n)
{
	json *array = json_new_array();
	_cleanup_(strv_freep) char **labels = pairs(node_get(n, "labels"));
	_cleanup_(free_p) char *project = xasprintf("com.docker.compose.project=%s", p->name);
	_cleanup_(free_p) char *own = xasprintf("com.docker.compose.%s=%s", kind, key);

	STRV_FOREACH (l, labels)
		json_push_str(array, *l);
	json_push_str(array, project);
	json_push_str(array, own);
	return array;
}

static json *ipam_json(const struct node *n)
{
	const struct node *configs = node_path(n, "ipam", "config", NULL);
	json *array = json_new_array();

	for (size_t i = 0; node_is(configs, NODE_SEQ) && i < configs->n; i++) {
		const struct node *c = configs->items[i];
		_cleanup_(strv_freep) char **aux = pairs(node_get(c, "aux_addresses"));
		json *o = json_new_object();

		json_put_str(o, "subnet", node_get_str(c, "subnet"));
		json_put_str(o, "gateway", node_get_str(c, "gateway"));
		json_put_str(o, "ip_range", node_get_str(c, "ip_range"));
		json_put_strv(o, "aux", aux);
		json_push(array, o);
	}
	return array;
}

static json *network_json(const struct project *p, const char *key, const char *name,
			  const struct node *n)
{
	_cleanup_(strv_freep) char **opts = pairs(node_get(n, "driver_opts"));
	json *o = json_new_object();

	json_put_str(o, "name", name);
	json_put_str(o, "project", p->name);
	json_put_str(o, "driver", node_get_str(n, "driver"));
	json_put_bool(o, "internal", node_get_bool(n, "internal", false));
	json_put_bool(o, "enable_ipv4", node_get_bool(n, "enable_ipv4", true));
	json_put_bool(o, "enable_ipv6", node_get_bool(n, "enable_ipv6", false));
	json_put(o, "ipam", ipam_json(n));
	json_put(o, "labels", labels_json(p, "network", key, n));
	json_put_strv(o, "driver_opts", opts);
	return o;
}

static json *volume_json(const struct project *p, const char *key, const char *name,
			 const struct node *n)
{
	_cleanup_(strv_freep) char **opts = pairs(node_get(n, "driver_opts"));
	json *o = json_new_object();

	json_put_str(o, "name", name);
	json_put_str(o, "project", p->name);
	json_put_str(o, "driver", node_get_str(n, "driver"));
	json_put_strv(o, "options", opts);
	json_put(o, "labels", labels_json(p, "volume", key, n));
	return o;
}

static int check_external_network(const struct translation *t, const char *name,
				  const struct node *at, struct diag *diag)
{
	_cleanup_(free_p) char *path = xasprintf("%s/networks/%s/network.json", t->dirs->root,
						 name);

	if (access(path, F_OK) == 0)
		return 0;
	return diag_err(diag, at, ENOENT, "network %s declared as external, but could not be found",
			name);
}

static int check_external_volume(const struct translation *t, const char *name,
				 const struct node *at, struct diag *diag)
{
	_cleanup_(free_p) char *root = dirs_volumes(t->dirs);

	if (volume_load(root, name, NULL, NULL) == 0)
		return 0;
	return diag_err(diag, at, ENOENT, "external volume \"%s\" not found", name);
}

static int add_network(struct translation *t, const struct project *p, const char *key,
		       struct diag *diag)
{
	const struct node *n = node_get(project_section(p, "networks"), key);
	const char *name = full_name(p, "networks", key), *driver = node_get_str(n, "driver");

	if (map_has(&t->networks, name))
		return 0;
	if (node_get_bool(n, "external", false))
		return check_external_network(t, name, n, diag);
	if (driver && !streq(driver, "bridge"))
		return diag_err(diag, node_get(n, "driver"), ENOTSUP,
				"networks.%s.driver: \"%s\" is not supported, only bridge is", key,
				driver);
	map_put(&t->networks, name, network_json(p, key, name, n));
	return 0;
}

static int add_volume_of(struct translation *t, const struct project *p, const char *key,
			 struct diag *diag)
{
	const struct node *n = node_get(project_section(p, "volumes"), key);
	const char *name = full_name(p, "volumes", key);

	if (map_has(&t->volumes, name))
		return 0;
	if (node_get_bool(n, "external", false))
		return check_external_volume(t, name, n, diag);
	map_put(&t->volumes, name, volume_json(p, key, name, n));
	return 0;
}

static int add_resources(struct translation *t, const struct project *p, const char *service,
			 struct diag *diag)
{
	const struct node *s = project_service(p, service);
	const struct node *networks = node_get(s, "networks"), *volumes = node_get(s, "volumes");
	int r = 0;

	if (uses_bridge(s))
		r = add_network(t, p, "default", diag);
	else if (!node_get(s, "network_mode"))
		for (size_t i = 0; r == 0 && node_is(networks, NODE_MAP) && i < networks->n; i++)
			r = add_network(t, p, networks->entries[i].key, diag);
	for (size_t i = 0; r == 0 && node_is(volumes, NODE_SEQ) && i < volumes->n; i++) {
		const char *type = node_get_str(volumes->items[i], "type");
		const char *source = node_get_str(volumes->items[i], "source");

		if (type && streq(type, "volume") && !is_empty(source))
			r = add_volume_of(t, p, source, diag);
	}
	return r;
}

int translate_project(const struct project *p, const struct dirs *d, struct store *images,
		      char *const *services, struct translation **out, struct diag *diag)
{
	_cleanup_(translation_freep) struct translation *t = new0(struct translation);
	const char **names = project_service_names(p);
	int r = 0;

	t->specs = MAP_INIT_FREE(spec_free);
	t->hooks = MAP_INIT_FREE(pre_start_list_free);
	t->networks = t->volumes = MAP_INIT_FREE(json_unref);
	t->dirs = d;
	t->project = p->name;
	/* Every service is looked at, so that one run names all that is missing. */
	for (size_t i = 0; names[i]; i++) {
		int r2;

		if (services && services[0] && !strv_has(services, names[i]))
			continue;
		r2 = add_service(t, p, images, names[i], diag);
		if (r2 == 0)
			r2 = add_resources(t, p, names[i], diag);
		if (r == 0)
			r = r2;
	}
	free(names);
	if (r == 0)
		*out = TAKE_PTR(t);
	return r;
}

void translation_free(struct translation *t)
{
	if (!t)
		return;
	map_done(&t->specs);
	map_done(&t->hooks);
	map_done(&t->networks);
	map_done(&t->volumes);
	free(t);
}

/* ---- replicas
 * ----------------------------------------------------------------------------------------------------
 */
char *translation_container_name(const struct translation *t, const char *service, int number)
{
	const struct container_spec *s = map_get(&t->specs, service);

	if (s && s->name)
		return xstrdup(s->name);
	return xasprintf("%s-%s-%d", t->project, service, number);
}

struct container_spec *translation_load(const struct translation *t, const struct record *rec)
{
	_cleanup_(free_p) char *dir = dirs_container(t->dirs, rec->project, rec->id);
	_cleanup_(free_p) char *path = path_join(dir, "spec.json");
	_cleanup_(json_unrefp) json *j = NULL;
	struct container_spec *s = NULL;

	if (json_read_file(AT_FDCWD, path, 16 << 20, &j, NULL) < 0 ||
	    spec_from_json(j, &s, NULL) < 0)
		return NULL;
	return s;
}

/* The old container's anonymous volume at @target, so that its data stays. */
static const char *inherited(const struct container_spec *old, const char *target)
{
	for (size_t i = 0; old && i < old->n_mounts; i++)
		if (old->mounts[i].anonymous && streq(old->mounts[i].target, target))
			return old->mounts[i].volume;
	return NULL;
}

/* A volume of its own for each anonymous mount, but what @before had at the same place. */
static void name_anonymous_volumes(const struct translation *t, struct container_spec *s,
				   const struct container_spec *before)
{
	char volume[CONTAINER_ID_LEN + 1];

	for (size_t i = 0; i < s->n_mounts; i++) {
		struct mount_spec *m = &s->mounts[i];
		const char *name = inherited(before, m->target);

		if (!m->anonymous)
			continue;
		random_hex(volume, CONTAINER_ID_LEN / 2);
		if (!name)
			name = volume;
		str_set(&m->volume, name);
		free(m->source);
		m->source = xasprintf("%s/volumes/%s/_data", t->dirs->root, name);
	}
}

/* What no two containers share. */
static void set_identity(struct container_spec *s, int number)
{
	char id[CONTAINER_ID_LEN + 1];

	random_hex(id, CONTAINER_ID_LEN / 2);
	s->id = xstrdup(id);
	s->number = number;
	s->created = now_real_ns();
	if (!strv_env_get(s->env, "HOSTNAME")) {
		_cleanup_(free_p) char *hostname = s->hostname ? xstrdup(s->hostname)
							       : xstrndup(id, 12);

		strv_env_set(&s->env, "HOSTNAME", hostname);
	}
}

struct container_spec *translation_spec(const struct translation *t, const char *service,
					int number, const struct record *old, bool renew_volumes)
{
	struct container_spec *s = spec_copy(map_get(&t->specs, service));
	_cleanup_(spec_freep) struct container_spec *before =
		old && !renew_volumes ? translation_load(t, old) : NULL;

	set_identity(s, number);
	if (!s->name)
		s->name = xasprintf("%s-%s-%d", t->project, service, number);
	strv_addf(&s->labels, "com.docker.compose.container-number=%d", number);
	name_anonymous_volumes(t, s, before);
	return s;
}

struct container_spec *translation_pre_start(const struct translation *t, const char *service,
					     size_t i, const struct container_spec *replica)
{
	const struct pre_start_list *list = map_get(&t->hooks, service);
	struct container_spec *s = spec_copy(list->specs[i]);

	set_identity(s, replica->number);
	s->name = list->per_replica[i] ? xasprintf("%s-%s-%d-pre_start-%zu", t->project, service,
						   replica->number, i)
				       : xasprintf("%s-%s-pre_start-%zu", t->project, service, i);
	pre_start_share_volumes(s, replica);
	name_anonymous_volumes(t, s, NULL);
	return s;
}
