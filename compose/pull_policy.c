/* compose/pull_policy.c: see pull_policy.h. */
#include "compose/pull_policy.h"

#include <errno.h>

#include "base/util.h"
#include "compose/units.h"

int pull_policy_parse(const char *text, struct pull_policy *out, struct err *e)
{
	static const struct {
		const char *text;
		struct pull_policy policy;
	} known[] = {
		{ "", { PULL_MISSING, 0 } },
		{ "missing", { PULL_MISSING, 0 } },
		{ "if_not_present", { PULL_MISSING, 0 } },
		{ "always", { PULL_ALWAYS, 0 } },
		{ "never", { PULL_NEVER, 0 } },
		{ "build", { PULL_BUILD, 0 } },
		{ "daily", { PULL_AGE, 24 * 3600 * NSEC_PER_SEC } },
		{ "refresh", { PULL_AGE, 0 } },
		{ "weekly", { PULL_AGE, 7 * 24 * 3600 * NSEC_PER_SEC } },
	};
	const char *every;
	int64_t ns;

	text = text ? text : "";
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!streq(text, known[i].text))
			continue;
		*out = known[i].policy;
		return 0;
	}
	every = skip_prefix(text, "every_");
	if (every && *every && units_duration(every, &ns, NULL) == 0 && ns >= 0) {
		*out = (struct pull_policy){ PULL_AGE, (uint64_t)ns };
		return 0;
	}
	return err_set(e, EINVAL, "invalid pull policy \"%.60s\"", text);
}

bool pull_policy_wants(const struct pull_policy *p, const struct pull_state *s)
{
	switch (p->when) {
	case PULL_ALWAYS:
		return true;
	case PULL_NEVER:
	case PULL_BUILD:
		return false;
	case PULL_AGE:
		/* A clock that was set back must not stop the refreshing for ever. */
		return !s->present || s->now < s->checked || s->now - s->checked >= p->age;
	default:
		return !s->present;
	}
}
