/* Records: there and back, what is refused, what is set aside, what a crash left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "engine/state/record.h"
#include "tests/unit/engine/state/records.h"

#include "engine/state/lock.h"

static void save_new(const struct place *p, const char *id, const char *name)
{
	struct record *r = new_record(id, name);

	save(p, r);
	record_free(r);
}

static const char full[] =
	"{\"version\":1,\"id\":\"i\",\"name\":\"t-web-1\",\"project\":\"t\",\"service\":\"web\","
	"\"image\":\"busybox\",\"image_id\":\"sha256:1\",\"config_hash\":\"h\",\"command\":\"sh "
	"-c x\",\"number\":3,\"oneoff\":true,\"created\":1763683200123456789,\"status\":\"paused\","
	"\"boot_id\":\"00000000-0000-0000-0000-000000000000\",\"pid\":7,\"monitor_pid\":8,"
	"\"start_ticks\":18446744073709551615,\"monitor_ticks\":10,\"started_at\":11,"
	"\"finished_at\":12,\"exit_code\":13,\"oom_killed\":true,\"user_stopped\":true,"
	"\"error\":\"no such file\",\"restart_count\":14,\"failures\":15,\"restart_at\":16,"
	"\"health\":\"unhealthy\",\"networks\":[{\"network\":\"t_default\",\"ipv4\":\"172.18.0.2/"
	"16\","
	"\"ipv6\":\"fd00::2/64\",\"gateway4\":\"172.18.0.1\",\"gateway6\":\"fd00::1\",\"mac\":\"02:"
	"00:00:00:00:01\",\"ifname\":\"eth0\",\"host_ifname\":\"veth1\",\"names\":[\"web\",\"x\"]}]"
	","
	"\"ports\":[{\"host_ip\":\"::\",\"host_port\":8080,\"container_port\":80,\"protocol\":"
	"\"udp\"}]}";

static json *parse(const char *text)
{
	struct err e = ERR_INIT;
	json *j = NULL;

	if (json_parse(text, strlen(text), &j, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return j;
}

static void test_round_trip(void **state)
{
	_cleanup_(json_unrefp) json *first = parse(full), *second = NULL;
	_cleanup_(record_freep) struct record *r = NULL;
	struct json_iter it = { 0 };
	struct err e = ERR_INIT;

	if (record_from_json(first, &r, &e) < 0)
		fail_msg("%s", e.msg);
	second = record_to_json(r);
	while (json_each(first, &it)) {
		json *back = json_get(second, it.key);

		if (!back || !streq(json_text(back), json_text(it.value)))
			fail_msg("%s came back as %s", it.key, back ? json_text(back) : "nothing");
	}
	assert_int_equal(r->status, CONTAINER_PAUSED);
	assert_int_equal(r->health, HEALTH_UNHEALTHY);
	assert_int_equal(r->n_networks, 1);
	assert_string_equal(r->networks[0].names[1], "x");
	assert_int_equal(r->ports[0].host_port, 8080);
	record_clear_networks(r);
	record_clear_ports(r);
	assert_int_equal(r->n_networks + r->n_ports, 0);
}

static void test_status_names(void **state)
{
	for (int s = 0; s < CONTAINER_STATUS_MAX; s++) {
		_cleanup_(record_freep) struct record *r = new_record("i", "n"), *back = NULL;
		_cleanup_(json_unrefp) json *j = NULL;

		r->status = (enum container_status)s;
		j = record_to_json(r);
		assert_int_equal(record_from_json(j, &back, NULL), 0);
		assert_int_equal(back->status, s);
		assert_non_null(container_status_name(record_status_shown(r)));
	}
}

/* `ps` without -a does not lose sight of one that is on its way back. */
static void test_shown(void **state)
{
	struct record r = { .status = CONTAINER_STARTING };

	assert_int_equal(record_status_shown(&r), CONTAINER_CREATED);
	r.finished_at = 1;
	assert_int_equal(record_status_shown(&r), CONTAINER_RESTARTING);
	r.status = CONTAINER_STOPPING;
	assert_int_equal(record_status_shown(&r), CONTAINER_RUNNING);
	r.status = CONTAINER_EXITED;
	assert_int_equal(record_status_shown(&r), CONTAINER_EXITED);
}

