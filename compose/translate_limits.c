/* compose/translate_limits.c: limits, devices and privileges.
 *
 * deploy.resources wins over the older keys of the service (mem_limit, cpus, …);
 * load has already refused a service that says two different things.
 */
#include "compose/translate_internal.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "compose/values.h"

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
	r->cpuset = translate_string_of(j, "cpuset");
	r->pids = value_int(limits, "pids", value_int(s, "pids_limit", 0));
	r->memory_swappiness = value_int(s, "mem_swappiness", -1);
	r->oom_kill_disable = node_get_bool(s, "oom_kill_disable", false);
	j->spec->oom_score_adj_set = node_get(s, "oom_score_adj") != NULL;
	j->spec->oom_score_adj = (int)value_int(s, "oom_score_adj", 0);
	j->spec->cgroup_parent = translate_string_of(j, "cgroup_parent");
	j->spec->sysctls = translate_pairs(node_get(s, "sysctls"));
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
	s->device_cgroup_rules = translate_strings_of(j, "device_cgroup_rules");
}

void translate_limits(struct job *j)
{
	set_resources(j);
	set_ulimits(j);
	set_devices(j);
}

static int set_seccomp(struct job *j, const struct node *at, const char *value)
{
	_cleanup_(free_p) char *path = path_absolute(j->p->working_dir, value);
	_cleanup_(buf_done) struct buf profile = BUF_INIT;
	struct err e = ERR_INIT;

	if (streq(value, "unconfined")) {
		j->spec->seccomp_unconfined = true;
	} else if (!streq(value, "builtin")) {
		if (file_read_follow(AT_FDCWD, path, TRANSLATE_FILE_MAX, &profile, &e) < 0)
			return diag_err(j->diag, at, e.code, "services.%s.security_opt: %s",
					j->name, e.msg);
		j->spec->seccomp_profile = buf_take(&profile);
	}
	return 0;
}

int translate_security(struct job *j)
{
	const struct node *seq = node_get(j->service, "security_opt");
	struct container_spec *s = j->spec;

	s->privileged = node_get_bool(j->service, "privileged", false);
	s->cap_add = translate_strings_of(j, "cap_add");
	s->cap_drop = translate_strings_of(j, "cap_drop");
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
