/* `comp explain` and `config --explain`; and hashes, which read values as they do. */
#include "compose/explain.h"

#include "compose/hash.h"
#include "tests/unit/compose/loading.h"

static void expect_key(const char *path, const char *want)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int r = explain_key(path, &out, &e);

	assert_string_equal(r == 0 ? buf_str(&out) : e.hint[0] ? e.hint : e.msg, want);
}

static void test_keys(void **state)
{
	static const char interval[] = "healthcheck.interval\n"
				       "  Time between checks.\n"
				       "  type: duration: 1m30s, 500ms\n"
				       "  default: 30s\n"
				       "  several files: a later file's value replaces it\n";

	expect_key("healthcheck.interval", interval);
	expect_key("", "no key given");
	expect_key("heathcheck", "did you mean \"healthcheck\"?");
	expect_key("services.web.zzzzzz", "there is no key \"zzzzzz\" in *");
}

static void expect_note(const char *path, const char *want)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	assert_int_equal(explain_key(path, &out, NULL), 0);
	if (!strstr(buf_str(&out), want))
		assert_string_equal(buf_str(&out), want);
}

static void test_notes(void **state)
{
	expect_note("gpus", "note: accepted, but this version of comp does not act on it");
	expect_note("deploy.placement", "a cluster of machines only");
	expect_note("services.volumes.consistency", "there is nothing to act on");
	expect_note("logging.driver", "this version of comp acts on: json-file, local, none");
	expect_note("services.volumes.type", "one of: bind, volume, tmpfs");
	expect_note("services.volumes.type", "\n  required\n");
	expect_note("services.web.ports", "keys: name, mode, host_ip");
	expect_note("services", "keys: profiles, annotations");
	expect_note("healthcheck.test", "replaces it whole");
	expect_note("logging", "key by key when the driver is the same");
	expect_note("networks.x.ipam.config", "pools of the same subnet");
	expect_note("dns", "of entries for the same thing the last counts");
	expect_note("extra_hosts", "the lists of all files are put together");
	expect_note("build", "several files: key by key");
	expect_note("labels", "mapping, or list of name=value");
}

static void expect_sources(const struct folder *f, const char *path, const char *want)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int r = explain_value(f->p, path, &out, &e);

	assert_string_equal(r == 0 ? buf_str(&out) : e.msg, want);
}

static void test_values(void **state)
{
	static char *files[] = { "compose.yaml", "more.yaml", NULL };
	struct folder f;

	folder_make(&f);
	folder_write(&f, ".env", "A=1\nTAG=7\n");
	folder_write(&f, "compose.yaml",
		     "services:\n"
		     "  web:\n"
		     "    image: nginx:${TAG:-1}\n"
		     "    environment: {FOO: x, BAR: \"${NONE-d}\"}\n"
		     "    ports: [\"80:81\"]\n");
	folder_write(&f, "more.yaml", "name: shop\nservices: {web: {environment: [FOO=y]}}\n");
	assert_int_equal(folder_load(&f, (struct project_options){ .files = files }), 0);
	expect_sources(&f, "services.web.image",
		       "compose.yaml:3:12: nginx:7  (${TAG} from .env:2)\n");
	expect_sources(&f, "services.web.environment.FOO",
		       "more.yaml:2:32: \"y\"\ncompose.yaml:4:24: x  (overridden)\n");
	expect_sources(&f, "services.web.environment.BAR",
		       "compose.yaml:4:32: d  (${NONE} default)\n");
	expect_sources(&f, "services.web.ports[0].target", "compose.yaml:5:13: 81\n");
	expect_sources(&f, "services.web.ports[1].target",
		       "nothing sets services.web.ports[1].target");
	expect_sources(&f, "services.web.networks", "compose.yaml:3:5: {\"default\":null}\n");
	expect_sources(&f, "name", "more.yaml:1:7: shop\n");
	folder_done(&f);
}

static void test_hashes(void **state)
{
	char before[CONFIG_HASH_MAX], after[CONFIG_HASH_MAX];
	struct folder f;

	folder_make(&f);
	folder_write(&f, "compose.yaml", "services: {a: {image: x, scale: 2}}\nvolumes: {v: {}}\n");
	assert_int_equal(folder_load(&f, (struct project_options){ .all_resources = true }), 0);
	service_hash(project_service(f.p, "a"), before);
	resource_hash(node_get(project_section(f.p, "volumes"), "v"), after);
	assert_int_equal(strlen(before), 64);
	assert_string_not_equal(before, after);
	folder_write(&f, "compose.yaml", "services: {a: {scale: 3, image: x}}\n");
	assert_int_equal(folder_load(&f, (struct project_options){ 0 }), 0);
	service_hash(project_service(f.p, "a"), after);
	assert_string_equal(before, after); /* neither order nor scale is in it */
	folder_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
