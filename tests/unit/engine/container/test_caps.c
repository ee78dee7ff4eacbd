#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/strv.h"
#include "engine/container/caps.h"

#define DOCKER_DEFAULT UINT64_C(0xa80425fb)

static char **words(const char *text)
{
	return strv_split(text, ' ', true);
}

static void names_and_numbers(void **state)
{
	assert_int_equal(caps_number("CHOWN"), 0);
	assert_int_equal(caps_number("cap_net_admin"), 12);
	assert_int_equal(caps_number("CAP_CHECKPOINT_RESTORE"), 40);
	assert_int_equal(caps_number("CAP_"), -EINVAL);
	assert_int_equal(caps_number("FOO"), -EINVAL);
	assert_string_equal(caps_name(21), "SYS_ADMIN");
	assert_null(caps_name(41));
	assert_null(caps_name(-1));
}

static void add_and_drop(void **state)
{
	static const struct {
		const char *add, *drop;
		uint64_t want;
	} rows[] = {
		{ "", "", DOCKER_DEFAULT },
		{ "NET_ADMIN", "", DOCKER_DEFAULT | 1 << 12 },
		{ "", "ALL", 0 },
		{ "CHOWN", "ALL", 1 },
		{ "", "MKNOD cap_net_raw", DOCKER_DEFAULT & ~(UINT64_C(1) << 27 | 1 << 13) },
		{ "NET_RAW", "NET_RAW", DOCKER_DEFAULT },
	};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char **add = words(rows[i].add), **drop = words(rows[i].drop);
		uint64_t mask;

		assert_int_equal(caps_from_lists(add, drop, &mask, &e), 0);
		assert_true(mask == rows[i].want);
		strv_free(add);
		strv_free(drop);
	}
}

static void all_and_privileged(void **state)
{
	struct container_spec *s = spec_new();
	uint64_t mask;

	strv_add(&s->cap_add, "ALL");
	strv_add(&s->cap_drop, "CHOWN");
	assert_int_equal(caps_from_spec(s, &mask, NULL), 0);
	assert_true(mask == (caps_all() & ~UINT64_C(1)));
	s->privileged = true;
	assert_int_equal(caps_from_spec(s, &mask, NULL), 0);
	assert_true(mask == caps_all());
	spec_free(s);
}

static void unknown_is_named(void **state)
{
	char **add = words("NET_ADMN");
	struct err e = ERR_INIT;
	uint64_t mask;

	assert_int_equal(caps_from_lists(add, NULL, &mask, &e), -EINVAL);
	assert_string_equal(e.msg, "cap_add: unknown capability \"NET_ADMN\"");
	assert_string_equal(e.hint, "did you mean NET_ADMIN?");
	strv_free(add);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_numbers),
		cmocka_unit_test(add_and_drop),
		cmocka_unit_test(all_and_privileged),
		cmocka_unit_test(unknown_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
