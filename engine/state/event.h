/* engine/state/event.h: what happened in a project, kept on disk.
 *
 * projects/PROJECT/events: one JSON object per line, as `events --json` prints it:
 *
 *	{"time", "type": "container", "service", "id", "action", "attributes": {…}}
 *
 * Written by the supervisor, in order, before anybody is told; at EVENT_FILE_MAX bytes
 * the file becomes events.1 and a new one begins, so a project keeps between one
 * and two of that.  The journal goes with the project.
 *
 * A reader takes no lock.  It follows the file it has open to its end, then looks
 * whether another one took its name: so it misses nothing, whoever writes, also
 * over the death of a supervisor, unless two whole files go by at once.
 */
#ifndef ENGINE_STATE_EVENT_H
#define ENGINE_STATE_EVENT_H

#include "base/err.h"
#include "base/json.h"
#include "engine/state/dirs.h"

#define EVENT_FILE_MAX (1u << 20)
#define EVENT_LINE_MAX 65536 /* longer ones are left out when reading */

/* ---- writing ------------------------------------------------------------------ */
struct event_journal;

/* Nothing is made until the first event.  @d is borrowed. */
struct event_journal *event_journal_new(const struct dirs *d, const char *project);
void event_journal_free(struct event_journal *j);
/* Append @event.  An error leaves the journal usable: the next event may do better. */
int event_journal_add(struct event_journal *j, json *event, struct err *e);

/* ---- reading ------------------------------------------------------------------ */
struct event_reader;

/* @past: from the oldest event there is; else from now on.  No journal yet: from its
 * beginning, once there is one. */
int event_reader_open(const struct dirs *d, const char *project, bool past,
		      struct event_reader **out, struct err *e);
void event_reader_free(struct event_reader *r);
static inline void event_reader_freep(struct event_reader **r)
{
	event_reader_free(*r);
}
/* 1: *event is the next one (json_unref() it); 0: nothing more now; -errno. */
int event_reader_next(struct event_reader *r, json **event, struct err *e);

#endif
