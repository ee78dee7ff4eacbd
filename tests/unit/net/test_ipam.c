/* Which subnet, which address: first fit, conflicts by name, exhaustion. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/util.h"
#include "net/ipam.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_parse(text, &a, NULL), 0);
	return a;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	assert_int_equal(ip_prefix_parse(text, &p, NULL), 0);
	return p;
}

static struct ipam_used used(const char *text, const char *what)
{
	struct ipam_used u = { .prefix = prefix(text) };

	(void)snprintf(u.what, sizeof(u.what), "%s", what);
	return u;
}

static void test_pick_is_stable(void **state)
{
	struct ip_prefix a, b, pool = prefix("172.16.0.0/12");

	assert_int_equal(ipam_pick_subnet("demo_default", NULL, 0, &a, NULL), 0);
	assert_int_equal(ipam_pick_subnet("demo_default", NULL, 0, &b, NULL), 0);
	assert_true(ip_equal(&a.addr, &b.addr));
	assert_int_equal(a.len, 20);
	assert_true(ip_prefix_within(&pool, &a));
}

static void test_pick_avoids(void **state)
{
	struct ipam_used taken[400];
	struct ip_prefix p;
	size_t n = 0;

	/* Every /20 of the first three ranges, then on to 10.64. */
	for (;;) {
		assert_int_equal(ipam_pick_subnet("x", taken, n, &p, NULL), 0);
		for (size_t i = 0; i < n; i++)
			assert_false(ip_prefix_overlap(&p, &taken[i].prefix));
		if (p.addr.bytes[0] == 10)
			break;
		assert_true(n < ARRAY_SIZE(taken));
		taken[n++] = (struct ipam_used){ .prefix = p };
	}
	assert_int_equal(n, 14 * 16 + 16 + 16);
}

static void test_pick_small_gap(void **state)
{
	struct ipam_used taken[] = {
		used("172.16.0.0/12", "route on tun0"),
		used("10.0.0.0/8", "route on tun0"),
		used("192.168.0.0/17", "address of eth0"),
		used("192.168.128.0/18", "route on tun0"),
		used("192.168.192.0/19", "route on tun0"),
		used("192.168.224.0/20", "route on tun0"),
		used("192.168.240.0/24", "route on tun0"),
	};
	struct ip_prefix p;
	char text[IP_TEXT_MAX];

	assert_int_equal(ipam_pick_subnet("x", taken, ARRAY_SIZE(taken), &p, NULL), 0);
	assert_string_equal(ip_prefix_text(&p, text), "192.168.241.0/24");
}

static void test_pick_exhausted(void **state)
{
	struct ipam_used taken[] = { used("172.16.0.0/12", "a"), used("192.168.0.0/16", "b"),
				     used("10.0.0.0/8", "c") };
	struct ip_prefix p;
	struct err e = ERR_INIT;

	assert_int_equal(ipam_pick_subnet("demo_default", taken, 3, &p, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "no free subnet"));
	assert_non_null(strstr(e.msg, "demo_default"));
	assert_non_null(strstr(e.msg, "192.168.0.0/16"));
	assert_true(e.hint[0] != '\0');
}

static void test_check_subnet(void **state)
{
	struct ipam_used taken[] = { used("192.0.2.0/24", "address of eth0"),
				     used("10.0.0.0/8", "route on wg0") };
	struct ip_prefix want = prefix("10.1.0.0/16"), fine = prefix("172.28.0.0/16");
	struct err e = ERR_INIT;

	assert_int_equal(ipam_check_subnet(&fine, taken, 2, &e), 0);
	assert_int_equal(ipam_check_subnet(&want, taken, 2, &e), -EADDRINUSE);
	assert_string_equal(e.msg, "subnet 10.1.0.0/16 overlaps 10.0.0.0/8 (route on wg0)");
}

static void test_ula(void **state)
{
	struct ip_prefix a, b;
	struct ipam_used taken = { 0 };

	assert_int_equal(ipam_pick_ula("one", NULL, 0, &a, NULL), 0);
	assert_int_equal(a.addr.bytes[0], 0xfd);
	assert_int_equal(a.len, 64);
	assert_int_equal(ipam_pick_ula("two", NULL, 0, &b, NULL), 0);
	assert_false(ip_equal(&a.addr, &b.addr));
	taken.prefix = a;
	assert_int_equal(ipam_pick_ula("one", &taken, 1, &b, NULL), 0);
	assert_false(ip_equal(&a.addr, &b.addr));
	taken.prefix = prefix("fc00::/7");
	assert_int_equal(ipam_pick_ula("one", &taken, 1, &b, NULL), -ENOSPC);
}

static struct ipam_pool pool(const char *subnet, const char *range, const char *gateway)
{
	struct ipam_pool p = { .subnet = prefix(subnet) };

	if (range)
		p.range = prefix(range);
	p.gateway = gateway ? addr(gateway) : ipam_default_gateway(&p);
	return p;
}

static void assert_next(const struct ipam_pool *p, const struct ip_addr *taken, size_t n,
			const char *after, const char *want)
{
	struct ip_addr a, from;
	char text[IP_TEXT_MAX];

	if (after)
		from = addr(after);
	assert_int_equal(ipam_next(p, taken, n, after ? &from : NULL, &a, NULL), 0);
	assert_string_equal(ip_text(&a, text), want);
}

