/* The loop: order of timers, sources freed from callbacks, signals, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/loop.h"

struct world {
	struct loop *loop;
	char log[64]; /* one letter per event */
	struct source *a, *b;
	int pipe[2], other[2];
	int count;
};

static void note(struct world *w, char c)
{
	size_t n = strlen(w->log);

	assert_true(n + 1 < sizeof(w->log));
	w->log[n] = c;
}

static int setup(void **state)
{
	struct world *w = new0(struct world);

	assert_int_equal(loop_new(&w->loop, NULL), 0);
	assert_int_equal(fd_pipe(w->pipe, NULL), 0);
	assert_int_equal(fd_pipe(w->other, NULL), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	loop_free(w->loop);
	for (int i = 0; i < 2; i++) {
		fd_close(w->pipe[i]);
		fd_close(w->other[i]);
	}
	free(w);
	return 0;
}

static void on_quit(struct source *s, void *data)
{
	struct world *w = data;

	loop_quit(w->loop, 7);
}

static void on_a(struct source *s, void *data)
{
	note(data, 'a');
}

static void on_b(struct source *s, void *data)
{
	note(data, 'b');
}

static void on_c(struct source *s, void *data)
{
	note(data, 'c');
}

static void test_timer_order(void **state)
{
	struct world *w = *state;
	struct source *late = loop_add_timer(w->loop, NSEC_PER_MSEC, on_a, w), *never;

	loop_add_timer(w->loop, 5 * NSEC_PER_MSEC, on_quit, w);
	loop_add_timer(w->loop, 2 * NSEC_PER_MSEC, on_b, w);
	loop_add_timer(w->loop, 0, on_c, w);
	never = loop_add_timer(w->loop, NSEC_PER_MSEC, on_c, w);
	source_stop_timer(never);
	source_stop_timer(never);
	source_set_timer(late, 3 * NSEC_PER_MSEC); /* moved behind b */
	assert_int_equal(loop_run(w->loop, NULL), 7);
	assert_string_equal(w->log, "cba");
	source_free(never);
}

static void on_repeat(struct source *s, void *data)
{
	struct world *w = data;

	note(w, 'r');
	if (++w->count < 3)
		source_set_timer(s, 0);
	else
		loop_quit(w->loop, 0);
}

static void test_timer_again(void **state)
{
	struct world *w = *state;

	loop_add_timer(w->loop, 0, on_repeat, w);
	assert_int_equal(loop_run(w->loop, NULL), 0);
	assert_string_equal(w->log, "rrr");
}

/* The first of two due timers frees both. */
static void on_free_both(struct source *s, void *data)
{
	struct world *w = data;

	note(w, 'x');
	source_clear(&w->a);
	source_clear(&w->b);
	source_clear(&w->b);
	loop_add_timer(w->loop, 0, on_quit, w);
}

static void test_free_timers_from_timer(void **state)
{
	struct world *w = *state;

	w->a = loop_add_timer(w->loop, 0, on_free_both, w);
	w->b = loop_add_timer(w->loop, 0, on_free_both, w);
	assert_int_equal(loop_run(w->loop, NULL), 7);
	assert_string_equal(w->log, "x");
}

/* Both are ready in one epoll_wait(2): whoever comes first silences the other. */
static void on_readable(struct source *s, int fd, uint32_t events, void *data)
{
	struct world *w = data;

	note(w, 'x');
	assert_true(s == w->a || s == w->b);
	source_clear(&w->a);
	source_clear(&w->b);
	loop_add_timer(w->loop, 0, on_quit, w);
}

static void test_free_fds_from_fd(void **state)
{
	struct world *w = *state;

	assert_int_equal(loop_add_fd(w->loop, w->pipe[0], EPOLLIN, on_readable, w, &w->a, NULL), 0);
	assert_int_equal(loop_add_fd(w->loop, w->other[0], EPOLLIN, on_readable, w, &w->b, NULL),
			 0);
	assert_int_equal(fd_write_all(w->pipe[1], "x", 1), 0);
	assert_int_equal(fd_write_all(w->other[1], "x", 1), 0);
	assert_int_equal(loop_run(w->loop, NULL), 7);
	assert_string_equal(w->log, "x");
}

static void on_events(struct source *s, int fd, uint32_t events, void *data)
{
	struct world *w = data;
	char c;

	if (events & EPOLLIN) {
		assert_int_equal(read(fd, &c, 1), 1);
		note(w, c);
	} else if (events & EPOLLHUP) {
		note(w, 'H');
		source_free(s);
		loop_quit(w->loop, 1);
	}
}

static void on_writable(struct source *s, int fd, uint32_t events, void *data)
{
	struct world *w = data;

	assert_true(events & EPOLLOUT);
	if (w->count == 2) {
		source_free(s);
		w->other[1] = w->pipe[1] = fd_close(fd);
		return;
	}
	assert_int_equal(write(fd, "12" + w->count++, 1), 1);
}

static void test_events(void **state)
{
	struct world *w = *state;

	fd_close(w->other[1]);
	w->other[1] = -EBADF;
	assert_int_equal(loop_add_fd(w->loop, w->pipe[0], 0, on_events, w, &w->a, NULL), 0);
	assert_int_equal(source_set_events(w->a, EPOLLIN), 0);
	assert_int_equal(loop_add_fd(w->loop, w->pipe[1], EPOLLOUT, on_writable, w, NULL, NULL), 0);
	assert_int_equal(loop_run(w->loop, NULL), 1);
	assert_string_equal(w->log, "12H");
}

static void on_signal(struct source *s, const struct signalfd_siginfo *info, void *data)
{
	struct world *w = data;

	assert_int_equal(info->ssi_signo, SIGUSR1);
	assert_int_equal(info->ssi_pid, getpid());
	note(w, 's');
	if (++w->count == 2) {
		source_free(s);
		loop_quit(w->loop, 3);
	} else {
		(void)raise(SIGUSR1);
	}
}

static void test_signal(void **state)
{
	struct world *w = *state;

	assert_int_equal(loop_add_signal(w->loop, SIGUSR1, on_signal, w, NULL, NULL), 0);
	(void)raise(SIGUSR1);
	assert_int_equal(loop_run(w->loop, NULL), 3);
	assert_string_equal(w->log, "ss");
}

static void test_errors(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	assert_int_equal(loop_add_fd(w->loop, -1, EPOLLIN, on_events, w, NULL, &e), -EBADF);
	assert_int_equal(loop_add_fd(w->loop, w->pipe[0], EPOLLIN, on_events, w, &w->a, &e), 0);
	assert_int_equal(loop_add_fd(w->loop, w->pipe[0], EPOLLIN, on_events, w, NULL, &e),
			 -EEXIST);
	source_free(NULL);
	source_free(w->a);
	loop_free(NULL);
}

/* A callback that makes sources while others are dispatched. */
static void on_spawn(struct source *s, void *data)
{
	struct world *w = data;

	note(w, 'n');
	source_free(s);
	if (++w->count < 20)
		loop_add_timer(w->loop, 0, on_spawn, w);
	else
		loop_quit(w->loop, 0);
}

static void test_make_and_free(void **state)
{
	struct world *w = *state;

	loop_add_timer(w->loop, 0, on_spawn, w);
	assert_int_equal(loop_run(w->loop, NULL), 0);
	assert_int_equal(strlen(w->log), 20);
	/* It can run again, and what is left goes with the loop. */
	loop_add_timer(w->loop, 0, on_quit, w);
	loop_add_timer(w->loop, 3600 * NSEC_PER_SEC, on_a, w);
	assert_int_equal(loop_run(w->loop, NULL), 7);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_timer_order),      T(test_timer_again),   T(test_free_timers_from_timer),
		T(test_free_fds_from_fd), T(test_events),        T(test_signal),
		T(test_errors),           T(test_make_and_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
