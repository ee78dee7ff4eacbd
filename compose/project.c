/* compose/project.c: the owner of struct project; see project.h.
 *
 * Loading goes: locate files and variables, find the name, load and merge
 * (compose/load.h), normalise, bind to final types, then take away what is not
 * wanted (profiles, selected services, unused resources), check that the rest
 * fits together, and read env_file.
 */
#include "compose/project.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/path.h"
#include "base/strv.h"
#include "compose/bind.h"
#include "compose/consistency.h"
#include "compose/env_files.h"
#include "compose/graph.h"
#include "compose/locate.h"
#include "compose/normalize.h"
#include "compose/yaml.h"

/* ---- the name ------------------------------------------------------------------------------ */

char *project_normalize_name(const char *name)
{
	char *out = xmalloc(strlen(name) + 1), *p = out;

	for (; *name; name++) {
		char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    (p > out && (c == '_' || c == '-')))
			*p++ = c;
	}
	*p = '\0';
	return out;
}

static int given_name(struct diag *diag, const char *given, char **name)
{
	*name = project_normalize_name(given);
	if (streq(*name, given))
		return 0;
	diag_err(diag, NULL, EINVAL,
		 "invalid project name \"%s\": must consist only of lowercase alphanumeric "
		 "characters, "
		 "hyphens, and underscores as well as start with a letter or number",
		 given);
	if (**name)
		diag_hint(diag, "did you mean \"%s\"?", *name);
	str_set(name, NULL);
	return -EINVAL;
}

/* The last `name` in the files; NULL when there is none. */
static int name_in_files(struct scope *s, const struct located *loc, bool interpolate,
			 const struct node **out)
{
	int r;

	*out = NULL;
	STRV_FOREACH (file, loc->files) {
		struct yaml_docs *docs;

		r = load_parse(s->l, *file, &docs);
		if (r < 0)
			return r;
		for (size_t i = 0; i < docs->n; i++) {
			const struct node *n = node_get(docs->roots[i], "name");

			if (node_is(n, NODE_STRING) ? *n->text != '\0' : node_is(n, NODE_INT))
				*out = n;
		}
	}
	if (*out && interpolate) {
		const char *part = "name";
		struct interp_path at = { &part, 1 };
		struct interp_vars vars = environment_vars(s);
		struct err e = ERR_INIT;
		struct node *n;

		r = interpolate_tree(s->l->a, *out, &at, &vars, NULL, NULL, &n, &e);
		if (r < 0)
			return diag_add(s->l->diag, &e);
		*out = n;
	}
	return 0;
}

static int need_files(struct diag *diag, const struct located *loc)
{
	if (loc->files)
		return 0;
	diag_err(diag, NULL, ENOENT, "no configuration file provided: not found");
	diag_hint(diag, "there is no compose.yaml in %s or above it; -f names one",
		  loc->working_dir);
	return -ENOENT;
}

static int find_name(struct scope *s, const struct project_options *o, const struct located *loc,
		     char **name)
{
	const struct project_var *v = map_get(&loc->env, "COMPOSE_PROJECT_NAME");
	const struct node *n;
	int r;

	if (!is_empty(o->name))
		return given_name(s->l->diag, o->name, name);
	if (v && *v->value)
		return given_name(s->l->diag, v->value, name);
	r = need_files(s->l->diag, loc);
	if (r == 0)
		r = name_in_files(s, loc, !o->no_interpolate, &n);
	if (r < 0)
		return r;
	if (n) {
		*name = project_normalize_name(node_scalar_text(s->l->a, n));
	} else {
		_cleanup_(free_p) char *base = path_base(loc->working_dir);

		*name = project_normalize_name(base);
	}
	if (**name)
		return 0;
	str_set(name, NULL);
	return diag_err(s->l->diag, n, EINVAL, "project name must not be empty");
}

int project_find_name(const struct project_options *o, char **name, struct diag *diag)
{
	_cleanup_(arena_freep) struct arena *a = arena_new();
	struct loader l = { .a = a, .diag = diag, .stdin_fd = o->stdin_fd };
	struct scope s = { .l = &l };
	struct located loc;
	int r;

	*name = NULL;
	r = locate(&l, o, &loc);
	s.env = &loc.env;
	if (r == 0)
		r = find_name(&s, o, &loc, name);
	map_done(&l.docs);
	located_done(&loc);
	return r;
}

/* ---- profiles and selection ----------------------------------------------------------------- */

static bool profile_active(const struct node *service, char *const *profiles)
{
	const struct node *own = node_get(service, "profiles");

	if (!node_is(own, NODE_SEQ) || !own->n || strv_has(profiles, "*"))
		return true;
	for (size_t i = 0; i < own->n; i++)
		if (strv_has(profiles, own->items[i]->text))
			return true;
	return false;
}

/* A service that is named is wanted, so its profiles are. */
static void add_profiles_of(struct project *p, const struct node *services, char *const *names)
{
	STRV_FOREACH (name, names) {
		const struct node *s = node_get(services, *name), *own = node_get(s, "profiles");

		if (!s || profile_active(s, p->profiles))
			continue;
		for (size_t i = 0; node_is(own, NODE_SEQ) && i < own->n; i++)
			strv_add(&p->profiles, own->items[i]->text);
	}
}

