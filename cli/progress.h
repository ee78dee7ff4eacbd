/* cli/progress.h: what is being done, on stderr, in four styles.
 *
 *	tty	lines that are redrawn in place under a "[+] up 3/5" header
 *	plain	" Container x-db-1 Started " per event; scripts grep these
 *	json	one object per event
 *	quiet	nothing
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdio.h>

#include "base/err.h"

enum progress_mode { PROGRESS_AUTO, PROGRESS_TTY, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_QUIET };
enum progress_status { PROGRESS_WORKING, PROGRESS_DONE, PROGRESS_WARNING, PROGRESS_ERROR };

/* -EINVAL: `unsupported --progress value "x"`. */
int progress_mode_parse(const char *text, enum progress_mode *mode, struct err *e);
/* "working", "done", …; anything else is working. */
enum progress_status progress_status_parse(const char *text);

struct progress_options {
	enum progress_mode mode; /* AUTO: tty when @tty */
	bool tty, color, dry_run;
	const char *title; /* "up", for the header */
	/* Size of the terminal; NULL: that of @out. For tests. */
	void (*size)(unsigned int *rows, unsigned int *cols);
};

struct progress;
struct progress *progress_new(FILE *out, const struct progress_options *o);
/* Prints what is left (tty: the final picture), frees. */
void progress_free(struct progress *p);
static inline void progress_freep(struct progress **p)
{
	progress_free(*p);
}

/* @id "Container demo-web-1", @text "Starting"; @details may be NULL. */
void progress_event(struct progress *p, const char *id, enum progress_status status,
		    const char *text, const char *details);
/* As progress_event() with a bar: @current of @total bytes (total 0: unknown). */
void progress_amount(struct progress *p, const char *id, const char *text, uint64_t current,
		     uint64_t total);
/* Redraw timers and spinner; cheap when nothing is shown. */
void progress_tick(struct progress *p);
/* How long until the next progress_tick() is worth while, in ms; -1: never. */
int progress_interval(const struct progress *p);

#endif
