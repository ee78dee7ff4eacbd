/* engine/container/user.h: who the workload runs as.
 *
 * "", "uid", "name", "uid:gid", "name:group" and mixes, looked up in the
 * container's own /etc/passwd and /etc/group, never in the host's.  Rules (Docker's, with the
 * holes of CVE-2024-40635, CVE-2026-46680 and CVE-2022-36109 closed):
 *
 * - a word of digits is a number, never a name, and must lie in 0 … 2^31-1;
 * - a number needs no entry; a name must have one;
 * - without a group, the primary group and memberships of the entry count (gid 0
 *   and none when there is no entry); with a group, only that;
 * - group_add comes on top, and the primary group is always in the list.
 */
#ifndef ENGINE_CONTAINER_USER_H
#define ENGINE_CONTAINER_USER_H

#include <sys/types.h>

#include "base/err.h"

#define USER_GROUPS_MAX 1024

struct user {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary, gid first */
	size_t n_groups;
	char *home; /* from the entry; "/" without one */
};

void user_done(struct user *u);

/* Pure: @passwd and @group are the files' texts ("" when there are none). */
int user_parse(const char *text, char *const *group_add, const char *passwd, const char *group,
	       struct user *out, struct err *e);
/* The same with the files below @rootfd.  They must be regular files of at most
 * 1 MiB; a FIFO or a device does not hang us. */
int user_lookup(int rootfd, const char *text, char *const *group_add, struct user *out,
		struct err *e);

#endif
