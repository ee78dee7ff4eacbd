/* Numbers with units, short forms, words.  The rows are what Docker Compose makes of the same text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "compose/units.h"

static int setup(void **state)
{
	*state = arena_new();
	return 0;
}

static int teardown(void **state)
{
	arena_free(*state);
	return 0;
}

struct row {
	const char *text, *expected;
};

/* What a parser makes of the text, or its error, as one string. */
typedef const char *(*show_fn)(struct arena *a, const char *text);

static void check_rows(struct arena *a, show_fn show, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *got = show(a, rows[i].text);

		if (!streq(got, rows[i].expected))
			print_error("input: %s\n", rows[i].text);
		assert_string_equal(got, rows[i].expected);
	}
}

/* ---- numbers ---------------------------------------------------------------------------- */
static const char *show_bytes(struct arena *a, const char *text)
{
	struct err e = ERR_INIT;
	int64_t v;

	return units_bytes(text, &v, &e) < 0 ? arena_strdup(a, e.msg)
					     : arena_printf(a, "%" PRId64, v);
}

static void test_bytes(void **state)
{
	static const struct row rows[] = {
		{ "1.5g", "1610612736" },
		{ "512", "512" },
		{ "0", "0" },
		{ "-1", "-1" },
		{ "1GiB", "1073741824" },
		{ "1 GiB", "1073741824" },
		{ "1 g", "1073741824" },
		{ "10b", "10" },
		{ "10B", "10" },
		{ "1k", "1024" },
		{ "1KB", "1024" },
		{ "1kib", "1024" },
		{ "10kB", "10240" },
		{ "64m", "67108864" },
		{ "1.5", "1" },
		{ ".5m", "524288" },
		{ "5.m", "5242880" },
		{ "+5m", "5242880" },
		{ "1e3", "1000" },
		{ "5G", "5368709120" },
		{ "2t", "2199023255552" },
		{ "1p", "1125899906842624" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "9223372036854775808", "invalid size: '9223372036854775808'" },
		{ "9999p", "invalid size: '9999p'" },
		{ "1e400", "invalid size: '1e400'" },
		{ "x", "invalid size: 'x'" },
		{ "", "invalid size: ''" },
		{ "-5m", "invalid size: '-5m'" },
		{ "1.5.5m", "invalid size: '1.5.5m'" },
		{ "1,5g", "invalid size: '1,5g'" },
		{ "0x10", "invalid size: '0x10'" },
		{ "inf", "invalid size: 'inf'" },
		{ "1x", "invalid suffix: 'x'" },
		{ "1kbb", "invalid suffix: 'kbb'" },
		{ "1mm", "invalid suffix: 'mm'" },
		{ "1e", "invalid suffix: 'e'" },
		{ "1 ", "1" },
	};

	check_rows(*state, show_bytes, rows, ARRAY_SIZE(rows));
}

static const char *show_duration(struct arena *a, const char *text)
{
	char buf[DURATION_TEXT_MAX];
	struct err e = ERR_INIT;
	int64_t ns;

	if (units_duration(text, &ns, &e) < 0)
		return arena_strdup(a, e.msg);
	return arena_strdup(a, units_duration_text(ns, buf));
}

static void test_duration(void **state)
{
	static const struct row rows[] = {
		{ "1m30s", "1m30s" },
		{ "90s", "1m30s" },
		{ "1.5h", "1h30m0s" },
		{ "1d", "24h0m0s" },
		{ "1w2d", "216h0m0s" },
		{ "0", "0s" },
		{ "0s", "0s" },
		{ "-0", "0s" },
		{ "500ms", "500ms" },
		{ "1us", "1\xc2\xb5s" },
		{ "1\xc2\xb5s", "1\xc2\xb5s" },
		{ "1\xce\xbcs", "1\xc2\xb5s" },
		{ "1.5us", "1.5\xc2\xb5s" },
		{ "1ns", "1ns" },
		{ "0.1ns", "0s" },
		{ "1m1m", "2m0s" },
		{ "-5s", "-5s" },
		{ "+5s", "5s" },
		{ "1h5m30s20ms", "1h5m30.02s" },
		{ ".5s", "500ms" },
		{ "5.s", "5s" },
		{ "1m", "1m0s" },
		{ "61m", "1h1m0s" },
		{ "1h0m1s", "1h0m1s" },
		{ "1.0000000001s", "1s" },
		{ "1.00000000000000000000000000001s", "1s" },
		{ "9223372036854775807ns", "2562047h47m16.854775807s" },
		{ "-9223372036854775807ns", "-2562047h47m16.854775807s" },
		{ "9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\"" },
		{ "100000w", "time: invalid duration \"100000w\"" },
		{ "15000w15000w", "time: invalid duration \"15000w15000w\"" },
		{ "10", "time: missing unit in duration \"10\"" },
		{ "1s5", "time: missing unit in duration \"1s5\"" },
		{ ".", "time: invalid duration \".\"" },
		{ "s", "time: invalid duration \"s\"" },
		{ "", "time: invalid duration \"\"" },
		{ "-", "time: invalid duration \"-\"" },
		{ "1x", "time: unknown unit \"x\" in duration \"1x\"" },
		{ "1S", "time: unknown unit \"S\" in duration \"1S\"" },
		{ "1m 30s", "time: unknown unit \"m \" in duration \"1m 30s\"" },
	};

	check_rows(*state, show_duration, rows, ARRAY_SIZE(rows));
}

