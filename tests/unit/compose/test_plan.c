/* Plans as text: what is there, what is wanted, and the actions between them.
 *
 * One line per action: position, kind, container, what else is set, and behind
 * '<' the positions it waits for. */
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

static void world_make(struct world *w)
{
	*w = (struct world){ .o = PLAN_OPTIONS_INIT };
	folder_make(&w->f);
	w->dirs.root = w->f.path;
}

static void world_done(struct world *w)
{
	plan_done(&w->plan);
	record_list_done(&w->records);
	folder_done(&w->f);
}

/* (Re)load the project `t` from @text; records stay. */
static void wanted(struct world *w, const char *text)
{
	_cleanup_(free_p) char *yaml = xasprintf("name: t\nservices:\n%s", text);

	folder_write(&w->f, "compose.yaml", yaml);
	if (folder_load(&w->f, (struct project_options){ .all_resources = false }) < 0)
		fail_msg("%s", w->f.diag.errs[0].msg);
}

static struct record *add_record(struct world *w, const char *service, int number,
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
static struct record *have(struct world *w, const char *service, int number,
			   enum container_status status)
{
	struct record *r = add_record(w, service, number, status);
	char hash[CONFIG_HASH_MAX];

	r->config_hash = xstrdup(service_hash(project_service(w->f.p, service), hash));
	r->image_id = xstrdup("sha256:one");
	return r;
}

static void name_all(const struct project *p, const char *section, struct map *out)
{
	const struct node *map = project_section(p, section);

	for (size_t i = 0; node_is(map, NODE_MAP) && i < map->n; i++)
		map_put(out, node_get_str(map->entries[i].value, "name"), json_new_object());
}

/* What translate_project() would say, without images. */
static struct translation *translation_by_hand(const struct world *w)
{
	const struct project *p = w->f.p;
	struct translation *t = new0(struct translation);
	const char **names = project_service_names(p);
	char hash[CONFIG_HASH_MAX];

	t->specs = MAP_INIT_FREE(spec_free);
	t->networks = t->volumes = MAP_INIT_FREE(json_unref);
	t->project = p->name;
	t->dirs = &w->dirs;
	for (size_t i = 0; names[i]; i++) {
		struct container_spec *s = spec_new();
		const struct node *service = project_service(p, names[i]);

		s->config_hash = xstrdup(service_hash(service, hash));
		s->image_id = xstrdup("sha256:one");
		s->name = xstrdup_null(node_get_str(service, "container_name"));
		map_put(&t->specs, names[i], s);
	}
	free(names);
	name_all(p, "networks", &t->networks);
	name_all(p, "volumes", &t->volumes);
	return t;
}

static void show_action(struct buf *b, size_t i, const struct action *a)
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

static void expect(struct world *w, const char *text)
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

static void expect_up(struct world *w, const char *text)
{
	_cleanup_(translation_freep) struct translation *t = translation_by_hand(w);

	assert_int_equal(plan_up(w->f.p, t, &w->records, &w->o, &w->plan, &w->f.diag), 0);
	expect(w, text);
}

typedef int (*plan_fn)(const struct project *, const struct record_list *,
		       const struct plan_options *, struct plan *, struct diag *);

static void expect_plan(struct world *w, plan_fn fn, const char *text)
{
	assert_int_equal(fn(w->f.p, &w->records, &w->o, &w->plan, &w->f.diag), 0);
	expect(w, text);
}

#define CHAIN                                                                                      \
	"  web: {image: i, depends_on: [db]}\n"                                                    \
	"  db: {image: i, volumes: ['data:/d']}\n"                                                 \
	"volumes: {data: {}}\n"

static void test_first_up(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, CHAIN);
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 create t-db-1 <0,1\n"
		      "3 start t-db-1 <2\n"
		      "4 create t-web-1 <0,1\n"
		      "5 start t-web-1 <4,3\n");
	w.o.no_start = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 create t-db-1 <0,1\n"
		      "3 create t-web-1 <0,1\n");
	world_done(&w);
}

