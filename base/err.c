/* base/err.c: see err.h.  Text that does not fit is cut, never lost whole. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void set_text(struct err *e, int code, const char *fmt, va_list ap)
{
	*e = ERR_INIT;
	e->code = code ? code : EINVAL;
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code ? -code : -EINVAL;
	va_start(ap, fmt);
	set_text(e, code, fmt, ap);
	va_end(ap);
	return -e->code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (!e)
		return code ? -code : -EINVAL;
	va_start(ap, fmt);
	set_text(e, code, fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", strerror(e->code));
	return -e->code;
}

int err_wrap(struct err *e, int r, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;
	size_t n;

	if (!e)
		return r;
	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	n = strlen(e->msg);
	snprintf(e->msg + n, sizeof(e->msg) - n, ": %s", old);
	if (!e->code)
		e->code = r < 0 ? -r : EINVAL;
	return r;
}

int err_at(struct err *e, const char *file, int line, int col)
{
	if (!e)
		return -EINVAL;
	if (!e->line && file) {
		snprintf(e->file, sizeof(e->file), "%s", file);
		e->line = line;
		e->col = col;
	}
	return -(e->code ? e->code : EINVAL);
}

int err_hint(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
	return -(e->code ? e->code : EINVAL);
}

void err_keep_first(int *r, struct err *e, int r2, const struct err *e2)
{
	if (*r < 0 || r2 >= 0)
		return;
	*r = r2;
	if (e && e2)
		*e = *e2;
}
