/* planning.h: for tests of plans: what is there, what is wanted, and the actions
 * between them as text.
 *
 * One line per action: position, kind, container, what else is set, and behind
 * '<' the positions it waits for. */
#ifndef TESTS_PLANNING_H
#define TESTS_PLANNING_H

#include "tests/unit/compose/loading.h"

#include <signal.h>
#include <stdio.h>

#include "compose/hash.h"
#include "compose/plan.h"

struct world {
	struct folder f;
	struct dirs dirs;
	struct record_list records;
	struct plan_options o;
	struct plan plan;
};

static inline void world_make(struct world *w)
{
	*w = (struct world){ .o = PLAN_OPTIONS_INIT };
	folder_make(&w->f);
	w->dirs.root = w->f.path;
}

static inline void world_done(struct world *w)
{
	plan_done(&w->plan);
	record_list_done(&w->records);
	folder_done(&w->f);
}

/* (Re)load the project `t` from @text; records stay. */
static inline void wanted(struct world *w, const char *text)
{
	_cleanup_(free_p) char *yaml = xasprintf("name: t\nservices:\n%s", text);

	folder_write(&w->f, "compose.yaml", yaml);
	if (folder_load(&w->f, (struct project_options){ .all_resources = false }) < 0)
		fail_msg("%s", w->f.diag.errs[0].msg);
}

static inline struct record *add_record(struct world *w, const char *service, int number,
					enum container_status status)
{
	struct record *r = record_new();

	r->name = service ? xasprintf("t-%s-%d", service, number) : xstrdup("t-odd");
	r->id = xstrdup(r->name);
	r->project = xstrdup("t");
	r->service = xstrdup_null(service);
	r->number = number;
	r->status = status;
	w->records.items = xreallocarray(w->records.items, w->records.n + 1, sizeof(r));
	w->records.items[w->records.n++] = r;
	return r;
}

/* A container as `up` with the present project would have made it. */
static inline struct record *have(struct world *w, const char *service, int number,
				  enum container_status status)
{
	struct record *r = add_record(w, service, number, status);
	char hash[CONFIG_HASH_MAX];

	r->config_hash = xstrdup(service_hash(project_service(w->f.p, service), hash));
	r->image_id = xstrdup("sha256:one");
	return r;
}

static inline void name_all(const struct project *p, const char *section, struct map *out)
{
	const struct node *map = project_section(p, section);

	for (size_t i = 0; node_is(map, NODE_MAP) && i < map->n; i++)
		map_put(out, node_get_str(map->entries[i].value, "name"), json_new_object());
}

static inline void free_hooks(void *p)
{
	struct pre_start_list *l = p;

	for (size_t i = 0; i < l->n; i++)
		spec_free(l->specs[i]);
	free(l->specs);
	free(l->per_replica);
	free(l);
}

static inline void add_hooks(struct translation *t, const char *service, const struct node *seq)
{
	struct pre_start_list *l;

	if (!node_is(seq, NODE_SEQ))
		return;
	l = new0(struct pre_start_list);
	l->specs = xcalloc(seq->n, sizeof(*l->specs));
	l->per_replica = xcalloc(seq->n, sizeof(*l->per_replica));
	for (; l->n < seq->n; l->n++) {
		l->specs[l->n] = spec_new();
		l->per_replica[l->n] = node_get_bool(seq->items[l->n], "per_replica", false);
	}
	map_put(&t->hooks, service, l);
}

/* What translate_project() would say, without images. */
static inline struct translation *translation_by_hand(const struct world *w)
{
	const struct project *p = w->f.p;
	struct translation *t = new0(struct translation);
	const char **names = project_service_names(p);
	char hash[CONFIG_HASH_MAX];

	t->specs = MAP_INIT_FREE(spec_free);
	t->networks = t->volumes = MAP_INIT_FREE(json_unref);
	t->hooks = MAP_INIT_FREE(free_hooks);
	t->project = p->name;
	t->dirs = &w->dirs;
	for (size_t i = 0; names[i]; i++) {
		struct container_spec *s = spec_new();
		const struct node *service = project_service(p, names[i]);

		s->config_hash = xstrdup(service_hash(service, hash));
		s->image_id = xstrdup("sha256:one");
		s->name = xstrdup_null(node_get_str(service, "container_name"));
		map_put(&t->specs, names[i], s);
		add_hooks(t, names[i], node_get(service, "pre_start"));
	}
	free(names);
	name_all(p, "networks", &t->networks);
	name_all(p, "volumes", &t->volumes);
	return t;
}

static inline void show_action(struct buf *b, size_t i, const struct action *a)
{
	buf_printf(b, "%zu %s %s", i, action_kind_name(a->kind), a->object);
	if (a->kind == ACTION_WAIT)
		buf_printf(b, " %s", wait_condition_name(a->condition));
	if (a->kind == ACTION_WAIT && a->timeout >= 0)
		buf_printf(b, " within %lld", (long long)a->timeout);
	if (a->optional)
		buf_adds(b, " optional");
	if (a->kind == ACTION_STOP && a->timeout != ACTION_DEFAULT_TIMEOUT)
		buf_printf(b, " timeout %lld", (long long)a->timeout);
	if (a->kind == ACTION_KILL)
		buf_printf(b, " signal %d", a->signal);
	if (a->by_user)
		buf_adds(b, " by-user");
	if (a->with_volumes)
		buf_adds(b, " volumes");
	if (a->recreate)
		buf_adds(b, " recreate");
	if (a->quiet)
		buf_adds(b, " quiet");
	if (a->reason)
		buf_printf(b, " (%s)", a->reason);
	for (size_t k = 0; k < a->n_needs; k++)
		buf_printf(b, "%s%zu", k ? "," : " <", a->needs[k]);
	buf_addc(b, '\n');
}

static inline void expect(struct world *w, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	for (size_t i = 0; i < w->plan.actions.n; i++)
		show_action(&b, i, &w->plan.actions.items[i]);
	STRV_FOREACH (kept, w->plan.kept)
		buf_printf(&b, "kept %s\n", *kept);
	STRV_FOREACH (warning, w->plan.warnings)
		buf_printf(&b, "warning %.31s\n", *warning);
	if (!streq(buf_str(&b), text))
		fail_msg("the plan is\n%swanted was\n%s", buf_str(&b), text);
	plan_done(&w->plan);
}

static inline void expect_up(struct world *w, const char *text)
{
	_cleanup_(translation_freep) struct translation *t = translation_by_hand(w);

	assert_int_equal(plan_up(w->f.p, t, &w->records, &w->o, &w->plan, &w->f.diag), 0);
	expect(w, text);
}

typedef int (*plan_fn)(const struct project *, const struct record_list *,
		       const struct plan_options *, struct plan *, struct diag *);

static inline void expect_plan(struct world *w, plan_fn fn, const char *text)
{
	assert_int_equal(fn(w->f.p, &w->records, &w->o, &w->plan, &w->f.diag), 0);
	expect(w, text);
}

/* A service and one it needs. */
#define CHAIN                                                                                      \
	"  web: {image: i, depends_on: [db]}\n"                                                    \
	"  db: {image: i, volumes: ['data:/d']}\n"                                                 \
	"volumes: {data: {}}\n"

#endif
