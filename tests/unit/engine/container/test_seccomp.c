/* The compiled programs are judged by running them, in a small BPF machine, never by
 * reading the list: libseccomp drops some rules without saying so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/strv.h"
#include "engine/container/caps.h"
#include "engine/container/seccomp.h"

#define ALLOW    SECCOMP_RET_ALLOW
#define FAIL(no) (SECCOMP_RET_ERRNO | (no))

static uint32_t run_bpf(const struct seccomp_program *p, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < p->n; pc++) {
		const struct sock_filter *f = &p->filter[pc];
		bool take;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k + 4 <= sizeof(*d));
			memcpy(&a, (const char *)d + f->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			continue;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			take = a == f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			take = a > f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			take = a >= f->k;
			break;
		default:
			fail_msg("instruction %#x", f->code);
			return 0;
		}
		pc += take ? f->jt : f->jf;
	}
	fail_msg("ran off the end");
	return 0;
}

static uint32_t call(const struct seccomp_program *p, int nr, uint64_t a0, uint64_t a1)
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64, .args = { a0, a1 } };

	return run_bpf(p, &d);
}

static struct seccomp_program *compile(uint64_t caps)
{
	struct seccomp_program *p = NULL;
	struct err e = ERR_INIT;

	if (seccomp_compile_default(caps, &p, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static void blocks_what_docker_blocks(void **state)
{
	static const int blocked[] = {
		SYS_keyctl,
		SYS_add_key,
		SYS_request_key,
		SYS_bpf,
		SYS_perf_event_open,
		SYS_mount,
		SYS_umount2,
		SYS_pivot_root,
		SYS_setns,
		SYS_unshare,
		SYS_fsopen,
		SYS_fsconfig,
		SYS_fsmount,
		SYS_open_tree,
		SYS_move_mount,
		SYS_kexec_load,
		SYS_reboot,
		SYS_init_module,
		SYS_swapon,
		SYS_quotactl,
		SYS_move_pages,
		SYS_kcmp,
		SYS_pidfd_getfd,
		SYS_userfaultfd,
		SYS_mbind,
		SYS_settimeofday,
		SYS_acct,
		SYS_syslog,
		SYS_iopl,
		SYS_open_by_handle_at,
		SYS_io_uring_setup,
		SYS_io_uring_enter,
		SYS_mount_setattr,
		SYS_sethostname,
		SYS_vhangup,
		SYS_ustat,
		SYS_sysfs,
		SYS_nfsservctl,
	};
	static const int allowed[] = {
		SYS_read,        SYS_openat,
		SYS_execve,      SYS_fork,
		SYS_ptrace,      SYS_mknod,
		SYS_chroot,      SYS_capset,
		SYS_prctl,       SYS_seccomp,
		SYS_ioctl,       SYS_openat2,
		SYS_arch_prctl,  SYS_name_to_handle_at,
		SYS_pidfd_open,  452 /* fchmodat2 */,
		462 /* mseal */, 466 /* removexattrat */,
	};
	struct seccomp_program *p = compile(caps_default());
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(blocked); i++)
		if (call(p, blocked[i], 0, 0) != FAIL(EPERM))
			fail_msg("call %d is not blocked", blocked[i]);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (call(p, allowed[i], 0, 0) != ALLOW)
			fail_msg("call %d is not allowed", allowed[i]);
	/* The 362 calls of Linux 6.1 on x86-64: 0 … 334 and 424 … 450. */
	for (int nr = 0; nr <= 450; nr++)
		if (nr <= 334 || nr >= 424)
			n += call(p, nr, 0, 0) == ALLOW;
	assert_int_equal(n, 295);
	free(p);
}

static void looks_at_arguments(void **state)
{
	struct seccomp_program *p = compile(caps_default());

	for (uint64_t family = 0; family < 60; family++) {
		uint32_t want = family == 38 || family == 40 || family > 45 ? FAIL(EPERM) : ALLOW;

		assert_int_equal(call(p, SYS_socket, family, 0), want);
		/* The kernel looks at the low half only, so must we. */
		assert_int_equal(call(p, SYS_socket, family | UINT64_C(1) << 32, 0), want);
	}
	assert_int_equal(call(p, SYS_personality, 0x20008, 0), ALLOW);
	assert_int_equal(call(p, SYS_personality, 0x40000, 0), FAIL(EPERM));
	assert_int_equal(call(p, SYS_clone, 17, 0), ALLOW);
	assert_int_equal(call(p, SYS_clone, CLONE_NEWUSER | 17, 0), FAIL(EPERM));
	assert_int_equal(call(p, SYS_clone, CLONE_NEWNS | 17, 0), FAIL(EPERM));
	assert_int_equal(call(p, SYS_clone3, 0, 0), FAIL(ENOSYS));
	free(p);
}

