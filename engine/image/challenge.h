/* engine/image/challenge.h: what a registry says about how to come back: the
 * WWW-Authenticate and Retry-After headers.  Pure; both come from outside.
 */
#ifndef ENGINE_IMAGE_CHALLENGE_H
#define ENGINE_IMAGE_CHALLENGE_H

#include "base/err.h"

#define CHALLENGE_MAX 8192 /* bytes of a header value we look at */

enum challenge_kind { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_kind kind;
	char *realm, *service, *scope; /* owned; NULL: not stated */
	char *error;                   /* "invalid_token", "insufficient_scope" */
};
void challenge_done(struct challenge *c);

/* Read one header value (RFC 9110, 11.6.1: several challenges may stand in it)
 * into @c, unless that has a better one already: Bearer is better than Basic, other
 * schemes are passed over.  -EBADMSG: not of that grammar. */
int challenge_parse(const char *value, struct challenge *c, struct err *e);

/* Retry-After, seconds or an HTTP date (RFC 9110, 10.2.3), as a time to wait from
 * @now (CLOCK_REALTIME); -EINVAL for anything else.  All in ns. */
int retry_after_parse(const char *value, uint64_t now, uint64_t *wait);

#endif
