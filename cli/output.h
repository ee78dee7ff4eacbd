/* cli/output.h: where an archive goes: a file that appears whole, or standard output. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/err.h"

struct output {
	int fd;           /* write here */
	char *path, *tmp; /* NULL: written in place (a pipe, a device, stdout) */
};
#define OUTPUT_INIT ((struct output){ .fd = -EBADF })

/* @path: NULL or "-": standard output, unless that is a terminal; a regular file is written
 * beside its place, with mode 0600 until it has its name (as Docker does). */
int output_open(struct output *o, const char *path, struct err *e);
/* Everything is written: give it its name. */
int output_commit(struct output *o, struct err *e);
/* Without a commit the file is as it was. */
void output_done(struct output *o);

#endif
