/* base/syscall_filter.h: from the rules of libseccomp to a filter in the kernel.
 *
 * Instead of seccomp_load(3): when an allocation fails in libseccomp (2.5) while it
 * generates code, rules may be missing from a program that it calls complete.  Here that is
 * no memory, as it is elsewhere (base/util.h).  Neither blocks.
 */
#ifndef BASE_SYSCALL_FILTER_H
#define BASE_SYSCALL_FILTER_H

#include <linux/filter.h>
#include <seccomp.h>

#include "base/buf.h"
#include "base/err.h"

#define SYSCALL_FILTER_MAX 4096 /* instructions: BPF_MAXINSNS */

/* The program as struct sock_filter, appended to @code. */
int syscall_filter_compile(scmp_filter_ctx ctx, struct buf *code, struct err *e);

/* Compile and let it hold from now on: seccomp(2), SECCOMP_SET_MODE_FILTER with @flags.
 * no_new_privs must be set. */
int syscall_filter_load(scmp_filter_ctx ctx, unsigned int flags, struct err *e);
int syscall_filter_install(const struct sock_filter *program, size_t n, unsigned int flags,
			   struct err *e);

#endif
