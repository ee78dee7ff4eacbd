/* cli/watch.h: notice what happens to a project's containers.
 *
 * Holds the records as last seen; after an event (or, without a supervisor to
 * send any, after a while) they are read again and every difference that
 * matters is reported.  Events only say when to look, never what is so: a
 * supervisor that died or came back changes nothing.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "base/err.h"
#include "engine/state/record.h"

struct watch;

struct watch_handler {
	/* A container that was not there before, started or not. */
	void (*appeared)(const struct record *r, void *data);
	/* A run ended.  @restarting: it runs again, or will. */
	void (*exited)(const struct record *r, bool restarting, void *data);
	void *data;
};

/* @project and @d are borrowed.  No handler is called yet. */
int watch_new(const struct dirs *d, const char *project, const struct watch_handler *h,
	      struct watch **out, struct err *e);
void watch_free(struct watch *w);
static inline void watch_freep(struct watch **w)
{
	watch_free(*w);
}

int watch_fd(const struct watch *w);       /* to poll(2); -EBADF: poll the clock instead */
int watch_timeout(const struct watch *w);  /* ms until watch_update() is due anyway; -1: never */
bool watch_pending(const struct watch *w); /* watch_update() at once */
/* Take in events, read the records and call the handler. */
int watch_update(struct watch *w, struct err *e);
/* The records as of the last update. */
const struct record_list *watch_records(const struct watch *w);

#endif
