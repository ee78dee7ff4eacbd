/* cli/log_view.h: containers' logs on the screen.
 *
 *	web-1  | 10.0.0.1 GET /
 *	db-1   | ready
 *
 * The logs of many containers come in the order in which the lines were
 * written.  A container's stdout goes to our stdout, its stderr to our stderr.
 */
#ifndef CLI_LOG_VIEW_H
#define CLI_LOG_VIEW_H

#include <stdio.h>

#include "base/err.h"
#include "engine/state/record.h"

struct log_view_options {
	FILE *out, *err;
	bool color, no_prefix, timestamps, follow;
	int64_t tail;          /* LOG_TAIL_ALL */
	uint64_t since, until; /* CLOCK_REALTIME ns; 0: no bound */
};

struct log_view;

struct log_view *log_view_new(const struct log_view_options *o);
void log_view_free(struct log_view *v);
static inline void log_view_freep(struct log_view **v)
{
	log_view_free(*v);
}

/* Show this container's log too, from @since (0: that of the options).  Known
 * already: nothing.  A container without a log is no error.  1: shown from now on. */
int log_view_add(struct log_view *v, const struct dirs *d, const struct record *r, uint64_t since,
		 struct err *e);
/* Names that will be printed, now or later, to make the prefix wide enough. */
void log_view_reserve(struct log_view *v, const struct record *r);

/* Print what is there.  1: nothing more for now; 0: the end of all logs (never
 * with follow while there is one); or -errno.  -EPIPE: nobody reads us.
 * Returns every few thousand lines (2) so that the caller can look around. */
int log_view_pump(struct log_view *v, struct err *e);
int log_view_fd(const struct log_view *v); /* to poll(2) when following */

/* A line about a container in its own colour: "web-1 exited with code 0". */
void log_view_status(struct log_view *v, const struct record *r, const char *text);

/* "web-1" of "demo-web-1" in project demo; other names as they are. */
const char *log_view_name(const struct record *r);

#endif
