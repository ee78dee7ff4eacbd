/* The rule set as text: what is in it, and that nothing can break out of it.
 * That the kernel takes it and what it then does is for the integration tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/firewall.h"

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

static struct firewall_network network(void)
{
	return (struct firewall_network){ .name = "demo_default",
					  .ifname = "br-1",
					  .ipv4 = prefix("172.18.0.0/20"),
					  .masquerade = true,
					  .icc = true };
}

static struct firewall_port port(enum firewall_mode mode, const char *host_ip, uint16_t number,
				 const char *to)
{
	struct firewall_port p = { .mode = mode,
				   .host_port = number,
				   .protocol = IPPROTO_TCP,
				   .container_ip = addr(to),
				   .container_port = 80,
				   .ifname = "br-1" };

	if (host_ip)
		p.host_ip = addr(host_ip);
	return p;
}

static void text_of(const struct firewall_network *n, const struct firewall_port *ports,
		    size_t n_ports, struct buf *out)
{
	firewall_text(&(struct firewall){ "demo", n, 1, ports, n_ports }, out);
}

static size_t count(const struct buf *b, const char *word)
{
	size_t n = 0;

	for (const char *p = buf_str(b); (p = strstr(p, word)); p++)
		n++;
	return n;
}

static void test_table_names(void **state)
{
	char a[FIREWALL_TABLE_MAX], b[FIREWALL_TABLE_MAX], long_name[300];

	assert_string_equal(firewall_table("demo", a), "comp-demo");
	(void)firewall_table("de mo", a);
	(void)firewall_table("de;mo", b);
	assert_string_not_equal(a, b);
	assert_null(strpbrk(b, "; {}\"\n"));
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_true(strlen(firewall_table(long_name, a)) < FIREWALL_TABLE_MAX);
	long_name[200] = 'y';
	assert_string_not_equal(firewall_table(long_name, b), a);
}

static void test_one_transaction(void **state)
{
	struct firewall_network n = network();
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	text_of(&n, NULL, 0, &out);
	assert_ptr_equal(skip_prefix(buf_str(&out), "add table inet comp-demo\n"
						    "delete table inet comp-demo\n"
						    "table inet comp-demo {\n"),
			 strstr(buf_str(&out), "\tset bridges"));
	assert_int_equal(count(&out, "flush"), 0);
	assert_int_equal(count(&out, "{"), count(&out, "}"));
	assert_non_null(
		strstr(buf_str(&out), "ip saddr 172.18.0.0/20 oifname != \"br-1\" masquerade"));
	assert_null(strstr(buf_str(&out), "dnat ip"));
}

static void test_ports(void **state)
{
	struct firewall_network n = network();
	struct firewall_port ports[] = {
		port(FIREWALL_LOCAL, NULL, 8000, "172.18.0.2"),
		port(FIREWALL_LOCAL, "0.0.0.0", 8000, "172.18.0.9"), /* again: the first counts */
		port(FIREWALL_LOCAL, "127.0.0.1", 8001, "172.18.0.2"),
		port(FIREWALL_NAT, NULL, 8002, "172.18.0.2"),
		port(FIREWALL_LOCAL, "::1", 8003, "fd00::2"),
	};
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	text_of(&n, ports, ARRAY_SIZE(ports), &out);
	assert_int_equal(count(&out, "tcp . 8000 : 172.18.0.2 . 80"), 1);
	assert_int_equal(count(&out, "172.18.0.9"), 0);
	assert_int_equal(count(&out, "127.0.0.1 . tcp . 8001 : 172.18.0.2 . 80"), 1);
	assert_int_equal(count(&out, "tcp . 8002 : 172.18.0.2 . 80"), 2); /* output, prerouting */
	assert_int_equal(count(&out, "8003"), 0);
}

/* What arrives from outside for a loopback address never meets a rule. */
static void test_loopback_is_local(void **state)
{
	struct firewall_network n = network();
	struct firewall_port p = port(FIREWALL_NAT, "127.0.0.1", 8000, "172.18.0.2");
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	text_of(&n, &p, 1, &out);
	assert_non_null(strstr(buf_str(&out), "chain output"));
	assert_null(strstr(buf_str(&out), "chain prerouting"));
}

static void test_ipv6_nat(void **state)
{
	struct firewall_network n = network();
	struct firewall_port p = port(FIREWALL_NAT, NULL, 8000, "fd00::2");
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	n.ipv6 = prefix("fd00::/64");
	text_of(&n, &p, 1, &out);
	assert_non_null(strstr(buf_str(&out), "tcp . 8000 : fd00::2 . 80"));
	assert_non_null(
		strstr(buf_str(&out), "ip6 saddr fd00::/64 oifname != \"br-1\" masquerade"));
}

static void test_internal(void **state)
{
	struct firewall_network n = network();
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	n.internal = true;
	n.icc = false;
	text_of(&n, NULL, 0, &out);
	assert_null(strstr(buf_str(&out), "ip saddr 172.18"));
	assert_int_equal(count(&out, "\"br-1\" }"), 2); /* in bridges and in internal */
	assert_non_null(strstr(buf_str(&out), "iifname \"br-1\" oifname \"br-1\" drop"));
}

static void test_quoting(void **state)
{
	struct firewall_network n = network();
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	n.ifname = "x\" accept\n}";
	firewall_text(&(struct firewall){ "a\"\nflush ruleset\n", &n, 1, NULL, 0 }, &out);
	assert_int_equal(count(&out, "x\" accept"), 0);
	assert_int_equal(count(&out, "\nflush"), 0);
	assert_int_equal(count(&out, "flush ruleset"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_names), cmocka_unit_test(test_one_transaction),
		cmocka_unit_test(test_ports),       cmocka_unit_test(test_loopback_is_local),
		cmocka_unit_test(test_ipv6_nat),    cmocka_unit_test(test_internal),
		cmocka_unit_test(test_quoting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
