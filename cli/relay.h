/* cli/relay.h: stand between the user's descriptors and a process in a container.
 *
 * The container is never given a descriptor of the host's: a terminal could be
 * typed into (TIOCSTI), a file reopened for writing or chmod'ed through
 * /proc/self/fd, a directory walked out of.  Only anonymous pipes pass; all else
 * is copied through pipes made here.
 */
#ifndef CLI_RELAY_H
#define CLI_RELAY_H

#include "base/err.h"
#include "engine/supervise/control.h"

struct relay;

/* With pipes for what needs one.  @with_stdin false: the process reads an empty
 * stdin.  give[0..2] are to be sent to the supervisor; relay_given() once they were. */
int relay_new_pipes(bool with_stdin, struct relay **out, int give[3], struct err *e);
/* Nothing comes in and nothing goes out: for a process in the background. */
int relay_new_null(struct relay **out, int give[3], struct err *e);
/* Over the pty behind @master (taken); puts our terminal into raw mode. */
int relay_new_tty(int master, struct relay **out, struct err *e);
void relay_given(struct relay *r); /* close our copies of give[] */
void relay_free(struct relay *r);  /* terminal back to what it was */
static inline void relay_freep(struct relay **r)
{
	relay_free(*r);
}

/* Copy until @c has a message (*message; json_unref() it), then deliver what output
 * is left. */
int relay_run(struct relay *r, struct control_client *c, json **message, struct err *e);

#endif
