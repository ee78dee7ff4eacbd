/* compose/consistency.c: references and contradictions; see consistency.h.
 *
 * A table of checks, each about one service; the words are Docker Compose's,
 * the misprints too, because scripts look for them.
 */
#include "compose/consistency.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "compose/graph.h"

#define INVALID ": invalid compose project"

struct check {
	struct project *p;
	const char *name; /* the service at hand */
	struct node *s;
	const struct node_entry *entry;
	struct diag *diag;
	struct map container_names; /* container_name -> service */
	int r;
};

static void fail(struct check *c, const struct node *at, const char *fmt, ...) _printf_(3, 4);
static void fail(struct check *c, const struct node *at, const char *fmt, ...)
{
	_cleanup_(free_p) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	c->r = diag_err(c->diag, at && at->line ? at : c->s, EINVAL, "%s", text);
}

static const struct node *section(const struct check *c, const char *name)
{
	return project_section(c->p, name);
}

static void check_image(struct check *c)
{
	if (node_get(c->s, "build") || node_get(c->s, "provider") ||
	    !is_empty(node_get_str(c->s, "image")))
		return;
	c->r = diag_err_key(c->diag, c->s, c->entry, EINVAL,
			    "service \"%s\" has neither an image nor a build context specified" INVALID,
			    c->name);
}

static void check_contexts(struct check *c, const struct node *build)
{
	const struct node *contexts = node_get(build, "additional_contexts");

	for (size_t i = 0; node_is(contexts, NODE_MAP) && i < contexts->n; i++) {
		const struct node *v = contexts->entries[i].value;
		const char *target = skip_prefix(v->text, "service:");
		const struct node *other = target ? project_service(c->p, target) : NULL;

		if (!target || node_get(other, "build"))
			continue;
		fail(c, v, "service \"%s\" declares %s service \"%s\" as additional contexts %s",
		     c->name, other ? "non-buildable" : "unknown", target,
		     contexts->entries[i].key);
		if (!other)
			diag_suggest(c->diag, target, section(c, "services"));
	}
}

static void check_build(struct check *c)
{
	const struct node *build = node_get(c->s, "build"),
			  *platforms = node_get(build, "platforms");
	const char *platform = node_get_str(c->s, "platform");
	bool found = false;

	if (!build)
		return;
	if (!is_empty(node_get_str(build, "dockerfile")) &&
	    !is_empty(node_get_str(build, "dockerfile_inline")))
		fail(c, node_get(build, "dockerfile_inline"),
		     "service \"%s\" declares mutualy exclusive dockerfile and "
		     "dockerfile_inline" INVALID,
		     c->name);
	check_contexts(c, build);
	if (is_empty(platform) || !node_is(platforms, NODE_SEQ) || !platforms->n)
		return;
	for (size_t i = 0; i < platforms->n; i++)
		found |= streq(platforms->items[i]->text, platform);
	if (!found)
		fail(c, platforms,
		     "service.build.platforms MUST include service.platform \"%s\"" INVALID,
		     platform);
}

static void check_networks(struct check *c)
{
	const struct node *networks = node_get(c->s, "networks"),
			  *mode = node_get(c->s, "network_mode");
	const char *other;

	if (node_is(mode, NODE_STRING) && *mode->text && networks && networks->n)
		fail(c, mode,
		     "service %s declares mutually exclusive `network_mode` and `networks`" INVALID,
		     c->name);
	for (size_t i = 0; node_is(networks, NODE_MAP) && i < networks->n; i++) {
		const struct node_entry *e = &networks->entries[i];

		if (node_get(section(c, "networks"), e->key))
			continue;
		fail(c, e->value, "service \"%s\" refers to undefined network %s" INVALID, c->name,
		     e->key);
		diag_suggest(c->diag, e->key, section(c, "networks"));
	}
	other = node_is(mode, NODE_STRING) ? skip_prefix(mode->text, "service:") : NULL;
	if (other && !project_service(c->p, other)) {
		fail(c, mode, "service \"%s\" not found for network_mode 'service:%s'", other,
		     other);
		diag_suggest(c->diag, other, section(c, "services"));
	}
}