/* A wrong type is absence where that is bearable, an error where it is not. */
static void test_refused(void **state)
{
	static const char *const bad[] = {
		"null",
		"[]",
		"{}",
		"{\"version\":1,\"id\":\"i\",\"name\":\"n\",\"project\":\"t\"}",
		"{\"version\":1,\"id\":\"i\",\"name\":\"n\",\"status\":\"running\"}",
		"{\"version\":1,\"id\":5,\"name\":\"n\",\"project\":\"t\",\"status\":\"running\"}",
		"{\"version\":1,\"id\":\"i\",\"name\":\"n\",\"project\":\"t\",\"status\":\"well\"}",
		"{\"version\":\"1\",\"id\":\"i\",\"name\":\"n\",\"project\":\"t\",\"status\":"
		"\"running\"}",
		"{\"version\":2,\"id\":\"i\",\"name\":\"n\",\"project\":\"t\",\"status\":"
		"\"running\"}",
	};
	_cleanup_(json_unrefp) json *odd = parse(
		"{\"version\":1,\"id\":\"i\",\"name\":\"n\",\"project\":\"t\",\"status\":"
		"\"exited\","
		"\"pid\":\"7\",\"boot_id\":[],\"networks\":{},\"ports\":[5,null,{}],\"health\":3,"
		"\"number\":null,\"unknown\":1}");
	_cleanup_(record_freep) struct record *r = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(json_unrefp) json *j = parse(bad[i]);
		struct err e = ERR_INIT;

		if (record_from_json(j, &r, &e) == 0)
			fail_msg("%s was taken for a record", bad[i]);
		assert_true(e.msg[0]);
	}
	assert_int_equal(record_from_json(odd, &r, NULL), 0);
	assert_int_equal(r->pid, 0);
	assert_int_equal(r->n_ports, 3);
	assert_string_equal(r->ports[0].protocol, "tcp");
	assert_int_equal(r->health, HEALTH_NONE);
	assert_int_equal(r->number, 1);
}

/* ---- on disk ---------------------------------------------------------------- */
static void test_list(void **state)
{
	struct place *p = *state;
	struct record_list l;
	static const char *const names[] = { "t-web-10", "t-web-9", "t-db-1" };
	char id[2] = "a";

	assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0); /* absent is empty */
	assert_int_equal(l.n, 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++, id[0]++)
		save_new(p, id, names[i]);
	put(p, ".removing-x", "state.json", "{");
	put(p, "half-made", "spec.json", "{}"); /* no record yet: nothing to say */
	assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.items[0]->name, "t-db-1");
	assert_string_equal(l.items[1]->name, "t-web-9");
	assert_string_equal(l.items[2]->name, "t-web-10");
	assert_int_equal(strv_len(l.problems), 0);
	assert_ptr_equal(record_list_find(&l, "t-db-1"), l.items[0]);
	assert_ptr_equal(record_list_find(&l, "a"), l.items[2]);
	assert_null(record_list_find(&l, "none"));
	record_list_done(&l);
}

static void test_set_aside(void **state)
{
	static const char *const damaged[] = {
		"",
		"{\"version\":1,\"id\":\"x\",\"na", /* torn */
		"{}",
		"{\"version\":1,\"id\":\"other\",\"name\":\"n\",\"project\":\"t\",\"status\":"
		"\"exited\"}",
		"{\"version\":1,\"id\":\"x\",\"name\":\"n\",\"project\":\"u\",\"status\":"
		"\"exited\"}",
	};
	struct place *p = *state;

	save_new(p, "good", "t-web-1");
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		struct record_list l;

		put(p, "x", "state.json", damaged[i]);
		assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0);
		assert_int_equal(l.n, 1); /* the others are not harmed */
		assert_int_equal(strv_len(l.problems), 1);
		assert_non_null(strstr(l.problems[0], "moved to"));
		record_list_done(&l);
		assert_int_equal(count(p, "x", "state.json" RECORD_CORRUPT), 1);
		assert_int_equal(count(p, "x", "state.json"), 1);
		assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0);
		assert_int_equal(strv_len(l.problems), 0); /* said once */
		record_list_done(&l);
		{
			_cleanup_(free_p) char *dir = dirs_container(&p->dirs, "t", "x");

			assert_int_equal(rm_rf(AT_FDCWD, dir, NULL), 0);
		}
	}
}