/* Nothing to do is nothing to send: no networks, no volumes. */
static void test_up_again(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, CHAIN);
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_RESTARTING);
	expect_up(&w, "kept t-db-1\nkept t-web-1\n");
	w.records.items[1]->status = CONTAINER_EXITED;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 start t-web-1 <0,1\n"
		      "kept t-db-1\n");
	w.records.items[1]->status = CONTAINER_CREATED;
	w.o.no_start = true;
	expect_up(&w, "kept t-db-1\n");
	world_done(&w);
}

static void test_changed(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, CHAIN);
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_EXITED);
	wanted(&w, "  web: {image: i, depends_on: [db], user: me}\n"
		   "  db: {image: i, volumes: ['data:/d']}\n"
		   "volumes: {data: {}}\n");
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 remove t-web-1 quiet\n"
		      "3 create t-web-1 recreate (its configuration changed) <0,1,2\n"
		      "4 start t-web-1 <3\n"
		      "kept t-db-1\n");
	str_set(&w.records.items[0]->image_id, "sha256:two");
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 stop t-db-1 quiet\n"
		      "3 remove t-db-1 quiet <2\n"
		      "4 create t-db-1 recreate (its image changed) <0,1,3\n"
		      "5 start t-db-1 <4\n"
		      "6 remove t-web-1 quiet\n"
		      "7 create t-web-1 recreate (its configuration changed) <0,1,6\n"
		      "8 start t-web-1 <7,5\n");
	w.o.no_recreate = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 start t-web-1 <0,1\n"
		      "kept t-db-1\n");
	w.o.no_recreate = false;
	w.o.timeout_ns = 5;
	w.o.renew_volumes = true;
	w.o.no_start = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 stop t-db-1 timeout 5 quiet\n"
		      "3 remove t-db-1 volumes quiet <2\n"
		      "4 create t-db-1 recreate (its image changed) <0,1,3\n"
		      "5 remove t-web-1 volumes quiet\n"
		      "6 create t-web-1 recreate (its configuration changed) <0,1,5\n");
	/* A container that a monitor may yet start again has to be stopped all the same. */
	w.o = PLAN_OPTIONS_INIT;
	w.records.items[1]->corrected = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 stop t-db-1 quiet\n"
		      "3 remove t-db-1 quiet <2\n"
		      "4 create t-db-1 recreate (its image changed) <0,1,3\n"
		      "5 start t-db-1 <4\n"
		      "6 stop t-web-1 quiet\n"
		      "7 remove t-web-1 quiet <6\n"
		      "8 create t-web-1 recreate (its configuration changed) <0,1,7\n"
		      "9 start t-web-1 <8,5\n");
	world_done(&w);
}

/* What is not part of a container's hash does not make it anew. */
static void test_unhashed_changes(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, deploy: {replicas: 2}, pull_policy: always}\n"
		   "  db: {image: i}\n");
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_RUNNING);
	wanted(&w, "  web: {image: i, depends_on: [db], deploy: {replicas: 1}}\n"
		   "  db: {image: i}\n");
	expect_up(&w, "kept t-db-1\nkept t-web-1\n");
	world_done(&w);
}

static void test_scale(void **state)
{
	char *scale[] = { "webs=9", "web=1", NULL };
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, scale: 3, depends_on: [db]}\n  db: {image: i, scale: 2}\n");
	have(&w, "web", 2, CONTAINER_RUNNING);
	expect_up(&w, "0 network_create t_default\n"
		      "1 create t-db-1 <0\n"
		      "2 start t-db-1 <1\n"
		      "3 create t-db-2 <0\n"
		      "4 start t-db-2 <3\n"
		      "5 create t-web-1 <0\n"
		      "6 start t-web-1 <5,2,4\n"
		      "7 create t-web-3 <0\n"
		      "8 start t-web-3 <7,2,4\n"
		      "kept t-web-2\n");
	have(&w, "web", 1, CONTAINER_RUNNING);
	have(&w, "web", 3, CONTAINER_EXITED);
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "db", 2, CONTAINER_RUNNING);
	w.o.scale = scale;
	expect_up(&w, "0 network_create t_default\n"
		      "1 stop t-web-2 by-user\n"
		      "2 remove t-web-2 volumes <1\n"
		      "3 remove t-web-3 volumes\n"
		      "kept t-db-1\n"
		      "kept t-db-2\n"
		      "kept t-web-1\n");
	wanted(&w, "  web: {image: i, scale: 0, depends_on: [db]}\n  db: {image: i, scale: 2}\n");
	w.o.scale = NULL;
	expect_up(&w, "0 network_create t_default\n"
		      "1 stop t-web-2 by-user\n"
		      "2 remove t-web-2 volumes <1\n"
		      "3 stop t-web-1 by-user\n"
		      "4 remove t-web-1 volumes <3\n"
		      "5 remove t-web-3 volumes\n"
		      "kept t-db-1\n"
		      "kept t-db-2\n");
	world_done(&w);
}