static void check_health(struct check *c)
{
	const struct node *test = node_path(c->s, "healthcheck", "test", NULL);
	const char *first;

	if (!node_is(test, NODE_SEQ) || !test->n)
		return;
	first = test->items[0]->text;
	if (!streq(first, "CMD") && !streq(first, "CMD-SHELL") && !streq(first, "NONE"))
		fail(c, test,
		     "healthcheck.test must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"");
}

static void check_probe(struct check *c)
{
	const struct node *probe = node_get(c->s, "x-comp-probe");
	const struct node *test = node_path(c->s, "healthcheck", "test", NULL);
	const struct node *tcp = node_get(probe, "tcp"), *http = node_get(probe, "http");

	if (!node_is(probe, NODE_MAP))
		return;
	if (!tcp == !http)
		fail(c, probe, "services.%s.x-comp-probe must have either tcp or http", c->name);
	if (tcp && node_get(probe, "status"))
		fail(c, probe, "services.%s.x-comp-probe.status goes with http", c->name);
	if (node_is(test, NODE_SEQ) && test->n)
		fail(c, test, "services.%s: healthcheck.test and x-comp-probe exclude each other",
		     c->name);
}

static void check_dependencies(struct check *c)
{
	const struct node *deps = node_get(c->s, "depends_on");

	for (size_t i = 0; node_is(deps, NODE_MAP) && i < deps->n; i++) {
		const struct node_entry *e = &deps->entries[i];
		bool disabled = node_get(c->p->disabled, e->key);

		if (project_service(c->p, e->key) ||
		    (disabled && !node_get_bool(e->value, "required", true)))
			continue;
		fail(c, e->value, "service \"%s\" depends on undefined service \"%s\"" INVALID,
		     c->name, e->key);
		if (disabled)
			diag_hint(c->diag, "\"%s\" is there but no active profile enables it",
				  e->key);
		else
			diag_suggest(c->diag, e->key, section(c, "services"));
	}
}

static void undefined(struct check *c, const struct node *at, const char *what, const char *name,
		      const char *where)
{
	fail(c, at, "service \"%s\" refers to undefined %s %s" INVALID, c->name, what, name);
	diag_suggest(c->diag, name, section(c, where));
}

static void check_sources(struct check *c, const struct node *list, const char *what,
			  const char *where)
{
	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->n; i++) {
		const char *source = node_get_str(list->items[i], "source");

		if (!node_get(section(c, where), source ? source : ""))
			undefined(c, list->items[i], what, source ? source : "", where);
	}
}

static void check_references(struct check *c)
{
	const struct node *volumes = node_get(c->s, "volumes"), *models = node_get(c->s, "models");

	for (size_t i = 0; node_is(volumes, NODE_SEQ) && i < volumes->n; i++) {
		const char *type = node_get_str(volumes->items[i], "type");
		const char *source = node_get_str(volumes->items[i], "source");

		if (type && streq(type, "volume") && !is_empty(source) &&
		    !node_get(section(c, "volumes"), source))
			undefined(c, volumes->items[i], "volume", source, "volumes");
	}
	check_sources(c, node_path(c->s, "build", "secrets", NULL), "build secret", "secrets");
	check_sources(c, node_get(c->s, "configs"), "config", "configs");
	for (size_t i = 0; node_is(models, NODE_MAP) && i < models->n; i++)
		if (!node_get(section(c, "models"), models->entries[i].key))
			undefined(c, models->entries[i].value, "model", models->entries[i].key,
				  "models");
	check_sources(c, node_get(c->s, "secrets"), "secret", "secrets");
}

static void check_scale(struct check *c)
{
	struct node *scale = node_get(c->s, "scale"), *deploy = node_get(c->s, "deploy");
	struct node *replicas = node_get(deploy, "replicas");
	const struct node *name = node_get(c->s, "container_name");

	if (scale && replicas && !node_equal(scale, replicas))
		fail(c, scale,
		     "services.%s: can't set distinct values on 'scale' and "
		     "'deploy.replicas'" INVALID,
		     c->name);
	else if (scale && deploy)
		node_put(c->p->arena, deploy, "replicas", scale);
	if (scale && scale->integer < 0)
		fail(c, scale, "services.%s.scale: must be greater than or equal to 0", c->name);
	else if (replicas && replicas->integer < 0)
		fail(c, replicas, "services.%s.deploy.replicas: must be greater than or equal to 0",
		     c->name);
	if (service_scale(c->s) > 1 && name)
		fail(c, name,
		     "services.%s: can't set container_name and %s as container name must be "
		     "unique" INVALID,
		     scale ? "scale" : "deploy.replicas", c->name);
}

/* Zero and absent are the same here. */
static bool says_something(const struct node *n)
{
	if (!n)
		return false;
	if (n->kind == NODE_FLOAT)
		return n->real != 0;
	return n->kind == NODE_INT ? n->integer != 0 : !streq(n->text, "0");
}

