/* base/loop.h: one epoll loop: descriptors, timers, signals, children.
 *
 * Single-threaded.  A `struct source` belongs to the loop until source_free();
 * freeing a source from any callback, its own included, is allowed, and it is
 * not called again.  loop_free() frees what is left.  Callbacks must not block.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/err.h"

struct loop;
struct source;

/* @events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as epoll_wait(2) reported them. */
typedef void (*loop_fd_fn)(struct source *s, int fd, uint32_t events, void *data);
typedef void (*loop_timer_fn)(struct source *s, void *data);
typedef void (*loop_signal_fn)(struct source *s, const struct signalfd_siginfo *info, void *data);

int loop_new(struct loop **out, struct err *e);
void loop_free(struct loop *l);
static inline void loop_freep(struct loop **l)
{
	loop_free(*l);
}

/* Dispatch until loop_quit(); returns the code given to it, or -errno when
 * epoll itself failed. */
int loop_run(struct loop *l, struct err *e);
void loop_quit(struct loop *l, int code);

/* Watch @fd, which stays the caller's; free the source before closing it. */
int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *data,
		struct source **out, struct err *e);
int source_set_events(struct source *s, uint32_t events);

/* Call @fn once, @delay_ns (CLOCK_MONOTONIC) from now, then the source is idle
 * until source_set_timer() arms it again. */
struct source *loop_add_timer(struct loop *l, uint64_t delay_ns, loop_timer_fn fn, void *data);
void source_set_timer(struct source *s, uint64_t delay_ns);
void source_stop_timer(struct source *s);

/* Block @signo for the process and deliver it here. */
int loop_add_signal(struct loop *l, int signo, loop_signal_fn fn, void *data, struct source **out,
		    struct err *e);

/* NULL is allowed. */
void source_free(struct source *s);
static inline void source_clear(struct source **s)
{
	source_free(*s);
	*s = NULL;
}

#endif