static void test_orphans(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i}\n  later: {image: i, profiles: [p]}\n");
	have(&w, "web", 1, CONTAINER_RUNNING);
	add_record(&w, "gone", 1, CONTAINER_RUNNING);
	add_record(&w, "gone", 2, CONTAINER_EXITED);
	add_record(&w, "later", 1, CONTAINER_RUNNING); /* disabled is not removed */
	add_record(&w, "web", 9, CONTAINER_RUNNING)->oneoff = true;
	expect_up(&w, "kept t-web-1\n"
		      "warning Found orphan containers ([t-gon\n");
	w.o.remove_orphans = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 stop t-gone-1 by-user\n"
		      "2 remove t-gone-1 <1\n"
		      "3 remove t-gone-2\n"
		      "kept t-web-1\n");
	expect_plan(&w, plan_down,
		    "0 stop t-web-1 by-user\n"
		    "1 remove t-web-1 <0\n"
		    "2 stop t-web-9 by-user\n"
		    "3 remove t-web-9 <2\n"
		    "4 stop t-gone-1 by-user\n"
		    "5 remove t-gone-1 <4\n"
		    "6 remove t-gone-2\n");
	w.o.remove_orphans = false;
	expect_plan(&w, plan_down,
		    "0 stop t-web-1 by-user\n"
		    "1 remove t-web-1 <0\n"
		    "2 stop t-web-9 by-user\n"
		    "3 remove t-web-9 <2\n"
		    "warning Found orphan containers ([t-gon\n");
	world_done(&w);
}

#define CONDITIONS                                                                                 \
	"  app:\n"                                                                                 \
	"    image: i\n"                                                                           \
	"    depends_on:\n"                                                                        \
	"      started: {condition: service_started}\n"                                            \
	"      healthy: {condition: service_healthy}\n"                                            \
	"      job: {condition: service_completed_successfully, required: false}\n"                \
	"  other: {image: i, depends_on: {healthy: {condition: service_healthy}}}\n"               \
	"  started: {image: i}\n"                                                                  \
	"  healthy: {image: i, scale: 2}\n"                                                        \
	"  job: {image: i}\n"

static void test_conditions(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, CONDITIONS);
	expect_up(&w, "0 network_create t_default\n"
		      "1 create t-healthy-1 <0\n"
		      "2 start t-healthy-1 <1\n"
		      "3 create t-healthy-2 <0\n"
		      "4 start t-healthy-2 <3\n"
		      "5 create t-job-1 <0\n"
		      "6 start t-job-1 <5\n"
		      "7 create t-started-1 <0\n"
		      "8 start t-started-1 <7\n"
		      "9 create t-app-1 <0\n"
		      "10 wait t-healthy-1 service_healthy <2\n"
		      "11 wait t-healthy-2 service_healthy <4\n"
		      "12 wait t-job-1 service_completed_successfully optional <6\n"
		      "13 start t-app-1 <9,8,10,11,12\n"
		      "14 create t-other-1 <0\n"
		      "15 start t-other-1 <14,10,11\n");
	/* A dependency that runs already is waited for as well; no wait without need. */
	have(&w, "started", 1, CONTAINER_RUNNING);
	have(&w, "healthy", 1, CONTAINER_RUNNING);
	have(&w, "healthy", 2, CONTAINER_RUNNING);
	have(&w, "job", 1, CONTAINER_EXITED);
	expect_up(&w, "0 network_create t_default\n"
		      "1 start t-job-1 <0\n"
		      "2 create t-app-1 <0\n"
		      "3 wait t-healthy-1 service_healthy\n"
		      "4 wait t-healthy-2 service_healthy\n"
		      "5 wait t-job-1 service_completed_successfully optional <1\n"
		      "6 start t-app-1 <2,3,4,5\n"
		      "7 create t-other-1 <0\n"
		      "8 start t-other-1 <7,3,4\n"
		      "kept t-healthy-1\n"
		      "kept t-healthy-2\n"
		      "kept t-started-1\n");
	world_done(&w);
}

