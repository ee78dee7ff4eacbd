/* resolv.conf and hosts: the host's in, a container's out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/resolv.h"

static void assert_words(char *const *v, const char *want)
{
	_cleanup_(free_p) char *text = strv_join(v, " ");

	assert_string_equal(text, want);
}

static void parse(const char *text, struct resolv_conf *out)
{
	resolv_parse(text, strlen(text), out);
}

static void test_parse(void **state)
{
	_cleanup_(resolv_done) struct resolv_conf r = { 0 };

	parse("# nameserver 1.1.1.1\n"
	      ";nameserver 2.2.2.2\n"
	      "domain old.example\n"
	      "nameserver 192.0.2.53 # trailing\n"
	      " \tnameserver\tfe80::1%eth0\r\n"
	      "nameserver nonsense\n"
	      "nameserver\n"
	      "search a.example  b.example\n"
	      "options ndots:2 edns0\n"
	      "options rotate\n"
	      "lookup file bind\n"
	      "nameserver 192.0.2.54",
	      &r);
	assert_words(r.nameservers, "192.0.2.53 fe80::1%eth0 192.0.2.54");
	assert_words(r.search, "a.example b.example");
	assert_words(r.options, "ndots:2 edns0 rotate");
	assert_false(resolv_is_stub(&r));
}

static void test_limits(void **state)
{
	_cleanup_(resolv_done) struct resolv_conf r = { 0 };
	_cleanup_(buf_done) struct buf text = BUF_INIT;

	for (int i = 0; i < 100; i++)
		buf_printf(&text, "nameserver 10.0.0.%d\noptions o%d\n", i, i);
	parse(buf_str(&text), &r);
	assert_int_equal(strv_len(r.nameservers), 16);
	assert_int_equal(strv_len(r.options), 32);
	resolv_done(&r);
	resolv_parse("\0\0nameserver 1.2.3.4\n\n", 21, &r);
	assert_words(r.nameservers, "1.2.3.4");
	resolv_done(&r);
	resolv_parse("", 0, &r);
	assert_null(r.nameservers);
}

static void test_stub(void **state)
{
	_cleanup_(resolv_done) struct resolv_conf r = { 0 };

	parse("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n", &r);
	assert_true(resolv_is_stub(&r));
}

static void assert_container(const struct resolv_container *c, const char *want)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	const char *body;

	resolv_container_text(c, &out);
	body = strchr(buf_str(&out), '\n');
	assert_non_null(body);
	assert_string_equal(body + 1, want);
}

static void test_container(void **state)
{
	_cleanup_(resolv_done) struct resolv_conf host = { 0 };
	char *dot[] = { (char *)".", NULL }, *dns[] = { (char *)"9.9.9.9", NULL },
	     *opt[] = { (char *)"ndots:3", NULL };

	assert_container(&(struct resolv_container){ 0 },
			 "nameserver 127.0.0.11\noptions ndots:0\n");
	parse("search a.example\noptions edns0\n", &host);
	assert_container(&(struct resolv_container){ .host = &host },
			 "nameserver 127.0.0.11\nsearch a.example\noptions edns0 ndots:0\n");
	assert_container(&(struct resolv_container){ .host = &host, .search = dot, .options = opt },
			 "nameserver 127.0.0.11\noptions ndots:3\n");
	assert_container(&(struct resolv_container){ .host = &host, .nameservers = dns },
			 "nameserver 9.9.9.9\nsearch a.example\noptions edns0\n");
}

static void test_hosts(void **state)
{
	char *addresses[] = { (char *)"172.18.0.2", (char *)"fd00::2", NULL };
	char *names[] = { (char *)"web", (char *)"0123456789ab", NULL };
	char *extra[] = { (char *)"db=10.0.0.5",     (char *)"old:10.0.0.6",
			  (char *)"six=[fd00::9]",   (char *)"seven:fd00::7",
			  (char *)"gw=host-gateway", NULL };
	struct hosts_container c = { .addresses = addresses,
				     .hostname = "web",
				     .domainname = "example.org",
				     .names = names,
				     .extra_hosts = extra,
				     .host_gateway = "172.18.0.1",
				     .no_ipv6 = true };
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	assert_int_equal(hosts_container_text(&c, &out, NULL), 0);
	assert_string_equal(buf_str(&out), "127.0.0.1\tlocalhost\n"
					   "10.0.0.5\tdb\n"
					   "10.0.0.6\told\n"
					   "fd00::9\tsix\n"
					   "fd00::7\tseven\n"
					   "172.18.0.1\tgw\n"
					   "172.18.0.2\tweb.example.org web 0123456789ab\n"
					   "fd00::2\tweb.example.org web 0123456789ab\n");
}

static void test_hosts_plain(void **state)
{
	char *addresses[] = { (char *)"172.18.0.2", NULL };
	struct hosts_container c = { .addresses = addresses, .hostname = "web.example.org" };
	_cleanup_(buf_done) struct buf out = BUF_INIT;

	assert_int_equal(hosts_container_text(&c, &out, NULL), 0);
	assert_non_null(strstr(buf_str(&out), "\n::1\tlocalhost ip6-localhost ip6-loopback\n"));
	assert_non_null(strstr(buf_str(&out), "\n172.18.0.2\tweb.example.org web\n"));
}

static void test_hosts_bad(void **state)
{
	static const char *const bad[] = { "",
					   "name",
					   "=1.2.3.4",
					   "name=",
					   "name=nowhere",
					   "gw=host-gateway",
					   "a b=1.2.3.4",
					   "a\n6.6.6.6 b=1.2.3.4" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *extra[] = { (char *)bad[i], NULL };
		struct hosts_container c = { .extra_hosts = extra };
		_cleanup_(buf_done) struct buf out = BUF_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(hosts_container_text(&c, &out, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "extra_hosts"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),     cmocka_unit_test(test_limits),
		cmocka_unit_test(test_stub),      cmocka_unit_test(test_container),
		cmocka_unit_test(test_hosts),     cmocka_unit_test(test_hosts_plain),
		cmocka_unit_test(test_hosts_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
