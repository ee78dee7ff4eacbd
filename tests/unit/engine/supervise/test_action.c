/* Action lists to JSON and back, and lists that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/cleanup.h"
#include "engine/supervise/action.h"

static json *parse(const char *text)
{
	struct err e = ERR_INIT;
	json *j = NULL;

	if (json_parse(text, strlen(text), &j, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return j;
}

static void test_names(void **state)
{
	for (int k = 0; k < ACTION_KIND_MAX; k++)
		assert_non_null(action_kind_name((enum action_kind)k));
	for (int c = 0; c < WAIT_CONDITION_MAX; c++)
		assert_int_equal(wait_condition_parse(wait_condition_name((enum wait_condition)c)),
				 c);
	assert_int_equal(wait_condition_parse("service_happy"), -EINVAL);
	assert_int_equal(wait_condition_parse(NULL), -EINVAL);
}

static void test_needs(void **state)
{
	struct action_list l = { 0 };

	for (int i = 0; i < 40; i++)
		assert_int_equal(action_add(&l, ACTION_START, "x"), i);
	action_need(&l, 39, ACTION_NO_NEED);
	action_need(&l, 39, 3);
	action_need(&l, 39, 38);
	action_need(&l, 39, 3);
	assert_int_equal(l.items[39].n_needs, 2);
	assert_int_equal(l.items[39].needs[1], 38);
	assert_int_equal(l.items[0].timeout, ACTION_DEFAULT_TIMEOUT);
	action_list_done(&l);
	assert_int_equal(l.n, 0);
}

static struct container_spec *a_spec(void)
{
	struct container_spec *s = spec_new();

	s->id = xstrdup("0000000000000000000000000000000000000000000000000000000000000000");
	s->name = xstrdup("p-web-1");
	s->project = xstrdup("p");
	s->service = xstrdup("web");
	s->number = 1;
	return s;
}

/* Every field of every kind comes back as it went. */
static void test_round_trip(void **state)
{
	_cleanup_(json_unrefp) json *first = NULL, *second = NULL;
	struct action_list l = { 0 }, back = { 0 };
	struct err e = ERR_INIT;

	for (int k = 0; k < ACTION_KIND_MAX; k++) {
		size_t i = action_add(&l, (enum action_kind)k, "object");
		struct action *a = &l.items[i];

		a->service = k % 2 ? xstrdup("web") : NULL;
		a->reason = k % 3 ? xstrdup("because") : NULL;
		a->condition = (enum wait_condition)(k % WAIT_CONDITION_MAX);
		a->recreate = k & 1;
		a->quiet = k & 2;
		a->optional = k & 4;
		a->with_volumes = !(k & 1);
		a->by_user = !(k & 2);
		a->timeout = INT64_C(10000000000) * k;
		a->signal = k;
		if (a->kind == ACTION_CREATE)
			a->spec = a_spec();
		if (a->kind == ACTION_NETWORK_CREATE)
			a->config = parse("{\"name\":\"n\"}");
		for (size_t need = 0; need < i; need += 2)
			action_need(&l, i, need);
	}
	first = action_list_to_json(&l);
	if (action_list_from_json(first, &back, &e) < 0)
		fail_msg("%s", e.msg);
	second = action_list_to_json(&back);
	assert_string_equal(json_text(first), json_text(second));
	assert_int_equal(back.n, ACTION_KIND_MAX);
	assert_string_equal(back.items[ACTION_CREATE].spec->name, "p-web-1");
	action_list_done(&l);
	action_list_done(&back);
}

static void test_empty(void **state)
{
	static const char *const texts[] = { "[]", "{}", "5" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_(json_unrefp) json *j = parse(texts[i]);
		struct action_list l;

		assert_int_equal(action_list_from_json(j, &l, NULL), 0);
		assert_int_equal(l.n, 0);
		action_list_done(&l);
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"[null]",
		"[5]",
		"[{}]",
		"[{\"kind\":\"start\"}]",
		"[{\"object\":\"x\"}]",
		"[{\"kind\":\"fly\",\"object\":\"x\"}]",
		"[{\"kind\":5,\"object\":\"x\"}]",
		"[{\"kind\":\"create\",\"object\":\"x\"}]",
		"[{\"kind\":\"create\",\"object\":\"x\",\"spec\":{}}]",
		"[{\"kind\":\"create\",\"object\":\"x\",\"spec\":\"no\"}]",
		/* Needs that come later, are the action itself, or nonsense. */
		"[{\"kind\":\"start\",\"object\":\"x\",\"needs\":[0]}]",
		"[{\"kind\":\"start\",\"object\":\"x\",\"needs\":[1]},"
		"{\"kind\":\"start\",\"object\":\"y\"}]",
		"[{\"kind\":\"start\",\"object\":\"x\"},"
		"{\"kind\":\"start\",\"object\":\"y\",\"needs\":[-1]}]",
		"[{\"kind\":\"start\",\"object\":\"x\"},"
		"{\"kind\":\"start\",\"object\":\"y\",\"needs\":[18446744073709551615]}]",
		"[{\"kind\":\"start\",\"object\":\"x\"},"
		"{\"kind\":\"start\",\"object\":\"y\",\"needs\":[\"first\"]}]",
		"[{\"kind\":\"start\",\"object\":\"x\"},"
		"{\"kind\":\"start\",\"object\":\"y\",\"needs\":[null]}]",
		"[{\"kind\":\"wait\",\"object\":\"x\",\"condition\":\"service_happy\"}]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(json_unrefp) json *j = parse(bad[i]);
		struct action_list l;
		struct err e = ERR_INIT;

		if (action_list_from_json(j, &l, &e) == 0)
			fail_msg("%s was accepted", bad[i]);
		assert_true(e.msg[0]);
		assert_int_equal(l.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),      cmocka_unit_test(test_needs),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_empty),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
