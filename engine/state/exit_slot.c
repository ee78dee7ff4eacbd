/* engine/state/exit_slot.c: the text of a slot; see exits.h.  Linked into the monitor: it
 * allocates nothing. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "engine/state/exits.h"

#define SLOT_VERSION 1

/* FNV-1a: against a torn sector, not against anybody. */
static uint64_t sum_of(const char *text, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return h;
}

void exit_slot_put(char slot[EXIT_SLOT], const char *id, const struct exit_record *r, bool ended)
{
	char text[EXIT_SLOT];
	int n;

	if (ended)
		n = snprintf(text, sizeof(text), "%d %.64s end %llu %llu %d %d %llu", SLOT_VERSION,
			     id, (unsigned long long)r->started_at,
			     (unsigned long long)r->finished_at, r->code, r->signal,
			     (unsigned long long)r->log_lost);
	else
		n = snprintf(text, sizeof(text), "%d %.64s run %llu", SLOT_VERSION, id,
			     (unsigned long long)r->started_at);
	/* At most 200 bytes so far. */
	n += snprintf(text + n, sizeof(text) - (size_t)n, " %016llx",
		      (unsigned long long)sum_of(text, (size_t)n));
	memset(slot, ' ', EXIT_SLOT);
	memcpy(slot, text, (size_t)n);
	slot[EXIT_SLOT - 1] = '\n';
}

/* The next word of *p, which moves behind it; NULL at the end or when it does not fit. */
static bool word(const char **p, char *out, size_t size)
{
	size_t n = strcspn(*p, " ");

	if (n == 0 || n >= size)
		return false;
	memcpy(out, *p, n);
	out[n] = '\0';
	*p += n + ((*p)[n] == ' ');
	return true;
}

static bool number(const char **p, uint64_t *out)
{
	char text[24];

	return word(p, text, sizeof(text)) && parse_u64(text, out);
}

/* Does the text, which ends in a sum, have the right one?  Cuts it off. */
static bool check_sum(char *text)
{
	char *last = strrchr(text, ' '), want[20];

	if (!last)
		return false;
	snprintf(want, sizeof(want), "%016llx",
		 (unsigned long long)sum_of(text, (size_t)(last - text)));
	*last = '\0';
	return streq(last + 1, want);
}

bool exit_slot_get(const char slot[EXIT_SLOT], char id[EXIT_ID_MAX], struct exit_record *r,
		   bool *ended)
{
	char text[EXIT_SLOT + 1], state[8];
	uint64_t version, code, signal;
	const char *p = text;
	size_t n = EXIT_SLOT;

	while (n > 0 && (slot[n - 1] == ' ' || slot[n - 1] == '\n'))
		n--;
	memcpy(text, slot, n);
	text[n] = '\0';
	*r = (struct exit_record){ 0 };
	if (strlen(text) != n || !check_sum(text) || !number(&p, &version) ||
	    version != SLOT_VERSION || !word(&p, id, EXIT_ID_MAX) ||
	    !word(&p, state, sizeof(state)) || !number(&p, &r->started_at))
		return false;
	*ended = streq(state, "end");
	if (!*ended)
		return streq(state, "run") && !*p;
	if (!number(&p, &r->finished_at) || !number(&p, &code) || code > 255 ||
	    !number(&p, &signal) || signal > 127 || !number(&p, &r->log_lost) || *p)
		return false;
	r->code = (int)code;
	r->signal = (int)signal;
	return true;
}

int exit_slot_save(int fd, uint32_t slot, const char *id, const struct exit_record *r)
{
	char text[EXIT_SLOT];

	exit_slot_put(text, id, r, true);
	errno = EIO; /* of a short write */
	if (pwrite(fd, text, sizeof(text), (off_t)slot * EXIT_SLOT) != sizeof(text) ||
	    fdatasync(fd) < 0)
		return -errno;
	return 0;
}