/* The wait of one who insists is not made optional by one who does not, in
 * whichever order they ask. */
static void test_optional_wait(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  a: {image: i, depends_on: {db: {condition: service_healthy, required: "
		   "false}}}\n"
		   "  b: {image: i, depends_on: {db: {condition: service_healthy}}}\n"
		   "  db: {image: i}\n");
	expect_up(&w, "0 network_create t_default\n"
		      "1 create t-db-1 <0\n"
		      "2 start t-db-1 <1\n"
		      "3 create t-a-1 <0\n"
		      "4 wait t-db-1 service_healthy optional <2\n"
		      "5 start t-a-1 <3,4\n"
		      "6 create t-b-1 <0\n"
		      "7 wait t-db-1 service_healthy <2\n"
		      "8 start t-b-1 <6,7\n");
	wanted(&w, "  b: {image: i, depends_on: {db: {condition: service_healthy, required: "
		   "false}}}\n"
		   "  a: {image: i, depends_on: {db: {condition: service_healthy}}}\n"
		   "  db: {image: i}\n");
	expect_up(&w, "0 network_create t_default\n"
		      "1 create t-db-1 <0\n"
		      "2 start t-db-1 <1\n"
		      "3 create t-a-1 <0\n"
		      "4 wait t-db-1 service_healthy <2\n"
		      "5 start t-a-1 <3,4\n"
		      "6 create t-b-1 <0\n"
		      "7 wait t-db-1 service_healthy optional <2\n"
		      "8 start t-b-1 <6,7\n");
	world_done(&w);
}

static void test_restart_followers(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w,
	       "  a: {image: i, depends_on: {db: {condition: service_healthy, restart: true}}}\n"
	       "  b: {image: i, depends_on: {a: {condition: service_started, restart: true}}}\n"
	       "  c: {image: i, depends_on: [db]}\n"
	       "  db: {image: i}\n");
	have(&w, "a", 1, CONTAINER_RUNNING);
	have(&w, "b", 1, CONTAINER_RUNNING);
	have(&w, "c", 1, CONTAINER_RUNNING);
	have(&w, "db", 1, CONTAINER_RUNNING);
	str_set(&w.records.items[3]->config_hash, "old");
	expect_up(&w, "0 network_create t_default\n"
		      "1 stop t-db-1 quiet\n"
		      "2 remove t-db-1 quiet <1\n"
		      "3 create t-db-1 recreate (its configuration changed) <0,2\n"
		      "4 start t-db-1 <3\n"
		      "5 stop t-a-1\n"
		      "6 wait t-db-1 service_healthy <4\n"
		      "7 start t-a-1 <5,6\n"
		      "8 stop t-b-1\n"
		      "9 start t-b-1 <8,7\n"
		      "kept t-c-1\n");
	w.o.services = (char *[]){ "db", NULL };
	expect_plan(&w, plan_restart,
		    "0 stop t-b-1\n"
		    "1 stop t-a-1 <0\n"
		    "2 stop t-db-1 <1\n"
		    "3 start t-db-1 <2\n"
		    "4 wait t-db-1 service_healthy <3\n"
		    "5 start t-a-1 <1,4\n"
		    "6 start t-b-1 <0,5\n");
	w.o.no_deps = true;
	expect_plan(&w, plan_restart,
		    "0 stop t-db-1\n"
		    "1 start t-db-1 <0\n");
	world_done(&w);
}

static void test_shared_namespace(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  vpn: {image: i}\n"
		   "  app: {image: i, network_mode: 'service:vpn'}\n"
		   "  watch: {image: i, pid: 'service:app'}\n"
		   "  web: {image: i, depends_on: [vpn]}\n");
	expect_up(&w, "0 network_create t_default\n"
		      "1 create t-vpn-1 <0\n"
		      "2 start t-vpn-1 <1\n"
		      "3 create t-app-1 <0\n"
		      "4 start t-app-1 <3,2\n"
		      "5 create t-web-1 <0\n"
		      "6 start t-web-1 <5,2\n"
		      "7 create t-watch-1 <0\n"
		      "8 start t-watch-1 <7,4\n");
	have(&w, "vpn", 1, CONTAINER_RUNNING);
	have(&w, "app", 1, CONTAINER_RUNNING);
	have(&w, "watch", 1, CONTAINER_EXITED);
	have(&w, "web", 1, CONTAINER_RUNNING);
	str_set(&w.records.items[0]->config_hash, "old");
	expect_up(&w, "0 network_create t_default\n"
		      "1 stop t-vpn-1 quiet\n"
		      "2 remove t-vpn-1 quiet <1\n"
		      "3 create t-vpn-1 recreate (its configuration changed) <0,2\n"
		      "4 start t-vpn-1 <3\n"
		      "5 stop t-app-1 quiet\n"
		      "6 remove t-app-1 quiet <5\n"
		      "7 create t-app-1 recreate (the container whose namespace it shares is made "
		      "anew) <0,6\n"
		      "8 start t-app-1 <7,4\n"
		      "9 remove t-watch-1 quiet\n"
		      "10 create t-watch-1 recreate (the container whose namespace it shares is "
		      "made anew) <0,9\n"
		      "11 start t-watch-1 <10,8\n"
		      "kept t-web-1\n");
	world_done(&w);
}

