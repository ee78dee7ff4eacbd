/* base/cleanup.h: ownership that shows in the line.
 *
 * A local that owns something is declared with _cleanup_() and an initial
 * value that the cleanup accepts (NULL or -EBADF); TAKE_PTR() and TAKE_FD()
 * hand it over, so every transfer can be grepped for.  Cleanups keep errno.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) _taken = (p);                                                        \
		(p) = NULL;                                                                        \
		_taken;                                                                            \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int _taken = (fd);                                                                 \
		(fd) = -EBADF;                                                                     \
		_taken;                                                                            \
	})

/* Define `name(T **p)` for _cleanup_() from `void fn(T *)`. */
#define DEFINE_CLEANUP(T, fn, name)                                                                \
	static inline void name(T *p)                                                              \
	{                                                                                          \
		int _saved = errno;                                                                \
		if (*p)                                                                            \
			fn(*p);                                                                    \
		errno = _saved;                                                                    \
	}                                                                                          \
	struct swallow_semicolon

static inline void free_p(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

static inline int fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)close(fd); /* nothing is left to do about a failed close(2) */
	errno = saved;
	return -EBADF;
}

static inline void fd_closep(int *fd)
{
	*fd = fd_close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose, file_closep);
DEFINE_CLEANUP(DIR *, closedir, dir_closep);

#endif