static void apply_profiles(struct project *p, char *const *names)
{
	struct node *all = node_get(p->model, "services"), *on;

	p->disabled = node_map(p->arena);
	on = node_at(node_map(p->arena), all);
	add_profiles_of(p, all, names);
	for (size_t i = 0; node_is(all, NODE_MAP) && i < all->n; i++) {
		struct node_entry *e = &all->entries[i];

		node_put_at(p->arena, profile_active(e->value, p->profiles) ? on : p->disabled,
			    e->key, e->value, e);
	}
	node_put(p->arena, p->model, "services", on);
}

/* Names and patterns to names. */
static int expand_names(struct project *p, char *const *names, char ***out, struct diag *diag)
{
	const struct node *services = project_section(p, "services");
	int r = 0;

	STRV_FOREACH (name, names) {
		bool found = false;

		for (size_t i = 0; i < services->n; i++)
			if (fnmatch(*name, services->entries[i].key, 0) == 0) {
				found = true;
				strv_add(out, services->entries[i].key);
			}
		if (found)
			continue;
		r = diag_err(diag, NULL, ENOENT, "no such service: %s", *name);
		diag_suggest(diag, *name, services);
	}
	return r;
}

static int select_services(struct project *p, char *const *names, struct diag *diag)
{
	_cleanup_(strv_freep) char **wanted = NULL;
	_cleanup_(graph_freep) struct graph *g = NULL;
	_cleanup_(free_p) bool *set = NULL;
	struct node *kept;
	int r;

	if (!names || !*names)
		return 0;
	r = expand_names(p, names, &wanted, diag);
	if (r == 0)
		r = graph_new(p, &g, diag);
	if (r < 0)
		return r;
	set = xcalloc(g->n + 1, sizeof(*set));
	graph_closure(g, wanted, false, set);
	kept = node_at(node_map(p->arena), project_section(p, "services"));
	for (size_t i = 0; i < g->n; i++) {
		struct node_entry *e = node_entry_get(project_section(p, "services"),
						      g->nodes[i].name);

		node_put_at(p->arena, set[i] ? kept : p->disabled, e->key, e->value, e);
	}
	node_put(p->arena, p->model, "services", kept);
	return 0;
}

/* ---- what is in use ------------------------------------------------------------------------- */

static void use_keys(struct map *used, const struct node *map)
{
	for (size_t i = 0; node_is(map, NODE_MAP) && i < map->n; i++)
		map_put(used, map->entries[i].key, NULL);
}

static void use_sources(struct map *used, const struct node *list, const char *type)
{
	for (size_t i = 0; node_is(list, NODE_SEQ) && i < list->n; i++) {
		const char *is = node_get_str(list->items[i], "type");
		const char *source = node_get_str(list->items[i], "source");

		if (source && (!type || (is && streq(is, type))))
			map_put(used, source, NULL);
	}
}

static void keep_used(struct project *p, const char *name, const struct map *used)
{
	struct node *all = project_section(p, name), *kept;

	if (!node_is(all, NODE_MAP))
		return;
	kept = node_at(node_map(p->arena), all);
	for (size_t i = 0; i < all->n; i++)
		if (map_has(used, all->entries[i].key))
			node_put_at(p->arena, kept, all->entries[i].key, all->entries[i].value,
				    &all->entries[i]);
	if (kept->n)
		node_put(p->arena, p->model, name, kept);
	else
		node_remove(p->model, name);
}

static void drop_unused(struct project *p)
{
	enum { NETWORKS, VOLUMES, SECRETS, CONFIGS, MODELS, N };
	static const char *const sections[N] = { "networks", "volumes", "secrets", "configs",
						 "models" };
	const struct node *services = project_section(p, "services");
	struct map used[N] = { 0 };

	for (size_t i = 0; node_is(services, NODE_MAP) && i < services->n; i++) {
		const struct node *s = services->entries[i].value;

		use_keys(&used[NETWORKS], node_get(s, "networks"));
		use_sources(&used[VOLUMES], node_get(s, "volumes"), "volume");
		use_sources(&used[SECRETS], node_get(s, "secrets"), NULL);
		use_sources(&used[SECRETS], node_path(s, "build", "secrets", NULL), NULL);
		use_sources(&used[CONFIGS], node_get(s, "configs"), NULL);
		use_keys(&used[MODELS], node_get(s, "models"));
	}
	for (size_t i = 0; i < N; i++) {
		keep_used(p, sections[i], &used[i]);
		map_done(&used[i]);
	}
}

/* ---- loading -----------------------------------------------------------------------------------
 */

/* A name that is the file's stays as it is, with its place. */
static void put_name(struct project *p, struct node *root)
{
	const char *written = node_get_str(root, "name");

	if (!written || !streq(written, p->name))
		node_put(p->arena, root, "name", node_str(p->arena, p->name));
}

