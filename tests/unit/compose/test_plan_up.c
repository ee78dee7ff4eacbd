/* What `up` does about every difference between wanted and there. */
#include "tests/unit/compose/planning.h"

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
		   "  app:\n"
		   "    image: i\n"
		   "    network_mode: 'service:vpn'\n"
		   "    depends_on: [vpn]\n"
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
		      "7 create t-app-1 recreate (the container whose namespace or volumes it "
		      "shares is made anew) <0,6\n"
		      "8 start t-app-1 <7,4\n"
		      "9 remove t-watch-1 quiet\n"
		      "10 create t-watch-1 recreate (the container whose namespace or volumes it "
		      "shares is made anew) <0,9\n"
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