static void test_up_service(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, CHAIN "");
	w.o.services = (char *[]){ "web", NULL };
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 create t-db-1 <0,1\n"
		      "3 start t-db-1 <2\n"
		      "4 create t-web-1 <0,1\n"
		      "5 start t-web-1 <4,3\n");
	w.o.no_deps = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 create t-web-1 <0,1\n"
		      "3 start t-web-1 <2\n");
	w.o.no_deps = false;
	w.o.services = (char *[]){ "db", NULL };
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 create t-db-1 <0,1\n"
		      "3 start t-db-1 <2\n");
	world_done(&w);
}

/* --force-recreate means the services that were named, --always-recreate-deps those they need. */
static void test_force(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, CHAIN);
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_RUNNING);
	w.o.force_recreate = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 stop t-db-1 quiet\n"
		      "3 remove t-db-1 quiet <2\n"
		      "4 create t-db-1 recreate (--force-recreate) <0,1,3\n"
		      "5 start t-db-1 <4\n"
		      "6 stop t-web-1 quiet\n"
		      "7 remove t-web-1 quiet <6\n"
		      "8 create t-web-1 recreate (--force-recreate) <0,1,7\n"
		      "9 start t-web-1 <8,5\n");
	w.o.services = (char *[]){ "web", NULL };
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 stop t-web-1 quiet\n"
		      "3 remove t-web-1 quiet <2\n"
		      "4 create t-web-1 recreate (--force-recreate) <0,1,3\n"
		      "5 start t-web-1 <4\n"
		      "kept t-db-1\n");
	w.o.always_recreate_deps = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 stop t-db-1 quiet\n"
		      "3 remove t-db-1 quiet <2\n"
		      "4 create t-db-1 recreate (--always-recreate-deps) <0,1,3\n"
		      "5 start t-db-1 <4\n"
		      "6 stop t-web-1 quiet\n"
		      "7 remove t-web-1 quiet <6\n"
		      "8 create t-web-1 recreate (--force-recreate) <0,1,7\n"
		      "9 start t-web-1 <8,5\n");
	w.o.force_recreate = false;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 stop t-db-1 quiet\n"
		      "3 remove t-db-1 quiet <2\n"
		      "4 create t-db-1 recreate (--always-recreate-deps) <0,1,3\n"
		      "5 start t-db-1 <4\n"
		      "kept t-web-1\n");
	world_done(&w);
}

