#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "net/dns_message.h"

/* id 0x1234, RD, one question: the bytes of @name, type, class IN. */
static size_t make_query(uint8_t *p, const char *wire_name, size_t n, uint16_t type)
{
	static const uint8_t header[12] = { 0x12, 0x34, 0x01, 0, 0, 1 };

	memcpy(p, header, 12);
	memcpy(p + 12, wire_name, n);
	memcpy(p + 12 + n, (uint8_t[]){ (uint8_t)(type >> 8), (uint8_t)type, 0, 1 }, 4);
	return 12 + n + 4;
}

#define QUERY(p, name, type) make_query(p, name, sizeof(name), type)

static void plain_query(void **state)
{
	uint8_t p[512];
	size_t n = QUERY(p, "\2Db\7example", DNS_A);
	struct dns_query q;

	assert_int_equal(dns_query_parse(p, n, &q), 0);
	assert_int_equal(q.id, 0x1234);
	assert_string_equal(q.name, "db.example");
	assert_int_equal(q.type, DNS_A);
	assert_int_equal(q.class, DNS_CLASS_IN);
	assert_true(q.rd);
	assert_false(q.edns);
	assert_int_equal(q.udp_size, 512);
	assert_int_equal(q.question_len, n - 12);
	for (size_t cut = 0; cut < n; cut++)
		assert_true(dns_query_parse(p, cut, &q) < 0);
}

static void root_and_odd_bytes(void **state)
{
	uint8_t p[512];
	struct dns_query q;

	assert_int_equal(dns_query_parse(p, QUERY(p, "", DNS_A), &q), 0);
	assert_string_equal(q.name, "");
	assert_int_equal(dns_query_parse(p, QUERY(p, "\3a.b\2\\\377", DNS_A), &q), 0);
	assert_string_equal(q.name, "a\\046b.\\092\\255");
}

static void edns(void **state)
{
	static const uint8_t opt[] = { 0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0 };
	static const uint8_t small[] = { 0, 0, 41, 0, 100, 0, 1, 0, 0, 0, 0 };
	uint8_t p[512];
	size_t n = QUERY(p, "\2db", DNS_AAAA);
	struct dns_query q;

	memcpy(p + n, opt, sizeof(opt));
	p[11] = 1;
	assert_int_equal(dns_query_parse(p, n + sizeof(opt), &q), 0);
	assert_true(q.edns);
	assert_true(q.dnssec_ok);
	assert_int_equal(q.udp_size, 4096);
	assert_int_equal(q.edns_version, 0);
	assert_int_equal(dns_query_parse(p, n + sizeof(opt) - 1, &q), -EBADMSG);

	memcpy(p + n, small, sizeof(small));
	assert_int_equal(dns_query_parse(p, n + sizeof(small), &q), 0);
	assert_int_equal(q.udp_size, 512); /* RFC 6891 6.2.3 */
	assert_int_equal(q.edns_version, 1);

	memcpy(p + n + sizeof(small), opt, sizeof(opt));
	p[11] = 2;
	assert_int_equal(dns_query_parse(p, n + sizeof(small) + sizeof(opt), &q), -EBADMSG);
}

static void broken_queries(void **state)
{
	uint8_t p[1024];
	struct dns_query q;
	size_t n;

	n = QUERY(p, "\2db", DNS_A);
	p[2] |= 0x80;
	assert_int_equal(dns_query_parse(p, n, &q), -EINVAL); /* a reply */
	p[2] = 0x28;
	assert_int_equal(dns_query_parse(p, n, &q), 0); /* opcode 5: for the caller to refuse */
	assert_int_equal(q.opcode, 5);
	p[2] = 0x01;
	p[5] = 2;
	assert_int_equal(dns_query_parse(p, n, &q), -EBADMSG); /* two questions */
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.question_len, 0);

	n = QUERY(p, "\300\14", DNS_A); /* points at itself */
	assert_int_equal(dns_query_parse(p, n, &q), -EBADMSG);
	n = QUERY(p, "\300\0", DNS_A); /* into the header */
	assert_int_equal(dns_query_parse(p, n, &q), -EBADMSG);
	n = QUERY(p, "\100a", DNS_A); /* the 01 label type of RFC 2673 */
	assert_int_equal(dns_query_parse(p, n, &q), -EBADMSG);
}

