/* DNS messages from containers and upstreams: parse, answer, match, truncate. */
#include <assert.h>
#include <stddef.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <arpa/inet.h>

#include "net/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Our own replies must parse as replies to what was asked. */
static void answer(const uint8_t *msg, size_t n, const struct dns_query *q, size_t size)
{
	static uint8_t out[DNS_MESSAGE_MAX];
	const struct in6_addr six = IN6ADDR_LOOPBACK_INIT;
	const struct in_addr four = { htonl(INADDR_LOOPBACK) };
	struct dns_reply r;
	size_t len;

	dns_reply_start(&r, out, sizeof(out), size, msg, q, DNS_NOERROR);
	for (int i = 0; i < 20; i++) {
		(void)dns_reply_add_a(&r, 600, &four);
		(void)dns_reply_add_aaaa(&r, 600, &six);
		(void)dns_reply_add_ptr(&r, 600, "demo-db-1.demo_default");
	}
	len = dns_reply_finish(&r);
	assert(len <= size);
	if (q->opcode == 0 && q->question_len)
		assert(dns_reply_matches(out, len, msg, n));
	len = dns_reply_truncate(out, len);
	assert(len >= DNS_HEADER_LEN && len <= size);
}

/* What a name parsed from the wire means as text must be one name, not two. */
static void names(const struct dns_query *q)
{
	uint8_t wire[DNS_NAME_MAX], addr[16];
	size_t n;

	assert(strlen(q->name) < DNS_NAME_TEXT_MAX);
	n = dns_name_encode(q->name, wire);
	if (n)
		assert(n <= DNS_NAME_MAX && n + 4 <= q->question_len);
	(void)dns_reverse_parse(q->name, addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_query q;
	uint8_t *copy;
	int r;

	if (size > DNS_MESSAGE_MAX)
		return 0;
	r = dns_query_parse(data, size, &q);
	if (r != -EINVAL)
		answer(data, size, &q, q.udp_size);
	if (r == 0 && q.opcode == 0)
		names(&q);
	/* As an upstream's reply to a query that is cut from the same bytes. */
	(void)dns_reply_matches(data, size, data + size / 2, size - size / 2);
	if (size < DNS_HEADER_LEN)
		return 0;
	copy = malloc(size);
	memcpy(copy, data, size);
	assert(dns_reply_truncate(copy, size) <= size);
	dns_set_id(copy, (uint16_t)(dns_id(copy) + 1));
	(void)dns_reply_rcode(copy);
	free(copy);
	return 0;
}