/* What a newer comp wrote is its own again when that comes back. */
static void test_newer_stays(void **state)
{
	struct place *p = *state;
	struct record_list l;

	put(p, "x", "state.json",
	    "{\"version\":99,\"id\":\"x\",\"name\":\"n\",\"project\":\"t\",\"status\":\"new\"}");
	assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0);
	assert_int_equal(l.n, 0);
	assert_non_null(strstr(l.problems[0], "written by a newer comp (version 99)"));
	record_list_done(&l);
	assert_int_equal(count(p, "x", "state.json" RECORD_CORRUPT), 0);
}

/* Our own lack of descriptors does not make a good record a bad one. */
static void test_no_descriptors(void **state)
{
	struct place *p = *state;
	struct rlimit old, few;
	struct record_list l;
	int highest, r;

	save_new(p, "good", "t-web-1");
	highest = dup(0);
	fd_close(highest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){ (rlim_t)highest + 1, old.rlim_max }; /* just the directory's own */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	r = record_list_load(&p->dirs, "t", &l, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(strv_len(l.problems), 1);
	record_list_done(&l);
	assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0);
	assert_int_equal(l.n, 1);
	record_list_done(&l);
}

static void test_planted(void **state)
{
	struct place *p = *state;
	_cleanup_(free_p) char *dir = dirs_container(&p->dirs, "t", "x"),
			       *path = path_join(dir, "state.json");
	struct record_list l;

	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0700, NULL), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0);
	assert_int_equal(strv_len(l.problems), 1);
	record_list_done(&l);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(record_list_load(&p->dirs, "t", &l, NULL), 0); /* and does not hang */
	assert_int_equal(strv_len(l.problems), 1);
	record_list_done(&l);
}

/* ---- after a crash ------------------------------------------------------------ */
static pid_t child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static struct record *running(pid_t pid)
{
	struct record *r = new_record("i", "t-web-1");

	r->status = CONTAINER_RUNNING;
	r->health = HEALTH_HEALTHY;
	r->started_at = 100;
	r->pid = pid;
	assert_int_equal(proc_boot_id(r->boot_id, NULL), 0);
	assert_int_equal(proc_start_ticks(pid, &r->start_ticks, NULL), 0);
	return r;
}

static void test_alive(void **state)
{
	struct place *p = *state;
	pid_t pid = child();
	_cleanup_(record_freep) struct record *r = running(pid);

	assert_true(record_process_alive(r, r->pid, r->start_ticks));
	assert_false(record_process_alive(r, r->pid, r->start_ticks + 1)); /* the pid was reused */
	assert_false(record_process_alive(r, 0, 0));
	assert_false(record_process_alive(r, -1, 0));
	assert_false(record_reconcile(r, &p->dirs));
	r->status = CONTAINER_EXITED;
	assert_false(record_reconcile(r, &p->dirs));
	r->status = CONTAINER_RUNNING;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
	assert_false(record_process_alive(r, r->pid, r->start_ticks)); /* a zombie */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(record_process_alive(r, r->pid, r->start_ticks));
}

static void test_reconcile(void **state)
{
	struct place *p = *state;
	pid_t pid = child(), monitor = child();
	_cleanup_(record_freep) struct record *r = running(pid);

	r->monitor_pid = monitor;
	assert_int_equal(proc_start_ticks(monitor, &r->monitor_ticks, NULL), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(record_reconcile(r, &p->dirs)); /* its monitor is about to say how it ended */
	assert_int_equal(kill(monitor, SIGKILL), 0);
	assert_int_equal(waitpid(monitor, NULL, 0), monitor);
	assert_true(record_reconcile(r, &p->dirs)); /* the monitor died without a word */
	assert_true(r->corrected);
	assert_int_equal(r->status, CONTAINER_EXITED);
	assert_true(r->unseen);
	assert_int_equal(r->exit_code, EXIT_UNSEEN);
	assert_int_equal(r->health, HEALTH_NONE);
	assert_int_equal(r->pid, 0);
	assert_false(record_reconcile(r, &p->dirs));
}

/* Two files take turns; when the current one is damaged, the one before is used. */
static void test_turns(void **state)
{
	static const char *const damaged[] = {
		"",
		"{\"version\":1",
		"{\"version\":1,\"id\":\"i\",\"name\":\"n\",\"project\":\"t\","
		"\"status\":\"exited\",\"sum\":\"0123456789abcdef\"}",
	};
	struct place *p = *state;
	_cleanup_(record_freep) struct record *r = new_record("i", "t-web-1");

	save_new(p, "i", "t-web-1");
	for (int i = 1; i <= 5; i++) {
		_cleanup_(record_freep) struct record *back = NULL;

		r->exit_code = i;
		str_set(&r->error, i % 2 ? "a longer text, so that the next one is shorter" : "x");
		assert_int_equal(record_save(r, &p->dirs, i % 2, NULL), 0);
		assert_int_equal(record_load(&p->dirs, "t", "i", &back, NULL), 0);
		assert_int_equal(back->exit_code, i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		_cleanup_(record_freep) struct record *back = NULL;

		put(p, "i", "state.json", damaged[i]);
		assert_int_equal(record_load(&p->dirs, "t", "i", &back, NULL), 0);
		assert_int_equal(back->exit_code, 4);
	}
}

/* The file with @x in its second slot, cut off after @size bytes. */
static void put_exits(const struct place *p, const struct exit_record *x, size_t size)
{
	_cleanup_(free_p) char *dir = dirs_project(&p->dirs, "t"), *path = path_join(dir, "exits");
	char text[2 * EXIT_SLOT];

	exit_slot_put(text, "other", x, true);
	exit_slot_put(text + EXIT_SLOT, "i", x, true);
	assert_int_equal(mkdir_p(AT_FDCWD, dir, 0700, NULL), 0);
	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, size, 0600, false, NULL), 0);
}

