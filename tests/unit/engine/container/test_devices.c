#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "engine/container/devices.h"

static void rules(void **state)
{
	static const char *const good[] = { "c 1:3 rwm", "b *:* m", "a *:* rwm", "c 136:* rw" };
	static const char *const bad[] = {
		"",          "c",        "c 1:3",    "x 1:3 r",          "c 1 r",  "c 1:3 x",
		"c 1:3 r w", "c -1:3 r", "c 1:3x r", "c 4294967295:0 r", "c :3 r", "c **:3 r"
	};
	struct device_rule r;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		char text[DEVICE_RULE_MAX];

		assert_int_equal(device_rule_parse(good[i], &r, &e), 0);
		assert_string_equal(device_rule_text(&r, text), good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (device_rule_parse(bad[i], &r, &e) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
}

static void from_spec(void **state)
{
	struct container_spec *s = spec_new();
	struct device_list l;
	struct err e = ERR_INIT;
	size_t standard;

	assert_int_equal(devices_from_spec(s, &l, &e), 0);
	standard = l.n_rules;
	assert_int_equal(l.n_nodes, 0);
	device_list_done(&l);
	s->devices = xcalloc(1, sizeof(*s->devices));
	s->n_devices = 1;
	s->devices[0] = (struct device_spec){ .source = xstrdup("/dev/null"),
					      .target = xstrdup("/dev/void"),
					      .permissions = xstrdup("r") };
	assert_int_equal(devices_from_spec(s, &l, &e), 0);
	assert_int_equal(l.n_nodes, 1);
	assert_int_equal(l.n_rules, standard + 1);
	assert_string_equal(l.nodes[0].path, "/dev/void");
	assert_int_equal(l.nodes[0].major, 1);
	assert_int_equal(l.nodes[0].minor, 3);
	assert_int_equal(l.rules[standard].access, DEVICE_READ);
	device_list_done(&l);
	str_set(&s->devices[0].source, "/etc/passwd");
	assert_int_equal(devices_from_spec(s, &l, &e), -EINVAL);
	assert_string_equal(e.msg, "device /etc/passwd is not a device");
	str_set(&s->devices[0].source, "/dev/nothing-here");
	assert_int_equal(devices_from_spec(s, &l, &e), -ENOENT);
	spec_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(from_spec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
