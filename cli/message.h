/* cli/message.h: errors and warnings as the user reads them.
 *
 *	comp: compose.yaml:12:7: services.web.ports[0]: invalid port
 *	   12 |       - "80800:80"
 *	      |       ^
 *	hint: ports are 1 to 65535
 */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <stdio.h>

#include "base/err.h"

struct diag;

struct message_style {
	bool tty;         /* WARN[0000] rather than time="…" level=warning */
	bool json;        /* --progress json: errors as objects */
	bool color;       /* red and yellow */
	uint64_t started; /* CLOCK_MONOTONIC ns of the program's start, for WARN[…] */
};

/* Print one error.  The offending line is shown when its file can still be read. */
void message_error(FILE *out, const struct message_style *s, const struct err *e);
/* One warning, in logrus' two forms. */
void message_warning(FILE *out, const struct message_style *s, const char *text);
/* All warnings of @d, then all its errors. */
void message_diag(FILE *out, const struct message_style *s, const struct diag *d);

#endif
