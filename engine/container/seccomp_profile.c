/* engine/container/seccomp_profile.c: a profile in Docker's JSON format.
 *
 *	{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
 *	  "syscalls": [ { "names": [...], "action": "SCMP_ACT_ALLOW", "errnoRet": 38,
 *	    "args": [ { "index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_EQ" } ],
 *	    "includes": { "caps": [...], "arches": [...], "minKernel": "4.8" },
 *	    "excludes": { … } } ] }
 *
 * archMap and architectures are read over: the filter is for the native architecture
 * alone, see seccomp.h.
 */
#include <seccomp.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/strv.h"
#include "engine/container/caps.h"
#include "engine/container/seccomp_rules.h"

#define PROFILE_ARGS_MAX 6 /* a call has no more */

static int parse_action(const char *name, int64_t errno_ret, uint32_t *out, struct err *e)
{
	static const struct {
		const char *name;
		uint32_t action;
	} actions[] = {
		{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
		{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
		{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
		{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
		{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
		{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	};

	if (!name)
		return err_set(e, EINVAL, "seccomp profile: an action is missing");
	if (errno_ret < 0 || errno_ret > 4095)
		return err_set(e, EINVAL, "seccomp profile: errno %lld is out of range",
			       (long long)errno_ret);
	if (streq(name, "SCMP_ACT_ERRNO"))
		*out = SCMP_ACT_ERRNO((uint32_t)errno_ret);
	else if (streq(name, "SCMP_ACT_TRACE"))
		*out = SCMP_ACT_TRACE((uint32_t)errno_ret);
	else {
		for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
			if (streq(actions[i].name, name)) {
				*out = actions[i].action;
				return 0;
			}
		return err_set(e, EINVAL, "seccomp profile: unknown action \"%s\"", name);
	}
	return 0;
}

static int parse_op(const char *name, enum scmp_compare *out, struct err *e)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} ops[] = {
		{ "SCMP_CMP_NE", SCMP_CMP_NE },
		{ "SCMP_CMP_LT", SCMP_CMP_LT },
		{ "SCMP_CMP_LE", SCMP_CMP_LE },
		{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
		{ "SCMP_CMP_GE", SCMP_CMP_GE },
		{ "SCMP_CMP_GT", SCMP_CMP_GT },
		{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	};

	for (size_t i = 0; name && i < ARRAY_SIZE(ops); i++)
		if (streq(ops[i].name, name)) {
			*out = ops[i].op;
			return 0;
		}
	return err_set(e, EINVAL, "seccomp profile: unknown operator \"%s\"", name ? name : "");
}

static int parse_args(json *args, struct scmp_arg_cmp *out, unsigned int *n, bool *repeated,
		      struct err *e)
{
	unsigned int seen = 0;

	*n = 0;
	*repeated = false;
	if (json_len(args) > PROFILE_ARGS_MAX)
		return err_set(e, EINVAL, "seccomp profile: more than %d args", PROFILE_ARGS_MAX);
	for (size_t i = 0; i < json_len(args); i++) {
		json *arg = json_at(args, i);
		int64_t index = json_get_int(arg, "index", -1);
		struct scmp_arg_cmp *a = &out[*n];
		int r = parse_op(json_get_str(arg, "op"), &a->op, e);

		if (r < 0)
			return r;
		if (index < 0 || index >= PROFILE_ARGS_MAX)
			return err_set(e, EINVAL, "seccomp profile: bad args index");
		*repeated |= seen >> index & 1;
		seen |= 1u << index;
		a->arg = (unsigned int)index;
		/* MASKED_EQ: value is the mask, valueTwo what must remain. */
		a->datum_a = json_get_u64(arg, "value", 0);
		a->datum_b = json_get_u64(arg, "valueTwo", 0);
		(*n)++;
	}
	return 0;
}

static bool kernel_at_least(const char *version)
{
	struct utsname u;
	unsigned int have[2] = { 0 }, want[2] = { 0 };

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &have[0], &have[1]) < 1 ||
	    sscanf(version, "%u.%u", &want[0], &want[1]) < 1)
		return false;
	return have[0] != want[0] ? have[0] > want[0] : have[1] >= want[1];
}

static bool has_capability(const char *name, uint64_t caps)
{
	int n = caps_number(name);

	return n >= 0 && caps >> n & 1;
}

/* includes: every condition holds; capabilities and architectures as Docker reads
 * them: all of the former, one of the latter. */
static bool included(json *cond, uint64_t caps)
{
	_cleanup_(strv_freep) char **need = json_get_strv(cond, "caps");
	_cleanup_(strv_freep) char **arches = json_get_strv(cond, "arches");
	const char *kernel = json_get_str(cond, "minKernel");

	STRV_FOREACH (name, need)
		if (!has_capability(*name, caps))
			return false;
	if (strv_len(arches) && !strv_has(arches, seccomp_native_arch()))
		return false;
	return !kernel || kernel_at_least(kernel);
}

/* excludes: any one of them is enough. */
static bool excluded(json *cond, uint64_t caps)
{
	_cleanup_(strv_freep) char **unless = json_get_strv(cond, "caps");
	_cleanup_(strv_freep) char **arches = json_get_strv(cond, "arches");
	const char *kernel = json_get_str(cond, "minKernel");

	STRV_FOREACH (name, unless)
		if (has_capability(*name, caps))
			return true;
	return strv_has(arches, seccomp_native_arch()) || (kernel && kernel_at_least(kernel));
}

static int add_entry(struct seccomp_build *b, json *entry, int64_t default_errno, struct err *e)
{
	_cleanup_(strv_freep) char **names = json_get_strv(entry, "names");
	struct scmp_arg_cmp args[PROFILE_ARGS_MAX];
	uint32_t action;
	unsigned int n = 0;
	bool repeated = false;
	int r;

	if (json_get_str(entry, "name"))
		strv_add(&names, json_get_str(entry, "name"));
	r = parse_action(json_get_str(entry, "action"),
			 json_get_int(entry, "errnoRet", default_errno), &action, e);
	if (r == 0)
		r = parse_args(json_get(entry, "args"), args, &n, &repeated, e);
	STRV_FOREACH (name, names) {
		/* Conditions on one argument mean "any of them", on several "all". */
		for (unsigned int i = 0; r == 0 && repeated && i < n; i++)
			r = seccomp_add(b, *name, action, &args[i], 1, e);
		if (r == 0 && !repeated)
			r = seccomp_add(b, *name, action, args, n, e);
	}
	return r;
}

int seccomp_compile_json(const char *text, uint64_t caps, struct seccomp_program **out,
			 struct err *e)
{
	_cleanup_(seccomp_build_done) struct seccomp_build b = { 0 };
	_cleanup_(json_unrefp) json *profile = NULL;
	int64_t default_errno;
	uint32_t action;
	json *entries;
	int r = json_parse(text, strlen(text), &profile, e);

	if (r < 0)
		return err_wrap(e, -EINVAL, "seccomp profile");
	default_errno = json_get_int(profile, "defaultErrnoRet", EPERM);
	r = parse_action(json_get_str(profile, "defaultAction"), default_errno, &action, e);
	if (r == 0)
		r = seccomp_build_init(&b, action, e);
	if (r < 0)
		return r;
	entries = json_get(profile, "syscalls");
	for (size_t i = 0; i < json_len(entries); i++) {
		json *entry = json_at(entries, i);

		if (!included(json_get(entry, "includes"), caps) ||
		    excluded(json_get(entry, "excludes"), caps))
			continue;
		r = add_entry(&b, entry, EPERM, e);
		if (r < 0)
			return r;
	}
	return seccomp_finish(&b, out, e);
}
