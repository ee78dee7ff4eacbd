/* compose/translate.c: one service, one spec.
 *
 * A spec is filled by groups of keys (process, mounts, networks, limits, …), each
 * a function that reads the canonical node and writes its part of the struct
 * (translate_internal.h).  What the image says is put in first or where the
 * service is silent; nothing of the image's labels is read.
 */
#include "compose/translate_internal.h"

#include <fcntl.h>

#include "base/path.h"
#include "base/strv.h"
#include "compose/hash.h"
#include "compose/pre_start.h"
#include "compose/version_label.h"
#include "engine/state/names.h"

static void set_labels(struct job *j)
{
	struct container_spec *s = j->spec;
	const struct project *p = j->p;
	_cleanup_(free_p) char *files = strv_join(p->config_files, ",");
	_cleanup_(strv_freep) char **own = translate_pairs(node_get(j->service, "labels"));
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
	s->annotations = translate_pairs(node_get(j->service, "annotations"));
}

/* ---- one service ---- */
static int translate_service(struct job *j, const struct image *image)
{
	struct container_spec *s = j->spec;
	char hash[CONFIG_HASH_MAX];
	int r;

	s->project = xstrdup(j->p->name);
	s->service = xstrdup(j->name);
	s->name = translate_string_of(
		j, "container_name"); /* NULL: made from project, service and number */
	s->image = xstrdup(project_image_name(j->p, j->name));
	s->image_id = xstrdup(image->id);
	s->layers = strv_copy(image->layers);
	s->config_hash = xstrdup(service_hash(j->service, hash));
	if ((r = translate_process(j)) < 0 || (r = translate_restart(j)) < 0 ||
	    (r = translate_mounts(j)) < 0 || (r = translate_files(j)) < 0 ||
	    (r = translate_connections(j)) < 0 || (r = translate_security(j)) < 0 ||
	    (r = translate_health(j)) < 0)
		return r;
	translate_hooks(j);
	translate_log(j);
	translate_limits(j);
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
	const struct node *service = project_service(p, name),
			  *seq = node_get(service, "pre_start");
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

/* Before anything is made; the supervisor has the last word when it creates. */
static int check_name(const struct job *j)
{
	const struct node *at = node_get(j->service, "container_name");
	struct err e = ERR_INIT;

	if (!j->spec->name || names_check(j->dirs, j->spec->name, j->p->name, &e) == 0)
		return 0;
	err_wrap(&e, -e.code, "services.%s", j->name);
	(void)err_at(&e, at->file, at->line, at->col);
	return diag_add(j->diag, &e);
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
		r = check_name(&j);
	if (r == 0)
		map_put(&t->specs, name, TAKE_PTR(spec));
	return r < 0 ? r : add_pre_start(t, p, images, name, diag);
}

/* ---- the project ---- */
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
			r2 = translate_resources(t, p, names[i], diag);
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

/* ---- replicas ---- */
char *translation_container_name(const struct translation *t, const char *service, int number)
{
	const struct container_spec *s = map_get(&t->specs, service);

	if (s && s->name)
		return xstrdup(s->name);
	return xasprintf("%s-%s-%d", t->project, service, number);
}

struct container_spec *translate_load(const struct dirs *d, const char *project, const char *id)
{
	_cleanup_(free_p) char *dir = dirs_container(d, project, id);
	_cleanup_(free_p) char *path = path_join(dir, "spec.json");
	_cleanup_(json_unrefp) json *j = NULL;
	struct container_spec *s = NULL;

	if (json_read_file(AT_FDCWD, path, 16 << 20, &j, NULL) < 0 ||
	    spec_from_json(j, &s, NULL) < 0)
		return NULL;
	return s;
}

struct container_spec *translation_load(const struct translation *t, const struct record *rec)
{
	return translate_load(t->dirs, rec->project, rec->id);
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
	_cleanup_(spec_freep) struct container_spec *before = old && !renew_volumes
								      ? translation_load(t, old)
								      : NULL;

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
