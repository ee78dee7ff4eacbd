/* base/signals.c: see signals.h.  The names are the C library's own. */
#include "base/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>

#include "base/util.h"

static int realtime(const char *text)
{
	bool from_min = strncasecmp(text, "RTMIN", 5) == 0;
	uint64_t offset = 0;

	if (!from_min && strncasecmp(text, "RTMAX", 5) != 0)
		return -EINVAL;
	/* Only RTMIN+N and RTMAX-N can name one. */
	if (text[5] && (text[5] != (from_min ? '+' : '-') || !parse_u64(text + 6, &offset)))
		return -EINVAL;
	if (offset > (uint64_t)(SIGRTMAX - SIGRTMIN))
		return -EINVAL;
	return from_min ? SIGRTMIN + (int)offset : SIGRTMAX - (int)offset;
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
	else if (sig >= SIGRTMIN && sig <= SIGRTMIN + (SIGRTMAX - SIGRTMIN) / 2)
		snprintf(text, sizeof(text), sig > SIGRTMIN ? "SIGRTMIN+%d" : "SIGRTMIN",
			 sig - SIGRTMIN);
	else if (sig > SIGRTMIN && sig <= SIGRTMAX)
		snprintf(text, sizeof(text), sig < SIGRTMAX ? "SIGRTMAX-%d" : "SIGRTMAX",
			 SIGRTMAX - sig);
	else
		snprintf(text, sizeof(text), "signal %d", sig);
	return text;
}