static void test_wait(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, CHAIN);
	w.o.wait = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 create t-db-1 <0,1\n"
		      "3 start t-db-1 <2\n"
		      "4 create t-web-1 <0,1\n"
		      "5 start t-web-1 <4,3\n"
		      "6 wait t-db-1 running_or_healthy <3\n"
		      "7 wait t-web-1 running_or_healthy <5\n");
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_RUNNING);
	w.o.wait_timeout = 7;
	expect_up(&w, "0 network_create t_default\n"
		      "1 volume_create t_data\n"
		      "2 wait t-db-1 running_or_healthy within 7\n"
		      "3 wait t-web-1 running_or_healthy within 7\n"
		      "kept t-db-1\n"
		      "kept t-web-1\n");
	world_done(&w);
}

static void test_container_name(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, container_name: mine}\n");
	expect_up(&w, "0 network_create t_default\n"
		      "1 create mine <0\n"
		      "2 start mine <1\n");
	world_done(&w);
}

static void test_down(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, CHAIN);
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_PAUSED);
	have(&w, "web", 2, CONTAINER_DEAD);
	add_record(&w, "web", 9, CONTAINER_RUNNING)->oneoff = true;
	w.o.networks = (char *[]){ "t_default", NULL };
	w.o.volume_names = (char *[]){ "t_data", NULL };
	expect_plan(&w, plan_down,
		    "0 stop t-web-1 by-user\n"
		    "1 stop t-db-1 by-user <0\n"
		    "2 remove t-db-1 <1\n"
		    "3 remove t-web-1 <0\n"
		    "4 remove t-web-2\n"
		    "5 stop t-web-9 by-user\n"
		    "6 remove t-web-9 <5\n"
		    "7 network_remove t_default <2,3,4,6\n");
	w.o.volumes = true;
	w.o.timeout_ns = 0;
	expect_plan(&w, plan_down,
		    "0 stop t-web-1 timeout 0 by-user\n"
		    "1 stop t-db-1 timeout 0 by-user <0\n"
		    "2 remove t-db-1 volumes <1\n"
		    "3 remove t-web-1 volumes <0\n"
		    "4 remove t-web-2 volumes\n"
		    "5 stop t-web-9 timeout 0 by-user\n"
		    "6 remove t-web-9 volumes <5\n"
		    "7 network_remove t_default <2,3,4,6\n"
		    "8 volume_remove t_data <2,3,4,6\n");
	w.o.services = (char *[]){ "web", NULL };
	expect_plan(&w, plan_down,
		    "0 stop t-web-1 timeout 0 by-user\n"
		    "1 remove t-web-1 volumes <0\n"
		    "2 remove t-web-2 volumes\n"
		    "3 stop t-web-9 timeout 0 by-user\n"
		    "4 remove t-web-9 volumes <3\n");
	w.o.services = NULL;
	record_list_done(&w.records);
	expect_plan(&w, plan_down,
		    "0 network_remove t_default\n"
		    "1 volume_remove t_data\n");
	world_done(&w);
}

/* `comp -p t down` where there is no compose file: the records and what the last
 * `up` noted are all there is. */
