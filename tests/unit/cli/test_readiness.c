/* tests/unit/cli/test_readiness.c: when a stack is ready, and the unit's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/readiness.h"
#include "cli/unit_file.h"

static struct record_list list;

static struct record *add(const char *name, enum container_status status)
{
	struct record *r = record_new();

	r->name = xstrdup(name);
	r->status = status;
	list.items = xreallocarray(list.items, list.n + 1, sizeof(r));
	list.items[list.n++] = r;
	return r;
}

static void expect(size_t ready, size_t wanted, const char *why_wanted)
{
	_cleanup_(free_p) char *why = NULL;
	struct readiness r = readiness_of(&list, &why);

	assert_int_equal(r.ready, ready);
	assert_int_equal(r.wanted, wanted);
	assert_string_equal(why, why_wanted);
	record_list_done(&list);
}

static void test_ready(void **state)
{
	expect(0, 0, "");
	add("a", CONTAINER_RUNNING);
	add("b", CONTAINER_RUNNING)->health = HEALTH_HEALTHY;
	add("c", CONTAINER_EXITED); /* a one-shot that completed */
	add("d", CONTAINER_PAUSED);
	add("e", CONTAINER_EXITED)->user_stopped = true;
	add("f", CONTAINER_CREATED);
	add("g", CONTAINER_EXITED)->oneoff = true;
	expect(4, 4, "");
}

static void test_not_ready(void **state)
{
	add("a", CONTAINER_RUNNING)->health = HEALTH_STARTING;
	add("b", CONTAINER_RUNNING)->health = HEALTH_UNHEALTHY;
	expect(0, 2, "a waits for its health check, b is unhealthy");
	add("a", CONTAINER_EXITED)->exit_code = 3;
	add("b", CONTAINER_RESTARTING)->exit_code = 1;
	expect(0, 2, "a exited (3), b is restarting (exit 1)");
	add("a", CONTAINER_EXITED)->lost = true;
	add("b", CONTAINER_EXITED)->error = xstrdup("port 80 is taken");
	expect(0, 2, "a is not back yet, b could not be started (port 80 is taken)");
	add("a", CONTAINER_STARTING);
	add("b", CONTAINER_STOPPING)->user_stopped = true;
	add("c", CONTAINER_RUNNING)->post_start_due = true;
	expect(0, 3, "a is starting, b is stopping, c runs its post_start hooks");
}

static void test_what_else(void **state)
{
	struct readiness r;

	add("a", CONTAINER_EXITED)->lost = true;
	r = readiness_of(&list, NULL);
	assert_true(r.lost);
	assert_false(r.active);
	list.items[0]->status = CONTAINER_RESTARTING;
	r = readiness_of(&list, NULL);
	assert_false(r.lost);
	assert_true(r.active);
	record_list_done(&list);
}

static void test_unit_escapes(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *env[] = { "A=\"x\" 100% $y\\", NULL };
	const struct unit_file u = { .project = "demo",
				     .program = "/opt/a $b/%c/comp",
				     .root = "/srv/my state/50%",
				     .environment = env };

	unit_file_write(&u, &b);
	assert_non_null(strstr(buf_str(&b), "\nEnvironment=\"A=\\\"x\\\" 100%% $y\\\\\"\n"));
	assert_non_null(strstr(buf_str(&b), "\nExecStart=\"/opt/a $$b/%%c/comp\" -p demo "));
	assert_non_null(strstr(buf_str(&b), "\nRequiresMountsFor=/srv/my\\ state/50%%\n"));
	assert_true(skip_prefix(buf_str(&b), UNIT_MARK) != NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_not_ready),
		cmocka_unit_test(test_what_else),
		cmocka_unit_test(test_unit_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
