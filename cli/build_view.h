/* cli/build_view.h: what a build is doing, on stderr, in BuildKit's styles.
 *
 *	tty	a line per step that is redrawn in place, with the last lines of what runs
 *	plain	"#5 [2/3] RUN make", "#5 0.123 its output", "#5 DONE 0.3s"
 *	json	one object per event
 *	quiet	nothing
 */
#ifndef CLI_BUILD_VIEW_H
#define CLI_BUILD_VIEW_H

#include "cli/context.h"
#include "engine/build/build.h"

struct build_view;

int build_view_new(struct context *ctx, const char *mode, bool quiet, struct build_view **out,
		   struct err *e);
void build_view_free(struct build_view *v); /* draws what is left */
static inline void build_view_freep(struct build_view **v)
{
	build_view_free(*v);
}
/* To give to build_run(); cancel_fd is the context's. */
struct build_handler build_view_handler(struct build_view *v, int cancel_fd);
/* What the handler does, for when several builds are shown: @label is of which one, and
 * vertices are numbered through all of them. */
void build_view_event(struct build_view *v, const char *label, const struct build_event *ev);
/* Somebody else is going to write to the terminal: begin anew below that. */
void build_view_break(struct build_view *v);
/* After a failure: the last lines that the step wrote.  0: it was none. */
void build_view_excerpt(struct build_view *v, unsigned int vertex);

#endif
