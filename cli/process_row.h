/* cli/process_row.h: a process as `ps -ef` shows it, which is what `top` prints. */
#ifndef CLI_PROCESS_ROW_H
#define CLI_PROCESS_ROW_H

#include <sys/types.h>

#include "base/util.h"

/* UID PID PPID C STIME TTY TIME CMD, as a vector that strv_free() frees; NULL when
 * the process is gone. */
#define PROCESS_ROW_CELLS 8
char **process_row(pid_t pid);

/* What of it is arithmetic.  @stat: /proc/PID/stat, @now: seconds since boot. */
struct process_times {
	pid_t ppid;
	int tty_nr;
	uint64_t cpu_seconds;
	unsigned int percent; /* of its life, 0..99 */
	double age;           /* seconds */
	char comm[16];
};
bool process_times_parse(const char *stat, double now, long hz, struct process_times *out);

#endif
