/* net/dns_message.c: reading and writing DNS messages.
 *
 * A cursor walks the message and never beyond its end.  Names are decoded with
 * a strictly falling limit for compression pointers, so a loop cannot be written
 * down at all.  Replies are built forwards into a fixed buffer that keeps room
 * for the OPT record; every answer is owned by the question's name, which is
 * always at offset 12, so "compression" is the constant pointer 0xc00c.
 */
#include "net/dns_message.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <errno.h>

#define OPT_LEN       11 /* root name, type, class, ttl, empty data: RFC 6891 6.1.2 */
#define LABEL_MAX     63
#define MAX_ADDITIONS 16 /* records behind the question we are ready to look at */

enum {
	FLAG_QR = 0x8000,
	FLAG_AA = 0x0400,
	FLAG_TC = 0x0200,
	FLAG_RD = 0x0100,
	FLAG_RA = 0x0080,
	FLAG_CD = 0x0010
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

uint16_t dns_id(const void *msg)
{
	return get16(msg);
}

void dns_set_id(void *msg, uint16_t id)
{
	put16(msg, id);
}

enum dns_rcode dns_reply_rcode(const void *msg)
{
	return ((const uint8_t *)msg)[3] & 0x0f;
}

/* One label as text at *out; the caller made sure of 4 bytes for each of its. */
static void label_text(const uint8_t *label, size_t n, char **out)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = label[i];

		if (c == '.' || c == '\\' || c <= 0x20 || c >= 0x7f)
			*out += sprintf(*out, "\\%03u", c);
		else
			*(*out)++ = (char)tolower(c);
	}
}

/* Decode the name at *at; *at is moved behind it.  @text may be NULL to skip it. */
static bool read_name(const uint8_t *msg, size_t n, size_t *at, char *text)
{
	size_t pos = *at, limit = *at, wire = 0;
	bool jumped = false;
	char *out = text;

	for (;;) {
		uint8_t len;

		if (pos >= n)
			return false;
		len = msg[pos];
		if ((len & 0xc0) == 0xc0) {
			size_t to;

			if (pos + 2 > n)
				return false;
			to = get16(msg + pos) & 0x3fff;
			if (!jumped)
				*at = pos + 2;
			jumped = true;
			if (to >= limit || to < DNS_HEADER_LEN)
				return false;
			pos = limit = to;
			continue;
		}
		if (len > LABEL_MAX || pos + 1 + len > n)
			return false;
		wire += 1u + len;
		if (wire > DNS_NAME_MAX)
			return false;
		pos++;
		if (len == 0)
			break;
		if (text) {
			if (out != text)
				*out++ = '.';
			label_text(msg + pos, len, &out);
		}
		pos += len;
	}
	if (!jumped)
		*at = pos;
	if (text)
		*out = '\0';
	return true;
}

static bool read_opt(const uint8_t *msg, size_t at, struct dns_query *q)
{
	uint16_t size = get16(msg + at + 2);

	if (q->edns)
		return false; /* RFC 6891 6.1.1: more than one is a FORMERR */
	q->edns = true;
	q->edns_version = msg[at + 5];
	q->dnssec_ok = msg[at + 6] & 0x80;
	if (size > DNS_UDP_DEFAULT)
		q->udp_size = MIN(size, (uint16_t)DNS_UDP_MAX);
	return true;
}

/* The records behind the question: only an OPT says anything to us. */
static bool read_records(const uint8_t *msg, size_t n, size_t at, unsigned int count,
			 struct dns_query *q)
{
	if (count > MAX_ADDITIONS)
		return false;
	while (count--) {
		bool root = at < n && msg[at] == 0;

		if (!read_name(msg, n, &at, NULL) || at + 10 > n)
			return false;
		if (get16(msg + at) == DNS_OPT && (!root || !read_opt(msg, at, q)))
			return false;
		at += 10u + get16(msg + at + 8);
		if (at > n)
			return false;
	}
	return true;
}