static void check_limits(struct check *c)
{
	static const struct {
		const char *key, *part, *limit;
	} pairs[] = {
		{ "cpus", "limits", "cpus" },
		{ "mem_limit", "limits", "memory" },
		{ "mem_reservation", "reservations", "memory" },
		{ "pids_limit", "limits", "pids" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const struct node *own = node_get(c->s, pairs[i].key);
		const struct node *part = node_path(c->s, "deploy", "resources", pairs[i].part,
						    NULL);
		const struct node *other = node_get(part, pairs[i].limit);

		if (!says_something(own) || !part || (other && node_equal(own, other)))
			continue;
		fail(c, own,
		     "services.%s: can't set distinct values on '%s' and "
		     "'deploy.resources.%s.%s'" INVALID,
		     c->name, pairs[i].key, pairs[i].part, pairs[i].limit);
	}
}

static void check_container_name(struct check *c)
{
	const struct node *name = node_get(c->s, "container_name");
	const char *other;

	if (!node_is(name, NODE_STRING) || !*name->text)
		return;
	other = map_get(&c->container_names, name->text);
	if (other)
		fail(c, name,
		     "services.%s: container name \"%s\" is already in use by service %s\"",
		     c->name, name->text, other);
	else
		map_put(&c->container_names, name->text, (void *)c->name);
}

static void check_watch(struct check *c)
{
	const struct node *watch = node_path(c->s, "develop", "watch", NULL);

	for (size_t i = 0; node_is(watch, NODE_SEQ) && i < watch->n; i++) {
		const char *action = node_get_str(watch->items[i], "action");

		if (!is_empty(node_get_str(watch->items[i], "target")) ||
		    (action && (streq(action, "rebuild") || streq(action, "restart"))))
			continue;
		fail(c, watch->items[i],
		     "services.%s.develop.watch: target is required for non-rebuild "
		     "actions" INVALID,
		     c->name);
	}
}

static void check_target(struct check *c, struct map *taken, const struct node *at,
			 const char *kind, size_t i, char *target)
{
	char *where = arena_printf(c->p->arena, "services.%s.%s[%zu]", c->name, kind, i);
	const char *other = map_get(taken, target);

	if (other)
		fail(c, at, "%s: target %s already mounted as %s", where, target, other);
	map_put(taken, target, where);
}

static void check_mounts(struct check *c)
{
	const struct node *tmpfs = node_get(c->s, "tmpfs"), *volumes = node_get(c->s, "volumes");
	_cleanup_(map_done) struct map taken = MAP_INIT;

	for (size_t i = 0; node_is(tmpfs, NODE_SEQ) && i < tmpfs->n; i++) {
		const char *text = tmpfs->items[i]->text;

		check_target(c, &taken, tmpfs->items[i], "tmpfs", i,
			     arena_strndup(c->p->arena, text, strcspn(text, ":")));
	}
	for (size_t i = 0; node_is(volumes, NODE_SEQ) && i < volumes->n; i++) {
		const char *target = node_get_str(volumes->items[i], "target");

		check_target(c, &taken, volumes->items[i], "volumes", i,
			     arena_strdup(c->p->arena, target ? target : ""));
	}
}

static void check_secrets(struct check *c)
{
	const struct node *secrets = section(c, "secrets");

	for (size_t i = 0; node_is(secrets, NODE_MAP) && i < secrets->n; i++) {
		const struct node *s = secrets->entries[i].value;

		if (node_get_bool(s, "external", false) || !is_empty(node_get_str(s, "file")) ||
		    !is_empty(node_get_str(s, "environment")))
			continue;
		c->s = (struct node *)s;
		fail(c, s, "secret \"%s\" must declare either `file` or `environment`" INVALID,
		     secrets->entries[i].key);
	}
}

static void (*const checks[])(struct check *c) = {
	check_image,          check_build,      check_networks, check_health,
	check_dependencies,   check_references, check_scale,    check_limits,
	check_container_name, check_watch,      check_mounts,   check_probe,
};

int consistency_check(struct project *p, struct diag *diag)
{
	_cleanup_(graph_freep) struct graph *g = NULL;
	struct node *services = project_section(p, "services");
	struct check c = { .p = p, .diag = diag };

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++) {
		c.name = services->entries[i].key;
		c.s = services->entries[i].value;
		c.entry = &services->entries[i];
		for (size_t j = 0; j < ARRAY_SIZE(checks); j++)
			checks[j](&c);
	}
	map_done(&c.container_names);
	check_secrets(&c);
	if (c.r < 0)
		return c.r;
	return graph_new(p, &g, diag);
}
