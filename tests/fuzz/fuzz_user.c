/* An image's /etc/passwd and /etc/group, and the `user` of a service: three texts divided by NUL.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/util.h"
#include "engine/container/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size); /* ends at the first NUL */
	char *all = xmalloc(size + 3), *passwd, *group;
	struct user u;
	struct err e = ERR_INIT;

	memcpy(all, data, size);
	memset(all + size, 0, 3);
	passwd = all + MIN(strlen(all) + 1, size + 1);
	group = all + MIN((size_t)(passwd - all) + strlen(passwd) + 1, size + 2);
	if (user_parse(text, NULL, passwd, group, &u, &e) == 0) {
		assert(u.uid <= INT32_MAX && u.gid <= INT32_MAX);
		assert(u.n_groups >= 1 && u.groups[0] == u.gid);
		assert(u.home && *u.home);
		/* Digits are that number or nothing; CVE-2026-46680. */
		if (*text && !text[strspn(text, "0123456789")])
			assert(u.uid == strtoul(text, NULL, 10));
		user_done(&u);
	} else {
		assert(e.code && *e.msg);
	}
	free(text);
	free(all);
	return 0;
}