static int bind_model(struct project *p, struct node *root, struct diag *diag)
{
	struct spot top = SPOT_TOP;
	int r;

	if (!node_get(root, "services"))
		node_put(p->arena, root, "services", node_map(p->arena));
	r = bind_node(p->arena, root, &key_root, &top, &p->model, diag);
	if (r < 0)
		return r;
	put_name(p, p->model);
	return 0;
}

/* Everything after merging. */
static int finish(struct project *p, struct loader *l, const struct project_options *o,
		  struct node *root)
{
	int r;

	if (!root->n)
		return diag_err(l->diag, NULL, EINVAL, "empty compose file");
	normalize_environment(l->a, root, &p->environment);
	if (!o->no_normalize) {
		put_name(p, root);
		normalize(l->a, root, p->name, &p->environment);
	}
	if (o->no_interpolate) {
		p->model = root;
		p->disabled = node_map(l->a);
		p->raw = true;
		return 0;
	}
	r = bind_model(p, root, l->diag);
	if (r < 0)
		return r;
	apply_profiles(p, o->enable ? o->enable : o->services);
	if (!o->no_consistency) {
		r = consistency_check(p, l->diag);
		if (r < 0)
			return r;
	}
	r = select_services(p, o->services, l->diag);
	if (r < 0)
		return r;
	if (!o->all_resources)
		drop_unused(p);
	if (o->no_env_resolution)
		return 0;
	return env_files_resolve(l, project_section(p, "services"), &p->environment);
}

static int load(struct project *p, struct loader *l, const struct project_options *o,
		struct located *loc)
{
	struct scope s = { .l = l, .env = &p->environment };
	_cleanup_(free_p) char *name = NULL;
	struct node *root;
	int r;

	r = need_files(l->diag, loc);
	if (r < 0)
		return r;
	r = find_name(&s, o, loc, &name);
	if (r < 0)
		return r;
	p->name = arena_strdup(l->a, name);
	environment_put(l->a, &p->environment, "COMPOSE_PROJECT_NAME", name, "the project's name");
	s.dir = s.base = p->working_dir;
	r = load_scope(&s, p->config_files, &root);
	map_done(&s.bases);
	return r < 0 ? r : finish(p, l, o, root);
}

int project_load(const struct project_options *o, struct project **out, struct diag *diag)
{
	_cleanup_(project_freep) struct project *p = new0(struct project);
	struct loader l = { .diag = diag,
			    .stdin_fd = o->stdin_fd,
			    .no_interpolate = o->no_interpolate,
			    .no_path_resolution = o->no_path_resolution };
	struct located loc;
	int r;

	*out = NULL;
	l.a = p->arena = arena_new();
	r = locate(&l, o, &loc);
	p->config_files = strv_copy(loc.files);
	p->env_files = strv_copy(loc.env_files);
	p->profiles = strv_copy(loc.profiles);
	p->environment = loc.env;
	if (r == 0) {
		p->working_dir = arena_strdup(p->arena, loc.working_dir);
		r = load(p, &l, o, &loc);
	}
	loc.env = MAP_INIT;
	located_done(&loc);
	map_done(&l.docs);
	if (r == 0 && diag_failed(diag))
		r = -EINVAL;
	if (r == 0)
		*out = TAKE_PTR(p);
	return r;
}

void project_free(struct project *p)
{
	if (!p)
		return;
	strv_free(p->config_files);
	strv_free(p->env_files);
	strv_free(p->profiles);
	map_done(&p->environment);
	arena_free(p->arena);
	free(p);
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct node *project_service(const struct project *p, const char *name)
{
	return node_get(project_section(p, "services"), name);
}

int project_need_service(const struct project *p, const char *name, struct node **out,
			 struct err *e)
{
	const struct node *services = project_section(p, "services");
	struct diag d = DIAG_INIT;

	*out = project_service(p, name);
	if (*out)
		return 0;
	diag_err(&d, NULL, ENOENT, "no such service: %s", name);
	diag_suggest(&d, name, services);
	if (e)
		*e = d.errs[0];
	diag_done(&d);
	return -ENOENT;
}

static int by_text(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

const char **project_service_names(const struct project *p)
{
	const struct node *services = project_section(p, "services");
	size_t n = node_is(services, NODE_MAP) ? services->n : 0;
	const char **names = xcalloc(n + 1, sizeof(*names));

	for (size_t i = 0; i < n; i++)
		names[i] = services->entries[i].key;
	qsort(names, n, sizeof(*names), by_text);
	return names;
}

const char *project_image_name(const struct project *p, const char *service)
{
	const char *image = node_get_str(project_service(p, service), "image");

	return is_empty(image) ? arena_printf(p->arena, "%s-%s", p->name, service) : image;
}

int64_t service_scale(const struct node *service)
{
	const struct node *scale = node_get(service, "scale");

	if (!scale)
		scale = node_path(service, "deploy", "replicas", NULL);
	return node_is(scale, NODE_INT) ? scale->integer : 1;
}