static void long_names(void **state)
{
	char name[300] = { 0 };
	uint8_t p[512];
	struct dns_query q;
	size_t n = 0;

	/* Labels of 1: 127 of them are 254 bytes and the root makes 255. */
	for (int i = 0; i < 127; i++) {
		name[n++] = 1;
		name[n++] = '\0';
	}
	assert_int_equal(dns_query_parse(p, make_query(p, name, n + 1, DNS_A), &q), 0);
	assert_int_equal(strlen(q.name), 127 * 4 + 126);
	name[n++] = 1;
	name[n++] = 'x';
	assert_int_equal(dns_query_parse(p, make_query(p, name, n + 1, DNS_A), &q), -EBADMSG);
}

static void answers(void **state)
{
	uint8_t p[512], out[1024];
	size_t n = QUERY(p, "\2dB", DNS_A), len;
	struct in_addr a = { inet_addr("10.1.2.3") };
	struct dns_query q;
	struct dns_reply r;

	assert_int_equal(dns_query_parse(p, n, &q), 0);
	dns_reply_start(&r, out, sizeof(out), q.udp_size, p, &q, DNS_NOERROR);
	assert_true(dns_reply_add_a(&r, 600, &a));
	len = dns_reply_finish(&r);
	assert_int_equal(len, n + 16);
	assert_memory_equal(out, ((uint8_t[]){ 0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0 }),
			    12);
	assert_memory_equal(out + 12, p + 12, n - 12); /* case as asked */
	assert_memory_equal(
		out + n, ((uint8_t[]){ 0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 1, 2, 3 }), 16);
	assert_true(dns_reply_matches(out, len, p, n));
	assert_int_equal(dns_reply_rcode(out), 0);
	p[13] ^= 0x20;
	assert_true(dns_reply_matches(out, len, p, n));
	p[13] ^= 1;
	assert_false(dns_reply_matches(out, len, p, n));
}

static void matching_errors(void **state)
{
	uint8_t p[512], bare[12] = { 0x12, 0x34, 0x81, 0x85 };
	size_t n = QUERY(p, "\2db", DNS_A);

	assert_true(dns_reply_matches(bare, 12, p, n)); /* REFUSED without a question */
	bare[3] = 0x83;
	assert_false(dns_reply_matches(bare, 12, p, n)); /* NXDOMAIN: of what? */
	bare[3] = 0x85;
	bare[1] = 0;
	assert_false(dns_reply_matches(bare, 12, p, n)); /* id */
	assert_false(dns_reply_matches(p, n, p, n));     /* no reply at all */
	assert_false(dns_reply_matches(bare, 11, p, n));
}

static void truncation(void **state)
{
	uint8_t p[512], out[2048];
	size_t n = QUERY(p, "\2db", DNS_A), len, fit = 0;
	struct in_addr a = { 0 };
	struct dns_query q;
	struct dns_reply r;

	assert_int_equal(dns_query_parse(p, n, &q), 0);
	dns_reply_start(&r, out, sizeof(out), q.udp_size, p, &q, DNS_NOERROR);
	while (fit < 100 && dns_reply_add_a(&r, 600, &a))
		fit++;
	assert_int_equal(fit, (512 - n) / 16);
	len = dns_reply_finish(&r);
	assert_true(len <= 512);
	assert_int_equal(out[2] & 0x02, 0x02);
	assert_int_equal(out[7], fit);
	assert_int_equal(dns_reply_truncate(out, len), n);
	assert_int_equal(out[7], 0);
	assert_true(dns_reply_matches(out, n, p, n));
}

