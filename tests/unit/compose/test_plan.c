/* Plans of down, stop, start, restart, kill, pause and rm. */
#include "tests/unit/compose/planning.h"

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

static void test_boot(void **state)
{
	static const char deps[] =
		"{\"web\":{\"depends_on\":{\"db\":{\"condition\":\"service_healthy\"},"
		"\"init\":{\"condition\":\"service_completed_successfully\"},"
		"\"cache\":{\"condition\":\"service_healthy\"},"
		"\"log\":{\"condition\":\"service_started\"}}}}";
	_cleanup_(json_unrefp) json *j = NULL;
	struct world w;

	world_make(&w);
	assert_int_equal(json_parse(deps, strlen(deps), &j, NULL), 0);
	add_record(&w, "web", 1, CONTAINER_EXITED)->lost = true;
	add_record(&w, "db", 1, CONTAINER_EXITED)->lost = true;
	add_record(&w, "init", 1, CONTAINER_EXITED);
	add_record(&w, "cache", 1, CONTAINER_EXITED); /* was down then: not waited for */
	add_record(&w, "log", 1, CONTAINER_EXITED)->lost = true;
	w.o.dependencies = j;
	expect_plan(&w, plan_boot, "");
	w.o.lost = (char *[]){ "t-web-1", "t-db-1", NULL };
	expect_plan(&w, plan_boot,
		    "0 start t-db-1\n"
		    "1 wait t-db-1 service_healthy <0\n"
		    "2 wait t-init-1 service_completed_successfully\n"
		    "3 start t-web-1 <1,2\n"
		    "warning web comes back without log, whi\n");
	assert_int_equal(plan_boot(NULL, &w.records, &w.o, &w.plan, &w.f.diag), 0);
	assert_true(w.plan.keep_going);
	plan_done(&w.plan);
	/* Health of one that ran, and will not come back, cannot be had. */
	w.o.lost = (char *[]){ "t-web-1", NULL };
	w.records.items[4]->status = CONTAINER_RUNNING;
	expect_plan(&w, plan_boot,
		    "0 wait t-db-1 service_healthy\n"
		    "1 wait t-init-1 service_completed_successfully\n"
		    "2 start t-web-1 <0,1\n");
	world_done(&w);
}

static void test_stop_for_boot(void **state)
{
	struct world w;

	world_make(&w);
	add_record(&w, "a", 1, CONTAINER_RUNNING);
	w.o.for_boot = true;
	assert_int_equal(plan_stop(NULL, &w.records, &w.o, &w.plan, &w.f.diag), 0);
	assert_true(w.plan.actions.items[0].for_boot);
	assert_false(w.plan.actions.items[0].by_user);
	world_done(&w);
}

static void test_stop_lost(void **state)
{
	struct world w;

	world_make(&w);
	add_record(&w, "a", 1, CONTAINER_EXITED)->lost = true;
	add_record(&w, "b", 1, CONTAINER_EXITED);
	add_record(&w, "c", 1, CONTAINER_EXITED)->lost = true;
	expect_plan(&w, plan_stop, "0 stop t-a-1 by-user\n1 stop t-c-1 by-user\n");
	w.o.services = (char *[]){ "c", NULL };
	expect_plan(&w, plan_stop, "0 stop t-c-1 by-user\n");
	w.o.services = NULL;
	w.o.for_boot = true; /* the machine goes down again before it came back */
	expect_plan(&w, plan_stop, "");
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
		cmocka_unit_test(test_down),           cmocka_unit_test(test_down_without_project),
		cmocka_unit_test(test_cycle_on_file),  cmocka_unit_test(test_stop_order),
		cmocka_unit_test(test_start),          cmocka_unit_test(test_restart),
		cmocka_unit_test(test_boot),           cmocka_unit_test(test_stop_for_boot),
		cmocka_unit_test(test_kill_and_pause), cmocka_unit_test(test_rm),
		cmocka_unit_test(test_stop_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
