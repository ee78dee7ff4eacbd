/* cli/term.c: raw mode that is always undone.
 *
 * The saved settings live at file scope because a signal handler and atexit(3)
 * must reach them; there is one terminal.
 */
#include "cli/term.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static volatile sig_atomic_t raw_fd = -1;

bool term_real_size(int fd, unsigned int *rows, unsigned int *cols)
{
	struct winsize w;

	if (ioctl(fd, TIOCGWINSZ, &w) < 0 || !w.ws_row || !w.ws_col)
		return false;
	*rows = w.ws_row;
	*cols = w.ws_col;
	return true;
}

void term_size(int fd, unsigned int *rows, unsigned int *cols)
{
	*rows = 24;
	*cols = 80;
	(void)term_real_size(fd, rows, cols); /* the defaults stay */
}

void term_set_size(int fd, unsigned int rows, unsigned int cols)
{
	struct winsize w = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };

	(void)ioctl(fd, TIOCSWINSZ, &w); /* the pty may be gone by now: nothing to size */
}

void term_restore(void)
{
	int fd = raw_fd;

	if (fd < 0)
		return;
	raw_fd = -1;
	(void)tcsetattr(fd, TCSADRAIN, &saved); /* signal-safe, signal-safety(7) */
}

static void on_fatal(int signo)
{
	term_restore();
	/* SA_RESETHAND: this time it takes effect. */
	raise(signo);
}

static void catch_fatal(void)
{
	static const int signals[] = { SIGHUP,  SIGINT, SIGQUIT, SIGTERM, SIGABRT,
				       SIGSEGV, SIGBUS, SIGFPE,  SIGILL };
	struct sigaction sa = { .sa_handler = on_fatal, .sa_flags = SA_RESETHAND | SA_NODEFER };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &sa, NULL); /* cannot fail for these */
}

int term_raw(int fd, struct err *e)
{
	static bool registered;
	struct termios t;

	if (tcgetattr(fd, &saved) < 0)
		return err_errno(e, errno, "read terminal settings");
	t = saved;
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSADRAIN, &t) < 0)
		return err_errno(e, errno, "set terminal to raw mode");
	raw_fd = fd;
	if (!registered) {
		registered = true;
		atexit(term_restore);
		catch_fatal();
	}
	return 0;
}