int dns_query_parse(const void *bytes, size_t n, struct dns_query *q)
{
	const uint8_t *msg = bytes;
	size_t at = DNS_HEADER_LEN;
	uint16_t flags;

	q->question_len = 0;
	q->type = q->class = 0;
	q->name[0] = '\0';
	q->edns = q->dnssec_ok = false;
	q->edns_version = 0;
	q->udp_size = DNS_UDP_DEFAULT;
	if (n < DNS_HEADER_LEN)
		return -EINVAL;
	flags = get16(msg + 2);
	if (flags & FLAG_QR)
		return -EINVAL;
	q->id = get16(msg);
	q->opcode = flags >> 11 & 0x0f;
	q->rd = flags & FLAG_RD;
	q->cd = flags & FLAG_CD;
	if (q->opcode != 0)
		return 0; /* other operations give the sections another meaning */
	if (get16(msg + 4) != 1 || (flags & FLAG_TC))
		return -EBADMSG;
	/* A question is the first name there is, so nothing lies before it to point at. */
	if (!read_name(msg, n, &at, q->name) || at + 4 > n) {
		q->name[0] = '\0';
		return -EBADMSG;
	}
	q->type = get16(msg + at);
	q->class = get16(msg + at + 2);
	q->question_len = at + 4 - DNS_HEADER_LEN;
	if (!read_records(msg, n, at + 4, get16(msg + 6) + get16(msg + 8) + get16(msg + 10), q)) {
		q->question_len = 0;
		q->edns = false;
		return -EBADMSG;
	}
	return 0;
}

void dns_reply_start(struct dns_reply *r, void *buf, size_t size, size_t max, const void *msg,
		     const struct dns_query *q, enum dns_rcode rcode)
{
	uint16_t flags = FLAG_QR | FLAG_RA | (uint16_t)(q->opcode << 11);
	size_t room = max < DNS_UDP_DEFAULT ? DNS_UDP_DEFAULT : max;

	assert(size >= DNS_HEADER_LEN + DNS_NAME_MAX + 4 + OPT_LEN);
	*r = (struct dns_reply){
		.p = buf,
		.max = MIN(size, room) - (q->edns ? OPT_LEN : 0),
		.len = DNS_HEADER_LEN,
		.edns = q->edns,
		.dnssec_ok = q->dnssec_ok,
		.rcode = rcode,
	};
	memset(r->p, 0, DNS_HEADER_LEN);
	if (rcode == DNS_NOERROR)
		flags |= FLAG_AA;
	if (q->rd)
		flags |= FLAG_RD;
	if (q->cd)
		flags |= FLAG_CD;
	put16(r->p, q->id);
	put16(r->p + 2, flags | (rcode & 0x0f));
	if (q->question_len) {
		put16(r->p + 4, 1);
		memcpy(r->p + r->len, (const uint8_t *)msg + DNS_HEADER_LEN, q->question_len);
		r->len += q->question_len;
	}
}

static bool add_record(struct dns_reply *r, enum dns_type type, uint32_t ttl, const void *data,
		       size_t n)
{
	uint8_t *p = r->p + r->len;

	if (r->truncated || r->len + 12 + n > r->max) {
		r->truncated = true;
		return false;
	}
	put16(p, 0xc000 | DNS_HEADER_LEN);
	put16(p + 2, type);
	put16(p + 4, DNS_CLASS_IN);
	put32(p + 6, ttl);
	put16(p + 10, (uint16_t)n);
	memcpy(p + 12, data, n);
	r->len += 12 + n;
	r->n_answers++;
	return true;
}

bool dns_reply_add_a(struct dns_reply *r, uint32_t ttl, const struct in_addr *a)
{
	return add_record(r, DNS_A, ttl, a, sizeof(*a));
}

bool dns_reply_add_aaaa(struct dns_reply *r, uint32_t ttl, const struct in6_addr *a)
{
	return add_record(r, DNS_AAAA, ttl, a, sizeof(*a));
}

bool dns_reply_add_ptr(struct dns_reply *r, uint32_t ttl, const char *name)
{
	uint8_t wire[DNS_NAME_MAX];
	size_t n = dns_name_encode(name, wire);

	return n && add_record(r, DNS_PTR, ttl, wire, n);
}

size_t dns_reply_finish(struct dns_reply *r)
{
	put16(r->p + 6, r->n_answers);
	if (r->truncated)
		put16(r->p + 2, get16(r->p + 2) | FLAG_TC);
	if (r->edns) {
		uint8_t *p = r->p + r->len;

		p[0] = 0;
		put16(p + 1, DNS_OPT);
		put16(p + 3, DNS_UDP_MAX);
		put32(p + 5, (uint32_t)(r->rcode >> 4) << 24 | (r->dnssec_ok ? 0x8000 : 0));
		put16(p + 9, 0);
		r->len += OPT_LEN;
		put16(r->p + 10, 1);
		r->edns = false;
	}
	return r->len;
}

