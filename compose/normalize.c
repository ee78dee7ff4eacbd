/* compose/normalize.c: implied values; see normalize.h.
 *
 * Made-up nodes take the position of what implies them, so that an error about
 * an implied dependency points at the `links` entry that caused it.
 */
#include "compose/normalize.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/path.h"
#include "compose/keys.h"
#include "compose/project.h"

/* ---- networks ----------------------------------------------------------------------- */

static bool uses_default(struct arena *a, struct node *service)
{
	struct node *networks;

	if (node_get(service, "provider") || node_get(service, "network_mode"))
		return false;
	networks = node_get(service, "networks");
	if (!networks || networks->n == 0) {
		networks = node_at(node_map(a), networks ? networks : service);
		node_put(a, networks, "default", node_at(node_null(a), networks));
		node_put(a, service, "networks", networks);
		return true;
	}
	return node_get(networks, "default") != NULL;
}

static void add_default_network(struct arena *a, struct node *root)
{
	struct node *services = node_get(root, "services"), *networks = node_get(root, "networks");
	bool used = false;

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++)
		if (node_is(services->entries[i].value, NODE_MAP))
			used |= uses_default(a, services->entries[i].value);
	if (!used || node_get(networks, "default"))
		return;
	if (!networks) {
		networks = node_map(a);
		node_put(a, root, "networks", networks);
	}
	node_put(a, networks, "default", node_null(a));
}

static void name_resources(struct arena *a, struct node *root, const char *project)
{
	static const char *const sections[] = { "networks", "volumes", "configs", "secrets" };

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		struct node *section = node_get(root, sections[i]);

		for (size_t j = 0; node_is(section, NODE_MAP) && j < section->n; j++) {
			struct node_entry *e = &section->entries[j];
			const char *name = e->key;

			if (node_is_null(e->value))
				e->value = node_at(node_map(a), e->value);
			if (!node_is_null(node_get(e->value, "name")))
				continue;
			if (!node_get_bool(e->value, "external", false))
				name = arena_printf(a, "%s_%s", project, e->key);
			node_put(a, e->value, "name", node_at(node_str(a, name), e->value));
		}
	}
}

/* ---- bare names --------------------------------------------------------------------------- */

static struct node *value_from(struct arena *a, const struct project_var *v, const struct node *at)
{
	struct node *n = node_at(node_str(a, v->value), at);

	n->origin = v->origin;
	n->replaced = at->replaced;
	return n;
}

/* @keep: names that nobody knows stay, as null. */
static void resolve_map(struct arena *a, struct node *map, const struct map *env, bool keep)
{
	for (size_t i = 0; i < map->n;) {
		struct node_entry *e = &map->entries[i];
		const struct project_var *v = node_is_null(e->value) ? map_get(env, e->key) : NULL;

		if (v)
			e->value = value_from(a, v, e->value);
		else if (node_is_null(e->value) && !keep) {
			node_remove(map, e->key);
			continue;
		}
		i++;
	}
}

static void resolve_list(struct arena *a, struct node *seq, const struct map *env, bool keep)
{
	size_t n = 0;

	for (size_t i = 0; i < seq->n; i++) {
		struct node *item = seq->items[i];
		const struct project_var *v;

		if (!node_is(item, NODE_STRING) || strchr(item->text, '=')) {
			seq->items[n++] = item;
			continue;
		}
		v = map_get(env, item->text);
		if (v) {
			const struct node *was = item;

			item = node_at(node_strf(a, "%s=%s", was->text, v->value), was);
			item->origin = v->origin;
			item->replaced = was->replaced;
		}
		if (v || keep)
			seq->items[n++] = item;
	}
	seq->n = n;
}

static void resolve_names(struct arena *a, struct node *n, const struct map *env, bool keep)
{
	if (node_is(n, NODE_MAP))
		resolve_map(a, n, env, keep);
	else if (node_is(n, NODE_SEQ))
		resolve_list(a, n, env, keep);
}

