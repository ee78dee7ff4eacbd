#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/strv.h"
#include "engine/container/spec.h"

static struct container_spec *sample(void)
{
	struct container_spec *s = spec_new();

	s->id = xstrdup("abc");
	s->name = xstrdup("demo-web-1");
	s->number = 3;
	s->created = UINT64_C(0xf123456789abcdef);
	s->tty = true;
	s->env = strv_split("A=1,B=x y", ',', false);
	s->group_add = xcalloc(1, sizeof(char *)); /* empty, not absent */
	s->resources.memory = 1 << 20;
	s->resources.pids = -1;
	s->restart.mode = RESTART_ON_FAILURE;
	s->net.mode = NAMESPACE_CONTAINER;
	s->net.container = xstrdup("service:db");
	s->oom_score_adj = -500;
	s->mounts = xcalloc(2, sizeof(*s->mounts));
	s->n_mounts = 2;
	s->mounts[0] = (struct mount_spec){ .type = MOUNT_TMPFS,
					    .target = xstrdup("/t"),
					    .tmpfs_mode = 0700 };
	s->mounts[1] = (struct mount_spec){ .type = MOUNT_VOLUME,
					    .source = xstrdup("/v/_data"),
					    .target = xstrdup("/data"),
					    .read_only = true };
	s->files = xcalloc(1, sizeof(*s->files));
	s->n_files = 1;
	s->files[0] = (struct file_spec){ .target = xstrdup("/run/secrets/x"),
					  .size = 5,
					  .content = xmemdup("a\0\xff\nb", 6),
					  .mode = 0444 };
	s->ports = xcalloc(1, sizeof(*s->ports));
	s->n_ports = 1;
	s->ports[0] = (struct port_spec){ .host_first = 65535,
					  .container_port = 80,
					  .protocol = xstrdup("tcp") };
	return s;
}

static void check_sample(const struct container_spec *s)
{
	assert_string_equal(s->name, "demo-web-1");
	assert_null(s->cwd);
	assert_int_equal(s->number, 3);
	assert_true(s->created == UINT64_C(0xf123456789abcdef));
	assert_true(s->tty);
	assert_false(s->init);
	assert_string_equal(s->env[1], "B=x y");
	assert_non_null(s->group_add);
	assert_null(s->argv);
	assert_int_equal(s->resources.memory, 1 << 20);
	assert_int_equal(s->resources.pids, -1);
	assert_int_equal(s->resources.memory_swappiness, -1);
	assert_true(s->stop_grace == UINT64_MAX);
	assert_int_equal(s->restart.mode, RESTART_ON_FAILURE);
	assert_int_equal(s->net.mode, NAMESPACE_CONTAINER);
	assert_string_equal(s->net.container, "service:db");
	assert_int_equal(s->oom_score_adj, -500);
	assert_int_equal(s->n_mounts, 2);
	assert_int_equal(s->mounts[0].type, MOUNT_TMPFS);
	assert_int_equal(s->mounts[0].tmpfs_mode, 0700);
	assert_string_equal(s->mounts[1].target, "/data");
	assert_true(s->mounts[1].read_only);
	assert_int_equal(s->files[0].size, 5);
	assert_memory_equal(s->files[0].content, "a\0\xff\nb", 5);
	assert_int_equal(s->ports[0].host_first, 65535);
}

static void json_round_trip(void **state)
{
	struct container_spec *s = sample(), *back = NULL;
	json *j = spec_to_json(s), *again;
	_cleanup_(free_p) char *text = xstrdup(json_text(j));
	struct err e = ERR_INIT;

	json_unref(j);
	assert_int_equal(json_parse(text, strlen(text), &again, &e), 0);
	if (spec_from_json(again, &back, &e) < 0)
		fail_msg("%s", e.msg);
	check_sample(back);
	json_unref(again);
	j = spec_to_json(back);
	assert_string_equal(json_text(j), text);
	json_unref(j);
	spec_free(back);
	spec_free(s);
}

static void copies_share_nothing(void **state)
{
	struct container_spec *s = sample(), *copy = spec_copy(s);

	assert_ptr_not_equal(s->env[0], copy->env[0]);
	assert_ptr_not_equal(s->mounts[1].target, copy->mounts[1].target);
	spec_free(s);
	check_sample(copy);
	spec_free(copy);
	spec_free(NULL);
}

static void bad_documents(void **state)
{
	static const char *const docs[] = {
		"[]",
		"{\"name\":3}",
		"{\"env\":\"x\"}",
		"{\"net\":{\"mode\":\"odd\"}}",
		"{\"mounts\":[1]}",
		"{\"mounts\":{}}",
		"{\"ports\":[{\"host_first\":70000}]}",
		"{\"files\":[{\"content\":\"a\"}]}",
		"{\"files\":[{\"content\":\"a=b=\"}]}",
		"{\"number\":5000000000}",
		"{\"restart\":[]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		struct container_spec *s = NULL;
		struct err e = ERR_INIT;
		json *j;

		assert_int_equal(json_parse(docs[i], strlen(docs[i]), &j, &e), 0);
		if (spec_from_json(j, &s, &e) != -EBADMSG)
			fail_msg("accepted: %s", docs[i]);
		assert_null(s);
		json_unref(j);
	}
}

static void unknown_keys_are_skipped(void **state)
{
	struct container_spec *s = NULL;
	json *j;

	assert_int_equal(json_parse("{\"from_the_future\":1}", 21, &j, NULL), 0);
	assert_int_equal(spec_from_json(j, &s, NULL), 0);
	assert_true(s->stop_grace == UINT64_MAX);
	spec_free(s);
	json_unref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_round_trip),
		cmocka_unit_test(copies_share_nothing),
		cmocka_unit_test(bad_documents),
		cmocka_unit_test(unknown_keys_are_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