static void test_down_without_project(void **state)
{
	static const char deps[] = "{\"web\":{\"depends_on\":{\"api\":{\"condition\":"
				   "\"service_healthy\"}}},\"api\":{\"depends_on\":{\"db\":{},"
				   "\"never\":{}}},\"db\":{\"depends_on\":{}}}";
	_cleanup_(json_unrefp) json *j = NULL;
	struct world w;

	world_make(&w);
	assert_int_equal(json_parse(deps, strlen(deps), &j, NULL), 0);
	add_record(&w, "web", 1, CONTAINER_RUNNING);
	add_record(&w, "api", 1, CONTAINER_RUNNING);
	add_record(&w, "db", 1, CONTAINER_RUNNING);
	add_record(&w, NULL, 1, CONTAINER_RUNNING);
	w.o.networks = (char *[]){ "t_default", NULL };
	expect_plan(&w, plan_down,
		    "0 stop t-db-1 by-user\n"
		    "1 stop t-api-1 by-user\n"
		    "2 stop t-web-1 by-user\n"
		    "3 remove t-web-1 <2\n"
		    "4 remove t-api-1 <1\n"
		    "5 remove t-db-1 <0\n"
		    "6 stop t-odd by-user\n"
		    "7 remove t-odd <6\n"
		    "8 network_remove t_default <3,4,5,7\n");
	w.o.dependencies = j;
	expect_plan(&w, plan_down,
		    "0 stop t-web-1 by-user\n"
		    "1 stop t-api-1 by-user <0\n"
		    "2 stop t-db-1 by-user <1\n"
		    "3 remove t-web-1 <0\n"
		    "4 remove t-api-1 <1\n"
		    "5 remove t-db-1 <2\n"
		    "6 stop t-odd by-user\n"
		    "7 remove t-odd <6\n"
		    "8 network_remove t_default <3,4,5,7\n");
	expect_plan(&w, plan_restart,
		    "0 stop t-web-1\n"
		    "1 stop t-api-1 <0\n"
		    "2 stop t-db-1 <1\n"
		    "3 start t-db-1 <2\n"
		    "4 start t-api-1 <1,3\n"
		    "5 wait t-api-1 service_healthy <4\n"
		    "6 start t-web-1 <0,5\n");
	w.o.services = (char *[]){ "api", NULL };
	expect_plan(&w, plan_stop, "0 stop t-api-1 by-user\n");
	world_done(&w);
}

/* A cycle cannot have been up, but a file may say anything. */
static void test_cycle_on_file(void **state)
{
	static const char deps[] = "{\"a\":{\"depends_on\":{\"b\":{},\"a\":{}}},"
				   "\"b\":{\"depends_on\":{\"a\":5}}}";
	_cleanup_(json_unrefp) json *j = NULL;
	struct world w;

	world_make(&w);
	assert_int_equal(json_parse(deps, strlen(deps), &j, NULL), 0);
	add_record(&w, "a", 1, CONTAINER_RUNNING);
	add_record(&w, "b", 1, CONTAINER_RUNNING);
	w.o.dependencies = j;
	expect_plan(&w, plan_stop,
		    "0 stop t-b-1 by-user\n"
		    "1 stop t-a-1 by-user <0\n");
	world_done(&w);
}

static void test_stop_order(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, depends_on: [api, cache]}\n"
		   "  api: {image: i, depends_on: [db], scale: 2}\n"
		   "  cache: {image: i}\n"
		   "  db: {image: i}\n");
	have(&w, "api", 1, CONTAINER_RUNNING);
	have(&w, "api", 2, CONTAINER_RUNNING);
	have(&w, "cache", 1, CONTAINER_EXITED);
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_STARTING);
	expect_plan(&w, plan_stop,
		    "0 stop t-web-1 by-user\n"
		    "1 stop t-api-1 by-user <0\n"
		    "2 stop t-api-2 by-user <0\n"
		    "3 stop t-db-1 by-user <1,2\n");
	w.o.services = (char *[]){ "db", "web", NULL };
	w.o.timeout_ns = 3;
	expect_plan(&w, plan_stop,
		    "0 stop t-web-1 timeout 3 by-user\n"
		    "1 stop t-db-1 timeout 3 by-user <0\n");
	/* The service between two does not run: the order still holds. */
	w.o = PLAN_OPTIONS_INIT;
	w.records.items[0]->status = w.records.items[1]->status = CONTAINER_EXITED;
	expect_plan(&w, plan_stop,
		    "0 stop t-web-1 by-user\n"
		    "1 stop t-db-1 by-user <0\n");
	world_done(&w);
}

