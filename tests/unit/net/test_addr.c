/* Addresses, prefixes, MACs: text in and out, and arithmetic at the edges. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "net/addr.h"

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

static void test_parse(void **state)
{
	static const char *const bad[] = { "",          "1.2.3", "1.2.3.256", "::g", "fe80::1%eth0",
					   "[1.2.3.4]", "[::1",  "10.0.0.0/8" };
	struct ip_addr a;
	char text[IP_TEXT_MAX];

	assert_string_equal(ip_text(&(struct ip_addr){ 0 }, text), "");
	a = addr("192.168.1.2");
	assert_string_equal(ip_text(&a, text), "192.168.1.2");
	a = addr("[fd00::1]");
	assert_string_equal(ip_text(&a, text), "fd00::1");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ip_parse(bad[i], &a, NULL), -EINVAL);
}

static void test_prefix_parse(void **state)
{
	static const char *const bad[] = { "10.0.0.0/33",  "10.0.0.0/",  "10.0.0.0/-1",
					   "10.0.0.0/8/8", "fd00::/129", "/8",
					   "10.0.0.0/ 8" };
	struct ip_prefix p = prefix("10.1.2.3/8");
	char text[IP_TEXT_MAX];

	assert_string_equal(ip_prefix_text(&p, text), "10.1.2.3/8");
	p = prefix("10.1.2.3");
	assert_int_equal(p.len, 32);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ip_prefix_parse(bad[i], &p, NULL), -EINVAL);
}

static void assert_bounds(const char *text, const char *first, const char *last)
{
	struct ip_prefix p = prefix(text);
	struct ip_addr a = ip_prefix_base(&p), b = ip_prefix_last(&p);
	char buf[IP_TEXT_MAX];

	assert_string_equal(ip_text(&a, buf), first);
	assert_string_equal(ip_text(&b, buf), last);
}

static void test_bounds(void **state)
{
	assert_bounds("172.18.33.7/20", "172.18.32.0", "172.18.47.255");
	assert_bounds("1.2.3.4/0", "0.0.0.0", "255.255.255.255");
	assert_bounds("1.2.3.4/32", "1.2.3.4", "1.2.3.4");
	assert_bounds("1.2.3.4/31", "1.2.3.4", "1.2.3.5");
	assert_bounds("fd00:1:2:3:4::5/64", "fd00:1:2:3::", "fd00:1:2:3:ffff:ffff:ffff:ffff");
}

static void test_overlap(void **state)
{
	struct ip_prefix wide = prefix("10.0.0.0/8"), narrow = prefix("10.20.0.0/16"),
			 other = prefix("11.0.0.0/8"), all = prefix("0.0.0.0/0"),
			 six = prefix("::/0"), none = { 0 };

	assert_true(ip_prefix_overlap(&wide, &narrow));
	assert_true(ip_prefix_overlap(&narrow, &wide));
	assert_true(ip_prefix_overlap(&all, &narrow));
	assert_false(ip_prefix_overlap(&wide, &other));
	assert_false(ip_prefix_overlap(&six, &narrow));
	assert_false(ip_prefix_overlap(&none, &narrow));
	assert_false(ip_prefix_overlap(&none, &none));
	assert_true(ip_prefix_within(&wide, &narrow));
	assert_false(ip_prefix_within(&narrow, &wide));
}

static void test_add(void **state)
{
	struct ip_addr a = addr("10.0.255.254"), b;
	char text[IP_TEXT_MAX];

	b = ip_add(&a, 3);
	assert_string_equal(ip_text(&b, text), "10.1.0.1");
	b = ip_add(&b, UINT64_MAX); /* minus one */
	assert_string_equal(ip_text(&b, text), "10.1.0.0");
	a = addr("255.255.255.255");
	b = ip_add(&a, 1);
	assert_string_equal(ip_text(&b, text), "0.0.0.0");
	a = addr("fd00::ffff:ffff:ffff:ffff");
	b = ip_add(&a, 1);
	assert_string_equal(ip_text(&b, text), "fd00:0:0:1::");
}

static void test_kinds(void **state)
{
	struct ip_addr a = addr("127.9.9.9"), b = addr("::1"), c = addr("0.0.0.0"), d = addr("::2");

	assert_true(ip_is_loopback(&a));
	assert_true(ip_is_loopback(&b));
	assert_false(ip_is_loopback(&d));
	assert_true(ip_is_any(&c));
	assert_true(ip_is_any(&(struct ip_addr){ 0 }));
	assert_false(ip_is_any(&d));
	assert_true(ip_cmp(&c, &a) < 0);
}

static void test_sockaddr(void **state)
{
	struct ip_addr a = addr("fd00::9"), b;
	struct sockaddr_storage sa;
	uint16_t port;

	assert_int_equal(ip_to_sockaddr(&a, 80, &sa), sizeof(struct sockaddr_in6));
	b = ip_from_sockaddr((struct sockaddr *)&sa, &port);
	assert_true(ip_equal(&a, &b));
	assert_int_equal(port, 80);
}

static void test_mac(void **state)
{
	static const char *const bad[] = { "",
					   "02:42:ac:12:00",
					   "02:42:ac:12:00:0g",
					   "03:42:ac:12:00:02",
					   "00:00:00:00:00:00",
					   "0242ac120002xxxxx" };
	struct ip_addr a = addr("172.18.0.2"), b = addr("fd00::2");
	char text[MAC_TEXT_MAX];
	uint8_t mac[MAC_LEN];

	assert_int_equal(mac_parse("02-42-AC-12-00-02", mac, NULL), 0);
	assert_string_equal(mac_text(mac, text), "02:42:ac:12:00:02");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(mac_parse(bad[i], mac, NULL), -EINVAL);
	mac_from_ip(&a, mac);
	assert_string_equal(mac_text(mac, text), "02:42:ac:12:00:02");
	mac_from_ip(&b, mac);
	assert_int_equal(mac[0], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),    cmocka_unit_test(test_prefix_parse),
		cmocka_unit_test(test_bounds),   cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_add),      cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_sockaddr), cmocka_unit_test(test_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
