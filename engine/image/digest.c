/* engine/image/digest.c: SHA-256 through libcrypto's EVP, which picks the
 * processor's SHA instructions (1.7 GB/s here against 0.4 without).  An EVP
 * call with a valid context fails only for want of memory, which is handled as
 * everywhere (base/util.h). */
#include "engine/image/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

struct hasher {
	EVP_MD_CTX *ctx;
};

static void need(bool ok)
{
	if (ok)
		return;
	(void)!write(STDERR_FILENO, "comp: out of memory\n", 20);
	_exit(1);
}

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

	/* EVP goes on without its default context, into NULL, if that could not be made. */
	need(OSSL_LIB_CTX_get0_global_default() != NULL);
	h->ctx = EVP_MD_CTX_new();
	need(h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL));
	return h;
}

void hasher_free(struct hasher *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
	need(EVP_DigestUpdate(h->ctx, p, n));
}

void hasher_end(struct hasher *h, char out[DIGEST_MAX])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	need(EVP_DigestFinal_ex(h->ctx, sum, &n) && n * 2 == DIGEST_HEX_LEN);
	memcpy(out, "sha256:", 7);
	for (unsigned int i = 0; i < n; i++) {
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
