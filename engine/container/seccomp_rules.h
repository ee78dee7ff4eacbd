/* engine/container/seccomp_rules.h: between the two sources of rules (the
 * built-in list, a JSON profile) and libseccomp. */
#ifndef ENGINE_CONTAINER_SECCOMP_RULES_H
#define ENGINE_CONTAINER_SECCOMP_RULES_H

#include <seccomp.h>

#include "engine/container/seccomp.h"

struct seccomp_build {
	scmp_filter_ctx ctx;
	uint32_t default_action;
	unsigned int flags;
	uint32_t newest; /* numbers past this get ENOSYS; 0: they get the default action */
};

int seccomp_build_init(struct seccomp_build *b, uint32_t default_action, struct err *e);
void seccomp_build_done(struct seccomp_build *b);

/* Number of @name on this machine, or negative when it has no such call. */
int seccomp_number(const char *name);
/* A rule for one call; its @args must all match.  Calls this machine does not
 * have, and rules that say what the default says, are skipped. */
int seccomp_add(struct seccomp_build *b, const char *name, uint32_t action,
		const struct scmp_arg_cmp *args, unsigned int n, struct err *e);
int seccomp_finish(struct seccomp_build *b, struct seccomp_program **out, struct err *e);

/* "amd64", "arm64", …: what profiles call the architecture we run on. */
const char *seccomp_native_arch(void);

/* Add the built-in list for @caps. */
int seccomp_add_default(struct seccomp_build *b, uint64_t caps, struct err *e);

#endif