static void check_exit(const struct place *p, uint64_t started, size_t size, int code,
		       uint64_t finished)
{
	const struct exit_record x = { .code = 3, .started_at = started, .finished_at = 200 };
	pid_t pid = child();
	_cleanup_(record_freep) struct record *r = running(pid);

	put_exits(p, &x, size);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(record_reconcile(r, &p->dirs));
	assert_int_equal(r->exit_code, code);
	assert_int_equal(r->finished_at, finished);
}

static void test_exit_record(void **state)
{
	struct place *p = *state;
	struct exit_record x;
	struct err e = ERR_INIT;

	assert_int_equal(exit_record_load(&p->dirs, "t", "i", &x, &e), -ENOENT);
	check_exit(p, 100, 2 * EXIT_SLOT, 3, 200);
	check_exit(p, 99, 2 * EXIT_SLOT, EXIT_UNSEEN, 0); /* of a run before */
	check_exit(p, 100, 2 * EXIT_SLOT - 1, EXIT_UNSEEN, 0);
	check_exit(p, 100, 0, EXIT_UNSEEN, 0);
}

static void test_starting(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *r = new_record("i", "t-web-1");
	_cleanup_(free_p) char *run = NULL, *lock_path = NULL;
	int lock;

	r->status = CONTAINER_STARTING;
	assert_int_equal(proc_boot_id(r->boot_id, NULL), 0);
	assert_true(record_reconcile(r, &p->dirs)); /* never got a process */
	assert_int_equal(r->status, CONTAINER_CREATED);
	r->status = CONTAINER_STARTING;
	r->finished_at = 5;
	assert_true(record_reconcile(r, &p->dirs)); /* had one before */
	assert_int_equal(r->status, CONTAINER_EXITED);
	/* As long as there is a supervisor it will get one. */
	run = path_join(p->root, "t");
	lock_path = path_join(run, "lock");
	assert_int_equal(mkdir_p(AT_FDCWD, run, 0700, NULL), 0);
	lock = lock_take(lock_path, false, NULL, NULL);
	assert_true(lock >= 0);
	r->status = CONTAINER_STARTING;
	assert_false(record_reconcile(r, &p->dirs));
	fd_close(lock);
	assert_true(record_reconcile(r, &p->dirs));
}

static void test_another_boot(void **state)
{
	struct place *p = *state;
	_cleanup_(record_freep) struct record *r = running(getpid());

	strcpy(r->boot_id, "00000000-0000-0000-0000-000000000000");
	assert_false(record_process_alive(r, r->pid, r->start_ticks));
	assert_true(record_reconcile(r, &p->dirs));
	assert_int_equal(r->status, CONTAINER_EXITED);
	assert_true(r->lost);
	r->status = CONTAINER_RESTARTING;
	assert_true(record_reconcile(r, &p->dirs));
	assert_int_equal(r->status, CONTAINER_EXITED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_round_trip),  T(test_status_names),   T(test_shown),
		T(test_refused),     T(test_list),           T(test_set_aside),
		T(test_newer_stays), T(test_no_descriptors), T(test_planted),
		T(test_alive),       T(test_reconcile),      T(test_turns),
		T(test_exit_record), T(test_starting),       T(test_another_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