static const char *show_mode(struct arena *a, const char *text)
{
	struct err e = ERR_INIT;
	uint32_t mode;

	return units_mode(text, &mode, &e) < 0 ? arena_strdup(a, e.msg)
					       : arena_printf(a, "%o", mode);
}

static const char *show_cpus(struct arena *a, const char *text)
{
	struct err e = ERR_INIT;
	int64_t nano;

	return units_cpus(text, &nano, &e) < 0 ? arena_strdup(a, e.msg)
					       : arena_printf(a, "%" PRId64, nano);
}

static void test_mode_and_cpus(void **state)
{
	static const struct row modes[] = {
		{ "0440", "440" },
		{ "440", "440" },
		{ "0o440", "440" },
		{ "7777", "7777" },
		{ "0", "0" },
		{ "17777", "invalid mode: '17777'" },
		{ "", "invalid mode: ''" },
		{ "0o", "invalid mode: '0o'" },
		{ "888", "invalid mode: '888'" },
	};
	static const struct row cpus[] = {
		{ "0.5", "500000000" },
		{ "2", "2000000000" },
		{ ".1", "100000000" },
		{ "0", "0" },
		{ "-1", "invalid number of CPUs: '-1'" },
		{ "x", "invalid number of CPUs: 'x'" },
		{ "1e300", "invalid number of CPUs: '1e300'" },
	};

	check_rows(*state, show_mode, modes, ARRAY_SIZE(modes));
	check_rows(*state, show_cpus, cpus, ARRAY_SIZE(cpus));
}

/* ---- short forms ------------------------------------------------------------------------ */
static const char *show_ports(struct arena *a, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct short_port *p;
	struct err e = ERR_INIT;
	size_t n;

	if (units_ports(a, text, &p, &n, &e) < 0)
		return arena_strdup(a, e.msg);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s,%s,%u/%s", i ? " " : "", p[i].host_ip, p[i].published,
			   p[i].target, p[i].protocol);
	return arena_strdup(a, buf_str(&b));
}

static void test_ports(void **state)
{
	static const struct row rows[] = {
		{ "80", ",,80/tcp" },
		{ "8000:80", ",8000,80/tcp" },
		{ "127.0.0.1:8000:80", "127.0.0.1,8000,80/tcp" },
		{ "127.0.0.1::80", "127.0.0.1,,80/tcp" },
		{ "[::1]:8000:80", "::1,8000,80/tcp" },
		{ "[::1]::80", "::1,,80/tcp" },
		{ "[::]:80:80", "::,80,80/tcp" },
		{ ":80", ",,80/tcp" },
		{ "8000-8002:80", ",8000-8002,80/tcp" },
		{ "8000-8002:80-82", ",8000,80/tcp ,8001,81/tcp ,8002,82/tcp" },
		{ "80-82", ",,80/tcp ,,81/tcp ,,82/tcp" },
		{ "80/udp", ",,80/udp" },
		{ "80/UDP", ",,80/udp" },
		{ "80/", ",,80/tcp" },
		{ "8000:80/sctp", ",8000,80/sctp" },
		{ "1.2.3.4:8000-8001:80-81/udp", "1.2.3.4,8000,80/udp 1.2.3.4,8001,81/udp" },
		{ "0:80", ",0,80/tcp" },
		{ "008000:080", ",8000,80/tcp" },
		{ "9-11:9-11", ",10,10/tcp ,11,11/tcp ,9,9/tcp" },
		{ "9998-10001", ",,10000/tcp ,,10001/tcp ,,9998/tcp ,,9999/tcp" },
		{ "65535", ",,65535/tcp" },
		{ "::1:8000:80", "invalid ip address ::1: too many colons in address" },
		{ "[::1:80:80",
		  "invalid ip address [::1: missing ']' in address or port after it" },
		{ "[::1]8:80:80",
		  "invalid ip address [::1]8: missing ']' in address or port after it" },
		{ "127.0.1:80:80", "invalid ip address: 127.0.1" },
		{ "01.2.3.4:80:80", "invalid ip address: 01.2.3.4" },
		{ "localhost:80:80", "invalid ip address: localhost" },
		{ "80:80:", "invalid ip address: 80" },
		{ "8000-8002:80-83",
		  "invalid ranges specified for container and host Ports: 80-83 and 8000-8002" },
		{ "80/foo", "invalid proto: foo" },
		{ "80/tcp/x", "invalid proto: tcp/x" },
		{ "", "no port specified: <empty>" },
		{ "1.2.3.4:", "no port specified: 1.2.3.4:<empty>" },
		{ "/tcp", "no port specified: /tcp<empty>" },
		{ "a", "invalid containerPort: a" },
		{ "80:a", "invalid containerPort: a" },
		{ "80:70000", "invalid containerPort: 70000" },
		{ "82-80", "invalid containerPort: 82-80" },
		{ "80-", "invalid containerPort: 80-" },
		{ "-80", "invalid containerPort: -80" },
		{ "80-81-82", "invalid containerPort: 80-81-82" },
		{ "+80", "invalid containerPort: +80" },
		{ "80 ", "invalid containerPort: 80 " },
		{ "a:80", "invalid hostPort: a" },
		{ "70000:80", "invalid hostPort: 70000" },
		{ "1.2.3.4:5", "invalid hostPort: 1.2.3.4" },
		{ "99999999999999999999:80", "invalid hostPort: 99999999999999999999" },
	};

	check_rows(*state, show_ports, rows, ARRAY_SIZE(rows));
}

