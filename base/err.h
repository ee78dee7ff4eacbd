/* base/err.h: one error, for the reader.
 *
 * A function that can fail returns 0 (or a useful non-negative value) or
 * -errno, and takes `struct err *e` last; @e may be NULL when the caller only
 * wants the code.  The struct holds no pointers, so a child can write it down
 * a pipe and the parent prints the very same words.
 *
 *	return err_errno(e, errno, "open %s", path);	"open /x: Permission denied"
 *	return err_set(e, EINVAL, "port %d is taken", n);	"port 80 is taken"
 *	return err_wrap(e, r, "service \"%s\"", name);	"service \"web\": port 80 ..."
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#include "base/util.h"

#define ERR_MSG_MAX  1024
#define ERR_FILE_MAX 512
#define ERR_HINT_MAX 256

struct err {
	int code;                /* errno value, positive; 0 = no error */
	int line, col;           /* 1-based position in @file; 0 = unknown */
	char file[ERR_FILE_MAX]; /* compose file, as the user would name it; "" = none */
	char msg[ERR_MSG_MAX];   /* no newline at the end */
	char hint[ERR_HINT_MAX]; /* what to do about it; "" = none */
};

#define ERR_INIT ((struct err){ 0 })

/* Replace what @e holds.  @code: positive errno.  Returns -code. */
int err_set(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);
/* As err_set(), with ": " and strerror(code) behind the text. */
int err_errno(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);
/* Put "text: " in front of what @e says.  Returns @r, the callee's -errno. */
int err_wrap(struct err *e, int r, const char *fmt, ...) _printf_(3, 4);
/* Say where in which file, unless a position is already there. Returns -e->code. */
int err_at(struct err *e, const char *file, int line, int col);
/* Set the hint (one sentence, what to do).  Returns -e->code. */
int err_hint(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* Keep the first error of a teardown that goes on: when *r is 0 it becomes
 * @r2 and *e becomes *e2 (@e may be NULL). */
void err_keep_first(int *r, struct err *e, int r2, const struct err *e2);

#endif