static void test_gateway(void **state)
{
	struct ipam_pool p = pool("10.5.0.0/16", NULL, NULL);
	char text[IP_TEXT_MAX];

	assert_string_equal(ip_text(&p.gateway, text), "10.5.0.1");
	p = pool("10.5.0.0/16", "10.5.4.0/24", NULL);
	assert_string_equal(ip_text(&p.gateway, text), "10.5.4.1");
	p = pool("fd00:5::/64", NULL, NULL);
	assert_string_equal(ip_text(&p.gateway, text), "fd00:5::1");
}

static void test_next(void **state)
{
	struct ipam_pool p = pool("10.5.0.0/29", NULL, NULL); /* hosts .1 to .6 */
	struct ip_addr taken[] = { addr("10.5.0.2"), addr("10.5.0.4") };
	struct ip_addr aux = addr("10.5.0.5");

	assert_next(&p, NULL, 0, NULL, "10.5.0.2");
	assert_next(&p, taken, 2, NULL, "10.5.0.3");
	assert_next(&p, taken, 2, "10.5.0.3", "10.5.0.5");
	p.aux = &aux;
	p.n_aux = 1;
	assert_next(&p, taken, 2, "10.5.0.3", "10.5.0.6");
	assert_next(&p, taken, 2, "10.5.0.6", "10.5.0.3"); /* wraps, over the gateway */
	assert_next(&p, taken, 2, "10.9.0.1", "10.5.0.3"); /* not in here: from the start */
}

static void test_next_exhausted(void **state)
{
	struct ipam_pool p = pool("10.5.0.0/30", NULL, NULL); /* .1 gateway, .2 */
	struct ip_addr taken[] = { addr("10.5.0.2") }, a;
	struct err e = ERR_INIT;

	assert_next(&p, NULL, 0, "10.5.0.2", "10.5.0.2");
	assert_int_equal(ipam_next(&p, taken, 1, NULL, &a, &e), -ENOSPC);
	assert_string_equal(e.msg, "no free address in 10.5.0.0/30");
}

static void test_next_range(void **state)
{
	struct ipam_pool p = pool("10.5.0.0/16", "10.5.4.0/30", "10.5.0.1");
	struct ip_addr taken[4], a;

	/* Inside the subnet, all four of the range are hosts. */
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(ipam_next(&p, taken, i, NULL, &taken[i], NULL), 0);
	assert_true(ip_equal(&taken[0], &(struct ip_addr){ AF_INET, { 10, 5, 4, 0 } }));
	assert_int_equal(ipam_next(&p, taken, 4, NULL, &a, NULL), -ENOSPC);
	p = pool("10.5.0.0/24", "10.5.0.0/30", NULL); /* at the edge, .0 is not */
	assert_next(&p, NULL, 0, NULL, "10.5.0.2");
}

static void test_next_ipv6(void **state)
{
	struct ipam_pool p = pool("fd00:5::/64", NULL, NULL);

	assert_next(&p, NULL, 0, NULL, "fd00:5::2");
	assert_next(&p, NULL, 0, "fd00:5::ffff", "fd00:5::1:0");
}

static void test_static(void **state)
{
	struct ipam_pool p = pool("10.5.0.0/24", "10.5.0.128/25", "10.5.0.1"), none = { 0 };
	struct ip_addr taken = addr("10.5.0.9"), aux = addr("10.5.0.7"), a;
	struct err e = ERR_INIT;

	p.aux = &aux;
	p.n_aux = 1;
	a = addr("10.5.0.7");
	assert_int_equal(ipam_check_static(&p, &a, &taken, 1, &e), 0);
	a = addr("10.5.0.8");
	assert_int_equal(ipam_check_static(&p, &a, &taken, 1, &e), 0);
	assert_int_equal(ipam_check_static(&p, &taken, &taken, 1, &e), -EADDRINUSE);
	assert_string_equal(e.msg, "address 10.5.0.9 is already in use");
	assert_int_equal(ipam_check_static(&p, &p.gateway, &taken, 1, &e), -EINVAL);
	a = addr("10.5.0.255");
	assert_int_equal(ipam_check_static(&p, &a, &taken, 1, &e), -EINVAL);
	a = addr("10.6.0.1");
	assert_int_equal(ipam_check_static(&p, &a, &taken, 1, &e), -EINVAL);
	assert_string_equal(e.msg, "address 10.6.0.1 is not in the network's subnet 10.5.0.0/24");
	assert_int_equal(ipam_check_static(&none, &a, NULL, 0, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick_is_stable), cmocka_unit_test(test_pick_avoids),
		cmocka_unit_test(test_pick_small_gap), cmocka_unit_test(test_pick_exhausted),
		cmocka_unit_test(test_check_subnet),   cmocka_unit_test(test_ula),
		cmocka_unit_test(test_gateway),        cmocka_unit_test(test_next),
		cmocka_unit_test(test_next_exhausted), cmocka_unit_test(test_next_range),
		cmocka_unit_test(test_next_ipv6),      cmocka_unit_test(test_static),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
