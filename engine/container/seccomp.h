/* engine/container/seccomp.h: system call filters, compiled once and kept.
 *
 * A filter is Docker's default allow-list (or the JSON profile of a
 * container) seen through the capabilities the container has, compiled by
 * libseccomp into BPF.  Compiling costs a millisecond or two, so programs are
 * cached by what went into them; the supervisor keeps one cache for its life.
 *
 * Only the native architecture is allowed: calls through int 0x80 or x32 get
 * ENOSYS, because socketcall(2) would let them around every rule about socket
 * families.
 */
#ifndef ENGINE_CONTAINER_SECCOMP_H
#define ENGINE_CONTAINER_SECCOMP_H

#include <linux/filter.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "engine/container/spec.h"

struct seccomp_program {
	unsigned short n;
	unsigned int flags; /* SECCOMP_FILTER_FLAG_* */
	struct sock_filter filter[];
};

struct seccomp_cache;

struct seccomp_cache *seccomp_cache_new(void);
void seccomp_cache_free(struct seccomp_cache *c); /* and all programs it gave out */
static inline void seccomp_cache_freep(struct seccomp_cache **c)
{
	seccomp_cache_free(*c);
}

/* The filter for this container; borrowed from the cache.  *out is NULL when it
 * runs unfiltered (privileged, or seccomp_unconfined).  A profile that cannot
 * be understood is -EINVAL. */
int seccomp_for_spec(struct seccomp_cache *c, const struct container_spec *s,
		     const struct seccomp_program **out, struct err *e);

/* Compile the built-in list for @caps; free() the result. */
int seccomp_compile_default(uint64_t caps, struct seccomp_program **out, struct err *e);
/* Compile a profile in Docker's JSON format; free() the result. */
int seccomp_compile_json(const char *text, uint64_t caps, struct seccomp_program **out,
			 struct err *e);

/* Filter the calling process from here on.  Needs no_new_privs or CAP_SYS_ADMIN. */
int seccomp_install(const struct seccomp_program *p, struct err *e);

#endif
