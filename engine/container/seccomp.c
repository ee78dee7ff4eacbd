/* engine/container/seccomp.c: see seccomp.h.
 *
 * libseccomp turns the rules into BPF with a binary search over the call
 * numbers, which also makes loading cheap: the kernel runs each filter over
 * every number once to build its bitmap of calls that need no filter at all.
 * In front of its program we put four instructions of our own: a number newer than
 * any the list knows gets ENOSYS, so that libraries fall back to what they used before
 * that call existed (EPERM would make them fail).  A wrong architecture
 * is left to libseccomp (SCMP_FLTATR_ACT_BADARCH), as are x32's numbers.
 */
#include "engine/container/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/map.h"
#include "base/syscall_filter.h"
#include "engine/container/caps.h"
#include "engine/container/seccomp_rules.h"

/* Calls newer than libseccomp 2.5 by number; since 424 all architectures
 * share them (asm-generic/unistd.h). */
static const struct {
	const char *name;
	int number;
} newer[] = {
	{ "futex_waitv", 449 },       { "set_mempolicy_home_node", 450 },
	{ "cachestat", 451 },         { "fchmodat2", 452 },
	{ "map_shadow_stack", 453 },  { "futex_wake", 454 },
	{ "futex_wait", 455 },        { "futex_requeue", 456 },
	{ "statmount", 457 },         { "listmount", 458 },
	{ "lsm_get_self_attr", 459 }, { "lsm_set_self_attr", 460 },
	{ "lsm_list_modules", 461 },  { "mseal", 462 },
	{ "setxattrat", 463 },        { "getxattrat", 464 },
	{ "listxattrat", 465 },       { "removexattrat", 466 },
#ifdef __x86_64__
	{ "uretprobe", 335 },
#endif
};

int seccomp_number(const char *name)
{
	int n = seccomp_syscall_resolve_name(name);

	for (size_t i = 0; n < 0 && i < ARRAY_SIZE(newer); i++)
		if (streq(newer[i].name, name))
			n = newer[i].number;
	return n;
}

const char *seccomp_native_arch(void)
{
	switch (seccomp_arch_native()) {
	case SCMP_ARCH_X86_64:
		return "amd64";
	case SCMP_ARCH_X86:
		return "x86";
	case SCMP_ARCH_AARCH64:
		return "arm64";
	case SCMP_ARCH_ARM:
		return "arm";
	case SCMP_ARCH_PPC64LE:
		return "ppc64le";
	case SCMP_ARCH_S390X:
		return "s390x";
	case SCMP_ARCH_RISCV64:
		return "riscv64";
	default:
		return "unknown";
	}
}

int seccomp_build_init(struct seccomp_build *b, uint32_t default_action, struct err *e)
{
	*b = (struct seccomp_build){ .default_action = default_action };
	b->ctx = seccomp_init(default_action);
	if (!b->ctx)
		return err_set(e, ENOMEM, "seccomp: cannot start a filter");
	/* no_new_privs is the container's own choice; set elsewhere. */
	if (seccomp_attr_set(b->ctx, SCMP_FLTATR_CTL_NNP, 0) < 0 ||
	    seccomp_attr_set(b->ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)) < 0) {
		seccomp_build_done(b);
		return err_set(e, ENOTSUP, "seccomp: libseccomp refuses our attributes");
	}
	/* Binary tree: libseccomp 2.5; without it the same filter is merely slower. */
	(void)seccomp_attr_set(b->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return 0;
}

void seccomp_build_done(struct seccomp_build *b)
{
	if (b->ctx)
		seccomp_release(b->ctx);
	b->ctx = NULL;
}

int seccomp_add(struct seccomp_build *b, const char *name, uint32_t action,
		const struct scmp_arg_cmp *args, unsigned int n, struct err *e)
{
	int number = seccomp_number(name), r;

	/* libseccomp drops a rule equal to the default without a word. */
	if (number < 0 || action == b->default_action)
		return 0;
	r = seccomp_rule_add_array(b->ctx, action, number, n, args);
	if (r < 0 && r != -EEXIST)
		return err_errno(e, -r, "seccomp: rule for %s", name);
	return 0;
}

/* Our four instructions, see the top; they fall through into libseccomp's own. */
static size_t newest_check(struct sock_filter *f, uint32_t newest)
{
	const struct sock_filter check[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, newest, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};

	if (!newest)
		return 0;
	memcpy(f, check, sizeof(check));
	return ARRAY_SIZE(check);
}

int seccomp_finish(struct seccomp_build *b, struct seccomp_program **out, struct err *e)
{
	_cleanup_(buf_done) struct buf code = BUF_INIT;
	struct seccomp_program *p;
	size_t n, head;
	int r = syscall_filter_compile(b->ctx, &code, e);

	if (r < 0)
		return r;
	n = code.len / sizeof(struct sock_filter);
	p = xcalloc(1, sizeof(*p) + (n + 5) * sizeof(struct sock_filter));
	head = newest_check(p->filter, b->newest);
	memcpy(p->filter + head, code.data, n * sizeof(struct sock_filter));
	p->n = (unsigned short)(n + head);
	p->flags = b->flags;
	*out = p;
	return 0;
}

int seccomp_compile_default(uint64_t caps, struct seccomp_program **out, struct err *e)
{
	_cleanup_(seccomp_build_done) struct seccomp_build b = { 0 };
	int r = seccomp_build_init(&b, SCMP_ACT_ERRNO(EPERM), e);

	if (r < 0)
		return r;
	b.newest = 466;
	r = seccomp_add_default(&b, caps, e);
	return r < 0 ? r : seccomp_finish(&b, out, e);
}

/* ---- cache ------------------------------------------------------------------------ */
struct seccomp_cache {
	struct map programs; /* "caps:profile" → struct seccomp_program */
};

struct seccomp_cache *seccomp_cache_new(void)
{
	struct seccomp_cache *c = new0(struct seccomp_cache);

	c->programs = MAP_INIT_FREE(free);
	return c;
}

void seccomp_cache_free(struct seccomp_cache *c)
{
	if (!c)
		return;
	map_done(&c->programs);
	free(c);
}

int seccomp_for_spec(struct seccomp_cache *c, const struct container_spec *s,
		     const struct seccomp_program **out, struct err *e)
{
	_cleanup_(free_p) char *key = NULL;
	struct seccomp_program *p;
	uint64_t caps;
	int r;

	*out = NULL;
	if (s->privileged || s->seccomp_unconfined)
		return 0;
	r = caps_from_spec(s, &caps, e);
	if (r < 0)
		return r;
	key = xasprintf("%llx:%s", (unsigned long long)caps,
			s->seccomp_profile ? s->seccomp_profile : "");
	p = map_get(&c->programs, key);
	if (!p) {
		r = s->seccomp_profile ? seccomp_compile_json(s->seccomp_profile, caps, &p, e)
				       : seccomp_compile_default(caps, &p, e);
		if (r < 0)
			return r;
		map_put(&c->programs, key, p);
	}
	*out = p;
	return 0;
}

int seccomp_install(const struct seccomp_program *p, struct err *e)
{
	return syscall_filter_install(p->filter, p->n, p->flags, e);
}
