/* base/loop.c: epoll for descriptors, one timerfd for all timers.
 *
 * Timers sit in a list sorted by deadline, and the timerfd is armed for the
 * first.  A source that is freed while a batch of events is dispatched is only
 * marked; the batch may still hold its pointer, so memory goes back afterwards.
 */
#include "base/loop.h"

#include <signal.h>
#include <sys/timerfd.h>

#include "base/cleanup.h"
#include "base/util.h"

enum source_type { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL };

struct source {
	struct loop *loop;
	enum source_type type;
	bool dead;
	int fd; /* SOURCE_SIGNAL owns it */
	uint64_t deadline;
	bool armed;
	union {
		loop_fd_fn fd_fn;
		loop_timer_fn timer_fn;
		loop_signal_fn signal_fn;
	};
	void *data;
	struct source *next, *prev; /* all sources of the loop */
	struct source *timer_next;  /* armed timers, by deadline */
};

struct loop {
	int epfd;
	int timerfd;
	struct source *sources;
	struct source *timers;
	bool quit, dispatching, any_dead;
	int code;
};

static struct source *new_source(struct loop *l, enum source_type type, void *data)
{
	struct source *s = new0(struct source);

	s->loop = l;
	s->type = type;
	s->fd = -EBADF;
	s->data = data;
	s->next = l->sources;
	if (l->sources)
		l->sources->prev = s;
	l->sources = s;
	return s;
}

static void destroy(struct source *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->loop->sources = s->next;
	if (s->next)
		s->next->prev = s->prev;
	free(s);
}

int loop_new(struct loop **out, struct err *e)
{
	struct loop *l = new0(struct loop);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	l->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->epfd < 0 || l->timerfd < 0 ||
	    epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->timerfd, &ev) < 0) {
		int code = errno;

		loop_free(l);
		return err_errno(e, code, "create event loop");
	}
	*out = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	while (l->sources) {
		struct source *s = l->sources;

		if (s->type == SOURCE_SIGNAL)
			fd_close(s->fd);
		destroy(s);
	}
	fd_close(l->timerfd);
	fd_close(l->epfd);
	free(l);
}

static void arm_timerfd(struct loop *l)
{
	struct itimerspec spec = { 0 };

	if (l->timers) {
		uint64_t at = MAX(l->timers->deadline, (uint64_t)1); /* 0 would disarm */

		spec.it_value.tv_sec = (time_t)(at / NSEC_PER_SEC);
		spec.it_value.tv_nsec = (long)(at % NSEC_PER_SEC);
	}
	(void)timerfd_settime(l->timerfd, TFD_TIMER_ABSTIME, &spec, NULL); /* arguments are valid */
}

void source_stop_timer(struct source *s)
{
	if (!s->armed)
		return;
	for (struct source **p = &s->loop->timers; *p; p = &(*p)->timer_next) {
		if (*p == s) {
			*p = s->timer_next;
			break;
		}
	}
	s->armed = false;
}

void source_set_timer(struct source *s, uint64_t delay_ns)
{
	struct source **p = &s->loop->timers;

	source_stop_timer(s);
	s->deadline = now_mono_ns() + delay_ns;
	while (*p && (*p)->deadline <= s->deadline)
		p = &(*p)->timer_next;
	s->timer_next = *p;
	*p = s;
	s->armed = true;
	if (s->loop->timers == s)
		arm_timerfd(s->loop);
}

struct source *loop_add_timer(struct loop *l, uint64_t delay_ns, loop_timer_fn fn, void *data)
{
	struct source *s = new_source(l, SOURCE_TIMER, data);

	s->timer_fn = fn;
	source_set_timer(s, delay_ns);
	return s;
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *data,
		struct source **out, struct err *e)
{
	struct source *s = new_source(l, SOURCE_FD, data);
	struct epoll_event ev = { .events = events, .data.ptr = s };

	s->fd = fd;
	s->fd_fn = fn;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int code = errno;

		destroy(s);
		return err_errno(e, code, "watch descriptor %d", fd);
	}
	if (out)
		*out = s;
	return 0;
}

int source_set_events(struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(s->loop->epfd, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

int loop_add_signal(struct loop *l, int signo, loop_signal_fn fn, void *data, struct source **out,
		    struct err *e)
{
	struct source *s = new_source(l, SOURCE_SIGNAL, data);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	s->signal_fn = fn;
	if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
		s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd < 0 || epoll_ctl(l->epfd, EPOLL_CTL_ADD, s->fd, &ev) < 0) {
		int code = errno;

		fd_close(s->fd);
		destroy(s);
		return err_errno(e, code, "watch signal %d", signo);
	}
	if (out)
		*out = s;
	return 0;
}

void source_free(struct source *s)
{
	if (!s || s->dead)
		return;
	if (s->type == SOURCE_TIMER) {
		source_stop_timer(s);
	} else {
		/* Must come before the fd is closed: a forked child may hold a copy of
		 * it, and then the registration would outlive the close. epoll(7), Q6. */
		(void)epoll_ctl(s->loop->epfd, EPOLL_CTL_DEL, s->fd, NULL);
		if (s->type == SOURCE_SIGNAL)
			s->fd = fd_close(s->fd);
	}
	if (!s->loop->dispatching) {
		destroy(s);
		return;
	}
	s->dead = true;
	s->loop->any_dead = true;
}

static void run_timers(struct loop *l)
{
	uint64_t expirations, now = now_mono_ns();

	(void)!read(l->timerfd, &expirations, sizeof(expirations)); /* only clears readiness */
	while (l->timers && l->timers->deadline <= now) {
		struct source *s = l->timers;

		l->timers = s->timer_next;
		s->armed = false;
		s->timer_fn(s, s->data);
	}
	arm_timerfd(l);
}

static void dispatch(struct source *s, uint32_t events)
{
	struct signalfd_siginfo info;

	if (s->type == SOURCE_FD) {
		s->fd_fn(s, s->fd, events, s->data);
		return;
	}
	while (!s->dead && read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		s->signal_fn(s, &info, s->data);
}

static void bury(struct loop *l)
{
	for (struct source *s = l->sources, *next; s; s = next) {
		next = s->next;
		if (s->dead)
			destroy(s);
	}
	l->any_dead = false;
}

int loop_run(struct loop *l, struct err *e)
{
	l->quit = false;
	while (!l->quit) {
		struct epoll_event events[32];
		int n = epoll_wait(l->epfd, events, ARRAY_SIZE(events), -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno, "epoll_wait");
		l->dispatching = true;
		for (int i = 0; i < n && !l->quit; i++) {
			struct source *s = events[i].data.ptr;

			if (!s)
				run_timers(l);
			else if (!s->dead)
				dispatch(s, events[i].events);
		}
		l->dispatching = false;
		if (l->any_dead)
			bury(l);
	}
	return l->code;
}

void loop_quit(struct loop *l, int code)
{
	l->quit = true;
	l->code = code;
}
