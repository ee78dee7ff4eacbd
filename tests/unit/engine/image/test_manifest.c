/* Manifests, indexes, configs: what is read, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "engine/image/config.h"
#include "engine/image/digest.h"
#include "engine/image/document.h"
#include "engine/image/manifest.h"

#define D1     "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OCI    "application/vnd.oci.image."
#define CONFIG "{\"mediaType\":\"" OCI "config.v1+json\",\"digest\":\"" D1 "\",\"size\":3}"
#define LAYER                                                                                      \
	"{\"mediaType\":\"" OCI "layer.v1.tar\",\"digest\":\"" D1 "\",\"size\":4,"                 \
	"\"urls\":[\"http://evil\"]}"

static void test_manifest(void **state)
{
	static const char text[] = "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER
				   "]}";
	struct err e = ERR_INIT;
	struct manifest m;

	if (manifest_parse(text, strlen(text), OCI "manifest.v1+json", &m, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(m.n_layers, 1);
	assert_int_equal(m.layers[0].size, 4);
	assert_string_equal(m.config.digest, D1);
	manifest_done(&m);
}

static void test_bad_manifests(void **state)
{
	static const struct {
		const char *text, *message;
	} bad[] = {
		{ "", "not JSON" },
		{ "[]", "not a JSON object" },
		{ "{}", "schemaVersion" },
		{ "{\"schemaVersion\":1,\"config\":" CONFIG ",\"layers\":[]}", "schemaVersion" },
		{ "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"manifests\":[]}",
		  "both an index and a manifest" },
		{ "{\"schemaVersion\":2,\"manifests\":[]}", "it is an index" },
		{ "{\"schemaVersion\":2,\"mediaType\":\"" OCI "index.v1+json\",\"config\":" CONFIG
		  ",\"layers\":[]}",
		  "its mediaType is" },
		{ "{\"schemaVersion\":2,\"mediaType\":"
		  "\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":" CONFIG
		  ",\"layers\":[]}",
		  "as announced" },
		{ "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"layers\":[]}",
		  "appears twice" },
		{ "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"l\\u0061yers\":[]}",
		  "appears twice" },
		{ "{\"schemaVersion\":2,\"config\":" CONFIG "}", "\"layers\" is missing" },
		{ "{\"schemaVersion\":2,\"layers\":[]}", "not an object" },
		{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"text/plain\",\"digest\":\"" D1
		  "\",\"size\":1},\"layers\":[]}",
		  "not a container image" },
		{ "{\"schemaVersion\":2,\"config\":" CONFIG
		  ",\"layers\":[{\"mediaType\":\"x\",\"digest\":\"sha256:../../x\",\"size\":1}]}",
		  "not a sha256 digest" },
		{ "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"x\","
		  "\"digest\":\"" D1 "\",\"size\":-1}]}",
		  "valid \"size\"" },
		{ "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]} x", "not JSON" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = ERR_INIT;
		struct manifest m;

		assert_true(manifest_parse(bad[i].text, strlen(bad[i].text), OCI "manifest.v1+json",
					   &m, &e) < 0);
		if (!strstr(e.msg, bad[i].message))
			fail_msg("%s: %s", bad[i].text, e.msg);
	}
}

static void test_index(void **state)
{
	static const char text[] =
		"{\"schemaVersion\":2,\"manifests\":["
		"{\"mediaType\":\"" OCI "manifest.v1+json\",\"digest\":\"" D1 "\",\"size\":1,"
		"\"platform\":{\"architecture\":\"vax\",\"os\":\"linux\"}},"
		"{\"mediaType\":\"" OCI "manifest.v1+json\",\"digest\":\"" D1 "\",\"size\":1,"
		"\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\","
		"\"io.containerd.image.name\":\"a/b:c\"}}]}";
	struct err e = ERR_INIT;
	struct image_index x;

	if (image_index_parse(text, strlen(text), NULL, &x, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(x.n, 2);
	assert_int_equal(platform_match(&x.items[0]), 0);
	assert_int_equal(platform_match(&x.items[1]), 1);
	assert_true(x.items[1].attestation);
	assert_string_equal(x.items[1].name, "a/b:c");
	image_index_done(&x);
}

static void test_saved(void **state)
{
	static const char text[] = "[{\"Config\":\"c.json\",\"RepoTags\":null,\"Layers\":[\"l\"]}]";
	struct saved_images s;

	assert_int_equal(saved_images_parse(text, strlen(text), &s, NULL), 0);
	assert_int_equal(s.n, 1);
	assert_null(s.items[0].tags);
	assert_string_equal(s.items[0].layers[0], "l");
	saved_images_done(&s);
	assert_true(saved_images_parse("[]", 2, &s, NULL) < 0);
	assert_true(saved_images_parse("[{}]", 4, &s, NULL) < 0);
	assert_true(saved_images_parse("[1]", 3, &s, NULL) < 0);
	assert_true(saved_images_parse("{}", 2, &s, NULL) < 0);
}

static void test_config(void **state)
{
	static const char text[] =
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2020-01-02T03:04:05Z\","
		"\"config\":{\"Env\":[\"A=b\"],\"Entrypoint\":null,\"Cmd\":[],\"User\":\"u\","
		"\"ExposedPorts\":{\"80/tcp\":{}},\"Volumes\":{\"/v\":{}},\"Labels\":{\"k\":\"v\"},"
		"\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":5,\"Retries\":2}},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\"]},\"history\":[]}";
	_cleanup_(json_unrefp) json *again = NULL;
	struct err e = ERR_INIT;
	struct image_config c, c2;

	if (image_config_parse(text, strlen(text), &c, &e) < 0)
		fail_msg("%s", e.msg);
	assert_null(c.entrypoint);
	assert_non_null(c.cmd);
	assert_int_equal(strv_len(c.cmd), 0);
	assert_string_equal(c.labels[0], "k=v");
	assert_string_equal(c.exposed[0], "80/tcp");
	assert_int_equal(c.health.interval, 5);
	assert_int_equal(c.created / NSEC_PER_SEC, 1577934245);
	again = image_config_to_json(&c);
	assert_int_equal(image_config_parse(json_text(again), strlen(json_text(again)), &c2, &e),
			 0);
	assert_true(strv_equal(c.env, c2.env) && strv_equal(c.diff_ids, c2.diff_ids));
	image_config_done(&c);
	image_config_done(&c2);
}

static void test_bad_configs(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:x\"]}}",
		"{\"rootfs\":{\"type\":\"other\",\"diff_ids\":[]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[1]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"layers\":[]}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":[]}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{\"Env\":\"x\"}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{\"Env\":[1]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{\"Labels\":{\"a\":1}"
		"}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{\"User\":1}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{\"Healthcheck\":1}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct image_config c;

		if (image_config_parse(bad[i], strlen(bad[i]), &c, NULL) == 0)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void test_too_large(void **state)
{
	_cleanup_(free_p) char *text = xmalloc(CONFIG_MAX_SIZE + 1);
	json *j;

	memset(text, ' ', CONFIG_MAX_SIZE + 1);
	assert_int_equal(document_parse(text, CONFIG_MAX_SIZE + 1, false, &j, NULL), -EFBIG);
}

static void test_digest(void **state)
{
	char d[DIGEST_MAX];

	digest_of("abc", 3, d);
	assert_string_equal(
		d, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(digest_is_valid(d));
	assert_false(digest_is_valid("sha256:../../x"));
	assert_false(digest_is_valid(D1 "0"));
	assert_false(digest_is_valid("SHA256:" D1));
	assert_false(digest_is_valid(NULL));
	d[70] = 'A';
	assert_false(digest_is_valid(d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifest),  cmocka_unit_test(test_bad_manifests),
		cmocka_unit_test(test_index),     cmocka_unit_test(test_saved),
		cmocka_unit_test(test_config),    cmocka_unit_test(test_bad_configs),
		cmocka_unit_test(test_too_large), cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
