/* compose/pre_start.c: see pre_start.h. */
#include "compose/pre_start.h"

#include <stdlib.h>

static void remove_all(struct node *map, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		node_remove(map, keys[i]);
}

/* On the service's networks, but nobody but itself there: what is unique stays
 * with the replicas, also while a hook that failed is kept. */
static void strip_networks(struct node *service)
{
	static const char *const unique[] = { "aliases", "ipv4_address", "ipv6_address",
					      "mac_address", "link_local_ips" };
	struct node *networks = node_get(service, "networks");

	for (size_t i = 0; node_is(networks, NODE_MAP) && i < networks->n; i++)
		if (node_is(networks->entries[i].value, NODE_MAP))
			remove_all(networks->entries[i].value, unique, ARRAY_SIZE(unique));
}

static void merge_environment(struct arena *a, struct node *service, const struct node *own)
{
	struct node *all = node_get(service, "environment");

	if (!node_is(own, NODE_MAP))
		return;
	if (!node_is(all, NODE_MAP)) {
		node_put(a, service, "environment", node_copy(a, own));
		return;
	}
	for (size_t i = 0; i < own->n; i++)
		node_put(a, all, own->entries[i].key, node_copy(a, own->entries[i].value));
}

struct node *pre_start_service(struct arena *a, const struct node *service, const struct node *hook)
{
	static const char *const left_out[] = {
		"container_name", "ports",      "expose",     "mac_address", "healthcheck",
		"x-comp-probe",   "restart",    "depends_on", "profiles",    "x-comp-on-unhealthy",
		"build",          "scale",      "pre_start",  "post_start",  "pre_stop",
		"stop_signal",    "stdin_open",
	};
	static const char *const taken[] = { "image", "command", "user", "privileged",
					     "working_dir" };
	struct node *copy = node_copy(a, service), *deploy;

	remove_all(copy, left_out, ARRAY_SIZE(left_out));
	strip_networks(copy);
	deploy = node_get(copy, "deploy");
	if (node_is(deploy, NODE_MAP))
		node_remove(deploy, "restart_policy");
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		const struct node *own = node_get(hook, taken[i]);

		if (own && !node_is_null(own))
			node_put(a, copy, taken[i], node_copy(a, own));
	}
	merge_environment(a, copy, node_get(hook, "environment"));
	return copy;
}

static const struct mount_spec *anonymous_at(const struct container_spec *s, const char *target)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (s->mounts[i].anonymous && streq(s->mounts[i].target, target))
			return &s->mounts[i];
	return NULL;
}

void pre_start_share_volumes(struct container_spec *hook, const struct container_spec *replica)
{
	for (size_t i = 0; i < hook->n_mounts; i++) {
		struct mount_spec *m = &hook->mounts[i];
		const struct mount_spec *of = m->anonymous ? anonymous_at(replica, m->target)
							   : NULL;

		if (!of)
			continue;
		str_set(&m->volume, of->volume);
		str_set(&m->source, of->source);
		m->anonymous = false; /* not its own to remove */
	}
}
