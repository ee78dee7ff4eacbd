/* engine/image/digest.h: "sha256:<64 hex digits>", and hashing as bytes go by.
 *
 * The front door to nettle.  A digest from outside is used as a file name
 * only after digest_is_valid() (CVE-2014-9358, CVE-2024-3727).
 */
#ifndef ENGINE_IMAGE_DIGEST_H
#define ENGINE_IMAGE_DIGEST_H

#include "base/cleanup.h"
#include "base/util.h"

#define DIGEST_HEX_LEN 64
#define DIGEST_LEN     71 /* "sha256:" and the digits */
#define DIGEST_MAX     (DIGEST_LEN + 1)

bool digest_hex_is_valid(const char *hex); /* exactly 64 lower-case hex digits */
bool digest_is_valid(const char *digest);
/* The digits of a valid digest; borrowed. */
const char *digest_hex(const char *digest);

struct hasher;
struct hasher *hasher_new(void);
void hasher_free(struct hasher *h);
static inline void hasher_freep(struct hasher **h)
{
	hasher_free(*h);
}
void hasher_add(struct hasher *h, const void *p, size_t n);
/* The digest of all that was added; the hasher is used up. */
void hasher_end(struct hasher *h, char out[DIGEST_MAX]);
void digest_of(const void *p, size_t n, char out[DIGEST_MAX]);

#endif