void normalize_environment(struct arena *a, struct node *root, const struct map *env)
{
	struct node *services = node_get(root, "services");

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++)
		resolve_names(a, node_get(services->entries[i].value, "environment"), env, true);
}

/* ---- services ------------------------------------------------------------------------------ */

static void normalize_build(struct arena *a, struct node *build, const struct map *env)
{
	if (!node_is(build, NODE_MAP))
		return;
	if (node_is_null(node_get(build, "context")))
		node_put(a, build, "context", node_at(node_str(a, "."), build));
	if (node_is_null(node_get(build, "dockerfile")) &&
	    node_is_null(node_get(build, "dockerfile_inline")))
		node_put(a, build, "dockerfile", node_at(node_str(a, "Dockerfile"), build));
	resolve_names(a, node_get(build, "args"), env, false);
}

static void depend(struct arena *a, struct node *deps, const char *name, bool restart,
		   const struct node *at)
{
	struct node_entry like = { .line = at->line, .col = at->col };
	struct node *d;

	if (node_get(deps, name))
		return;
	d = node_at(node_map(a), at);
	node_put(a, d, "condition", node_at(node_str(a, "service_started"), at));
	node_put(a, d, "restart", node_at(node_bool(a, restart), at));
	node_put(a, d, "required", node_at(node_bool(a, true), at));
	node_put_at(a, deps, name, d, &like);
}

static const char *before_colon(struct arena *a, const char *text)
{
	return arena_strndup(a, text, strcspn(text, ":"));
}

static void add_implied(struct arena *a, struct node *service, struct node *deps)
{
	static const char *const shared[] = { "network_mode", "ipc", "pid", "uts", "cgroup" };
	const struct node *links = node_get(service, "links"),
			  *from = node_get(service, "volumes_from");

	for (size_t i = 0; node_is(links, NODE_SEQ) && i < links->n; i++)
		if (node_is(links->items[i], NODE_STRING))
			depend(a, deps, before_colon(a, links->items[i]->text), true,
			       links->items[i]);
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		const struct node *n = node_get(service, shared[i]);
		const char *name = node_is(n, NODE_STRING) ? skip_prefix(n->text, "service:")
							   : NULL;

		if (name)
			depend(a, deps, name, true, n);
	}
	for (size_t i = 0; node_is(from, NODE_SEQ) && i < from->n; i++)
		if (node_is(from->items[i], NODE_STRING) &&
		    !skip_prefix(from->items[i]->text, "container:"))
			depend(a, deps, before_colon(a, from->items[i]->text), false,
			       from->items[i]);
}

static void normalize_service(struct arena *a, struct node *service, const struct map *env)
{
	const char *policy = node_get_str(service, "pull_policy");
	struct node *deps = node_get(service, "depends_on"),
		    *volumes = node_get(service, "volumes");

	if (policy && streq(policy, "if_not_present"))
		node_put(a, service, "pull_policy",
			 node_at(node_str(a, "missing"), node_get(service, "pull_policy")));
	normalize_build(a, node_get(service, "build"), env);
	if (!deps)
		deps = node_at(node_map(a), service);
	add_implied(a, service, deps);
	if (deps->n)
		node_put(a, service, "depends_on", deps);
	for (size_t i = 0; node_is(volumes, NODE_SEQ) && i < volumes->n; i++) {
		struct node *target = node_get(volumes->items[i], "target");
		_cleanup_(free_p) char *clean = NULL;

		if (!node_is(target, NODE_STRING))
			continue;
		clean = path_clean(target->text);
		if (!streq(clean, target->text))
			node_put(a, volumes->items[i], "target",
				 node_at(node_str(a, clean), target));
	}
}

void normalize(struct arena *a, struct node *root, const char *project, const struct map *env)
{
	struct node *services = node_get(root, "services");

	add_default_network(a, root);
	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++)
		if (node_is(services->entries[i].value, NODE_MAP))
			normalize_service(a, services->entries[i].value, env);
	name_resources(a, root, project);
}