static void knows_only_the_native_architecture(void **state)
{
	struct seccomp_program *p = compile(caps_default());
	struct seccomp_data d = { .nr = 102 /* socketcall */, .arch = AUDIT_ARCH_I386 };

	assert_int_equal(run_bpf(p, &d), FAIL(ENOSYS));
	d.nr = 3; /* read */
	assert_int_equal(run_bpf(p, &d), FAIL(ENOSYS));
	assert_int_equal(call(p, 0x40000000, 0, 0), FAIL(ENOSYS)); /* x32 read */
	assert_int_equal(call(p, 0x40000029, 0, 0), FAIL(ENOSYS)); /* x32 socket */
	assert_int_equal(call(p, 467, 0, 0), FAIL(ENOSYS));        /* newer than the list */
	assert_int_equal(call(p, 600, 0, 0), FAIL(ENOSYS));
	assert_int_equal(call(p, -1, 0, 0), FAIL(ENOSYS));
	free(p);
}

static void capabilities_open_calls(void **state)
{
	struct seccomp_program *p = compile(caps_default() | UINT64_C(1) << CAP_SYS_ADMIN);

	assert_int_equal(call(p, SYS_mount, 0, 0), ALLOW);
	assert_int_equal(call(p, SYS_clone, CLONE_NEWNS, 0), ALLOW);
	assert_int_equal(call(p, SYS_clone3, 0, 0), ALLOW);
	assert_int_equal(call(p, SYS_init_module, 0, 0), FAIL(EPERM));
	free(p);
	p = compile(0);
	assert_int_equal(call(p, SYS_chroot, 0, 0), FAIL(EPERM));
	free(p);
}

static void reads_json_profiles(void **state)
{
	static const char profile[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
		"{\"names\":[\"chmod\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\"},"
		"{\"name\":\"getcwd\",\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38},"
		"{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
		" {\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
		" {\"index\":0,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"listen\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
		" {\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
		" {\"index\":1,\"value\":2,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"kill\"],\"action\":\"SCMP_ACT_ERRNO\","
		" \"excludes\":{\"caps\":[\"CAP_KILL\"]}},"
		"{\"names\":[\"mknod\"],\"action\":\"SCMP_ACT_ERRNO\","
		" \"includes\":{\"arches\":[\"arm64\"]}},"
		"{\"names\":[\"sync\"],\"action\":\"SCMP_ACT_ERRNO\","
		" \"includes\":{\"minKernel\":\"4.8\"}}]}";
	struct seccomp_program *p = NULL;
	struct err e = ERR_INIT;

	if (seccomp_compile_json(profile, caps_default(), &p, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(call(p, SYS_read, 0, 0), ALLOW);
	assert_int_equal(call(p, SYS_chmod, 0, 0), FAIL(EPERM));
	assert_int_equal(call(p, SYS_getcwd, 0, 0), FAIL(ENOSYS));
	assert_int_equal(call(p, SYS_socket, 1, 0), FAIL(EPERM));
	assert_int_equal(call(p, SYS_socket, 2, 0), FAIL(EPERM));
	assert_int_equal(call(p, SYS_socket, 3, 0), ALLOW);
	assert_int_equal(call(p, SYS_listen, 1, 2), FAIL(EPERM));
	assert_int_equal(call(p, SYS_listen, 1, 3), ALLOW);
	assert_int_equal(call(p, SYS_kill, 0, 0), ALLOW);
	assert_int_equal(call(p, SYS_mknod, 0, 0), ALLOW);
	assert_int_equal(call(p, SYS_sync, 0, 0), FAIL(EPERM));
	free(p);
	assert_int_equal(seccomp_compile_json("{", 0, &p, &e), -EINVAL);
	assert_int_equal(seccomp_compile_json("{}", 0, &p, &e), -EINVAL);
	assert_int_equal(seccomp_compile_json("{\"defaultAction\":\"NO\"}", 0, &p, &e), -EINVAL);
}

static void caches_by_capabilities(void **state)
{
	struct seccomp_cache *c = seccomp_cache_new();
	struct container_spec *s = spec_new();
	const struct seccomp_program *a, *b;

	assert_int_equal(seccomp_for_spec(c, s, &a, NULL), 0);
	assert_int_equal(seccomp_for_spec(c, s, &b, NULL), 0);
	assert_ptr_equal(a, b);
	s->cap_add = NULL;
	strv_add(&s->cap_add, "SYS_ADMIN");
	assert_int_equal(seccomp_for_spec(c, s, &b, NULL), 0);
	assert_ptr_not_equal(a, b);
	s->seccomp_unconfined = true;
	assert_int_equal(seccomp_for_spec(c, s, &b, NULL), 0);
	assert_null(b);
	spec_free(s);
	seccomp_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_what_docker_blocks),
		cmocka_unit_test(looks_at_arguments),
		cmocka_unit_test(knows_only_the_native_architecture),
		cmocka_unit_test(capabilities_open_calls),
		cmocka_unit_test(reads_json_profiles),
		cmocka_unit_test(caches_by_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