/* Length of the question behind the header, 0 when it is broken. */
static size_t question_len(const uint8_t *msg, size_t n)
{
	size_t at = DNS_HEADER_LEN;

	if (!read_name(msg, n, &at, NULL) || at + 4 > n)
		return 0;
	return at + 4 - DNS_HEADER_LEN;
}

/* Without case, by bytes: lengths are below 'A', so only letters are folded. */
static bool same_question(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i + 4 < n; i++)
		if (tolower(a[i]) != tolower(b[i]))
			return false;
	return memcmp(a + n - 4, b + n - 4, 4) == 0;
}

bool dns_reply_matches(const void *reply, size_t n, const void *query, size_t n_query)
{
	const uint8_t *a = reply, *b = query;
	size_t len;

	if (n < DNS_HEADER_LEN || n_query < DNS_HEADER_LEN || get16(a) != get16(b))
		return false;
	if (!(a[2] & 0x80) || (a[2] & 0x78) != (b[2] & 0x78))
		return false;
	if (get16(a + 4) == 0)
		return dns_reply_rcode(a) != DNS_NOERROR && dns_reply_rcode(a) != DNS_NXDOMAIN;
	len = question_len(b, n_query);
	return get16(a + 4) == 1 && len && question_len(a, n) == len &&
	       same_question(a + DNS_HEADER_LEN, b + DNS_HEADER_LEN, len);
}

size_t dns_reply_truncate(void *bytes, size_t n)
{
	uint8_t *msg = bytes;
	size_t len = get16(msg + 4) == 1 ? question_len(msg, n) : 0;

	put16(msg + 2, get16(msg + 2) | FLAG_TC);
	put16(msg + 4, len ? 1 : 0);
	memset(msg + 6, 0, 6);
	return DNS_HEADER_LEN + len;
}

static int reverse4(const char *name, size_t n, uint8_t addr[16])
{
	unsigned int b[4];
	int end = 0;
	char canonical[16];

	if (n >= sizeof(canonical) ||
	    sscanf(name, "%3u.%3u.%3u.%3u%n", &b[3], &b[2], &b[1], &b[0], &end) != 4 ||
	    (size_t)end != n)
		return 0;
	for (int i = 0; i < 4; i++) {
		if (b[i] > 255)
			return 0;
		addr[i] = (uint8_t)b[i];
	}
	/* Only the one spelling: no "01", no sign. */
	snprintf(canonical, sizeof(canonical), "%u.%u.%u.%u", b[3], b[2], b[1], b[0]);
	return strncmp(canonical, name, n) == 0 && strlen(canonical) == n ? AF_INET : 0;
}

static int reverse6(const char *name, size_t n, uint8_t addr[16])
{
	if (n != 63)
		return 0;
	for (int i = 0; i < 32; i++) {
		char c = name[62 - 2 * i];
		int v = isdigit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (v < 0 || (i < 31 && name[61 - 2 * i] != '.'))
			return 0;
		addr[i / 2] = (uint8_t)(i % 2 ? addr[i / 2] | v : v << 4);
	}
	return AF_INET6;
}

int dns_reverse_parse(const char *name, uint8_t addr[16])
{
	static const char v4[] = ".in-addr.arpa", v6[] = ".ip6.arpa";
	size_t n = strlen(name);

	if (has_suffix(name, v4))
		return reverse4(name, n - strlen(v4), addr);
	if (has_suffix(name, v6))
		return reverse6(name, n - strlen(v6), addr);
	return 0;
}

size_t dns_name_encode(const char *name, uint8_t out[DNS_NAME_MAX])
{
	size_t len = 0;

	while (*name) {
		size_t n = strcspn(name, ".");

		if (n == 0 || n > LABEL_MAX || len + 1 + n + 1 > DNS_NAME_MAX ||
		    memchr(name, '\\', n))
			return 0;
		out[len++] = (uint8_t)n;
		memcpy(out + len, name, n);
		len += n;
		name += n;
		if (*name == '.')
			name++;
	}
	out[len++] = 0;
	return len;
}
