/* Planning a network, its record on disk, and the names of endpoints. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/strv.h"
#include "net/endpoint.h"
#include "net/network.h"

static struct network_config *config(const char *subnet)
{
	struct network_config *c = network_config_new();

	str_set(&c->name, "demo_default");
	str_set(&c->project, "demo");
	if (subnet)
		str_set(&network_config_add_ipam(c)->subnet, subnet);
	return c;
}

static const struct network_host no_host = { .mtu = 1500 };

static void assert_refused(struct network_config *c, int code, const char *text)
{
	struct network *n = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(network_plan(c, &no_host, &n, &e), -code);
	assert_null(n);
	assert_string_equal(e.msg, text);
	network_config_free(c);
}

static void test_default(void **state)
{
	_cleanup_(network_config_freep) struct network_config *c = config(NULL);
	_cleanup_(network_freep) struct network *n = NULL;
	char text[IP_TEXT_MAX];

	assert_int_equal(network_plan(c, &no_host, &n, NULL), 0);
	assert_int_equal(strlen(n->id), NETWORK_ID_LEN);
	assert_int_equal(strlen(n->ifname), 15);
	assert_memory_equal(n->ifname + 3, n->id, 12);
	assert_int_equal(n->ipv4.subnet.len, 20);
	assert_int_equal(n->ipv6.subnet.addr.family, 0);
	assert_int_equal(n->mtu, 1500);
	assert_true(n->icc && n->masquerade);
	assert_true(has_suffix(ip_text(&n->ipv4.gateway, text), ".1"));
}

static void test_host_mtu(void **state)
{
	_cleanup_(network_config_freep) struct network_config *c = config(NULL);
	struct network *n = NULL;

	assert_int_equal(network_plan(c, &(struct network_host){ .mtu = 1420 }, &n, NULL), 0);
	assert_int_equal(n->mtu, 1420);
	network_free(n);
	assert_int_equal(network_plan(c, &(struct network_host){ .mtu = 9000 }, &n, NULL), 0);
	assert_int_equal(n->mtu, 1500);
	network_free(n);
}

static void test_explicit(void **state)
{
	_cleanup_(network_config_freep) struct network_config *c = config("172.28.0.0/16");
	_cleanup_(network_freep) struct network *n = NULL;
	char text[IP_TEXT_MAX];

	str_set(&c->ipam[0].gateway, "172.28.5.254");
	str_set(&c->ipam[0].ip_range, "172.28.5.0/24");
	strv_add(&c->ipam[0].aux, "printer=172.28.1.5");
	str_set(&network_config_add_ipam(c)->subnet, "2001:db8:1::/64");
	c->enable_ipv6 = true;
	strv_add(&c->driver_opts, "com.docker.network.bridge.name=demo0");
	strv_add(&c->driver_opts, "com.docker.network.driver.mtu=1400");
	strv_add(&c->driver_opts, "com.docker.network.bridge.enable_icc=false");
	strv_add(&c->driver_opts, "com.docker.network.bridge.enable_ip_masquerade=False");
	strv_add(&c->driver_opts, "com.docker.network.bridge.host_binding_ipv4=127.0.0.1");
	strv_add(&c->driver_opts, "comp.publish=nat");
	assert_int_equal(network_plan(c, &no_host, &n, NULL), 0);
	assert_string_equal(n->ifname, "demo0");
	assert_string_equal(ip_prefix_text(&n->ipv4.subnet, text), "172.28.0.0/16");
	assert_string_equal(ip_prefix_text(&n->ipv4.range, text), "172.28.5.0/24");
	assert_string_equal(ip_text(&n->ipv4.gateway, text), "172.28.5.254");
	assert_int_equal(n->ipv4.n_aux, 1);
	assert_string_equal(ip_text(&n->ipv6.gateway, text), "2001:db8:1::1");
	assert_int_equal(n->mtu, 1400);
	assert_false(n->icc || n->masquerade);
	assert_string_equal(ip_text(&n->host_binding, text), "127.0.0.1");
	assert_string_equal(n->publish, "nat");
}

static void test_conflict(void **state)
{
	_cleanup_(network_config_freep) struct network_config *c = config("172.28.0.0/16");
	struct network_host h = { .mtu = 1500 };
	struct network *first = NULL, *second = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(network_plan(c, &h, &first, NULL), 0);
	network_host_add(&h, first);
	assert_int_equal(network_plan(c, &h, &second, &e), -EADDRINUSE);
	assert_string_equal(e.msg, "network demo_default: subnet 172.28.0.0/16 overlaps "
				   "172.28.0.0/16 (network demo_default of project demo)");
	network_free(first);
	network_host_done(&h);
}

static struct network_config *option(const char *text)
{
	struct network_config *c = config(NULL);

	strv_add(&c->driver_opts, text);
	return c;
}

static void test_bad_options(void **state)
{
	assert_refused(
		option("com.docker.network.bridge.name=a/b"), EINVAL,
		"network demo_default: driver option com.docker.network.bridge.name: \"a/b\" "
		"is no interface name (letters, digits, '.', '_', '-'; at most 15)");
	assert_refused(
		option("com.docker.network.driver.mtu=9"), EINVAL,
		"network demo_default: driver option com.docker.network.driver.mtu: \"9\" is "
		"not between 68 and 65535");
	assert_refused(option("com.docker.network.bridge.enable_icc=maybe"), EINVAL,
		       "network demo_default: driver option com.docker.network.bridge.enable_icc: "
		       "\"maybe\" is neither true nor false");
	assert_refused(option("colour=red"), EINVAL,
		       "network demo_default: unknown driver option \"colour\"");
}

static void test_bad_ipam(void **state)
{
	struct network_config *c;

	assert_refused(config("172.28.0.1/16"), EINVAL,
		       "network demo_default: subnet 172.28.0.1/16 has host bits set, it should be "
		       "172.28.0.0/16");
	assert_refused(config("rubbish"), EINVAL,
		       "network demo_default: ipam: \"rubbish\" is not an IP prefix");
	assert_refused(config("172.28.0.0/31"), EINVAL,
		       "network demo_default: subnet 172.28.0.0/31 is too small for a network");
	c = config("172.28.0.0/16");
	str_set(&c->ipam[0].gateway, "172.29.0.1");
	assert_refused(c, EINVAL,
		       "network demo_default: gateway 172.29.0.1 is not in subnet 172.28.0.0/16");
	c = config("172.28.0.0/16");
	str_set(&c->ipam[0].ip_range, "172.16.0.0/12");
	assert_refused(
		c, EINVAL,
		"network demo_default: ip_range 172.16.0.0/12 is not in subnet 172.28.0.0/16");
	c = config("172.28.0.0/16");
	str_set(&network_config_add_ipam(c)->subnet, "172.30.0.0/16");
	assert_refused(c, ENOTSUP,
		       "network demo_default: a bridge has at most one IPv4 and one IPv6 subnet");
	c = config(NULL);
	str_set(&c->driver, "macvlan");
	assert_refused(c, ENOTSUP, "network demo_default: driver \"macvlan\" is not supported");
	c = config(NULL);
	c->enable_ipv4 = false;
	assert_refused(c, EINVAL, "network demo_default: IPv4 and IPv6 are both turned off");
}

static void test_record(void **state)
{
	_cleanup_(network_config_freep) struct network_config *c = config("172.28.0.0/16");
	_cleanup_(network_freep) struct network *n = NULL, *back = NULL;
	json *a, *b, *parsed;

	c->enable_ipv6 = c->internal = true;
	strv_add(&c->labels, "a=b");
	strv_add(&c->ipam[0].aux, "x=172.28.1.5");
	strv_add(&c->driver_opts, "comp.publish=proxy");
	assert_int_equal(network_plan(c, &no_host, &n, NULL), 0);
	a = network_to_json(n);
	assert_int_equal(json_parse(json_text(a), strlen(json_text(a)), &parsed, NULL), 0);
	assert_int_equal(network_from_json(parsed, &back, NULL), 0);
	b = network_to_json(back);
	assert_string_equal(json_text(a), json_text(b));
	json_unref(a);
	json_unref(b);
	json_unref(parsed);
}

static void test_bad_record(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"config\":{\"name\":\"x\"}}",
		"{\"config\":{\"name\":\"x\"},\"id\":\"a/b\",\"interface\":\"br\"}",
		"{\"config\":{\"name\":\"x\"},\"id\":\"a\",\"interface\":\"0123456789abcdef\"}",
		"{\"config\":{\"name\":\"x\"},\"id\":\"a\",\"interface\":\"b\",\"ipv4\":{}}",
		"{\"config\":{\"name\":\"x\"},\"id\":\"a\",\"interface\":\"b\","
		"\"ipv4\":{\"subnet\":\"fd00::/64\"}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct network *n = NULL;
		json *j;

		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &j, NULL), 0);
		assert_true(network_from_json(j, &n, NULL) < 0);
		json_unref(j);
	}
}

/* Fault row 28: names of 15 characters for 10^4 containers on two networks. */
static void test_endpoint_names(void **state)
{
	struct map seen = MAP_INIT;
	char container[NETWORK_ID_LEN + 1], name[IFNAMSIZ];

	for (int i = 0; i < 10000; i++) {
		random_hex(container, NETWORK_ID_LEN / 2);
		endpoint_host_ifname(container, i % 2 ? "one" : "two", name);
		assert_int_equal(strlen(name), IFNAMSIZ - 1);
		assert_false(map_has(&seen, name));
		map_put(&seen, name, NULL);
	}
	map_done(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),        cmocka_unit_test(test_host_mtu),
		cmocka_unit_test(test_explicit),       cmocka_unit_test(test_conflict),
		cmocka_unit_test(test_bad_options),    cmocka_unit_test(test_bad_ipam),
		cmocka_unit_test(test_record),         cmocka_unit_test(test_bad_record),
		cmocka_unit_test(test_endpoint_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