static void test_all_ports_at_once(void **state)
{
	struct short_port *p;
	size_t n;

	assert_int_equal(units_ports(*state, "0-65535:0-65535", &p, &n, NULL), 0);
	assert_int_equal(n, 65536);
}

static void test_port_range(void **state)
{
	uint16_t first, last;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(units_port_range("80-82/udp", &first, &last, &e), 0);
	assert_int_equal(first, 80);
	assert_int_equal(last, 82);
	assert_int_equal(units_port_range("80", &first, &last, &e), 0);
	assert_int_equal(last, 80);
	assert_int_equal(units_port_range("8000:80", &first, &last, &e), -EINVAL);
	assert_string_equal(e.msg, "invalid containerPort: 8000:80");
	assert_int_equal(units_port_range("", &first, &last, &e), -EINVAL);
}

static const char *show_volume(struct arena *a, const char *text)
{
	struct short_volume v;
	struct err e = ERR_INIT;

	if (units_volume(a, text, &v, &e) < 0)
		return arena_strdup(a, e.msg);
	return arena_printf(a, "%s %s>%s%s%s%s%s%s%s", v.bind ? "bind" : "volume", v.source,
			    v.target, v.read_only ? " ro" : "", v.nocopy ? " nocopy" : "",
			    *v.propagation ? " " : "", v.propagation, *v.selinux ? " " : "",
			    v.selinux);
}

static void test_volumes(void **state)
{
	static const struct row rows[] = {
		{ "data:/x", "volume data>/x" },
		{ "./a:/b", "bind ./a>/b" },
		{ "/x", "volume >/x" },
		{ "ab", "volume >ab" },
		{ ":b", "volume >:b" },
		{ "a:", "volume >a:" },
		{ "/a:/b:rshared,Z,ro", "bind /a>/b ro rshared Z" },
		{ "data:/x:ro,z", "volume data>/x ro z" },
		{ "data:/x:rw,nocopy,z", "volume data>/x nocopy z" },
		{ "data:/x:ro,rw", "volume data>/x" },
		{ "data:/x:RO,foo,", "volume data>/x" },
		{ "C:\\a:/b", "bind C:\\a>/b" },
		{ "C:/x:D:/y:ro", "bind C:/x>D:/y ro" },
		{ "a:b:c:d", "bind a:b>c:d" },
		{ "~:/x", "bind ~>/x" },
		{ "~/x:/y", "bind ~/x>/y" },
		{ "..:/x", "bind ..>/x" },
		{ "\\\\.\\pipe:/x", "bind \\\\.\\pipe>/x" },
		{ "${A:-x}:/y", "volume ${A:-x}>/y" },
		{ "", "invalid empty volume spec" },
		{ "aa:bb:", "invalid spec: aa:bb:: empty section between colons" },
		{ "aa::b", "invalid spec: aa::b: empty section between colons" },
		{ ":/b", "invalid spec: :/b: empty section between colons" },
		{ "aa:bb:ro:zz", "invalid spec: aa:bb:ro:zz: too many colons" },
	};

	check_rows(*state, show_volume, rows, ARRAY_SIZE(rows));
}

