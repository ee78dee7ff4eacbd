/* pre_start hooks: what such a container is, and when a plan runs it. */
#include "tests/unit/compose/planning.h"

#include "compose/pre_start.h"

#define HOOKED                                                                                     \
	"  db: {image: i}\n"                                                                       \
	"  web: {image: i, depends_on: [db], pre_start: [{command: a}, {command: b}]}\n"

static void test_service(void **state)
{
	struct world w;
	_cleanup_(arena_freep) struct arena *a = arena_new();
	struct node *s, *hook;

	world_make(&w);
	wanted(&w, "  web:\n"
		   "    image: i\n"
		   "    container_name: only\n"
		   "    command: serve\n"
		   "    user: app\n"
		   "    ports: ['80:80']\n"
		   "    healthcheck: {test: 'true'}\n"
		   "    restart: always\n"
		   "    environment: {A: 1, B: 2}\n"
		   "    networks: {default: {ipv4_address: 10.0.0.2, aliases: [x], priority: 3}}\n"
		   "    pre_start:\n"
		   "      - {command: [x, y], image: other, environment: {B: 3, C: 4}}\n");
	hook = node_get(project_service(w.f.p, "web"), "pre_start")->items[0];
	s = pre_start_service(a, project_service(w.f.p, "web"), hook);
	assert_string_equal(node_get_str(s, "image"), "other");
	assert_string_equal(node_get_str(s, "user"), "app");
	assert_int_equal(node_get(s, "command")->n, 2);
	assert_string_equal(node_path(s, "environment", "A", NULL)->text, "1");
	assert_string_equal(node_path(s, "environment", "B", NULL)->text, "3");
	assert_string_equal(node_path(s, "environment", "C", NULL)->text, "4");
	assert_null(node_get(s, "container_name"));
	assert_null(node_get(s, "ports"));
	assert_null(node_get(s, "healthcheck"));
	assert_null(node_get(s, "restart"));
	assert_null(node_get(s, "pre_start"));
	assert_null(node_path(s, "networks", "default", "ipv4_address", NULL));
	assert_null(node_path(s, "networks", "default", "aliases", NULL));
	assert_non_null(node_path(s, "networks", "default", "priority", NULL));
	/* The service itself is as it was. */
	assert_non_null(node_get(project_service(w.f.p, "web"), "ports"));
	assert_string_equal(
		node_path(project_service(w.f.p, "web"), "environment", "B", NULL)->text, "2");
	world_done(&w);
}

static void add_mount(struct container_spec *s, const char *target, const char *volume)
{
	s->mounts = xreallocarray(s->mounts, s->n_mounts + 1, sizeof(*s->mounts));
	s->mounts[s->n_mounts++] = (struct mount_spec){ .type = MOUNT_VOLUME,
							.target = xstrdup(target),
							.volume = xstrdup_null(volume),
							.source = xstrdup_null(volume),
							.anonymous = true };
}

static void test_volumes(void **state)
{
	_cleanup_(spec_freep) struct container_spec *hook = spec_new(), *replica = spec_new();

	add_mount(replica, "/a", "aaa");
	add_mount(hook, "/a", NULL);
	add_mount(hook, "/own", NULL);
	pre_start_share_volumes(hook, replica);
	assert_string_equal(hook->mounts[0].volume, "aaa");
	assert_false(hook->mounts[0].anonymous); /* goes with the replica, not with the hook */
	assert_null(hook->mounts[1].volume);
	assert_true(hook->mounts[1].anonymous);
}

static void test_first_up(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, HOOKED);
	expect_up(&w, "0 network_create t_default\n"
		      "1 create t-db-1 <0\n"
		      "2 start t-db-1 <1\n"
		      "3 create t-web-1 <0\n"
		      "4 create t-web-pre_start-0 <0,3\n"
		      "5 start t-web-pre_start-0 <4,2\n"
		      "6 wait t-web-pre_start-0 service_completed_successfully <5\n"
		      "7 remove t-web-pre_start-0 volumes <6\n"
		      "8 create t-web-pre_start-1 <0,6\n"
		      "9 start t-web-pre_start-1 <8,2\n"
		      "10 wait t-web-pre_start-1 service_completed_successfully <9\n"
		      "11 remove t-web-pre_start-1 volumes <10\n"
		      "12 start t-web-1 <10,2\n");
	w.o.no_start = true;
	expect_up(&w, "0 network_create t_default\n"
		      "1 create t-db-1 <0\n"
		      "2 create t-web-1 <0\n"
		      "3 create t-web-pre_start-0 <0,2\n"
		      "4 create t-web-pre_start-1 <0,2\n");
	world_done(&w);
}

static void test_once(void **state)
{
	char *three[] = { (char *)"web=2", NULL };
	struct world w;

	world_make(&w);
	wanted(&w, HOOKED);
	have(&w, "db", 1, CONTAINER_RUNNING);
	have(&w, "web", 1, CONTAINER_EXITED)->started_at = 1;
	expect_up(&w, "0 network_create t_default\n"
		      "1 start t-web-1 <0\n"
		      "kept t-db-1\n");
	w.o.scale = three;
	expect_up(&w, "0 network_create t_default\n"
		      "1 start t-web-1 <0\n"
		      "2 create t-web-2 <0\n"
		      "3 start t-web-2 <2\n"
		      "kept t-db-1\n");
	world_done(&w);
}

static void test_per_replica(void **state)
{
	struct world w;

	world_make(&w);
	wanted(&w, "  web: {image: i, scale: 2, pre_start: [{command: a, per_replica: true}]}\n");
	have(&w, "web", 1, CONTAINER_RUNNING)->started_at = 1;
	expect_up(&w, "0 network_create t_default\n"
		      "1 create t-web-2 <0\n"
		      "2 create t-web-2-pre_start-0 <0,1\n"
		      "3 start t-web-2-pre_start-0 <2\n"
		      "4 wait t-web-2-pre_start-0 service_completed_successfully <3\n"
		      "5 remove t-web-2-pre_start-0 volumes <4\n"
		      "6 start t-web-2 <4\n"
		      "kept t-web-1\n");
	world_done(&w);
}

/* One that failed is kept, for people, until the next try. */
static void test_left(void **state)
{
	struct world w;
	struct record *r;

	world_make(&w);
	wanted(&w, "  web: {image: i, pre_start: [{command: a}]}\n");
	have(&w, "web", 1, CONTAINER_CREATED);
	r = add_record(&w, "web", 1, CONTAINER_EXITED);
	str_set(&r->name, "t-web-pre_start-0");
	r->oneoff = true;
	r->pre_start = 1;
	expect_plan(&w, plan_start,
		    "0 start t-web-pre_start-0\n"
		    "1 wait t-web-pre_start-0 service_completed_successfully <0\n"
		    "2 remove t-web-pre_start-0 volumes <1\n"
		    "3 start t-web-1 <1\n");
	r->status = CONTAINER_RUNNING;
	expect_plan(&w, plan_stop, "0 stop t-web-pre_start-0 by-user\n");
	expect_plan(&w, plan_down,
		    "0 stop t-web-pre_start-0 by-user\n"
		    "1 remove t-web-1\n"
		    "2 remove t-web-pre_start-0 <0\n");
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_service),     cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_first_up),    cmocka_unit_test(test_once),
		cmocka_unit_test(test_per_replica), cmocka_unit_test(test_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
