/* base/signals.c: see signals.h.  The names are the C library's own. */
#include "base/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>

#include "base/util.h"

static int realtime(const char *text)
{
	int64_t offset = 0;

	if (strncasecmp(text, "RTMIN", 5) != 0 && strncasecmp(text, "RTMAX", 5) != 0)
		return -EINVAL;
	if (text[5] && !parse_i64(text[5] == '+' ? text + 6 : text + 5, &offset))
		return -EINVAL;
	offset += strncasecmp(text, "RTMIN", 5) == 0 ? SIGRTMIN : SIGRTMAX;
	return offset >= SIGRTMIN && offset <= SIGRTMAX ? (int)offset : -EINVAL;
}

int signal_parse(const char *text)
{
	uint64_t number;

	if (parse_u64(text, &number))
		return number > 0 && number < NSIG ? (int)number : -EINVAL;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int sig = 1; sig < SIGRTMIN; sig++) {
		const char *name = sigabbrev_np(sig);

		if (name && strcasecmp(name, text) == 0)
			return sig;
	}
	if (strcasecmp(text, "IOT") == 0)
		return SIGABRT;
	return realtime(text);
}

const char *signal_name(int sig)
{
	static char text[24];
	const char *name = sigabbrev_np(sig);

	if (name)
		snprintf(text, sizeof(text), "SIG%s", name);
	else
		snprintf(text, sizeof(text), "signal %d", sig);
	return text;
}