static const char *show_device(struct arena *a, const char *text)
{
	struct short_device d;
	struct err e = ERR_INIT;

	if (units_device(a, text, &d, &e) < 0)
		return arena_strdup(a, e.msg);
	return arena_printf(a, "%s>%s %s", d.source, d.target, d.permissions);
}

static const char *show_host(struct arena *a, const char *text)
{
	struct buf b = BUF_INIT;
	const char *host, **ips, *out;
	struct err e = ERR_INIT;

	if (units_extra_host(a, text, &host, &ips, &e) < 0)
		return arena_strdup(a, e.msg);
	buf_adds(&b, host);
	for (; *ips; ips++)
		buf_printf(&b, "|%s", *ips);
	out = arena_strdup(a, buf_str(&b));
	buf_done(&b);
	return out;
}

static void test_devices_and_hosts(void **state)
{
	static const struct row devices[] = {
		{ "/dev/a", "/dev/a>/dev/a rwm" },
		{ "/dev/a:/dev/b", "/dev/a>/dev/b rwm" },
		{ "/dev/a:/dev/b:r", "/dev/a>/dev/b r" },
		{ "/dev/a::r", "/dev/a>/dev/a r" },
		{ "/dev/a:", "/dev/a>/dev/a rwm" },
		{ "vendor.com/class=dev", "vendor.com/class=dev>vendor.com/class=dev rwm" },
		{ "a:b:c:d", "confusing device mapping, please use long syntax: a:b:c:d" },
	};
	static const struct row hosts[] = {
		{ "h=1.2.3.4", "h|1.2.3.4" },
		{ "h:1.2.3.4", "h|1.2.3.4" },
		{ "h:::1", "h|::1" },
		{ "h=[::1]", "h|::1" },
		{ "h:[::1]", "h|::1" },
		{ "h:host-gateway", "h|host-gateway" },
		{ "h=1.1.1.1,[::2]", "h|1.1.1.1|::2" },
		{ "h=", "h|" },
		{ "h", "invalid additional host, missing IP: h" },
		{ "=x", "bad host name ''" },
		{ "a:b=1", "bad host name 'a:b'" },
	};

	check_rows(*state, show_device, devices, ARRAY_SIZE(devices));
	check_rows(*state, show_host, hosts, ARRAY_SIZE(hosts));
}

/* ---- words ------------------------------------------------------------------------------ */
static const char *show_words(struct arena *a, const char *text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char **argv;

	if (units_words(a, text, &argv, &e) < 0)
		return arena_strdup(a, e.msg);
	for (size_t i = 0; argv[i]; i++)
		buf_printf(&b, "[%s]", argv[i]);
	return arena_strdup(a, buf_str(&b));
}

static void test_words(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		{ "echo hi", "[echo][hi]" },
		{ "  a \t b\nc  ", "[a][b][c]" },
		{ "a \"b c\" d", "[a][b c][d]" },
		{ "a 'b c' d", "[a][b c][d]" },
		{ "a b\\ c", "[a][b c]" },
		{ "a\\tb \"c\\nd\"", "[a\tb][c\nd]" },
		{ "'a\\nb'", "[a\\nb]" },
		{ "a \"b\\\"c\"", "[a][b\"c]" },
		{ "a 'b\"c'", "[a][b\"c]" },
		{ "a'b'c", "[abc]" },
		{ "a \"\" b", "[a][][b]" },
		{ "''", "[]" },
		{ "a && b", "[a]" },
		{ "a|b", "[a]" },
		{ "a;b", "[a]" },
		{ "a 2>x", "[a]" },
		{ "a 2> x", "[a]" },
		{ "ab>x", "[ab]" },
		{ "sh -c 'a && b'", "[sh][-c][a && b]" },
		{ "a $X ${Y}", "[a][$X][${Y}]" },
		{ "a `b c` d", "[a][`b c`][d]" },
		{ "a $(b c) d", "[a][$(b c)][d]" },
		{ "x=$(a)y", "[x=$(a)y]" },
		{ "\"(a)\"", "[(a)]" },
		{ "\"a`b\"", "[a`b]" },
		{ "a#b", "[a#b]" },
		{ "(a)", "invalid command line string" },
		{ "a)", "invalid command line string" },
		{ "a(b", "invalid command line string" },
		{ "$((1))", "invalid command line string" },
		{ "$(a \"b)\" c)", "invalid command line string" },
		{ "a \"x", "invalid command line string" },
		{ "a 'x", "invalid command line string" },
		{ "a `x", "invalid command line string" },
		{ "a \\", "invalid command line string" },
		{ "`a\"b`", "invalid command line string" },
	};

	check_rows(*state, show_words, rows, ARRAY_SIZE(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duration, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_and_cpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_ports_at_once, setup, teardown),
		cmocka_unit_test(test_port_range),
		cmocka_unit_test_setup_teardown(test_volumes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_devices_and_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