static void errors_with_edns(void **state)
{
	static const uint8_t opt[] = { 0, 0, 41, 0x04, 0xd0, 0, 7, 0x80, 0, 0, 0 };
	uint8_t p[512], out[1024];
	size_t n = QUERY(p, "\2db", DNS_A), len;
	struct dns_query q;
	struct dns_reply r;

	memcpy(p + n, opt, sizeof(opt));
	p[11] = 1;
	assert_int_equal(dns_query_parse(p, n + sizeof(opt), &q), 0);
	dns_reply_start(&r, out, sizeof(out), q.udp_size, p, &q, DNS_BADVERS);
	len = dns_reply_finish(&r);
	assert_int_equal(len, n + 11);
	assert_int_equal(out[3] & 15, 0);
	assert_int_equal(out[n + 5], 1); /* upper bits of 16 */
	assert_int_equal(out[n + 7], 0x80);
}

static void ptr(void **state)
{
	uint8_t p[512], out[1024];
	size_t n = QUERY(p, "\0013\0012\0011\00210\7in-addr\4arpa", DNS_PTR);
	struct dns_query q;
	struct dns_reply r;

	assert_int_equal(dns_query_parse(p, n, &q), 0);
	dns_reply_start(&r, out, sizeof(out), q.udp_size, p, &q, DNS_NOERROR);
	assert_true(dns_reply_add_ptr(&r, 600, "demo-db-1.demo_default"));
	(void)dns_reply_finish(&r);
	assert_memory_equal(out + n + 12, "\11demo-db-1\14demo_default", 24);
}

static void reverse_names(void **state)
{
	static const char *const bad[] = { "",
					   "in-addr.arpa",
					   "1.2.3.in-addr.arpa",
					   "1.2.3.4.5.in-addr.arpa",
					   "256.2.3.4.in-addr.arpa",
					   "01.2.3.4.in-addr.arpa",
					   "+1.2.3.4.in-addr.arpa",
					   " 1.2.3.4.in-addr.arpa",
					   "1.2.3.4x.in-addr.arpa",
					   "1.2.3.4.in-addr.arpa.example",
					   "1.ip6.arpa" };
	char v6[80] = "";
	uint8_t addr[16];

	assert_int_equal(dns_reverse_parse("4.3.2.1.in-addr.arpa", addr), AF_INET);
	assert_memory_equal(addr, "\1\2\3\4", 4);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(dns_reverse_parse(bad[i], addr), 0);
	for (int i = 0; i < 32; i++)
		snprintf(v6 + 2 * i, 3, "%x.", i % 16);
	strcat(v6, "ip6.arpa");
	assert_int_equal(dns_reverse_parse(v6, addr), AF_INET6);
	assert_memory_equal(addr,
			    "\xfe\xdc\xba\x98\x76\x54\x32\x10\xfe\xdc\xba\x98\x76\x54\x32\x10", 16);
	v6[10] = 'g';
	assert_int_equal(dns_reverse_parse(v6, addr), 0);
}

static void encode(void **state)
{
	uint8_t out[DNS_NAME_MAX];
	char label[80];

	assert_int_equal(dns_name_encode("a.bc", out), 6);
	assert_memory_equal(out, "\1a\2bc", 6);
	assert_int_equal(dns_name_encode("a.bc.", out), 6);
	assert_int_equal(dns_name_encode("", out), 1);
	assert_int_equal(dns_name_encode("a..b", out), 0);
	assert_int_equal(dns_name_encode(".a", out), 0);
	memset(label, 'x', 64);
	label[64] = '\0';
	assert_int_equal(dns_name_encode(label, out), 0);
	assert_int_equal(dns_name_encode(label + 1, out), 65);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_query),
		cmocka_unit_test(root_and_odd_bytes),
		cmocka_unit_test(edns),
		cmocka_unit_test(broken_queries),
		cmocka_unit_test(long_names),
		cmocka_unit_test(answers),
		cmocka_unit_test(matching_errors),
		cmocka_unit_test(truncation),
		cmocka_unit_test(errors_with_edns),
		cmocka_unit_test(ptr),
		cmocka_unit_test(reverse_names),
		cmocka_unit_test(encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