static void test_start(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, depends_on: {db: {condition: service_healthy}}}\n"
		   "  db: {image: i}\n");
	have(&w, "db", 1, CONTAINER_EXITED);
	have(&w, "web", 1, CONTAINER_CREATED);
	expect_plan(&w, plan_start,
		    "0 start t-db-1\n"
		    "1 wait t-db-1 service_healthy <0\n"
		    "2 start t-web-1 <1\n");
	w.o.services = (char *[]){ "web", NULL };
	expect_plan(&w, plan_start,
		    "0 start t-db-1\n"
		    "1 wait t-db-1 service_healthy <0\n"
		    "2 start t-web-1 <1\n");
	w.o.no_deps = true;
	expect_plan(&w, plan_start, "0 start t-web-1\n");
	w.o = PLAN_OPTIONS_INIT;
	w.records.items[0]->status = CONTAINER_RUNNING;
	w.o.wait = true;
	expect_plan(&w, plan_start,
		    "0 wait t-db-1 service_healthy\n"
		    "1 start t-web-1 <0\n"
		    "2 wait t-db-1 running_or_healthy\n"
		    "3 wait t-web-1 running_or_healthy <1\n");
	world_done(&w);
}

static void test_restart(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, depends_on: [db]}\n  db: {image: i}\n");
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_EXITED);
	expect_plan(&w, plan_restart,
		    "0 stop t-db-1\n"
		    "1 start t-db-1 <0\n"
		    "2 start t-web-1 <1\n");
	w.records.items[1]->status = CONTAINER_RUNNING;
	expect_plan(&w, plan_restart,
		    "0 stop t-web-1\n"
		    "1 stop t-db-1 <0\n"
		    "2 start t-db-1 <1\n"
		    "3 start t-web-1 <0,2\n");
	world_done(&w);
}

static void test_kill_and_pause(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, scale: 3}\n  db: {image: i}\n");
	have(&w, "web", 1, CONTAINER_RUNNING);
	have(&w, "web", 2, CONTAINER_PAUSED);
	have(&w, "web", 3, CONTAINER_EXITED);
	have(&w, "db", 1, CONTAINER_STOPPING);
	expect_plan(&w, plan_kill,
		    "0 kill t-web-1 signal 9 by-user\n"
		    "1 kill t-web-2 signal 9 by-user\n"
		    "2 kill t-db-1 signal 9 by-user\n");
	w.o.signal = SIGHUP;
	w.o.services = (char *[]){ "db", NULL };
	expect_plan(&w, plan_kill, "0 kill t-db-1 signal 1 by-user\n");
	w.o = PLAN_OPTIONS_INIT;
	assert_int_equal(plan_pause(w.f.p, &w.records, true, &w.o, &w.plan, &w.f.diag), 0);
	expect(&w, "0 pause t-web-1 by-user\n");
	assert_int_equal(plan_pause(w.f.p, &w.records, false, &w.o, &w.plan, &w.f.diag), 0);
	expect(&w, "0 unpause t-web-2 by-user\n");
	world_done(&w);
}

static void test_rm(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, depends_on: [db]}\n  db: {image: i}\n");
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_EXITED);
	have(&w, "web", 2, CONTAINER_RUNNING);
	expect_plan(&w, plan_rm, "0 remove t-web-1\n");
	w.o.stop = w.o.volumes = true;
	expect_plan(&w, plan_rm,
		    "0 stop t-web-2 by-user\n"
		    "1 stop t-db-1 by-user <0\n"
		    "2 remove t-db-1 volumes <1\n"
		    "3 remove t-web-1 volumes\n"
		    "4 remove t-web-2 volumes <0\n");
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_up),
		cmocka_unit_test(test_up_again),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_unhashed_changes),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_optional_wait),
		cmocka_unit_test(test_restart_followers),
		cmocka_unit_test(test_shared_namespace),
		cmocka_unit_test(test_up_service),
		cmocka_unit_test(test_force),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_container_name),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_down_without_project),
		cmocka_unit_test(test_cycle_on_file),
		cmocka_unit_test(test_stop_order),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_kill_and_pause),
		cmocka_unit_test(test_rm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
