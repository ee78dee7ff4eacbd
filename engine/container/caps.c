/* engine/container/caps.c: see caps.h.  Raw capset(2) and prctl(2): libcap would add an
 * allocation and a parser to what is two system calls and a loop. */
#include "engine/container/caps.h"

#include <ctype.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/strv.h"

/* Position is the number; capability.h(7). */
static const char *const names[] = {
	"CHOWN",
	"DAC_OVERRIDE",
	"DAC_READ_SEARCH",
	"FOWNER",
	"FSETID",
	"KILL",
	"SETGID",
	"SETUID",
	"SETPCAP",
	"LINUX_IMMUTABLE",
	"NET_BIND_SERVICE",
	"NET_BROADCAST",
	"NET_ADMIN",
	"NET_RAW",
	"IPC_LOCK",
	"IPC_OWNER",
	"SYS_MODULE",
	"SYS_RAWIO",
	"SYS_CHROOT",
	"SYS_PTRACE",
	"SYS_PACCT",
	"SYS_ADMIN",
	"SYS_BOOT",
	"SYS_NICE",
	"SYS_RESOURCE",
	"SYS_TIME",
	"SYS_TTY_CONFIG",
	"MKNOD",
	"LEASE",
	"AUDIT_WRITE",
	"AUDIT_CONTROL",
	"SETFCAP",
	"MAC_OVERRIDE",
	"MAC_ADMIN",
	"SYSLOG",
	"WAKE_ALARM",
	"BLOCK_SUSPEND",
	"AUDIT_READ",
	"PERFMON",
	"BPF",
	"CHECKPOINT_RESTORE",
};

#define BIT(n) (UINT64_C(1) << (n))

uint64_t caps_default(void)
{
	return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
	       BIT(CAP_MKNOD) | BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
	       BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) |
	       BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);
}

uint64_t caps_all(void)
{
	uint64_t mask = 0;

	/* EINVAL past the last one the kernel knows; 0 for one that was taken from us, which
	 * nobody below us can have either. */
	for (int n = 0, r; n < 64 && (r = prctl(PR_CAPBSET_READ, n, 0, 0, 0)) >= 0; n++)
		if (r == 1)
			mask |= BIT(n);
	return mask;
}

int caps_number(const char *name)
{
	const char *rest = strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(names[i], rest) == 0)
			return (int)i;
	return -EINVAL;
}

const char *caps_name(int number)
{
	return number >= 0 && (size_t)number < ARRAY_SIZE(names) ? names[number] : NULL;
}

static bool is_all(const char *word)
{
	return strcasecmp(word, "ALL") == 0 || strcasecmp(word, "CAP_ALL") == 0;
}

static int list_mask(char *const *list, const char *key, bool *all, uint64_t *mask, struct err *e)
{
	*all = false;
	*mask = 0;
	STRV_FOREACH (s, list) {
		int n = caps_number(*s);

		if (is_all(*s)) {
			*all = true;
			continue;
		}
		if (n < 0) {
			const char *near = nearest_word(*s, names, ARRAY_SIZE(names));
			int r = err_set(e, EINVAL, "%s: unknown capability \"%s\"", key, *s);

			return near ? err_hint(e, "did you mean %s?", near) : r;
		}
		*mask |= BIT(n);
	}
	return 0;
}

int caps_from_lists(char *const *add, char *const *drop, uint64_t *mask, struct err *e)
{
	uint64_t plus, minus, start = caps_default();
	bool all_plus, all_minus;
	int r;

	r = list_mask(add, "cap_add", &all_plus, &plus, e);
	if (r < 0)
		return r;
	r = list_mask(drop, "cap_drop", &all_minus, &minus, e);
	if (r < 0)
		return r;
	/* Both ALL: add wins over the default, then single drops count; as Docker. */
	if (all_plus)
		start = caps_all();
	else if (all_minus)
		start = 0;
	*mask = ((start & ~minus) | plus) & caps_all();
	return 0;
}

int caps_from_spec(const struct container_spec *s, uint64_t *mask, struct err *e)
{
	int r = caps_from_lists(s->cap_add, s->cap_drop, mask, e);

	if (r == 0 && s->privileged)
		*mask = caps_all();
	return r;
}

int caps_bound(uint64_t mask, struct err *e)
{
	uint64_t drop = caps_all() & ~mask;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_errno(e, errno, "clear ambient capabilities");
	for (int n = 0; n < 64; n++)
		if (drop & BIT(n) && prctl(PR_CAPBSET_DROP, n, 0, 0, 0) < 0)
			return err_errno(e, errno, "drop capability %s",
					 caps_name(n) ? caps_name(n) : "?");
	return 0;
}

int caps_set(uint64_t mask, struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)mask, .permitted = (uint32_t)mask },
		{ .effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32) },
	};

	if (syscall(SYS_capset, &header, data) < 0)
		return err_errno(e, errno, "set capabilities");
	return 0;
}
